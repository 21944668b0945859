internal import Synchronization

/// Where the ledgers are. The store in memory answers at once, on the caller's event loop; one behind a socket or a
/// file answers later. Both refuse by value: an outage is an outcome, not an error (`LedgerResult.unavailable`).
///
/// What an implementation must keep:
/// - `begin` and `reserve` are atomic over all their claims: all enforced ones or none.
/// - A reservation belongs to the windows it was charged to; `settle` changes those windows only.
/// - `HoldID` names one request: repeating `settle` for the same one after a lost answer must change nothing, and a
///   lease on its concurrency slots ends when its owner is gone.
package protocol BudgetStore: Sendable {
    /// Step 1: one request on every claim's request windows, one concurrency slot, and the ledger kept from eviction.
    func begin(_ claims: [LedgerClaim], hold: HoldID) -> StoreAnswer<LedgerResult>

    /// Step 5: `tokens` on every claim's token windows.
    func reserve(_ claims: [LedgerClaim], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult>

    /// The end of a request: `tokens` replace what was reserved, slots are given back.
    func settle(_ holds: [LedgerHold], tokens: Int64, hold: HoldID) -> StoreAnswer<LedgerResult>

    /// The state of the claims' ledgers, nothing changed and no ledger made.
    func peek(_ claims: [LedgerClaim]) -> StoreAnswer<LedgerResult>
}

/// An answer that may already be there. An event loop takes `.now` without a hop and starts a task for `.later`.
package enum StoreAnswer<Value: Sendable>: Sendable {
    case now(Value)
    case later(@Sendable () async -> Value)

    package func map<Other: Sendable>(_ transform: @escaping @Sendable (Value) -> Other) -> StoreAnswer<Other> {
        switch self {
        case .now(let value): .now(transform(value))
        case .later(let wait): .later { transform(await wait()) }
        }
    }

    /// The value at whichever time it comes.
    package func value() async -> Value {
        switch self {
        case .now(let value): value
        case .later(let wait): await wait()
        }
    }
}

/// One request's name in a store.
package struct HoldID: Sendable, Hashable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// One that no other request has: a random half for each process, and a number.
    package static func next() -> HoldID {
        HoldID(high: process, low: counter.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    private static let process = UInt64.random(in: .min ... .max)
    private static let counter = Atomic<UInt64>(0)
}

/// A budget's name and the values that its scope asks for, as bytes: names that only Swift's string comparison calls
/// equal have ledgers of their own.
package struct LedgerKey: Sendable, Hashable {
    /// One reference, hashed once: keys are copied and looked up several times a request.
    private final class Storage: Sendable {
        let budget: String
        let tenant: String?
        let model: String?
        let bytes: [UInt8]
        let hash: Int

        init(_ budget: String, _ tenant: String?, _ model: String?) {
            self.budget = budget
            self.tenant = tenant
            self.model = model
            var bytes: [UInt8] = []
            bytes.reserveCapacity(budget.utf8.count + (tenant?.utf8.count ?? 0) + (model?.utf8.count ?? 0) + 15)
            for (tag, part) in [(UInt8(0), budget), (1, tenant), (2, model)] {
                guard let part else { continue }
                bytes.append(tag)
                // The length stands before the text, so no text can look like the next part.
                let count = UInt32(truncatingIfNeeded: part.utf8.count)
                for shift: UInt32 in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
                bytes.append(contentsOf: part.utf8)
            }
            var hasher = Hasher()
            bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
            self.hash = hasher.finalize()
            self.bytes = bytes
        }
    }

    private let storage: Storage

    package init(budget: String, tenant: String? = nil, model: String? = nil) {
        storage = Storage(budget, tenant, model)
    }

    package var budget: String { storage.budget }
    package var tenant: String? { storage.tenant }
    package var model: String? { storage.model }
    /// Seeded for each process, as all hashes of Swift are.
    var bytesHash: Int { storage.hash }

    package static func == (left: LedgerKey, right: LedgerKey) -> Bool {
        left.storage === right.storage
            || (left.storage.hash == right.storage.hash && left.storage.bytes == right.storage.bytes)
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(storage.hash) }
}

/// What one budget asks of one ledger. Limits come with every call, so a reload needs no word with the store.
package struct LedgerClaim: Sendable, Hashable {
    package var key: LedgerKey
    package var windows: [BudgetWindow]
    package var concurrency: Int?
    /// False in monitor mode: the claim takes what fits, never refuses, and says what would not have fit.
    package var enforced: Bool

    package init(key: LedgerKey, windows: [BudgetWindow], concurrency: Int? = nil, enforced: Bool = true) {
        self.key = key
        self.windows = windows
        self.concurrency = concurrency
        self.enforced = enforced
    }
}

/// One window of a ledger at the time of an answer, after what the call charged to it.
package struct WindowState: Sendable, Hashable {
    /// Number of the window, see `BudgetWindow.index(at:)`.
    package var index: Int64
    /// Over the limit where there is debt.
    package var used: Int64

    package init(index: Int64, used: Int64) { (self.index, self.used) = (index, used) }
}

package struct LedgerState: Sendable, Hashable {
    /// Parallel to the claim's windows. Empty where the ledger has no room in the store.
    package var windows: [WindowState]
    /// Requests that hold a slot.
    package var running: Int
    /// Windows (positions in the claim) that could not hold what was asked for.
    package var shortWindows: [Int]
    package var shortConcurrency: Bool
    /// The store has no room for this ledger.
    package var full: Bool
    /// Whether the call was charged to this ledger: tokens reserved or a slot taken.
    package var holds: Bool

    package init(
        windows: [WindowState] = [], running: Int = 0, shortWindows: [Int] = [], shortConcurrency: Bool = false,
        full: Bool = false, holds: Bool = false
    ) {
        self.windows = windows
        self.running = running
        self.shortWindows = shortWindows
        self.shortConcurrency = shortConcurrency
        self.full = full
        self.holds = holds
    }

    package var isShort: Bool { full || shortConcurrency || !shortWindows.isEmpty }
}

package struct LedgerResult: Sendable, Hashable {
    /// The store's clock.
    package var now: UTCTime
    package var admitted: Bool
    /// Parallel to the claims, or to the holds of a `settle`.
    package var ledgers: [LedgerState]
    /// The store did not answer; `admitted` then says what `store.onOutage` makes of it.
    package var unavailable: Bool

    package init(now: UTCTime, admitted: Bool, ledgers: [LedgerState], unavailable: Bool = false) {
        self.now = now
        self.admitted = admitted
        self.ledgers = ledgers
        self.unavailable = unavailable
    }
}

/// What a request holds of one ledger until it is settled.
package struct LedgerHold: Sendable, Hashable {
    package var claim: LedgerClaim
    /// `begin` gave a concurrency slot.
    package var slot: Bool
    /// `begin` counted the request as one that is in flight.
    package var begun: Bool
    /// Tokens reserved; 0 where `reserve` was not called or did not hold.
    package var reserved: Int64
    /// Whether the windows below were charged with `reserved`.
    package var charged: Bool
    /// Numbers of the claim's windows when the tokens were reserved. Empty where they were not.
    package var windows: [Int64]

    package init(
        claim: LedgerClaim, slot: Bool = false, begun: Bool = false, reserved: Int64 = 0, charged: Bool = false,
        windows: [Int64] = []
    ) {
        self.claim = claim
        self.slot = slot
        self.begun = begun
        self.reserved = reserved
        self.charged = charged
        self.windows = windows
    }
}
