extension Filters {
    static let sequences: [String: Filter] = [
        "default": { (render, value, arguments) throws(TemplateError) in try fallback(render, value, arguments) },
        "d": { (render, value, arguments) throws(TemplateError) in try fallback(render, value, arguments) },
        "length": { (render, value, _) throws(TemplateError) in .int(try render.length(value)) },
        "count": { (render, value, _) throws(TemplateError) in .int(try render.length(value)) },
        "list": { (render, value, _) throws(TemplateError) in .list(try render.items(value)) },
        "first": { (render, value, _) throws(TemplateError) in
            try render.iterate(value).next() ?? .undefined(Undefined("No first item, sequence was empty."))
        },
        "last": { (render, value, _) throws(TemplateError) in
            if case .object(let object) = value, object is GeneratorObject {
                throw TemplateError(.type, "'generator' object is not reversible")
            }
            return try render.items(value).last ?? .undefined(Undefined("No last item, sequence was empty."))
        },
        "join": { (render, value, arguments) throws(TemplateError) in
            let separator = try arguments.get(0, "d").map { (text) throws(TemplateError) in try render.str(text) } ?? .empty
            let attribute = arguments.get(1, "attribute")
            var parts: [Value] = []
            for item in try render.items(value) {
                let part = try attribute.map { (path) throws(TemplateError) in try look(path, item) } ?? item
                parts.append(.string(try render.str(part)))
            }
            // Escaping is off: `str(d).join(map(str, value))`.
            return .string(try StringMethods.join(separator.marked(false), .list(parts), render).marked(false))
        },
        "items": { (_, value, _) throws(TemplateError) in
            lazily { () throws(TemplateError) in
                switch value {
                case .undefined: return ValueIterator([])
                case .dictionary(let dictionary):
                    return ValueIterator(zip(dictionary.keys, dictionary.values).map { .tuple([$0, $1]) })
                default: throw TemplateError(.type, "Can only get item pairs from a mapping.")
                }
            }
        },
        "dictsort": { (render, value, arguments) throws(TemplateError) in
            guard case .dictionary(let dictionary) = value else {
                if case .undefined(let undefined) = value { throw undefined.error }
                throw TemplateError(.attribute, "'\(value.typeName)' object has no attribute 'items'")
            }
            let by = try arguments.get(1, "by").map { (by) throws(TemplateError) in try render.str(by).string } ?? "key"
            guard by == "key" || by == "value" else {
                throw TemplateError(.filterArgument, "You can only sort by either \"key\" or \"value\"")
            }
            let keepsCase = try flag(arguments.get(0, "case_sensitive"), render)
            let keys = (by == "key" ? dictionary.keys : dictionary.values).map { keepsCase ? $0 : folded($0) }
            let order = try Sorting.order(keys, descending: try flag(arguments.get(2, "reverse"), render))
            return .list(order.map { .tuple([dictionary.keys[$0], dictionary.values[$0]]) })
        },
        "sort": { (render, value, arguments) throws(TemplateError) in
            let items = try render.items(value)
            let keepsCase = try flag(arguments.get(1, "case_sensitive"), render)
            var keys: [Value] = []
            for item in items {
                guard let attribute = arguments.get(2, "attribute"), !isNone(attribute) else {
                    keys.append(keepsCase ? item : folded(item))
                    continue
                }
                var parts: [Value] = []
                var paths = [attribute]
                if case .string(let names) = attribute {
                    paths = names.string.split(separator: ",", omittingEmptySubsequences: false).map { .string(String($0)) }
                }
                for path in paths {
                    let part = try look(path, item)
                    parts.append(keepsCase ? part : folded(part))
                }
                keys.append(.list(parts))
            }
            try render.charge(8 * items.count)
            let order = try Sorting.order(keys, descending: try flag(arguments.get(0, "reverse"), render))
            return .list(order.map { items[$0] })
        },
        "unique": { (render, value, arguments) throws(TemplateError) in
            let keepsCase = try flag(arguments.get(0, "case_sensitive"), render)
            let attribute = arguments.get(1, "attribute")
            let items = try render.iterate(value)
            var seen: Set<Value.Key> = []
            return .object(
                GeneratorObject(
                    ValueIterator { () throws(TemplateError) -> Value? in
                        while let item = try items.next() {
                            try render.charge(1)
                            let key = try attribute.map { (path) throws(TemplateError) in try look(path, item) } ?? item
                            guard key.isHashable else {
                                throw TemplateError(.type, "unhashable type: '\(key.typeName)'")
                            }
                            if seen.insert(Value.Key(keepsCase ? key : folded(key))).inserted { return item }
                        }
                        return nil
                    }))
        },
        "reverse": { (render, value, _) throws(TemplateError) in
            if case .string(let text) = value {
                return .string(PythonString(scalars: text.scalars.reversed(), isMarkup: text.isMarkup))
            }
            return .object(GeneratorObject(ValueIterator(try render.items(value).reversed())))
        },
        "min": { (render, value, arguments) throws(TemplateError) in
            try extreme(render, value, arguments, isMaximum: false)
        },
        "max": { (render, value, arguments) throws(TemplateError) in
            try extreme(render, value, arguments, isMaximum: true)
        },
        "sum": { (render, value, arguments) throws(TemplateError) in
            var total = arguments.get(1, "start") ?? .int(0)
            let attribute = arguments.get(0, "attribute")
            for item in try render.items(value) {
                let part = try attribute.map { (path) throws(TemplateError) in
                    isNone(path) ? item : try look(path, item)
                } ?? item
                total = try Arithmetic.apply(.add, total, part, render)
            }
            return total
        },
        "attr": { (_, value, arguments) throws(TemplateError) in
            guard case .string(let name)? = arguments.get(0, "name") else {
                throw TemplateError(.type, "do_attr() missing 1 required positional argument: 'name'")
            }
            if case .dictionary = value {
                return .undefined(
                    Undefined("'dict object' has no attribute \(PythonPrinter.repr(name).string)"))
            }
            return try Subscript.attribute(value, name.string, name)
        },
        "map": { (render, value, arguments) throws(TemplateError) in try map(render, value, arguments) },
        "select": { (render, value, arguments) throws(TemplateError) in
            try select(render, value, arguments, keeps: true, byAttribute: false)
        },
        "reject": { (render, value, arguments) throws(TemplateError) in
            try select(render, value, arguments, keeps: false, byAttribute: false)
        },
        "selectattr": { (render, value, arguments) throws(TemplateError) in
            try select(render, value, arguments, keeps: true, byAttribute: true)
        },
        "rejectattr": { (render, value, arguments) throws(TemplateError) in
            try select(render, value, arguments, keeps: false, byAttribute: true)
        },
        "groupby": { (render, value, arguments) throws(TemplateError) in try group(render, value, arguments) },
        "batch": { (render, value, arguments) throws(TemplateError) in
            let size = try arguments.get(0, "linecount")?.index() ?? 0
            var batches: [Value] = []
            var batch: [Value] = []
            for item in try render.items(value) {
                if batch.count == size, !batch.isEmpty {
                    batches.append(.list(batch))
                    batch = []
                }
                batch.append(item)
            }
            if !batch.isEmpty {
                if let fill = arguments.get(1, "fill_with"), !isNone(fill), size > batch.count {
                    try render.charge(size)
                    batch += [Value](repeating: fill, count: size - batch.count)
                }
                batches.append(.list(batch))
            }
            return .object(GeneratorObject(ValueIterator(batches)))
        },
        "slice": { (render, value, arguments) throws(TemplateError) in
            let items = try render.items(value)
            let count = try arguments.get(0, "slices")?.index() ?? 0
            guard count != 0 else { throw TemplateError(.division, "integer division or modulo by zero") }
            try render.charge(max(0, count))
            var slices: [Value] = []
            var start = 0
            for number in 0..<max(0, count) {
                let isLonger = number < items.count % count
                let end = start + items.count / count + (isLonger ? 1 : 0)
                var slice = Array(items[start..<end])
                if let fill = arguments.get(1, "fill_with"), !isNone(fill), !isLonger { slice.append(fill) }
                slices.append(.list(slice))
                start = end
            }
            return .object(GeneratorObject(ValueIterator(slices)))
        },
    ]

    private static func fallback(_ render: Render, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let other = arguments.get(0, "default_value") ?? .string(.empty)
        if Tests.isUndefined(value) { return other }
        guard try flag(arguments.get(1, "boolean"), render) else { return value }
        return try render.truth(value) ? value : other
    }

    private static func flag(_ value: Value?, _ render: Render) throws(TemplateError) -> Bool {
        try value.map { (value) throws(TemplateError) in try render.truth(value) } ?? false
    }

    private static func isNone(_ value: Value) -> Bool { if case .none = value { true } else { false } }

    /// `ignore_case`.
    private static func folded(_ value: Value) -> Value {
        if case .string(let text) = value { return .string(StringMethods.cased(text, upper: false)) }
        return value
    }

    /// `make_attrgetter`: a path with dots, whole numbers are indices.
    private static func look(_ path: Value, _ item: Value, fallback: Value? = nil) throws(TemplateError) -> Value {
        var parts = [path]
        if case .string(let text) = path {
            parts = text.string.split(separator: ".", omittingEmptySubsequences: false).map {
                Int($0).map { .int($0) } ?? .string(String($0))
            }
        }
        var value = item
        for part in parts {
            value = try Subscript.item(value, part)
            if let fallback, Tests.isUndefined(value) { value = fallback }
        }
        return value
    }

    private static func lazily(_ make: @escaping () throws(TemplateError) -> ValueIterator) -> Value {
        var iterator: ValueIterator?
        return .object(
            GeneratorObject(
                ValueIterator { () throws(TemplateError) -> Value? in
                    if let iterator { return try iterator.next() }
                    let made = try make()
                    iterator = made
                    return try made.next()
                }))
    }

    private static func extreme(
        _ render: Render, _ value: Value, _ arguments: CallArguments, isMaximum: Bool
    ) throws(TemplateError) -> Value {
        let keepsCase = try flag(arguments.get(0, "case_sensitive"), render)
        let attribute = arguments.get(1, "attribute")
        var best: (item: Value, key: Value)?
        for item in try render.items(value) {
            let found = try attribute.map { (path) throws(TemplateError) in
                isNone(path) ? item : try look(path, item)
            } ?? item
            let key = keepsCase ? found : folded(found)
            if let known = best {
                let isBetter = try isMaximum ? Sorting.less(known.key, key) : Sorting.less(key, known.key)
                if isBetter { best = (item, key) }
            } else {
                best = (item, key)
            }
        }
        return best?.item ?? .undefined(Undefined("No aggregated item, sequence was empty."))
    }

    private static func map(_ render: Render, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        lazily { () throws(TemplateError) in
            guard try render.truth(value) else { return ValueIterator([]) }
            if arguments.positional.isEmpty, let attribute = arguments.get(name: "attribute") {
                let fallback = arguments.get(name: "default")
                let items = try render.iterate(value)
                return ValueIterator { () throws(TemplateError) -> Value? in
                    guard let item = try items.next() else { return nil }
                    try render.charge(1)
                    return try look(attribute, item, fallback: fallback)
                }
            }
            guard let name = arguments.positional.first else {
                throw TemplateError(.filterArgument, "map requires a filter argument")
            }
            guard case .string(let text) = name, let filter = table[text.string] else {
                throw TemplateError(.runtime, "No filter named \(PythonPrinter.repr(name).string).")
            }
            var rest = arguments
            rest.positional.removeFirst()
            let given = rest
            let items = try render.iterate(value)
            return ValueIterator { () throws(TemplateError) -> Value? in
                guard let item = try items.next() else { return nil }
                try render.charge(1)
                return try filter(render, item, given)
            }
        }
    }

    private static func select(
        _ render: Render, _ value: Value, _ arguments: CallArguments, keeps: Bool, byAttribute: Bool
    ) throws(TemplateError) -> Value {
        lazily { () throws(TemplateError) in
            guard try render.truth(value) else { return ValueIterator([]) }
            var rest = arguments
            var attribute: Value?
            if byAttribute {
                guard !rest.positional.isEmpty else {
                    throw TemplateError(.filterArgument, "Missing parameter for attribute name")
                }
                attribute = rest.positional.removeFirst()
            }
            var test: Test?
            if let name = rest.positional.first {
                guard case .string(let text) = name, let found = Tests.table[text.string] else {
                    throw TemplateError(.runtime, "No test named \(PythonPrinter.repr(name).string).")
                }
                rest.positional.removeFirst()
                test = found
            }
            let (given, path, decide) = (rest, attribute, test)
            let items = try render.iterate(value)
            return ValueIterator { () throws(TemplateError) -> Value? in
                while let item = try items.next() {
                    try render.charge(1)
                    let subject = try path.map { (path) throws(TemplateError) in try look(path, item) } ?? item
                    let holds: Bool
                    if let decide { holds = try decide(render, subject, given) } else { holds = try render.truth(subject) }
                    if holds == keeps { return item }
                }
                return nil
            }
        }
    }

    private static func group(_ render: Render, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        guard let attribute = arguments.get(0, "attribute") else {
            throw TemplateError(.type, "do_groupby() missing 1 required positional argument: 'attribute'")
        }
        let fallback = arguments.get(1, "default")
        let keepsCase = try flag(arguments.get(2, "case_sensitive"), render)
        let items = try render.items(value)
        var keys: [Value] = []
        for item in items {
            let key = try look(attribute, item, fallback: fallback)
            keys.append(keepsCase ? key : folded(key))
        }
        var groups: [(key: Value, items: [Value])] = []
        for index in try Sorting.order(keys) {
            if let last = groups.last, last.key.equals(keys[index]) {
                groups[groups.count - 1].items.append(items[index])
            } else {
                groups.append((keys[index], [items[index]]))
            }
        }
        var result: [Value] = []
        for group in groups {
            // The group's name is the first item's, with its case.
            let name = try look(attribute, group.items[0], fallback: fallback)
            result.append(.object(GroupObject(name, .list(group.items))))
        }
        return .list(result)
    }
}

/// A named tuple `(grouper, list)`.
final class GroupObject: TemplateObject, @unchecked Sendable {
    let grouper, list: Value

    init(_ grouper: Value, _ list: Value) { (self.grouper, self.list) = (grouper, list) }

    override var typeName: String { "_GroupTuple" }
    override var description: String { PythonPrinter.repr(.tuple([grouper, list])).string }
}
