import GuardBudgets
import GuardCore
import Synchronization
import Testing

@Suite struct BudgetAccountTests {
    let time = ManualClock(1_700_000_000_000)  // 2023-11-14T22:13:20Z: 20 s into a minute

    private func begin(
        _ store: any BudgetStore, _ set: BudgetSet, _ tenant: String = "t", _ model: String? = "m"
    ) throws -> BudgetDecision {
        try #require(BudgetAccount.begin(set, in: store, tenant: tenant, model: model).immediate)
    }

    private func reserve(_ account: BudgetAccount, _ tokens: Int) throws -> BudgetDecision {
        let plan = account.plan(Generation(promptTokens: [tokens], generates: false), model: ModelLimits())
        return try #require(account.reserve(plan).immediate)
    }

    @Test func windowRefusesUntilItsEnd() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .minute)])])
        let first = try begin(store, set).account
        #expect(try reserve(first, 60).refusal == nil)
        let second = try begin(store, set).account
        let refusal = try #require(try reserve(second, 41).refusal)
        #expect(refusal.kind == .tokenWindow)
        #expect(refusal.status == 429)
        #expect(refusal.code == "token_budget_exceeded")
        #expect(refusal.remaining == 40)
        #expect(refusal.resetAt == UTCTime(milliseconds: 1_700_000_040_000))
        #expect(refusal.retryAfterSeconds == 40)
        #expect(refusal.shouldRetry)
        // The same account may try again with less (a clamped or masked request is planned again).
        #expect(try reserve(second, 40).refusal == nil)
        time.set(1_700_000_040_000)
        #expect(try reserve(try begin(store, set).account, 100).refusal == nil)
    }

    @Test func longWaitsAreNotRetried() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .day)])])
        #expect(try reserve(try begin(store, set).account, 100).refusal == nil)
        let refusal = try #require(try reserve(try begin(store, set).account, 1).refusal)
        #expect(refusal.retryAfterSeconds == 6400)
        #expect(!refusal.shouldRetry)
    }

    @Test func whatCanNeverFitIsAClientError() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([
            Budget(name: "used up", windows: [BudgetWindow(.tokens, 10, per: .day)]),
            Budget(
                name: "b", windows: [BudgetWindow(.tokens, 1000, per: .day), BudgetWindow(.tokens, 100, per: .minute)]),
        ])
        #expect(try reserve(try begin(store, set).account, 10).refusal == nil)
        let refusal = try #require(try reserve(try begin(store, set).account, 101).refusal)
        #expect(refusal.kind == .neverFits)
        #expect(refusal.status == 400)
        #expect(refusal.code == "prompt_budget_exceeded")
        #expect(!refusal.shouldRetry)
        #expect(refusal.budget == "used up")
    }

    @Test func allOrNone() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([
            Budget(name: "wide", windows: [BudgetWindow(.tokens, 1000, per: .day)]),
            Budget(name: "narrow", windows: [BudgetWindow(.tokens, 50, per: .day)]),
        ])
        #expect(try reserve(try begin(store, set).account, 40).refusal == nil)
        let decision = try reserve(try begin(store, set).account, 20)
        #expect(decision.refusal?.budget == "narrow")
        #expect(decision.status.windows.map(\.remaining) == [960, 10])
    }

    @Test func useAboveTheReservationIsDebt() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .minute)])])
        let account = try begin(store, set).account
        _ = try reserve(account, 90)
        let report = try #require(account.settle(tokens: 130).immediate?.first)
        #expect(report.reserved == 90)
        #expect(report.settled == 130)
        #expect(report.remaining == -30)
        let next = try begin(store, set)
        #expect(next.status.tightest(.tokens)?.remaining == -30)
        #expect(next.status.headers().contains { $0 == ("x-ratelimit-remaining-tokens", "0") })
        #expect(try reserve(next.account, 1).refusal?.remaining == -30)
        // Debt ends with its window.
        time.advance(60_000)
        #expect(try reserve(try begin(store, set).account, 100).refusal == nil)
    }

    @Test func refundAfterTheWindowsEndIsDropped() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([
            Budget(
                name: "b", windows: [BudgetWindow(.tokens, 100, per: .minute), BudgetWindow(.tokens, 1000, per: .day)])
        ])
        let account = try begin(store, set).account
        _ = try reserve(account, 90)
        time.advance(60_000)
        let next = try begin(store, set).account
        _ = try reserve(next, 30)
        _ = account.settle(tokens: 10)
        // The minute is another one: neither the refund nor the charge touches it. The day is the same.
        #expect(try begin(store, set).status.windows.map(\.remaining) == [70, 960])
    }

    @Test func settleCountsOnce() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .day)], concurrency: 2)])
        let other = try begin(store, set).account
        let account = try begin(store, set).account
        _ = try reserve(account, 50)
        for tokens in [20, 0, 100] { _ = account.settle(tokens: tokens) }
        #expect(account.isSettled)
        let ledger = try #require(store.peek([set.claim(0, tenant: "t", model: "m")]).immediate?.ledgers.first)
        #expect(ledger.windows.first?.used == 20)
        #expect(ledger.running == 1)
        #expect(try reserve(account, 5).refusal?.kind == .unavailable)
        _ = other.settle(tokens: 0)
    }

    @Test func anAccountLetGoSettlesItself() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .day)], concurrency: 1)])
        let before = BudgetAccount.abandonedCount
        do {
            let account = try begin(store, set).account
            _ = try reserve(account, 70)
        }
        let ledger = try #require(store.peek([set.claim(0, tenant: "t", model: "m")]).immediate?.ledgers.first)
        #expect(ledger.running == 0)
        #expect(ledger.windows.first?.used == 70)
        #expect(BudgetAccount.abandonedCount > before)
    }

    @Test func everyAttemptCostsOneRequest() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([
            Budget(
                name: "b",
                windows: [BudgetWindow(.requests, 4, per: .minute), BudgetWindow(.tokens, 10, per: .minute)],
                concurrency: 1)
        ])
        let first = try begin(store, set)
        #expect(first.status.tightest(.requests)?.remaining == 3)
        // Refused for concurrency, then for tokens: charged.
        let second = try begin(store, set)
        #expect(second.refusal?.kind == .concurrency)
        #expect(second.refusal?.retryAfterSeconds == 1)
        _ = first.account.settle(tokens: 0)
        let third = try begin(store, set)
        #expect(try reserve(third.account, 11).refusal?.kind == .neverFits)
        _ = third.account.settle(tokens: 0)
        // A blocked request: one request, no tokens.
        let fourth = try begin(store, set)
        _ = fourth.account.settle(tokens: 0)
        #expect(fourth.status.tightest(.tokens)?.remaining == 10)
        let fifth = try begin(store, set)
        #expect(fifth.refusal?.kind == .requestWindow)
        #expect(fifth.status.tightest(.requests)?.remaining == -1)
        #expect(fifth.status.headers().contains { $0 == ("x-ratelimit-remaining-requests", "0") })
    }

    /// A caller over its own rate does not use up the rate that it shares.
    @Test func refusedByRateIsChargedWhereItWasRefused() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([
            Budget(name: "all", windows: [BudgetWindow(.requests, 10, per: .minute)]),
            Budget(name: "each", scope: [.tenant], windows: [BudgetWindow(.requests, 2, per: .minute)]),
        ])
        for _ in 0..<50 { _ = try begin(store, set, "loud").account.settle(tokens: 0) }
        let quiet = try begin(store, set, "quiet")
        #expect(quiet.refusal == nil)
        #expect(quiet.status.windows.first { $0.budget == "all" }?.remaining == 7)
        _ = quiet.account.settle(tokens: 0)
    }

    @Test func monitoredBudgetsSayWhatTheyWouldDo() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let budgets = [
            Budget(
                name: "b",
                windows: [BudgetWindow(.requests, 2, per: .minute), BudgetWindow(.tokens, 100, per: .minute)],
                concurrency: 1)
        ]
        let set = BudgetSet(budgets, mode: .monitor)
        let first = try begin(store, set)
        #expect(first.wouldRefuse.isEmpty)
        #expect(first.status.headers().isEmpty)
        #expect(try reserve(first.account, 80).wouldRefuse.isEmpty)
        let second = try begin(store, set)
        #expect(second.refusal == nil)
        #expect(second.wouldRefuse.map(\.kind) == [.concurrency])
        let reserved = try reserve(second.account, 30)
        #expect(reserved.refusal == nil)
        #expect(reserved.wouldRefuse.map(\.kind) == [.tokenWindow])
        let never = try reserve(try begin(store, set).account, 200)
        #expect(never.refusal == nil)
        #expect(never.wouldRefuse.map(\.kind) == [.neverFits])
        // What would have been refused has not used the budget up.
        #expect(never.status.tightest(.tokens, enforcedOnly: false)?.remaining == 20)
        _ = first.account.settle(tokens: 0)
        _ = second.account.settle(tokens: 500)
        let ledger = try #require(store.peek([set.claim(0, tenant: "t", model: "m")]).immediate?.ledgers.first)
        #expect(ledger.running == 0)
        #expect(ledger.windows.map(\.used) == [3, 0])
    }

    @Test func modelBudgetsWaitForTheModel() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([
            Budget(name: "early", windows: [BudgetWindow(.requests, 10, per: .minute)]),
            Budget(name: "late", match: .init(model: Glob("m*")), windows: [BudgetWindow(.requests, 1, per: .minute)]),
            Budget(name: "limit", match: .init(model: Glob("m*")), request: .init(promptTokens: 5)),
        ])
        let decision = try begin(store, set, "t", nil)
        #expect(decision.status.windows.map(\.budget) == ["early"])
        let identified = try #require(decision.account.identify(model: "m1").immediate)
        #expect(identified.refusal == nil)
        #expect(identified.status.windows.map(\.budget) == ["early", "late"])
        // Once only.
        #expect(decision.account.identify(model: "m1").immediate?.status.windows.map(\.remaining) == [9, 0])
        #expect(decision.account.plan(Generation(promptTokens: [6]), model: ModelLimits()).refusal?.budget == "limit")
        let second = try begin(store, set, "t", nil)
        #expect(second.account.identify(model: "m2").immediate?.refusal?.budget == "late")
        let other = try begin(store, set, "t", nil)
        #expect(other.account.identify(model: "x").immediate?.refusal == nil)
    }

    @Test func changedLimitsKeepTheLedger() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        func set(_ limit: Int64) -> BudgetSet {
            BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, limit, per: .day)])])
        }
        _ = try reserve(try begin(store, set(100)).account, 80)
        #expect(try begin(store, set(200)).status.windows.first?.remaining == 120)
        #expect(try begin(store, set(50)).status.windows.first?.remaining == -30)
    }

    @Test func aClockThatStepsBackOpensNoWindow() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .minute)])])
        _ = try reserve(try begin(store, set).account, 100)
        time.advance(-120_000)
        let refusal = try #require(try reserve(try begin(store, set).account, 1).refusal)
        #expect(refusal.resetAt == UTCTime(milliseconds: 1_700_000_040_000))
        #expect(refusal.retryAfterSeconds == 160)
    }

    @Test func windowsAreAlignedToUTC() {
        let window = BudgetWindow(.tokens, 1, per: .day)
        let time = UTCTime(milliseconds: 1_700_000_000_000)
        #expect(window.end(ofWindow: window.index(at: time)).milliseconds == 1_700_006_400_000)  // midnight
        #expect(window.index(at: UTCTime(milliseconds: 0)) == 0)
        #expect(window.index(at: UTCTime(milliseconds: -1)) == -1)
        #expect(window.end(ofWindow: .max).milliseconds == .max)
        #expect(UTCTime(milliseconds: 0).secondsUntil(UTCTime(milliseconds: 1)) == 1)
        #expect(UTCTime(milliseconds: 0).secondsUntil(UTCTime(milliseconds: 2000)) == 2)
        #expect(UTCTime(milliseconds: 5).secondsUntil(UTCTime(milliseconds: 5)) == 0)
        #expect(UTCTime(milliseconds: .min).secondsUntil(UTCTime(milliseconds: .max)) > 0)
    }

    @Test func headersShowTheTightestWindow() throws {
        let store = MemoryBudgetStore(clock: time.clock)
        let set = BudgetSet([
            Budget(
                name: "a", windows: [BudgetWindow(.tokens, 100, per: .minute), BudgetWindow(.requests, 5, per: .hour)]),
            Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .hour)]),
            Budget(name: "m", windows: [BudgetWindow(.tokens, 1, per: .day)], mode: .monitor),
        ])
        let decision = try begin(store, set)
        // Equal remaining: the later reset. 22:13:20 -> 23:00:00 is 46m40s.
        #expect(
            decision.status.headers().map { "\($0.name): \($0.value)" } == [
                "x-ratelimit-limit-requests: 5", "x-ratelimit-remaining-requests: 4",
                "x-ratelimit-reset-requests: 46m40s",
                "x-ratelimit-limit-tokens: 100", "x-ratelimit-remaining-tokens: 100",
                "x-ratelimit-reset-tokens: 46m40s",
            ])
        _ = decision.account.settle(tokens: 0)
    }
}

@Suite struct MemoryBudgetStoreTests {
    let time = ManualClock(1_700_000_000_000)

    private func small(_ maximum: Int) -> MemoryBudgetStore {
        var limits = MemoryBudgetStore.Limits()
        limits.shards = 1
        limits.ledgersMax = maximum
        return MemoryBudgetStore(clock: time.clock, limits: limits)
    }

    private let set = BudgetSet([
        Budget(
            name: "b", scope: [.tenant],
            windows: [BudgetWindow(.tokens, 100, per: .minute), BudgetWindow(.requests, 9, per: .minute)])
    ])

    @Test func aFullStoreRefusesNewLedgersAndKeepsOldOnes() throws {
        let store = small(100)
        for number in 0..<100 {
            _ = try #require(BudgetAccount.begin(set, in: store, tenant: "\(number)", model: "m").immediate).account
                .settle(tokens: 0)
        }
        let refused = try #require(BudgetAccount.begin(set, in: store, tenant: "new", model: "m").immediate)
        #expect(refused.refusal?.kind == .unavailable)
        #expect(refused.refusal?.status == 503)
        #expect(store.statistics == .init(ledgers: 100, evicted: 0, turnedAway: 1))
        #expect(BudgetAccount.begin(set, in: store, tenant: "7", model: "m").immediate?.refusal == nil)
        // In monitor mode it passes, and says so.
        let monitored = BudgetSet(set.budgets, mode: .monitor)
        let passed = try #require(BudgetAccount.begin(monitored, in: store, tenant: "new", model: "m").immediate)
        #expect(passed.refusal == nil)
        #expect(passed.wouldRefuse.map(\.kind) == [.unavailable])
        _ = passed.account.settle(tokens: 3)
        // When the windows are over there is room again.
        time.advance(60_000)
        #expect(BudgetAccount.begin(set, in: store, tenant: "new", model: "m").immediate?.refusal == nil)
        #expect(store.statistics.ledgers < 100)
        #expect(store.statistics.evicted > 90)
    }

    @Test func aLedgerInFlightIsNotEvicted() throws {
        let store = small(1_000_000)
        let concurrent = BudgetSet([
            Budget(name: "c", scope: [.tenant], windows: [BudgetWindow(.requests, 100, per: .second)], concurrency: 1)
        ])
        let held = try #require(BudgetAccount.begin(concurrent, in: store, tenant: "held", model: "m").immediate)
        for number in 0..<1000 {
            time.advance(1000)
            _ = try #require(BudgetAccount.begin(concurrent, in: store, tenant: "\(number)", model: "m").immediate)
                .account.settle(tokens: 0)
        }
        // Idle ledgers go as new ones come: far fewer than were ever made.
        #expect(store.statistics.ledgers <= 128)
        #expect(
            BudgetAccount.begin(concurrent, in: store, tenant: "held", model: "m").immediate?.refusal?.kind
                == .concurrency)
        _ = held.account.settle(tokens: 0)
        #expect(BudgetAccount.begin(concurrent, in: store, tenant: "held", model: "m").immediate?.refusal == nil)
    }

    @Test func namesThatOnlySwiftCallsEqualHaveLedgersOfTheirOwn() throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        #expect(composed == decomposed)
        #expect(LedgerKey(budget: "b", tenant: composed) != LedgerKey(budget: "b", tenant: decomposed))
        #expect(LedgerKey(budget: "b", tenant: "x") != LedgerKey(budget: "b", model: "x"))
        #expect(LedgerKey(budget: "ab", tenant: "c") != LedgerKey(budget: "a", tenant: "bc"))
        let store = small(10)
        for tenant in [composed, decomposed] {
            _ = BudgetAccount.begin(set, in: store, tenant: tenant, model: "m")
        }
        #expect(store.statistics.ledgers == 2)
        #expect(Set(store.keys(maximum: 10).compactMap(\.tenant).map { Array($0.utf8) }).count == 2)
    }
}

/// A store that answers later, as one behind a socket would.
private final class LateStore: BudgetStore {
    let inner: MemoryBudgetStore
    init(_ inner: MemoryBudgetStore) { self.inner = inner }

    func begin(_ claims: [LedgerClaim], hold: HoldID) -> StoreAnswer<LedgerResult> {
        .later { await self.inner.begin(claims, hold: hold).value() }
    }
    func reserve(_ claims: [LedgerClaim], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult> {
        .later { await self.inner.reserve(claims, tokens: tokens, hold: hold).value() }
    }
    func settle(_ holds: [LedgerHold], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult> {
        // Starts at once, so that a caller who does not wait is served too.
        let result = inner.settle(holds, tokens: tokens, hold: hold)
        return .later { await result.value() }
    }
    func peek(_ claims: [LedgerClaim]) -> StoreAnswer<LedgerResult> { inner.peek(claims) }
}

private final class DownStore: BudgetStore {
    let open: Bool
    init(open: Bool) { self.open = open }
    private var answer: StoreAnswer<LedgerResult> {
        .now(LedgerResult(now: UTCTime(milliseconds: 5), admitted: open, ledgers: [], unavailable: true))
    }
    func begin(_ claims: [LedgerClaim], hold: HoldID) -> StoreAnswer<LedgerResult> { answer }
    func reserve(_ claims: [LedgerClaim], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult> { answer }
    func settle(_ holds: [LedgerHold], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult> { answer }
    func peek(_ claims: [LedgerClaim]) -> StoreAnswer<LedgerResult> { answer }
}

@Suite struct RemoteStoreTests {
    private let set = BudgetSet([Budget(name: "b", windows: [BudgetWindow(.tokens, 100, per: .day)], concurrency: 1)])

    @Test func theSameStepsWork() async throws {
        let store = LateStore(MemoryBudgetStore(clock: ManualClock().clock))
        let account = await BudgetAccount.begin(set, in: store, tenant: "t", model: "m").value().account
        let plan = account.plan(Generation(promptTokens: [40], generates: false), model: ModelLimits())
        #expect(await account.reserve(plan).value().refusal == nil)
        #expect(
            await BudgetAccount.begin(set, in: store, tenant: "t", model: "m").value().refusal?.kind == .concurrency)
        #expect(await account.settle(tokens: 30).value().first?.remaining == 70)
    }

    /// The client is gone while the store still answers: the reservation is given back when it comes.
    @Test func settledWhileReserving() async throws {
        let store = LateStore(MemoryBudgetStore(clock: ManualClock().clock))
        let account = await BudgetAccount.begin(set, in: store, tenant: "t", model: "m").value().account
        let plan = account.plan(Generation(promptTokens: [40], generates: false), model: ModelLimits())
        let pending = account.reserve(plan)
        _ = await account.settle(tokens: 0).value()
        #expect(account.isSettled)
        _ = await pending.value()
        let ledger = try #require(await store.peek([set.claim(0, tenant: "t", model: "m")]).value().ledgers.first)
        #expect(ledger.windows.first?.used == 0)
        #expect(ledger.running == 0)
    }

    @Test func anOutageRefusesOrPasses() throws {
        let closed = try #require(
            BudgetAccount.begin(set, in: DownStore(open: false), tenant: "t", model: "m").immediate)
        #expect(closed.refusal?.kind == .unavailable)
        #expect(closed.refusal?.status == 503)
        let open = try #require(BudgetAccount.begin(set, in: DownStore(open: true), tenant: "t", model: "m").immediate)
        #expect(open.refusal == nil)
        let plan = open.account.plan(Generation(promptTokens: [40], generates: false), model: ModelLimits())
        #expect(open.account.reserve(plan).immediate?.refusal == nil)
        #expect(open.account.settle(tokens: 4).immediate?.isEmpty == true)
    }
}
