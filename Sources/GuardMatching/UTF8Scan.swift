/// Where characters begin and end in UTF-8, and whether bytes are valid: what turns "characters" of PCRE2 into bytes.
package enum UTF8Scan {
    /// Byte offset of the character that begins `characters` characters before byte `from`, or 0 where the text is
    /// shorter. `bytes` is valid UTF-8 and `from` a boundary in it.
    @inlinable
    package static func offset(in bytes: Span<UInt8>, before from: Int, characters: Int) -> Int {
        var at = from
        var left = characters
        while left > 0, at > 0 {
            at -= 1
            while at > 0, bytes[at] & 0xC0 == 0x80 { at -= 1 }
            left -= 1
        }
        return at
    }

    /// What `validate` found.
    package enum Validity: Sendable, Hashable {
        /// All bytes up to `end` are whole, valid characters; the bytes from there on (at most 3) may be the begin
        /// of one more.
        case valid(end: Int)
        /// No text that follows can make the sequence at `offset` valid.
        case invalid(offset: Int)
    }

    /// Checks `bytes` from `from`, a boundary, by Unicode's table 3-7 (no surrogates, no overlong forms).
    package static func validate(_ bytes: Span<UInt8>, from: Int) -> Validity {
        var at = from
        let end = bytes.count
        while at < end {
            let lead = bytes[at]
            if lead < 0x80 {
                at += 1
                continue
            }
            let length: Int
            var low: UInt8 = 0x80
            var high: UInt8 = 0xBF
            switch lead {
            case 0xC2...0xDF: length = 2
            case 0xE0: (length, low) = (3, 0xA0)
            case 0xED: (length, high) = (3, 0x9F)
            case 0xE1...0xEF: length = 3
            case 0xF0: (length, low) = (4, 0x90)
            case 0xF4: (length, high) = (4, 0x8F)
            case 0xF1...0xF3: length = 4
            default: return .invalid(offset: at)
            }
            for index in 1..<length {
                guard at + index < end else { return .valid(end: at) }
                let byte = bytes[at + index]
                guard byte >= low, byte <= high else { return .invalid(offset: at) }
                (low, high) = (0x80, 0xBF)
            }
            at += length
        }
        return .valid(end: at)
    }
}
