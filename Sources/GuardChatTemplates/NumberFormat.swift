private import Glibc

/// Number types of the format mini-language and of `%`.
enum NumberFormat {
    /// `nil` for values that are no numbers.
    static func format(
        _ value: Value, type: Unicode.Scalar?, precision: Int?, grouping: Unicode.Scalar?
    ) throws(TemplateError) -> String? {
        switch type {
        case "f", "F", "e", "E", "g", "G", "%":
            guard let number = value.number else { return nil }
            return double(number, type ?? "f", precision ?? 6, grouping)
        case nil, "d", "n":
            if case .double(let number) = value {
                if type == "d" { throw unknown(type, "float") }
                guard let precision else { return group(PythonPrinter.float(number), grouping) }
                let text = double(number, "g", precision, grouping)
                return text.contains(where: { $0 == "." || $0 == "e" || $0 == "n" }) ? text : text + ".0"
            }
            if type == nil, case .bool = value { return PythonPrinter.str(value).string }
            if case .bigInteger(let digits) = value { return group(digits.string, grouping) }
            guard let integer = value.integer else { return nil }
            return group(String(integer), grouping)
        case "x", "X", "o", "b", "c":
            guard let integer = value.integer else { return nil }
            switch type {
            case "x": return String(integer, radix: 16)
            case "X": return String(integer, radix: 16, uppercase: true)
            case "o": return String(integer, radix: 8)
            case "b": return String(integer, radix: 2)
            default:
                guard let scalar = UInt32(exactly: integer).flatMap(Unicode.Scalar.init) else {
                    throw TemplateError(.overflow, "%c arg not in range(0x110000)")
                }
                return String(scalar)
            }
        default:
            guard value.number != nil else { return nil }
            throw unknown(type, value.typeName)
        }
    }

    private static func unknown(_ type: Unicode.Scalar?, _ name: String) -> TemplateError {
        TemplateError(.value, "Unknown format code '\(type.map { String($0) } ?? "")' for object of type '\(name)'")
    }

    static func double(_ value: Double, _ type: Unicode.Scalar, _ precision: Int, _ grouping: Unicode.Scalar?) -> String {
        let isUpper = type == "F" || type == "E" || type == "G"
        if value.isNaN { return isUpper ? "NAN" : "nan" }
        if value.isInfinite { return (value < 0 ? "-" : "") + (isUpper ? "INF" : "inf") }
        let isPercent = type == "%"
        let precision = min(precision, 1000)
        let format = "%.\(precision)\(isPercent ? "f" : String(type))"
        var buffer = [CChar](repeating: 0, count: precision + 400)
        let capacity = buffer.count
        let length = withVaList([isPercent ? value * 100 : value]) { vsnprintf(&buffer, capacity, format, $0) }
        let text = String(decoding: buffer.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return group(text, grouping) + (isPercent ? "%" : "")
    }

    private static func group(_ text: String, _ grouping: Unicode.Scalar?) -> String {
        guard let grouping else { return text }
        let sign = text.hasPrefix("-") ? "-" : ""
        let whole = text.dropFirst(sign.count).prefix { $0.isNumber }
        var grouped = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index) % 3 == 0 { grouped.unicodeScalars.append(grouping) }
            grouped.append(digit)
        }
        return sign + grouped + text[whole.endIndex...]
    }
}

/// `text % values`.
enum PercentFormat {
    static func format(_ format: PythonString, _ values: Value, _ render: Render) throws(TemplateError) -> Value {
        var positional = [values]
        var isTuple = false
        if case .tuple(let list) = values {
            positional = list.items
            isTuple = true
        }
        var used = 0
        var output: [UInt8] = []
        var rest = Array(format.string.unicodeScalars)[...]
        var usedMapping = false
        func next() throws(TemplateError) -> Value {
            guard used < positional.count else { throw TemplateError(.type, "not enough arguments for format string") }
            used += 1
            return positional[used - 1]
        }
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                output.append(scalar)
                continue
            }
            var mapped: Value?
            if rest.first == "(" {
                let name = PythonString(scalars: rest.dropFirst().prefix { $0 != ")" })
                rest = rest.dropFirst(name.count + 2)
                guard case .dictionary(let dictionary) = values else {
                    throw TemplateError(.type, "format requires a mapping")
                }
                guard let found = dictionary[name: name] else {
                    throw TemplateError(.key, PythonPrinter.repr(name).string)
                }
                mapped = found
                usedMapping = true
            }
            var flags: Set<Unicode.Scalar> = []
            while let flag = rest.first, ["-", "+", " ", "0", "#"].contains(flag) {
                flags.insert(flag)
                rest = rest.dropFirst()
            }
            func number() throws(TemplateError) -> Int? {
                if rest.first == "*" {
                    rest = rest.dropFirst()
                    return try next().index()
                }
                var value: Int?
                while let digit = rest.first, ("0"..."9").contains(digit) {
                    value = min((value ?? 0) * 10 + Int(digit.value - 48), 1 << 40)
                    rest = rest.dropFirst()
                }
                return value
            }
            let width = try number() ?? 0
            var precision: Int?
            if rest.first == "." {
                rest = rest.dropFirst()
                precision = try number() ?? 0
            }
            guard let type = rest.popFirst() else { throw TemplateError(.value, "incomplete format") }
            if type == "%" {
                output.append(UInt8(ascii: "%"))
                continue
            }
            try render.charge(bytes: max(width, precision ?? 0))
            var body: PythonString
            let value: Value
            if let mapped { value = mapped } else { value = try next() }
            switch type {
            case "s": body = try render.str(value)
            case "r", "a": body = PythonPrinter.repr(value)
            case "d", "i", "u":
                if case .double(let number) = value, let whole = Int(exactly: number.rounded(.towardZero)) {
                    body = PythonString(String(whole))
                } else if let integer = value.integer {
                    body = PythonString(String(integer))
                } else {
                    throw TemplateError(.type, "%\(type) format: a real number is required, not \(value.typeName)")
                }
            case "f", "F", "e", "E", "g", "G", "x", "X", "o", "c":
                guard let text = try NumberFormat.format(value, type: type, precision: precision, grouping: nil) else {
                    throw TemplateError(.type, "must be real number, not \(value.typeName)")
                }
                body = PythonString(text)
            default:
                throw TemplateError(
                    .value, "unsupported format character '\(type)' (0x\(String(type.value, radix: 16)))")
            }
            let isText = type == "s" || type == "r" || type == "a"
            if isText, let precision { body = PythonString(scalars: body.string.unicodeScalars.prefix(precision)) }
            var prefix = ""
            if !isText {
                if body.hasPrefix([UInt8(ascii: "-")]) {
                    prefix = "-"
                    body = PythonString(utf8: Array(body.utf8.dropFirst()))
                } else if flags.contains("+") {
                    prefix = "+"
                } else if flags.contains(" ") {
                    prefix = " "
                }
            }
            if format.isMarkup { body = body.escaped }
            let missing = max(0, width - body.count - prefix.count)
            if flags.contains("-") {
                output += prefix.utf8
                output += body.utf8
                output += [UInt8](repeating: UInt8(ascii: " "), count: missing)
            } else if flags.contains("0"), !isText {
                output += prefix.utf8
                output += [UInt8](repeating: UInt8(ascii: "0"), count: missing)
                output += body.utf8
            } else {
                output += [UInt8](repeating: UInt8(ascii: " "), count: missing)
                output += prefix.utf8
                output += body.utf8
            }
            try render.charge(bytes: output.count > render.limits.outputBytesMax ? output.count : body.utf8.count)
        }
        var acceptsRest = usedMapping
        switch values {
        case .dictionary, .list: acceptsRest = true
        default: break
        }
        if used < positional.count, isTuple || !acceptsRest {
            throw TemplateError(.type, "not all arguments converted during string formatting")
        }
        return .string(PythonString(utf8: output, isMarkup: format.isMarkup))
    }
}
