internal import GuardCore

/// Decodes the encoded spans of a text in place (`docs/rules.md` lists what is taken as one).
enum TextDecoder {
    /// Letters of a span without separators.
    static let spanMin = 16
    /// Bytes of one span; what is longer is read as it stands.
    static let spanMax = 1 << 20

    /// What some bytes of a text stand for.
    struct Unit {
        var length: Int
        var bytes: [UInt8]
    }

    /// `nil`: nothing in the text is encoded.
    ///
    /// - Parameters:
    ///   - isSecond: where a list of numbers may mean two texts, the other one.
    ///   - chances: what may be in the text.
    static func decode(
        _ text: Span<UInt8>, isSecond: Bool = false, chances: Chances = .all
    ) -> (text: DerivedText, isAmbiguous: Bool)? {
        var tried = Tried(isSecond: isSecond, chances: chances)
        return decode(text, &tried)
    }

    static func decode(_ text: Span<UInt8>, _ tried: inout Tried) -> (text: DerivedText, isAmbiguous: Bool)? {
        let chances = tried.chances
        let hasSigns = chances.contains(.signs)
        // Of words nothing is asked where they can be nothing.
        let hasWords = !chances.isDisjoint(with: [.signs, .numbers, .spans, .groups])
        var out = DerivedText()
        var isDecoded = false
        var kept = 0
        var index = 0
        func replace(_ unit: Unit) {
            out.keep(text, kept..<index)
            out.replace(unit.length, by: unit.bytes)
            index += unit.length
            kept = index
            isDecoded = true
        }
        var atTokenStart = true
        while index < text.count {
            tried.steps += 1
            let byte = text[index]
            if hasSigns, atTokenStart, byte < 0x80, !isAlphanumeric(byte), !isSpace(byte),
                let unit = ascii85(text, index, &tried)
            {
                replace(unit)
                atTokenStart = false
                continue
            }
            switch kinds[Int(byte)] {
            case .plain:
                index += 1
                atTokenStart = false
            case .space:
                index += 1
                atTokenStart = true
            case .escape:
                let units = byte == UInt8(ascii: "&") ? entity(text, index) : escapes(text, index)
                if units.isEmpty { index += 1 }
                for unit in units { replace(unit) }
                atTokenStart = false
            case .dash:
                if atTokenStart, chances.contains(.morse), let unit = morse(text, index, &tried) {
                    replace(unit)
                } else {
                    index += 1
                }
                atTokenStart = false
            case .word:
                if hasWords, let (start, unit) = run(text, index, atTokenStart, &tried) {
                    index = start
                    replace(unit)
                } else {
                    while index < text.count, kinds[Int(text[index])] == .word { index += 1 }
                }
                atTokenStart = false
            }
        }
        guard isDecoded else { return nil }
        out.keep(text, kept..<text.count)
        return (out, tried.isAmbiguous)
    }

    private enum ByteKind {
        case plain, space, escape, dash, word
    }

    private static let kinds: [ByteKind] = (0...255).map { value in
        let byte = UInt8(value)
        switch byte {
        case 0x09, 0x0A, 0x0D, 0x20, UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "("), UInt8(ascii: "["):
            return .space
        case UInt8(ascii: "%"), UInt8(ascii: "\\"), UInt8(ascii: "&"), UInt8(ascii: "="): return .escape
        case UInt8(ascii: "."), UInt8(ascii: "-"): return .dash
        default: return isAlphanumeric(byte) || byte == 0x2B || byte == 0x2F || byte == 0x5F ? .word : .plain
        }
    }

    static func isAlphanumeric(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10 }
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

    static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    /// How far what was tried in vain reaches: nothing is read again and again, so the cost stays linear.
    struct Tried {
        /// Bytes looked at, for tests.
        var steps = 0
        var isSecond = false
        var chances = Chances.all
        var isAmbiguous = false
        var numbers = 0
        var wrapped = 0
        var span = 0
        var signs = 0
        var morse = 0
    }

    /// A word that begins at `start`: a list of numbers, letters of an alphabet with or without line ends. The unit may
    /// begin behind `start`.
    private static func run(
        _ text: Span<UInt8>, _ start: Int, _ atTokenStart: Bool, _ tried: inout Tried
    ) -> (start: Int, unit: Unit)? {
        let chances = tried.chances
        if chances.contains(.numbers), start >= tried.numbers, let found = numbers(text, start, &tried) { return found }
        if start >= tried.span, !chances.isDisjoint(with: [.spans, .groups]) {
            var end = start
            while end < text.count, isSpanByte(text[end]) { end += 1 }
            tried.span = end
            tried.steps += end - start
            if atTokenStart, chances.contains(.groups), start >= tried.wrapped,
                let unit = wrapped(text, start, end, &tried)
            {
                return (start, unit)
            }
            if end - start >= spanMin, chances.contains(.spans) {
                if let unit = span(text, start, end) { return (start, unit) }
                // The whole is none; a part between signs may be.
                var part = start
                while part < end {
                    var partEnd = part
                    while partEnd < end, isAlphanumeric(text[partEnd]) { partEnd += 1 }
                    if partEnd - part >= spanMin, partEnd - part < end - start, let unit = span(text, part, partEnd) {
                        return (part, unit)
                    }
                    part = partEnd + 1
                }
            }
        }
        if atTokenStart, chances.contains(.signs) { return ascii85(text, start, &tried).map { (start, $0) } }
        return nil
    }

    static func isSpanByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "-")
            || byte == UInt8(ascii: "_")
    }

    /// UTF-8 without control characters but tab and line ends.
    static func isPrintable(_ bytes: [UInt8]) -> Bool {
        guard !bytes.isEmpty else { return false }
        for byte in bytes where byte == 0x7F || byte < 0x20 && byte != 0x09 && byte != 0x0A && byte != 0x0D {
            return false
        }
        return String(validating: bytes, as: UTF8.self) != nil
    }

    /// Printable, and mostly letters, digits and spaces: what a chance decoding of ordinary text is not.
    static func isWordy(_ bytes: [UInt8], _ part: Int = 3, of whole: Int = 4) -> Bool {
        guard isPrintable(bytes) else { return false }
        return bytes.count { isAlphanumeric($0) || isSpace($0) || $0 >= 0x80 } * whole >= bytes.count * part
    }
}
