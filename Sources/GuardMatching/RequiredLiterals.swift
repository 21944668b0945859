/// Literals of which every match of a pattern holds at least one, and where in the match.
package struct RequiredLiterals: Sendable, Hashable {
    /// One literal, and how many bytes of a match can come before it.
    package struct Literal: Sendable, Hashable {
        /// As `LiteralAutomaton.fold` leaves bytes: ASCII letters in lower case, `0` for every digit; other bytes of a
        /// longer character stand as they are.
        package var bytes: [UInt8]
        package var before: LengthRange

        package init(bytes: [UInt8], before: LengthRange) {
            self.bytes = bytes
            self.before = before
        }
    }

    /// Empty: nothing is known.
    package let any: [Literal]

    package static let unknown = RequiredLiterals(any: [])

    package init(any: [Literal]) { self.any = any }

    package var isUnknown: Bool { any.isEmpty }
}

/// Bounds of a length in bytes.
package struct LengthRange: Sendable, Hashable {
    package var min: Int
    /// `nil`: no bound, or one too large to be of use.
    package var max: Int?

    package static let zero = LengthRange(0, 0)

    package init(_ min: Int, _ max: Int?) {
        self.min = Swift.min(min, Self.limit)
        self.max = max.flatMap { $0 <= Self.limit ? $0 : nil }
    }

    /// Beyond this a place says no more than the whole text, and sums stay far from overflow.
    private static let limit = 1 << 20

    package static func + (left: LengthRange, right: LengthRange) -> LengthRange {
        LengthRange(left.min + right.min, left.max.flatMap { one in right.max.map { one + $0 } })
    }

    /// Between `low` and `high` times (`nil`: without end).
    package func repeated(_ low: Int, _ high: Int?) -> LengthRange {
        func times(_ length: Int, _ count: Int) -> Int {
            let (product, overflow) = length.multipliedReportingOverflow(by: count)
            return overflow ? Self.limit + 1 : product
        }
        let top = max.flatMap { length in length == 0 ? 0 : high.map { times(length, $0) } }
        return LengthRange(Swift.min(times(min, low), Self.limit), top)
    }

    /// Covers both.
    package func union(_ other: LengthRange) -> LengthRange {
        LengthRange(Swift.min(min, other.min), max.flatMap { one in other.max.map { Swift.max(one, $0) } })
    }
}
