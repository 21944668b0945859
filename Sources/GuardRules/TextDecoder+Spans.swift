internal import GuardCore

/// Alphabets: base64, base32, hexadecimal, binary, base85.
extension TextDecoder {
    /// The letters from `start` to `end` and their padding, if they stand for text.
    static func span(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> Unit? {
        guard end - start <= spanMax, let bytes = decoded((start..<end).map { text[$0] }) else { return nil }
        var padded = end
        while padded < text.count, padded - end < 6, text[padded] == UInt8(ascii: "=") { padded += 1 }
        return Unit(length: padded - start, bytes: bytes)
    }

    private static func decoded(_ letters: [UInt8]) -> [UInt8]? {
        if let bytes = hex(letters), isPrintable(bytes) { return bytes }
        if let bytes = binary(letters), isPrintable(bytes) { return bytes }
        if let bytes = base32(letters), isPrintable(bytes) { return bytes }
        if let bytes = base64(letters) {
            if isPrintable(bytes) { return bytes }
            if let text = utf16(bytes) { return text }
        }
        if let bytes = base32(letters, hasDigitsFirst: true), isPrintable(bytes) { return bytes }
        return nil
    }

    private static func hex(_ letters: [UInt8]) -> [UInt8]? {
        let hasPrefix = letters.count > 2 && letters[0] == UInt8(ascii: "0") && letters[1] | 0x20 == UInt8(ascii: "x")
        let digits = letters[(hasPrefix ? 2 : 0)...]
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        var index = digits.startIndex
        while index + 1 < digits.endIndex {
            guard let high = hexValue(digits[index]), let low = hexValue(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
            index += 2
        }
        return bytes
    }

    private static func binary(_ digits: [UInt8]) -> [UInt8]? {
        guard digits.count >= 32, digits.count % 8 == 0 else { return nil }
        var bytes: [UInt8] = []
        var value: UInt8 = 0
        for (index, digit) in digits.enumerated() {
            guard digit | 1 == UInt8(ascii: "1") else { return nil }
            value = value << 1 | digit & 1
            if index & 7 == 7 { bytes.append(value) }
        }
        return bytes
    }

    /// RFC 4648, either case but not both, no padding.
    ///
    /// - Parameter hasDigitsFirst: the alphabet that keeps the order of bytes (section 7).
    private static func base32(_ letters: [UInt8], hasDigitsFirst: Bool = false) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        var cases: UInt8 = 0
        for letter in letters {
            let value: UInt8
            switch letter {
            case 0x41...0x5A: (value, cases) = (letter - 0x41 + (hasDigitsFirst ? 10 : 0), cases | 1)
            case 0x61...0x7A: (value, cases) = (letter - 0x61 + (hasDigitsFirst ? 10 : 0), cases | 2)
            case 0x30...0x39 where hasDigitsFirst: value = letter - 0x30
            case 0x32...0x37: value = letter - 0x32 + 26
            default: return nil
            }
            if value > 31 { return nil }
            bits = (bits << 5 | UInt32(value)) & 0xFFFF
            count += 5
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return cases == 3 ? nil : bytes
    }

    static func base64Value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5A: byte - 0x41
        case 0x61...0x7A: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }

    static func base64URLValue(_ byte: UInt8) -> UInt8? {
        byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/") ? nil : base64Value(byte)
    }

    /// Either alphabet, no padding.
    static func base64(_ letters: [UInt8]) -> [UInt8]? {
        guard letters.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for letter in letters {
            guard let value = base64Value(letter) else { return nil }
            bits = (bits << 6 | UInt32(value)) & 0xFFFF
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    /// What UTF-16 of ASCII is, as shells take it.
    private static func utf16(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= 8, bytes.count % 2 == 0 else { return nil }
        for zero in [1, 0] {
            let isZero = stride(from: zero, to: bytes.count, by: 2).allSatisfy { bytes[$0] == 0 }
            guard isZero else { continue }
            let text = stride(from: 1 - zero, to: bytes.count, by: 2).map { bytes[$0] }
            if isPrintable(text) { return text }
        }
        return nil
    }

    /// Letters of an alphabet in groups of one length (the last may be shorter) with white space between: wrapped lines.
    static func wrapped(_ text: Span<UInt8>, _ start: Int, _ firstEnd: Int, _ tried: inout Tried) -> Unit? {
        let width = firstEnd - start
        guard width >= 4, firstEnd + 2 < text.count, isSpace(text[firstEnd]) else { return nil }
        // Most words end here: the next has another length.
        var second = firstEnd + 1
        while second < text.count, second - firstEnd < 4, isSpace(text[second]) { second += 1 }
        var secondEnd = second
        while secondEnd < text.count, secondEnd - second <= width, isSpanByte(text[secondEnd]) { secondEnd += 1 }
        guard secondEnd - second == width || width >= 12 && (1..<width).contains(secondEnd - second) else { return nil }
        var letters: [UInt8] = []
        var index = start
        var end = start
        while index < text.count, letters.count < spanMax {
            var groupEnd = index
            while groupEnd < text.count, groupEnd - index <= width, isSpanByte(text[groupEnd]) { groupEnd += 1 }
            let count = groupEnd - index
            guard count > 0, count <= width else { break }
            var padded = groupEnd
            while padded < text.count, padded - groupEnd < 6, text[padded] == UInt8(ascii: "=") { padded += 1 }
            for place in index..<groupEnd { letters.append(text[place]) }
            end = padded
            if count < width || padded > groupEnd { break }
            index = padded
            while index < text.count, index - padded < 4, isSpace(text[index]) { index += 1 }
            if index == padded { break }
        }
        tried.wrapped = end
        tried.steps += end - start
        guard end > firstEnd, letters.count >= spanMin else { return nil }
        // A word that follows in the text may look like a last group.
        if let bytes = decoded(letters) { return Unit(length: end - start, bytes: bytes) }
        let full = letters.count / width * width
        guard full < letters.count, full > width, let bytes = decoded(Array(letters[..<full])) else { return nil }
        var last = end
        while last > start, letters.count - full > 0, isSpanByte(text[last - 1]) || text[last - 1] == 0x3D { last -= 1 }
        while last > start, isSpace(text[last - 1]) { last -= 1 }
        return Unit(length: last - start, bytes: bytes)
    }

    // MARK: base85

    private static let z85 = Array(
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#".utf8)
    private static let rfc1924 = Array(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~".utf8)
    private static let adobe = Array(0x21...0x75 as ClosedRange<UInt8>)

    static let tables85: [[UInt8]] = [adobe, rfc1924, z85].map { alphabet in
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (value, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(value) }
        return table
    }

    /// Ascii85, RFC 1924 or Z85: 15 or more characters without a space, letters and other signs, that decode to words.
    static func ascii85(_ text: Span<UInt8>, _ start: Int, _ tried: inout Tried) -> Unit? {
        guard start >= tried.signs else { return nil }
        var end = start
        var signs = 0
        while end < text.count, end - start < spanMax, text[end] &- 0x21 < 0x5E {
            if !isSpanByte(text[end]) { signs += 1 }
            end += 1
        }
        tried.signs = end
        tried.steps += end - start
        guard end - start >= 15, signs > 0 else { return nil }
        for table in tables85 {
            if let bytes = base85((start..<end).map { text[$0] }, table), isWordy(bytes) {
                return Unit(length: end - start, bytes: bytes)
            }
        }
        return nil
    }

    private static func base85(_ letters: [UInt8], _ table: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var value: UInt64 = 0
        var count = 0
        func flush(_ keep: Int) -> Bool {
            guard value <= UInt64(UInt32.max) else { return false }
            for shift in [24, 16, 8, 0].prefix(keep) {
                let byte = UInt8(truncatingIfNeeded: value >> UInt64(shift))
                // Chance gives no text for long.
                if byte == 0x7F || byte < 0x20 && byte != 0x0A && byte != 0x0D && byte != 0x09 { return false }
                bytes.append(byte)
            }
            return true
        }
        for letter in letters {
            let digit = table[Int(letter)]
            guard digit != 0xFF else { return nil }
            value = value * 85 + UInt64(digit)
            count += 1
            if count == 5 {
                guard flush(4) else { return nil }
                (value, count) = (0, 0)
            }
        }
        if count == 1 { return nil }
        if count > 1 {
            for _ in count..<5 { value = value * 85 + 84 }
            guard flush(count - 1) else { return nil }
        }
        return bytes
    }
}
