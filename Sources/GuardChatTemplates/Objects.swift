/// Gives values one by one, as a Python iterator.
final class ValueIterator {
    private let pull: () throws(TemplateError) -> Value?

    init(_ pull: @escaping () throws(TemplateError) -> Value?) { self.pull = pull }

    init(_ items: [Value]) {
        var position = 0
        pull = { () throws(TemplateError) -> Value? in
            guard position < items.count else { return nil }
            position += 1
            return items[position - 1]
        }
    }

    func next() throws(TemplateError) -> Value? { try pull() }
}

/// `namespace(...)`: the only thing a template can change.
final class NamespaceObject: TemplateObject, @unchecked Sendable {
    var attributes: [String: Value] = [:]

    override var typeName: String { "Namespace" }
    override var qualifiedTypeName: String { "jinja2.utils.Namespace" }

    override var description: String {
        let pairs = attributes.sorted { $0.key < $1.key }.map {
            "\(PythonPrinter.repr(PythonString($0.key)).string): \(PythonPrinter.repr($0.value).string)"
        }
        return "<Namespace {\(pairs.joined(separator: ", "))}>"
    }
}

/// Result of `map`, `select` ...: lazy, and read once.
final class GeneratorObject: TemplateObject, @unchecked Sendable {
    let iterator: ValueIterator

    init(_ iterator: ValueIterator) { self.iterator = iterator }

    override var typeName: String { "generator" }
    override var description: String { "<generator object>" }
}

final class RangeObject: TemplateObject, @unchecked Sendable {
    let start, stop, step, count: Int

    /// - Throws: above the sandbox's 100,000 items.
    init(start: Int, stop: Int, step: Int) throws(TemplateError) {
        guard step != 0 else { throw TemplateError(.value, "range() arg 3 must not be zero") }
        self.start = start
        self.stop = stop
        self.step = step
        let (distance, overflow) = step > 0 ? stop.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(stop)
        let width = step.magnitude
        let wide = overflow ? (step > 0 ? stop > start : start > stop) : false
        count = wide ? Int.max : distance <= 0 ? 0 : Int(clamping: (UInt(distance) - 1) / width + 1)
        if count > 100_000 {
            throw TemplateError(
                .overflow, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).")
        }
    }

    var items: [Value] { (0..<count).map { .int(start &+ $0 &* step) } }

    override var typeName: String { "range" }
    override var description: String { step == 1 ? "range(\(start), \(stop))" : "range(\(start), \(stop), \(step))" }
}

/// `dict.items()` and its sisters.
final class ViewObject: TemplateObject, @unchecked Sendable {
    let name: String
    let items: [Value]

    init(_ name: String, _ items: [Value]) { (self.name, self.items) = (name, items) }

    override var typeName: String { name }
    override var description: String { "\(name)(\(PythonPrinter.repr(.list(items)).string))" }
}

/// `loop`.
final class LoopObject: TemplateObject, @unchecked Sendable {
    private var iterator: ValueIterator
    private var known: Int?
    private let depth: Int
    private let recursion: (LoopStep, Frame)?
    private var index0 = -1
    private var before: Value?
    private var current: Value?
    private var after: Value?
    private var lastChanged: [Value]?

    init(iterator: ValueIterator, count: Int?, depth: Int, recursion: (LoopStep, Frame)?) {
        self.iterator = iterator
        self.known = count
        self.depth = depth
        self.recursion = recursion
    }

    override var typeName: String { "LoopContext" }
    override var qualifiedTypeName: String { "jinja2.runtime.LoopContext" }

    func advance() throws(TemplateError) -> Value? {
        let next: Value?
        if let after {
            next = after
            self.after = nil
        } else {
            next = try iterator.next()
        }
        guard let next else { return nil }
        index0 += 1
        before = current
        current = next
        return next
    }

    private func peek() throws(TemplateError) -> Value? {
        if after == nil { after = try iterator.next() }
        return after
    }

    private func length() throws(TemplateError) -> Int {
        if let known { return known }
        var rest: [Value] = []
        while let item = try iterator.next() { rest.append(item) }
        iterator = ValueIterator(rest)
        let count = rest.count + index0 + 1 + (after == nil ? 0 : 1)
        known = count
        return count
    }

    func attribute(_ name: String) throws(TemplateError) -> Value? {
        switch name {
        case "index": .int(index0 + 1)
        case "index0": .int(index0)
        case "first": .bool(index0 == 0)
        case "last": .bool(try peek() == nil)
        case "length": .int(try length())
        case "revindex": .int(try length() - index0)
        case "revindex0": .int(try length() - index0 - 1)
        case "depth": .int(depth + 1)
        case "depth0": .int(depth)
        case "previtem": before ?? .undefined(Undefined("there is no previous item"))
        case "nextitem": try peek() ?? .undefined(Undefined("there is no next item"))
        case "cycle", "changed": .object(BoundMethod(.object(self), name))
        default: nil
        }
    }

    func call(_ method: String, _ arguments: CallArguments) throws(TemplateError) -> Value {
        if method == "cycle" {
            guard !arguments.positional.isEmpty else { throw TemplateError(.type, "no items for cycling given") }
            return arguments.positional[index0 % arguments.positional.count]
        }
        let isSame = lastChanged.map { known in
            known.count == arguments.positional.count
                && zip(known, arguments.positional).allSatisfy { $0.equals($1) }
        }
        lastChanged = arguments.positional
        return .bool(isSame != true)
    }

    /// `loop(items)` in a recursive loop.
    func recurse(_ items: Value, _ render: Render) throws(TemplateError) -> Value {
        guard let (step, frame) = recursion else {
            throw TemplateError(.type, "The loop must have the 'recursive' marker to be called recursively.")
        }
        return .string(try step.runRecursive(items, depth: depth + 1, render, frame))
    }
}

final class MacroDefinition: Sendable {
    let name: String
    let parameters: [(name: String, slot: Int, fallback: (any Node)?)]
    let function: Function
    /// Slots of the special variables that the body reads.
    let callerSlot, kwargsSlot, varargsSlot: Int?

    init(
        name: String, parameters: [(name: String, slot: Int, fallback: (any Node)?)], function: Function,
        callerSlot: Int?, kwargsSlot: Int?, varargsSlot: Int?
    ) {
        self.name = name
        self.parameters = parameters
        self.function = function
        self.callerSlot = callerSlot
        self.kwargsSlot = kwargsSlot
        self.varargsSlot = varargsSlot
    }
}

final class MacroObject: TemplateObject, @unchecked Sendable {
    let definition: MacroDefinition
    private let frame: Frame

    init(_ definition: MacroDefinition, _ frame: Frame) { (self.definition, self.frame) = (definition, frame) }

    override var typeName: String { "Macro" }
    override var qualifiedTypeName: String { "jinja2.runtime.Macro" }
    override var description: String { "<Macro '\(definition.name)'>" }

    func call(_ arguments: CallArguments, _ render: Render) throws(TemplateError) -> Value {
        let definition = definition
        var named = arguments.named
        var given: [Value?] = []
        for (index, parameter) in definition.parameters.enumerated() {
            if index < arguments.positional.count {
                given.append(arguments.positional[index])
            } else if let position = named.firstIndex(where: { $0.name == parameter.name }) {
                given.append(named.remove(at: position).value)
            } else {
                given.append(nil)
            }
        }
        var caller: Value?
        if definition.callerSlot != nil {
            caller = .undefined(Undefined("No caller defined"))
            if let position = named.firstIndex(where: { $0.name == "caller" }) {
                caller = named.remove(at: position).value
            }
        }
        if definition.kwargsSlot == nil, let extra = named.first {
            throw extra.name == "caller"
                ? TemplateError(
                    .type,
                    "macro '\(definition.name)' was invoked with two values for the special caller argument."
                        + " This is most likely a bug.")
                : TemplateError(.type, "macro '\(definition.name)' takes no keyword argument '\(extra.name)'")
        }
        if definition.varargsSlot == nil, arguments.positional.count > definition.parameters.count {
            throw TemplateError(
                .type,
                "macro '\(definition.name)' takes not more than \(definition.parameters.count) argument(s)")
        }
        let text = try render.call(definition.function, parent: frame) { (frame) throws(TemplateError) in
            if let slot = definition.callerSlot { frame.slots[slot] = caller }
            if let slot = definition.kwargsSlot {
                frame.slots[slot] = .dictionary(named.map { (.string($0.name), $0.value) })
            }
            if let slot = definition.varargsSlot {
                frame.slots[slot] = .tuple(Array(arguments.positional.dropFirst(definition.parameters.count)))
            }
            for (index, parameter) in definition.parameters.enumerated() { frame.slots[parameter.slot] = given[index] }
            for (index, parameter) in definition.parameters.enumerated() where given[index] == nil {
                if let fallback = parameter.fallback {
                    frame.slots[parameter.slot] = try render.value(fallback, frame)
                } else {
                    frame.slots[parameter.slot] = .undefined(
                        Undefined("parameter '\(parameter.name)' was not provided"))
                }
            }
        }
        return .string(text)
    }
}

/// `cycler(...)` and `joiner(...)`.
final class CyclerObject: TemplateObject, @unchecked Sendable {
    private let items: [Value]
    private var position = 0

    init(_ items: [Value]) { self.items = items }

    override var typeName: String { "Cycler" }
    override var qualifiedTypeName: String { "jinja2.utils.Cycler" }

    func attribute(_ name: String) -> Value? {
        switch name {
        case "current": items[position]
        case "next", "reset": .object(BoundMethod(.object(self), name))
        default: nil
        }
    }

    func call(_ method: String) -> Value {
        if method == "reset" {
            position = 0
            return .none
        }
        defer { position = (position + 1) % items.count }
        return items[position]
    }
}

final class JoinerObject: TemplateObject, @unchecked Sendable {
    private let separator: Value
    private var wasUsed = false

    init(_ separator: Value) { self.separator = separator }

    override var typeName: String { "Joiner" }
    override var qualifiedTypeName: String { "jinja2.utils.Joiner" }

    func call() -> Value {
        defer { wasUsed = true }
        return wasUsed ? separator : .string(.empty)
    }
}

/// A method of a built-in type, read without being called.
final class BoundMethod: TemplateObject, @unchecked Sendable {
    let receiver: Value
    let name: String

    init(_ receiver: Value, _ name: String) { (self.receiver, self.name) = (receiver, name) }

    override var typeName: String { "builtin_function_or_method" }
    override var description: String { "<built-in method \(name) of \(receiver.typeName) object>" }
}

/// A global function.
final class FunctionObject: TemplateObject, @unchecked Sendable {
    let name: String
    let body: @Sendable (Render, CallArguments) throws(TemplateError) -> Value

    init(_ name: String, _ body: @escaping @Sendable (Render, CallArguments) throws(TemplateError) -> Value) {
        self.name = name
        self.body = body
    }

    override var typeName: String { "function" }
    override var description: String { "<function \(name)>" }
}

/// Evaluated arguments of a call.
struct CallArguments {
    var positional: [Value] = []
    var named: [(name: String, value: Value)] = []

    /// The argument at a position or of a name.
    func get(_ index: Int, _ name: String) -> Value? {
        if index < positional.count { return positional[index] }
        return named.first { $0.name == name }?.value
    }

    func get(name: String) -> Value? { named.first { $0.name == name }?.value }

    /// For functions that take `count` positional arguments at most and only these names.
    func check(_ function: String, atMost count: Int, names: [String] = [], atLeast: Int = 0) throws(TemplateError) {
        if positional.count > count {
            throw TemplateError(
                .type,
                "\(function) takes at most \(count) argument\(count == 1 ? "" : "s") (\(positional.count) given)")
        }
        for (name, _) in named where !names.contains(name) {
            throw TemplateError(.type, "\(function) got an unexpected keyword argument '\(name)'")
        }
        if positional.count + named.count < atLeast {
            throw TemplateError(
                .type,
                "\(function) expected at least \(atLeast) argument\(atLeast == 1 ? "" : "s"), got \(positional.count)")
        }
    }
}

enum Globals {
    static func value(_ name: String) -> Value? { table[name].map { .object($0) } }

    private static let table: [String: FunctionObject] = {
        let functions = [
            FunctionObject("raise_exception") { (_, arguments) throws(TemplateError) in
                throw TemplateError(.template, PythonPrinter.str(arguments.get(0, "message") ?? .none).string)
            },
            FunctionObject("strftime_now") { (render, arguments) throws(TemplateError) in
                guard case .string(let format)? = arguments.get(0, "format") else {
                    throw TemplateError(.type, "strftime() argument 1 must be str")
                }
                return .string(PythonString(render.now.formatted(format.string)))
            },
            FunctionObject("namespace") { (render, arguments) throws(TemplateError) in
                let namespace = NamespaceObject()
                try render.charge(16)
                render.namespaces.append(namespace)
                for (key, value) in try pairs(arguments, render) {
                    namespace.attributes[PythonPrinter.str(key).string] = value
                }
                return .object(namespace)
            },
            FunctionObject("dict") { (render, arguments) throws(TemplateError) in
                try render.checked(.dictionary(try pairs(arguments, render)))
            },
            FunctionObject("range") { (render, arguments) throws(TemplateError) in
                try arguments.check("range", atMost: 3, atLeast: 1)
                var bounds: [Int] = []
                for value in arguments.positional { bounds.append(try value.index()) }
                let range =
                    bounds.count == 1
                    ? try RangeObject(start: 0, stop: bounds[0], step: 1)
                    : try RangeObject(start: bounds[0], stop: bounds[1], step: bounds.count > 2 ? bounds[2] : 1)
                try render.charge(range.count)
                return .object(range)
            },
            FunctionObject("cycler") { (_, arguments) throws(TemplateError) in
                guard !arguments.positional.isEmpty else { throw TemplateError(.runtime, "at least one item has to be provided") }
                return .object(CyclerObject(arguments.positional))
            },
            FunctionObject("joiner") { (_, arguments) in
                .object(JoinerObject(arguments.get(0, "sep") ?? .string(", ")))
            },
        ]
        return Dictionary(uniqueKeysWithValues: functions.map { ($0.name, $0) })
    }()

    private static func pairs(
        _ arguments: CallArguments, _ render: Render
    ) throws(TemplateError) -> [(Value, Value)] {
        var pairs: [(Value, Value)] = []
        if let first = arguments.positional.first {
            if case .dictionary(let dictionary) = first {
                pairs = Array(zip(dictionary.keys, dictionary.values))
            } else {
                for item in try render.items(first) {
                    let pair = try render.items(item)
                    guard pair.count == 2 else {
                        throw TemplateError(.value, "dictionary update sequence element has length \(pair.count); 2 is required")
                    }
                    pairs.append((pair[0], pair[1]))
                }
            }
        }
        for (name, value) in arguments.named { pairs.append((.string(name), value)) }
        return pairs
    }
}
