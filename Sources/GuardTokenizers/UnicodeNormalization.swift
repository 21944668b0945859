@_spi(_Unicode) import Swift

/// Unicode normalization, from the standard library's tables.
enum UnicodeNormalization {
    /// Whether form C of the text may differ from it. Characters below U+0300 are their own form C, whatever follows
    /// below it.
    static func mayChange(_ text: UnsafeBufferPointer<UInt8>) -> Bool { text.contains { $0 >= 0xCC } }

    /// Normalization form C of UTF-8 text.
    static func nfc(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self)._nfc {
            result.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
        return result
    }
}
