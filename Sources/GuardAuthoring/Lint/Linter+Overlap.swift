internal import GuardCore
internal import GuardMatching
internal import GuardRules

/// Duplicate and shadowed rules.
extension Linter {
    enum Proof: Sendable, Hashable {
        /// By the automata, or because the patterns are the same.
        case proven
        case refuted
        case undecided
    }

    /// Whether every text with a match of `inner` has one of `outer`.
    func includes(_ inner: Detector, in outer: Detector) -> Proof {
        let same =
            inner.pattern.source == outer.pattern.source && inner.pattern.options == outer.pattern.options
        if same, outer.validator == inner.validator || outer.validator == nil, outer.contexts.isEmpty { return .proven }
        guard outer.validator == nil, outer.contexts.isEmpty, let a = tree(outer), let b = tree(inner) else {
            return .undecided
        }
        switch Inclusion.decide(b, within: a) {
        case .included: return .proven
        case .counterexample: return b.isRegular && inner.validator == nil ? .refuted : .undecided
        case .undecided: return .undecided
        }
    }

    mutating func checkOverlaps() {
        let rules = bundle.rules.filter { $0.mode != .off && $0.action != .allow }
        var reported: Set<RuleID> = []
        findSame(rules, &reported)
        // Which rules match each rule's positive examples, through the engine: only those can shadow it.
        var scratch = EvaluationScratch()
        for rule in rules where !reported.contains(rule.id) && !rule.tests.match.isEmpty {
            var others: Set<Int>?
            for test in rule.tests.match {
                let text = Array(test.text.utf8)
                let found = bundle.evaluate(text.span, rules: bundle.rules.map(\.index), scratch: &scratch)
                let matching = Set(found.matches.map(\.rule))
                others = others.map { $0.intersection(matching) } ?? matching
                if others?.isEmpty == true { break }
            }
            for index in (others ?? []).sorted() where index != rule.index {
                guard !reported.contains(rule.id) else { break }
                report(rule, bundle.rules[index], &reported)
            }
        }
    }

    /// The same patterns, checks and view.
    private mutating func findSame(_ rules: [CompiledRule], _ reported: inout Set<RuleID>) {
        struct Key: Hashable {
            var view: TextView
            var parts: [String]
        }
        var seen: [Key: CompiledRule] = [:]
        for rule in rules where rule.composed == nil && !rule.detectors.isEmpty {
            let parts = rule.detectors.map { detector in
                let near = detector.contexts.map { context in
                    "\(context.within):" + context.alternatives.map(\.pattern.source).joined(separator: "\u{0}")
                }
                return detector.pattern.source + "\u{1}\(String(describing: detector.validator))\u{1}"
                    + near.joined(separator: "\u{1}")
            }
            let key = Key(view: rule.view, parts: parts.sorted())
            guard let first = seen[key] else {
                seen[key] = rule
                continue
            }
            guard !first.phases.isDisjoint(with: rule.phases), !first.roles.isDisjoint(with: rule.roles),
                first.when == rule.when
            else { continue }
            reported.insert(rule.id)
            add(.duplicate, rule, source.place("match", rule), "has the same condition as '\(first.id)' at \(first.place)")
        }
    }

    private mutating func report(_ rule: CompiledRule, _ other: CompiledRule, _ reported: inout Set<RuleID>) {
        guard other.allowance == nil, other.mode != .off, other.view == rule.view, rule.composed == nil,
            other.composed == nil, other.phases.isSuperset(of: rule.phases), other.roles.isSuperset(of: rule.roles),
            other.when.isAlways || other.when == rule.when
        else { return }
        func covers(_ inner: CompiledRule, _ outer: CompiledRule) -> Bool {
            inner.detectors.allSatisfy { detector in
                outer.detectors.contains { includes(detector, in: $0) == .proven }
            }
        }
        if other.action == .block, other.mode == .enforce, covers(rule, other) {
            if rule.action == .block, rule.phases == other.phases, rule.roles == other.roles, rule.when == other.when,
                covers(other, rule)
            {
                // Each would shadow the other: one message.
                reported.insert(other.id)
                add(
                    .duplicate, rule, source.place("match", rule),
                    "matches in exactly the texts that '\(other.id)' at \(other.place) matches in")
            } else {
                add(
                    .shadowed, rule, source.place("match", rule),
                    "every text with a match is blocked by '\(other.id)' at \(other.place) already (proven)")
            }
            reported.insert(rule.id)
        } else if rule.action == other.action, rule.phases == other.phases, rule.roles == other.roles,
            rule.when == other.when, rule.id.name > other.id.name, covers(rule, other), covers(other, rule)
        {
            add(
                .duplicate, rule, source.place("match", rule),
                "matches in exactly the texts that '\(other.id)' at \(other.place) matches in")
            reported.insert(rule.id)
        } else if other.action == .block, other.mode == .enforce, rule.tests.match.count >= 3 {
            add(
                .shadowed, rule, source.place("match", rule), level: .note,
                "all \(rule.tests.match.count) of its matching tests are blocked by '\(other.id)' at \(other.place) too; "
                    + "not proven for other texts")
            reported.insert(rule.id)
        }
    }
}
