internal import GuardMatching

/// Reads a PCRE2 pattern into a tree: the subset that can be thought about as an automaton, and no guesses about the
/// rest. What it does not know (recursion, conditions, verbs, `\X`) ends in `PatternNotAnalysed`.
///
/// It is only asked about patterns that PCRE2 has compiled, so it need not find every mistake; for text that is no
/// pattern it gives an error or some tree, never a crash.
struct PatternParser {
    struct Flags {
        var caseless: Bool
        var multiline: Bool
        var dotAll: Bool
        var extended: Bool
    }

    let source: [Unicode.Scalar]
    var index = 0
    var flags: Flags
    /// `(*UCP)`: `\d`, `\w`, `\s` and `\b` go by Unicode.
    var isUCP = false
    var setsAreExact = true
    /// The longest text of each group that is closed, by number and by name.
    private(set) var groupBytes: [String: Int?] = [:]
    private var groups = 0
    private var depth = 0
    private var nodes = 0

    private static let depthMax = 250
    private static let nodesMax = 200_000

    static func parse(
        _ source: String, options: PatternOptions = PatternOptions()
    ) throws(PatternNotAnalysed) -> ParsedPattern {
        var parser = PatternParser(
            source: Array(source.unicodeScalars),
            flags: Flags(
                caseless: options.caseless, multiline: options.multiline, dotAll: options.dotMatchesNewline,
                extended: options.extended))
        parser.skipLeadingVerbs()
        let root = try parser.alternatives()
        if parser.index < parser.source.count { throw parser.unknown("an unmatched ')'") }
        return ParsedPattern(root: root, setsAreExact: parser.setsAreExact)
    }

    private init(source: [Unicode.Scalar], flags: Flags) {
        self.source = source
        self.flags = flags
    }

    func unknown(_ reason: String) -> PatternNotAnalysed { PatternNotAnalysed(reason: reason, offset: index) }

    func at(_ offset: Int = 0) -> Unicode.Scalar? {
        index + offset < source.count ? source[index + offset] : nil
    }

    mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard index + wanted.count <= source.count, source[index..<(index + wanted.count)].elementsEqual(wanted) else {
            return false
        }
        index += wanted.count
        return true
    }

    /// The text up to `end`, which is taken too.
    mutating func text(until end: Unicode.Scalar) throws(PatternNotAnalysed) -> String {
        guard let close = source[index...].firstIndex(of: end) else { throw unknown("'\(end)' is missing") }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: source[index..<close])
        index = close + 1
        return String(text)
    }

    private mutating func skipLeadingVerbs() {
        while at() == "(", at(1) == "*", let close = source[index...].firstIndex(of: ")") {
            var name = String.UnicodeScalarView()
            name.append(contentsOf: source[(index + 2)..<close])
            switch String(name) {
            case "UTF", "NO_AUTO_POSSESS", "NO_DOTSTAR_ANCHOR", "NO_JIT", "NO_START_OPT", "ANYCRLF": break
            case "UCP": isUCP = true
            default: return
            }
            index = close + 1
        }
    }

    // MARK: structure

    private mutating func alternatives() throws(PatternNotAnalysed) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else { throw unknown("groups are nested too deep") }
        let outer = flags
        defer { flags = outer }
        var branches = [try sequence()]
        while at() == "|" {
            index += 1
            // `(?i)` holds to the end of the group, also in the branches behind it.
            branches.append(try sequence())
        }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() throws(PatternNotAnalysed) -> PatternNode {
        var parts: [PatternNode] = []
        while let scalar = at(), scalar != "|", scalar != ")" {
            if flags.extended, skipSpace() { continue }
            nodes += 1
            guard nodes <= Self.nodesMax else { throw unknown("the pattern is too long") }
            guard let atom = try atom() else { continue }
            parts.append(try quantified(atom))
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func skipSpace() -> Bool {
        guard let scalar = at() else { return false }
        if scalar.properties.isPatternWhitespace {
            index += 1
            return true
        }
        guard scalar == "#" else { return false }
        while let scalar = at(), scalar != "\n", scalar != "\r" { index += 1 }
        return true
    }

    private mutating func quantified(_ atom: PatternNode) throws(PatternNotAnalysed) -> PatternNode {
        var node = atom
        while true {
            while flags.extended, skipSpace() {}
            let bounds: (Int, Int?)
            switch at() {
            case "?": (bounds, index) = ((0, 1), index + 1)
            case "*": (bounds, index) = ((0, nil), index + 1)
            case "+": (bounds, index) = ((1, nil), index + 1)
            case "{":
                guard let (low, high, end) = braces() else {
                    // Newer versions read `{,3}` and `{ 1 }` as repeats.
                    if let next = at(1), next == "," || next == " " || next == "\t" {
                        throw unknown("'{' that versions of PCRE2 read differently")
                    }
                    return node
                }
                (bounds, index) = ((low, high), end)
            default: return node
            }
            // Laziness changes which match is found first, not which there are.
            let isPossessive = at() == "+"
            if isPossessive || at() == "?" { index += 1 }
            if bounds != (1, 1) { node = .repetition(node, low: bounds.0, high: bounds.1) }
            if isPossessive { node = .atomic(node) }
        }
    }

    private func braces() -> (Int, Int?, Int)? {
        var position = index + 1
        func number() -> Int? {
            var value: Int?
            while position < source.count, let digit = Self.digit(source[position]), (value ?? 0) < 100_000 {
                value = (value ?? 0) * 10 + digit
                position += 1
            }
            return value
        }
        guard let low = number(), position < source.count else { return nil }
        if source[position] == "}" { return (low, low, position + 1) }
        guard source[position] == "," else { return nil }
        position += 1
        let high = number()
        guard position < source.count, source[position] == "}", high ?? low >= low else { return nil }
        return (low, high, position + 1)
    }

    static func digit(_ scalar: Unicode.Scalar) -> Int? {
        scalar.value >= 0x30 && scalar.value <= 0x39 ? Int(scalar.value) - 0x30 : nil
    }

    /// `nil`: something that matches nothing by itself (a comment, a setting).
    private mutating func atom() throws(PatternNotAnalysed) -> PatternNode? {
        guard let scalar = at() else { return nil }
        switch scalar {
        case "\\": return try escape()
        case "[": return .characters(try characterClass())
        case "(": return try group()
        case ".":
            index += 1
            return .characters(flags.dotAll ? .all : .notNewline)
        case "^":
            index += 1
            return .anchor(flags.multiline ? .lineStart : .textStart)
        case "$":
            index += 1
            return .anchor(flags.multiline ? .lineEnd : .textEnd)
        case "*", "+", "?": throw unknown("a quantifier with nothing before it")
        default:
            index += 1
            return .characters(literal(scalar.value))
        }
    }

    mutating func literal(_ value: UInt32) -> ScalarSet {
        flags.caseless ? caseless(ScalarSet(value)) : ScalarSet(value)
    }

    mutating func caseless(_ set: ScalarSet) -> ScalarSet {
        let (set, isExact) = set.addingCases()
        setsAreExact = setsAreExact && isExact
        return set
    }

    private mutating func close(_ node: PatternNode) throws(PatternNotAnalysed) -> PatternNode {
        guard at() == ")" else { throw unknown("')' is missing") }
        index += 1
        return node
    }

    private mutating func group() throws(PatternNotAnalysed) -> PatternNode? {
        if take("(?#") {
            _ = try text(until: ")")
            return nil
        }
        if at(1) == "*" { throw unknown("a verb") }
        guard at(1) == "?" else {
            index += 1
            return try capture("")
        }
        if take("(?:") { return try close(try alternatives()) }
        if take("(?>") { return try close(.atomic(try alternatives())) }
        if take("(?=") { return try close(.look(try alternatives(), isAhead: true, isNegative: false)) }
        if take("(?!") { return try close(.look(try alternatives(), isAhead: true, isNegative: true)) }
        if take("(?<=") { return try close(.look(try alternatives(), isAhead: false, isNegative: false)) }
        if take("(?<!") { return try close(.look(try alternatives(), isAhead: false, isNegative: true)) }
        if take("(?|") {
            // Numbers begin anew in each branch: which group a reference means is not followed.
            groups += 1000
            return try close(try alternatives())
        }
        if take("(?P=") {
            return reference(try text(until: ")"))
        }
        for (open, end) in [("(?P<", ">"), ("(?<", ">"), ("(?'", "'")] as [(String, Unicode.Scalar)] where take(open) {
            return try capture(try text(until: end))
        }
        return try settings()
    }

    private mutating func capture(_ name: String) throws(PatternNotAnalysed) -> PatternNode {
        groups += 1
        let number = String(groups)
        let node = try close(try alternatives())
        // Two groups of one number or name, by `(?|` or `(?J)`: either may be meant.
        for key in [number, name] where !key.isEmpty {
            groupBytes[key] = .some(groupBytes[key] == nil ? node.bytesMax : nil)
        }
        return node
    }

    func reference(_ name: String) -> PatternNode { .backreference(bytesMax: groupBytes[name] ?? nil) }

    /// `(?i-s)` or `(?i-s:…)`.
    private mutating func settings() throws(PatternNotAnalysed) -> PatternNode? {
        var changed = flags
        var value = true
        var position = index + 2
        while position < source.count {
            let scalar = source[position]
            position += 1
            switch scalar {
            case "^": changed = Flags(caseless: false, multiline: false, dotAll: false, extended: false)
            case "-": value = false
            case "i": changed.caseless = value
            case "m": changed.multiline = value
            case "s": changed.dotAll = value
            case "x": changed.extended = value
            case "U", "J": break
            case ")":
                index = position
                flags = changed
                return nil
            case ":":
                index = position
                let outer = flags
                flags = changed
                defer { flags = outer }
                return try close(try alternatives())
            default: throw unknown("a recursion, a condition or a group that is not known here")
            }
        }
        throw unknown("')' is missing")
    }
}
