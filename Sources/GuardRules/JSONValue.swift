internal import GuardJSON
internal import GuardYAML

/// A JSON value for comparing: numbers by what they are worth, objects without order.
indirect enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Has a fraction, or is beyond 64 bits.
    case double(Double)
    case string([UInt8])
    case array([JSONValue])
    case object([[UInt8]: JSONValue])

    /// `1.0` and `1` are equal.
    static func number(_ double: Double) -> JSONValue {
        // Beyond 2^53 a double is no exact integer.
        if double.rounded() == double, abs(double) < 9_007_199_254_740_992 { return .integer(Int64(double)) }
        return .double(double)
    }

    init(_ node: JSONNode) {
        switch node.kind {
        case .null: self = .null
        case .true: self = .bool(true)
        case .false: self = .bool(false)
        case .number:
            if let integer = node.integer { self = .integer(integer) } else { self = .number(node.double ?? 0) }
        case .string: self = .string(node.stringBytes ?? [])
        case .array: self = .array(node.elements.map { JSONValue($0) })
        case .object:
            var members: [[UInt8]: JSONValue] = [:]
            for (key, value) in node.members { members[key.stringBytes ?? []] = JSONValue(value) }
            self = .object(members)
        }
    }

    init(_ node: YAMLNode) {
        switch node.kind {
        case .scalar(let scalar):
            switch scalar.value {
            case .null: self = .null
            case .bool(let value): self = .bool(value)
            case .int(let value): self = .integer(Int64(value))
            case .double(let value): self = .number(value)
            case .string(let text): self = .string(Array(text.utf8))
            }
        case .sequence(let nodes): self = .array(nodes.map { JSONValue($0) })
        case .mapping(let entries):
            var members: [[UInt8]: JSONValue] = [:]
            for entry in entries { members[Array(entry.key.utf8)] = JSONValue(entry.value) }
            self = .object(members)
        }
    }
}
