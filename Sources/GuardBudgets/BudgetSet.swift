package import GuardCore

/// The budgets of one snapshot, ready to be looked up. Immutable.
package struct BudgetSet: Sendable {
    /// With their effective modes: the weaker of the budget's own and the whole process's. Those that are `off` are
    /// left out.
    package let budgets: [Budget]
    /// Budgets for one literal tenant, by its name; hundreds of tenants with a budget each cost one lookup.
    private let byTenant: [[UInt8]: [Int]]
    private let others: [Int]

    package init(_ budgets: [Budget] = [], mode: Mode = .enforce) {
        self.budgets = budgets.compactMap { budget in
            var budget = budget
            budget.mode = .weakest(budget.mode, mode)
            return budget.mode == .off ? nil : budget
        }
        var byTenant: [[UInt8]: [Int]] = [:]
        var others: [Int] = []
        for (index, budget) in self.budgets.enumerated() {
            if let literal = budget.match.tenant.literal {
                byTenant[literal, default: []].append(index)
            } else {
                others.append(index)
            }
        }
        self.byTenant = byTenant
        self.others = others
    }

    package var isEmpty: Bool { budgets.isEmpty }

    /// Which budgets apply to what.
    package enum Stage: Sendable {
        /// Before the body is read: only the budgets that do not ask for the model.
        case tenantOnly
        /// The others, once the model is known.
        case modelOnly(String)
        case both(String)

        var model: String? {
            switch self {
            case .tenantOnly: nil
            case .modelOnly(let model), .both(let model): model
            }
        }
    }

    /// Positions in `budgets`, ascending.
    package func matching(tenant: String, _ stage: Stage) -> [Int] {
        let literal = byTenant.isEmpty ? nil : byTenant[Array(tenant.utf8)]
        var found = others.filter { budgets[$0].match.tenant.matches(tenant) }
        if let literal { found = (found + literal).sorted() }
        return found.filter { index in
            let budget = budgets[index]
            switch stage {
            case .tenantOnly: return !budget.needsModel
            case .modelOnly(let model): return budget.needsModel && budget.match.model.matches(model)
            case .both(let model): return budget.match.model.matches(model)
            }
        }
    }

    package func claim(_ index: Int, tenant: String, model: String?) -> LedgerClaim {
        let budget = budgets[index]
        return LedgerClaim(
            key: LedgerKey(
                budget: budget.name,
                tenant: budget.scope.contains(.tenant) ? tenant : nil,
                model: budget.scope.contains(.model) ? model : nil),
            windows: budget.windows, concurrency: budget.concurrency, enforced: budget.mode == .enforce)
    }
}
