package import GuardJSON

/// A Python value as templates see it. Copies are cheap: everything with a size is shared.
package enum Value: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    /// An integer beyond 64 bits: its decimal digits. It can be printed, compared and looked up, not computed with.
    case bigInteger(PythonString)
    case double(Double)
    case string(PythonString)
    case list(List)
    case tuple(List)
    case dictionary(Dictionary)
    case undefined(Undefined)
    /// A namespace, macro, loop, method ... Made by a render and never seen outside of it.
    case object(TemplateObject)

    /// The items of a list or tuple.
    ///
    /// `depth` bounds the nesting, so that neither printing nor freeing a value can exhaust the stack.
    package final class List: Sendable {
        package let items: [Value]
        let depth: Int

        package init(_ items: [Value]) {
            self.items = items
            depth = items.reduce(0) { max($0, $1.depth) } + 1
        }
    }

    /// A `dict`: keeps the order of insertion.
    package final class Dictionary: Sendable {
        package let keys: [Value]
        package let values: [Value]
        private let index: [Key: Int]?
        let depth: Int

        /// Later values of equal keys replace earlier ones, at their place, as Python does.
        package init(_ pairs: [(Value, Value)]) {
            var keys: [Value] = []
            var values: [Value] = []
            keys.reserveCapacity(pairs.count)
            values.reserveCapacity(pairs.count)
            var index: [Key: Int] = [:]
            for (key, value) in pairs {
                if pairs.count > 1, let known = index[Key(key)] {
                    values[known] = value
                } else {
                    if pairs.count > 1 { index[Key(key)] = keys.count }
                    keys.append(key)
                    values.append(value)
                }
            }
            self.keys = keys
            self.values = values
            self.index = keys.count > 8 ? index : nil
            depth = max(keys.reduce(0) { max($0, $1.depth) }, values.reduce(0) { max($0, $1.depth) }) + 1
        }

        /// Keys are known to be distinct.
        init(distinct keys: [Value], _ values: [Value]) {
            self.keys = keys
            self.values = values
            if keys.count > 8 {
                var index: [Key: Int] = [:]
                for (position, key) in keys.enumerated() { index[Key(key)] = position }
                self.index = index
            } else {
                index = nil
            }
            depth = values.reduce(0) { max($0, $1.depth) } + 1
        }

        package var count: Int { keys.count }

        package subscript(key key: Value) -> Value? {
            if let index { return index[Key(key)].map { values[$0] } }
            for (position, known) in keys.enumerated() where known.equals(key) { return values[position] }
            return nil
        }

        subscript(name name: PythonString) -> Value? {
            if let index { return index[.string(name)].map { values[$0] } }
            for (position, known) in keys.enumerated() {
                if case .string(let known) = known, known == name { return values[position] }
            }
            return nil
        }
    }

    /// Hashable form of a key: `1 == 1.0 == True`.
    package enum Key: Hashable {
        case string(PythonString), number(Double), integer(Int), big(PythonString), none, other(ObjectIdentifier)
        case tuple([Key])

        init(_ value: Value) {
            self =
                switch value {
                case .string(let text): .string(text)
                case .int(let value): .integer(value)
                case .bool(let value): .integer(value ? 1 : 0)
                case .double(let value): Int(exactly: value).map { .integer($0) } ?? .number(value)
                case .bigInteger(let digits): .big(digits)
                case .tuple(let list), .list(let list): .tuple(list.items.map(Key.init))
                case .dictionary(let value): .other(ObjectIdentifier(value))
                case .object(let value): .other(ObjectIdentifier(value))
                case .none: .none
                case .undefined: .other(ObjectIdentifier(Undefined.self))
                }
        }
    }

    package static func string(_ text: String) -> Value { .string(PythonString(text)) }

    /// From UTF-8 bytes, repaired where they are not valid.
    package static func string(utf8: [UInt8]) -> Value { .string(PythonString(validating: utf8)) }

    package static func list(_ items: [Value]) -> Value { .list(List(items)) }

    static func tuple(_ items: [Value]) -> Value { .tuple(List(items)) }

    package static func dictionary(_ pairs: [(String, Value)]) -> Value {
        .dictionary(Dictionary(pairs.map { (.string($0.0), $0.1) }))
    }

    static func dictionary(_ pairs: [(Value, Value)]) -> Value { .dictionary(Dictionary(pairs)) }

    /// As Python's `json.loads` reads it.
    package init(json node: JSONNode) {
        switch node.kind {
        case .null: self = .none
        case .true: self = .bool(true)
        case .false: self = .bool(false)
        case .string: self = .string(PythonString(utf8: node.stringBytes ?? []))
        case .number:
            if !node.isIntegerLiteral {
                self = .double(node.double ?? .nan)
            } else if let value = node.integer {
                self = .int(Int(value))
            } else {
                self = .bigInteger(PythonString(utf8: Array(node.rawBytes), isASCII: true))
            }
        case .array: self = .list(node.elements.map { Value(json: $0) })
        case .object:
            var keys: [Value] = []
            var values: [Value] = []
            for (key, value) in node.members {
                keys.append(.string(PythonString(utf8: key.stringBytes ?? [])))
                values.append(Value(json: value))
            }
            self = .dictionary(Dictionary(distinct: keys, values))
        }
    }

    /// A copy with `value` at `key` of a dictionary: replaced at its place, or added at the end. Others are unchanged.
    package func setting(_ key: String, _ value: Value) -> Value {
        guard case .dictionary(let dictionary) = self else { return self }
        return .dictionary(Array(zip(dictionary.keys, dictionary.values)) + [(.string(key), value)])
    }

    package subscript(key: String) -> Value? {
        guard case .dictionary(let dictionary) = self else { return nil }
        return dictionary[name: PythonString(key)]
    }

    package var items: [Value]? {
        switch self {
        case .list(let list), .tuple(let list): list.items
        default: nil
        }
    }

    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .dictionary(let dictionary): dictionary.depth
        default: 0
        }
    }
}

/// Jinja's `Undefined`: prints as nothing, is false and empty; any other use raises.
package final class Undefined: Sendable {
    let message: String
    let kind: TemplateError.Kind

    init(_ message: String, kind: TemplateError.Kind = .undefined) {
        self.message = message
        self.kind = kind
    }

    convenience init(name: String) { self.init("\(PythonPrinter.repr(PythonString(name)).string) is undefined") }

    var error: TemplateError { TemplateError(kind, message) }
}

/// Base of what only lives during one render.
///
/// Unchecked `Sendable` because `Value` is: a render runs on one thread, its objects are reachable only from the values
/// of that render, and the only thing that leaves it is bytes.
package class TemplateObject: @unchecked Sendable {
    /// Python's name of the type, as `repr` and messages show it.
    var typeName: String { "object" }
    var qualifiedTypeName: String { typeName }
    var description: String { "<\(typeName)>" }
}
