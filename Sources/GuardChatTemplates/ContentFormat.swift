/// How a template wants a message's content.
package enum ContentFormat: String, Sendable, Hashable {
    /// As one string.
    case string
    /// As a list of parts, which the template loops over.
    case openai
}

extension ContentFormat {
    /// What vLLM finds by looking at the syntax tree: `openai` if a loop over `messages` (or over what was assigned from
    /// it) gives the variable whose `content` another loop goes over. Source: vLLM `chat_utils.py`,
    /// `_detect_content_format`; where that raises, it takes `string`.
    static func detected(in program: [Statement]) -> ContentFormat {
        var assignments: [(target: Target, value: Expression)] = []
        var loops: [Statement.Loop] = []
        collect(program, &assignments, &loops)
        var known: Set<String> = ["messages"]
        var queue = ["messages"]
        while let name = queue.popLast() {
            for (target, value) in assignments where isAccess(value, to: name, key: nil) {
                guard case .name(let new) = target else { return .string }
                if known.insert(new).inserted { queue.append(new) }
            }
        }
        var items = Set<String>()
        for loop in loops where known.contains(where: { isAccess(loop.iterable, to: $0, key: nil) }) {
            guard case .name(let name) = loop.target else { return .string }
            items.insert(name)
        }
        for loop in loops where items.contains(where: { isAccess(loop.iterable, to: $0, key: "content") }) {
            guard case .name = loop.target else { return .string }
            return .openai
        }
        return .string
    }

    /// `name`, a slice, filter or test of it; with a key, `name.key` or `name['key']` in its place.
    private static func isAccess(_ expression: Expression, to name: String, key: String?) -> Bool {
        switch expression {
        case .filter(let value?, _, _, _): return isAccess(value, to: name, key: key)
        case .test(let value, _, _, _): return isAccess(value, to: name, key: key)
        case .item(let value, .slice, _): return isAccess(value, to: name, key: key)
        case .name(let found, _): return key == nil && found == name
        case .attribute(.name(let found, _), let attribute, _): return found == name && attribute == key
        case .item(.name(let found, _), .constant(.string(let attribute)), _):
            return found == name && key.map { attribute.utf8.elementsEqual($0.utf8) } ?? false
        default: return false
        }
    }

    private static func collect(
        _ statements: [Statement], _ assignments: inout [(target: Target, value: Expression)],
        _ loops: inout [Statement.Loop]
    ) {
        for statement in statements {
            switch statement {
            case .assign(let target, let value, _): assignments.append((target, value))
            case .loop(let loop):
                loops.append(loop)
                collect(loop.body, &assignments, &loops)
                collect(loop.otherwise, &assignments, &loops)
            case .conditional(let branches, let otherwise, _):
                for branch in branches { collect(branch.body, &assignments, &loops) }
                collect(otherwise, &assignments, &loops)
            case .assignBlock(_, _, let body, _), .macro(_, _, let body, _), .callBlock(_, _, let body, _),
                .filterBlock(_, let body, _), .with(_, let body, _), .generation(let body, _):
                collect(body, &assignments, &loops)
            case .text, .output, .breakLoop, .continueLoop, .unsupported: break
            }
        }
    }
}
