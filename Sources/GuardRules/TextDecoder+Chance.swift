internal import GuardCore

/// A first look at a text that says of most that nothing in them is encoded, in one pass and without memory. It may say
/// yes for nothing, never no where `decode` finds something.
extension TextDecoder {
    /// Kinds of bytes, as bits.
    private enum Kind {
        static let space: UInt16 = 1
        /// Of escapes: `%`, `\`, `&`, `=`.
        static let escape: UInt16 = 2
        /// `isSpanByte` is not true of it.
        static let sign: UInt16 = 4
        static let digit: UInt16 = 8
        /// Letters that no number has, with or without a prefix; signs that do not separate numbers.
        static let noNumber: UInt16 = 16
        /// Letters of prefixes: o, u, x.
        static let prefix: UInt16 = 32
        /// Of Morse letters; between them.
        static let dot: UInt16 = 64
        static let bar: UInt16 = 128
        static let noMorse: UInt16 = 256

        static let table: [UInt16] = (0...255).map { value in
            let byte = UInt8(value)
            if isSpace(byte) { return space }
            var bits: UInt16 = 0
            if [0x25, 0x26, 0x3D, 0x5C].contains(byte) { bits |= escape }
            if !isSpanByte(byte) { bits |= sign }
            if isDigit(byte) { bits |= digit }
            if isNumberPrefix(byte) { bits |= prefix }
            if isAlphanumeric(byte) ? hexValue(byte) == nil && !isNumberPrefix(byte) : !isSeparator(byte) {
                bits |= noNumber
            }
            if byte == 0x2D || byte == 0x2E {
                bits |= dot
            } else if byte == 0x2F || byte == 0x7C {
                bits |= bar
            } else {
                bits |= noMorse
            }
            return bits
        }
    }

    private static func isNumberPrefix(_ byte: UInt8) -> Bool {
        isLetter(byte) && [0x6F, 0x75, 0x78].contains(byte | 0x20)
    }

    /// Whether `decode` may find something.
    static func mayDecode(_ text: Span<UInt8>) -> Bool {
        text.withUnsafeBufferPointer { text in
            Kind.table.withUnsafeBufferPointer { kinds in mayDecode(text, kinds) }
        }
    }

    /// - Parameter kinds: 256 of them.
    private static func mayDecode(_ text: UnsafeBufferPointer<UInt8>, _ kinds: UnsafeBufferPointer<UInt16>) -> Bool {
        var index = 0
        var numbers = NumberCount()
        /// Morse letters in a row, a token each.
        var morse = 0
        // Groups of one length: letters so far, where the first begins, the length, where the last ends.
        var letters = 0
        var (first, width, last) = (0, 0, 0)
        while index < text.count {
            if kinds[Int(text[index])] & Kind.space != 0 {
                index += 1
                continue
            }
            let start = index
            var bits: UInt16 = 0
            while index < text.count {
                let kind = kinds[Int(text[index])]
                if kind & Kind.space != 0 { break }
                bits |= kind
                index += 1
            }
            let count = index - start
            if bits & Kind.escape != 0, hasEscape(text, start, index) { return true }
            if count >= 15, hasSpan(text, start, index) { return true }

            if bits & Kind.dot != 0, bits & Kind.bar != 0, hasMorse(text, start, index) { return true }
            morse = bits & Kind.noMorse == 0 ? morse + 1 : 0
            if morse >= 3 { return true }

            if bits & Kind.digit != 0 || bits & Kind.noNumber == 0 {
                if numbers.add(text, start, index) { return true }
            } else if numbers.end(text[start], text[index - 1]) {
                return true
            }

            var head = count
            var tail = count
            if bits & Kind.sign != 0 {
                // Both loops end at the sign.
                head = 0
                while isSpanByte(text[start + head]) { head += 1 }
                tail = 0
                while isSpanByte(text[index - 1 - tail]) { tail += 1 }
            }
            let follows = start - last <= 4 && head > 0
            if width >= 4, follows, head == width || head < width && (width >= 12 || letters > width) {
                letters += head
                if letters >= spanMin, isSpanBegin(text, first, first + width) { return true }
            }
            if !follows || head != width || tail != count { (first, width, letters) = (index - tail, tail, tail) }
            last = index
        }
        return false
    }

    /// Morse letters with a sign between instead of a space.
    private static func hasMorse(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        func isDot(_ index: Int) -> Bool { text[index] == 0x2D || text[index] == 0x2E }
        var index = start + 1
        while index + 1 < end {
            if text[index] == 0x2F || text[index] == 0x7C, isDot(index - 1), isDot(index + 1) { return true }
            index += 1
        }
        return false
    }

    /// Numbers in a row, one separated from the next by what separates numbers.
    private struct NumberCount {
        private var count = 0

        /// A token that has digits or consists of numbers. Says whether there may be four.
        mutating func add(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
            var index = start
            while index < end {
                guard isAlphanumeric(text[index]) else {
                    if !isSeparator(text[index]) { count = 0 }
                    index += 1
                    continue
                }
                let word = index
                var hasDigits = false
                var isNumber = true
                var isPrefixed = false
                while index < end, isAlphanumeric(text[index]) {
                    if isDigit(text[index]) { hasDigits = true }
                    if isNumberPrefix(text[index]) {
                        isPrefixed = true
                    } else if hexValue(text[index]) == nil {
                        isNumber = false
                    }
                    index += 1
                }
                if !isNumber {
                    count = 0
                } else if hasDigits || !isPrefixed && index - word > 1 {
                    // No list has single letters.
                    count += 1
                    if count >= 4 { return true }
                }
            }
            return false
        }

        /// A token of letters and signs; numbers of letters only may stand at its ends.
        mutating func end(_ first: UInt8, _ last: UInt8) -> Bool {
            if count >= 3, hexValue(first) != nil { return true }
            count = hexValue(last) != nil ? 1 : 0
            return false
        }
    }

    // MARK: escapes

    private static func hasEscape(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        func byte(_ index: Int) -> UInt8 { index < text.count ? text[index] : 0 }
        func isHex(_ index: Int) -> Bool { hexValue(byte(index)) != nil }
        for index in start..<end {
            switch text[index] {
            case UInt8(ascii: "%"):
                if isHex(index + 1) && isHex(index + 2) { return true }
                if byte(index + 1) | 0x20 == UInt8(ascii: "u"), isHex(index + 2) || byte(index + 2) == 0x7B {
                    return true
                }
            case UInt8(ascii: "="):
                if isHex(index + 1), isHex(index + 2), byte(index + 3) == UInt8(ascii: "=") { return true }
            case UInt8(ascii: "&"):
                if byte(index + 1) == UInt8(ascii: "#") { return true }
                var end = index + 1
                while end < text.count, end - index < 20, isAlphanumeric(text[end]) { end += 1 }
                if byte(end) == UInt8(ascii: ";"), end > index + 1 { return true }
            case UInt8(ascii: "\\"):
                let next = byte(index + 1)
                if next | 0x20 == UInt8(ascii: "x") || next | 0x20 == UInt8(ascii: "u"),
                    isHex(index + 2) || byte(index + 2) == 0x7B
                {
                    return true
                }
                if next == UInt8(ascii: "N"), byte(index + 2) == 0x7B { return true }
                guard isHex(index + 1) else { continue }
                // Three octal digits, or three escapes in a row, which may have a space behind.
                if isDigit(next), isDigit(byte(index + 2)), isDigit(byte(index + 3)) { return true }
                var other = index + 2
                while other < text.count, other - index < 9, text[other] != UInt8(ascii: "\\") { other += 1 }
                if other - index < 9, isHex(other + 1) { return true }
            default: break
            }
        }
        return false
    }

    // MARK: alphabets

    /// What a span decodes to begins as text does: no control characters, bytes that can be UTF-8.
    private struct Beginning {
        private var following = 0
        private(set) var isText = true

        mutating func add(_ byte: UInt8) {
            if byte < 0x80 {
                let isControl = byte < 0x20 && byte != 0x09 && byte != 0x0A && byte != 0x0D || byte == 0x7F
                if isControl || following > 0 { isText = false }
            } else if byte < 0xC0 {
                if following == 0 { isText = false }
                following -= 1
            } else {
                if following > 0 || byte < 0xC2 || byte > 0xF4 { isText = false }
                following = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3
            }
        }
    }

    private static let beginningMax = 24

    private static func hasSpan(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        var index = start
        while index < end {
            guard isSpanByte(text[index]) else {
                index += 1
                continue
            }
            // `decode` begins behind dashes.
            while index < end, text[index] == 0x2D { index += 1 }
            let run = index
            var part = index
            while index < end, isSpanByte(text[index]) {
                if !isAlphanumeric(text[index]) {
                    if index - part >= spanMin, isSpanBegin(text, part, index) { return true }
                    part = index + 1
                }
                index += 1
            }
            if index - run >= spanMin, isSpanBegin(text, run, index) { return true }
            if part > run, index - part >= spanMin, isSpanBegin(text, part, index) { return true }
        }
        var atTokenStart = true
        for index in start..<end {
            if atTokenStart, mayDecode85(text, index, end) { return true }
            // As `decode` has it.
            atTokenStart = [0x22, 0x27, 0x28, 0x5B].contains(text[index])
        }
        return false
    }

    /// Whether letters that begin with those from `start` to `end` may be of one of the alphabets.
    private static func isSpanBegin(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        let isPrefixed = end - start > 2 && text[start] == 0x30 && text[start + 1] | 0x20 == 0x78
        let hex = isPrefixed ? start + 2 : start
        if begins(text, hex, end, bits: 4, value: { hexValue($0) }) { return true }
        if (start..<min(end, start + spanMin)).allSatisfy({ text[$0] | 1 == 0x31 }) { return true }
        func letter(_ byte: UInt8) -> UInt8? { isLetter(byte) ? (byte | 0x20) - 0x61 : nil }
        if begins(text, start, end, bits: 5, value: { letter($0) ?? (0x32...0x37 ~= $0 ? $0 - 0x32 + 26 : nil) }) {
            return true
        }
        let digitsFirst = { (byte: UInt8) -> UInt8? in
            let value = letter(byte).map { $0 + 10 } ?? (isDigit(byte) ? byte - 0x30 : nil)
            return value.flatMap { $0 < 32 ? $0 : nil }
        }
        if begins(text, start, end, bits: 5, value: digitsFirst) { return true }
        return begins(text, start, end, bits: 6, hasZeros: true, value: base64Value)
    }

    @inline(__always)
    private static func begins(
        _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int, bits: UInt32, hasZeros: Bool = false,
        value: (UInt8) -> UInt8?
    ) -> Bool {
        var beginning = Beginning()
        var sum: UInt32 = 0
        var count: UInt32 = 0
        var bytes = 0
        for index in start..<min(end, start + beginningMax) {
            guard let value = value(text[index]) else { return false }
            sum = (sum << bits | UInt32(value)) & 0xFFFF
            count += bits
            guard count >= 8 else { continue }
            count -= 8
            let byte = UInt8(truncatingIfNeeded: sum >> count)
            // UTF-16 of ASCII.
            if hasZeros, byte == 0, bytes < 2 { return true }
            beginning.add(byte)
            if !beginning.isText { return false }
            bytes += 1
        }
        return true
    }

    private static func mayDecode85(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        var runEnd = start
        while runEnd < end, runEnd - start < 15, text[runEnd] &- 0x21 < 0x5E { runEnd += 1 }
        guard runEnd - start >= 15 else { return false }
        return tables85.contains { table in
            var beginning = Beginning()
            var value: UInt64 = 0
            for offset in 0..<15 {
                let digit = table[Int(text[start + offset])]
                guard digit != 0xFF else { return false }
                value = value * 85 + UInt64(digit)
                guard offset % 5 == 4 else { continue }
                guard value <= UInt64(UInt32.max) else { return false }
                for shift in [24, 16, 8, 0] as [UInt64] { beginning.add(UInt8(truncatingIfNeeded: value >> shift)) }
                guard beginning.isText else { return false }
                value = 0
            }
            return true
        }
    }
}
