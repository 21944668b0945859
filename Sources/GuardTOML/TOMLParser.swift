internal import GuardCore

struct TOMLParser {
    private let text: [Unicode.Scalar]
    private let file: String
    private var index = 0
    /// Nesting of arrays and inline tables.
    private var depth = 0
    private var root = TOMLTable(origin: .header)

    private static let depthMax = 64

    init(text: String, file: String) {
        self.text = Array(text.unicodeScalars)
        self.file = file
        if self.text.first == "\u{FEFF}" { index = 1 }
    }

    private struct Key {
        var name: String
        var at: Int
    }

    // MARK: places

    /// Lines are counted only where a place is asked for… and once for every entry, so the last answer is kept.
    private var lineStart = 0
    private var line = 1
    private var counted = 0

    private mutating func place(_ at: Int) -> (line: Int, column: Int) {
        if at < counted { (lineStart, line, counted) = (0, 1, 0) }
        while counted < at {
            if text[counted] == "\n" {
                line += 1
                lineStart = counted + 1
            }
            counted += 1
        }
        return (line, at - lineStart + 1)
    }

    private mutating func problem(_ message: String, at: Int? = nil) -> Diagnostic {
        let (line, column) = place(min(at ?? index, text.count))
        return Diagnostic(file: file, line: line, column: column, message)
    }

    // MARK: scanning

    private func peek(_ offset: Int = 0) -> Unicode.Scalar? { index + offset < text.count ? text[index + offset] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek() == scalar else { return false }
        index += 1
        return true
    }

    private mutating func skipBlanks() {
        while let scalar = peek(), scalar == " " || scalar == "\t" { index += 1 }
    }

    private mutating func skipComment() throws(Diagnostic) {
        guard peek() == "#" else { return }
        while let scalar = peek(), scalar != "\n" {
            if scalar == "\r", peek(1) == "\n" { return }
            if Self.isControl(scalar) { throw problem("a control character in a comment") }
            index += 1
        }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 && scalar != "\t" || scalar.value == 0x7F
    }

    private mutating func takeNewline() -> Bool {
        if take("\n") { return true }
        if peek() == "\r", peek(1) == "\n" {
            index += 2
            return true
        }
        return false
    }

    /// Blanks, comments and line ends, as between the items of an array.
    private mutating func skipSpace() throws(Diagnostic) {
        while true {
            skipBlanks()
            try skipComment()
            if !takeNewline() { return }
        }
    }

    private mutating func endOfLine() throws(Diagnostic) {
        skipBlanks()
        try skipComment()
        guard index == text.count || takeNewline() else { throw problem("expected the end of the line") }
    }

    // MARK: structure

    mutating func document() throws(Diagnostic) -> TOMLTable {
        var path: [String] = []
        while true {
            try skipSpace()
            guard let scalar = peek() else { return root }
            if scalar == "[" {
                let start = index
                let isArray = peek(1) == "["
                index += isArray ? 2 : 1
                skipBlanks()
                let keys = try dottedKey()
                skipBlanks()
                guard take("]"), !isArray || take("]") else {
                    throw problem("expected '\(isArray ? "]]" : "]")'")
                }
                try endOfLine()
                path = try open(keys, isArray: isArray, start)
            } else {
                try pair(path)
                try endOfLine()
            }
        }
    }

    /// `[a.b]` and `[[a.b]]`. Returns the names, with the last item of arrays meant throughout.
    private mutating func open(_ keys: [Key], isArray: Bool, _ start: Int) throws(Diagnostic) -> [String] {
        let (line, column) = place(start)
        var failure: (message: String, at: Int)?
        Self.update(&root, keys.dropLast().map(\.name)[...], line, column, dotted: false) { table, message in
            if let message {
                failure = (message, start)
                return
            }
            guard let last = keys.last else { return }
            let made = TOMLTable(origin: .header)
            guard let number = table.number(of: last.name) else {
                let value = TOMLValue(kind: .table(made), line: line, column: column)
                table.append(
                    .init(
                        key: last.name, line: line, column: column,
                        value: isArray ? TOMLValue(kind: .array([value]), line: line, column: column) : value))
                if isArray { table.entries[table.entries.count - 1].isArrayOfTables = true }
                return
            }
            switch table.entries[number].value.kind {
            case .array(var items) where isArray && table.entries[number].isArrayOfTables:
                items.append(TOMLValue(kind: .table(made), line: line, column: column))
                table.entries[number].value.kind = .array(items)
            case .table(var known) where !isArray && known.origin == .implied:
                known.origin = .header
                table.entries[number].value.kind = .table(known)
            default: failure = ("'\(last.name)' is defined already", last.at)
            }
        }
        if let failure { throw problem(failure.message, at: failure.at) }
        return keys.map(\.name)
    }

    /// Walks `path` down from `table`, making what is not there, and changes the table at its end in place.
    private static func update(
        _ table: inout TOMLTable, _ path: ArraySlice<String>, _ line: Int, _ column: Int, dotted: Bool,
        _ change: (inout TOMLTable, _ problem: String?) -> Void
    ) {
        guard let name = path.first else { return change(&table, nil) }
        guard let number = table.number(of: name) else {
            var made = TOMLTable(origin: dotted ? .dotted : .implied)
            update(&made, path.dropFirst(), line, column, dotted: dotted, change)
            table.append(
                .init(
                    key: name, line: line, column: column,
                    value: TOMLValue(kind: .table(made), line: line, column: column)))
            return
        }
        switch table.entries[number].value.kind {
        case .table(var inner):
            // Taken out while it is changed, so that nothing is copied.
            table.entries[number].value.kind = .boolean(false)
            if inner.origin == .inline || dotted && inner.origin != .dotted {
                change(&inner, "'\(name)' is complete; nothing can be added to it")
            } else if !dotted && inner.origin == .dotted {
                change(&inner, "'\(name)' was made by a dotted key; it cannot be opened again")
            } else {
                update(&inner, path.dropFirst(), line, column, dotted: dotted, change)
            }
            table.entries[number].value.kind = .table(inner)
        case .array(var items):
            table.entries[number].value.kind = .boolean(false)
            if !dotted, table.entries[number].isArrayOfTables, let last = items.indices.last,
                case .table(var inner) = items[last].kind
            {
                items[last].kind = .boolean(false)
                update(&inner, path.dropFirst(), line, column, dotted: dotted, change)
                items[last].kind = .table(inner)
            } else {
                change(&table, "'\(name)' is an array; nothing can be added to it")
            }
            table.entries[number].value.kind = .array(items)
        default: change(&table, "'\(name)' is no table")
        }
    }

    private mutating func pair(_ path: [String]) throws(Diagnostic) {
        let (keys, value, start) = try keyAndValue()
        let (line, column) = place(start)
        var message: String?
        // The header's table exists; only what the dotted key adds may be made.
        Self.update(&root, path[...], line, column, dotted: false) { table, problem in
            if problem == nil { message = Self.insert(keys.map(\.name), value, line, column, into: &table) }
        }
        if let message { throw problem(message, at: start) }
    }

    private static func insert(
        _ keys: [String], _ value: TOMLValue, _ line: Int, _ column: Int, into table: inout TOMLTable
    ) -> String? {
        var message: String?
        update(&table, keys.dropLast()[...], line, column, dotted: true) { table, problem in
            message = problem
            guard problem == nil, let last = keys.last else { return }
            guard table.number(of: last) == nil else {
                message = "'\(last)' is defined already"
                return
            }
            table.append(.init(key: last, line: line, column: column, value: value))
        }
        return message
    }

    private mutating func keyAndValue() throws(Diagnostic) -> ([Key], TOMLValue, Int) {
        let start = index
        let keys = try dottedKey()
        skipBlanks()
        guard take("=") else { throw problem("expected '='") }
        skipBlanks()
        return (keys, try value(), start)
    }

    private mutating func dottedKey() throws(Diagnostic) -> [Key] {
        var keys: [Key] = []
        while true {
            let start = index
            keys.append(Key(name: try simpleKey(), at: start))
            guard keys.count <= Self.depthMax else { throw problem("a key with more than \(Self.depthMax) parts") }
            skipBlanks()
            guard take(".") else { return keys }
            skipBlanks()
        }
    }

    private mutating func simpleKey() throws(Diagnostic) -> String {
        switch peek() {
        case "\"": return try basicString()
        case "'": return try literalString()
        default:
            var name = ""
            while let scalar = peek(), Self.isBare(scalar) {
                name.unicodeScalars.append(scalar)
                index += 1
            }
            guard !name.isEmpty else { throw problem("expected a key") }
            return name
        }
    }

    private static func isBare(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII && (scalar.properties.isAlphabetic || scalar.value &- 0x30 < 10) || scalar == "-" || scalar == "_"
    }

    // MARK: values

    private mutating func value() throws(Diagnostic) -> TOMLValue {
        let start = index
        let kind: TOMLValue.Kind
        switch peek() {
        case "\"": kind = .string(peek(1) == "\"" && peek(2) == "\"" ? try longString("\"") : try basicString())
        case "'": kind = .string(peek(1) == "'" && peek(2) == "'" ? try longString("'") : try literalString())
        case "[": kind = .array(try array())
        case "{": kind = .table(try inlineTable())
        default: kind = try bareValue()
        }
        let (line, column) = place(start)
        return TOMLValue(kind: kind, line: line, column: column)
    }

    private mutating func nested<T>(_ body: (inout TOMLParser) throws(Diagnostic) -> T) throws(Diagnostic) -> T {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else { throw problem("nested deeper than \(Self.depthMax) levels") }
        return try body(&self)
    }

    private mutating func array() throws(Diagnostic) -> [TOMLValue] {
        try nested { parser throws(Diagnostic) in
            parser.index += 1
            var items: [TOMLValue] = []
            while true {
                try parser.skipSpace()
                if parser.take("]") { return items }
                items.append(try parser.value())
                try parser.skipSpace()
                if parser.take(",") { continue }
                guard parser.take("]") else { throw parser.problem("expected ',' or ']'") }
                return items
            }
        }
    }

    private mutating func inlineTable() throws(Diagnostic) -> TOMLTable {
        try nested { parser throws(Diagnostic) in
            parser.index += 1
            var table = TOMLTable(origin: .inline)
            parser.skipBlanks()
            if parser.take("}") { return table }
            while true {
                parser.skipBlanks()
                let (keys, value, start) = try parser.keyAndValue()
                let (line, column) = parser.place(start)
                if let message = Self.insert(keys.map(\.name), value, line, column, into: &table) {
                    throw parser.problem(message, at: start)
                }
                parser.skipBlanks()
                if parser.take(",") { continue }
                guard parser.take("}") else { throw parser.problem("expected ',' or '}'") }
                table.origin = .inline
                return table
            }
        }
    }

    private mutating func literalString() throws(Diagnostic) -> String {
        index += 1
        var out = String.UnicodeScalarView()
        while let scalar = peek(), scalar != "'" {
            if Self.isControl(scalar) { throw problem("a control character in a string") }
            out.append(scalar)
            index += 1
        }
        guard take("'") else { throw problem("the string is not closed") }
        return String(out)
    }

    private mutating func basicString() throws(Diagnostic) -> String {
        index += 1
        var out = String.UnicodeScalarView()
        while let scalar = peek(), scalar != "\"" {
            if Self.isControl(scalar) { throw problem("a control character in a string") }
            index += 1
            out.append(scalar == "\\" ? try escaped() : scalar)
        }
        guard take("\"") else { throw problem("the string is not closed") }
        return String(out)
    }

    /// `"""` and `'''`.
    private mutating func longString(_ quote: Unicode.Scalar) throws(Diagnostic) -> String {
        let start = index
        index += 3
        _ = takeNewline()
        var out = String.UnicodeScalarView()
        while let scalar = peek() {
            if scalar == quote {
                var count = 0
                while peek(count) == quote, count < 5 { count += 1 }
                // Up to two quotes may stand in front of the three that close.
                if count >= 3 {
                    for _ in 3..<count { out.append(quote) }
                    index += count
                    return String(out)
                }
                for _ in 0..<count { out.append(quote) }
                index += count
                continue
            }
            if scalar == "\r", peek(1) == "\n" {
                out.append("\r")
                out.append("\n")
                index += 2
                continue
            }
            if Self.isControl(scalar), scalar != "\n" { throw problem("a control character in a string") }
            index += 1
            guard scalar == "\\", quote == "\"" else {
                out.append(scalar)
                continue
            }
            // A backslash at a line's end takes the white space behind it away.
            let mark = index
            skipBlanks()
            if takeNewline() {
                while let scalar = peek(), scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r" { index += 1 }
                continue
            }
            index = mark
            out.append(try escaped())
        }
        throw problem("the string is not closed", at: start)
    }

    /// Behind a backslash.
    private mutating func escaped() throws(Diagnostic) -> Unicode.Scalar {
        guard let scalar = peek() else { throw problem("the string is not closed") }
        index += 1
        switch scalar {
        case "b": return "\u{8}"
        case "t": return "\t"
        case "n": return "\n"
        case "f": return "\u{C}"
        case "r": return "\r"
        case "\"", "\\": return scalar
        case "u", "U":
            let count = scalar == "u" ? 4 : 8
            var value: UInt32 = 0
            for _ in 0..<count {
                guard let digit = peek(), digit.isASCII, let number = UInt32(String(digit), radix: 16) else {
                    throw problem("expected \(count) hexadecimal digits")
                }
                value = value << 4 | number
                index += 1
            }
            guard let result = Unicode.Scalar(value) else { throw problem("no Unicode scalar value") }
            return result
        default: throw problem("unknown escape '\\\(scalar)'", at: index - 1)
        }
    }

    private mutating func bareValue() throws(Diagnostic) -> TOMLValue.Kind {
        let start = index
        var word = ""
        while let scalar = peek(), Self.isBare(scalar) || scalar == "+" || scalar == "." || scalar == ":" {
            word.unicodeScalars.append(scalar)
            index += 1
        }
        // `1979-05-27 07:32:00`: a blank instead of the T.
        if Self.isDate(word), peek() == " ", let next = peek(1), next.value &- 0x30 < 10 {
            index += 1
            word += " "
            while let scalar = peek(), Self.isBare(scalar) || scalar == "+" || scalar == "." || scalar == ":" {
                word.unicodeScalars.append(scalar)
                index += 1
            }
        }
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "inf", "+inf": return .float(.infinity)
        case "-inf": return .float(-.infinity)
        case "nan", "+nan", "-nan": return .float(.nan)
        case "": throw problem("expected a value")
        default: break
        }
        if let kind = TOMLNumber.read(word) { return kind }
        if Self.isMoment(word) { return .moment(word) }
        throw problem("'\(word.prefix(40))' is no value", at: start)
    }

    private static func isDate(_ word: String) -> Bool {
        let bytes = Array(word.utf8)
        return bytes.count == 10 && bytes[4] == 0x2D && bytes[7] == 0x2D
            && bytes.enumerated().allSatisfy { $0.offset == 4 || $0.offset == 7 || $0.element &- 0x30 < 10 }
    }

    private static func isMoment(_ word: String) -> Bool {
        if isDate(word) { return true }
        func isTime(_ text: Substring) -> Bool {
            let bytes = Array(text.utf8)
            return bytes.count >= 8 && bytes[2] == 0x3A && bytes[5] == 0x3A
                && bytes.allSatisfy { $0 &- 0x30 < 10 || $0 == 0x3A || $0 == 0x2E || $0 == 0x2B || $0 == 0x2D || $0 | 0x20 == 0x7A }
        }
        guard word.utf8.count > 11, isDate(String(word.prefix(10))) else { return isTime(word[...]) }
        let mark = word.utf8.dropFirst(10).first
        return (mark == 0x54 || mark == 0x74 || mark == 0x20) && isTime(word.dropFirst(11))
    }
}

/// Numbers of TOML: underscores between digits, no leading zeros, three prefixes.
enum TOMLNumber {
    static func read(_ word: String) -> TOMLValue.Kind? {
        let bytes = Array(word.utf8)
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "_") {
            guard index > 0, index + 1 < bytes.count, isDigit(bytes[index - 1]), isDigit(bytes[index + 1]) else {
                return nil
            }
        }
        let plain = String(word.filter { $0 != "_" })
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where plain.hasPrefix(prefix) {
            let digits = plain.dropFirst(2)
            guard digits.first != "+", digits.first != "-" else { return nil }
            return Int(digits, radix: radix).map { .integer($0) }
        }
        var digits = plain[...]
        if digits.first == "+" || digits.first == "-" { digits = digits.dropFirst() }
        guard let first = digits.utf8.first, first &- 0x30 < 10 else { return nil }
        let whole = digits.prefix { $0.isASCII && $0.isNumber }
        guard whole == "0" || !whole.hasPrefix("0") else { return nil }
        let rest = digits.dropFirst(whole.count)
        if rest.isEmpty { return Int(plain).map { .integer($0) } }
        // `1.` and `.5` are none.
        let parts = rest.utf8
        let afterPoint = rest.first == "." ? parts.dropFirst().first : 0x30
        guard let afterPoint, afterPoint &- 0x30 < 10,
            parts.allSatisfy({ $0 &- 0x30 < 10 || $0 == 0x2E || $0 | 0x20 == 0x65 || $0 == 0x2B || $0 == 0x2D })
        else { return nil }
        return Double(plain).map { .float($0) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6 }
}
