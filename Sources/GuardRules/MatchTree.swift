package import GuardCore
package import GuardMatching

/// How the conditions of a rule hang together, by the indexes of its detectors.
package indirect enum MatchTree: Sendable, Hashable {
    /// Any of these detectors matches.
    case leaf(Range<Int>)
    case any([MatchTree])
    case all([MatchTree])
    case not(MatchTree)

    /// Only leaves and `any`: the rule's matches are the union of its detectors', and are exact on streams.
    var isFlat: Bool {
        switch self {
        case .leaf: true
        case .any(let nodes): nodes.allSatisfy(\.isFlat)
        case .all, .not: false
        }
    }

    /// There is a match that the rule can point at, whenever the tree holds.
    var hasPlace: Bool {
        switch self {
        case .leaf: true
        case .any(let nodes): nodes.allSatisfy(\.hasPlace)
        case .all(let nodes): nodes.contains(where: \.hasPlace)
        case .not: false
        }
    }
}

/// `stream:` of a rule that cannot be judged before its text is complete.
package enum WholeStream: Sendable, Hashable {
    /// The channel is held until it ends, up to `limits.holdBytes`; then `onHoldOverflow` acts.
    case hold
    /// The channel is held and judged in windows of `windowBytes` that overlap by half; what has left is not recalled.
    case cut

    /// Bytes of a window, rounded up to a whole character.
    package static let windowBytes = 1024
}

/// A rule that is judged on a complete text only: `all` and `not` nodes, and every rule of the decoded view.
///
/// - A leaf holds where it matches; its matches are the rule's.
/// - `any` holds where one of its conditions does, with the matches of all that do.
/// - `all` holds where all do, with the matches of all.
/// - `not` holds where its condition does not, and has no matches.
///
/// A rule that holds without a match (`not` alone) matches the whole text.
package struct ComposedRule: Sendable {
    package let tree: MatchTree
    package let detectors: [Detector]
    package let stream: WholeStream

    package struct Match: Sendable, Hashable {
        /// Raw bytes of the text.
        package var range: ByteRange
        package var mask: [UInt8]?
    }

    package struct Result: Sendable, Hashable {
        package var matches: [Match] = []
        package var failures: [ScanFailure.Reason] = []
    }

    /// Judges a complete text, valid UTF-8.
    package func evaluate(
        _ raw: Span<UInt8>, view: TextView, mask: MaskTemplate?, matchesMax: Int = 100_000,
        readings: [DecodedView.Reading]? = nil, scratch: inout MatchScratch
    ) -> Result {
        var result = Result()
        guard !raw.isEmpty else { return result }
        // One allowance for all patterns and readings.
        scratch.beginText(bytes: raw.count * max(1, detectors.count) * (view == .decoded ? DecodedView.readingsMax : 1))
        defer { scratch.endText() }
        switch view {
        case .raw:
            result.matches = matches(in: raw, mask, matchesMax, &result.failures, &scratch)
        case .folded:
            let folded = FoldedView(raw: raw)
            result.matches = matches(in: folded.text.span, mask, matchesMax, &result.failures, &scratch).map {
                Match(range: folded.rawRange(of: $0.range), mask: $0.mask)
            }
        case .decoded:
            var seen: Set<Match> = []
            for reading in readings ?? DecodedView.readings(of: raw) {
                for match in matches(in: reading.text.span, mask, matchesMax, &result.failures, &scratch) {
                    let match = Match(range: reading.rawRange(of: match.range), mask: match.mask)
                    if !match.range.isEmpty, seen.insert(match).inserted { result.matches.append(match) }
                }
            }
        }
        return result
    }

    /// Matches in a view's text, ascending; ranges of that text.
    func matches(
        in text: Span<UInt8>, _ mask: MaskTemplate?, _ matchesMax: Int, _ failures: inout [ScanFailure.Reason],
        _ scratch: inout MatchScratch
    ) -> [Match] {
        guard !text.isEmpty else { return [] }
        var found: [[Match]] = []
        var left = matchesMax
        for detector in detectors {
            var matches: [Match] = []
            var from = 0
            search: while from < text.count {
                switch detector.firstMatch(in: text, from: from, mode: .complete, scratch: &scratch) {
                case .none, .partial: break search
                case .failed(let failure):
                    failures.append(.init(failure))
                    break search
                case .match(let range):
                    guard left > 0 else {
                        failures.append(.tooManyMatches)
                        break search
                    }
                    left -= 1
                    matches.append(Match(range: range, mask: mask?.render(text, range: range) { scratch.capture($0) }))
                    from = range.upperBound
                }
            }
            found.append(matches)
        }
        guard let matches = Self.resolve(tree, found) else { return [] }
        if matches.isEmpty {
            return [Match(range: 0..<text.count, mask: mask?.render(text, range: 0..<text.count) { _ in nil })]
        }
        return matches.sorted {
            ($0.range.lowerBound, -$0.range.upperBound) < ($1.range.lowerBound, -$1.range.upperBound)
        }
    }

    /// `nil` where the tree does not hold.
    private static func resolve(_ tree: MatchTree, _ found: [[Match]]) -> [Match]? {
        switch tree {
        case .leaf(let detectors):
            let matches = detectors.flatMap { found[$0] }
            return matches.isEmpty ? nil : matches
        case .any(let nodes):
            let holding = nodes.compactMap { resolve($0, found) }
            return holding.isEmpty ? nil : holding.flatMap { $0 }
        case .all(let nodes):
            var matches: [Match] = []
            for node in nodes {
                guard let more = resolve(node, found) else { return nil }
                matches += more
            }
            return matches
        case .not(let node):
            return resolve(node, found) == nil ? [] : nil
        }
    }
}

extension RuleBundle {
    /// The rules that are judged by `ComposedRule`; they have no detectors of their own.
    func evaluateComposed(
        _ text: Span<UInt8>, rules selected: [Int], scratch: inout EvaluationScratch, _ evaluation: inout Evaluation
    ) {
        let readings = prefilter.views(of: selected).contains(.decoded) ? DecodedView.readings(of: text) : nil
        if scratch.usesPrefilter { prefilter.composed.look(text, readings, &scratch) }
        for index in prefilter.composed.rules where !scratch.usesPrefilter || scratch.mayHold[index] {
            guard prefilter.contains(selected, index), let composed = rules[index].composed else { continue }
            let before = RuleTimeAccount.now()
            defer { scratch.spent.append((index, RuleTimeAccount.now() &- before)) }
            let result = composed.evaluate(
                text, view: rules[index].view, mask: rules[index].mask,
                matchesMax: scratch.matchesMax - min(scratch.matchesMax, evaluation.matches.count),
                readings: readings, scratch: &scratch.match)
            for match in result.matches {
                evaluation.matches.append(RuleMatch(rule: index, range: match.range, mask: match.mask))
            }
            evaluation.failures += Set(result.failures).sorted { $0.rawValue < $1.rawValue }.map {
                ScanFailure(rule: index, reason: $0)
            }
        }
    }
}
