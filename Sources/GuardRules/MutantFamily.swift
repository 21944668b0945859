internal import GuardCore
internal import GuardMatching

/// A rule and its mutants as the rules of one bundle: a text is read once and looked through once for all of them.
///
/// What a rule finds in a text depends on no other rule but by the readings of the text, and mutants that change these
/// are in a bundle of their own.
package struct MutantFamily: Sendable {
    package let mutations: [RuleMutation]
    /// The rule by itself, to be judged on a few texts.
    package let original: RuleBundle
    private let groups: [Group]
    private let phase: Phase

    /// - Parameter mutations: of `rule`, all that are to be judged.
    package init(_ rule: CompiledRule, of bundle: RuleBundle, _ mutations: [RuleMutation]) {
        self.mutations = mutations
        phase = rule.phases.contains(.input) ? .input : .output
        original = .alone([rule], readings: bundle.prefilter.readings, isLight: true)
        var needs = [bundle.prefilter.readings]
        var members = [[0]]
        for (index, mutation) in mutations.enumerated() where mutation.kind != .drop {
            if let group = needs.firstIndex(of: mutation.readings) {
                members[group].append(index + 1)
            } else {
                needs.append(mutation.readings)
                members.append([index + 1])
            }
        }
        groups = zip(needs, members).map { needs, members in
            let rules = members.map { $0 == 0 ? rule : mutations[$0 - 1].changed }
            return Group(
                bundle: .alone(rules, readings: needs, isLight: false), members: members,
                parts: RuleParts(rules, readings: needs))
        }
    }

    /// Who finds something in a text, or cannot judge it: the original at 0, mutation n at n + 1. A mutant that is no rule
    /// any more finds nothing.
    ///
    /// - Parameter isWanted: by member: of all others nothing is said.
    package func finders(
        in text: [UInt8], among isWanted: [Bool], tokens: (any TokenCounting)?, scratch: inout EvaluationScratch
    ) -> [Bool] {
        var finds = [Bool](repeating: false, count: mutations.count + 1)
        for group in groups {
            let asked = group.members.indices.filter { isWanted[group.members[$0]] }
            if asked.isEmpty { continue }
            for rule in group.finders(in: text.span, asked, phase, tokens, &scratch) {
                finds[group.members[rule]] = true
            }
        }
        return finds
    }
}

/// Rules of one view by what they all look at in the same way.
private struct Group {
    var bundle: RuleBundle
    /// By the bundle's rules: 0 the original, else one more than the index in `mutations`. Ascending.
    var members: [Int]
    /// What the rules have in common. `nil`: some are composed.
    var parts: RuleParts?

    /// Those of `asked` (ascending) that find something in a text or cannot judge it: of which `evaluate` would have a match
    /// or a failure.
    func finders(
        in text: Span<UInt8>, _ asked: [Int], _ phase: Phase, _ tokens: (any TokenCounting)?,
        _ scratch: inout EvaluationScratch
    ) -> [Int] {
        guard let parts, !text.isEmpty else {
            let evaluation = bundle.evaluate(text, rules: asked, phase: phase, tokens: tokens, scratch: &scratch)
            return evaluation.rules.sorted()
        }
        scratch.spent.removeAll(keepingCapacity: true)
        defer { scratch.match.endText() }
        guard bundle.prefilter.views(of: asked).contains(.folded) else {
            var raw = Evaluation()
            parts.bundle.evaluate(
                text, text, nil, parts.bundle.prefilter.raw, parts.all(of: asked), &scratch, &raw)
            return parts.owners(of: raw.rules, among: asked)
        }
        let folded = FoldedView(raw: text)
        var plain = Evaluation()
        parts.bundle.evaluate(
            folded.text.span, text, folded, parts.bundle.prefilter.folded, parts.all(of: asked), &scratch, &plain)
        var finders = Set(parts.owners(of: plain.rules, among: asked))
        if phase == .output || !bundle.prefilter.views(of: asked).contains(.decoded) { return finders.sorted() }
        // Reading after reading, each by those only that have found nothing yet.
        var left = asked.filter { !finders.contains($0) }
        var leftParts = parts.all(of: left)
        for reading in left.isEmpty ? [] : bundle.furtherReadings(than: folded, of: text) where !left.isEmpty {
            var further = Evaluation()
            let plan = parts.bundle.prefilter.decoded
            for stretch in reading.stretches {
                parts.bundle.evaluate(
                    reading.text.span, reading.text.span, nil, plan, leftParts, within: (reading, stretch),
                    &scratch, &further)
            }
            // Not all that a part finds there counts for its rule.
            let candidates = parts.owners(of: further.rules, among: left)
            if candidates.isEmpty { continue }
            var counted = Evaluation()
            bundle.evaluateReadings([reading], of: text, candidates, phase, &scratch, &counted)
            finders.formUnion(counted.rules)
            left.removeAll { finders.contains($0) }
            leftParts = parts.all(of: left)
        }
        return finders.sorted()
    }
}

/// The distinct detectors of rules, each as a rule: mutants of a rule with several patterns differ in one of them.
private struct RuleParts {
    let bundle: RuleBundle
    /// By rule: its parts.
    private let partsOf: [[Int]]

    /// `nil` where a rule is more than its detectors.
    init?(_ rules: [CompiledRule], readings: ReadingNeeds) {
        guard rules.allSatisfy({ $0.composed == nil }) else { return nil }
        var parts: [CompiledRule] = []
        var known: [String: Int] = [:]
        partsOf = rules.map { rule in
            rule.detectors.map { detector in
                // Others may differ in what has no name.
                let isPlain = detector.validator == nil && detector.contexts.isEmpty
                let part = (isPlain ? known[detector.pattern.source] : nil) ?? parts.count
                if part == parts.count { parts.append(rule.having(detector)) }
                if isPlain { known[detector.pattern.source] = part }
                return part
            }
        }
        bundle = .alone(parts, readings: readings, isLight: false)
    }

    /// Of these rules, ascending.
    func all(of rules: [Int]) -> [Int] {
        var isPart = [Bool](repeating: false, count: bundle.rules.count)
        for rule in rules { for part in partsOf[rule] { isPart[part] = true } }
        return isPart.indices.filter { isPart[$0] }
    }

    func owners(of parts: Set<Int>, among rules: [Int]) -> [Int] {
        parts.isEmpty ? [] : rules.filter { partsOf[$0].contains { parts.contains($0) } }
    }
}

extension CompiledRule {
    /// With this detector for all.
    fileprivate func having(_ detector: Detector) -> CompiledRule {
        CompiledRule(
            id: id, index: index, phases: phases, roles: roles, when: when, view: view, action: action,
            severity: severity, mode: mode, onHoldOverflow: onHoldOverflow, detectors: [detector], mask: nil,
            place: place, tests: tests, summary: summary)
    }
}

extension Evaluation {
    /// That found something or failed.
    fileprivate var rules: Set<Int> { Set(matches.lazy.map(\.rule)).union(failures.lazy.map(\.rule)) }
}
