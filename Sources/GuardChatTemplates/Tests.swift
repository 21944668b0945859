typealias Test = @Sendable (Render, Value, CallArguments) throws(TemplateError) -> Bool

/// Jinja's built-in tests.
enum Tests {
    static let table: [String: Test] = {
        var table: [String: Test] = [:]
        func add(_ names: String..., test: @escaping Test) { for name in names { table[name] = test } }
        func comparing(_ comparison: ComparisonOperator) -> Test {
            { (render, value, arguments) throws(TemplateError) in
                try Comparison.apply(comparison, value, try argument(arguments, 0), render)
            }
        }
        add("defined") { (_, value, _) in !isUndefined(value) }
        add("undefined") { (_, value, _) in isUndefined(value) }
        add("none") { (_, value, _) in if case .none = value { true } else { false } }
        add("boolean") { (_, value, _) in if case .bool = value { true } else { false } }
        add("true") { (_, value, _) in if case .bool(true) = value { true } else { false } }
        add("false") { (_, value, _) in if case .bool(false) = value { true } else { false } }
        add("integer") { (_, value, _) in
            switch value {
            case .int, .bigInteger: true
            default: false
            }
        }
        add("float") { (_, value, _) in if case .double = value { true } else { false } }
        add("number") { (_, value, _) in value.number != nil }
        add("string") { (_, value, _) in if case .string = value { true } else { false } }
        add("mapping") { (_, value, _) in if case .dictionary = value { true } else { false } }
        add("iterable") { (render, value, _) in (try? render.iterate(value)) != nil }
        add("sequence") { (_, value, _) in
            switch value {
            case .object(let object): object is RangeObject
            default: value.knownCount != nil
            }
        }
        add("callable") { (_, value, _) in
            switch value {
            case .undefined: true
            case .object(let object):
                object is MacroObject || object is FunctionObject || object is BoundMethod || object is JoinerObject
                    || object is LoopObject
            default: false
            }
        }
        add("sameas") { (_, value, arguments) throws(TemplateError) in
            switch (value, try argument(arguments, 0)) {
            case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)): left === right
            case (.dictionary(let left), .dictionary(let right)): left === right
            case (.object(let left), .object(let right)): left === right
            case (.bool(let left), .bool(let right)): left == right
            case (.int(let left), .int(let right)): left == right
            case (.none, .none): true
            case (.string(let left), .string(let right)): left == right
            default: false
            }
        }
        add("escaped") { (_, value, _) in if case .string(let text) = value { text.isMarkup } else { false } }
        add("in") { (render, value, arguments) throws(TemplateError) in
            try Comparison.contains(try argument(arguments, 0), value, render)
        }
        add("divisibleby") { (render, value, arguments) throws(TemplateError) in
            try isMultiple(value, of: try argument(arguments, 0), render)
        }
        add("even") { (render, value, _) throws(TemplateError) in try isMultiple(value, of: .int(2), render) }
        add("odd") { (render, value, _) throws(TemplateError) in
            try Arithmetic.apply(.modulo, value, .int(2), render).equals(.int(1))
        }
        add("lower") { (render, value, _) throws(TemplateError) in
            Methods.isCased(try render.str(value), upper: false)
        }
        add("upper") { (render, value, _) throws(TemplateError) in
            Methods.isCased(try render.str(value), upper: true)
        }
        add("filter") { (_, value, _) in
            if case .string(let name) = value { Filters.table[name.string] != nil } else { false }
        }
        add("test") { (_, value, _) in
            if case .string(let name) = value { names.contains(name.string) } else { false }
        }
        add("==", "eq", "equalto", test: comparing(.equal))
        add("!=", "ne", test: comparing(.notEqual))
        add(">", "gt", "greaterthan", test: comparing(.greater))
        add(">=", "ge", test: comparing(.greaterOrEqual))
        add("<", "lt", "lessthan", test: comparing(.less))
        add("<=", "le", test: comparing(.lessOrEqual))
        return table
    }()

    private static let names: Set<String> = [
        "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping",
        "iterable", "sequence", "callable", "sameas", "escaped", "in", "divisibleby", "even", "odd", "lower", "upper",
        "filter", "test", "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan",
        "<=", "le",
    ]

    static func isUndefined(_ value: Value) -> Bool { if case .undefined = value { true } else { false } }

    private static func argument(_ arguments: CallArguments, _ index: Int) throws(TemplateError) -> Value {
        guard index < arguments.positional.count else {
            if let named = arguments.named.first { return named.value }
            throw TemplateError(.type, "test expected 2 arguments, got 1")
        }
        return arguments.positional[index]
    }

    private static func isMultiple(_ value: Value, of divisor: Value, _ render: Render) throws(TemplateError) -> Bool {
        try Arithmetic.apply(.modulo, value, divisor, render).equals(.int(0))
    }
}
