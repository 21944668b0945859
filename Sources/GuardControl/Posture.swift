import GuardConfiguration
import GuardCore
import GuardPolicy

/// The resolved posture in lines for people. guardd shows the same at start.
package enum Posture {
    package static func lines(_ configuration: Configuration, _ snapshot: PolicySnapshot) -> [String] {
        var lines = [
            "mode \(configuration.mode.rawValue), rules \(configuration.policy.mode.rawValue), "
                + "incomplete scans \(configuration.policy.failure.rawValue)",
            "data \(configuration.listen.data) -> \(configuration.upstream.url) (\(configuration.upstream.api.rawValue))",
        ]
        for (name, address) in [("health", configuration.listen.health), ("admin", configuration.listen.admin)] {
            lines.append("\(name) \(address.map(\.description) ?? "off")")
        }
        for model in configuration.models {
            let limits = [
                model.contextWindow.map { "context \($0)" }, model.maxInputTokens.map { "input \($0)" },
                "default completion \(model.defaultCompletionTokens)",
            ]
            lines.append(
                "model \(model.match.pattern): \(model.tokenizer ?? "no tokenizer, estimated"), "
                    + limits.compactMap { $0 }.joined(separator: ", "))
        }
        lines.append("other models: \(configuration.unknownModel.rawValue)")
        lines.append("policy \(snapshot.bundle.hash)")
        for rule in snapshot.bundle.rules {
            let mode = Mode.weakest(rule.mode, snapshot.rulesMode)
            let phases = Phase.allCases.filter { rule.phases.contains($0) }.map(\.rawValue).joined(separator: "+")
            let roles =
                rule.roles.count == Role.allCases.count
                ? "all roles" : Role.allCases.filter { rule.roles.contains($0) }.map(\.rawValue).joined(separator: " ")
            let when = [
                ("models", rule.when.models), ("tenants", rule.when.tenants), ("routes", rule.when.routes),
            ].filter { !$0.1.isEmpty }.map { " \($0.0) \($0.1.map(\.source).joined(separator: " "))" }.joined()
            lines.append("rule \(rule.id): \(rule.action.rawValue) \(mode.rawValue), \(phases), \(roles)\(when)")
        }
        for budget in configuration.budgets { lines.append("budget \(budget.name): \(budget.mode.rawValue)") }
        return lines
    }
}
