/// A token of Jinja's lexer. `data` is what stands between tags.
struct Token: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case data, variableBegin, variableEnd, blockBegin, blockEnd
        case name, string, integer, float, symbol
        case end
    }

    var kind: Kind
    /// Decoded: a string's content, newlines of data as `\n`.
    var text: PythonString
    var line: Int

    func isName(_ name: String) -> Bool { kind == .name && text.utf8.elementsEqual(name.utf8) }

    func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text.utf8.elementsEqual(symbol.utf8) }

    /// As Jinja names it in messages.
    var description: String {
        switch kind {
        case .data: "template data / text"
        case .variableBegin: "begin of print statement"
        case .variableEnd: "end of print statement"
        case .blockBegin: "begin of statement block"
        case .blockEnd: "end of statement block"
        case .end: "end of template"
        case .string: "string"
        case .integer: "integer"
        case .float: "float"
        case .name, .symbol: text.string
        }
    }
}

/// Jinja's lexer with `trim_blocks` and `lstrip_blocks`, without line statements. Linear in the source.
struct Lexer {
    private let source: [UInt8]
    private var position = 0
    private var line = 1
    private var tokens: [Token] = []
    /// Whether the text that comes next begins a line: then white space before a tag can be stripped.
    private var isLineStart = true

    static func tokenize(_ source: String) throws(TemplateError) -> [Token] {
        var lexer = Lexer(source)
        try lexer.run()
        return lexer.tokens
    }

    /// Line ends become `\n`, and one at the end of the source goes.
    private init(_ source: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.utf8.count)
        var wasReturn = false
        for byte in source.utf8 {
            if byte == UInt8(ascii: "\r") {
                bytes.append(UInt8(ascii: "\n"))
            } else if byte != UInt8(ascii: "\n") || !wasReturn {
                bytes.append(byte)
            }
            wasReturn = byte == UInt8(ascii: "\r")
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        self.source = bytes
    }

    private func failure(_ message: String) -> TemplateError { TemplateError(.syntax, message, line: line) }

    private func peek(_ offset: Int = 0) -> UInt8 {
        position + offset < source.count ? source[position + offset] : 0
    }

    private func starts(_ text: StaticString, at start: Int) -> Bool {
        guard start + text.utf8CodeUnitCount <= source.count else { return false }
        return text.withUTF8Buffer { source[start..<start + $0.count].elementsEqual($0) }
    }

    private mutating func append(_ kind: Token.Kind, _ range: Range<Int>) {
        tokens.append(Token(kind: kind, text: PythonString(utf8: Array(source[range])), line: line))
    }

    private mutating func advance(to end: Int) {
        for byte in source[position..<end] where byte == UInt8(ascii: "\n") { line += 1 }
        if end > position { isLineStart = source[end - 1] == UInt8(ascii: "\n") }
        position = end
    }

    private mutating func run() throws(TemplateError) {
        while position < source.count {
            guard let tag = nextTag() else {
                append(.data, position..<source.count)
                advance(to: source.count)
                break
            }
            let kind = source[tag + 1]
            if kind == UInt8(ascii: "%"), let raw = rawBegin(at: tag) {
                takeData(to: tag, sign: raw.sign, strips: true)
                advance(to: raw.end)
                try takeRaw()
                continue
            }
            let sign = tag + 2 < source.count ? source[tag + 2] : 0
            let isSigned = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
            takeData(to: tag, sign: isSigned ? sign : 0, strips: kind != UInt8(ascii: "{"))
            let start = tag + (isSigned ? 3 : 2)
            switch kind {
            case UInt8(ascii: "#"):
                advance(to: start)
                try skipComment()
            case UInt8(ascii: "%"):
                append(.blockBegin, tag..<start)
                advance(to: start)
                try takeExpression(closing: "%}", end: .blockEnd, trims: true)
            default:
                append(.variableBegin, tag..<start)
                advance(to: start)
                try takeExpression(closing: "}}", end: .variableEnd, trims: false)
            }
        }
        tokens.append(Token(kind: .end, text: .empty, line: line))
    }

    private func nextTag() -> Int? {
        var index = position
        while index + 1 < source.count {
            if source[index] == UInt8(ascii: "{") {
                switch source[index + 1] {
                case UInt8(ascii: "{"), UInt8(ascii: "%"), UInt8(ascii: "#"): return index
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    /// The text before a tag. `-` strips all white space before it; without a sign `lstrip_blocks` strips what stands
    /// between a line's begin and the tag, unless it is a variable's.
    private mutating func takeData(to tag: Int, sign: UInt8, strips: Bool) {
        var end = tag
        if sign == UInt8(ascii: "-") {
            end = PythonString(utf8: Array(source[position..<tag])).stripped(nil, left: false).utf8.count + position
        } else if sign != UInt8(ascii: "+"), strips {
            let lineBegin = source[position..<tag].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
            if lineBegin != nil || isLineStart {
                let begin = lineBegin ?? position
                let blank = PythonString(utf8: Array(source[begin..<tag])).stripped(nil).utf8.isEmpty
                if blank { end = begin }
            }
        }
        if end > position { append(.data, position..<end) }
        // The line start of the tag itself does not matter: only what follows a tag's end does.
        advance(to: tag)
    }

    private func skipSpace(from start: Int) -> Int {
        var index = start
        while index < source.count {
            let width = PythonString.width(source[index])
            guard index + width <= source.count else { break }
            let scalar = PythonString(utf8: Array(source[index..<index + width])).scalar(at: 0)
            guard PythonString.isSpace(scalar) else { break }
            index += width
        }
        return index
    }

    private func rawBegin(at tag: Int) -> (sign: UInt8, end: Int)? {
        var index = tag + 2
        var sign: UInt8 = 0
        if index < source.count, source[index] == UInt8(ascii: "-") || source[index] == UInt8(ascii: "+") {
            sign = source[index]
            index += 1
        }
        index = skipSpace(from: index)
        guard starts("raw", at: index) else { return nil }
        index = skipSpace(from: index + 3)
        if starts("-%}", at: index) { return (sign, skipSpace(from: index + 3)) }
        return starts("%}", at: index) ? (sign, index + 2) : nil
    }

    private mutating func takeRaw() throws(TemplateError) {
        var tag = position
        while tag + 1 < source.count {
            if starts("{%", at: tag) {
                var index = tag + 2
                var sign: UInt8 = 0
                if index < source.count, source[index] == UInt8(ascii: "-") || source[index] == UInt8(ascii: "+") {
                    sign = source[index]
                    index += 1
                }
                index = skipSpace(from: index)
                if starts("endraw", at: index), let end = tagEnd("%}", at: skipSpace(from: index + 6), trims: true) {
                    takeData(to: tag, sign: sign, strips: true)
                    advance(to: end)
                    return
                }
            }
            tag += 1
        }
        throw failure("Missing end of raw directive")
    }

    /// Where a tag ends that closes here: `-` swallows the white space behind, `trim_blocks` one newline.
    private func tagEnd(_ closing: StaticString, at index: Int, trims: Bool) -> Int? {
        if index < source.count, source[index] == UInt8(ascii: "-"), starts(closing, at: index + 1) {
            return skipSpace(from: index + 3)
        }
        if trims, index < source.count, source[index] == UInt8(ascii: "+"), starts(closing, at: index + 1) {
            return index + 3
        }
        guard starts(closing, at: index) else { return nil }
        let end = index + 2
        return trims && end < source.count && source[end] == UInt8(ascii: "\n") ? end + 1 : end
    }

    private mutating func skipComment() throws(TemplateError) {
        var index = position
        while index < source.count {
            // A sign that is part of `-#}` or `+#}` stands before the end mark.
            if let end = tagEnd("#}", at: index, trims: true) {
                advance(to: end)
                return
            }
            index += 1
        }
        throw failure("Missing end of comment tag")
    }

    private mutating func takeExpression(
        closing: StaticString, end kind: Token.Kind, trims: Bool
    ) throws(TemplateError) {
        var open: [UInt8] = []
        while position < source.count {
            if open.isEmpty, let end = tagEnd(closing, at: position, trims: trims) {
                append(kind, position..<end)
                advance(to: end)
                return
            }
            let afterSpace = skipSpace(from: position)
            if afterSpace > position {
                advance(to: afterSpace)
            } else if let end = numberEnd() {
                let isFloat = end.isFloat
                let digits = source[position..<end.end].filter { $0 != UInt8(ascii: "_") }
                tokens.append(Token(kind: isFloat ? .float : .integer, text: PythonString(utf8: digits), line: line))
                advance(to: end.end)
            } else if Self.isNameByte(peek()) {
                var end = position
                while end < source.count, Self.isNameByte(source[end]) { end += 1 }
                append(.name, position..<end)
                advance(to: end)
            } else if peek() == UInt8(ascii: "'") || peek() == UInt8(ascii: "\"") {
                try takeString()
            } else {
                try takeSymbol(&open)
            }
        }
    }

    /// Bytes above ASCII are taken as letters; Jinja would ask for an identifier.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...0xff:
            true
        default: false
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Jinja's `float_re`, else `integer_re`.
    private func numberEnd() -> (end: Int, isFloat: Bool)? {
        guard Self.isDigit(peek()) else { return nil }
        func digits(from start: Int, _ accepts: (UInt8) -> Bool) -> Int {
            var index = start
            while index < source.count {
                if accepts(source[index]) {
                    index += 1
                } else if source[index] == UInt8(ascii: "_"), index > start, index + 1 < source.count,
                    accepts(source[index + 1])
                {
                    index += 2
                } else {
                    break
                }
            }
            return index
        }
        let whole = digits(from: position, Self.isDigit)
        var end = whole
        var isFloat = false
        let isAfterDot = position > 0 && source[position - 1] == UInt8(ascii: ".")
        if !isAfterDot {
            if end + 1 < source.count, source[end] == UInt8(ascii: "."), Self.isDigit(source[end + 1]) {
                end = digits(from: end + 1, Self.isDigit)
                isFloat = true
            }
            if end < source.count, source[end] | 0x20 == UInt8(ascii: "e") {
                var exponent = end + 1
                if exponent < source.count, source[exponent] == UInt8(ascii: "+") || source[exponent] == UInt8(ascii: "-")
                {
                    exponent += 1
                }
                let last = digits(from: exponent, Self.isDigit)
                if last > exponent {
                    end = last
                    isFloat = true
                }
            }
            if isFloat { return (end, true) }
        }
        if peek() == UInt8(ascii: "0") {
            let (accepts, isBase): ((UInt8) -> Bool, Bool) =
                switch peek(1) | 0x20 {
                case UInt8(ascii: "x"): ({ Self.isDigit($0) || (0x61...0x66).contains($0 | 0x20) }, true)
                case UInt8(ascii: "o"): ({ (0x30...0x37).contains($0) }, true)
                case UInt8(ascii: "b"): ({ (0x30...0x31).contains($0) }, true)
                default: ({ _ in false }, false)
                }
            if isBase {
                let end = digits(from: position + 2, accepts)
                if end > position + 2 { return (end, false) }
            }
            // Python has no octal with a plain leading zero: only zeros follow a zero.
            return (digits(from: position) { $0 == UInt8(ascii: "0") }, false)
        }
        return (whole, false)
    }

    private mutating func takeString() throws(TemplateError) {
        let quote = peek()
        let startLine = line
        var index = position + 1
        while index < source.count, source[index] != quote {
            index += source[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard index < source.count else {
            throw failure("unexpected char \(PythonPrinter.repr(PythonString(utf8: [quote])).string) at \(position)")
        }
        let text = try unescape(source[(position + 1)..<index])
        tokens.append(Token(kind: .string, text: text, line: startLine))
        advance(to: index + 1)
    }

    /// Python's `unicode-escape` codec.
    private func unescape(_ text: ArraySlice<UInt8>) throws(TemplateError) -> PythonString {
        guard text.contains(UInt8(ascii: "\\")) else { return PythonString(utf8: Array(text)) }
        var output: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            index += 1
            guard byte == UInt8(ascii: "\\"), index < text.endIndex else {
                output.append(byte)
                continue
            }
            let escape = text[index]
            index += 1
            switch escape {
            case UInt8(ascii: "\n"): break
            case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): output.append(escape)
            case UInt8(ascii: "a"): output.append(7)
            case UInt8(ascii: "b"): output.append(8)
            case UInt8(ascii: "f"): output.append(12)
            case UInt8(ascii: "n"): output.append(10)
            case UInt8(ascii: "r"): output.append(13)
            case UInt8(ascii: "t"): output.append(9)
            case UInt8(ascii: "v"): output.append(11)
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                var value = UInt32(escape - 48)
                var count = 1
                while count < 3, index < text.endIndex, (0x30...0x37).contains(text[index]) {
                    value = value * 8 + UInt32(text[index] - 48)
                    index += 1
                    count += 1
                }
                output.append(Unicode.Scalar(value) ?? "\u{fffd}")
            case UInt8(ascii: "x"), UInt8(ascii: "u"), UInt8(ascii: "U"):
                let digits = escape == UInt8(ascii: "x") ? 2 : escape == UInt8(ascii: "u") ? 4 : 8
                let part = text[index..<min(index + digits, text.endIndex)]
                let isHex = part.allSatisfy { Self.isDigit($0) || (0x61...0x66).contains($0 | 0x20) }
                guard part.count == digits, isHex,
                    let value = UInt32(String(decoding: part, as: UTF8.self), radix: 16)
                else {
                    throw failure("truncated \\\(digits == 8 ? "UXXXXXXXX" : digits == 4 ? "uXXXX" : "xXX") escape")
                }
                // A lone surrogate cannot be written in UTF-8; Python would fail when it encodes the prompt.
                guard let scalar = Unicode.Scalar(value) else { throw failure("illegal Unicode character") }
                output.append(scalar)
                index += digits
            default: output += [UInt8(ascii: "\\"), escape]
            }
        }
        return PythonString(utf8: output)
    }

    private mutating func takeSymbol(_ open: inout [UInt8]) throws(TemplateError) {
        let pairs: [StaticString] = ["//", "**", "==", "!=", ">=", "<="]
        for pair in pairs where starts(pair, at: position) {
            append(.symbol, position..<position + 2)
            advance(to: position + 2)
            return
        }
        let byte = peek()
        switch byte {
        case UInt8(ascii: "{"): open.append(UInt8(ascii: "}"))
        case UInt8(ascii: "("): open.append(UInt8(ascii: ")"))
        case UInt8(ascii: "["): open.append(UInt8(ascii: "]"))
        case UInt8(ascii: "}"), UInt8(ascii: ")"), UInt8(ascii: "]"):
            let character = String(Unicode.Scalar(byte))
            guard let expected = open.popLast() else { throw failure("unexpected '\(character)'") }
            guard expected == byte else {
                throw failure("unexpected '\(character)', expected '\(String(Unicode.Scalar(expected)))'")
            }
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "*"), UInt8(ascii: "%"),
            UInt8(ascii: "~"), UInt8(ascii: ">"), UInt8(ascii: "<"), UInt8(ascii: "="), UInt8(ascii: "."),
            UInt8(ascii: ":"), UInt8(ascii: "|"), UInt8(ascii: ","), UInt8(ascii: ";"):
            break
        default:
            let character = PythonString(utf8: [byte])
            throw failure("unexpected char \(PythonPrinter.repr(character).string) at \(position)")
        }
        append(.symbol, position..<position + 1)
        advance(to: position + 1)
    }
}
