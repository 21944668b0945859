/// `str.format` in the sandbox: fields with attributes and items, and the format mini-language.
enum StringFormat {
    static func format(_ text: PythonString, _ arguments: CallArguments, _ render: Render) throws(TemplateError) -> PythonString {
        var automatic = 0
        let output = try format(text.utf8[...], arguments, render, &automatic, depth: 0, isMarkup: text.isMarkup)
        return PythonString(utf8: output, isMarkup: text.isMarkup)
    }

    private static func format(
        _ text: ArraySlice<UInt8>, _ arguments: CallArguments, _ render: Render, _ automatic: inout Int, depth: Int,
        isMarkup: Bool
    ) throws(TemplateError) -> [UInt8] {
        if depth > 2 { throw TemplateError(.value, "Max string recursion exceeded") }
        var output: [UInt8] = []
        var index = text.startIndex
        let (open, close) = (UInt8(ascii: "{"), UInt8(ascii: "}"))
        while index < text.endIndex {
            let byte = text[index]
            index += 1
            let isDoubled = index < text.endIndex && text[index] == byte
            if byte == open || byte == close, isDoubled {
                output.append(byte)
                index += 1
            } else if byte == close {
                throw TemplateError(.value, "Single '}' encountered in format string")
            } else if byte != open {
                output.append(byte)
            } else {
                let start = index
                var nesting = 1
                while index < text.endIndex, nesting > 0 {
                    if text[index] == open { nesting += 1 } else if text[index] == close { nesting -= 1 }
                    index += 1
                }
                guard nesting == 0 else {
                    throw TemplateError(
                        .value,
                        start == text.endIndex
                            ? "Single '{' encountered in format string" : "expected '}' before end of string")
                }
                let value = try field(text[start..<(index - 1)], arguments, render, &automatic, depth: depth)
                output += isMarkup ? value.escaped.utf8 : value.utf8
                try render.charge(bytes: output.count > render.limits.outputBytesMax ? output.count : value.utf8.count)
            }
        }
        return output
    }

    private static func field(
        _ field: ArraySlice<UInt8>, _ arguments: CallArguments, _ render: Render, _ automatic: inout Int, depth: Int
    ) throws(TemplateError) -> PythonString {
        var name = field
        var specification: ArraySlice<UInt8> = []
        if let colon = field.firstIndex(of: UInt8(ascii: ":")) {
            name = field[..<colon]
            specification = field[(colon + 1)...]
        }
        var conversion: UInt8?
        if let mark = name.firstIndex(of: UInt8(ascii: "!")) {
            conversion = name[(mark + 1)...].first
            name = name[..<mark]
        }
        var value = try lookUp(String(decoding: name, as: UTF8.self), arguments, &automatic)
        switch conversion {
        case nil: break
        case UInt8(ascii: "s"): value = .string(try render.str(value))
        case UInt8(ascii: "r"), UInt8(ascii: "a"): value = .string(PythonPrinter.repr(value))
        default: throw TemplateError(.value, "Unknown conversion specifier \(Character(Unicode.Scalar(conversion ?? 0)))")
        }
        let plain = try format(specification, arguments, render, &automatic, depth: depth + 1, isMarkup: false)
        return try apply(String(decoding: plain, as: UTF8.self), value, render)
    }

    private static func lookUp(
        _ name: String, _ arguments: CallArguments, _ automatic: inout Int
    ) throws(TemplateError) -> Value {
        let head = name.prefix { $0 != "." && $0 != "[" }
        var rest = name[head.endIndex...]
        var value: Value
        if head.isEmpty || Int(head) != nil {
            let index = Int(head) ?? automatic
            if head.isEmpty { automatic += 1 }
            guard index >= 0, index < arguments.positional.count else {
                throw TemplateError(.index, "tuple index out of range")
            }
            value = arguments.positional[index]
        } else {
            guard let found = arguments.get(name: String(head)) else { throw TemplateError(.key, "'\(head)'") }
            value = found
        }
        while let first = rest.first {
            rest = rest.dropFirst()
            if first == "." {
                let attribute = String(rest.prefix { $0 != "." && $0 != "[" })
                rest = rest.dropFirst(attribute.count)
                value = try Subscript.attribute(value, attribute, PythonString(attribute))
            } else {
                let key = String(rest.prefix { $0 != "]" })
                rest = rest.dropFirst(key.count + 1)
                value = try Subscript.item(value, Int(key).map { .int($0) } ?? .string(key))
            }
        }
        return value
    }

    /// `[[fill]align][sign][#][0][width][,][.precision][type]`
    private static func apply(_ specification: String, _ value: Value, _ render: Render) throws(TemplateError) -> PythonString {
        if specification.isEmpty { return try render.str(value) }
        var rest = Array(specification.unicodeScalars)[...]
        var fill: Unicode.Scalar = " "
        var align: Unicode.Scalar?
        if rest.count > 1, ["<", ">", "^", "="].contains(rest[rest.startIndex + 1]) {
            fill = rest[rest.startIndex]
            align = rest[rest.startIndex + 1]
            rest = rest.dropFirst(2)
        } else if let first = rest.first, ["<", ">", "^", "="].contains(first) {
            align = first
            rest = rest.dropFirst()
        }
        var sign: Unicode.Scalar = "-"
        if let first = rest.first, ["+", "-", " "].contains(first) {
            sign = first
            rest = rest.dropFirst()
        }
        if rest.first == "#" { rest = rest.dropFirst() }
        if rest.first == "0" {
            rest = rest.dropFirst()
            if align == nil { (fill, align) = ("0", "=") }
        }
        func digits() -> Int? {
            var value: Int?
            while let digit = rest.first, ("0"..."9").contains(digit) {
                value = min((value ?? 0) * 10 + Int(digit.value - 48), 1 << 40)
                rest = rest.dropFirst()
            }
            return value
        }
        let width = digits() ?? 0
        var grouping: Unicode.Scalar?
        if let first = rest.first, first == "," || first == "_" {
            grouping = first
            rest = rest.dropFirst()
        }
        var precision: Int?
        if rest.first == "." {
            rest = rest.dropFirst()
            precision = digits()
            guard precision != nil else { throw TemplateError(.value, "Format specifier missing precision") }
        }
        let type = rest.popFirst()
        guard rest.isEmpty else { throw TemplateError(.value, "Invalid format specifier") }
        try render.charge(bytes: max(width, precision ?? 0))

        var body: String
        var isNumber = true
        switch value {
        case .string(let text):
            guard type == nil || type == "s" else {
                throw TemplateError(
                    .value, "Unknown format code '\(type.map { String($0) } ?? "")' for object of type 'str'")
            }
            isNumber = false
            body = text.string
            if let precision { body = String(String.UnicodeScalarView(body.unicodeScalars.prefix(precision))) }
        default:
            guard let text = try NumberFormat.format(value, type: type, precision: precision, grouping: grouping) else {
                throw TemplateError(.type, "unsupported format string passed to \(value.typeName).__format__")
            }
            body = text
        }
        var prefix = ""
        if isNumber {
            if body.hasPrefix("-") {
                body.removeFirst()
                prefix = "-"
            } else if sign != "-" {
                prefix = String(sign)
            }
        }
        let missing = max(0, width - body.unicodeScalars.count - prefix.unicodeScalars.count)
        func pad(_ count: Int) -> String { String(repeating: String(fill), count: count) }
        switch align ?? (isNumber ? ">" : "<") {
        case "<": return PythonString(prefix + body + pad(missing))
        case "^": return PythonString(pad(missing / 2) + prefix + body + pad(missing - missing / 2))
        case "=": return PythonString(prefix + pad(missing) + body)
        default: return PythonString(pad(missing) + prefix + body)
        }
    }
}
