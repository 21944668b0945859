extension YAMLNode {
    /// The node as JSON, for test cases that write a request or answer as YAML. Numbers keep their digits where JSON
    /// has the same form for them.
    package func appendJSON(to out: inout [UInt8]) {
        switch kind {
        case .sequence(let nodes):
            out.append(UInt8(ascii: "["))
            for (index, node) in nodes.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                node.appendJSON(to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .mapping(let entries):
            out.append(UInt8(ascii: "{"))
            for (index, entry) in entries.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                Self.appendString(entry.key, to: &out)
                out.append(UInt8(ascii: ":"))
                entry.value.appendJSON(to: &out)
            }
            out.append(UInt8(ascii: "}"))
        case .scalar(let scalar):
            switch scalar.value {
            case .null: out.append(contentsOf: Array("null".utf8))
            case .bool(let value): out.append(contentsOf: Array((value ? "true" : "false").utf8))
            case .int(let value): out.append(contentsOf: Array(String(value).utf8))
            case .double(let value) where value.isFinite: out.append(contentsOf: Array("\(value)".utf8))
            case .double: out.append(contentsOf: Array("null".utf8))
            case .string(let text): Self.appendString(text, to: &out)
            }
        }
    }

    private static func appendString(_ text: String, to out: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 0x0A: out.append(contentsOf: Array("\\n".utf8))
            case 0..<0x20:
                out.append(contentsOf: Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}
