/// `str`, `repr` and the number formats of Python.
enum PythonPrinter {
    static func str(_ value: Value) -> PythonString {
        if case .string(let text) = value { return text }
        var output: [UInt8] = []
        appendStr(value, to: &output)
        return PythonString(utf8: output)
    }

    static func appendStr(_ value: Value, to output: inout [UInt8]) {
        switch value {
        case .string(let text): output += text.utf8
        case .undefined: break
        default: appendRepr(value, to: &output)
        }
    }

    static func repr(_ value: Value) -> PythonString {
        var output: [UInt8] = []
        appendRepr(value, to: &output)
        return PythonString(utf8: output)
    }

    static func repr(_ text: PythonString) -> PythonString {
        var output: [UInt8] = []
        appendRepr(text, to: &output)
        return PythonString(utf8: output)
    }

    static func appendRepr(_ value: Value, to output: inout [UInt8]) {
        switch value {
        case .none: output += "None".utf8
        case .bool(let value): output += (value ? "True" : "False").utf8
        case .int(let value): output += String(value).utf8
        case .bigInteger(let digits): output += digits.utf8
        case .double(let value): output += float(value).utf8
        case .string(let text):
            if text.isMarkup { output += "Markup(".utf8 }
            appendRepr(text, to: &output)
            if text.isMarkup { output += ")".utf8 }
        case .list(let list):
            output.append(UInt8(ascii: "["))
            appendReprs(list.items, to: &output)
            output.append(UInt8(ascii: "]"))
        case .tuple(let list):
            output.append(UInt8(ascii: "("))
            appendReprs(list.items, to: &output)
            if list.items.count == 1 { output.append(UInt8(ascii: ",")) }
            output.append(UInt8(ascii: ")"))
        case .dictionary(let dictionary):
            output.append(UInt8(ascii: "{"))
            for (index, key) in dictionary.keys.enumerated() {
                if index > 0 { output += ", ".utf8 }
                appendRepr(key, to: &output)
                output += ": ".utf8
                appendRepr(dictionary.values[index], to: &output)
            }
            output.append(UInt8(ascii: "}"))
        case .undefined: output += "Undefined".utf8
        case .object(let object): output += object.description.utf8
        }
    }

    private static func appendReprs(_ values: [Value], to output: inout [UInt8]) {
        for (index, value) in values.enumerated() {
            if index > 0 { output += ", ".utf8 }
            appendRepr(value, to: &output)
        }
    }

    /// Single quotes, unless the text has them and no double ones; what cannot be printed is escaped.
    static func appendRepr(_ text: PythonString, to output: inout [UInt8]) {
        let single = UInt8(ascii: "'")
        let double = UInt8(ascii: "\"")
        let quote = text.utf8.contains(single) && !text.utf8.contains(double) ? double : single
        output.append(quote)
        for scalar in text.string.unicodeScalars {
            switch scalar {
            case "\\": output += "\\\\".utf8
            case "\n": output += "\\n".utf8
            case "\r": output += "\\r".utf8
            case "\t": output += "\\t".utf8
            case _ where scalar.value == UInt32(quote): output += [UInt8(ascii: "\\"), quote]
            case _ where isPrintable(scalar): output.append(scalar)
            case _ where scalar.value < 0x100: output += ("\\x" + hexadecimal(scalar.value, digits: 2)).utf8
            case _ where scalar.value < 0x10000: output += ("\\u" + hexadecimal(scalar.value, digits: 4)).utf8
            default: output += ("\\U" + hexadecimal(scalar.value, digits: 8)).utf8
            }
        }
        output.append(quote)
    }

    static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }

    /// `str.isprintable` of one scalar.
    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7f { return scalar.value >= 0x20 }
        return switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }

    /// `repr(float)`: the shortest digits that read back, with an exponent below 1e-4 and from 1e16.
    static func float(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
        let (digits, exponent) = shortest(value)
        let sign = value < 0 ? "-" : ""
        // value = 0.digits * 10^exponent
        if exponent > 16 || exponent < -3 {
            let power = exponent - 1
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let magnitude = String(abs(power))
            let padded = magnitude.utf8.count < 2 ? "0" + magnitude : magnitude
            return sign + digits.prefix(1) + fraction + "e" + (power < 0 ? "-" : "+") + padded
        }
        if exponent <= 0 { return sign + "0." + String(repeating: "0", count: -exponent) + digits }
        if digits.count <= exponent {
            return sign + digits + String(repeating: "0", count: exponent - digits.count) + ".0"
        }
        return sign + digits.prefix(exponent) + "." + digits.dropFirst(exponent)
    }

    /// Significant digits without zeros at either end, and the decimal exponent of `0.digits`.
    private static func shortest(_ value: Double) -> (digits: String, exponent: Int) {
        var mantissa = ""
        var exponent = 0
        var point: Int?
        var power = Substring("0")
        let text = abs(value).description
        var rest = Substring(text)
        if let mark = text.firstIndex(of: "e") {
            rest = text[..<mark]
            power = text[text.index(after: mark)...]
        }
        for character in rest {
            if character == "." { point = mantissa.count } else { mantissa.append(character) }
        }
        exponent = (point ?? mantissa.count) + (Int(power) ?? 0)
        while mantissa.hasPrefix("0") {
            mantissa.removeFirst()
            exponent -= 1
        }
        while mantissa.hasSuffix("0") { mantissa.removeLast() }
        return (mantissa, exponent)
    }
}
