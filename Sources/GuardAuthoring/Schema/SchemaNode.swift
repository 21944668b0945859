internal import GuardJSON

/// What a value in one of our files may be: the tables of `Schemas` are made of these, and JSON Schema is written from
/// them. What only a reader can check (a pattern compiles, a rule exists) is not said here.
indirect enum SchemaNode: Sendable {
    case string(pattern: String? = nil)
    case integer(ClosedRange<Int>? = nil)
    case number(ClosedRange<Double>? = nil)
    case boolean
    /// One of these words.
    case choice([String])
    /// `5s`, `1m30s`, 0.
    case duration
    /// A whole number or one with a unit.
    case bytes
    case list(SchemaNode, isNeverEmpty: Bool = false)
    /// A list, or one item alone.
    case oneOrMore(SchemaNode)
    case object(SchemaObject)
    case anyOf([SchemaNode])
    case any
    /// A key with nothing behind it.
    case null
    /// One of the named definitions.
    case reference(String)

    static let text = SchemaNode.string(pattern: "^[\\s\\S]")
}

struct SchemaObject: Sendable {
    struct Property: Sendable {
        var name: String
        var node: SchemaNode
        var description: String
        var initial: SchemaValue?
        var isRequired = false
    }

    var properties: [Property]
    /// Exactly one of each group is there.
    var exactlyOne: [[String]] = []
    /// Where the first is there, the second is too.
    var needs: [(String, String)] = []
    /// Other keys are allowed: bodies.
    var isOpen = false

    init(_ properties: [Property], exactlyOne: [[String]] = [], needs: [(String, String)] = []) {
        (self.properties, self.exactlyOne, self.needs) = (properties, exactlyOne, needs)
    }
}

/// A JSON value in the order it is written in.
indirect enum SchemaValue: Sendable {
    case string(String)
    case int(Int)
    case double(Double)
    case bool(Bool)
    case list([SchemaValue])
    case map([(String, SchemaValue)])

    /// Indented by two blanks a level; short lists stay in one line.
    func json(indent: Int = 0) -> String {
        let margin = String(repeating: " ", count: indent + 2)
        let end = "\n" + String(repeating: " ", count: indent)
        switch self {
        case .string(let text): return Self.quoted(text)
        case .int(let value): return String(value)
        case .double(let value): return "\(value)"
        case .bool(let value): return value ? "true" : "false"
        case .list(let items):
            let inner = items.map { $0.json(indent: indent + 2) }
            let short = "[" + inner.joined(separator: ", ") + "]"
            if short.utf8.count + indent <= 100, !short.contains("\n") { return short }
            return "[\n" + inner.map { margin + $0 }.joined(separator: ",\n") + end + "]"
        case .map(let members):
            if members.isEmpty { return "{}" }
            let inner = members.map { margin + Self.quoted($0.0) + ": " + $0.1.json(indent: indent + 2) }
            return "{\n" + inner.joined(separator: ",\n") + end + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = [UInt8(ascii: "\"")]
        JSONEscape.append(text.utf8, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension SchemaNode {
    /// As a JSON Schema. `allowsNull`: a key with nothing behind it means the default.
    func schema(allowsNull: Bool) -> [(String, SchemaValue)] {
        func typed(_ name: String, _ more: [(String, SchemaValue)] = []) -> [(String, SchemaValue)] {
            [("type", allowsNull ? .list([.string(name), .string("null")]) : .string(name))] + more
        }
        func any(_ nodes: [[(String, SchemaValue)]]) -> [(String, SchemaValue)] {
            let all = nodes.map { SchemaValue.map($0) }
            return [("anyOf", .list(allowsNull ? all + [.map([("type", .string("null"))])] : all))]
        }
        switch self {
        case .string(let pattern): return typed("string", pattern.map { [("pattern", .string($0))] } ?? [])
        case .integer(let range):
            var more: [(String, SchemaValue)] = []
            if let range {
                if range.lowerBound > .min { more.append(("minimum", .int(range.lowerBound))) }
                if range.upperBound < .max { more.append(("maximum", .int(range.upperBound))) }
            }
            return typed("integer", more)
        case .number(let range):
            return typed(
                "number", range.map { [("minimum", .double($0.lowerBound)), ("maximum", .double($0.upperBound))] } ?? [])
        case .boolean: return typed("boolean")
        case .choice(let words):
            // `null` has to be named: an enumeration overrules the type.
            return any([[("enum", .list(words.map { .string($0) }))]]).count == 1 && !allowsNull
                ? [("enum", .list(words.map { .string($0) }))] : any([[("enum", .list(words.map { .string($0) }))]])
        case .duration:
            return any([
                [("type", .string("string")), ("pattern", .string("^([0-9]+ ?(us|ms|s|m|h|d))+$"))],
                [("const", .int(0))],
            ])
        case .bytes:
            return any([
                [("type", .string("integer")), ("minimum", .int(0))],
                [("type", .string("string")), ("pattern", .string("^[0-9]+ ?(B|k|kB|KB|M|MB|G|GB|Ki|KiB|Mi|MiB|Gi|GiB)$"))],
            ])
        case .list(let item, let isNeverEmpty):
            return typed(
                "array",
                [("items", .map(item.schema(allowsNull: false)))] + (isNeverEmpty ? [("minItems", .int(1))] : []))
        case .oneOrMore(let item):
            return any([
                [("type", .string("array")), ("items", .map(item.schema(allowsNull: false)))],
                item.schema(allowsNull: false),
            ])
        case .anyOf(let nodes): return any(nodes.map { $0.schema(allowsNull: false) })
        case .any: return []
        case .null: return [("type", .string("null"))]
        case .reference(let name): return [("$ref", .string("#/$defs/\(name)"))]
        case .object(let object): return object.schema(typed("object"), allowsNull: allowsNull)
        }
    }
}

extension SchemaObject {
    func schema(_ head: [(String, SchemaValue)], allowsNull: Bool) -> [(String, SchemaValue)] {
        var out = head
        var members: [(String, SchemaValue)] = []
        for property in properties {
            var schema = [("description", SchemaValue.string(property.description))]
            if let initial = property.initial { schema.append(("default", initial)) }
            schema += property.node.schema(allowsNull: allowsNull && !property.isRequired)
            members.append((property.name, .map(schema)))
        }
        out.append(("properties", .map(members)))
        let required = properties.filter(\.isRequired).map { SchemaValue.string($0.name) }
        if !required.isEmpty { out.append(("required", .list(required))) }
        var rules: [SchemaValue] = exactlyOne.map { group in
            .map([("oneOf", .list(group.map { .map([("required", .list([.string($0)]))]) }))])
        }
        // A value of null has no keys to ask for.
        if allowsNull, !rules.isEmpty {
            rules = rules.map { .map([("anyOf", .list([.map([("type", .string("null"))]), $0]))]) }
        }
        if !rules.isEmpty { out.append(("allOf", .list(rules))) }
        if !needs.isEmpty {
            out.append(("dependentRequired", .map(needs.map { ($0.0, .list([.string($0.1)])) })))
        }
        if !isOpen { out.append(("additionalProperties", .bool(false))) }
        return out
    }
}
