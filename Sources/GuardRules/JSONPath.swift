internal import GuardJSON

/// Which values of a JSON text a condition is about: a JSON Pointer (RFC 6901) in which `*` is any member or element and
/// `**` any number of levels. `~0` is `~`, `~1` is `/`, and, for keys that are called so, `~2` is `*`.
struct JSONPath: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        /// A member of this name or the element at this index.
        case name([UInt8])
        case any
        case anyDepth
    }

    struct Problem: Error {
        var message: String
        /// In Unicode scalars of the path.
        var offset: Int
    }

    let steps: [Step]

    /// Positions in the steps are kept as bits of a word.
    private static let stepsMax = 48

    /// Every value.
    static let everything = JSONPath(steps: [.anyDepth])
    static let root = JSONPath(steps: [])

    private init(steps: [Step]) { self.steps = steps }

    init(_ text: String) throws(Problem) {
        if text.isEmpty {
            steps = []
            return
        }
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw Problem(message: "a path is '' (the whole text) or begins with '/', as in '/items/*/name'", offset: 0)
        }
        var steps: [Step] = []
        var offset = 1
        for token in text.dropFirst().unicodeScalars.split(separator: "/", omittingEmptySubsequences: false) {
            steps.append(try Self.step(token, offset))
            offset += token.count + 1
        }
        guard steps.count <= Self.stepsMax else {
            throw Problem(message: "a path has at most \(Self.stepsMax) steps", offset: 0)
        }
        self.steps = steps
    }

    private static func step(_ token: Substring.UnicodeScalarView, _ offset: Int) throws(Problem) -> Step {
        if token.elementsEqual("*".unicodeScalars) { return .any }
        if token.elementsEqual("**".unicodeScalars) { return .anyDepth }
        var name = ""
        var isEscape = false
        for (index, scalar) in token.enumerated() {
            if isEscape {
                switch scalar {
                case "0": name.unicodeScalars.append("~")
                case "1": name.unicodeScalars.append("/")
                case "2": name.unicodeScalars.append("*")
                default: throw Problem(message: "'~' is followed by 0 (~), 1 (/) or 2 (*)", offset: offset + index)
                }
                isEscape = false
            } else if scalar == "~" {
                isEscape = true
            } else if scalar == "*" {
                throw Problem(
                    message: "'*' stands alone in a step; a key that holds one is written with '~2'",
                    offset: offset + index)
            } else {
                name.unicodeScalars.append(scalar)
            }
        }
        if isEscape {
            throw Problem(message: "'~' is followed by 0 (~), 1 (/) or 2 (*)", offset: offset + token.count - 1)
        }
        return .name(Array(name.utf8))
    }

    // MARK: walking

    /// Calls `body` with every value of the document that the path names, in the order of the text. Costs the nodes it
    /// passes times the steps.
    ///
    /// - Parameter body: false ends the walk.
    func forEach(in root: JSONNode, _ body: (JSONNode) -> Bool) {
        _ = visit(root, closure(1), body)
    }

    /// `**` may stand for no level at all.
    private func closure(_ positions: UInt64) -> UInt64 {
        var positions = positions
        for (index, step) in steps.enumerated() where step == .anyDepth && positions & (1 << UInt64(index)) != 0 {
            positions |= 1 << UInt64(index + 1)
        }
        return positions
    }

    /// The document's depth is bounded by the reader, so this recursion is.
    private func visit(_ node: JSONNode, _ positions: UInt64, _ body: (JSONNode) -> Bool) -> Bool {
        if positions & (1 << UInt64(steps.count)) != 0, !body(node) { return false }
        guard positions & ((1 << UInt64(steps.count)) - 1) != 0 else { return true }
        switch node.kind {
        case .object:
            for (key, value) in node.members {
                let next = advance(positions) { name in key.stringBytes == name }
                if next != 0, !visit(value, next, body) { return false }
            }
        case .array:
            var index = 0
            for element in node.elements {
                let next = advance(positions) { name in name.elementsEqual(String(index).utf8) }
                if next != 0, !visit(element, next, body) { return false }
                index += 1
            }
        default: break
        }
        return true
    }

    private func advance(_ positions: UInt64, _ isNamed: ([UInt8]) -> Bool) -> UInt64 {
        var next: UInt64 = 0
        for (index, step) in steps.enumerated() where positions & (1 << UInt64(index)) != 0 {
            switch step {
            case .any: next |= 1 << UInt64(index + 1)
            case .anyDepth: next |= 1 << UInt64(index)
            case .name(let name): if isNamed(name) { next |= 1 << UInt64(index + 1) }
            }
        }
        return next == 0 ? 0 : closure(next)
    }
}
