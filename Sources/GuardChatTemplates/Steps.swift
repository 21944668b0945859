final class TextStep: Step {
    let text: PythonString

    init(_ text: PythonString) { self.text = text }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        try render.write(text)
        return .next
    }
}

final class OutputStep: Step {
    let value: any Node

    init(_ value: any Node) { self.value = value }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        let value = try render.value(value, frame)
        switch value {
        case .string(let text): try render.write(text)
        case .undefined: break
        default: try render.write(try render.str(value))
        }
        return .next
    }
}

/// An assignment target with its names resolved. Targets are always variables of the function they stand in.
indirect enum Place: Sendable {
    case slot(Int)
    case tuple([Place])
    case namespace(VariableNode, attribute: String)

    func assign(_ value: Value, _ render: Render, _ frame: Frame) throws(TemplateError) {
        switch self {
        case .slot(let slot): frame.slots[slot] = value
        case .tuple(let places):
            let iterator = try render.iterate(value, unpacking: true)
            var items: [Value] = []
            while items.count <= places.count, let item = try iterator.next() { items.append(item) }
            if items.count > places.count {
                throw TemplateError(.value, "too many values to unpack (expected \(places.count))")
            }
            if items.count < places.count {
                throw TemplateError(
                    .value, "not enough values to unpack (expected \(places.count), got \(items.count))")
            }
            for (place, item) in zip(places, items) { try place.assign(item, render, frame) }
        case .namespace(let variable, let attribute):
            guard case .object(let object) = try variable.evaluate(render, frame),
                let namespace = object as? NamespaceObject
            else { throw TemplateError(.runtime, "cannot assign attribute on non-namespace object") }
            namespace.attributes[attribute] = value
        }
    }
}

final class AssignStep: Step {
    let place: Place
    let value: any Node

    init(_ place: Place, _ value: any Node) { (self.place, self.value) = (place, value) }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        try place.assign(try render.value(value, frame), render, frame)
        return .next
    }
}

/// `{% set x %}…{% endset %}`, and with `place == nil` `{% filter f %}…{% endfilter %}`.
final class CaptureStep: Step {
    let block: Block
    let place: Place?
    /// Reads the captured text from the input slot.
    let filter: (any Node)?
    let inputSlot: Int

    init(block: Block, place: Place?, filter: (any Node)?, inputSlot: Int) {
        self.block = block
        self.place = place
        self.filter = filter
        self.inputSlot = inputSlot
    }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        render.enter(block, frame)
        var value = Value.string(try render.captured(block.steps, frame))
        if let filter {
            frame.slots[inputSlot] = value
            value = try render.value(filter, frame)
            frame.slots[inputSlot] = nil
        }
        if let place {
            try place.assign(value, render, frame)
        } else {
            try render.write(try render.str(value))
        }
        render.leave(block, frame)
        return .next
    }
}

final class ConditionalStep: Step {
    let branches: [(condition: any Node, body: [any Step])]
    let otherwise: [any Step]

    init(branches: [(condition: any Node, body: [any Step])], otherwise: [any Step]) {
        self.branches = branches
        self.otherwise = otherwise
    }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        for branch in branches {
            if try render.truth(try render.value(branch.condition, frame)) { return try render.run(branch.body, frame) }
        }
        return try render.run(otherwise, frame)
    }
}

/// A scope with variables: `with`, `generation`.
final class ScopeStep: Step {
    let block: Block
    let variables: [(Place, any Node)]

    init(block: Block, variables: [(Place, any Node)]) { (self.block, self.variables) = (block, variables) }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        render.enter(block, frame)
        for (place, value) in variables { try place.assign(try render.value(value, frame), render, frame) }
        let flow = try render.run(block.steps, frame)
        render.leave(block, frame)
        return flow
    }
}

final class FlowStep: Step {
    let flow: Flow

    init(_ flow: Flow) { self.flow = flow }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow { flow }
}

final class FailStep: Step {
    let error: TemplateError

    init(_ error: TemplateError) { self.error = error }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow { throw error }
}

final class MacroStep: Step {
    let definition: MacroDefinition
    let slot: Int

    init(_ definition: MacroDefinition, slot: Int) { (self.definition, self.slot) = (definition, slot) }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        frame.slots[slot] = .object(MacroObject(definition, frame))
        return .next
    }
}

/// `{% call f(x) %}…{% endcall %}`: calls with the body as the macro `caller`.
final class CallBlockStep: Step {
    let call: CallNode
    let caller: MacroDefinition

    init(call: CallNode, caller: MacroDefinition) { (self.call, self.caller) = (call, caller) }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        let value = try call.evaluate(render, frame, caller: .object(MacroObject(caller, frame)))
        try render.write(try render.str(value))
        return .next
    }
}

final class LoopStep: Step {
    let target: Place
    let iterable: any Node
    /// With its own scope for the target; `nil` without `if`.
    let test: (block: Block, target: Place, condition: any Node)?
    let block: Block
    /// Where `loop` lives, if the body reads it.
    let loopSlot: Int?
    let otherwise: Block?
    /// The body as a function of its own, for `recursive`.
    let recursion: Function?

    init(
        target: Place, iterable: any Node, test: (block: Block, target: Place, condition: any Node)?, block: Block,
        loopSlot: Int?, otherwise: Block?, recursion: Function?
    ) {
        self.target = target
        self.iterable = iterable
        self.test = test
        self.block = block
        self.loopSlot = loopSlot
        self.otherwise = otherwise
        self.recursion = recursion
    }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        let iterable = try render.value(iterable, frame)
        if recursion != nil {
            try render.write(try runRecursive(iterable, depth: 0, render, frame))
            return .next
        }
        try loop(over: iterable, depth: 0, render, frame, outer: frame)
        return .next
    }

    /// `outer` is the frame that the loop stands in: the test is evaluated there.
    private func loop(
        over iterable: Value, depth: Int, _ render: Render, _ frame: Frame, outer: Frame
    ) throws(TemplateError) {
        var isEmpty = true
        if loopSlot == nil, test == nil, case .list(let list) = iterable {
            // The common case, without an iterator object.
            for item in list.items {
                isEmpty = false
                render.enter(block, frame)
                try target.assign(item, render, frame)
                if try render.run(block.steps, frame) == .breaks { break }
            }
        } else {
            let filtered = try filteredIterator(iterable, render, outer)
            let iterator: ValueIterator
            if let filtered { iterator = filtered } else { iterator = try render.iterate(iterable) }
            let loop = LoopObject(
                iterator: iterator, count: test == nil ? iterable.knownCount : nil, depth: depth,
                recursion: recursion == nil ? nil : (self, outer))
            while let item = try loop.advance() {
                isEmpty = false
                render.enter(block, frame)
                if let loopSlot { frame.slots[loopSlot] = .object(loop) }
                try target.assign(item, render, frame)
                if try render.run(block.steps, frame) == .breaks { break }
            }
        }
        render.leave(block, frame)
        if isEmpty, let otherwise {
            render.enter(otherwise, frame)
            _ = try render.run(otherwise.steps, frame)
            render.leave(otherwise, frame)
        }
    }

    func runRecursive(
        _ iterable: Value, depth: Int, _ render: Render, _ frame: Frame
    ) throws(TemplateError) -> PythonString {
        guard let recursion else { return .empty }
        let body = RecursiveLoopBody { (inner) throws(TemplateError) in
            try self.loop(over: iterable, depth: depth, render, inner, outer: frame)
        }
        return try render.call(
            Function(
                slotsCount: recursion.slotsCount, capturesFrame: true, body: Block(loads: [], steps: [body])),
            parent: frame, prepare: { _ throws(TemplateError) in })
    }

    /// Lazy as Jinja's: an item is tested when it is asked for.
    private func filteredIterator(
        _ iterable: Value, _ render: Render, _ frame: Frame
    ) throws(TemplateError) -> ValueIterator? {
        guard let test else { return nil }
        let items = try render.iterate(iterable)
        return ValueIterator { () throws(TemplateError) -> Value? in
            while let item = try items.next() {
                try render.charge(1)
                render.enter(test.block, frame)
                try test.target.assign(item, render, frame)
                if try render.truth(try render.value(test.condition, frame)) { return item }
            }
            return nil
        }
    }
}

/// Unchecked `Sendable` because `Step` is: made and used within one render.
private final class RecursiveLoopBody: Step, @unchecked Sendable {
    private let body: (Frame) throws(TemplateError) -> Void

    init(_ body: @escaping (Frame) throws(TemplateError) -> Void) { self.body = body }

    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow {
        try body(frame)
        return .next
    }
}
