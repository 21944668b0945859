package import GuardCore

/// Decodes a stream of ids: what comes out is valid UTF-8, and all of it together equals `Tokenizer.decode` of all ids
/// with ill-formed bytes repaired (U+FFFD for each maximal ill-formed part), however the ids are cut into calls.
package struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    private var repair = UTF8Repair()
    /// Whether any byte of text came, before the leading space is taken away.
    private var hasBegun = false
    private var isFirst = true
    /// All ids, where a decoder looks at more than one at a time: then the text comes at the end.
    private var waiting: [TokenID] = []

    package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
        self.tokenizer = tokenizer
        skipsSpecialTokens = skipSpecialTokens
    }

    /// Text that the ids complete. A character of which bytes are missing waits.
    package mutating func append(_ ids: [TokenID]) -> [UInt8] {
        if tokenizer.stages.decoder.chain != nil {
            waiting += ids
            return []
        }
        var text: [UInt8] = []
        for id in ids where !(skipsSpecialTokens && tokenizer.isSpecial(id)) {
            tokenizer.appendText(of: id.value, isFirst: isFirst, to: &text)
            isFirst = false
        }
        if !hasBegun, let first = text.first {
            hasBegun = true
            if tokenizer.stages.decoder.stripsLeadingSpace, first == 0x20 { text.removeFirst() }
        }
        return repair.append(text)
    }

    /// What is left at the end: U+FFFD for a character that never became whole.
    package mutating func finish() -> [UInt8] {
        guard !waiting.isEmpty else { return repair.finish() }
        defer { waiting = [] }
        return repair.append(tokenizer.decode(waiting, skipSpecialTokens: skipsSpecialTokens)) + repair.finish()
    }
}

/// Makes UTF-8 well-formed piece by piece, as `String(decoding:as:)` does with the whole.
struct UTF8Repair: Sendable {
    /// At most three bytes of a character that may still become whole.
    private var pending: [UInt8] = []

    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    mutating func append(_ bytes: [UInt8]) -> [UInt8] {
        let text = pending.isEmpty ? bytes : pending + bytes
        pending.removeAll(keepingCapacity: true)
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var at = 0
        while at < text.count {
            let (length, isWhole) = Self.part(text, at)
            if isWhole {
                result += text[at..<at + length]
            } else if at + length == text.count, Self.mayGoOn(text, at, length) {
                pending = Array(text[at...])
            } else {
                result += Self.replacement
            }
            at += length
        }
        return result
    }

    mutating func finish() -> [UInt8] {
        defer { pending = [] }
        return pending.isEmpty ? [] : Self.replacement
    }

    /// Length of the character at `at`, or of the longest part of one that begins there (at least a byte).
    private static func part(_ text: [UInt8], _ at: Int) -> (length: Int, isWhole: Bool) {
        let (count, second) = expected(text[at])
        guard count > 1 else { return (1, count == 1) }
        var length = 1
        while length < count, at + length < text.count {
            let byte = text[at + length]
            guard length == 1 ? second.contains(byte) : byte & 0xC0 == 0x80 else { return (length, false) }
            length += 1
        }
        return (length, length == count)
    }

    private static func mayGoOn(_ text: [UInt8], _ at: Int, _ length: Int) -> Bool { length < expected(text[at]).count }

    /// Bytes of the character that begins with `first` (0: none does), and what the second one may be.
    private static func expected(_ first: UInt8) -> (count: Int, second: ClosedRange<UInt8>) {
        switch first {
        case 0..<0x80: (1, 0x80...0xBF)
        case 0xC2...0xDF: (2, 0x80...0xBF)
        case 0xE0: (3, 0xA0...0xBF)
        case 0xED: (3, 0x80...0x9F)
        case 0xE1...0xEF: (3, 0x80...0xBF)
        case 0xF0: (4, 0x90...0xBF)
        case 0xF4: (4, 0x80...0x8F)
        case 0xF1...0xF3: (4, 0x80...0xBF)
        default: (0, 0x80...0xBF)
        }
    }
}
