internal import Glibc
package import GuardCore

/// The rules that apply to one request in one phase. Made once per request and phase; free where no rule has `when`.
package struct RuleSelection: Sendable {
    package let phase: Phase
    fileprivate let byRole: [Role: [Int]]

    /// Indices in `RuleBundle.rules`, ascending.
    package func rules(for role: Role) -> [Int] { byRole[role] ?? [] }

    package var isEmpty: Bool { byRole.values.allSatisfy(\.isEmpty) }

    init(phase: Phase, rules: some Sequence<CompiledRule>) {
        self.phase = phase
        var byRole: [Role: [Int]] = [:]
        for rule in rules where rule.phases.contains(phase) && rule.mode != .off {
            for role in rule.roles { byRole[role, default: []].append(rule.index) }
        }
        self.byRole = byRole
    }
}

/// An edit of a text: masks that overlap are one.
package struct TextEdit: Sendable, Hashable {
    /// Raw bytes of the text.
    package var range: ByteRange
    package var replacement: [UInt8]
    /// Indices of the rules whose matches it covers, ascending.
    package var rules: [Int]
    /// The rule whose text it is.
    package var textRule: Int?

    /// - Parameter rules: the one whose text it is first.
    package init(range: ByteRange, replacement: [UInt8], rules: [Int]) {
        self.range = range
        self.replacement = replacement
        self.rules = rules
        textRule = rules.first
    }
}

/// What is to be done with one text.
package struct TextVerdict: Sendable {
    /// After modes: allow, flag, mask or block, the heaviest of all findings.
    package var action: Action = .allow
    /// What it would be if everything were in `enforce`.
    package var wouldAction: Action = .allow
    /// Masks to apply if the text is not blocked; ascending, not overlapping. Of enforced rules only.
    package var edits: [TextEdit] = []
    package var findings: [Finding] = []
    /// Enforced rules that block, ascending.
    package var blockingRules: [Int] = []
    package var failures: [ScanFailure] = []
}

extension RuleBundle {
    /// - Parameters: what is not known is nil and matches only `*`.
    ///   `now` is in seconds since 1970, for allowances that expire; nil: the clock's.
    package func select(
        phase: Phase, model: String?, tenant: String?, route: String?, now: Int? = nil
    ) -> RuleSelection {
        guard hasConditions else { return phase == .input ? inputSelection : outputSelection }
        let now = now ?? time(nil)
        return RuleSelection(
            phase: phase,
            rules: rules.lazy.filter {
                $0.when.holds(model: model, tenant: tenant, route: route) && $0.allowance?.hasExpired(at: now) != true
            })
    }

    /// All rules of a phase that are in force for anybody, whatever `when` says.
    package func unconditional(phase: Phase) -> RuleSelection { phase == .input ? inputSelection : outputSelection }

    /// Selection among the matches of one text: block > mask > flag, the weakest mode wins.
    ///
    /// - Parameters:
    ///   - mode: the weakest of the global and the policy's mode; the rules' own are joined here.
    ///   - segment: index for the findings.
    package func verdict(
        _ evaluation: Evaluation, mode: Mode, phase: Phase, segment: Int, role: Role, kind: String
    ) -> TextVerdict {
        var verdict = TextVerdict()
        verdict.failures = evaluation.failures
        if evaluation.matches.isEmpty { return verdict }
        let allowed = hasAllowances ? AllowedRanges(evaluation.matches, rules) : AllowedRanges()
        var masks: [RuleMatch] = []
        verdict.findings.reserveCapacity(evaluation.matches.count)
        for match in evaluation.matches {
            let rule = rules[match.rule]
            let effective = Mode.weakest(rule.mode, mode)
            guard effective != .off, !allowed.covers(match) else { continue }
            let action: Action = effective == .enforce ? rule.action : .allow
            verdict.action = max(verdict.action, action)
            verdict.wouldAction = max(verdict.wouldAction, rule.action)
            verdict.findings.append(
                Finding(
                    rule: rule.id, severity: rule.severity, action: action, wouldAction: rule.action, phase: phase,
                    segment: segment, role: role, kind: kind, range: match.range, view: rule.view, score: match.score,
                    explanation: match.explanation))
            if action == .mask { masks.append(match) }
            if action == .block, !verdict.blockingRules.contains(match.rule) {
                verdict.blockingRules.append(match.rule)
            }
        }
        verdict.blockingRules.sort()
        verdict.edits = Self.selectEdits(masks)
        return verdict
    }

    /// Overlapping masks are one edit over their union, with the text of the earliest, then longest, then first rule
    /// id. Masks that only touch stay two.
    ///
    /// - Parameter masks: matches of rules that mask, in the order of `RuleBundle.sort`.
    package static func selectEdits(_ masks: [RuleMatch]) -> [TextEdit] {
        var edits: [TextEdit] = []
        for match in masks {
            if let last = edits.indices.last, match.range.lowerBound < edits[last].range.upperBound {
                // The order of the matches makes the first one the earliest, longest, first of the union.
                edits[last].range =
                    edits[last].range.lowerBound..<max(edits[last].range.upperBound, match.range.upperBound)
                if !edits[last].rules.contains(match.rule) { edits[last].rules.append(match.rule) }
            } else {
                edits.append(TextEdit(range: match.range, replacement: match.mask ?? [], rules: [match.rule]))
            }
        }
        for index in edits.indices { edits[index].rules.sort() }
        return edits
    }

    /// The text with edits applied.
    package static func apply(_ edits: [TextEdit], to text: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var position = 0
        for edit in edits {
            out.append(contentsOf: text[position..<edit.range.lowerBound])
            out.append(contentsOf: edit.replacement)
            position = edit.range.upperBound
        }
        out.append(contentsOf: text[position...])
        return out
    }
}
