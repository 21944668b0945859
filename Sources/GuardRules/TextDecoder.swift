internal import GuardCore

/// Decodes the encoded spans of a text in place (`DecodedView` lists what is taken as one).
enum TextDecoder {
    static let spanMin = 16

    /// `nil`: nothing in the text is encoded.
    static func decode(_ text: Span<UInt8>) -> DerivedText? {
        var out = DerivedText()
        var isDecoded = false
        var kept = 0
        var index = 0
        func replace(_ length: Int, _ bytes: [UInt8]) {
            out.keep(text, kept..<index)
            out.replace(length, by: bytes)
            index += length
            kept = index
            isDecoded = true
        }
        while index < text.count {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "%"), UInt8(ascii: "\\"), UInt8(ascii: "&"):
                let units = byte == UInt8(ascii: "&") ? entity(text, index) : escapes(text, index)
                if units.isEmpty { index += 1 }
                for unit in units { replace(unit.length, unit.bytes) }
            case 0xF3, 0xEF:
                let (length, bytes) = hidden(text, index)
                if length > 0 { replace(length, bytes) } else { index += 1 }
            case _ where isWord(byte):
                var end = index
                while end < text.count, isWord(text[end]) { end += 1 }
                let letters = end
                while end < text.count, end - letters < 2, text[end] == UInt8(ascii: "=") { end += 1 }
                if letters - index >= spanMin, let bytes = span(text, index..<letters) {
                    replace(end - index, bytes)
                } else {
                    index = max(letters, index + 1)
                }
            default: index += 1
            }
        }
        guard isDecoded else { return nil }
        out.keep(text, kept..<text.count)
        return out
    }

    /// `nil`: the text has no ASCII letters.
    static func rot13(_ text: Span<UInt8>) -> DerivedText? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var hasLetters = false
        for index in 0..<text.count {
            let byte = text[index]
            let letter = (byte | 0x20) &- 0x61
            if letter < 26 {
                hasLetters = true
                bytes.append(letter < 13 ? byte + 13 : byte - 13)
            } else {
                bytes.append(byte)
            }
        }
        guard hasLetters else { return nil }
        var out = DerivedText()
        out.keep(bytes.span, 0..<bytes.count)
        return out
    }

    // MARK: base64 and hexadecimal

    /// Letters of both alphabets of base64, digits of hexadecimal among them.
    private static func isWord(_ byte: UInt8) -> Bool { base64Value(byte) != nil || base64URLValue(byte) != nil }

    private static func base64Value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5A: byte - 0x41
        case 0x61...0x7A: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    static func base64URLValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        case UInt8(ascii: "+"), UInt8(ascii: "/"): nil
        default: base64Value(byte)
        }
    }

    private static func span(_ text: Span<UInt8>, _ range: ByteRange) -> [UInt8]? {
        let letters = range.map { text[$0] }
        if letters.count % 2 == 0, let bytes = hex(letters), isPrintable(bytes) { return bytes }
        if let bytes = base64(letters), isPrintable(bytes) { return bytes }
        return nil
    }

    private static func hex(_ digits: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var index = 0
        while index + 1 < digits.count {
            guard let high = hexValue(digits[index]), let low = hexValue(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
            index += 2
        }
        return bytes
    }

    static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    /// Either alphabet, no padding.
    static func base64(_ letters: [UInt8]) -> [UInt8]? {
        guard letters.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for letter in letters {
            guard let value = base64Value(letter) ?? base64URLValue(letter) else { return nil }
            bits = (bits << 6 | UInt32(value)) & 0xFFFF
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    /// UTF-8 without control characters but tab and line ends.
    static func isPrintable(_ bytes: [UInt8]) -> Bool {
        guard !bytes.isEmpty else { return false }
        for byte in bytes where byte == 0x7F || byte < 0x20 && byte != 0x09 && byte != 0x0A && byte != 0x0D {
            return false
        }
        return String(validating: bytes, as: UTF8.self) != nil
    }

    // MARK: escapes

    struct Unit {
        var length: Int
        var bytes: [UInt8]
    }

    /// The run of escapes of one kind at `start`, a unit for each scalar.
    private static func escapes(_ text: Span<UInt8>, _ start: Int) -> [Unit] {
        // Bytes: `%41` and `\x41`. A run's bytes are UTF-8 together or not at all.
        var bytes: [UInt8] = []
        var index = start
        let isPercent = text[start] == UInt8(ascii: "%")
        let width = isPercent ? 3 : 4
        while index + width <= text.count, text[index] == text[start],
            isPercent || text[index + 1] == UInt8(ascii: "x"),
            let high = hexValue(text[index + width - 2]), let low = hexValue(text[index + width - 1])
        {
            bytes.append(high << 4 | low)
            index += width
        }
        if !bytes.isEmpty {
            guard let decoded = String(validating: bytes, as: UTF8.self) else { return [] }
            return decoded.unicodeScalars.map { scalar in
                let utf8 = Array(UTF8.encode(scalar) ?? .init())
                return Unit(length: utf8.count * width, bytes: utf8)
            }
        }
        return isPercent ? [] : unicode(text, start).map { [$0] } ?? []
    }

    private static func number(_ text: Span<UInt8>, _ start: Int, _ count: Int) -> UInt32? {
        guard start + count <= text.count else { return nil }
        var value: UInt32 = 0
        for index in start..<(start + count) {
            guard let digit = hexValue(text[index]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// `\uXXXX`, pairs of surrogates too, `\u{X…}`, `\UXXXXXXXX`.
    private static func unicode(_ text: Span<UInt8>, _ start: Int) -> Unit? {
        guard start + 1 < text.count else { return nil }
        func unit(_ value: UInt32, _ length: Int) -> Unit? {
            guard let scalar = Unicode.Scalar(value), let utf8 = UTF8.encode(scalar) else { return nil }
            return Unit(length: length, bytes: Array(utf8))
        }
        switch text[start + 1] {
        case UInt8(ascii: "U"): return number(text, start + 2, 8).flatMap { unit($0, 10) }
        case UInt8(ascii: "u"):
            if start + 2 < text.count, text[start + 2] == UInt8(ascii: "{") {
                var end = start + 3
                while end < text.count, end - start < 10, hexValue(text[end]) != nil { end += 1 }
                guard end > start + 3, end < text.count, text[end] == UInt8(ascii: "}"),
                    let value = number(text, start + 3, end - start - 3)
                else { return nil }
                return unit(value, end + 1 - start)
            }
            guard let first = number(text, start + 2, 4) else { return nil }
            if first & 0xFC00 == 0xD800 {
                guard start + 12 <= text.count, text[start + 6] == UInt8(ascii: "\\"),
                    text[start + 7] == UInt8(ascii: "u"), let second = number(text, start + 8, 4),
                    second & 0xFC00 == 0xDC00
                else { return nil }
                return unit(0x10000 + (first & 0x3FF) << 10 + (second & 0x3FF), 12)
            }
            return unit(first, 6)
        default: return nil
        }
    }

    /// Those that hide what a reader of HTML sees as plain text.
    private static let entities: [[UInt8]: UInt32] = {
        var table: [[UInt8]: UInt32] = [:]
        for (name, value) in [
            ("amp", 0x26), ("lt", 0x3C), ("gt", 0x3E), ("quot", 0x22), ("apos", 0x27), ("nbsp", 0xA0), ("excl", 0x21),
            ("num", 0x23), ("dollar", 0x24), ("percnt", 0x25), ("lpar", 0x28), ("rpar", 0x29), ("ast", 0x2A),
            ("plus", 0x2B), ("comma", 0x2C), ("period", 0x2E), ("sol", 0x2F), ("colon", 0x3A), ("semi", 0x3B),
            ("equals", 0x3D), ("quest", 0x3F), ("commat", 0x40), ("lsqb", 0x5B), ("bsol", 0x5C), ("rsqb", 0x5D),
            ("lowbar", 0x5F), ("hyphen", 0x2010), ("lcub", 0x7B), ("verbar", 0x7C), ("rcub", 0x7D), ("Tab", 0x09),
            ("NewLine", 0x0A), ("shy", 0xAD),
        ] as [(String, UInt32)] { table[Array(name.utf8)] = value }
        return table
    }()

    private static func entity(_ text: Span<UInt8>, _ start: Int) -> [Unit] {
        var end = start + 1
        while end < text.count, end - start < 12, text[end] != UInt8(ascii: ";") { end += 1 }
        guard end < text.count, text[end] == UInt8(ascii: ";"), end > start + 1 else { return [] }
        let name = ((start + 1)..<end).map { text[$0] }
        var value: UInt32?
        if name[0] == UInt8(ascii: "#") {
            let isHex = name.count > 1 && name[1] | 0x20 == UInt8(ascii: "x")
            let digits = name.dropFirst(isHex ? 2 : 1)
            guard let first = digits.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return [] }
            value = UInt32(String(decoding: digits, as: UTF8.self), radix: isHex ? 16 : 10)
        } else {
            value = entities[name]
        }
        guard let value, value != 0, let scalar = Unicode.Scalar(value), let utf8 = UTF8.encode(scalar) else {
            return []
        }
        return [Unit(length: end + 1 - start, bytes: Array(utf8))]
    }

    // MARK: hidden text

    /// The run of tag characters or variation selectors at `start`; length 0 where there is none.
    private static func hidden(_ text: Span<UInt8>, _ start: Int) -> (length: Int, bytes: [UInt8]) {
        var index = start
        var tags: [UInt8] = []
        while let scalar = scalar(text, index), (0xE0001...0xE007F).contains(scalar) {
            if (0xE0020...0xE007E).contains(scalar) { tags.append(UInt8(scalar - 0xE0000)) }
            index += 4
        }
        if !tags.isEmpty { return (index - start, tags) }
        index = start
        var bytes: [UInt8] = []
        while let scalar = scalar(text, index) {
            if (0xFE00...0xFE0F).contains(scalar) {
                bytes.append(UInt8(scalar - 0xFE00))
                index += 3
            } else if (0xE0100...0xE01EF).contains(scalar) {
                bytes.append(UInt8(scalar - 0xE0100 + 16))
                index += 4
            } else {
                break
            }
        }
        return bytes.count >= 2 && isPrintable(bytes) ? (index - start, bytes) : (0, [])
    }

    /// A scalar of three or four bytes at `start`.
    private static func scalar(_ text: Span<UInt8>, _ start: Int) -> UInt32? {
        guard start < text.count else { return nil }
        let lead = text[start]
        let length = lead & 0xF8 == 0xF0 ? 4 : lead & 0xF0 == 0xE0 ? 3 : 0
        guard length > 0, start + length <= text.count else { return nil }
        var value = UInt32(lead) & (length == 4 ? 0x07 : 0x0F)
        for offset in 1..<length { value = value << 6 | UInt32(text[start + offset] & 0x3F) }
        return value
    }
}
