/// What has to be known of a pattern's source before PCRE2 sees it, read by a scanner that knows escapes, classes,
/// `\Q..\E` and comments. Where it cannot be sure (extended mode, whose comments it does not follow) it errs towards
/// reporting a construct: that costs a load error with a clear message, never a leak.
struct PatternSyntax {
    /// Length in bytes of the `(*VERB)` settings at the very start, which only count there.
    var leadingVerbsEnd = 0
    /// `\K`: the match would begin behind text that it needed.
    var usesBackslashK = false
    /// `\G`: the match would depend on where the search began.
    var usesBackslashG = false
    /// `\C`: one byte of a character; PCRE2_NEVER_BACKSLASH_C refuses it, this gives the better message.
    var usesBackslashC = false
    /// `(*COMMIT)`, `(*PRUNE)`, `(*SKIP)`: they steer which later starts are tried.
    var usesSearchVerbs = false
    /// `(*ACCEPT)`: the match would end before it reached what stands at the pattern's end.
    var usesAccept = false
    /// Lookbehind groups, an upper bound.
    var lookbehinds = 0

    private static let settings: Set<String> = [
        "UTF", "UCP", "NOTEMPTY", "NOTEMPTY_ATSTART", "NO_AUTO_POSSESS", "NO_DOTSTAR_ANCHOR", "NO_JIT", "NO_START_OPT",
        "CR", "LF", "CRLF", "ANY", "NUL", "ANYCRLF", "BSR_ANYCRLF", "BSR_UNICODE",
    ]

    init(_ source: [UInt8], extended: Bool) {
        leadingVerbsEnd = Self.leadingVerbs(source)
        let extended = extended || Self.mayTurnOnExtended(source)
        scan(source, structured: !extended)
    }

    private static func leadingVerbs(_ source: [UInt8]) -> Int {
        var end = 0
        while end + 2 < source.count, source[end] == UInt8(ascii: "("), source[end + 1] == UInt8(ascii: "*") {
            guard let close = source[end...].firstIndex(of: UInt8(ascii: ")")) else { break }
            let name = String(decoding: source[(end + 2)..<close], as: UTF8.self)
            let isLimit = name.hasPrefix("LIMIT_") && name.contains("=")
            guard isLimit || settings.contains(name) else { break }
            end = close + 1
        }
        return end
    }

    /// `(?x`, `(?ix)`, `(?xx:` ... anywhere, also where it is quoted: an over-approximation.
    private static func mayTurnOnExtended(_ source: [UInt8]) -> Bool {
        var index = 0
        while index + 2 < source.count {
            if source[index] == UInt8(ascii: "("), source[index + 1] == UInt8(ascii: "?") {
                var at = index + 2
                while at < source.count, isFlag(source[at]) {
                    if source[at] == UInt8(ascii: "x") { return true }
                    at += 1
                }
            }
            index += 1
        }
        return false
    }

    private static func isFlag(_ byte: UInt8) -> Bool {
        (byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")) || byte == UInt8(ascii: "J")
            || byte == UInt8(ascii: "U") || byte == UInt8(ascii: "^")
    }

    /// `structured` follows quotes, classes and `(?#` comments. Without it only the parity of backslashes counts,
    /// which no comment can shift: `\` and the character behind it are one pair in either reading.
    private mutating func scan(_ source: [UInt8], structured: Bool) {
        var index = leadingVerbsEnd
        var inClass = false
        while index < source.count {
            let byte = source[index]
            let next = index + 1 < source.count ? source[index + 1] : 0
            switch byte {
            case UInt8(ascii: "\\"):
                switch next {
                case UInt8(ascii: "K"): usesBackslashK = true
                case UInt8(ascii: "G"): usesBackslashG = true
                case UInt8(ascii: "C"): usesBackslashC = true
                case UInt8(ascii: "Q") where structured:
                    index = Self.find([UInt8(ascii: "\\"), UInt8(ascii: "E")], in: source, from: index + 2) + 2
                    continue
                default: break
                }
                index += 2
                continue
            case UInt8(ascii: "[") where structured && !inClass:
                inClass = true
                index += 1
                if index < source.count, source[index] == UInt8(ascii: "^") { index += 1 }
                // A `]` that comes first is a literal.
                if index < source.count, source[index] == UInt8(ascii: "]") { index += 1 }
                continue
            case UInt8(ascii: "[") where structured && (next == UInt8(ascii: ":")):
                // A POSIX class inside a class: its `]` does not end the class.
                let close = Self.find([UInt8(ascii: ":"), UInt8(ascii: "]")], in: source, from: index + 2)
                let isName =
                    close < source.count
                    && source[(index + 2)..<close].allSatisfy {
                        ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z")) || $0 == UInt8(ascii: "^")
                    }
                index = isName ? close + 2 : index + 1
                continue
            case UInt8(ascii: "]") where inClass:
                inClass = false
            case UInt8(ascii: "(") where !inClass:
                if structured, Self.starts(source, index, "(?#") {
                    index = Self.find([UInt8(ascii: ")")], in: source, from: index) + 1
                    continue
                }
                readGroup(source, index)
            default: break
            }
            index += 1
        }
    }

    private mutating func readGroup(_ source: [UInt8], _ index: Int) {
        if Self.starts(source, index, "(?<=") || Self.starts(source, index, "(?<!")
            || Self.starts(source, index, "(?<*")
        {
            lookbehinds += 1
        } else if Self.starts(source, index, "(*") {
            let verbs: [StaticString] = ["(*COMMIT", "(*PRUNE", "(*SKIP", "(*THEN"]
            if verbs.contains(where: { Self.starts(source, index, $0) }) { usesSearchVerbs = true }
            if Self.starts(source, index, "(*ACCEPT") { usesAccept = true }
            // `(*plb:` and its long names.
            if index + 2 < source.count, Self.isFlag(source[index + 2]) { lookbehinds += 1 }
        }
    }

    private static func starts(_ source: [UInt8], _ index: Int, _ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard index + length <= source.count else { return false }
        return (0..<length).allSatisfy { source[index + $0] == text.utf8Start[$0] }
    }

    /// Offset of the first `needle` at or after `from`, or the end.
    private static func find(_ needle: [UInt8], in source: [UInt8], from: Int) -> Int {
        var index = from
        while index + needle.count <= source.count {
            if source[index..<(index + needle.count)].elementsEqual(needle) { return index }
            index += 1
        }
        return source.count
    }
}
