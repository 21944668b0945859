/// A key of up to 24 bytes as three words: `switch key.word { case "content": … }` compares lengths and words and
/// makes no String. Longer keys match no pattern.
package struct JSONKey: Sendable, Hashable {
    private let count: Int
    private let words: (UInt64, UInt64, UInt64)

    private static let bytesMax = 24

    fileprivate init(_ bytes: UnsafeBufferPointer<UInt8>) {
        count = bytes.count <= Self.bytesMax ? bytes.count : -1
        words = Self.pack(bytes)
    }

    private static func pack(_ bytes: UnsafeBufferPointer<UInt8>) -> (UInt64, UInt64, UInt64) {
        guard bytes.count <= bytesMax else { return (0, 0, 0) }
        return (word(bytes, 0), word(bytes, 8), word(bytes, 16))
    }

    @inline(__always)
    private static func word(_ bytes: UnsafeBufferPointer<UInt8>, _ from: Int) -> UInt64 {
        var word: UInt64 = 0
        var at = min(from + 8, bytes.count)
        while at > from {
            at -= 1
            word = word << 8 | UInt64(bytes[at])
        }
        return word
    }

    package static func ~= (pattern: StaticString, key: JSONKey) -> Bool {
        guard pattern.hasPointerRepresentation, pattern.utf8CodeUnitCount == key.count else { return false }
        return pack(UnsafeBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount)) == key.words
    }

    package static func == (left: JSONKey, right: JSONKey) -> Bool {
        left.count == right.count && left.words == right.words
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
    }
}

extension JSONNode {
    /// The decoded string for comparing with literals.
    package var word: JSONKey {
        if hasEscapes { return (stringBytes ?? []).withUnsafeBufferPointer { JSONKey($0) } }
        let content = contentRange
        return storage.bytes.withUnsafeBufferPointer { JSONKey(UnsafeBufferPointer(rebasing: $0[content])) }
    }
}
