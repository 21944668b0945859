/// One ledger in memory: what was used in the newest window of each (unit, period), and what is running.
struct Ledger: Sendable {
    struct Slot: Sendable {
        var index: Int64 = .min
        var used: Int64 = 0
    }

    /// By `position(of:)`: two units of four periods. Inline, so that a ledger is one flat value.
    private var slots = InlineArray<8, Slot>(repeating: Slot())
    /// Concurrency slots given out.
    var running = 0
    /// Requests begun and not settled, slots or not.
    var inFlight = 0

    private static func position(of window: BudgetWindow) -> Int {
        (window.unit == .tokens ? 0 : 4) + window.period.position
    }

    /// The state of a window at `now`. A clock that steps back does not reopen a window: its index never falls.
    mutating func roll(_ window: BudgetWindow, now: UTCTime) -> WindowState {
        let position = Self.position(of: window)
        let index = window.index(at: now)
        if index > slots[position].index { slots[position] = Slot(index: index, used: 0) }
        return WindowState(index: slots[position].index, used: slots[position].used)
    }

    /// As `roll`, nothing changed.
    func state(_ window: BudgetWindow, now: UTCTime) -> WindowState {
        let slot = slots[Self.position(of: window)]
        let index = window.index(at: now)
        return index > slot.index
            ? WindowState(index: index, used: 0) : WindowState(index: slot.index, used: slot.used)
    }

    mutating func charge(_ window: BudgetWindow, _ amount: Int64) {
        let position = Self.position(of: window)
        let (sum, overflow) = slots[position].used.addingReportingOverflow(amount)
        slots[position].used = overflow ? .max : max(0, sum)
    }

    /// Corrects a window if it is still the one numbered `index`: what belongs to a window that is over is dropped.
    mutating func correct(_ window: BudgetWindow, index: Int64, by difference: Int64) {
        guard slots[Self.position(of: window)].index == index else { return }
        charge(window, difference)
    }

    /// When nothing of this ledger matters any more; nil while a request is in flight.
    func idleAt() -> UTCTime? {
        guard inFlight == 0 else { return nil }
        var last = UTCTime(milliseconds: .min)
        for position in slots.indices where slots[position].used > 0 {
            let period = BudgetWindow.Period.allCases[position % 4]
            last = max(last, BudgetWindow.end(ofWindow: slots[position].index, period: period))
        }
        return last
    }
}

/// One of the store's independently locked parts.
///
/// A ledger is dropped only when all its windows are over (or untouched) and nothing is in flight: then it equals a
/// ledger that was never there, so dropping it cannot admit more. Sweeps are paid for by growth: one whenever the
/// number of ledgers has doubled since the last, and, at the bound, one for each time that a ledger can have become idle.
struct LedgerShard: Sendable {
    var ledgers: [LedgerKey: Ledger] = [:]
    private let ledgersMax: Int
    private var sweepAtCount = 64
    private var sweepNotBefore = UTCTime(milliseconds: .min)
    private(set) var evicted = 0
    private(set) var turnedAway = 0

    init(ledgersMax: Int) { self.ledgersMax = ledgersMax }

    /// Whether `key` has a ledger now; makes one where there is room.
    mutating func admit(_ key: LedgerKey, now: UTCTime) -> Bool {
        if ledgers[key] != nil { return true }
        if ledgers.count >= min(sweepAtCount, ledgersMax), ledgers.count < ledgersMax || now >= sweepNotBefore {
            sweep(now: now)
        }
        guard ledgers.count < ledgersMax else {
            turnedAway += 1
            return false
        }
        ledgers[key] = Ledger()
        return true
    }

    private mutating func sweep(now: UTCTime) {
        let before = ledgers.count
        var next = UTCTime(milliseconds: .max)
        ledgers = ledgers.filter { _, ledger in
            guard let idle = ledger.idleAt() else {
                // In flight: it may end at any time, so look again in a second.
                let (soon, overflow) = now.milliseconds.addingReportingOverflow(1000)
                next = min(next, UTCTime(milliseconds: overflow ? .max : soon))
                return true
            }
            if idle <= now { return false }
            next = min(next, idle)
            return true
        }
        evicted += before - ledgers.count
        sweepNotBefore = next
        sweepAtCount = max(64, ledgers.count * 2)
    }
}
