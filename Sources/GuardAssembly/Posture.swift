import GuardBudgets
package import GuardConfiguration
import GuardCore
import GuardLLMSchema
package import GuardPolicy
import GuardRules
import GuardTokenizers

/// What is in force, for the log at start and `guardctl config print`: nobody should have to guess whether a guard guards.
package enum Posture {
    package static func lines(_ configuration: Configuration, _ snapshot: PolicySnapshot) -> [String] {
        let options = snapshot.options
        var lines = [
            "posture: mode \(options.mode.rawValue), policy \(options.policyMode.rawValue), "
                + "on failure \(options.failure.rawValue), upstream \(configuration.upstream.url) "
                + "(\(options.request.api.rawValue))",
            "policy \(snapshot.bundle.version): \(snapshot.bundle.rules.count) rules; "
                + Phase.allCases.map { phase in
                    let rules = snapshot.bundle.rules.filter { $0.phases.contains(phase) && $0.mode == .enforce }
                    return "\(phase.rawValue): \(count(rules, .block)) block, \(count(rules, .mask)) mask, "
                        + "\(count(rules, .flag)) flag"
                }.joined(separator: "; "),
        ]
        let quiet = snapshot.bundle.rules.filter { $0.mode != .enforce }
        if !quiet.isEmpty {
            lines.append(
                "not enforced: " + quiet.map { "\($0.id) (\($0.mode.rawValue))" }.joined(separator: ", "))
        }
        for entry in snapshot.catalog.entries {
            let tokenizer = entry.tokenizer.map { "\($0.format.rawValue) \($0.hash.prefix(12))" } ?? "none, estimated"
            lines.append(
                "model \(entry.match): tokenizer \(tokenizer), template \(entry.templates.standard == nil ? "none" : "yes"), "
                    + "context \(text(entry.contextWindow)), input at most \(text(entry.maxInputTokens))")
        }
        for budget in snapshot.budgets.budgets {
            let windows = budget.windows.map { "\($0.limit) \($0.unit.rawValue)/\($0.period.rawValue)" }
            lines.append(
                "budget \(budget.name) (\(budget.mode.rawValue)): tenant \(budget.match.tenant), model "
                    + "\(budget.match.model), \(windows.isEmpty ? "no windows" : windows.joined(separator: ", "))")
        }
        if snapshot.budgets.isEmpty { lines.append("no budgets") }
        return lines
    }

    private static func count(_ rules: [CompiledRule], _ action: Action) -> Int {
        rules.reduce(0) { $0 + ($1.action == action ? 1 : 0) }
    }

    private static func text(_ value: Int?) -> String { value.map(String.init) ?? "no limit" }
}
