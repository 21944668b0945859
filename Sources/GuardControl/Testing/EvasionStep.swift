import GuardCore
import GuardYAML

/// A step of a transformation, as `evasions.yaml` writes it. Nothing here knows how a view reads it.
enum EvasionStep: Sendable {
    enum Unit: String, CaseIterable, Sendable { case byte, scalar, utf16 }
    enum Letters: String, CaseIterable, Sendable { case upper, lower, alternate }
    enum Order: String, CaseIterable, Sendable { case all, words }

    /// Each scalar by what stands for it.
    case map([Unicode.Scalar: String])
    /// Between any two letters or digits, in turn.
    case between([String])
    /// Between all characters; of each word only where `insideWords`.
    case separate(String, insideWords: Bool)
    case letters(Letters)
    case reverse(Order)
    /// Letters moved on in the alphabet; 26: counted from its end.
    case shift(Int)
    /// Each unit as a number.
    case each(Unit, base: Int, width: Int, before: String, after: String, between: String)
    /// Groups of bits as letters of an alphabet (16, 32 or 64 of them), with padding to whole groups, in lines.
    case alphabet([UInt8], padding: Bool, line: Int)
    /// Groups of four bytes as five letters.
    case base85([UInt8])
    /// ASCII moved to where it is not seen: U+E0000 on.
    case tags
    /// Bytes as variation selectors.
    case selectors
    /// In the middle of words of four or more letters.
    case breakWords(String)
    case wrap(before: String, after: String)

    static func read(_ reader: YAMLReader) -> EvasionStep? {
        let names = [
            "map", "between", "separate", "separateWords", "letters", "reverse", "shift", "each", "alphabet", "base85", "tags",
            "selectors", "breakWords", "wrap",
        ]
        guard let step = reader.mapping(keys: names), let (entry, value) = step.values.first, step.entries.count == 1
        else {
            reader.report("a step is one of \(names.joined(separator: ", "))")
            return nil
        }
        switch entry.key {
        case "map": return readMap(value)
        case "between": return (value.oneOrMore { $0.nonEmptyString() }).map { .between($0) }
        case "separate": return value.string().map { .separate($0, insideWords: false) }
        case "separateWords": return value.string().map { .separate($0, insideWords: true) }
        case "letters": return value.choice(of: Letters.self).map { .letters($0) }
        case "reverse": return value.choice(of: Order.self).map { .reverse($0) }
        case "shift": return value.int(in: 1...26).map { .shift($0) }
        case "each":
            guard let map = value.mapping(keys: ["unit", "base", "width", "before", "after", "between"]) else { return nil }
            return .each(
                map["unit"]?.choice(of: Unit.self) ?? .byte, base: map["base"]?.int(in: 2...16) ?? 16,
                width: map["width"]?.int(in: 1...16) ?? 1, before: map["before"]?.string() ?? "",
                after: map["after"]?.string() ?? "", between: map["between"]?.string() ?? "")
        case "alphabet":
            guard let map = value.mapping(keys: ["of", "padding", "line"]),
                let of = map.required("of", in: "an alphabet")?.string()
            else { return nil }
            guard [16, 32, 64].contains(of.utf8.count) else {
                value.report("an alphabet has 16, 32 or 64 ASCII characters")
                return nil
            }
            return .alphabet(
                Array(of.utf8), padding: map["padding"]?.bool() ?? false, line: map["line"]?.int(in: 1...1000) ?? 0)
        case "base85":
            guard let of = value.string() else { return nil }
            if of.utf8.count != 85 { value.report("the alphabet has 85 ASCII characters") }
            return .base85(Array(of.utf8))
        case "tags": return .tags
        case "selectors": return .selectors
        case "breakWords": return value.string().map { .breakWords($0) }
        default:
            guard let map = value.mapping(keys: ["before", "after"]) else { return nil }
            return .wrap(before: map["before"]?.string() ?? "", after: map["after"]?.string() ?? "")
        }
    }

    /// `{from: "abc", to: "αвc"}`: as many characters in both, or `to` as a list.
    private static func readMap(_ reader: YAMLReader) -> EvasionStep? {
        guard let map = reader.mapping(keys: ["from", "to"]), let from = map.required("from")?.string(),
            let to = map.required("to")
        else { return nil }
        let targets: [String]
        if case .sequence = to.node.kind {
            targets = to.list { $0.string() } ?? []
        } else {
            targets = to.string().map { $0.unicodeScalars.map { String($0) } } ?? []
        }
        let sources = Array(from.unicodeScalars)
        guard sources.count == targets.count else {
            reader.report("'from' has \(sources.count) characters, 'to' \(targets.count)")
            return nil
        }
        return .map(Dictionary(zip(sources, targets)) { first, _ in first })
    }

    func apply(to text: String) -> String {
        switch self {
        case .map(let table):
            return text.unicodeScalars.reduce(into: "") { $0 += table[$1] ?? String($1) }
        case .between(let list):
            let scalars = Array(text.unicodeScalars)
            var out = String.UnicodeScalarView()
            for (index, scalar) in scalars.enumerated() {
                out.append(scalar)
                if index + 1 < scalars.count, Self.isWordPart(scalar), Self.isWordPart(scalars[index + 1]) {
                    out.append(contentsOf: list[index % list.count].unicodeScalars)
                }
            }
            return String(out)
        case .separate(let separator, let insideWords):
            if !insideWords { return text.unicodeScalars.map { String($0) }.joined(separator: separator) }
            return Self.words(text) { $0.map { String($0) }.joined(separator: separator) }
        case .letters(let letters):
            return text.unicodeScalars.enumerated().reduce(into: "") { out, item in
                let isUpper = letters == .upper || letters == .alternate && item.offset % 2 == 1
                out += isUpper ? item.element.properties.uppercaseMapping : item.element.properties.lowercaseMapping
            }
        case .reverse(.all): return String(String.UnicodeScalarView(text.unicodeScalars.reversed()))
        case .reverse(.words): return Self.words(text) { String(String.UnicodeScalarView($0.reversed())) }
        case .shift(let count):
            return String(decoding: text.utf8.map { Self.shifted($0, count) }, as: UTF8.self)
        case .each(let unit, let base, let width, let before, let after, let between):
            let values: [UInt32] =
                switch unit {
                case .byte: text.utf8.map { UInt32($0) }
                case .utf16: text.utf16.map { UInt32($0) }
                case .scalar: text.unicodeScalars.map(\.value)
                }
            return values.map { value in
                let digits = String(value, radix: base)
                return before + String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits + after
            }.joined(separator: between)
        case .alphabet(let letters, let padding, let line): return Self.grouped(text, letters, padding, line)
        case .base85(let letters): return Self.grouped85(text, letters)
        case .tags:
            return String(
                String.UnicodeScalarView(
                    text.unicodeScalars.map { $0.isASCII ? Unicode.Scalar(0xE0000 + $0.value) ?? $0 : $0 }))
        case .selectors:
            return String(
                String.UnicodeScalarView(
                    text.utf8.compactMap { Unicode.Scalar($0 < 16 ? 0xFE00 + UInt32($0) : 0xE00F0 + UInt32($0)) }))
        case .breakWords(let piece):
            return Self.words(text) { word in
                word.count < 4
                    ? String(String.UnicodeScalarView(word))
                    : String(String.UnicodeScalarView(word[..<(word.count / 2)])) + piece
                        + String(String.UnicodeScalarView(word[(word.count / 2)...]))
            }
        case .wrap(let before, let after): return before + text + after
        }
    }

    private static func isWordPart(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }

    private static func words(_ text: String, _ change: ([Unicode.Scalar]) -> String) -> String {
        text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false).map { change(Array($0)) }
            .joined(separator: " ")
    }

    private static func shifted(_ byte: UInt8, _ count: Int) -> UInt8 {
        let first: UInt8 = byte < 0x60 ? 0x41 : 0x61
        guard byte >= first, byte - first < 26 else { return byte }
        let letter = Int(byte - first)
        return first + UInt8(count == 26 ? 25 - letter : (letter + count) % 26)
    }

    private static func grouped(_ text: String, _ letters: [UInt8], _ padding: Bool, _ line: Int) -> String {
        let width = letters.count == 64 ? 6 : letters.count == 32 ? 5 : 4
        var out: [UInt8] = []
        var bits = 0
        var count = 0
        for byte in text.utf8 {
            bits = (bits << 8 | Int(byte)) & 0xFFFF
            count += 8
            while count >= width {
                count -= width
                out.append(letters[bits >> count & (letters.count - 1)])
            }
        }
        if count > 0 { out.append(letters[bits << (width - count) & (letters.count - 1)]) }
        let group = width == 6 ? 4 : width == 5 ? 8 : 2
        if padding { while out.count % group != 0 { out.append(UInt8(ascii: "=")) } }
        guard line > 0 else { return String(decoding: out, as: UTF8.self) }
        return stride(from: 0, to: out.count, by: line).map {
            String(decoding: out[$0..<min(out.count, $0 + line)], as: UTF8.self)
        }.joined(separator: "\n")
    }

    private static func grouped85(_ text: String, _ letters: [UInt8]) -> String {
        guard letters.count == 85 else { return text }
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 4) {
            let group = bytes[start..<min(start + 4, bytes.count)]
            var value = 0
            for index in 0..<4 { value = value << 8 | (index < group.count ? Int(group[start + index]) : 0) }
            var digits: [UInt8] = []
            for _ in 0..<5 {
                digits.append(letters[value % 85])
                value /= 85
            }
            out += digits.reversed().prefix(group.count + 1)
        }
        return String(decoding: out, as: UTF8.self)
    }
}
