internal import GuardMatching

/// A condition on a complete text that is no pattern.
package enum TextLeaf: Sendable {
    case json(JSONCondition)
    case tokens(TokensCondition)
    case classify(ClassifyCondition)

    /// The key that it is written with.
    var name: String {
        switch self {
        case .json: "json"
        case .tokens: "tokens"
        case .classify: "classify"
        }
    }

    /// It holds where it has a match. Ranges are raw bytes of the text, which is not empty.
    func matches(
        in raw: Span<UInt8>, _ run: inout ComposedRule.Run, _ scratch: inout MatchScratch
    ) -> [ComposedRule.Match] {
        switch self {
        case .json(let condition): return condition.matches(in: raw, &run, &scratch)
        case .tokens(let condition): return condition.matches(in: raw, &run)
        case .classify(let condition):
            let before = RuleTimeAccount.now()
            defer { run.classifyNanoseconds += RuleTimeAccount.now() &- before }
            return condition.matches(in: raw, &run)
        }
    }
}

extension ComposedRule.Run {
    /// The whole text as a match.
    func whole(
        _ raw: Span<UInt8>, score: Double? = nil, explanation: String? = nil
    ) -> ComposedRule.Match {
        ComposedRule.Match(
            range: 0..<raw.count, mask: mask?.render(raw, range: 0..<raw.count) { _ in nil }, score: score,
            explanation: explanation)
    }
}
