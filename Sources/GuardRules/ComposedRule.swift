package import GuardCore
package import GuardMatching

/// A rule that is judged on a complete text only: `all` and `not` nodes, `json`, `tokens` and `classify` leaves, and
/// every rule of the decoded view.
///
/// - A leaf holds where it matches; its matches are the rule's.
/// - `any` holds where one of its conditions does, with the matches of all that do.
/// - `all` holds where all do, with the matches of all. They are asked from left to right until one does not hold.
/// - `not` holds where its condition does not, and has no matches.
///
/// A rule that holds without a match (`not` alone) matches the whole text.
package struct ComposedRule: Sendable {
    package let tree: MatchTree
    package let detectors: [Detector]
    package let leaves: [TextLeaf]
    package let stream: WholeStream

    package struct Match: Sendable, Hashable {
        /// Raw bytes of the text.
        package var range: ByteRange
        package var mask: [UInt8]?
        /// A classifier's.
        package var score: Double?
        /// Content-free.
        package var explanation: String?
    }

    package struct Result: Sendable {
        package var matches: [Match] = []
        package var failures: [ScanFailure.Reason] = []
        /// Time that its classifiers took.
        package var classifyNanoseconds: UInt64 = 0
    }

    /// What one evaluation of a text is asked with, and what it knows so far.
    struct Run {
        let view: TextView
        let mask: MaskTemplate?
        let tokens: (any TokenCounting)?
        var matchesLeft: Int
        /// By leaf; nil: not asked yet. Of a text, not of one of its readings.
        var leaves: [[Match]?]
        var failures: [ScanFailure.Reason] = []
        var classifyNanoseconds: UInt64 = 0
    }

    /// One reading of a text by a view.
    private struct Reading {
        /// Raw bytes that a range of the reading stands for.
        var rawRange: (ByteRange) -> ByteRange
        /// Masks are written from the raw text; in the decoded view from the reading, which is not the encoded span.
        var masksFromRaw: Bool
        /// Set where only what it changed is judged.
        var decoded: DecodedView.Reading?
    }

    /// Judges a complete text, valid UTF-8.
    package func evaluate(
        _ raw: Span<UInt8>, view: TextView, mask: MaskTemplate?, matchesMax: Int = 100_000,
        tokens: (any TokenCounting)? = nil, readings: [DecodedView.Reading]? = nil, scratch: inout MatchScratch
    ) -> Result {
        var result = Result()
        guard !raw.isEmpty else { return result }
        // One allowance for all patterns and readings.
        scratch.beginText(bytes: raw.count * max(1, detectors.count) * (view == .decoded ? DecodedView.readingsMax : 1))
        defer { scratch.endText() }
        var run = Run(
            view: view, mask: mask, tokens: tokens, matchesLeft: matchesMax,
            leaves: [[Match]?](repeating: nil, count: leaves.count))
        switch view {
        case .raw:
            result.matches = matches(raw, raw, Reading(rawRange: { $0 }, masksFromRaw: true), &run, &scratch)
        case .folded:
            let folded = FoldedView(raw: raw)
            let reading = Reading(rawRange: { folded.rawRange(of: $0) }, masksFromRaw: true)
            result.matches = matches(folded.text.span, raw, reading, &run, &scratch)
        case .decoded:
            for decoded in readings ?? DecodedView.readings(of: raw, keepsDistant: !tree.isFlat) {
                let text = decoded.text
                let reading = Reading(
                    rawRange: { decoded.rawRange(of: $0) }, masksFromRaw: false,
                    decoded: tree.isFlat ? decoded : nil)
                result.matches += matches(text.span, raw, reading, &run, &scratch).filter { !$0.range.isEmpty }
            }
        }
        result.matches = Self.merged(result.matches)
        result.failures = run.failures
        result.classifyNanoseconds = run.classifyNanoseconds
        return result
    }

    /// Ascending, longer ones first, no two of the same range: several conditions and readings may find the same.
    private static func merged(_ matches: [Match]) -> [Match] {
        let sorted = matches.sorted {
            ($0.range.lowerBound, -$0.range.upperBound) < ($1.range.lowerBound, -$1.range.upperBound)
        }
        var merged: [Match] = []
        for match in sorted {
            guard let last = merged.indices.last, merged[last].range == match.range else {
                merged.append(match)
                continue
            }
            merged[last].score = [merged[last].score, match.score].compactMap { $0 }.max()
            merged[last].explanation = merged[last].explanation ?? match.explanation
        }
        return merged
    }

    /// Matches in one reading.
    private func matches(
        _ text: Span<UInt8>, _ raw: Span<UInt8>, _ reading: Reading, _ run: inout Run, _ scratch: inout MatchScratch
    ) -> [Match] {
        guard let matches = resolve(tree, text, raw, reading, &run, &scratch) else { return [] }
        if matches.isEmpty {
            return [Match(range: 0..<raw.count, mask: run.mask?.render(raw, range: 0..<raw.count) { _ in nil })]
        }
        return matches
    }

    /// `nil` where the tree does not hold.
    private func resolve(
        _ tree: MatchTree, _ text: Span<UInt8>, _ raw: Span<UInt8>, _ reading: Reading, _ run: inout Run,
        _ scratch: inout MatchScratch
    ) -> [Match]? {
        switch tree {
        case .leaf(let indexes):
            var matches: [Match] = []
            for index in indexes {
                find(detectors[index], text, raw, reading, &run, &scratch, &matches)
            }
            return matches.isEmpty ? nil : matches
        case .text(let index):
            let matches: [Match]
            if let known = run.leaves[index] {
                matches = known
            } else {
                matches = leaves[index].matches(in: raw, &run, &scratch)
                run.leaves[index] = matches
            }
            return matches.isEmpty ? nil : matches
        case .any(let nodes):
            var matches: [Match] = []
            var holds = false
            for node in nodes {
                guard let more = resolve(node, text, raw, reading, &run, &scratch) else { continue }
                holds = true
                matches += more
            }
            return holds ? matches : nil
        case .all(let nodes):
            var matches: [Match] = []
            for node in nodes {
                guard let more = resolve(node, text, raw, reading, &run, &scratch) else { return nil }
                matches += more
            }
            return matches
        case .not(let node):
            return resolve(node, text, raw, reading, &run, &scratch) == nil ? [] : nil
        }
    }

    /// All matches of one detector, from left to right without overlap.
    private func find(
        _ detector: Detector, _ text: Span<UInt8>, _ raw: Span<UInt8>, _ reading: Reading, _ run: inout Run,
        _ scratch: inout MatchScratch, _ matches: inout [Match]
    ) {
        guard let decoded = reading.decoded else {
            find(detector, text, raw, reading, within: 0..<text.count, &run, &scratch, &matches)
            return
        }
        for stretch in decoded.stretches {
            find(detector, text, raw, reading, within: stretch, &run, &scratch, &matches)
        }
    }

    private func find(
        _ detector: Detector, _ text: Span<UInt8>, _ raw: Span<UInt8>, _ reading: Reading, within stretch: ByteRange,
        _ run: inout Run, _ scratch: inout MatchScratch, _ matches: inout [Match]
    ) {
        var from = stretch.lowerBound
        while from < stretch.upperBound {
            switch detector.firstMatch(
                in: text, from: from, through: stretch.upperBound - 1, mode: .complete, scratch: &scratch)
            {
            case .none, .partial: return
            case .failed(let failure):
                run.failures.append(.init(failure))
                return
            case .match(let range):
                guard range.upperBound <= stretch.upperBound,
                    !detector.contexts.isEmpty || reading.decoded?.isChanged(range) != false
                else {
                    from = range.upperBound
                    continue
                }
                guard run.matchesLeft > 0 else {
                    run.failures.append(.tooManyMatches)
                    return
                }
                run.matchesLeft -= 1
                var mask: [UInt8]?
                if let template = run.mask {
                    mask =
                        reading.masksFromRaw
                        ? template.render(text, range: range, raw: raw, rawRange: reading.rawRange) {
                            scratch.capture($0)
                        }
                        : template.render(text, range: range) { scratch.capture($0) }
                }
                matches.append(Match(range: reading.rawRange(range), mask: mask))
                from = range.upperBound
            }
        }
    }
}
