typealias Filter = @Sendable (Render, Value, CallArguments) throws(TemplateError) -> Value

/// Jinja's built-in filters and transformers' `tojson`. Not there: `random`, `pprint`, `urlize`, `xmlattr`,
/// `filesizeformat`, `wordwrap` (no chat template uses them; they are unknown filters here).
enum Filters {
    static let table: [String: Filter] = text.merging(sequences) { $1 }.merging(numbers) { $1 }

    private static let text: [String: Filter] = [
        "tojson": { (render, value, arguments) throws(TemplateError) in try json(render, value, arguments) },
        "string": { (render, value, _) throws(TemplateError) in .string(try render.str(value)) },
        "safe": { (render, value, _) throws(TemplateError) in .string(try render.str(value).marked(true)) },
        "escape": { (render, value, _) throws(TemplateError) in .string(try render.str(value).escaped) },
        "e": { (render, value, _) throws(TemplateError) in .string(try render.str(value).escaped) },
        "forceescape": { (render, value, _) throws(TemplateError) in
            .string(try render.str(value).marked(false).escaped)
        },
        "trim": { (render, value, arguments) throws(TemplateError) in
            let text = try render.str(value)
            try render.charge(bytes: text.utf8.count)
            switch arguments.get(0, "chars") {
            case .string(let characters)?: return .string(text.stripped(characters))
            case nil, .some(.none): return .string(text.stripped(render.dialect.space))
            case let other?: throw TemplateError(.type, "strip arg must be None or str, not \(other.typeName)")
            }
        },
        "lower": { (render, value, _) throws(TemplateError) in
            .string(StringMethods.cased(try render.str(value), upper: false))
        },
        "upper": { (render, value, _) throws(TemplateError) in
            .string(StringMethods.cased(try render.str(value), upper: true))
        },
        "capitalize": { (render, value, _) throws(TemplateError) in
            .string(StringMethods.capitalized(try render.str(value)))
        },
        "title": { (render, value, _) throws(TemplateError) in .string(title(try render.str(value))) },
        "replace": { (render, value, arguments) throws(TemplateError) in
            guard let old = arguments.get(0, "old"), let new = arguments.get(1, "new") else {
                throw TemplateError(.type, "do_replace() missing required positional arguments")
            }
            var count = Int.max
            if let given = arguments.get(2, "count"), case let limit = given.integer ?? -1, limit >= 0 { count = limit }
            let text = try render.str(value)
            return .string(
                try StringMethods.replace(text, try render.str(old), try render.str(new), count, render))
        },
        "indent": { (render, value, arguments) throws(TemplateError) in try indent(render, value, arguments) },
        "center": { (render, value, arguments) throws(TemplateError) in
            var given = CallArguments()
            given.positional = [arguments.get(0, "width") ?? .int(80)]
            return try StringMethods.call(try render.str(value), .center, given, render)
        },
        "format": { (render, value, arguments) throws(TemplateError) in
            let values: Value =
                arguments.named.isEmpty
                ? .tuple(arguments.positional) : .dictionary(arguments.named.map { ($0.name, $0.value) })
            return try PercentFormat.format(try render.str(value), values, render)
        },
        "truncate": { (render, value, arguments) throws(TemplateError) in try truncate(render, value, arguments) },
        "wordcount": { (render, value, _) throws(TemplateError) in
            var count = 0
            var isInWord = false
            for scalar in try render.str(value).string.unicodeScalars {
                let isWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_"
                if isWord, !isInWord { count += 1 }
                isInWord = isWord
            }
            return .int(count)
        },
        "striptags": { (render, value, _) throws(TemplateError) in
            var output: [UInt8] = []
            var isInTag = false
            for byte in try render.str(value).utf8 {
                if byte == UInt8(ascii: "<") {
                    isInTag = true
                } else if byte == UInt8(ascii: ">"), isInTag {
                    isInTag = false
                } else if !isInTag {
                    output.append(byte)
                }
            }
            let words = try StringMethods.call(PythonString(utf8: output), .split, CallArguments(), render)
            return .string(try StringMethods.join(PythonString(" "), words, render))
        },
        "urlencode": { (render, value, _) throws(TemplateError) in
            guard case .dictionary(let dictionary) = value else {
                return .string(quoted(try render.str(value), keeping: "/"))
            }
            var pairs: [String] = []
            for (key, value) in zip(dictionary.keys, dictionary.values) {
                pairs.append(
                    quoted(try render.str(key), keeping: "").string + "="
                        + quoted(try render.str(value), keeping: "").string)
            }
            return .string(pairs.joined(separator: "&"))
        },
    ]

    private static let numbers: [String: Filter] = [
        "abs": { (_, value, _) throws(TemplateError) in
            switch value {
            case .double(let number): return .double(abs(number))
            case .undefined(let undefined): throw undefined.error
            default:
                guard let integer = value.integer else {
                    throw TemplateError(.type, "bad operand type for abs(): '\(value.typeName)'")
                }
                return integer < 0 ? try Arithmetic.apply(.minus, value) : .int(integer)
            }
        },
        "int": { (_, value, arguments) in
            integer(value, base: arguments.get(1, "base")?.integer ?? 10) ?? arguments.get(0, "default") ?? .int(0)
        },
        "float": { (_, value, arguments) in
            double(value).map { .double($0) } ?? arguments.get(0, "default") ?? .double(0)
        },
        "round": { (render, value, arguments) throws(TemplateError) in
            var method = "common"
            if let given = arguments.get(1, "method") { method = PythonPrinter.str(given).string }
            let precision = arguments.get(0, "precision")?.integer ?? 0
            guard let number = value.number else {
                if case .undefined(let undefined) = value { throw undefined.error }
                throw TemplateError(.type, "type \(value.typeName) doesn't define __round__ method")
            }
            let scale = power(10, Double(precision))
            switch method {
            case "common":
                if let integer = value.integer {
                    return precision >= 0 ? .int(integer) : .int(Int((number * scale).rounded(.toNearestOrEven) / scale))
                }
                // Correctly rounded decimal digits, as Python does it.
                if precision >= 0, number.magnitude < 1e22 {
                    return .double(Double(NumberFormat.double(number, "f", precision, nil)) ?? number)
                }
                return .double((number * scale).rounded(.toNearestOrEven) / scale)
            case "ceil": return .double((number * scale).rounded(.up) / scale)
            case "floor": return .double((number * scale).rounded(.down) / scale)
            default: throw TemplateError(.filterArgument, "method must be common, ceil or floor")
            }
        },
    ]

    // MARK: Text

    private static func json(_ render: Render, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        var dumper = PythonJSON()
        dumper.shortensNumbers = render.dialect == .llama
        if let flag = arguments.get(0, "ensure_ascii") { dumper.ensureASCII = try render.truth(flag) }
        switch arguments.get(1, "indent") {
        case nil, .some(.none): break
        case .string(let text)?: dumper.indent = text.utf8
        case let count?:
            let width = try count.index()
            try render.charge(bytes: max(0, width))
            dumper.indent = [UInt8](repeating: UInt8(ascii: " "), count: max(0, width))
        }
        // json.dumps: no space at the end of a line.
        if dumper.indent != nil { dumper.itemSeparator = [UInt8(ascii: ",")] }
        switch arguments.get(2, "separators") {
        case .tuple(let pair)?, .list(let pair)?:
            guard pair.items.count == 2, case .string(let item) = pair.items[0], case .string(let key) = pair.items[1]
            else { throw TemplateError(.value, "not enough values to unpack (expected 2, got \(pair.items.count))") }
            dumper.itemSeparator = item.utf8
            dumper.keySeparator = key.utf8
        default: break
        }
        if let flag = arguments.get(3, "sort_keys") { dumper.sortKeys = try render.truth(flag) }
        try render.charge(value.weight)
        let output = try dumper.dump(value)
        try render.charge(bytes: output.count)
        return .string(PythonString(utf8: output))
    }

    private static func title(_ text: PythonString) -> PythonString {
        var output: [UInt8] = []
        var isStart = true
        for character in text.characters {
            output += StringMethods.cased(character, upper: isStart).utf8
            let scalar = character.scalar(at: 0)
            isStart = PythonString.isSpace(scalar) || ["-", "(", "{", "[", "<"].contains(scalar)
        }
        return PythonString(utf8: output, isMarkup: text.isMarkup)
    }

    private static func indent(_ render: Render, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        guard case .string(let text) = value else {
            _ = try Arithmetic.apply(.add, value, .string("\n"), render)
            throw TemplateError(.type, "'\(value.typeName)' object has no attribute 'splitlines'")
        }
        let indentation: [UInt8]
        switch arguments.get(0, "width") {
        case .string(let given)?: indentation = given.utf8
        case let given:
            let width = max(0, try given?.index() ?? 4)
            try render.charge(bytes: width)
            indentation = [UInt8](repeating: UInt8(ascii: " "), count: width)
        }
        let first = try arguments.get(1, "first").map { (flag) throws(TemplateError) in try render.truth(flag) } ?? false
        let blank = try arguments.get(2, "blank").map { (flag) throws(TemplateError) in try render.truth(flag) } ?? false
        var output: [UInt8] = []
        for (index, line) in StringMethods.lines(PythonString(utf8: text.utf8 + [0x0a])).enumerated() {
            if index > 0 { output.append(0x0a) }
            if index == 0 ? first : (blank || !line.utf8.isEmpty) { output += indentation }
            output += line.utf8
            try render.charge(bytes: output.count > render.limits.outputBytesMax ? output.count : indentation.count + 64)
        }
        return .string(PythonString(utf8: output, isMarkup: text.isMarkup))
    }

    private static func truncate(_ render: Render, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let text = try render.str(value)
        let length = arguments.get(0, "length")?.integer ?? 255
        let kills = try arguments.get(1, "killwords").map { (flag) throws(TemplateError) in try render.truth(flag) } ?? false
        let end = try arguments.get(2, "end").map { (end) throws(TemplateError) in try render.str(end) } ?? PythonString("...")
        let leeway = arguments.get(3, "leeway")?.integer ?? 5
        let scalars = text.scalars
        guard scalars.count > max(0, length) + max(0, min(leeway, 1 << 40)) else { return .string(text) }
        let cut = PythonString(scalars: scalars.prefix(max(0, length - end.count)))
        if kills { return .string(cut.adding(end)) }
        guard let space = cut.findLast([0x20]) else { return .string(cut.adding(end)) }
        return .string(PythonString(cut.utf8[..<space], like: cut).adding(end))
    }

    private static func quoted(_ text: PythonString, keeping kept: String) -> PythonString {
        var output: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "~"):
                output.append(byte)
            case _ where kept.utf8.contains(byte): output.append(byte)
            case 0x20 where kept.isEmpty: output.append(UInt8(ascii: "+"))
            default: output += ("%" + PythonPrinter.hexadecimal(UInt32(byte), digits: 2).uppercased()).utf8
            }
        }
        return PythonString(utf8: output)
    }

    // MARK: Numbers

    private static func integer(_ value: Value, base: Int) -> Value? {
        switch value {
        case .int, .bigInteger: return value
        case .bool(let flag): return .int(flag ? 1 : 0)
        case .double(let number): return Int(exactly: number.rounded(.towardZero)).map { .int($0) }
        case .string(let text):
            var digits = text.stripped(nil).string.replacingUnderscores
            let sign = digits.hasPrefix("-") ? "-" : ""
            if digits.hasPrefix("-") || digits.hasPrefix("+") { digits.removeFirst() }
            for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where base == radix {
                if digits.lowercased().hasPrefix(prefix) { digits.removeFirst(2) }
            }
            if (2...36).contains(base), digits.first != "+", digits.first != "-", let parsed = Int(sign + digits, radix: base) {
                return .int(parsed)
            }
            return double(value).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { .int($0) }
        default: return nil
        }
    }

    private static func double(_ value: Value) -> Double? {
        guard case .string(let text) = value else { return value.number }
        let digits = text.stripped(nil).string.replacingUnderscores
        // Swift also reads hexadecimal floats, Python does not.
        guard !digits.lowercased().contains("x") else { return nil }
        return Double(digits)
    }
}

extension String {
    /// Python allows single underscores between digits.
    fileprivate var replacingUnderscores: String {
        guard utf8.contains(UInt8(ascii: "_")), !hasPrefix("_"), !hasSuffix("_"), !contains("__") else { return self }
        return String(filter { $0 != "_" })
    }
}
