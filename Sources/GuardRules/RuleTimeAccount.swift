internal import Glibc
internal import Synchronization

/// Time that each rule's patterns took on complete texts. Rules that the prefilter passed over cost nothing and are not
/// timed. Shared by all threads; one lock for each text, not for each rule.
package final class RuleTimeAccount: Sendable {
    private let spent: Mutex<[UInt64]>

    init(rules count: Int) { spent = Mutex([UInt64](repeating: 0, count: count)) }

    func add(_ runs: [(rule: Int, nanoseconds: UInt64)]) {
        spent.withLock { spent in
            for run in runs where run.rule < spent.count { spent[run.rule] &+= run.nanoseconds }
        }
    }

    /// Nanoseconds by rule index since the last call.
    package func take() -> [UInt64] {
        spent.withLock { spent in
            let taken = spent
            for index in spent.indices { spent[index] = 0 }
            return taken
        }
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
