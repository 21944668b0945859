final class ConstantNode: Node {
    let constant: Value

    init(_ constant: Value) { self.constant = constant }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value { constant }
}

final class VariableNode: Node {
    let hops, slot: Int
    let undefined: Value

    init(hops: Int, slot: Int, name: String) {
        self.hops = hops
        self.slot = slot
        undefined = .undefined(Undefined(name: name))
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        (hops == 0 ? frame : frame.ancestor(hops)).slots[slot] ?? undefined
    }
}

final class SequenceNode: Node {
    let items: [any Node]
    let isTuple: Bool

    init(_ items: [any Node], isTuple: Bool) { (self.items, self.isTuple) = (items, isTuple) }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        var values: [Value] = []
        values.reserveCapacity(items.count)
        for item in items { values.append(try render.value(item, frame)) }
        return try render.checked(isTuple ? .tuple(values) : .list(values))
    }
}

final class DictionaryNode: Node {
    let pairs: [(key: any Node, value: any Node)]

    init(_ pairs: [(key: any Node, value: any Node)]) { self.pairs = pairs }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        var values: [(Value, Value)] = []
        for pair in pairs {
            let key = try render.value(pair.key, frame)
            guard key.isHashable else { throw TemplateError(.type, "unhashable type: '\(key.typeName)'") }
            values.append((key, try render.value(pair.value, frame)))
        }
        return try render.checked(.dictionary(values))
    }
}

final class UnaryNode: Node {
    let sign: UnaryOperator
    let operand: any Node

    init(_ sign: UnaryOperator, _ operand: any Node) { (self.sign, self.operand) = (sign, operand) }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        try Arithmetic.apply(sign, try render.value(operand, frame))
    }
}

final class BinaryNode: Node {
    let operation: BinaryOperator
    let left, right: any Node

    init(_ operation: BinaryOperator, _ left: any Node, _ right: any Node) {
        self.operation = operation
        self.left = left
        self.right = right
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        let left = try render.value(left, frame)
        return try Arithmetic.apply(operation, left, try render.value(right, frame), render)
    }
}

final class LogicNode: Node {
    let isAnd: Bool
    let left, right: any Node

    init(isAnd: Bool, _ left: any Node, _ right: any Node) { (self.isAnd, self.left, self.right) = (isAnd, left, right) }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        let left = try render.value(left, frame)
        return try render.truth(left) == isAnd ? try render.value(right, frame) : left
    }
}

final class NotNode: Node {
    let operand: any Node

    init(_ operand: any Node) { self.operand = operand }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        .bool(!(try render.truth(try render.value(operand, frame))))
    }
}

final class CompareNode: Node {
    let first: any Node
    let rest: [(ComparisonOperator, any Node)]

    init(_ first: any Node, _ rest: [(ComparisonOperator, any Node)]) { (self.first, self.rest) = (first, rest) }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        var left = try render.value(first, frame)
        for (comparison, node) in rest {
            let right = try render.value(node, frame)
            guard try Comparison.apply(comparison, left, right, render) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }
}

final class ConcatenationNode: Node {
    let parts: [any Node]

    init(_ parts: [any Node]) { self.parts = parts }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        var text: [UInt8] = []
        for part in parts {
            let value = try render.value(part, frame)
            if case .string(let string) = value { text += string.utf8 } else { text += try render.str(value).utf8 }
            try render.charge(bytes: text.count)
        }
        return .string(PythonString(utf8: text))
    }
}

final class TernaryNode: Node {
    let condition, value: any Node
    let otherwise: (any Node)?
    private let undefined: Value

    init(_ condition: any Node, _ value: any Node, _ otherwise: (any Node)?) {
        self.condition = condition
        self.value = value
        self.otherwise = otherwise
        undefined = .undefined(
            Undefined("the inline if-expression evaluated to false and no else section was defined."))
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        if try render.truth(try render.value(condition, frame)) { return try render.value(value, frame) }
        return try otherwise.map { (node) throws(TemplateError) in try render.value(node, frame) } ?? undefined
    }
}

final class AttributeNode: Node {
    let object: any Node
    let name: String
    let key: PythonString

    init(_ object: any Node, _ name: String) {
        self.object = object
        self.name = name
        key = PythonString(name)
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        try Subscript.attribute(try render.value(object, frame), name, key)
    }
}

final class ItemNode: Node {
    let object, key: any Node

    init(_ object: any Node, _ key: any Node) { (self.object, self.key) = (object, key) }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        let object = try render.value(object, frame)
        return try Subscript.item(object, try render.value(key, frame))
    }
}

final class SliceNode: Node {
    let object: any Node
    let start, stop, step: (any Node)?

    init(_ object: any Node, start: (any Node)?, stop: (any Node)?, step: (any Node)?) {
        self.object = object
        self.start = start
        self.stop = stop
        self.step = step
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        let object = try render.value(object, frame)
        func bound(_ node: (any Node)?) throws(TemplateError) -> Value? {
            guard let node else { return nil }
            let value = try render.value(node, frame)
            if case .none = value { return nil }
            return value
        }
        let (start, stop, step) = (try bound(start), try bound(stop), try bound(step))
        return try Subscript.slice(object, start, stop, step, render)
    }
}

struct ArgumentNodes: Sendable {
    var positional: [any Node]
    var named: [(name: String, value: any Node)]
    var spreadPositional: (any Node)?
    var spreadNamed: (any Node)?

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> CallArguments {
        var arguments = CallArguments()
        arguments.positional.reserveCapacity(positional.count)
        for node in positional { arguments.positional.append(try render.value(node, frame)) }
        for (name, node) in named { arguments.named.append((name, try render.value(node, frame))) }
        if let spreadPositional {
            arguments.positional += try render.items(try render.value(spreadPositional, frame))
        }
        if let spreadNamed {
            guard case .dictionary(let dictionary) = try render.value(spreadNamed, frame) else {
                throw TemplateError(.type, "argument after ** must be a mapping")
            }
            for (key, value) in zip(dictionary.keys, dictionary.values) {
                arguments.named.append((PythonPrinter.str(key).string, value))
            }
        }
        return arguments
    }
}

final class CallNode: Node {
    let callee: any Node
    /// `object.method(...)` without making a bound method.
    let method: (object: any Node, name: String, method: Method?)?
    let arguments: ArgumentNodes

    init(_ callee: any Node, _ arguments: ArgumentNodes) {
        self.callee = callee
        self.arguments = arguments
        if let attribute = callee as? AttributeNode {
            method = (attribute.object, attribute.name, Method(rawValue: attribute.name))
        } else {
            method = nil
        }
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        try evaluate(render, frame, caller: nil)
    }

    func evaluate(_ render: Render, _ frame: Frame, caller: Value?) throws(TemplateError) -> Value {
        let target: Value
        if let method {
            let object = try render.value(method.object, frame)
            if caller == nil, let name = method.method, Methods.has(object, name), !Subscript.isUnsafe(object, method.name)
            {
                return try Methods.call(object, name, try arguments.evaluate(render, frame), render)
            }
            target = try Subscript.attribute(object, method.name, PythonString(method.name))
        } else {
            target = try render.value(callee, frame)
        }
        var arguments = try arguments.evaluate(render, frame)
        if let caller { arguments.named.append(("caller", caller)) }
        return try render.call(target, arguments)
    }
}

final class FilterNode: Node {
    /// `nil` in filter blocks: the input slot holds the text.
    let input: any Node
    let filter: Filter
    let arguments: ArgumentNodes

    init(_ input: any Node, _ filter: @escaping Filter, _ arguments: ArgumentNodes) {
        self.input = input
        self.filter = filter
        self.arguments = arguments
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        let value = try render.value(input, frame)
        return try filter(render, value, try arguments.evaluate(render, frame))
    }
}

final class TestNode: Node {
    let input: any Node
    let test: Test
    let arguments: ArgumentNodes

    init(_ input: any Node, _ test: @escaping Test, _ arguments: ArgumentNodes) {
        self.input = input
        self.test = test
        self.arguments = arguments
    }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value {
        let value = try render.value(input, frame)
        return .bool(try test(render, value, try arguments.evaluate(render, frame)))
    }
}

/// A filter or test that does not exist: raises when it is reached.
final class FailNode: Node {
    let error: TemplateError

    init(_ error: TemplateError) { self.error = error }

    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value { throw error }
}
