/// A set of byte values.
package struct ByteSet: Sendable, Hashable {
    @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64)

    @inlinable package init() { words = (0, 0, 0, 0) }

    /// Every byte: what is known where nothing is known.
    package static let all: ByteSet = {
        var set = ByteSet()
        set.words = (.max, .max, .max, .max)
        return set
    }()

    @inlinable
    package func contains(_ byte: UInt8) -> Bool {
        let bit: UInt64 = 1 << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: return words.0 & bit != 0
        case 1: return words.1 & bit != 0
        case 2: return words.2 & bit != 0
        default: return words.3 & bit != 0
        }
    }

    package mutating func insert(_ byte: UInt8) {
        let bit: UInt64 = 1 << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    package mutating func formUnion(_ other: ByteSet) {
        words = (
            words.0 | other.words.0, words.1 | other.words.1, words.2 | other.words.2, words.3 | other.words.3
        )
    }

    package func union(_ other: ByteSet) -> ByteSet {
        var set = self
        set.formUnion(other)
        return set
    }

    package func intersection(_ other: ByteSet) -> ByteSet {
        var set = self
        set.words = (
            words.0 & other.words.0, words.1 & other.words.1, words.2 & other.words.2, words.3 & other.words.3
        )
        return set
    }

    /// All bytes but these.
    package var complement: ByteSet {
        var set = self
        set.words = (~words.0, ~words.1, ~words.2, ~words.3)
        return set
    }

    package init(_ bytes: some Sequence<UInt8>) {
        self.init()
        for byte in bytes { insert(byte) }
    }

    package var count: Int {
        words.0.nonzeroBitCount + words.1.nonzeroBitCount + words.2.nonzeroBitCount + words.3.nonzeroBitCount
    }

    /// Offset of the first byte of `bytes` at or after `from` that is in the set; `nil` where there is none.
    @inlinable
    package func firstIndex(in bytes: Span<UInt8>, from: Int) -> Int? {
        var index = from
        while index < bytes.count {
            if contains(bytes[index]) { return index }
            index += 1
        }
        return nil
    }

    /// As above, before `to`, which is within `bytes`.
    @inlinable
    package func firstIndex(in bytes: Span<UInt8>, from: Int, to: Int) -> Int? {
        if self == .all { return from < to ? from : nil }
        var index = from
        while index < to {
            if contains(bytes[index]) { return index }
            index += 1
        }
        return nil
    }

    @inlinable
    package static func == (left: ByteSet, right: ByteSet) -> Bool {
        left.words == right.words
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}
