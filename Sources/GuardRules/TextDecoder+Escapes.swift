internal import GuardCore

/// Escapes of programming languages, URLs, mail and HTML.
extension TextDecoder {
    /// The run of escapes of one kind at `start`, a unit for each scalar.
    static func escapes(_ text: Span<UInt8>, _ start: Int) -> [Unit] {
        // Bytes: `%41`, `=41` and `\x41`. A run's bytes are UTF-8 together or not at all.
        var bytes: [UInt8] = []
        var lengths: [Int] = []
        var index = start
        let mark = text[start]
        while let (byte, length) = byteEscape(text, index), text[index] == mark {
            bytes.append(byte)
            lengths.append(length)
            index += length
        }
        // `a=12` is no mail's escape; a run of them is.
        if mark == UInt8(ascii: "="), bytes.count < 3 { return [] }
        if !bytes.isEmpty {
            guard let decoded = String(validating: bytes, as: UTF8.self) else { return [] }
            var at = 0
            return decoded.unicodeScalars.map { scalar in
                let utf8 = Array(UTF8.encode(scalar) ?? .init())
                let length = lengths[at..<(at + utf8.count)].reduce(0, +)
                at += utf8.count
                return Unit(length: length, bytes: utf8)
            }
        }
        return unicode(text, start).map { [$0] } ?? style(text, start)
    }

    /// Three or more escapes of style sheets (CSS Syntax 4.3.7): `\69 \67 `, one to six digits and a space that ends them.
    private static func style(_ text: Span<UInt8>, _ start: Int) -> [Unit] {
        var units: [Unit] = []
        var index = start
        while index + 1 < text.count, text[index] == UInt8(ascii: "\\") {
            var end = index + 1
            while end < text.count, end - index <= 6, hexValue(text[end]) != nil { end += 1 }
            let count = end - index - 1
            guard let value = number(text, index + 1, count) else { break }
            if end < text.count, text[end] == 0x20 { end += 1 }
            guard value >= 0x20, let unit = unit(value, end - index) else { break }
            units.append(unit)
            index = end
        }
        return units.count >= 3 ? units : []
    }

    /// One escape that stands for a byte.
    private static func byteEscape(_ text: Span<UInt8>, _ start: Int) -> (UInt8, Int)? {
        guard start + 2 < text.count else { return nil }
        func hex(_ at: Int) -> UInt8? {
            guard at + 1 < text.count, let high = hexValue(text[at]), let low = hexValue(text[at + 1]) else { return nil }
            return high << 4 | low
        }
        guard text[start] == UInt8(ascii: "\\") else { return hex(start + 1).map { ($0, 3) } }
        if text[start + 1] | 0x20 == UInt8(ascii: "x") { return hex(start + 2).map { ($0, 4) } }
        // Octal: three digits.
        guard start + 3 < text.count else { return nil }
        var value: UInt16 = 0
        for place in (start + 1)...(start + 3) {
            guard text[place] &- 0x30 < 8 else { return nil }
            value = value << 3 | UInt16(text[place] & 7)
        }
        return value < 0x100 ? (UInt8(value), 4) : nil
    }

    private static func number(_ text: Span<UInt8>, _ start: Int, _ count: Int) -> UInt32? {
        guard count > 0, count <= 8, start + count <= text.count else { return nil }
        var value: UInt32 = 0
        for index in start..<(start + count) {
            guard let digit = hexValue(text[index]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    private static func unit(_ value: UInt32, _ length: Int) -> Unit? {
        guard let scalar = Unicode.Scalar(value), let utf8 = UTF8.encode(scalar) else { return nil }
        return Unit(length: length, bytes: Array(utf8))
    }

    /// `\uXXXX`, `%uXXXX`, pairs of surrogates too, `\u{X…}`, `\x{X…}`, `\N{U+X…}`, `\UXXXXXXXX`.
    private static func unicode(_ text: Span<UInt8>, _ start: Int) -> Unit? {
        guard start + 2 < text.count, text[start] != UInt8(ascii: "=") else { return nil }
        let kind = text[start + 1]
        if text[start] == UInt8(ascii: "%"), kind | 0x20 != UInt8(ascii: "u") { return nil }
        if kind == UInt8(ascii: "U"), let value = number(text, start + 2, 8) { return unit(value, 10) }
        guard kind | 0x20 == UInt8(ascii: "u") || kind == UInt8(ascii: "x") || kind == UInt8(ascii: "N") else { return nil }
        if text[start + 2] == UInt8(ascii: "{") {
            var first = start + 3
            if kind == UInt8(ascii: "N") {
                guard first + 1 < text.count, text[first] == UInt8(ascii: "U"), text[first + 1] == UInt8(ascii: "+")
                else { return nil }
                first += 2
            }
            var end = first
            while end < text.count, end - first < 8, hexValue(text[end]) != nil { end += 1 }
            guard end < text.count, text[end] == UInt8(ascii: "}"), let value = number(text, first, end - first)
            else { return nil }
            return unit(value, end + 1 - start)
        }
        guard kind | 0x20 == UInt8(ascii: "u"), let high = number(text, start + 2, 4) else { return nil }
        guard high & 0xFC00 == 0xD800 else { return unit(high, 6) }
        guard start + 12 <= text.count, text[start + 6] == text[start], text[start + 7] | 0x20 == UInt8(ascii: "u"),
            let low = number(text, start + 8, 4), low & 0xFC00 == 0xDC00
        else { return nil }
        return unit(0x10000 + (high & 0x3FF) << 10 + (low & 0x3FF), 12)
    }

    // MARK: HTML

    /// Those that hide what a reader of HTML sees as plain text; 0: it shows as nothing.
    private static let entities: [[UInt8]: UInt32] = {
        var table: [[UInt8]: UInt32] = [:]
        for (name, value) in [
            ("amp", 0x26), ("lt", 0x3C), ("gt", 0x3E), ("quot", 0x22), ("apos", 0x27), ("nbsp", 0x20), ("excl", 0x21),
            ("num", 0x23), ("dollar", 0x24), ("percnt", 0x25), ("lpar", 0x28), ("rpar", 0x29), ("ast", 0x2A),
            ("midast", 0x2A), ("plus", 0x2B), ("comma", 0x2C), ("period", 0x2E), ("sol", 0x2F), ("colon", 0x3A),
            ("semi", 0x3B), ("equals", 0x3D), ("quest", 0x3F), ("commat", 0x40), ("lsqb", 0x5B), ("lbrack", 0x5B),
            ("bsol", 0x5C), ("rsqb", 0x5D), ("rbrack", 0x5D), ("Hat", 0x5E), ("lowbar", 0x5F), ("UnderBar", 0x5F),
            ("grave", 0x60), ("lcub", 0x7B), ("lbrace", 0x7B), ("verbar", 0x7C), ("vert", 0x7C), ("rcub", 0x7D),
            ("rbrace", 0x7D), ("hyphen", 0x2D), ("dash", 0x2D), ("ndash", 0x2D), ("mdash", 0x2D), ("minus", 0x2D),
            ("Tab", 0x09), ("NewLine", 0x0A), ("ensp", 0x20), ("emsp", 0x20), ("thinsp", 0x20), ("lsquo", 0x27),
            ("rsquo", 0x27), ("ldquo", 0x22), ("rdquo", 0x22), ("inodot", 0x69), ("imath", 0x69), ("jmath", 0x6A),
            ("szlig", 0xDF), ("shy", 0), ("zwj", 0), ("zwnj", 0), ("lrm", 0), ("rlm", 0), ("ZeroWidthSpace", 0),
            ("NegativeThinSpace", 0), ("NoBreak", 0), ("InvisibleTimes", 0), ("it", 0), ("InvisibleComma", 0),
            ("ic", 0), ("ApplyFunction", 0), ("af", 0),
        ] as [(String, UInt32)] { table[Array(name.utf8)] = value }
        return table
    }()

    /// Styles and accents of a letter: `&iscr;`, `&ifr;`, `&iopf;`, `&iacute;`.
    private static let letterForms = [
        "scr", "fr", "opf", "acute", "grave", "circ", "uml", "tilde", "cedil", "caron", "breve", "dot", "macr", "ogon",
        "strok", "slash", "ring", "cy",
    ].map { Array($0.utf8) }

    static func entity(_ text: Span<UInt8>, _ start: Int) -> [Unit] {
        guard start + 2 < text.count else { return [] }
        var end = start + 1
        if text[end] == UInt8(ascii: "#") {
            end += 1
            let isHex = text[end] | 0x20 == UInt8(ascii: "x")
            if isHex { end += 1 }
            var value: UInt32 = 0
            let first = end
            while end < text.count, end - first < 10, let digit = hexValue(text[end]), isHex || digit < 10 {
                value = value &* (isHex ? 16 : 10) &+ UInt32(digit)
                end += 1
            }
            guard end > first, value > 0, value <= 0x10FFFF else { return [] }
            // Browsers take numbers without the semicolon.
            if end < text.count, text[end] == UInt8(ascii: ";") { end += 1 }
            return unit(value, end - start).map { [$0] } ?? []
        }
        while end < text.count, end - start < 20, isAlphanumeric(text[end]) { end += 1 }
        guard end < text.count, text[end] == UInt8(ascii: ";"), end > start + 1 else { return [] }
        let name = ((start + 1)..<end).map { text[$0] }
        if let value = entities[name] {
            if value == 0 { return [Unit(length: end + 1 - start, bytes: [])] }
            return unit(value, end + 1 - start).map { [$0] } ?? []
        }
        if isLetter(name[0]), letterForms.contains(where: { name.dropFirst().elementsEqual($0) }) {
            return [Unit(length: end + 1 - start, bytes: [name[0]])]
        }
        return []
    }
}
