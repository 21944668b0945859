/// Where a variable lives: a slot of the frame `depth` functions from the outermost.
struct Variable: Hashable, Sendable {
    var depth: Int
    var slot: Int
}

/// A function of the generated program (the template, a macro): owner of one frame's slots.
final class FunctionScope {
    let depth: Int
    var slotsCount = 0
    /// Whether something made here may outlive a call and refers back to the frame: macros, callers, lazy loop filters.
    var capturesFrame = false

    init(depth: Int) { self.depth = depth }
}

/// Resolves names as Jinja's compiler does (`idtracking`): statically, scope by scope.
///
/// A name that a scope assigns is a variable of that scope, even before the assignment; it starts as the outer variable
/// of that name, or undefined. A name that is only read comes from the variables of the render. `if` is no scope, but
/// what only some branches assign starts as what it was outside.
final class Symbols {
    enum Load {
        case parameter
        case resolve(String)
        case alias(Variable)
        case undefined
    }

    /// Slots of a scope by name: branches of one scope share them.
    private final class Slots { var byName: [String: Variable] = [:] }

    let function: FunctionScope
    private let parent: Symbols?
    private let slots: Slots
    private var refs: [String: Variable] = [:]
    private(set) var loads: [Variable: Load] = [:]
    private(set) var stores: Set<String> = []

    init(function: FunctionScope, parent: Symbols?) {
        self.function = function
        self.parent = parent
        slots = Slots()
    }

    private init(copying other: Symbols) {
        function = other.function
        parent = other.parent
        slots = other.slots
        refs = other.refs
        loads = other.loads
        stores = other.stores
    }

    func find(_ name: String) -> Variable? { refs[name] ?? parent?.find(name) }

    @discardableResult
    private func define(_ name: String, _ load: Load) -> Variable {
        let variable: Variable
        if let known = slots.byName[name] {
            variable = known
        } else {
            variable = Variable(depth: function.depth, slot: function.slotsCount)
            function.slotsCount += 1
            slots.byName[name] = variable
        }
        refs[name] = variable
        loads[variable] = load
        return variable
    }

    func store(_ name: String) {
        stores.insert(name)
        guard refs[name] == nil else { return }
        if let outer = parent?.find(name) { define(name, .alias(outer)) } else { define(name, .undefined) }
    }

    @discardableResult
    func declareParameter(_ name: String) -> Variable {
        stores.insert(name)
        return define(name, .parameter)
    }

    func load(_ name: String) {
        if find(name) == nil { define(name, .resolve(name)) }
    }

    private func update(branches: [Symbols]) {
        let before = stores
        for branch in branches {
            refs.merge(branch.refs) { $1 }
            loads.merge(branch.loads) { $1 }
            stores.formUnion(branch.stores)
        }
        for name in stores.subtracting(before) {
            guard let variable = find(name) else { continue }
            if let outer = parent?.find(name) { loads[variable] = .alias(outer) } else { loads[variable] = .resolve(name) }
        }
    }

    // MARK: Visiting

    func visit(_ statements: [Statement]) {
        for statement in statements { visit(statement) }
    }

    func visit(_ statement: Statement) {
        switch statement {
        case .text, .breakLoop, .continueLoop, .unsupported, .generation: break
        case .output(let value, _): visit(value)
        case .assign(let target, let value, _):
            visit(value)
            visit(target)
        case .assignBlock(let target, _, _, _): visit(target)
        case .conditional(let branches, let otherwise, _): visit(branches[...], otherwise: otherwise)
        case .loop(let loop): visit(loop.iterable)
        case .macro(let name, _, _, _): store(name)
        case .callBlock(let call, _, _, _): visit(call)
        case .filterBlock(let filter, _, _): visit(filter)
        case .with(let variables, _, _): for (_, value) in variables { visit(value) }
        }
    }

    private func visit(_ branches: ArraySlice<(condition: Expression, body: [Statement])>, otherwise: [Statement]) {
        guard let first = branches.first else { return }
        visit(first.condition)
        let body = Symbols(copying: self)
        body.visit(first.body)
        let elifs = Symbols(copying: self)
        for branch in branches.dropFirst() {
            // An `elif` is an `if` of its own with one branch.
            elifs.visit([branch][...], otherwise: [])
        }
        let last = Symbols(copying: self)
        last.visit(otherwise)
        update(branches: [body, elifs, last])
    }

    func visit(_ target: Target, asParameter: Bool = false) {
        switch target {
        case .name(let name): if asParameter { declareParameter(name) } else { store(name) }
        case .tuple(let targets): for target in targets { visit(target, asParameter: asParameter) }
        case .namespace(let name, _, _): load(name)
        }
    }

    func visit(_ expression: Expression) {
        Names.visit(expression) { load($0) }
    }
}

/// Names that a piece of template reads.
enum Names {
    static func visit(_ expression: Expression, _ body: (String) -> Void) {
        switch expression {
        case .constant: break
        case .name(let name, _): body(name)
        case .list(let items, _), .tuple(let items, _), .concatenation(let items):
            for item in items { visit(item, body) }
        case .dictionary(let pairs, _):
            for pair in pairs {
                visit(pair.key, body)
                visit(pair.value, body)
            }
        case .unary(_, let value, _), .not(let value), .attribute(let value, _, _): visit(value, body)
        case .binary(_, let left, let right, _), .and(let left, let right), .or(let left, let right),
            .item(let left, let right, _):
            visit(left, body)
            visit(right, body)
        case .compare(let first, let rest, _):
            visit(first, body)
            for (_, value) in rest { visit(value, body) }
        case .conditional(let condition, let value, let otherwise):
            visit(condition, body)
            visit(value, body)
            if let otherwise { visit(otherwise, body) }
        case .slice(let start, let stop, let step):
            for part in [start, stop, step] { if let part { visit(part, body) } }
        case .call(let callee, let arguments, _):
            visit(callee, body)
            visit(arguments, body)
        case .filter(let value, _, let arguments, _):
            if let value { visit(value, body) }
            visit(arguments, body)
        case .test(let value, _, let arguments, _):
            visit(value, body)
            visit(arguments, body)
        }
    }

    private static func visit(_ arguments: Arguments, _ body: (String) -> Void) {
        for value in arguments.positional { visit(value, body) }
        for (_, value) in arguments.named { visit(value, body) }
        for value in [arguments.spreadPositional, arguments.spreadNamed] { if let value { visit(value, body) } }
    }

    /// Which of `names` the statements read at any depth before they assign them.
    static func undeclared(_ names: Set<String>, in statements: [Statement]) -> Set<String> {
        var left = names
        var found: Set<String> = []
        visit(statements, &left, &found)
        return found
    }

    private static func visit(_ statements: [Statement], _ left: inout Set<String>, _ found: inout Set<String>) {
        for statement in statements {
            switch statement {
            case .text, .breakLoop, .continueLoop, .unsupported: break
            case .output(let value, _): read(value, &left, &found)
            case .assign(let target, let value, _):
                // In the order of Jinja's node: target first.
                declare(target, &left)
                read(value, &left, &found)
            case .assignBlock(let target, let filter, let body, _):
                declare(target, &left)
                if let filter { read(filter, &left, &found) }
                visit(body, &left, &found)
            case .conditional(let branches, let otherwise, _):
                for branch in branches {
                    read(branch.condition, &left, &found)
                    visit(branch.body, &left, &found)
                }
                visit(otherwise, &left, &found)
            case .loop(let loop):
                declare(loop.target, &left)
                read(loop.iterable, &left, &found)
                visit(loop.body, &left, &found)
                visit(loop.otherwise, &left, &found)
                if let condition = loop.condition { read(condition, &left, &found) }
            case .macro(_, let signature, let body, _):
                for name in signature.parameters { left.remove(name) }
                for value in signature.defaults { read(value, &left, &found) }
                visit(body, &left, &found)
            case .callBlock(let call, let signature, let body, _):
                read(call, &left, &found)
                for name in signature.parameters { left.remove(name) }
                for value in signature.defaults { read(value, &left, &found) }
                visit(body, &left, &found)
            case .filterBlock(let filter, let body, _):
                visit(body, &left, &found)
                read(filter, &left, &found)
            case .with(let variables, let body, _):
                for (target, _) in variables { declare(target, &left) }
                for (_, value) in variables { read(value, &left, &found) }
                visit(body, &left, &found)
            case .generation(let body, _): visit(body, &left, &found)
            }
        }
    }

    private static func read(_ value: Expression, _ left: inout Set<String>, _ found: inout Set<String>) {
        visit(value) { if left.contains($0) { found.insert($0) } }
    }

    private static func declare(_ target: Target, _ left: inout Set<String>) {
        switch target {
        case .name(let name): left.remove(name)
        case .tuple(let targets): for target in targets { declare(target, &left) }
        case .namespace: break
        }
    }
}
