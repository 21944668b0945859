import Synchronization

/// Counts the bytes that requests and held answers keep in memory, over all event loops (`limits.bufferedBytes`).
package final class MemoryGate: Sendable {
    private let used = Atomic<Int>(0)
    package let limit: Int

    package init(limit: Int) { self.limit = limit }

    package var usedBytes: Int { used.load(ordering: .relaxed) }

    /// `false`, and nothing taken, where the limit would be passed.
    package func take(_ bytes: Int) -> Bool {
        let after = used.add(bytes, ordering: .relaxed).newValue
        if after <= limit { return true }
        used.subtract(bytes, ordering: .relaxed)
        return false
    }

    package func give(_ bytes: Int) {
        if bytes > 0 { used.subtract(bytes, ordering: .relaxed) }
    }
}
