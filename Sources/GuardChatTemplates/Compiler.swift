/// From syntax tree to program: resolves names to slots and filters to functions, as Jinja's compiler does.
struct Compiler {
    private var contextIndex: [String: Int] = [:]
    private var contextNames: [String] = []

    /// Where a statement stands.
    private struct Place {
        var symbols: Symbols
        /// In an `if` or conditional expression: unknown filters and tests only raise when they are reached.
        var isSoft = false
        /// Slot that a filter without an operand reads.
        var inputSlot: Int?
        var isLoop = false
    }

    static func compile(_ statements: [Statement]) throws(TemplateError) -> Program {
        var compiler = Compiler()
        let scope = FunctionScope(depth: 0)
        let symbols = Symbols(function: scope, parent: nil)
        symbols.visit(statements)
        let block = try compiler.block(statements, Place(symbols: symbols))
        let function = Function(slotsCount: scope.slotsCount, capturesFrame: true, body: block)
        return Program(function: function, contextNames: compiler.contextNames)
    }

    private mutating func block(_ statements: [Statement], _ place: Place) throws(TemplateError) -> Block {
        Block(loads: loads(place.symbols), steps: try steps(statements, place))
    }

    private mutating func loads(_ symbols: Symbols) -> [(slot: Int, load: Block.Load)] {
        var result: [(slot: Int, load: Block.Load)] = []
        for (variable, load) in symbols.loads.sorted(by: { $0.key.slot < $1.key.slot }) {
            switch load {
            case .parameter: continue
            case .undefined: result.append((variable.slot, .missing))
            case .alias(let outer):
                result.append((variable.slot, .alias(hops: symbols.function.depth - outer.depth, slot: outer.slot)))
            case .resolve(let name):
                let index = contextIndex[name] ?? contextNames.count
                if index == contextNames.count {
                    contextIndex[name] = index
                    contextNames.append(name)
                }
                result.append((variable.slot, .context(index)))
            }
        }
        return result
    }

    private mutating func steps(_ statements: [Statement], _ place: Place) throws(TemplateError) -> [any Step] {
        var steps: [any Step] = []
        for statement in statements {
            if let step = try step(statement, place) { steps.append(step) }
        }
        return steps
    }

    private mutating func step(_ statement: Statement, _ place: Place) throws(TemplateError) -> (any Step)? {
        switch statement {
        case .text(let text): return TextStep(text)
        case .output(let value, _): return OutputStep(try node(value, place))
        case .assign(let target, let value, _):
            let value = try node(value, place)
            return AssignStep(self.place(target, place.symbols), value)
        case .assignBlock(let target, let filter, let body, _):
            return try capture(body, filter: filter, target: target, place)
        case .filterBlock(let filter, let body, _):
            return try capture(body, filter: filter, target: nil, place)
        case .conditional(let branches, let otherwise, _):
            var soft = place
            soft.isSoft = true
            var compiled: [(condition: any Node, body: [any Step])] = []
            for branch in branches {
                compiled.append((try node(branch.condition, soft), try steps(branch.body, soft)))
            }
            return ConditionalStep(branches: compiled, otherwise: try steps(otherwise, soft))
        case .loop(let loop): return try self.loop(loop, place)
        case .macro(let name, let signature, let body, let line):
            let definition = try macro(name, signature, body, line, place)
            guard let variable = place.symbols.find(name) else { return nil }
            return MacroStep(definition, slot: variable.slot)
        case .callBlock(let call, let signature, let body, let line):
            let caller = try macro("caller", signature, body, line, place)
            guard let call = try node(call, place) as? CallNode else { return nil }
            return CallBlockStep(call: call, caller: caller)
        case .with(let variables, let body, _): return try scope(variables, body, place)
        case .generation(let body, _): return try scope([], body, place)
        case .breakLoop(let line), .continueLoop(let line):
            guard place.isLoop else {
                var name = "continue"
                if case .breakLoop = statement { name = "break" }
                throw TemplateError(.syntax, "'\(name)' outside loop", line: line)
            }
            if case .breakLoop = statement { return FlowStep(.breaks) }
            return FlowStep(.continues)
        case .unsupported(_, let line):
            return FailStep(TemplateError(.type, "no loader for this environment specified", line: line))
        }
    }

    // MARK: Scopes

    private mutating func capture(
        _ body: [Statement], filter: Expression?, target: Target?, _ place: Place
    ) throws(TemplateError) -> any Step {
        let function = place.symbols.function
        let symbols = Symbols(function: function, parent: place.symbols)
        symbols.visit(body)
        if target == nil, let filter { symbols.visit(filter) }
        var inner = Place(symbols: symbols)
        inner.isLoop = place.isLoop
        if filter != nil {
            inner.inputSlot = function.slotsCount
            function.slotsCount += 1
            // The filter of a `set` block reads its arguments there, where they are visited by nobody else.
            if let filter { symbols.visit(filter) }
        }
        let filterNode = try filter.map { (filter) throws(TemplateError) in try node(filter, inner) }
        let outer = target.map { self.place($0, place.symbols) }
        let steps = try steps(body, inner)
        return CaptureStep(
            block: Block(loads: loads(symbols), steps: steps), place: outer, filter: filterNode,
            inputSlot: inner.inputSlot ?? 0)
    }

    private mutating func scope(
        _ variables: [(Target, Expression)], _ body: [Statement], _ place: Place
    ) throws(TemplateError) -> any Step {
        let symbols = Symbols(function: place.symbols.function, parent: place.symbols)
        for (target, _) in variables { symbols.visit(target, asParameter: true) }
        symbols.visit(body)
        var inner = Place(symbols: symbols)
        inner.isLoop = place.isLoop
        var compiled: [(GuardChatTemplates.Place, any Node)] = []
        for (target, value) in variables { compiled.append((self.place(target, symbols), try node(value, place))) }
        return ScopeStep(block: try block(body, inner), variables: compiled)
    }

    private mutating func loop(_ loop: Statement.Loop, _ place: Place) throws(TemplateError) -> any Step {
        if loop.target.names.contains("loop") {
            throw TemplateError(.assertion, "Can't assign to special loop variable in for-loop target", line: loop.line)
        }
        let outer = place.symbols
        let iterable = try node(loop.iterable, place)
        let readsLoop = loop.isRecursive || !Names.undeclared(["loop"], in: loop.body).isEmpty
        let function = loop.isRecursive ? FunctionScope(depth: outer.function.depth + 1) : outer.function

        var test: (block: Block, target: GuardChatTemplates.Place, condition: any Node)?
        if let condition = loop.condition {
            outer.function.capturesFrame = true
            let symbols = Symbols(function: outer.function, parent: outer)
            symbols.visit(loop.target, asParameter: true)
            symbols.visit(condition)
            let compiled = try node(condition, Place(symbols: symbols))
            test = (Block(loads: loads(symbols), steps: []), self.place(loop.target, symbols), compiled)
        }

        let symbols = Symbols(function: function, parent: outer)
        let loopSlot = readsLoop ? symbols.declareParameter("loop").slot : nil
        symbols.visit(loop.target, asParameter: true)
        symbols.visit(loop.body)
        var inner = Place(symbols: symbols)
        inner.isLoop = true
        let body = try block(loop.body, inner)

        var otherwise: Block?
        if !loop.otherwise.isEmpty {
            let symbols = Symbols(function: function, parent: outer)
            symbols.visit(loop.otherwise)
            var inner = Place(symbols: symbols)
            inner.isLoop = place.isLoop && !loop.isRecursive
            otherwise = try block(loop.otherwise, inner)
        }
        var recursion: Function?
        if loop.isRecursive {
            outer.function.capturesFrame = true
            recursion = Function(
                slotsCount: function.slotsCount, capturesFrame: true, body: Block(loads: [], steps: []))
        }
        return LoopStep(
            target: self.place(loop.target, symbols), iterable: iterable, test: test, block: body, loopSlot: loopSlot,
            otherwise: otherwise, recursion: recursion)
    }

    private mutating func macro(
        _ name: String, _ signature: Signature, _ body: [Statement], _ line: Int, _ place: Place
    ) throws(TemplateError) -> MacroDefinition {
        place.symbols.function.capturesFrame = true
        let function = FunctionScope(depth: place.symbols.function.depth + 1)
        let symbols = Symbols(function: function, parent: place.symbols)
        for parameter in signature.parameters { symbols.declareParameter(parameter) }
        for value in signature.defaults { symbols.visit(value) }
        let special = Names.undeclared(["caller", "kwargs", "varargs"], in: body)
        var slots: [String: Int] = [:]
        let firstDefault = signature.parameters.count - signature.defaults.count
        for name in ["caller", "kwargs", "varargs"] where special.contains(name) {
            if let index = signature.parameters.firstIndex(of: name) {
                if name == "caller", index < firstDefault {
                    throw TemplateError(
                        .assertion,
                        "When defining macros or call blocks the special \"caller\" argument must be omitted or be"
                            + " given a default.", line: line)
                }
            } else {
                slots[name] = symbols.declareParameter(name).slot
            }
        }
        symbols.visit(body)
        let inner = Place(symbols: symbols)
        var parameters: [(name: String, slot: Int, fallback: (any Node)?)] = []
        for (index, parameter) in signature.parameters.enumerated() {
            let fallback = index < firstDefault ? nil : try node(signature.defaults[index - firstDefault], inner)
            parameters.append((parameter, symbols.find(parameter)?.slot ?? 0, fallback))
        }
        let block = try block(body, inner)
        return MacroDefinition(
            name: name, parameters: parameters,
            function: Function(slotsCount: function.slotsCount, capturesFrame: function.capturesFrame, body: block),
            callerSlot: slots["caller"], kwargsSlot: slots["kwargs"], varargsSlot: slots["varargs"])
    }

    private func place(_ target: Target, _ symbols: Symbols) -> GuardChatTemplates.Place {
        switch target {
        case .name(let name): .slot(symbols.find(name)?.slot ?? 0)
        case .tuple(let targets): .tuple(targets.map { place($0, symbols) })
        case .namespace(let name, let attribute, _): .namespace(variable(name, symbols), attribute: attribute)
        }
    }

    private func variable(_ name: String, _ symbols: Symbols) -> VariableNode {
        let variable = symbols.find(name) ?? Variable(depth: symbols.function.depth, slot: 0)
        return VariableNode(hops: symbols.function.depth - variable.depth, slot: variable.slot, name: name)
    }

    // MARK: Expressions

    private mutating func nodes(_ list: [Expression], _ place: Place) throws(TemplateError) -> [any Node] {
        var nodes: [any Node] = []
        for expression in list { nodes.append(try node(expression, place)) }
        return nodes
    }

    private mutating func node(_ expression: Expression, _ place: Place) throws(TemplateError) -> any Node {
        switch expression {
        case .constant(let value): return ConstantNode(value)
        case .name(let name, _): return variable(name, place.symbols)
        case .list(let items, _): return SequenceNode(try nodes(items, place), isTuple: false)
        case .tuple(let items, _): return SequenceNode(try nodes(items, place), isTuple: true)
        case .dictionary(let pairs, _):
            var compiled: [(key: any Node, value: any Node)] = []
            for pair in pairs { compiled.append((try node(pair.key, place), try node(pair.value, place))) }
            return DictionaryNode(compiled)
        case .unary(let sign, let value, _): return UnaryNode(sign, try node(value, place))
        case .binary(let operation, let left, let right, _):
            return BinaryNode(operation, try node(left, place), try node(right, place))
        case .and(let left, let right):
            return LogicNode(isAnd: true, try node(left, place), try node(right, place))
        case .or(let left, let right):
            return LogicNode(isAnd: false, try node(left, place), try node(right, place))
        case .not(let value): return NotNode(try node(value, place))
        case .compare(let first, let rest, _):
            var compiled: [(ComparisonOperator, any Node)] = []
            for (comparison, value) in rest { compiled.append((comparison, try node(value, place))) }
            return CompareNode(try node(first, place), compiled)
        case .concatenation(let parts): return ConcatenationNode(try nodes(parts, place))
        case .conditional(let condition, let value, let otherwise):
            var soft = place
            soft.isSoft = true
            let last = try otherwise.map { (value) throws(TemplateError) in try node(value, soft) }
            return TernaryNode(try node(condition, soft), try node(value, soft), last)
        case .attribute(let object, let name, _): return AttributeNode(try node(object, place), name)
        case .item(let object, let key, let line): return try item(object, key, line, place)
        case .slice: throw TemplateError(.syntax, "slice outside of a subscript")
        case .call(let callee, let list, _): return CallNode(try node(callee, place), try arguments(list, place))
        case .filter(let value, let name, let list, let line):
            let input: any Node
            if let value {
                input = try node(value, place)
            } else {
                input = VariableNode(hops: 0, slot: place.inputSlot ?? 0, name: "")
            }
            guard let filter = Filters.table[name] else {
                guard place.isSoft else { throw TemplateError(.assertion, "No filter named '\(name)'.", line: line) }
                return FailNode(TemplateError(.runtime, "No filter named '\(name)' found.", line: line))
            }
            return FilterNode(input, filter, try arguments(list, place))
        case .test(let value, let name, let list, let line):
            let input = try node(value, place)
            guard let test = Tests.table[name] else {
                guard place.isSoft else { throw TemplateError(.assertion, "No test named '\(name)'.", line: line) }
                return FailNode(TemplateError(.runtime, "No test named '\(name)' found.", line: line))
            }
            return TestNode(input, test, try arguments(list, place))
        }
    }

    private mutating func item(
        _ object: Expression, _ key: Expression, _ line: Int, _ place: Place
    ) throws(TemplateError) -> any Node {
        let object = try node(object, place)
        guard case .slice(let start, let stop, let step) = key else { return ItemNode(object, try node(key, place)) }
        var bounds: [(any Node)?] = []
        for bound in [start, stop, step] {
            bounds.append(try bound.map { (value) throws(TemplateError) in try node(value, place) })
        }
        return SliceNode(object, start: bounds[0], stop: bounds[1], step: bounds[2])
    }

    private mutating func arguments(_ list: Arguments, _ place: Place) throws(TemplateError) -> ArgumentNodes {
        var named: [(name: String, value: any Node)] = []
        for (name, value) in list.named { named.append((name, try node(value, place))) }
        return ArgumentNodes(
            positional: try nodes(list.positional, place), named: named,
            spreadPositional: try list.spreadPositional.map { (value) throws(TemplateError) in try node(value, place) },
            spreadNamed: try list.spreadNamed.map { (value) throws(TemplateError) in try node(value, place) })
    }
}

extension Target {
    var names: [String] {
        switch self {
        case .name(let name): [name]
        case .tuple(let targets): targets.flatMap(\.names)
        case .namespace: []
        }
    }
}
