internal import GuardCore
internal import GuardMatching

/// Which composed rules may hold in a text: the literals of all their patterns are looked for in one pass of each
/// reading that they judge. A pattern without a window has no match in that reading (`LiteralFilter` says why), and a
/// tree that cannot hold with the others alone is not asked.
struct ComposedPrefilter: Sendable {
    private struct Member: Sendable {
        var rule: Int
        var tree: MatchTree
        /// The filter's number of its first pattern.
        var first: Int
    }

    /// The composed rules of one view.
    private struct View: Sendable {
        let members: [Member]
        let filter: LiteralFilter
        /// By pattern: nothing is known of it.
        let isUnknown: [Bool]

        init(_ rules: [CompiledRule], _ view: TextView, filters: Bool) {
            var members: [Member] = []
            var literals: [RequiredLiterals] = []
            for rule in rules where rule.view == view {
                guard let composed = rule.composed, !rule.isFlat else { continue }
                members.append(Member(rule: rule.index, tree: composed.tree, first: literals.count))
                literals += composed.detectors.map { filters ? PrefilterPlan.literals(of: $0) : .unknown }
            }
            self.members = members
            filter = LiteralFilter(literals)
            var isUnknown = [Bool](repeating: false, count: literals.count)
            for pattern in filter.unknown { isUnknown[Int(pattern)] = true }
            self.isUnknown = isUnknown
        }

        func look(_ text: Span<UInt8>, _ candidates: inout CandidateSet, _ mayHold: inout [Bool]) {
            filter.scan(text, into: &candidates)
            for member in members where !mayHold[member.rule] {
                mayHold[member.rule] = Self.mayHold(member.tree) { detector in
                    isUnknown[member.first + detector] || candidates.contains(member.first + detector)
                }
            }
        }

        func mayHold(_ text: Span<UInt8>, _ candidates: inout CandidateSet) -> Bool {
            if members.isEmpty { return false }
            filter.scan(text, into: &candidates)
            return members.contains { member in
                Self.mayHold(member.tree) { detector in
                    isUnknown[member.first + detector] || candidates.contains(member.first + detector)
                }
            }
        }

        private static func mayHold(_ tree: MatchTree, _ mayMatch: (Int) -> Bool) -> Bool {
            switch tree {
            case .leaf(let detectors): detectors.contains(where: mayMatch)
            case .any(let nodes): nodes.contains { mayHold($0, mayMatch) }
            case .all(let nodes): nodes.allSatisfy { mayHold($0, mayMatch) }
            // Those look at more than literals.
            case .not, .text: true
            }
        }
    }

    /// The composed rules, ascending.
    let rules: [Int]
    private let ruleCount: Int
    private let raw: View
    private let folded: View
    private let decoded: View

    init(_ rules: [CompiledRule], filters: Bool) {
        ruleCount = rules.count
        self.rules = rules.filter { !$0.isFlat }.map(\.index)
        raw = View(rules, .raw, filters: filters)
        folded = View(rules, .folded, filters: filters)
        decoded = View(rules, .decoded, filters: filters)
    }

    /// Whether a rule of the decoded view may hold in this reading of a text.
    func mayHoldDecoded(_ reading: Span<UInt8>, _ scratch: inout EvaluationScratch) -> Bool {
        decoded.mayHold(reading, &scratch.candidates)
    }

    /// Sets `scratch.mayHold`.
    ///
    /// - Parameter readings: of the decoded view, if a rule of it is asked.
    func look(_ text: Span<UInt8>, _ readings: [DecodedView.Reading]?, _ scratch: inout EvaluationScratch) {
        if scratch.mayHold.count < ruleCount { scratch.mayHold += repeatElement(false, count: ruleCount) }
        for view in [raw, folded, decoded] { for member in view.members { scratch.mayHold[member.rule] = false } }
        if !raw.members.isEmpty { raw.look(text, &scratch.candidates, &scratch.mayHold) }
        if !folded.members.isEmpty {
            let view = FoldedView(raw: text)
            folded.look(view.text.span, &scratch.candidates, &scratch.mayHold)
        }
        if !decoded.members.isEmpty, let readings {
            for reading in readings { decoded.look(reading.text.span, &scratch.candidates, &scratch.mayHold) }
        }
    }
}
