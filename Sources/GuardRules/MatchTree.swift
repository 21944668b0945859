internal import GuardMatching

/// How the conditions of a rule hang together, by the indexes of its detectors and of its text conditions.
package indirect enum MatchTree: Sendable, Hashable {
    /// Any of these detectors matches.
    case leaf(Range<Int>)
    /// A condition on the complete text: `json`, `tokens`, `classify`.
    case text(Int)
    case any([MatchTree])
    case all([MatchTree])
    case not(MatchTree)

    /// Only patterns and `any`: the rule's matches are the union of its detectors', and are exact on streams.
    var isFlat: Bool {
        switch self {
        case .leaf: true
        case .any(let nodes): nodes.allSatisfy(\.isFlat)
        case .text, .all, .not: false
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

extension RuleBundle {
    /// The rules that are judged by `ComposedRule`; they have no detectors of their own.
    ///
    /// - Parameter readings: of the decoded view, if one of them reads it.
    func evaluateComposed(
        _ text: Span<UInt8>, _ readings: [DecodedView.Reading]?, _ selected: [Int], _ tokens: (any TokenCounting)?,
        _ scratch: inout EvaluationScratch, _ evaluation: inout Evaluation
    ) {
        if scratch.usesPrefilter { prefilter.composed.look(text, readings, &scratch) }
        for index in prefilter.composed.rules where !scratch.usesPrefilter || scratch.mayHold[index] {
            guard prefilter.contains(selected, index), let composed = rules[index].composed else { continue }
            let before = RuleTimeAccount.now()
            defer { scratch.spent.append((index, RuleTimeAccount.now() &- before)) }
            let result = composed.evaluate(
                text, view: rules[index].view, mask: rules[index].mask,
                matchesMax: scratch.matchesMax - min(scratch.matchesMax, evaluation.matches.count), tokens: tokens,
                readings: readings, scratch: &scratch.match)
            scratch.classifyNanoseconds += result.classifyNanoseconds
            for match in result.matches {
                evaluation.matches.append(
                    RuleMatch(
                        rule: index, range: match.range, mask: match.mask, score: match.score,
                        explanation: match.explanation))
            }
            evaluation.failures += Set(result.failures).sorted { $0.rawValue < $1.rawValue }.map {
                ScanFailure(rule: index, reason: $0)
            }
        }
    }
}
