internal import GuardBudgets
internal import GuardCore

extension Configuration {
    /// What of the configuration an operator should see at the start, one line each: who is who, which budgets apply to
    /// whom, what is not enforced. Rules are the bundle's to describe.
    package func posture() -> [String] {
        var lines: [String] = []
        lines.append("mode: \(mode.rawValue)" + (mode == .monitor ? " (nothing is refused or edited)" : ""))
        lines.append("upstream: \(upstream.url) (api \(upstream.api.rawValue))")
        for model in models {
            let counted =
                model.tokenizer.map { "counted with \($0) (\(model.counting.rawValue))" }
                ?? "not counted exactly: no tokenizer"
            let aliases = model.aliases.isEmpty ? "" : " (aliases \(model.aliases.joined(separator: ", ")))"
            lines.append("model \(model.match)\(aliases): \(counted)")
        }
        lines.append("other models: \(unknownModel == .refuse ? "refused" : "passed, counts estimated")")
        if tenants.from.isEmpty {
            lines.append("tenants: none are told apart; all are 'anonymous'")
        }
        for source in tenants.from {
            let place =
                switch source.place {
                case .bearer: "bearer token"
                case .header(let name): "header \(name)"
                }
            let belief = source.trusted ? "trusted" : "believed only for the \(tenants.known.count) known tenants"
            lines.append("tenants from \(place), as \(source.form.rawValue): \(belief)")
        }
        if tenants.from.contains(where: { $0.form == .hash }), tenants.hashKey == nil {
            lines.append("tenant hashes: with a key of this process only; they change at every start")
        }
        if budgets.isEmpty { lines.append("budgets: none") }
        for budget in BudgetSet(budgets, mode: mode).budgets { lines.append(Self.describe(budget)) }
        lines.append(
            "policy: \(policy.path), mode \(Mode.weakest(policy.mode, mode).rawValue), fails \(policy.failure.rawValue)"
        )
        for route in routes {
            lines.append("unguarded by routes: \(route.methods.joined(separator: ", ")) \(route.path)")
        }
        return lines
    }

    private static func describe(_ budget: Budget) -> String {
        var parts: [String] = []
        for (name, limit) in [
            ("prompt", budget.request.promptTokens), ("completion", budget.request.completionTokens),
            ("total", budget.request.totalTokens),
        ] {
            if let limit { parts.append("\(limit) \(name) tokens a request") }
        }
        for window in budget.windows {
            parts.append("\(window.limit) \(window.unit.rawValue) per \(window.period.rawValue)")
        }
        if let concurrency = budget.concurrency { parts.append("\(concurrency) at a time") }
        let scope = Budget.ScopeKey.allCases.filter { budget.scope.contains($0) }.map(\.rawValue)
        let split = scope.isEmpty ? "all together" : "each \(scope.joined(separator: " and "))"
        return
            "budget \(budget.name) (\(budget.mode.rawValue)): tenant \(budget.match.tenant), model \(budget.match.model), "
            + "\(split): \(parts.isEmpty ? "no limits" : parts.joined(separator: ", "))"
    }
}
