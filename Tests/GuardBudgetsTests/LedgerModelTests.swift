import GuardTesting
import GuardBudgets
import GuardCore
import Synchronization
import Testing

/// A clock that the test sets.
final class ManualClock: Sendable {
    private let time: Mutex<Int64>
    init(_ milliseconds: Int64 = 1_700_000_000_000) { time = Mutex(milliseconds) }
    var milliseconds: Int64 { time.withLock { $0 } }
    func advance(_ milliseconds: Int64) { time.withLock { $0 += milliseconds } }
    func set(_ milliseconds: Int64) { time.withLock { $0 = milliseconds } }
    var clock: UTCClock { UTCClock { UTCTime(milliseconds: self.milliseconds) } }
}

extension StoreAnswer {
    /// The memory store always answers at once.
    var immediate: Value? {
        if case .now(let value) = self { return value }
        Issue.record("not answered at once")
        return nil
    }
}

/// The obvious ledger: a list of everything that was ever charged, added up from the start at each question.
struct NaiveLedgers {
    struct Charge {
        var budget: String, tenant: String?, model: String?, window: BudgetWindow, index: Int64, amount: Int64,
            hold: Int
    }
    struct Hold {
        var tenant: String, model: String
        var admitted: [Budget]
        var slots: Set<String> = []
        var reserved: Int64?
        var open = true
    }

    let budgets: [Budget]
    var charges: [Charge] = []
    var holds: [Hold] = []

    func matching(_ tenant: String, _ model: String) -> [Budget] {
        budgets.filter {
            ($0.match.tenant.pattern == "*" || $0.match.tenant.pattern == tenant)
                && ($0.match.model.pattern == "*" || $0.match.model.pattern == model)
        }
    }

    private func scope(_ budget: Budget, _ tenant: String, _ model: String) -> (String?, String?) {
        (budget.scope.contains(.tenant) ? tenant : nil, budget.scope.contains(.model) ? model : nil)
    }

    func used(_ budget: Budget, _ window: BudgetWindow, _ tenant: String, _ model: String, _ now: Int64) -> Int64 {
        let (t, m) = scope(budget, tenant, model)
        let index = now / window.period.milliseconds
        var sum: Int64 = 0
        for charge in charges
        where charge.budget == budget.name && charge.tenant == t && charge.model == m && charge.window == window
            && charge.index == index
        {
            sum += charge.amount
        }
        return sum
    }

    func running(_ budget: Budget, _ tenant: String, _ model: String) -> Int {
        let mine = scope(budget, tenant, model)
        return holds.filter { $0.open && $0.slots.contains(budget.name) && scope(budget, $0.tenant, $0.model) == mine }
            .count
    }

    private mutating func charge(
        _ budget: Budget, _ window: BudgetWindow, _ tenant: String, _ model: String, _ now: Int64, _ amount: Int64,
        _ hold: Int
    ) {
        let (t, m) = scope(budget, tenant, model)
        charges.append(
            Charge(
                budget: budget.name, tenant: t, model: m, window: window, index: now / window.period.milliseconds,
                amount: amount, hold: hold))
    }

    /// Whether admitted, and what monitored budgets would have refused.
    mutating func begin(_ tenant: String, _ model: String, _ now: Int64) -> (admitted: Bool, would: Set<String>) {
        let all = matching(tenant, model)
        let rate = all.filter { budget in
            budget.windows.contains { $0.unit == .requests && used(budget, $0, tenant, model, now) >= $0.limit }
        }.map(\.name)
        let slots = all.filter { budget in budget.concurrency.map { running(budget, tenant, model) >= $0 } ?? false }
            .map(\.name)
        let enforced = all.filter { $0.mode == .enforce }.map(\.name)
        let rateRefused = enforced.contains { rate.contains($0) }
        let admitted = !rateRefused && !enforced.contains { slots.contains($0) }
        for budget in all where !rateRefused || rate.contains(budget.name) {
            for window in budget.windows where window.unit == .requests {
                charge(budget, window, tenant, model, now, 1, -1)
            }
        }
        var hold = Hold(tenant: tenant, model: model, admitted: all)
        hold.open = admitted
        if admitted {
            hold.slots = Set(all.filter { $0.concurrency != nil && !slots.contains($0.name) }.map(\.name))
        }
        holds.append(hold)
        return (admitted, Set(all.filter { $0.mode == .monitor }.map(\.name)).intersection(rate + slots))
    }

    enum Outcome { case admitted, never, short }

    mutating func reserve(_ number: Int, _ tokens: Int64, _ now: Int64) -> Outcome {
        let hold = holds[number]
        func windows(_ budget: Budget) -> [BudgetWindow] { budget.windows.filter { $0.unit == .tokens } }
        let enforced = hold.admitted.filter { $0.mode == .enforce }
        if enforced.contains(where: { windows($0).contains { tokens > $0.limit } }) { return .never }
        func fits(_ budget: Budget) -> Bool {
            windows(budget).allSatisfy { used(budget, $0, hold.tenant, hold.model, now) + tokens <= $0.limit }
        }
        guard enforced.allSatisfy(fits) else { return .short }
        for budget in hold.admitted.filter(fits) {
            for window in windows(budget) { charge(budget, window, hold.tenant, hold.model, now, tokens, number) }
        }
        holds[number].reserved = tokens
        return .admitted
    }

    mutating func settle(_ number: Int, _ tokens: Int64) {
        guard holds[number].open else { return }
        holds[number].open = false
        // In the windows that admitted it, whatever the time is now: an old window is never asked again.
        for index in charges.indices where charges[index].hold == number { charges[index].amount = tokens }
    }
}

@Suite struct LedgerModelTests {
    /// Random budgets, random requests, random time: every decision and every remaining number equals the model's.
    @Test(arguments: 0..<60) func equalsTheObviousLedger(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed) &+ 77)
        let tenants = ["a", "b", "c"]
        let models = ["m1", "m2"]
        let budgets = (0..<Int.random(in: 1...4, using: &random)).map { number -> Budget in
            var windows: [BudgetWindow] = []
            for unit in BudgetWindow.Unit.allCases {
                for period in [BudgetWindow.Period.second, .minute, .hour]
                where Int.random(in: 0...2, using: &random) == 0 {
                    let limit =
                        unit == .tokens
                        ? Int64.random(in: 20...300, using: &random) : .random(in: 1...8, using: &random)
                    windows.append(BudgetWindow(unit, limit, per: period))
                }
            }
            return Budget(
                name: "b\(number)",
                match: .init(
                    tenant: Glob(Bool.random(using: &random) ? "*" : tenants.randomElement(using: &random) ?? "*"),
                    model: Glob(Bool.random(using: &random) ? "*" : models.randomElement(using: &random) ?? "*")),
                scope: Set(Budget.ScopeKey.allCases.filter { _ in Bool.random(using: &random) }),
                windows: windows,
                concurrency: Bool.random(using: &random) ? Int.random(in: 1...4, using: &random) : nil,
                mode: Int.random(in: 0...3, using: &random) == 0 ? .monitor : .enforce)
        }
        let time = ManualClock(Int64.random(in: 0...10_000_000, using: &random))
        var limits = MemoryBudgetStore.Limits()
        limits.shards = Int.random(in: 1...4, using: &random)
        let store = MemoryBudgetStore(clock: time.clock, limits: limits)
        let set = BudgetSet(budgets)
        var model = NaiveLedgers(budgets: budgets)
        var accounts: [BudgetAccount] = []

        for _ in 0..<250 {
            switch Int.random(in: 0...9, using: &random) {
            case 0...3:
                let (tenant, name) = (
                    tenants.randomElement(using: &random) ?? "", models.randomElement(using: &random) ?? ""
                )
                let decision = try #require(
                    BudgetAccount.begin(set, in: store, tenant: tenant, model: name).immediate)
                accounts.append(decision.account)
                let wanted = model.begin(tenant, name, time.milliseconds)
                #expect((decision.refusal == nil) == wanted.admitted)
                #expect(Set(decision.wouldRefuse.compactMap(\.budget)) == wanted.would)
                if let refusal = decision.refusal {
                    #expect(refusal.kind == .requestWindow || refusal.kind == .concurrency)
                    #expect(refusal.status == 429)
                }
                for window in decision.status.windows {
                    let budget = try #require(budgets.first { $0.name == window.budget })
                    let used = model.used(budget, window.window, tenant, name, time.milliseconds)
                    #expect(window.remaining == window.window.limit - used)
                }
            case 4...6:
                guard let number = model.holds.indices.randomElement(using: &random), model.holds[number].open,
                    model.holds[number].reserved == nil
                else { continue }
                let tokens = Int.random(in: 0...150, using: &random)
                let account = accounts[number]
                let plan = account.plan(
                    Generation(promptTokens: [tokens], generates: false), model: ModelLimits())
                #expect(plan.reservedTokens == tokens)
                let decision = try #require(account.reserve(plan).immediate)
                switch model.reserve(number, Int64(tokens), time.milliseconds) {
                case .admitted: #expect(decision.refusal == nil)
                case .never: #expect(decision.refusal?.kind == .neverFits)
                case .short:
                    #expect(decision.refusal?.kind == .tokenWindow)
                    let reset = try #require(decision.refusal?.resetAt)
                    #expect(reset.milliseconds > time.milliseconds)
                }
            case 7, 8:
                guard let number = model.holds.indices.randomElement(using: &random) else { continue }
                let tokens = Int.random(in: 0...200, using: &random)
                // A second settle, and one of a request that was never admitted, change nothing.
                _ = try #require(accounts[number].settle(tokens: tokens).immediate)
                model.settle(number, Int64(tokens))
            default:
                time.advance([1, 400, 1000, 7000, 61_000, 3_600_000].randomElement(using: &random) ?? 1)
            }
        }
        // At the end every ledger of every budget stands as the model has it.
        for (index, budget) in budgets.enumerated() {
            for tenant in tenants {
                for name in models {
                    let peek = try #require(store.peek([set.claim(index, tenant: tenant, model: name)]).immediate)
                    let ledger = try #require(peek.ledgers.first)
                    for (window, state) in zip(budget.windows, ledger.windows) {
                        #expect(state.used == model.used(budget, window, tenant, name, time.milliseconds))
                    }
                    #expect(ledger.running == model.running(budget, tenant, name))
                }
            }
        }
    }
}

private final class Gauge: Sendable {
    private let state = Mutex((now: 0, most: 0))
    func add(_ amount: Int) { state.withLock { $0 = ($0.now + amount, max($0.most, $0.now + amount)) } }
    var now: Int { state.withLock { $0.now } }
    var most: Int { state.withLock { $0.most } }
}

@Suite struct NoOvershootTests {
    /// Many threads, several overlapping budgets whose ledgers lie in different shards: what is admitted never exceeds
    /// a limit, nothing deadlocks, and at the end the ledgers hold exactly what was admitted.
    @Test(arguments: [1, 2, 16]) func admittedNeverExceedsALimit(shards: Int) async throws {
        var limits = MemoryBudgetStore.Limits()
        limits.shards = shards
        let store = MemoryBudgetStore(clock: ManualClock().clock, limits: limits)
        let set = BudgetSet([
            Budget(name: "all", windows: [BudgetWindow(.tokens, 20_000, per: .day)], concurrency: 5),
            Budget(
                name: "tenant", scope: [.tenant], windows: [BudgetWindow(.tokens, 6_000, per: .day)], concurrency: 3),
            Budget(
                name: "model", scope: [.model],
                windows: [BudgetWindow(.tokens, 12_000, per: .day), BudgetWindow(.requests, 1_500, per: .day)]),
        ])
        let running = Gauge()
        let admitted = await withTaskGroup(of: [String: Int].self) { group in
            for worker in 0..<8 {
                group.addTask {
                    var random = SeededRandom(seed: UInt64(worker))
                    var admitted: [String: Int] = [:]
                    for _ in 0..<500 {
                        let tenant = "t\(Int.random(in: 0...4, using: &random))"
                        let model = "m\(Int.random(in: 0...1, using: &random))"
                        guard let begun = BudgetAccount.begin(set, in: store, tenant: tenant, model: model).immediate
                        else { return admitted }
                        guard begun.refusal == nil else { continue }
                        running.add(1)
                        let tokens = Int.random(in: 1...40, using: &random)
                        let plan = begun.account.plan(
                            Generation(promptTokens: [tokens], generates: false), model: ModelLimits())
                        let passed = begun.account.reserve(plan).immediate?.refusal == nil
                        if Int.random(in: 0...3, using: &random) == 0 { await Task.yield() }
                        running.add(-1)
                        // Some use less than was reserved; the rest is free for others again.
                        let used = passed ? Int.random(in: 0...tokens, using: &random) : 0
                        _ = begun.account.settle(tokens: used)
                        if passed {
                            admitted["tenant \(tenant)", default: 0] += used
                            admitted["model \(model)", default: 0] += used
                            admitted["all", default: 0] += used
                        }
                    }
                    return admitted
                }
            }
            var sum: [String: Int] = [:]
            for await part in group { sum.merge(part, uniquingKeysWith: +) }
            return sum
        }
        #expect(running.most <= 5)
        #expect(admitted["all"] ?? 0 > 0)
        for (name, used) in admitted {
            let limit = name == "all" ? 20_000 : name.hasPrefix("tenant") ? 6_000 : 12_000
            #expect(used <= limit, "\(name)")
        }
        for (index, name) in [(0, "all"), (1, "tenant t0"), (1, "tenant t3"), (2, "model m0"), (2, "model m1")] {
            let parts = name.split(separator: " ").map(String.init)
            let claim = set.claim(
                index, tenant: parts.count > 1 ? parts[1] : "", model: parts.count > 1 ? parts[1] : nil)
            let ledger = try #require(store.peek([claim]).immediate?.ledgers.first)
            #expect(ledger.windows.first?.used == Int64(admitted[name] ?? 0), "\(name)")
            #expect(ledger.running == 0)
        }
    }

    /// A burst at one moment: exactly as many as fit.
    @Test func burstAdmitsExactlyTheLimit() async {
        let store = MemoryBudgetStore(clock: ManualClock().clock)
        let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 1000, per: .minute)])])
        let admitted = Gauge()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<50 {
                        guard
                            let account = BudgetAccount.begin(set, in: store, tenant: "t", model: "m").immediate?
                                .account
                        else { return }
                        let plan = account.plan(Generation(promptTokens: [3], clientLimit: 4), model: ModelLimits())
                        if account.reserve(plan).immediate?.refusal == nil {
                            admitted.add(1)
                            _ = account.settle(tokens: 7)
                        } else {
                            _ = account.settle(tokens: 0)
                        }
                    }
                }
            }
        }
        #expect(admitted.now == 1000 / 7)
    }
}
