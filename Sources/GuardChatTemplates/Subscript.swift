/// `x.name`, `x[key]` and `x[a:b:c]` in the immutable sandbox.
enum Subscript {
    private static let mutators: Set<String> = [
        "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", "popitem", "setdefault", "update",
    ]

    /// Attributes that the sandbox hides: those with an underscore, and methods that change a list or dict.
    static func isUnsafe(_ object: Value, _ name: String) -> Bool {
        if name.utf8.first == UInt8(ascii: "_") { return true }
        switch object {
        case .list: return mutators.contains(name) && !["popitem", "setdefault", "update"].contains(name)
        case .dictionary: return ["clear", "pop", "popitem", "setdefault", "update"].contains(name)
        default: return false
        }
    }

    /// Attributes with an underscore that every Python object has: reading one gives the sandbox's answer.
    private static let dunders: Set<String> = [
        "__class__", "__dict__", "__doc__", "__init__", "__str__", "__repr__", "__eq__", "__hash__", "__len__",
        "__getitem__", "__iter__", "__contains__", "__add__", "__mul__", "__new__", "__reduce__", "__subclasshook__",
        "__getattribute__", "__setattr__", "__dir__", "__format__", "__sizeof__", "__ne__", "__lt__", "__gt__",
    ]

    private static func nativeAttribute(_ object: Value, _ name: String) throws(TemplateError) -> Value? {
        switch object {
        case .undefined(let undefined): throw undefined.error
        case .object(let inner):
            switch inner {
            case let namespace as NamespaceObject: return namespace.attributes[name]
            case let loop as LoopObject: return try loop.attribute(name)
            case let cycler as CyclerObject: return cycler.attribute(name)
            case let group as GroupObject: return name == "grouper" ? group.grouper : name == "list" ? group.list : nil
            case let macro as MacroObject:
                switch name {
                case "name": return .string(macro.definition.name)
                case "arguments": return .tuple(macro.definition.parameters.map { .string($0.name) })
                case "caller": return .bool(macro.definition.callerSlot != nil)
                case "catch_kwargs": return .bool(macro.definition.kwargsSlot != nil)
                case "catch_varargs": return .bool(macro.definition.varargsSlot != nil)
                default: return nil
                }
            default: return nil
            }
        default: break
        }
        if isUnsafe(object, name) {
            let exists = Method(rawValue: name).map { Methods.has(object, $0) } ?? false
            guard exists || mutators.contains(name) || dunders.contains(name) else { return nil }
            return .undefined(
                Undefined(
                    "access to attribute '\(name)' of '\(object.typeName)' object is unsafe.", kind: .security))
        }
        if let method = Method(rawValue: name), Methods.has(object, method) {
            return .object(BoundMethod(object, name))
        }
        if let integer = object.integer {
            switch name {
            case "real", "numerator": return .int(integer)
            case "imag": return .int(0)
            case "denominator": return .int(1)
            default: return nil
            }
        }
        return nil
    }

    static func attribute(_ object: Value, _ name: String, _ key: PythonString) throws(TemplateError) -> Value {
        // Keys of a dict that are no method: by far the most frequent case.
        if case .dictionary(let dictionary) = object, Method(rawValue: name) == nil, !isUnsafe(object, name),
            let value = dictionary[name: key]
        {
            return value
        }
        if let value = try nativeAttribute(object, name) { return value }
        if case .dictionary(let dictionary) = object, let value = dictionary[name: key] { return value }
        return missing(object, .string(key))
    }

    static func item(_ object: Value, _ key: Value) throws(TemplateError) -> Value {
        switch object {
        case .undefined(let undefined): throw undefined.error
        case .dictionary(let dictionary):
            if case .string(let name) = key, let value = dictionary[name: name] { return value }
            if key.isHashable, let value = dictionary[key: key] { return value }
        case .list(let list), .tuple(let list):
            if let index = key.integer, let item = element(list.items.count, index).map({ list.items[$0] }) {
                return item
            }
        case .string(let text):
            if let index = key.integer, let position = element(text.count, index) {
                let start = text.byteOffset(ofScalar: position)
                let end = min(start + PythonString.width(text.utf8[start]), text.utf8.count)
                return .string(PythonString(text.utf8[start..<end], like: text))
            }
        case .object(let inner):
            if let group = inner as? GroupObject, let index = key.integer, let position = element(2, index) {
                return position == 0 ? group.grouper : group.list
            }
            if let range = inner as? RangeObject, let index = key.integer, let position = element(range.count, index) {
                return .int(range.start &+ position &* range.step)
            }
        default: break
        }
        if case .string(let name) = key, let value = try nativeAttribute(object, name.string) { return value }
        return missing(object, key)
    }

    private static func element(_ count: Int, _ index: Int) -> Int? {
        if index >= 0 { return index < count ? index : nil }
        return index >= -count ? count + index : nil
    }

    private static func missing(_ object: Value, _ key: Value) -> Value {
        if case .string(let name) = key {
            return .undefined(
                Undefined("'\(object.objectDescription)' has no attribute \(PythonPrinter.repr(name).string)"))
        }
        return .undefined(
            Undefined("\(object.objectDescription) has no element \(PythonPrinter.repr(key).string)"))
    }

    // MARK: Slices

    static func slice(
        _ object: Value, _ start: Value?, _ stop: Value?, _ step: Value?, _ render: Render
    ) throws(TemplateError) -> Value {
        func bound(_ value: Value?) throws(TemplateError) -> Int? {
            guard let value else { return nil }
            guard let index = value.integer else {
                throw TemplateError(
                    .type, "slice indices must be integers or None or have an __index__ method")
            }
            return index
        }
        switch object {
        case .list(let list):
            let indices = try Self.indices(list.items.count, try bound(start), try bound(stop), try bound(step))
            try render.charge(indices.count)
            return .list(indices.map { list.items[$0] })
        case .tuple(let list):
            let indices = try Self.indices(list.items.count, try bound(start), try bound(stop), try bound(step))
            try render.charge(indices.count)
            return .tuple(indices.map { list.items[$0] })
        case .string(let text):
            try render.charge(bytes: text.utf8.count)
            let count = text.count
            let (first, last, stride) = (try bound(start), try bound(stop), try bound(step))
            if stride ?? 1 == 1 {
                let lower = clamp(first ?? 0, count)
                let upper = max(lower, clamp(last ?? count, count))
                let from = text.byteOffset(ofScalar: lower)
                let to = text.byteOffset(ofScalar: upper)
                return .string(PythonString(text.utf8[from..<to], like: text))
            }
            let scalars = text.scalars
            let indices = try Self.indices(count, first, last, stride)
            try render.charge(indices.count)
            return .string(PythonString(scalars: indices.map { scalars[$0] }, isMarkup: text.isMarkup))
        case .undefined(let undefined): throw undefined.error
        case .object(let inner as RangeObject):
            let items = inner.items
            return .list(try Self.indices(items.count, try bound(start), try bound(stop), try bound(step)).map { items[$0] })
        case .dictionary: throw TemplateError(.type, "unhashable type: 'slice'")
        default: throw TemplateError(.type, "'\(object.typeName)' object is not subscriptable")
        }
    }

    private static func clamp(_ index: Int, _ count: Int) -> Int {
        index < 0 ? max(0, index < -count ? 0 : count + index) : min(index, count)
    }

    private static func indices(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int?) throws(TemplateError) -> [Int] {
        let step = step ?? 1
        guard step != 0 else { throw TemplateError(.value, "slice step cannot be zero") }
        if step > 0 {
            let lower = clamp(start ?? 0, count)
            let upper = clamp(stop ?? count, count)
            return lower < upper ? Array(Swift.stride(from: lower, to: upper, by: step)) : []
        }
        func downward(_ index: Int) -> Int {
            index < 0 ? (index < -count ? -1 : count + index) : min(index, count - 1)
        }
        let upper = start.map(downward) ?? count - 1
        let lower = stop.map(downward) ?? -1
        return upper > lower ? Array(Swift.stride(from: upper, to: lower, by: step == .min ? -Int.max : step)) : []
    }
}
