internal import Synchronization

/// What a step of `BudgetAccount` answered.
package struct BudgetDecision: Sendable {
    package var account: BudgetAccount
    /// nil: the request may go on.
    package var refusal: BudgetRefusal?
    /// What budgets in monitor mode would have refused at this step.
    package var wouldRefuse: [BudgetRefusal]
    /// All windows that apply, for the `x-ratelimit-*` headers; made when asked for, as they are by then.
    package var status: BudgetStatus { account.status }
}

/// What one request holds of its budgets, from its first step to its end:
///
///     begin -> [identify] -> plan -> reserve -> settle
///
/// - `begin` (step 1 of DESIGN section 1): request rate and concurrency, and one request charged.
/// - `identify`: the same for the budgets that ask for the model, where `begin` was called before the body was read.
/// - `plan`, `reserve` (step 5): output limit and tokens.
/// - `settle`: once, whatever happened, also after a refusal or an abort: charges `tokens` instead of the reservation
///   and gives the concurrency slots back. Later calls change nothing.
///
/// An account that is let go without `settle` settles itself: nothing leaks. It is charged its whole reservation, since
/// nobody said what was used, and counted (`abandonedCount`).
///
/// A monitored budget is charged as it would be if it alone were enforced, so what it reports is what enforcing it would
/// have done: what it would have refused does not use it up.
package final class BudgetAccount: Sendable {
    private struct Entry {
        var hold: LedgerHold
        var state: LedgerState
    }

    private enum Phase {
        case open
        case reserving(Int64)
        case reserved(Int64)
        case settled(Int64)
    }

    private struct State {
        /// All that apply, by position in the set.
        var budgets: [Int] = []
        /// Those of them that have a ledger: windows or a concurrency limit.
        var entries: [Entry] = []
        var phase = Phase.open
        var modelKnown = false
        var now = UTCTime(milliseconds: 0)
        /// `settle` was called while a `reserve` was under way.
        var settleOnArrival: Int64?
    }

    package let tenant: String
    private let set: BudgetSet
    private let store: any BudgetStore
    private let id: HoldID
    private let state: Mutex<State>

    private static let abandoned = Atomic<Int>(0)
    /// Accounts of this process that were let go without `settle`.
    package static var abandonedCount: Int { abandoned.load(ordering: .relaxed) }

    private init(_ set: BudgetSet, _ store: any BudgetStore, tenant: String) {
        self.set = set
        self.store = store
        self.tenant = tenant
        self.id = .next()
        self.state = Mutex(State())
    }

    /// Step 1. Budgets that ask for the model wait for `identify` where `model` is nil.
    ///
    /// - Parameters:
    ///   - tenant: `Tenant.id`.
    ///   - model: the name of the served model after aliases, or one fixed word for all unknown ones: with
    ///     `scope: [model]` every value given here has a ledger.
    package static func begin(
        _ set: BudgetSet, in store: any BudgetStore, tenant: String, model: String?
    ) -> StoreAnswer<BudgetDecision> {
        let account = BudgetAccount(set, store, tenant: tenant)
        return account.enter(model.map { .both($0) } ?? .tenantOnly)
    }

    /// Step 1 for the budgets that ask for the model. Does nothing where `begin` knew it.
    package func identify(model: String) -> StoreAnswer<BudgetDecision> {
        guard !state.withLock({ $0.modelKnown }) else { return .now(decision()) }
        return enter(.modelOnly(model))
    }

    /// The arithmetic of step 5 with the request limits of the budgets that apply; charges nothing.
    package func plan(_ request: Generation, model: ModelLimits) -> ReservationPlan {
        let budgets = state.withLock { $0.budgets }.map { set.budgets[$0] }
        return ReservationPlan(request, model: model, budgets: budgets)
    }

    /// Step 5: `plan.reservedTokens` on every token window, all or none. Once; later calls change nothing.
    package func reserve(_ plan: ReservationPlan) -> StoreAnswer<BudgetDecision> {
        if let refusal = plan.refusal { return .now(decision(refusal, plan.wouldRefuse)) }
        let tokens = Int64(plan.reservedTokens)
        enum Way {
            case over
            case done
            case ask([LedgerClaim])
        }
        let way: Way = state.withLock { state in
            guard case .open = state.phase else {
                if case .settled = state.phase { return .over }
                return .done
            }
            // Held back until the answer: only windows of tokens matter here.
            let claims = state.entries.map(\.hold.claim).filter { $0.windows.contains { $0.unit == .tokens } }
            state.phase = claims.isEmpty ? .reserved(tokens) : .reserving(tokens)
            return claims.isEmpty ? .done : .ask(claims)
        }
        switch way {
        case .over: return .now(decision(BudgetRefusal(.unavailable), []))
        case .done: return .now(decision(nil, plan.wouldRefuse))
        case .ask(let claims):
            var would = plan.wouldRefuse
            var never: BudgetRefusal?
            for claim in claims {
                for window in claim.windows where window.unit == .tokens && tokens > window.limit {
                    let refusal = BudgetRefusal(
                        .neverFits, budget: claim.key.budget, limit: window.limit, requested: tokens,
                        remaining: window.limit, window: window)
                    if claim.enforced { never = never ?? refusal } else { would.append(refusal) }
                }
            }
            if let never {
                state.withLock { if case .reserving = $0.phase { $0.phase = .open } }
                return .now(decision(never, would))
            }
            let asked = store.reserve(claims, tokens: tokens, hold: id)
            return asked.map { [self, would] result in absorbReservation(claims, tokens, result, would) }
        }
    }

    /// The end. `tokens`: what the server sent us, prompt and completion together; 0 for what was never forwarded.
    package func settle(tokens: Int) -> StoreAnswer<[BudgetReport]> {
        let holds: [LedgerHold]? = state.withLock { state in
            switch state.phase {
            case .settled: return nil
            case .reserving:
                state.settleOnArrival = state.settleOnArrival ?? Int64(max(0, tokens))
                return nil
            case .open, .reserved:
                state.phase = .settled(Int64(max(0, tokens)))
                return state.entries.map(\.hold)
            }
        }
        guard let holds, !holds.isEmpty else { return .now(reports()) }
        return store.settle(holds, tokens: Int64(max(0, tokens)), hold: id).map { [self] result in
            state.withLock { state in
                state.now = result.now
                for (position, ledger) in result.ledgers.enumerated() where position < state.entries.count {
                    state.entries[position].state.windows = ledger.windows
                    state.entries[position].state.running = ledger.running
                }
            }
            return reports()
        }
    }

    /// Whether `settle` has been called.
    package var isSettled: Bool {
        state.withLock { state in
            if case .settled = state.phase { return true }
            return state.settleOnArrival != nil
        }
    }

    deinit {
        let left: (holds: [LedgerHold], tokens: Int64)? = state.withLock { state in
            guard !state.entries.isEmpty else { return nil }
            switch state.phase {
            case .settled: return nil
            case .open: return (state.entries.map(\.hold), 0)
            // `reserving` cannot be: the answer to come keeps the account.
            case .reserved(let tokens), .reserving(let tokens): return (state.entries.map(\.hold), tokens)
            }
        }
        guard let left else { return }
        Self.abandoned.wrappingAdd(1, ordering: .relaxed)
        if case .later(let wait) = store.settle(left.holds, tokens: left.tokens, hold: id) {
            Task { _ = await wait() }
        }
    }

    // MARK: what the store said

    private func enter(_ stage: BudgetSet.Stage) -> StoreAnswer<BudgetDecision> {
        let indices = set.matching(tenant: tenant, stage)
        let model = stage.model
        state.withLock { state in
            if model != nil { state.modelKnown = true }
            state.budgets = (state.budgets + indices).sorted()
        }
        let kept = indices.filter { set.budgets[$0].hasLedger }
        guard !kept.isEmpty else { return .now(decision()) }
        let claims = kept.map { set.claim($0, tenant: tenant, model: model) }
        return store.begin(claims, hold: id).map { [self] result in absorbBeginning(claims, result) }
    }

    private func absorbBeginning(_ claims: [LedgerClaim], _ result: LedgerResult) -> BudgetDecision {
        if result.unavailable, !result.admitted { return decision(BudgetRefusal(.unavailable), [], now: result.now) }
        var shortfalls = Shortfalls(now: result.now)
        let late: [LedgerHold]? = state.withLock { state in
            state.now = result.now
            var holds: [LedgerHold] = []
            for (position, claim) in claims.enumerated() {
                let ledger = position < result.ledgers.count ? result.ledgers[position] : LedgerState()
                shortfalls.add(claim, ledger, requested: 1)
                let hold = LedgerHold(
                    claim: claim, slot: ledger.holds,
                    begun: result.admitted && !ledger.full && !result.unavailable)
                holds.append(hold)
                state.entries.append(Entry(hold: hold, state: ledger))
            }
            if case .settled = state.phase { return holds }
            return nil
        }
        // Settled while a slow store was still answering `identify`.
        if let late { release(late, tokens: 0) }
        return decision(result.admitted ? nil : shortfalls.refusal, shortfalls.would)
    }

    private func absorbReservation(
        _ claims: [LedgerClaim], _ tokens: Int64, _ result: LedgerResult, _ would: [BudgetRefusal]
    ) -> BudgetDecision {
        var shortfalls = Shortfalls(now: result.now)
        let over: Int64? = state.withLock { state in
            state.now = result.now
            for (position, claim) in claims.enumerated() where position < result.ledgers.count {
                let ledger = result.ledgers[position]
                shortfalls.add(claim, ledger, requested: tokens)
                guard let entry = state.entries.firstIndex(where: { $0.hold.claim.key == claim.key }) else { continue }
                if !ledger.full {
                    state.entries[entry].state.windows = ledger.windows
                    state.entries[entry].state.running = ledger.running
                }
                if ledger.holds {
                    state.entries[entry].hold.charged = true
                    state.entries[entry].hold.reserved = tokens
                    state.entries[entry].hold.windows = ledger.windows.map(\.index)
                }
            }
            state.phase = result.admitted ? .reserved(tokens) : .open
            return state.settleOnArrival.take()
        }
        if let over {
            // The request ended while the store was answering.
            if case .later(let wait) = settle(tokens: Int(over)) { Task { _ = await wait() } }
        }
        // A monitored window that can never hold this was reported before the store was asked.
        let known = Set(would.compactMap { $0.kind == .neverFits ? $0.budget : nil })
        let more = shortfalls.would.filter { !known.contains($0.budget ?? "") }
        let refusal = result.admitted ? nil : shortfalls.refusal ?? BudgetRefusal(.unavailable)
        return decision(refusal, would + more)
    }

    private func release(_ holds: [LedgerHold], tokens: Int64) {
        if case .later(let wait) = store.settle(holds, tokens: tokens, hold: id) { Task { _ = await wait() } }
    }

    private func decision(
        _ refusal: BudgetRefusal? = nil, _ would: [BudgetRefusal] = [], now: UTCTime? = nil
    ) -> BudgetDecision {
        if let now { state.withLock { $0.now = now } }
        return BudgetDecision(account: self, refusal: refusal, wouldRefuse: would)
    }

    /// The windows of all budgets that apply, after the last thing that was charged.
    package var status: BudgetStatus {
        state.withLock { state in
            var status = BudgetStatus(now: state.now)
            for entry in state.entries {
                for (window, ledger) in zip(entry.hold.claim.windows, entry.state.windows) {
                    status.windows.append(Self.status(entry.hold.claim, window, ledger))
                }
            }
            return status
        }
    }

    private static func status(
        _ claim: LedgerClaim, _ window: BudgetWindow, _ state: WindowState
    ) -> BudgetStatus.Window {
        BudgetStatus.Window(
            budget: claim.key.budget, enforced: claim.enforced, window: window,
            remaining: window.limit - state.used, resetAt: window.end(ofWindow: state.index))
    }

    /// The budgets of this request for its record.
    package func reports() -> [BudgetReport] {
        state.withLock { state in
            var settled: Int64?
            if case .settled(let tokens) = state.phase { settled = tokens }
            return state.entries.compactMap { entry in
                let status = BudgetStatus(
                    now: state.now,
                    windows: zip(entry.hold.claim.windows, entry.state.windows).map {
                        Self.status(entry.hold.claim, $0, $1)
                    })
                if let tokens = status.tightest(.tokens, enforcedOnly: false) {
                    return BudgetReport(
                        name: tokens.budget, limit: tokens.window.limit, reserved: entry.hold.reserved,
                        settled: settled.map { entry.hold.charged ? $0 : 0 }, remaining: tokens.remaining,
                        resetAt: tokens.resetAt, window: tokens.window, enforced: tokens.enforced)
                }
                guard let requests = status.tightest(.requests, enforcedOnly: false) else { return nil }
                return BudgetReport(
                    name: requests.budget, limit: requests.window.limit, reserved: 1, settled: settled.map { _ in 1 },
                    remaining: requests.remaining, resetAt: requests.resetAt, window: requests.window,
                    enforced: requests.enforced)
            }
        }
    }
}

/// Turns the short ledgers of one answer into the refusal that the client sees: the window that takes longest to reset,
/// since before that no attempt can pass; else a full concurrency limit; else a ledger without room.
private struct Shortfalls {
    let now: UTCTime
    var refusal: BudgetRefusal?
    var would: [BudgetRefusal] = []

    init(now: UTCTime) { self.now = now }

    mutating func add(_ claim: LedgerClaim, _ ledger: LedgerState, requested: Int64) {
        guard ledger.isShort else { return }
        var worst: BudgetRefusal?
        for position in ledger.shortWindows where position < claim.windows.count && position < ledger.windows.count {
            let window = claim.windows[position]
            let end = window.end(ofWindow: ledger.windows[position].index)
            let found = BudgetRefusal(
                window.unit == .tokens ? .tokenWindow : .requestWindow, budget: claim.key.budget, limit: window.limit,
                requested: requested, remaining: window.limit - ledger.windows[position].used, window: window,
                resetAt: end, retryAfterSeconds: max(1, now.secondsUntil(end)))
            worst = Self.heavier(worst, found)
        }
        if ledger.shortConcurrency {
            // When a slot comes free is not known; a second is what a client may sensibly wait.
            worst = Self.heavier(
                worst,
                BudgetRefusal(
                    .concurrency, budget: claim.key.budget, limit: Int64(claim.concurrency ?? 0), requested: 1,
                    retryAfterSeconds: 1))
        }
        if ledger.full {
            worst = Self.heavier(
                worst, BudgetRefusal(.unavailable, budget: claim.key.budget, requested: requested, retryAfterSeconds: 1)
            )
        }
        guard let worst else { return }
        if claim.enforced { refusal = Self.heavier(refusal, worst) } else { would.append(worst) }
    }

    private static func heavier(_ left: BudgetRefusal?, _ right: BudgetRefusal) -> BudgetRefusal {
        guard let left else { return right }
        switch (left.resetAt, right.resetAt) {
        case (let old?, let new?): return new > old ? right : left
        case (nil, .some): return right
        default: return left
        }
    }
}
