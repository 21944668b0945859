extension ChatTemplate {
    /// Names that the template reads and does not set itself before: what its caller may pass (`messages`, `tools`,
    /// `bos_token`, `enable_thinking` ...), sorted. Functions of the environment (`raise_exception`, `range`) are not
    /// among them.
    /// - Throws: `syntax` with the line, where Jinja would not compile the source.
    package static func variables(of source: String) throws(TemplateError) -> [String] {
        var walk = VariableWalk()
        walk.visit(try Parser.parse(source))
        return walk.free.sorted()
    }
}

/// Follows a template from top to bottom, as Jinja's `meta.find_undeclared_variables` does. What one branch sets counts
/// as set behind the branches.
private struct VariableWalk {
    private(set) var free: Set<String> = []
    private var bound: Set<String> = [
        "range", "dict", "namespace", "cycler", "joiner", "lipsum", "raise_exception", "strftime_now", "loop", "caller",
        "varargs", "kwargs", "self", "true", "false", "none", "True", "False", "None",
    ]

    mutating func visit(_ statements: [Statement]) { for statement in statements { visit(statement) } }

    private mutating func visit(_ statement: Statement) {
        switch statement {
        case .text, .breakLoop, .continueLoop, .unsupported: break
        case .output(let expression, _): visit(expression)
        case .assign(let target, let value, _):
            visit(value)
            bind(target)
        case .assignBlock(let target, let filter, let body, _):
            inScope { $0.visit(body) }
            if let filter { visit(filter) }
            bind(target)
        case .conditional(let branches, let otherwise, _):
            for branch in branches {
                visit(branch.condition)
                visit(branch.body)
            }
            visit(otherwise)
        case .loop(let loop):
            visit(loop.iterable)
            inScope { walk in
                walk.bind(loop.target)
                if let condition = loop.condition { walk.visit(condition) }
                walk.visit(loop.body)
            }
            inScope { $0.visit(loop.otherwise) }
        case .macro(let name, let signature, let body, _):
            bound.insert(name)
            visit(signature, body)
        case .callBlock(let call, let signature, let body, _):
            visit(call)
            visit(signature, body)
        case .filterBlock(let filter, let body, _):
            visit(filter)
            inScope { $0.visit(body) }
        case .with(let assignments, let body, _):
            inScope { walk in
                for (target, value) in assignments {
                    walk.visit(value)
                    walk.bind(target)
                }
                walk.visit(body)
            }
        case .generation(let body, _): inScope { $0.visit(body) }
        }
    }

    private mutating func visit(_ signature: Signature, _ body: [Statement]) {
        for value in signature.defaults { visit(value) }
        inScope { walk in
            walk.bound.formUnion(signature.parameters)
            walk.visit(body)
        }
    }

    private mutating func inScope(_ body: (inout VariableWalk) -> Void) {
        let outer = bound
        body(&self)
        bound = outer
    }

    private mutating func bind(_ target: Target) {
        switch target {
        case .name(let name): bound.insert(name)
        case .tuple(let targets): for target in targets { bind(target) }
        case .namespace: break
        }
    }

    private mutating func visit(_ expression: Expression) {
        switch expression {
        case .constant: break
        case .name(let name, _): if !bound.contains(name) { free.insert(name) }
        case .list(let items, _), .tuple(let items, _), .concatenation(let items): for item in items { visit(item) }
        case .dictionary(let pairs, _):
            for pair in pairs {
                visit(pair.key)
                visit(pair.value)
            }
        case .unary(_, let value, _), .not(let value), .attribute(let value, _, _): visit(value)
        case .binary(_, let left, let right, _), .and(let left, let right), .or(let left, let right),
            .item(let left, let right, _):
            visit(left)
            visit(right)
        case .compare(let first, let others, _):
            visit(first)
            for other in others { visit(other.1) }
        case .conditional(let condition, let value, let otherwise):
            visit(condition)
            visit(value)
            if let otherwise { visit(otherwise) }
        case .slice(let start, let stop, let step): for part in [start, stop, step] { part.map { visit($0) } }
        case .call(let value, let arguments, _):
            visit(value)
            visit(arguments)
        case .filter(let value, _, let arguments, _):
            value.map { visit($0) }
            visit(arguments)
        case .test(let value, _, let arguments, _):
            visit(value)
            visit(arguments)
        }
    }

    private mutating func visit(_ arguments: Arguments) {
        for value in arguments.positional { visit(value) }
        for (_, value) in arguments.named { visit(value) }
        arguments.spreadPositional.map { visit($0) }
        arguments.spreadNamed.map { visit($0) }
    }
}
