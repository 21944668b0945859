private import Glibc

extension Value {
    /// `json.dumps(value, ensure_ascii=False)`, UTF-8.
    package func pythonJSON() throws(TemplateError) -> [UInt8] { try PythonJSON().dump(self) }
}

/// `json.dumps` as the filter `tojson` of transformers calls it.
struct PythonJSON {
    var ensureASCII = false
    var indent: [UInt8]?
    var itemSeparator: [UInt8] = Array(", ".utf8)
    var keySeparator: [UInt8] = Array(": ".utf8)
    var sortKeys = false
    /// Six digits, as C++ streams and so llama.cpp print numbers: `1.0` is `1`.
    var shortensNumbers = false

    func dump(_ value: Value) throws(TemplateError) -> [UInt8] {
        var output: [UInt8] = []
        try append(value, level: 0, to: &output)
        return output
    }

    private func append(_ value: Value, level: Int, to output: inout [UInt8]) throws(TemplateError) {
        switch value {
        case .none: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .int(let value): output += String(value).utf8
        case .bigInteger(let digits): output += digits.utf8
        case .double(let value): output += (shortensNumbers ? Self.shortNumber(value) : Self.number(value)).utf8
        case .string(let text): appendString(text, to: &output)
        case .list(let list), .tuple(let list):
            guard !list.items.isEmpty else {
                output += "[]".utf8
                return
            }
            output.append(UInt8(ascii: "["))
            for (index, item) in list.items.enumerated() {
                if index > 0 { output += itemSeparator }
                newline(level + 1, to: &output)
                try append(item, level: level + 1, to: &output)
            }
            newline(level, to: &output)
            output.append(UInt8(ascii: "]"))
        case .dictionary(let dictionary):
            try append(dictionary, level: level, to: &output)
        case .undefined:
            throw TemplateError(.type, "Object of type Undefined is not JSON serializable")
        case .object(let object):
            throw TemplateError(.type, "Object of type \(object.typeName) is not JSON serializable")
        }
    }

    private func append(
        _ dictionary: Value.Dictionary, level: Int, to output: inout [UInt8]
    ) throws(TemplateError) {
        guard dictionary.count > 0 else {
            output += "{}".utf8
            return
        }
        var order = Array(dictionary.keys.indices)
        if sortKeys { order = try Sorting.order(dictionary.keys) }
        output.append(UInt8(ascii: "{"))
        for (count, index) in order.enumerated() {
            if count > 0 { output += itemSeparator }
            newline(level + 1, to: &output)
            switch dictionary.keys[index] {
            case .string(let text): appendString(text, to: &output)
            case .double(let value): appendString(PythonString(Self.number(value)), to: &output)
            case .bool(let value): output += (value ? "\"true\"" : "\"false\"").utf8
            case .none: output += "\"null\"".utf8
            case .int(let value): output += "\"\(value)\"".utf8
            case let key:
                throw TemplateError(
                    .type, "keys must be str, int, float, bool or None, not \(key.typeName)")
            }
            output += keySeparator
            try append(dictionary.values[index], level: level + 1, to: &output)
        }
        newline(level, to: &output)
        output.append(UInt8(ascii: "}"))
    }

    private func newline(_ level: Int, to output: inout [UInt8]) {
        guard let indent else { return }
        output.append(UInt8(ascii: "\n"))
        for _ in 0..<level { output += indent }
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return PythonPrinter.float(value)
    }

    private static func shortNumber(_ value: Double) -> String {
        // The longest is `-1.23457e-308`.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            let length = withVaList([value]) { vsnprintf(base, 32, "%g", $0) }
            return String(decoding: buffer[..<min(max(0, Int(length)), 31)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    private func appendString(_ text: PythonString, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        if !ensureASCII {
            for byte in text.utf8 {
                if byte >= 0x20, byte != 0x22, byte != 0x5c {
                    output.append(byte)
                } else {
                    appendEscape(UInt16(byte), to: &output)
                }
            }
        } else {
            for unit in text.string.utf16 {
                if unit >= 0x20, unit < 0x7f, unit != 0x22, unit != 0x5c {
                    output.append(UInt8(truncatingIfNeeded: unit))
                } else {
                    appendEscape(unit, to: &output)
                }
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private func appendEscape(_ unit: UInt16, to output: inout [UInt8]) {
        switch unit {
        case 0x22: output += "\\\"".utf8
        case 0x5c: output += "\\\\".utf8
        case 0x0a: output += "\\n".utf8
        case 0x0d: output += "\\r".utf8
        case 0x09: output += "\\t".utf8
        case 0x08: output += "\\b".utf8
        case 0x0c: output += "\\f".utf8
        default: output += ("\\u" + PythonPrinter.hexadecimal(UInt32(unit), digits: 4)).utf8
        }
    }
}
