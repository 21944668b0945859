package import GuardBudgets
package import GuardDecisionLog
import Glibc
package import Synchronization

/// What outlives a policy snapshot: ledgers, log, ids, scratch memory. One per process, shared by all callers of the
/// engine (proxy, check endpoint, `guardctl`).
package final class Engine: Sendable {
    package let store: any BudgetStore
    package let log: DecisionLog?
    package let tenants: Mutex<TenantResolver>
    package let observer: any EngineObserver
    let ids = ULIDGenerator()
    package let scratch = ScratchPool()
    /// Nil: every text is judged anew.
    package let verdicts: VerdictCache?
    private let current: Mutex<PolicySnapshot>
    private let draining = Atomic<Bool>(false)

    package init(
        snapshot: PolicySnapshot, store: any BudgetStore = MemoryBudgetStore(), log: DecisionLog? = nil,
        tenants: TenantResolver = TenantResolver(sources: []), observer: any EngineObserver = SilentObserver(),
        verdicts: VerdictCache? = VerdictCache()
    ) {
        self.verdicts = verdicts
        self.store = store
        self.log = log
        self.tenants = Mutex(tenants)
        self.observer = observer
        current = Mutex(snapshot)
    }

    /// The snapshot in force.
    package var snapshot: PolicySnapshot { current.withLock { $0 } }

    /// Puts a new snapshot in force. Requests that run keep theirs.
    package func replace(_ snapshot: PolicySnapshot, tenants: TenantResolver) {
        current.withLock { $0 = snapshot }
        self.tenants.withLock { $0 = tenants }
    }

    package func makeExchange(_ arrival: Arrival) -> Exchange { Exchange(engine: self, arrival: arrival) }
}

/// Hears of every record once, for metrics.
package protocol EngineObserver: Sendable {
    /// An exchange has begun; `ended` follows, once.
    func begun()
    /// - Parameter tenantLabel: bounded, unlike the record's tenant.
    func ended(_ record: DecisionRecord, tenantLabel: String)
}

extension EngineObserver {
    package func begun() {}
}

package struct SilentObserver: EngineObserver {
    package init() {}
    package func ended(_ record: DecisionRecord, tenantLabel: String) {}
}

/// Nanoseconds of a clock that never goes back.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

extension StoreAnswer {
    /// Goes on with another question to the store.
    func flatMap<Other: Sendable>(
        _ transform: @escaping @Sendable (Value) -> StoreAnswer<Other>
    ) -> StoreAnswer<Other> {
        switch self {
        case .now(let value): transform(value)
        case .later(let wait): .later { await transform(await wait()).value() }
        }
    }
}
