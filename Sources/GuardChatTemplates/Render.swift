/// What a template compiles to: names are slots, filters are functions.
struct Program: Sendable {
    var function: Function
    /// Names that are read from the variables of a render, by index.
    var contextNames: [String]
}

/// The template, or the body of a macro.
final class Function: Sendable {
    let slotsCount: Int
    let capturesFrame: Bool
    let body: Block

    init(slotsCount: Int, capturesFrame: Bool, body: Block) {
        self.slotsCount = slotsCount
        self.capturesFrame = capturesFrame
        self.body = body
    }
}

/// Statements of one scope.
struct Block: Sendable {
    enum Load: Sendable {
        case context(Int)
        case alias(hops: Int, slot: Int)
        case missing
    }

    /// What the scope's variables start as.
    var loads: [(slot: Int, load: Load)]
    var steps: [any Step]
}

protocol Node: AnyObject, Sendable {
    func evaluate(_ render: Render, _ frame: Frame) throws(TemplateError) -> Value
}

protocol Step: AnyObject, Sendable {
    func run(_ render: Render, _ frame: Frame) throws(TemplateError) -> Flow
}

enum Flow { case next, breaks, continues }

/// Variables of one call. `nil` is Jinja's `missing`.
final class Frame {
    var slots: [Value?]
    let parent: Frame?

    init(slotsCount: Int, parent: Frame?) {
        slots = [Value?](repeating: nil, count: slotsCount)
        self.parent = parent
    }

    @inline(__always)
    func ancestor(_ hops: Int) -> Frame {
        var frame = self
        for _ in 0..<hops { frame = frame.parent ?? frame }
        return frame
    }
}

/// One run of a template.
final class Render {
    let program: Program
    let limits: ChatTemplate.Limits
    let now: TemplateTime
    let dialect: ChatTemplate.Dialect
    private let context: [Value?]
    var output: [UInt8] = []
    private var steps: Int
    private var depth = 0
    /// What can be part of a reference cycle; emptied at the end.
    private var capturedFrames: [Frame] = []
    var registered: [TemplateObject] = []

    init(
        program: Program, limits: ChatTemplate.Limits, now: TemplateTime, dialect: ChatTemplate.Dialect,
        variables: [(String, Value)]
    ) {
        self.program = program
        self.limits = limits
        self.now = now
        self.dialect = dialect
        steps = limits.stepsMax
        var context = [Value?](repeating: nil, count: program.contextNames.count)
        for (index, name) in program.contextNames.enumerated() {
            context[index] = variables.last { $0.0 == name }?.1 ?? Globals.value(name)
        }
        self.context = context
    }

    func run() throws(TemplateError) -> [UInt8] {
        let root = Frame(slotsCount: program.function.slotsCount, parent: nil)
        capturedFrames.append(root)
        defer {
            for frame in capturedFrames { frame.slots.removeAll() }
            for object in registered { object.dismantle() }
        }
        enter(program.function.body, root)
        _ = try run(program.function.body.steps, root)
        return output
    }

    // MARK: Limits

    @inline(__always)
    func charge(_ count: Int) throws(TemplateError) {
        steps -= count
        if steps < 0 { throw .limit("\(limits.stepsMax) steps") }
    }

    /// Bulk work on bytes: cheaper than a step.
    @inline(__always)
    func charge(bytes: Int) throws(TemplateError) {
        if bytes > limits.outputBytesMax { throw .limit("\(limits.outputBytesMax) bytes of text") }
        try charge(bytes >> 6)
    }

    func checked(_ value: Value) throws(TemplateError) -> Value {
        switch value {
        case .list, .tuple, .dictionary, .object:
            if value.depth > ChatTemplate.valueDepthMax { throw .limit("\(ChatTemplate.valueDepthMax) nested values") }
            if value.weight > ChatTemplate.valueWeightMax { throw .limit("\(ChatTemplate.valueWeightMax) values") }
            return value
        default: return value
        }
    }

    // MARK: Running

    @inline(__always)
    func value(_ node: any Node, _ frame: Frame) throws(TemplateError) -> Value {
        try descend()
        let value = try node.evaluate(self, frame)
        depth -= 1
        return value
    }

    @inline(__always)
    private func descend() throws(TemplateError) {
        steps -= 1
        depth += 1
        if steps < 0 { throw .limit("\(limits.stepsMax) steps") }
        if depth > limits.depthMax { throw .limit("\(limits.depthMax) nested calls and expressions") }
    }

    func enter(_ block: Block, _ frame: Frame) {
        for (slot, load) in block.loads {
            switch load {
            case .context(let index): frame.slots[slot] = context[index]
            case .alias(let hops, let outer): frame.slots[slot] = frame.ancestor(hops).slots[outer]
            case .missing: frame.slots[slot] = nil
            }
        }
    }

    func leave(_ block: Block, _ frame: Frame) {
        for (slot, _) in block.loads { frame.slots[slot] = nil }
    }

    func run(_ body: [any Step], _ frame: Frame) throws(TemplateError) -> Flow {
        for step in body {
            try descend()
            let flow = try step.run(self, frame)
            depth -= 1
            if flow != .next { return flow }
        }
        return .next
    }

    /// Output of `body` as a string, as Jinja's buffers.
    func captured(_ body: [any Step], _ frame: Frame) throws(TemplateError) -> PythonString {
        var outer: [UInt8] = []
        swap(&outer, &output)
        _ = try run(body, frame)
        swap(&outer, &output)
        return PythonString(utf8: outer)
    }

    func write(_ text: PythonString) throws(TemplateError) {
        output += text.utf8
        try charge(bytes: output.count > limits.outputBytesMax ? output.count : text.utf8.count)
    }

    func call(
        _ function: Function, parent: Frame, prepare: (Frame) throws(TemplateError) -> Void
    ) throws(TemplateError) -> PythonString {
        let frame = Frame(slotsCount: function.slotsCount, parent: parent)
        if function.capturesFrame { capturedFrames.append(frame) }
        enter(function.body, frame)
        try prepare(frame)
        return try captured(function.body.steps, frame)
    }
}

extension ChatTemplate {
    /// Nesting of lists and dictionaries: printing and freeing them recurses.
    static let valueDepthMax = 200
    /// Values in one value, shared ones counted each time.
    static let valueWeightMax = 16_000_000
}
