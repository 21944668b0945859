private import Synchronization

/// 128 bits that sort by time of making: 48 bits of Unix milliseconds, 80 random bits (github.com/ulid/spec).
package struct ULID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    package var timestamp: Timestamp { Timestamp(milliseconds: Int64(high >> 16)) }

    package static func < (left: ULID, right: ULID) -> Bool { (left.high, left.low) < (right.high, right.low) }

    /// 26 characters of Crockford's base 32.
    package var description: String { String(decoding: text, as: UTF8.self) }

    /// The bytes of `description`.
    package var text: [UInt8] {
        let alphabet: StaticString = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
        return alphabet.withUTF8Buffer { alphabet in
            (0..<26).map { index in
                let shift = 125 - 5 * index
                let five =
                    shift >= 64
                    ? high >> UInt64(shift - 64)
                    : low >> UInt64(shift) | (shift > 59 ? high << UInt64(64 - shift) : 0)
                return alphabet[Int(five & 31)]
            }
        }
    }
}

/// Makes ULIDs that strictly increase, whatever the clock does: within one millisecond, and while the clock stands
/// behind the last one, the random part is counted up.
package final class ULIDGenerator: Sendable {
    private struct State {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var lastMilliseconds: UInt64?
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Timestamp
    private let random: @Sendable () -> UInt64

    /// `random` gives 64 bits; it is called at most twice a millisecond.
    package init(
        now: @escaping @Sendable () -> Timestamp = { Timestamp.now() },
        random: @escaping @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) }
    ) {
        self.now = now
        self.random = random
    }

    package func next() -> ULID {
        let time = min(UInt64(clamping: now().milliseconds), 0xffff_ffff_ffff)
        return state.withLock { state in
            if let last = state.lastMilliseconds, time <= last {
                let (low, overflow) = state.low.addingReportingOverflow(1)
                state.low = low
                if overflow { state.high &+= 1 }
            } else {
                state.lastMilliseconds = time
                state.high = time << 16 | random() & 0xffff
                // One bit less: room to count up in this millisecond.
                state.low = random() >> 1
            }
            return ULID(high: state.high, low: state.low)
        }
    }
}
