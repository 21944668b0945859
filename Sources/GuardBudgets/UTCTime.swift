#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
/// Budget windows are aligned to it, so replicas whose clocks agree also agree on where a window ends.
package struct UTCTime: Sendable, Hashable, Comparable {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package static func < (left: UTCTime, right: UTCTime) -> Bool { left.milliseconds < right.milliseconds }

    /// Whole seconds until `end`, rounded up; 0 once it has passed.
    package func secondsUntil(_ end: UTCTime) -> Int64 {
        let (left, overflow) = end.milliseconds.subtractingReportingOverflow(milliseconds)
        guard left > 0 || overflow else { return 0 }
        return overflow ? Int64.max / 1000 : left / 1000 + (left % 1000 == 0 ? 0 : 1)
    }
}

/// The clock of a store. Injected, so that no test sleeps.
package struct UTCClock: Sendable {
    package let now: @Sendable () -> UTCTime

    package init(now: @escaping @Sendable () -> UTCTime) { self.now = now }

    package static let system = UTCClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UTCTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
