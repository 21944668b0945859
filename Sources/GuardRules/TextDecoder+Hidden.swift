internal import GuardCore

/// Text in characters that no one sees, and what else of the raw text the fold, which sees one scalar at a time, leaves.
extension TextDecoder {
    /// Tag characters (U+E0020–E007E: always) and runs of two or more variation selectors (if the bytes that they stand
    /// for, VS1 = 0 …, are text) read as what they stand for, with a space where a word stands beside; controls but white
    /// space and escape dropped; conjoining jamo composed. `nil`: there are none.
    static func hidden(_ text: Span<UInt8>) -> DerivedText? {
        if isVisible(text) { return nil }
        var out = DerivedText()
        var kept = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            var found: Unit?
            if byte < 0x20 || byte == 0x7F {
                if byte != 0x1B, byte &- 0x09 > 4 { found = Unit(length: 1, bytes: []) }
            } else if byte == 0xE1 {
                found = syllable(text, index)
            } else if byte == 0xF3 || byte == 0xEF {
                found = run(text, index)
            }
            guard let found else {
                index += 1
                continue
            }
            out.keep(text, kept..<index)
            out.replace(found.length, by: found.bytes)
            index += found.length
            kept = index
        }
        guard kept > 0 else { return nil }
        out.keep(text, kept..<text.count)
        return out
    }

    /// ASCII without control characters but white space and escape.
    static func isVisible(_ text: Span<UInt8>) -> Bool {
        text.withUnsafeBufferPointer { text in
            // Branch-free, so that the loop is vectorised.
            var odd: UInt8 = 0
            for byte in text {
                let isControl: UInt8 = byte < 0x20 ? 1 : 0
                let isKept: UInt8 = (byte &- 0x09 < 5 ? 1 : 0) | (byte == 0x1B ? 1 : 0)
                odd |= isControl & ~isKept | (byte >= 0x7F ? 1 : 0)
            }
            return odd == 0
        }
    }

    /// Whether bytes are there with which the scalars begin that `hidden`, `spaced` and `upright` look for.
    static func leads(_ text: Span<UInt8>) -> (hasHidden: Bool, hasInvisible: Bool, hasTurned: Bool) {
        text.withUnsafeBufferPointer { text in
            // Branch-free, so that the loop is vectorised.
            var (hidden, invisible, turned): (UInt8, UInt8, UInt8) = (0, 0, 0)
            for byte in text {
                let isControl: UInt8 = byte < 0x20 ? 1 : 0
                let isKept: UInt8 = (byte &- 0x09 < 5 ? 1 : 0) | (byte == 0x1B ? 1 : 0)
                hidden |= isControl & ~isKept | (byte == 0x7F ? 1 : 0) | (byte == 0xE1 ? 1 : 0)
                hidden |= (byte == 0xEF ? 1 : 0) | (byte == 0xF3 ? 1 : 0)
                invisible |= byte == 0xE2 ? 1 : 0
                turned |= (byte == 0xC9 ? 1 : 0) | (byte == 0xCA ? 1 : 0)
            }
            return (hidden != 0, invisible != 0, turned != 0)
        }
    }

    static func isASCII(_ text: Span<UInt8>) -> Bool {
        text.withUnsafeBufferPointer { text in
            var bits: UInt8 = 0
            for byte in text { bits |= byte }
            return bits < 0x80
        }
    }

    /// Leading and vowel jamo, with or without a trailing one, at `start` (Unicode 3.12).
    private static func syllable(_ text: Span<UInt8>, _ start: Int) -> Unit? {
        guard let lead = scalar(text, start), (0x1100...0x1112).contains(lead), let vowel = scalar(text, start + 3),
            (0x1161...0x1175).contains(vowel)
        else { return nil }
        var value = 0xAC00 + (lead - 0x1100) * 588 + (vowel - 0x1161) * 28
        var length = 6
        if let trail = scalar(text, start + 6), (0x11A8...0x11C2).contains(trail) {
            value += trail - 0x11A7
            length = 9
        }
        return Unicode.Scalar(value).flatMap { UTF8.encode($0) }.map { Unit(length: length, bytes: Array($0)) }
    }

    /// The run of tag characters or variation selectors at `start`.
    private static func run(_ text: Span<UInt8>, _ start: Int) -> Unit? {
        var index = start
        var tags: [UInt8] = []
        while let scalar = scalar(text, index), (0xE0001...0xE007F).contains(scalar) {
            if (0xE0020...0xE007E).contains(scalar) { tags.append(UInt8(scalar - 0xE0000)) }
            index += 4
        }
        if !tags.isEmpty { return Unit(length: index - start, bytes: apart(tags, text, start, index)) }
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
        guard bytes.count >= 2, isPrintable(bytes) else { return nil }
        return Unit(length: index - start, bytes: apart(bytes, text, start, index))
    }

    /// Spaces keep hidden words from those that stand beside.
    private static func apart(_ bytes: [UInt8], _ text: Span<UInt8>, _ start: Int, _ end: Int) -> [UInt8] {
        (start > 0 && isAlphanumeric(text[start - 1]) ? [0x20] : []) + bytes
            + (end < text.count && isAlphanumeric(text[end]) ? [0x20] : [])
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

    // MARK: invisible spaces

    /// Zero-width characters between words that have no other space between them (two or more) as spaces.
    static func spaced(_ text: Span<UInt8>) -> DerivedText? {
        var out = DerivedText()
        var kept = 0
        var places = 0
        var index = 0
        // Of more than one character a word is made.
        var letters = 0
        while index < text.count {
            let byte = text[index]
            guard byte == 0xE2, let scalar = scalar(text, index), isInvisible(scalar) else {
                letters = isSpace(byte) ? 0 : letters + 1
                index += 1
                continue
            }
            let end = index + 3
            if letters > 1 || places > 0, end < text.count, !isSpace(text[end]) {
                out.keep(text, kept..<index)
                out.replace(3, by: [0x20])
                kept = end
                places += letters > 1 ? 1 : 0
            }
            letters = 0
            index = end
        }
        guard places >= 2 else { return nil }
        out.keep(text, kept..<text.count)
        return out
    }

    private static func isInvisible(_ scalar: UInt32) -> Bool {
        (0x200B...0x200D).contains(scalar) || (0x2060...0x2064).contains(scalar)
    }

    // MARK: upside down

    /// What letters and signs look like when the page is turned.
    private static let turned: [String: UInt8] = {
        var table: [String: UInt8] = [:]
        for (letter, likes) in [
            ("a", "ɐ"), ("b", "q"), ("c", "ɔ"), ("d", "p"), ("e", "ǝə"), ("f", "ɟ"), ("g", "ƃᵷɓ"), ("h", "ɥ"),
            ("i", "ᴉı"),
            ("j", "ɾſ"), ("k", "ʞ"), ("l", "lן"), ("m", "ɯ"), ("n", "u"), ("o", "o"), ("p", "d"), ("q", "b"),
            ("r", "ɹ"),
            ("s", "s"), ("t", "ʇ"), ("u", "n"), ("v", "ʌ"), ("w", "ʍ"), ("x", "x"), ("y", "ʎ"), ("z", "z"), (".", "˙"),
            (",", "'"), ("'", ","), ("?", "¿"), ("!", "¡"), ("&", "⅋"), ("_", "‾"), ("(", ")"), (")", "("), ("[", "]"),
            ("]", "["), ("<", ">"), (">", "<"), ("3", "Ɛ"), ("4", "ㄣ"), ("6", "9"), ("7", "ㄥ"), ("9", "6"),
        ] as [(String, String)] {
            for like in likes.unicodeScalars { table[String(like)] = letter.utf8.first }
        }
        return table
    }()

    /// Letters turned upside down as they stand on the page, still from right to left. `nil`: there are no three that
    /// exist only so.
    static func upright(_ text: Span<UInt8>) -> DerivedText? {
        var out = DerivedText()
        var kept = 0
        var found = 0
        var index = 0
        while index < text.count {
            let length = width(text[index])
            guard index + length <= text.count else { break }
            if let letter = turned[String(decoding: (index..<(index + length)).map { text[$0] }, as: UTF8.self)] {
                out.keep(text, kept..<index)
                out.replace(length, by: [letter])
                kept = index + length
                if text[index] == 0xC9 || text[index] == 0xCA { found += 1 }
            }
            index += length
        }
        guard found >= 3 else { return nil }
        out.keep(text, kept..<text.count)
        return out
    }
}
