package import GuardCore

/// `mask:` of a rule: text that replaces a match, with fields in braces.
///
/// | field | is |
/// |---|---|
/// | `{last4}`, `{lastN}` | the last N (1 to 8) characters that the rule reads as ASCII letters and digits |
/// | `{first4}`, `{firstN}` | the first N likewise |
/// | `{0}` to `{99}` | a capture group of the pattern; nothing where it took no part |
/// | `{name}` | a named group |
/// | `{length}` | the match's length in Unicode scalars |
/// | `{{`, `}}` | a brace |
///
/// Fields give the raw text: a folded rule that finds `ＢＯＢ` by `(bob)` writes `ＢＯＢ` for `{1}`. Of a decoded rule they give
/// the decoded text, folded as the rule read it, never the encoded span. A template never gives more than 4096 bytes.
package struct MaskTemplate: Sendable, Hashable {
    package enum Part: Sendable, Hashable {
        case text([UInt8])
        case last(Int)
        case first(Int)
        case group(Int)
        /// Resolved to `group` when the pattern is known.
        case named(String)
        case length
    }

    package struct Problem: Error, Sendable, Hashable {
        package var message: String
        /// In Unicode scalars of the template.
        package var offset: Int
    }

    package let source: String
    package private(set) var parts: [Part]

    static let outputBytesMax = 4096

    /// `[REDACTED]`: what a `mask` rule without a template writes.
    package static let standard = MaskTemplate(source: "[REDACTED]", parts: [.text(Array("[REDACTED]".utf8))])

    private init(source: String, parts: [Part]) {
        self.source = source
        self.parts = parts
    }

    package init(_ source: String) throws(Problem) {
        self.source = source
        var parts: [Part] = []
        var literal: [UInt8] = []
        let scalars = Array(source.unicodeScalars)
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            if scalar == "{" || scalar == "}" {
                if index + 1 < scalars.count, scalars[index + 1] == scalar {
                    literal.append(UInt8(ascii: scalar))
                    index += 2
                    continue
                }
                guard scalar == "{" else {
                    throw Problem(message: "'}' without '{'; write '}}' for a brace", offset: index)
                }
                guard let end = scalars[index...].firstIndex(of: "}") else {
                    throw Problem(message: "'{' is not closed; write '{{' for a brace", offset: index)
                }
                var name = ""
                name.unicodeScalars.append(contentsOf: scalars[(index + 1)..<end])
                if !literal.isEmpty { parts.append(.text(literal)) }
                literal = []
                parts.append(try Self.field(name, at: index))
                index = end + 1
                continue
            }
            literal.append(contentsOf: Array(String(scalar).utf8))
            index += 1
        }
        if !literal.isEmpty { parts.append(.text(literal)) }
        self.parts = parts
    }

    private static func field(_ name: String, at offset: Int) throws(Problem) -> Part {
        if name == "length" { return .length }
        if let group = Int(name), group >= 0, group <= 99, name.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
            return .group(group)
        }
        for (prefix, isLast) in [("last", true), ("first", false)] where name.hasPrefix(prefix) {
            let digits = name.dropFirst(prefix.count)
            guard let count = Int(digits) else { continue }
            guard count >= 1, count <= 8 else {
                throw Problem(message: "'{\(name)}': 1 to 8 characters can be kept", offset: offset)
            }
            return isLast ? .last(count) : .first(count)
        }
        let word = name.utf8.allSatisfy { $0 == 0x5F || $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 }
        guard word, !name.isEmpty else {
            throw Problem(
                message: "unknown field '{\(name)}'; known are {lastN}, {firstN}, {n}, {name} of a group, {length}",
                offset: offset)
        }
        return .named(name)
    }

    /// Resolves named groups and checks numbered ones against a pattern's groups. The text tells what is wrong.
    package mutating func resolve(names: [String: Int], captureCount: Int) -> String? {
        for index in parts.indices {
            switch parts[index] {
            case .named(let name):
                guard let group = names[name] else {
                    return
                        "unknown field '{\(name)}': no group of that name, nor one of {lastN}, {firstN}, {n}, {length}"
                }
                parts[index] = .group(group)
            case .group(let group) where group > captureCount:
                return "the pattern has no group \(group)"
            default: break
            }
        }
        return nil
    }

    package var usesGroups: Bool {
        parts.contains {
            switch $0 {
            case .group(let group): group > 0
            case .named: true
            default: false
            }
        }
    }

    /// The replacement of a match.
    ///
    /// - Parameters:
    ///   - text: the view's text, `range` the match in it.
    ///   - raw: the text that fields are written from, and `rawRange` what a range of `text` stands for in it.
    ///   - group: the range of a capture group in `text`.
    package func render(
        _ text: Span<UInt8>, range: ByteRange, raw: Span<UInt8>, rawRange: (ByteRange) -> ByteRange,
        group: (Int) -> ByteRange?
    ) -> [UInt8] {
        if case .text(let only)? = parts.first, parts.count == 1 { return only }
        var out: [UInt8] = []
        func write(_ range: ByteRange) {
            for index in range.clamped(to: 0..<raw.count) { out.append(raw[index]) }
        }
        for part in parts {
            switch part {
            case .text(let literal): out.append(contentsOf: literal)
            case .last(let count):
                // What folding made two letters of (`ﬁ`) is one character, written once.
                var kept: [ByteRange] = []
                for index in range.reversed() where kept.count < count && Self.isAlphanumeric(text[index]) {
                    let character = rawRange(index..<(index + 1))
                    if kept.last != character { kept.append(character) }
                }
                for character in kept.reversed() { write(character) }
            case .first(let count):
                var kept: [ByteRange] = []
                for index in range where kept.count < count && Self.isAlphanumeric(text[index]) {
                    let character = rawRange(index..<(index + 1))
                    if kept.last != character { kept.append(character) }
                }
                for character in kept { write(character) }
            case .group(let number):
                guard let range = number == 0 ? range : group(number), !range.isEmpty else { continue }
                write(rawRange(range))
            case .length:
                var count = 0
                for index in rawRange(range).clamped(to: 0..<raw.count) where raw[index] & 0xC0 != 0x80 { count += 1 }
                out.append(contentsOf: Array(String(count).utf8))
            case .named: continue
            }
        }
        if out.count > Self.outputBytesMax {
            var end = Self.outputBytesMax
            while end > 0, out[end] & 0xC0 == 0x80 { end -= 1 }
            out.removeSubrange(end...)
        }
        return out
    }

    /// As above, of a raw text.
    package func render(_ text: Span<UInt8>, range: ByteRange, group: (Int) -> ByteRange?) -> [UInt8] {
        render(text, range: range, raw: text, rawRange: { $0 }, group: group)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 }
}
