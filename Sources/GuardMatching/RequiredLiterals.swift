/// What every match of a pattern holds: one of some literals, or else a run of bytes of one kind; and where in the
/// match.
package struct RequiredLiterals: Sendable, Hashable {
    /// What a match can hold in front of something.
    package struct Front: Sendable, Hashable {
        package var length: LengthRange
        /// Every byte that can stand there.
        package var bytes: ByteSet

        package static let none = Front(length: .zero, bytes: ByteSet())

        package init(length: LengthRange, bytes: ByteSet) {
            self.length = length
            self.bytes = bytes
        }

        /// First this, then `other`.
        package static func + (one: Front, other: Front) -> Front {
            Front(length: one.length + other.length, bytes: one.bytes.union(other.bytes))
        }

        /// Either of both.
        package func union(_ other: Front) -> Front {
            Front(length: length.union(other.length), bytes: bytes.union(other.bytes))
        }
    }

    package struct Literal: Sendable, Hashable {
        /// As `LiteralFilter.fold` leaves bytes: ASCII letters in lower case, `0` for every digit; other bytes of a
        /// longer character stand as they are.
        package var bytes: [UInt8]
        /// So many of the literal's bytes come first, `before` is what the match holds in front of the next one: 0, or
        /// all of them for what a lookbehind asks for, which may begin in front of the match.
        package var lead: Int
        package var before: Front
        /// Bytes one of which stands in front of the literal, unless the text begins with it.
        package var previous: ByteSet
        /// What the match goes on with behind the literal, as far as that is known: these one after the other.
        package var after: [Stretch]

        package init(
            bytes: [UInt8], lead: Int = 0, before: Front, previous: ByteSet = .all, after: [Stretch] = []
        ) {
            self.bytes = bytes
            self.lead = lead
            self.before = before
            self.previous = previous
            self.after = after
        }
    }

    /// So many bytes in a row, all of them of `bytes`.
    package struct Stretch: Sendable, Hashable {
        package var bytes: ByteSet
        package var length: LengthRange
        /// `length` counts characters: bytes behind the first one of a character (0x80...0xBF) that are of `bytes` may
        /// follow each.
        package var isCharacters: Bool
        /// Or else the text ends before it or in it; nothing is known of what follows it.
        package var isOrEnd: Bool

        package init(_ bytes: ByteSet, _ length: LengthRange, isCharacters: Bool = false, isOrEnd: Bool = false) {
            self.bytes = bytes
            self.length = length
            self.isCharacters = isCharacters
            self.isOrEnd = isOrEnd
        }
    }

    /// At least `length` bytes of `bytes` in a row.
    package struct Run: Sendable, Hashable {
        package var bytes: ByteSet
        package var length: Int
        package var before: Front

        package init(bytes: ByteSet, length: Int, before: Front) {
            self.bytes = bytes
            self.length = length
            self.before = before
        }
    }

    /// One of these is in every match; empty: no literals are known.
    package let any: [Literal]
    package let run: Run?

    package static let unknown = RequiredLiterals(any: [])

    package init(any: [Literal]) {
        self.any = any
        run = nil
    }

    package init(run: Run) {
        any = []
        self.run = run
    }

    package var isUnknown: Bool { any.isEmpty && run == nil }
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
