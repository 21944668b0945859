/// Rewrites a pattern of Go's `regexp` (RE2 syntax) so that PCRE2, as this product compiles it, means the same.
///
/// | Go | here | why |
/// |---|---|---|
/// | `$` without `m` | `\z` | PCRE2's also holds in front of a last newline |
/// | `.` without `s` | `[^\n]` | our newline is ANYCRLF: `.` would stop at CR too |
/// | `\s`, `\S` | `[\t\n\f\r ]` and its complement | PCRE2's has VT |
/// | `\v` | `\x0B` | PCRE2's is a class |
/// | `{,` | `\{,` | newer PCRE2 reads a repeat |
///
/// All else is the same in both: leftmost-first matches, flags to the end of their group, `(?P<name>`, POSIX classes.
struct GoPattern {
    private let source: [Unicode.Scalar]
    private var index = 0
    private var out = String.UnicodeScalarView()
    /// `s` and `m`, of the open groups.
    private var flags: [(dotAll: Bool, multiline: Bool)] = [(false, false)]

    static func rewritten(_ source: String) -> String {
        var rewriter = GoPattern(source: Array(source.unicodeScalars))
        rewriter.run()
        return String(rewriter.out)
    }

    private init(source: [Unicode.Scalar]) { self.source = source }

    private func at(_ offset: Int) -> Unicode.Scalar? {
        index + offset < source.count ? source[index + offset] : nil
    }

    private mutating func put(_ text: String, instead count: Int) {
        out.append(contentsOf: text.unicodeScalars)
        index += count
    }

    private mutating func copy(_ count: Int) {
        for _ in 0..<count where index < source.count {
            out.append(source[index])
            index += 1
        }
    }

    private var isDotAll: Bool { flags.last?.dotAll ?? false }
    private var isMultiline: Bool { flags.last?.multiline ?? false }

    private mutating func run() {
        while let scalar = at(0) {
            switch scalar {
            case "\\": escape()
            case "[": characterClass()
            case "(": group()
            case ")":
                if flags.count > 1 { flags.removeLast() }
                copy(1)
            case "$" where !isMultiline: put("\\z", instead: 1)
            case "." where !isDotAll: put("[^\\n]", instead: 1)
            case "{" where at(1) == ",": put("\\{", instead: 1)
            default: copy(1)
            }
        }
    }

    private mutating func escape() {
        switch at(1) {
        case "s": put("[\\t\\n\\f\\r ]", instead: 2)
        case "S": put("[^\\t\\n\\f\\r ]", instead: 2)
        case "v": put("\\x0B", instead: 2)
        case "Q":
            copy(2)
            while index < source.count, !(at(0) == "\\" && at(1) == "E") { copy(1) }
            copy(2)
        case "p" where at(2) == "{", "P" where at(2) == "{", "x" where at(2) == "{":
            while let scalar = at(0), scalar != "}" {
                _ = scalar
                copy(1)
            }
            copy(1)
        default: copy(2)
        }
    }

    private mutating func characterClass() {
        copy(1)
        if at(0) == "^" { copy(1) }
        if at(0) == "]" { copy(1) }
        while let scalar = at(0), scalar != "]" {
            if scalar == "[", at(1) == ":" {
                copy(2)
                while index < source.count, !(at(0) == ":" && at(1) == "]") { copy(1) }
                copy(2)
            } else if scalar == "[" {
                // Go takes it for itself; PCRE2 might see `[.` or `[=`.
                put("\\[", instead: 1)
            } else if scalar == "\\" {
                switch at(1) {
                case "s": put("\\t\\n\\f\\r ", instead: 2)
                // All but white space, and VT, which Go does not count as white space.
                case "S": put("\\S\\x0B", instead: 2)
                case "v": put("\\x0B", instead: 2)
                default: copy(2)
                }
            } else {
                copy(1)
            }
        }
        copy(1)
    }

    private mutating func group() {
        var inner = flags.last ?? (false, false)
        guard at(1) == "?", let next = at(2), next == "-" || next.properties.isLowercase || next == "U" else {
            flags.append(inner)
            copy(1)
            return
        }
        copy(2)
        var value = true
        while let scalar = at(0), scalar != ")", scalar != ":" {
            switch scalar {
            case "-": value = false
            case "s": inner.dotAll = value
            case "m": inner.multiline = value
            default: break
            }
            copy(1)
        }
        // `(?s)` holds to the end of the group that it stands in, `(?s:…)` for its own.
        if at(0) == ")" {
            flags[flags.count - 1] = inner
        } else {
            flags.append(inner)
        }
        copy(1)
    }
}
