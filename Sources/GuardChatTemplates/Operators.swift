extension Value {
    /// Python's `type(x).__name__`.
    var typeName: String {
        switch self {
        case .none: "NoneType"
        case .bool: "bool"
        case .int, .bigInteger: "int"
        case .double: "float"
        case .string(let text): text.isMarkup ? "Markup" : "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dictionary: "dict"
        case .undefined: "Undefined"
        case .object(let object): object.typeName
        }
    }

    /// Jinja's `object_type_repr`.
    var objectDescription: String {
        switch self {
        case .none: "None"
        case .undefined: "jinja2.runtime.Undefined object"
        case .string(let text) where text.isMarkup: "markupsafe.Markup object"
        case .object(let object): "\(object.qualifiedTypeName) object"
        default: "\(typeName) object"
        }
    }

    /// `int(x)` of an index-like value.
    func index() throws(TemplateError) -> Int {
        switch self {
        case .int(let value): return value
        case .bool(let value): return value ? 1 : 0
        case .undefined(let undefined): throw undefined.error
        case .bigInteger: throw TemplateError(.overflow, "Python int too large to convert to C ssize_t")
        default:
            throw TemplateError(.type, "'\(typeName)' object cannot be interpreted as an integer")
        }
    }

    /// Integers and booleans as an integer.
    var integer: Int? {
        switch self {
        case .int(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    /// Any number as a float.
    var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .bool(let value): value ? 1 : 0
        case .double(let value): value
        case .bigInteger(let digits): Double(digits.string)
        default: nil
        }
    }

    var isHashable: Bool {
        switch self {
        case .list, .dictionary: false
        case .tuple(let list): list.items.allSatisfy(\.isHashable)
        default: true
        }
    }

    /// Count of items that iteration gives, where it is known beforehand.
    var knownCount: Int? {
        switch self {
        case .string(let text): text.count
        case .list(let list), .tuple(let list): list.items.count
        case .dictionary(let dictionary): dictionary.count
        case .undefined: 0
        case .object(let object):
            switch object {
            case let range as RangeObject: range.count
            case let view as ViewObject: view.items.count
            default: nil
            }
        default: nil
        }
    }

    /// Python's `==`.
    func equals(_ other: Value) -> Bool {
        switch (self, other) {
        case (.string(let left), .string(let right)): return left == right
        case (.none, .none), (.undefined, .undefined): return true
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return left === right
                || left.items.count == right.items.count && zip(left.items, right.items).allSatisfy { $0.equals($1) }
        case (.dictionary(let left), .dictionary(let right)):
            return left === right
                || left.count == right.count
                    && zip(left.keys, left.values).allSatisfy { key, value in right[key: key]?.equals(value) ?? false }
        case (.object(let left), .object(let right)):
            if let left = left as? RangeObject, let right = right as? RangeObject {
                return left.count == right.count
                    && (left.count == 0 || left.start == right.start && (left.count == 1 || left.step == right.step))
            }
            return left === right
        case (.bigInteger(let left), .bigInteger(let right)): return left == right
        default:
            if let left = integer, let right = other.integer { return left == right }
            if let left = number, let right = other.number { return left == right }
            return false
        }
    }
}

extension Render {
    /// Python's `bool(x)`.
    func truth(_ value: Value) throws(TemplateError) -> Bool {
        switch value {
        case .none: return false
        case .undefined: return false
        case .bool(let value): return value
        case .int(let value): return value != 0
        case .bigInteger: return true
        case .double(let value): return value != 0
        case .string(let text): return !text.utf8.isEmpty
        case .object: return value.knownCount.map { $0 > 0 } ?? true
        default: return value.knownCount != 0
        }
    }

    func str(_ value: Value) throws(TemplateError) -> PythonString {
        if case .string(let text) = value { return text }
        let text = PythonPrinter.str(value)
        try charge(bytes: text.utf8.count)
        return text
    }

    /// Python's `iter(x)`.
    func iterate(_ value: Value, unpacking: Bool = false) throws(TemplateError) -> ValueIterator {
        switch value {
        case .list(let list), .tuple(let list): return ValueIterator(list.items)
        case .dictionary(let dictionary): return ValueIterator(dictionary.keys)
        case .string(let text):
            try charge(text.utf8.count)
            return ValueIterator(text.characters.map { .string($0) })
        case .undefined: return ValueIterator([])
        case .object(let object):
            switch object {
            case let generator as GeneratorObject: return generator.iterator
            case let range as RangeObject: return ValueIterator(range.items)
            case let view as ViewObject: return ValueIterator(view.items)
            case let group as GroupObject: return ValueIterator([group.grouper, group.list])
            case let loop as LoopObject:
                return ValueIterator { () throws(TemplateError) in
                    try loop.advance().map { .tuple([$0, .object(loop)]) }
                }
            default: break
            }
        default: break
        }
        throw TemplateError(
            .type,
            unpacking ? "cannot unpack non-iterable \(value.typeName) object" : "'\(value.typeName)' object is not iterable")
    }

    /// Python's `list(x)`.
    func items(_ value: Value) throws(TemplateError) -> [Value] {
        if case .list(let list) = value { return list.items }
        let iterator = try iterate(value)
        var items: [Value] = []
        while let item = try iterator.next() {
            try charge(1)
            items.append(item)
        }
        return items
    }

    /// Python's `len(x)`.
    func length(_ value: Value) throws(TemplateError) -> Int {
        if let count = value.knownCount { return count }
        if case .object(let object) = value, let loop = object as? LoopObject,
            case .int(let count)? = try loop.attribute("length")
        {
            return count
        }
        throw TemplateError(.type, "object of type '\(value.typeName)' has no len()")
    }

    func call(_ target: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        switch target {
        case .undefined(let undefined): throw undefined.error
        case .object(let object):
            switch object {
            case let macro as MacroObject: return try macro.call(arguments, self)
            case let function as FunctionObject: return try function.body(self, arguments)
            case let joiner as JoinerObject: return joiner.call()
            case let loop as LoopObject:
                guard let items = arguments.positional.first else {
                    throw TemplateError(.type, "LoopContext.__call__() missing 1 required positional argument: 'iterable'")
                }
                return try loop.recurse(items, self)
            case let method as BoundMethod:
                if case .object(let receiver) = method.receiver {
                    if let loop = receiver as? LoopObject { return try loop.call(method.name, arguments) }
                    if let cycler = receiver as? CyclerObject { return cycler.call(method.name) }
                }
                guard let name = Method(rawValue: method.name) else { break }
                return try Methods.call(method.receiver, name, arguments, self)
            default: break
            }
        default: break
        }
        throw TemplateError(.type, "'\(target.typeName)' object is not callable")
    }
}

enum Arithmetic {
    static func apply(_ sign: UnaryOperator, _ value: Value) throws(TemplateError) -> Value {
        switch value {
        case .undefined(let undefined): throw undefined.error
        case .double(let number): return .double(sign == .minus ? -number : number)
        default:
            guard let number = value.integer else {
                throw TemplateError(.type, "bad operand type for unary \(sign == .minus ? "-" : "+"): '\(value.typeName)'")
            }
            if sign == .plus { return .int(number) }
            let (negated, overflow) = (0).subtractingReportingOverflow(number)
            if overflow { throw .limit("64-bit integers") }
            return .int(negated)
        }
    }

    static func apply(
        _ operation: BinaryOperator, _ left: Value, _ right: Value, _ render: Render
    ) throws(TemplateError) -> Value {
        if operation == .add, case .string(let left) = left, case .string(let right) = right {
            let text = left.adding(right)
            try render.charge(bytes: text.utf8.count)
            return .string(text)
        }
        // `str % args` comes before everything else that the right side could want.
        if operation == .modulo, case .string(let format) = left {
            return try PercentFormat.format(format, right, render)
        }
        if case .undefined(let undefined) = left { throw undefined.error }
        if case .undefined(let undefined) = right {
            if operation == .add, case .list = left { throw concatenation(left, right) }
            throw undefined.error
        }
        if let left = left.integer, let right = right.integer { return try integers(operation, left, right) }
        if let leftNumber = left.number, let rightNumber = right.number {
            if case .bigInteger = left { throw .limit("64-bit integers") }
            if case .bigInteger = right { throw .limit("64-bit integers") }
            return try doubles(operation, leftNumber, rightNumber)
        }
        switch (operation, left, right) {
        case (.add, .list(let first), .list(let second)):
            try render.charge(4 * (first.items.count + second.items.count))
            return .list(first.items + second.items)
        case (.add, .tuple(let first), .tuple(let second)):
            try render.charge(4 * (first.items.count + second.items.count))
            return .tuple(first.items + second.items)
        case (.add, .string, _), (.add, .list, _), (.add, .tuple, _): throw concatenation(left, right)
        case (.multiply, .string, _), (.multiply, .list, _), (.multiply, .tuple, _):
            if let count = right.integer { return try repeated(left, count, render) }
            throw TemplateError(.type, "can't multiply sequence by non-int of type '\(right.typeName)'")
        case (.multiply, _, .string), (.multiply, _, .list), (.multiply, _, .tuple):
            if let count = left.integer { return try repeated(right, count, render) }
            throw TemplateError(.type, "can't multiply sequence by non-int of type '\(left.typeName)'")
        case (.subtract, .object(let first as ViewObject), _):
            let removed = try render.items(right)
            return .list(first.items.filter { item in !removed.contains { $0.equals(item) } })
        default: throw unsupported(operation, left, right)
        }
    }

    private static func concatenation(_ left: Value, _ right: Value) -> TemplateError {
        let name = left.typeName == "Markup" ? "str" : left.typeName
        return TemplateError(.type, "can only concatenate \(name) (not \"\(right.typeName)\") to \(name)")
    }

    private static func unsupported(_ operation: BinaryOperator, _ left: Value, _ right: Value) -> TemplateError {
        let name = operation == .power ? "** or pow()" : operation.rawValue
        return TemplateError(
            .type, "unsupported operand type(s) for \(name): '\(left.typeName)' and '\(right.typeName)'")
    }

    private static func repeated(_ value: Value, _ count: Int, _ render: Render) throws(TemplateError) -> Value {
        let count = max(0, count)
        switch value {
        case .string(let text):
            let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: count)
            try render.charge(bytes: overflow ? Int.max : bytes)
            var utf8: [UInt8] = []
            utf8.reserveCapacity(bytes)
            for _ in 0..<(text.utf8.isEmpty ? 0 : count) { utf8 += text.utf8 }
            return .string(PythonString(utf8: utf8, isASCII: text.isASCII, isMarkup: text.isMarkup))
        case .list(let list), .tuple(let list):
            let (size, overflow) = list.items.count.multipliedReportingOverflow(by: count)
            try render.charge(overflow || size > Int.max / 8 ? Int.max / 2 : 4 * size)
            var items: [Value] = []
            for _ in 0..<(list.items.isEmpty ? 0 : count) { items += list.items }
            if case .tuple = value { return .tuple(items) }
            return .list(items)
        default: return value
        }
    }

    private static func integers(_ operation: BinaryOperator, _ left: Int, _ right: Int) throws(TemplateError) -> Value {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0 else { throw TemplateError(.division, "division by zero") }
            return .double(Double(left) / Double(right))
        case .floorDivide, .modulo:
            guard right != 0 else {
                throw TemplateError(
                    .division, operation == .modulo ? "integer modulo by zero" : "integer division or modulo by zero")
            }
            if left == .min, right == -1 {
                if operation == .modulo { return .int(0) }
                throw .limit("64-bit integers")
            }
            var (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
            if remainder != 0, (remainder < 0) != (right < 0) {
                quotient -= 1
                remainder += right
            }
            return .int(operation == .modulo ? remainder : quotient)
        case .power:
            if right < 0 {
                guard left != 0 else { throw TemplateError(.division, "0.0 cannot be raised to a negative power") }
                return .double(power(Double(left), Double(right)))
            }
            var value = 1
            var base = left
            var exponent = right
            while exponent > 0 {
                if exponent & 1 == 1 {
                    let (product, overflow) = value.multipliedReportingOverflow(by: base)
                    if overflow { throw .limit("64-bit integers") }
                    value = product
                }
                exponent >>= 1
                guard exponent > 0 else { break }
                let (square, overflow) = base.multipliedReportingOverflow(by: base)
                if overflow { throw .limit("64-bit integers") }
                base = square
            }
            return .int(value)
        }
        if result.overflow { throw .limit("64-bit integers") }
        return .int(result.partialValue)
    }

    private static func doubles(
        _ operation: BinaryOperator, _ left: Double, _ right: Double
    ) throws(TemplateError) -> Value {
        switch operation {
        case .add: return .double(left + right)
        case .subtract: return .double(left - right)
        case .multiply: return .double(left * right)
        case .divide:
            guard right != 0 else { throw TemplateError(.division, "float division by zero") }
            return .double(left / right)
        case .floorDivide, .modulo:
            guard right != 0 else {
                throw TemplateError(.division, operation == .modulo ? "float modulo" : "float floor division by zero")
            }
            var remainder = left.truncatingRemainder(dividingBy: right)
            if remainder != 0, (remainder < 0) != (right < 0) { remainder += right }
            if operation == .modulo { return .double(remainder) }
            return .double(((left - remainder) / right).rounded(.toNearestOrEven))
        case .power: return .double(power(left, right))
        }
    }
}

enum Comparison {
    static func apply(
        _ comparison: ComparisonOperator, _ left: Value, _ right: Value, _ render: Render
    ) throws(TemplateError) -> Bool {
        switch comparison {
        case .equal: return left.equals(right)
        case .notEqual: return !left.equals(right)
        case .contained: return try contains(right, left, render)
        case .notContained: return !(try contains(right, left, render))
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            return try order(left, right, comparison, render)
        }
    }

    static func contains(_ container: Value, _ item: Value, _ render: Render) throws(TemplateError) -> Bool {
        switch container {
        case .string(let text):
            guard case .string(let part) = item else {
                throw TemplateError(.type, "'in <string>' requires string as left operand, not \(item.typeName)")
            }
            try render.charge(bytes: text.utf8.count)
            return text.find(part.utf8) != nil
        case .dictionary(let dictionary):
            guard item.isHashable else { throw TemplateError(.type, "unhashable type: '\(item.typeName)'") }
            return dictionary[key: item] != nil
        case .list(let list), .tuple(let list):
            try render.charge(list.items.count)
            return list.items.contains { $0.equals(item) }
        case .undefined: return false
        case .object(let object) where object is GeneratorObject || object is RangeObject || object is ViewObject:
            let iterator = try render.iterate(container)
            while let next = try iterator.next() {
                if next.equals(item) { return true }
            }
            return false
        default:
            throw TemplateError(.type, "argument of type '\(container.typeName)' is not iterable")
        }
    }

    static func order(
        _ left: Value, _ right: Value, _ comparison: ComparisonOperator, _ render: Render
    ) throws(TemplateError) -> Bool {
        switch (left, right) {
        case (.undefined(let undefined), _), (_, .undefined(let undefined)): throw undefined.error
        case (.string(let left), .string(let right)):
            // The order of UTF-8 is the order of scalars.
            return holds(comparison, left.utf8.lexicographicallyPrecedes(right.utf8), left == right)
        case (.list(let first), .list(let second)), (.tuple(let first), .tuple(let second)):
            for (one, other) in zip(first.items, second.items) where !one.equals(other) {
                try render.charge(1)
                return try order(one, other, comparison, render)
            }
            let (one, other) = (first.items.count, second.items.count)
            return holds(comparison, one < other, one == other)
        default: break
        }
        if let left = left.integer, let right = right.integer { return holds(comparison, left < right, left == right) }
        guard let one = left.number, let other = right.number else {
            throw TemplateError(
                .type,
                "'\(comparison.rawValue)' not supported between instances of '\(left.typeName)' and '\(right.typeName)'")
        }
        if one.isNaN || other.isNaN { return false }
        return holds(comparison, one < other, one == other)
    }

    private static func holds(_ comparison: ComparisonOperator, _ isLess: Bool, _ isEqual: Bool) -> Bool {
        switch comparison {
        case .less: isLess
        case .lessOrEqual: isLess || isEqual
        case .greater: !isLess && !isEqual
        case .greaterOrEqual: !isLess
        default: isEqual
        }
    }
}

/// Python's sort: stable, by `<` only.
enum Sorting {
    /// Positions of `keys` in ascending order.
    static func order(_ keys: [Value], descending: Bool = false) throws(TemplateError) -> [Int] {
        var order = Array(keys.indices)
        var buffer = order
        var width = 1
        func precedes(_ left: Value, _ right: Value) throws(TemplateError) -> Bool {
            try less(left, right)
        }
        while width < order.count {
            var start = 0
            while start < order.count {
                let middle = min(start + width, order.count)
                let end = min(start + 2 * width, order.count)
                var (left, right, next) = (start, middle, start)
                while left < middle || right < end {
                    let takesRight: Bool
                    if left == middle {
                        takesRight = true
                    } else if right == end {
                        takesRight = false
                    } else if descending {
                        takesRight = try precedes(keys[order[left]], keys[order[right]])
                    } else {
                        takesRight = try precedes(keys[order[right]], keys[order[left]])
                    }
                    buffer[next] = order[takesRight ? right : left]
                    if takesRight { right += 1 } else { left += 1 }
                    next += 1
                }
                start += 2 * width
            }
            swap(&order, &buffer)
            width *= 2
        }
        return order
    }

    static func less(_ left: Value, _ right: Value) throws(TemplateError) -> Bool {
        switch (left, right) {
        case (.string(let left), .string(let right)): return left.utf8.lexicographicallyPrecedes(right.utf8)
        case (.list(let first), .list(let second)), (.tuple(let first), .tuple(let second)):
            for (one, other) in zip(first.items, second.items) where !one.equals(other) {
                return try less(one, other)
            }
            return first.items.count < second.items.count
        case (.undefined(let undefined), _), (_, .undefined(let undefined)): throw undefined.error
        default:
            if let left = left.integer, let right = right.integer { return left < right }
            if let left = left.number, let right = right.number { return left < right }
            throw TemplateError(
                .type, "'<' not supported between instances of '\(left.typeName)' and '\(right.typeName)'")
        }
    }
}
