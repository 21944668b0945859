private import CYAML
package import GuardCore

/// Bounds of what a YAML file may be. A file over a bound is an error with the place where it was passed.
package struct YAMLLimits: Sendable {
    /// Bytes of the file.
    package var bytes = 16 << 20
    /// Nesting of lists and mappings.
    package var depth = 64
    /// Nodes after aliases are expanded: what bounds an alias bomb.
    package var nodes = 1_000_000
    /// Aliases (`*name`) in the file.
    package var aliases = 1000

    package init() {}
}

/// A YAML file as a tree of nodes with places. UTF-8, one document, YAML 1.2 core schema; a duplicate key, a key that is
/// no scalar, a foreign tag and a merge key (`<<`) are errors.
package struct YAMLDocument: Sendable {
    package let root: YAMLNode
    package let file: String

    /// - Throws: the one syntax error or limit that stopped reading, and every duplicate key found up to there.
    package static func parse(
        _ bytes: [UInt8], file: String, limits: YAMLLimits = YAMLLimits()
    ) throws(Diagnostics) -> YAMLDocument {
        guard bytes.count <= limits.bytes else {
            throw Diagnostics([
                Diagnostic(file: file, "the file has \(bytes.count) bytes; at most \(limits.bytes) are read")
            ])
        }
        var builder = YAMLTreeBuilder(file: file, limits: limits, source: bytes)
        if let problem = builder.run() { throw Diagnostics(builder.problems + [problem]) }
        guard builder.problems.isEmpty else { throw Diagnostics(builder.problems) }
        return YAMLDocument(root: builder.root ?? emptyNode, file: file)
    }

    private static let emptyNode = YAMLNode(
        kind: .scalar(YAMLScalar(text: "", style: .plain)), line: 1, column: 1)
}

/// Turns libyaml's events into nodes, without recursion: depth is a limit, not the thread's stack.
private struct YAMLTreeBuilder {
    /// A node whose end has not come yet.
    struct Open {
        enum Content {
            case sequence([YAMLNode])
            case mapping([YAMLNode.Entry], pending: Key?, seen: Set<String>)
        }
        struct Key {
            var text: String
            var line: Int
            var column: Int
        }
        var content: Content
        var line: Int
        var column: Int
        var anchor: String?
        /// Nodes in this one after aliases are expanded.
        var nodes = 1
        /// Levels of lists and mappings in this one, itself included, after aliases are expanded.
        var height = 1
    }

    struct Anchored {
        var node: YAMLNode
        var nodes: Int
        var height: Int
    }

    let file: String
    let limits: YAMLLimits
    let source: [UInt8]
    var root: YAMLNode?
    var problems: [Diagnostic] = []
    var stack: [Open] = []
    var anchors: [String: Anchored] = [:]
    var aliasCount = 0
    var nodeCount = 0

    /// Reads the whole file; the returned problem is the one that stopped it.
    mutating func run() -> Diagnostic? {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else { return Diagnostic(file: file, "out of memory") }
        defer { yaml_parser_delete(parser) }
        let source = self.source
        return source.withUnsafeBufferPointer { buffer -> Diagnostic? in
            // Without a set encoding libyaml would guess UTF-16 from the first bytes.
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            // An empty buffer may have no address, and libyaml asserts that there is one.
            var empty: UInt8 = 0
            return withUnsafePointer(to: &empty) { fallback in
                yaml_parser_set_input_string(parser, buffer.baseAddress ?? fallback, buffer.count)
                return consume(parser)
            }
        }
    }

    private mutating func consume(_ parser: UnsafeMutablePointer<yaml_parser_t>) -> Diagnostic? {
        var event = yaml_event_t()
        var documents = 0
        while true {
            guard yaml_parser_parse(parser, &event) == 1 else { return syntaxError(parser) }
            defer { yaml_event_delete(&event) }
            switch event.type {
            case YAML_STREAM_END_EVENT: return nil
            case YAML_DOCUMENT_START_EVENT:
                documents += 1
                if documents > 1 { return problem(event, "a second document begins here; one file holds one document") }
            case YAML_ALIAS_EVENT, YAML_SCALAR_EVENT, YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT,
                YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
                if let stopped = take(event) { return stopped }
            default: break
            }
        }
    }

    private mutating func take(_ event: yaml_event_t) -> Diagnostic? {
        let line = Int(event.start_mark.line) + 1
        let column = Int(event.start_mark.column) + 1
        switch event.type {
        case YAML_ALIAS_EVENT:
            let name = string(event.data.alias.anchor)
            aliasCount += 1
            guard aliasCount <= limits.aliases else {
                return problem(event, "more than \(limits.aliases) aliases")
            }
            guard let anchored = anchors[name] else {
                let open = stack.contains { $0.anchor == name }
                return problem(
                    event, open ? "the alias '*\(name)' contains itself" : "no anchor '&\(name)' before this")
            }
            var node = anchored.node
            (node.line, node.column) = (line, column)
            return add(node, nodes: anchored.nodes, height: anchored.height, anchor: nil, event)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            var tag: YAMLScalar.Tag?
            if scalar.tag != nil {
                let name = string(scalar.tag)
                if name == "!" {
                    tag = .str
                } else if let known = coreTag(name).flatMap(YAMLScalar.Tag.init(rawValue:)) {
                    tag = known
                } else {
                    return problem(event, "unknown tag '\(name)'")
                }
            }
            let text = String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: Int(scalar.length)), as: UTF8.self)
            let style = style(scalar.style)
            let node = YAMLNode(
                kind: .scalar(
                    YAMLScalar(
                        text: text, style: style, verbatimColumn: verbatimColumn(event, style: style), tag: tag)),
                line: line, column: column)
            return add(node, nodes: 1, height: 0, anchor: optionalString(scalar.anchor), event)
        case YAML_SEQUENCE_START_EVENT:
            if let tag = optionalString(event.data.sequence_start.tag), coreTag(tag) != "seq", tag != "!" {
                return problem(event, "unknown tag '\(tag)'")
            }
            return open(.sequence([]), anchor: optionalString(event.data.sequence_start.anchor), event)
        case YAML_MAPPING_START_EVENT:
            if let tag = optionalString(event.data.mapping_start.tag), coreTag(tag) != "map", tag != "!" {
                return problem(event, "unknown tag '\(tag)'")
            }
            return open(
                .mapping([], pending: nil, seen: []), anchor: optionalString(event.data.mapping_start.anchor), event)
        default:
            guard let closed = stack.popLast() else { return nil }
            let kind: YAMLNode.Kind =
                switch closed.content {
                case .sequence(let nodes): .sequence(nodes)
                case .mapping(let entries, _, _): .mapping(entries)
                }
            return add(
                YAMLNode(kind: kind, line: closed.line, column: closed.column), nodes: closed.nodes,
                height: closed.height, anchor: closed.anchor, event)
        }
    }

    private mutating func open(_ content: Open.Content, anchor: String?, _ event: yaml_event_t) -> Diagnostic? {
        guard stack.count < limits.depth else {
            return problem(event, "nested deeper than \(limits.depth) levels")
        }
        if case .mapping(_, nil, _)? = stack.last?.content {
            return problem(event, "a key must be a scalar, not a list or a mapping")
        }
        stack.append(
            Open(
                content: content, line: Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1,
                anchor: anchor))
        return nil
    }

    /// Puts a finished node where it belongs.
    private mutating func add(
        _ node: YAMLNode, nodes: Int, height: Int, anchor: String?, _ event: yaml_event_t
    ) -> Diagnostic? {
        // A container's own nodes were counted when they were added; only scalars and aliases are new here.
        if event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT {
            nodeCount += nodes
            guard nodeCount <= limits.nodes else { return problem(event, "more than \(limits.nodes) nodes") }
            guard stack.count + height <= limits.depth else {
                return problem(event, "nested deeper than \(limits.depth) levels")
            }
        } else {
            nodeCount += 1
        }
        if let anchor { anchors[anchor] = Anchored(node: node, nodes: nodes, height: height) }
        guard let top = stack.indices.last else {
            root = node
            return nil
        }
        switch stack[top].content {
        case .sequence(var list):
            stack[top].content = .sequence([])  // keep `list` unshared, so that appending does not copy it
            list.append(node)
            stack[top].content = .sequence(list)
        case .mapping(var entries, let pending, var seen):
            guard let pending else {
                guard case .scalar(let scalar) = node.kind else {
                    return problem(event, "a key must be a scalar, not a list or a mapping")
                }
                if scalar.text == "<<", scalar.style == .plain {
                    return problem(event, "merge keys ('<<') are not part of YAML 1.2; write the keys out")
                }
                stack[top].content = .mapping(
                    entries, pending: Open.Key(text: scalar.text, line: node.line, column: node.column), seen: seen)
                break
            }
            stack[top].content = .sequence([])
            if seen.insert(pending.text).inserted {
                entries.append(
                    YAMLNode.Entry(
                        key: pending.text, keyLine: pending.line, keyColumn: pending.column, value: node))
            } else {
                let first = entries.first { $0.key == pending.text }
                problems.append(
                    Diagnostic(
                        file: file, line: pending.line, column: pending.column,
                        "duplicate key '\(pending.text)'; first given on line \(first?.keyLine ?? 0)"))
            }
            stack[top].content = .mapping(entries, pending: nil, seen: seen)
        }
        stack[top].nodes += nodes
        stack[top].height = max(stack[top].height, height + 1)
        return nil
    }

    // MARK: places and strings

    private func problem(_ event: yaml_event_t, _ message: String) -> Diagnostic {
        Diagnostic(
            file: file, line: Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1, message)
    }

    private func syntaxError(_ parser: UnsafeMutablePointer<yaml_parser_t>) -> Diagnostic {
        let what = parser.pointee.problem.map { String(cString: $0) } ?? "broken YAML"
        let context = parser.pointee.context.map { String(cString: $0) + ": " } ?? ""
        if parser.pointee.error == YAML_READER_ERROR {
            // The reader knows a byte offset only, not a mark.
            let offset = min(Int(parser.pointee.problem_offset), source.count)
            let before = source[..<offset]
            let line = before.count { $0 == UInt8(ascii: "\n") } + 1
            let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            let column = before[lineStart...].count { $0 & 0xC0 != 0x80 } + 1
            return Diagnostic(file: file, line: line, column: column, what)
        }
        let mark = parser.pointee.problem_mark
        return Diagnostic(file: file, line: Int(mark.line) + 1, column: Int(mark.column) + 1, context + what)
    }

    private func string(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String {
        guard let pointer else { return "" }
        return String(cString: pointer)
    }

    private func optionalString(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private func coreTag(_ tag: String) -> String? {
        let prefix = "tag:yaml.org,2002:"
        guard tag.hasPrefix(prefix) else { return nil }
        return String(tag.dropFirst(prefix.count))
    }

    private func style(_ style: yaml_scalar_style_t) -> YAMLScalar.Style {
        switch style {
        case YAML_SINGLE_QUOTED_SCALAR_STYLE: .singleQuoted
        case YAML_DOUBLE_QUOTED_SCALAR_STYLE: .doubleQuoted
        case YAML_LITERAL_SCALAR_STYLE: .literal
        case YAML_FOLDED_SCALAR_STYLE: .folded
        default: .plain
        }
    }

    /// libyaml's marks count scalars, so the number of scalars between them says whether an escape stood in between.
    private func verbatimColumn(_ event: yaml_event_t, style: YAMLScalar.Style) -> Int? {
        guard style != .literal, style != .folded, event.start_mark.line == event.end_mark.line else { return nil }
        let quotes = style == .plain ? 0 : 2
        let width = Int(event.end_mark.index) - Int(event.start_mark.index) - quotes
        let scalar = event.data.scalar
        var count = 0
        for index in 0..<Int(scalar.length) where scalar.value[index] & 0xC0 != 0x80 { count += 1 }
        guard width == count else { return nil }
        return Int(event.start_mark.column) + 1 + quotes / 2
    }
}
