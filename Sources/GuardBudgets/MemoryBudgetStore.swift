internal import Synchronization

/// Ledgers in this process's memory. Every call answers at once (`StoreAnswer.now`) and never blocks longer than the
/// few instructions that another thread holds a shard's lock; ledgers of one process only, so it is for one replica.
///
/// An operation over several ledgers locks their shards in ascending order, looks at all of them, decides once, and
/// writes while the locks are let go in reverse: two-phase locking, so concurrent operations act as if in a row, and no
/// two of them can wait for each other.
package final class MemoryBudgetStore: BudgetStore {
    package struct Limits: Sendable {
        /// Ledgers kept at the same time, about 300 bytes each. One more than that, while none is idle, is refused
        /// (`LedgerState.full`) and counted: sharing a ledger or dropping one that is in use would let somebody use
        /// more than a budget.
        package var ledgersMax = 262_144
        package var shards = 16

        package init() {}
    }

    package struct Statistics: Sendable, Equatable {
        package var ledgers = 0
        package var evicted = 0
        /// Ledgers that found no room.
        package var turnedAway = 0

        package init(ledgers: Int = 0, evicted: Int = 0, turnedAway: Int = 0) {
            self.ledgers = ledgers
            self.evicted = evicted
            self.turnedAway = turnedAway
        }
    }

    private final class Shard: Sendable {
        let state: Mutex<LedgerShard>
        init(ledgersMax: Int) { state = Mutex(LedgerShard(ledgersMax: ledgersMax)) }
    }

    private let shards: [Shard]
    private let clock: UTCClock

    package init(clock: UTCClock = .system, limits: Limits = Limits()) {
        let count = max(1, limits.shards)
        let each = max(1, (limits.ledgersMax + count - 1) / count)
        self.shards = (0..<count).map { _ in Shard(ledgersMax: each) }
        self.clock = clock
    }

    package var statistics: Statistics {
        var sum = Statistics()
        for shard in shards {
            shard.state.withLock {
                sum.ledgers += $0.ledgers.count
                sum.evicted += $0.evicted
                sum.turnedAway += $0.turnedAway
            }
        }
        return sum
    }

    package func begin(_ claims: [LedgerClaim], hold: HoldID) -> StoreAnswer<LedgerResult> {
        .now(transact(LedgerTransaction(.begin, claims, now: clock.now())))
    }

    package func reserve(_ claims: [LedgerClaim], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult> {
        .now(transact(LedgerTransaction(.reserve(max(0, tokens)), claims, now: clock.now())))
    }

    package func settle(_ holds: [LedgerHold], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult> {
        let now = clock.now()
        let states = holds.map { hold in
            self.shards[shardIndex(hold.claim.key)].state.withLock { shard in
                Self.settle(hold, tokens: max(0, tokens), now: now, in: &shard)
            }
        }
        return .now(LedgerResult(now: now, admitted: true, ledgers: states))
    }

    package func peek(_ claims: [LedgerClaim]) -> StoreAnswer<LedgerResult> {
        let now = clock.now()
        let states = claims.map { claim in
            self.shards[shardIndex(claim.key)].state.withLock { shard in
                Self.state(of: shard.ledgers[claim.key] ?? Ledger(), claim, now: now)
            }
        }
        return .now(LedgerResult(now: now, admitted: true, ledgers: states))
    }

    /// The keys that have a ledger, in no order, at most `maximum`: for the admin listener.
    package func keys(maximum: Int) -> [LedgerKey] {
        var keys: [LedgerKey] = []
        for shard in shards where keys.count < maximum {
            let room = maximum - keys.count
            keys += shard.state.withLock { Array($0.ledgers.keys.prefix(room)) }
        }
        return keys
    }

    private static func settle(
        _ hold: LedgerHold, tokens: Int64, now: UTCTime, in shard: inout LedgerShard
    ) -> LedgerState {
        guard var ledger = shard.ledgers[hold.claim.key] else {
            return state(of: Ledger(), hold.claim, now: now)
        }
        if hold.charged {
            for (window, index) in zip(hold.claim.windows, hold.windows) where window.unit == .tokens {
                ledger.correct(window, index: index, by: tokens - hold.reserved)
            }
        }
        if hold.slot { ledger.running = max(0, ledger.running - 1) }
        if hold.begun { ledger.inFlight = max(0, ledger.inFlight - 1) }
        shard.ledgers[hold.claim.key] = ledger
        return state(of: ledger, hold.claim, now: now)
    }

    fileprivate static func state(of ledger: Ledger, _ claim: LedgerClaim, now: UTCTime) -> LedgerState {
        LedgerState(windows: claim.windows.map { ledger.state($0, now: now) }, running: ledger.running)
    }

    private func shardIndex(_ key: LedgerKey) -> Int {
        shards.count == 1 ? 0 : Int(UInt(bitPattern: key.bytesHash) % UInt(shards.count))
    }

    private func transact(_ transaction: consuming LedgerTransaction) -> LedgerResult {
        var transaction = transaction
        let places = transaction.claims.map { shardIndex($0.key) }
        let order = places.count == 1 ? places : Array(Set(places)).sorted()
        descend(order[...], places, &transaction)
        return transaction.result
    }

    private func descend(_ order: ArraySlice<Int>, _ places: [Int], _ transaction: inout LedgerTransaction) {
        guard let first = order.first else { return transaction.decide() }
        shards[first].state.withLock { shard in
            for (claim, place) in places.enumerated() where place == first { transaction.look(claim, &shard) }
            descend(order.dropFirst(), places, &transaction)
            for (claim, place) in places.enumerated() where place == first { transaction.write(claim, &shard) }
        }
    }
}

/// The rules of `begin` and `reserve`, without locks.
///
/// `begin`: an attempt costs one request in every matching budget, whatever becomes of it later; but one that a request
/// window itself turns away is charged only where it was turned away, so that a caller over its own rate cannot use up
/// the rate that it shares with others. Slots are taken only by what is admitted.
///
/// `reserve`: every claim whose windows all hold the tokens is charged, if all enforced claims can be.
private struct LedgerTransaction: Sendable {
    enum Kind: Sendable {
        case begin
        case reserve(Int64)
    }

    let kind: Kind
    let claims: [LedgerClaim]
    var result: LedgerResult
    private var rateRefused = false

    init(_ kind: Kind, _ claims: [LedgerClaim], now: UTCTime) {
        self.kind = kind
        self.claims = claims
        let none = LedgerState()
        self.result = LedgerResult(now: now, admitted: true, ledgers: claims.map { _ in none })
    }

    mutating func look(_ number: Int, _ shard: inout LedgerShard) {
        let claim = claims[number]
        guard shard.admit(claim.key, now: result.now), var ledger = shard.ledgers[claim.key] else {
            result.ledgers[number].full = true
            return
        }
        var state = LedgerState(running: ledger.running)
        for (position, window) in claim.windows.enumerated() {
            let now = ledger.roll(window, now: result.now)
            state.windows.append(now)
            switch (kind, window.unit) {
            case (.begin, .requests):
                if now.used >= window.limit { state.shortWindows.append(position) }
            case (.reserve(let tokens), .tokens):
                // used and limit are not negative, so the difference cannot overflow.
                if tokens > window.limit - now.used { state.shortWindows.append(position) }
            default:
                break
            }
        }
        if case .begin = kind, let limit = claim.concurrency { state.shortConcurrency = ledger.running >= limit }
        shard.ledgers[claim.key] = ledger
        result.ledgers[number] = state
    }

    mutating func decide() {
        for (claim, state) in zip(claims, result.ledgers) where claim.enforced && state.isShort {
            result.admitted = false
            if !state.shortWindows.isEmpty { rateRefused = true }
        }
    }

    mutating func write(_ number: Int, _ shard: inout LedgerShard) {
        let claim = claims[number]
        guard !result.ledgers[number].full else { return }
        // A ledger that this transaction looked at may have been swept away when a later claim of it needed room. It
        // was idle then, so a new one says the same.
        var ledger = shard.ledgers[claim.key] ?? Ledger()
        for window in claim.windows { _ = ledger.roll(window, now: result.now) }
        switch kind {
        case .begin:
            if !rateRefused || !result.ledgers[number].shortWindows.isEmpty {
                for window in claim.windows where window.unit == .requests { ledger.charge(window, 1) }
            }
            if result.admitted {
                ledger.inFlight += 1
                if claim.concurrency != nil, !result.ledgers[number].shortConcurrency {
                    ledger.running += 1
                    result.ledgers[number].holds = true
                }
            }
        case .reserve(let tokens):
            if result.admitted, !result.ledgers[number].isShort {
                for window in claim.windows where window.unit == .tokens { ledger.charge(window, tokens) }
                result.ledgers[number].holds = true
            }
        }
        shard.ledgers[claim.key] = ledger
        result.ledgers[number].windows = claim.windows.map { ledger.state($0, now: result.now) }
        result.ledgers[number].running = ledger.running
    }
}
