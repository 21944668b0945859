private import CYAML
package import GuardCore

/// A YAML file with what its values do not tell: styles, anchors, aliases, and where every node begins and ends. For
/// tools that rewrite files.
package struct YAMLSource: Sendable {
    package struct Node: Sendable {
        package enum Kind: Sendable {
            case scalar(String, YAMLScalar.Style)
            case alias(String)
            case sequence([Node], isFlow: Bool)
            case mapping([(key: Node, value: Node)], isFlow: Bool)
        }
        package var kind: Kind
        package var anchor: String?
        package var tag: String?
        /// Offsets in the file's Unicode scalars. A block collection ends where its last node does.
        package var start: Int
        package var end: Int
    }

    package let scalars: [Unicode.Scalar]
    /// `nil`: an empty file.
    package let root: Node?

    /// - Throws: what `YAMLDocument.parse` would throw.
    package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> YAMLSource {
        // Checks limits, duplicates and everything else; what follows need only build.
        _ = try YAMLDocument.parse(bytes, file: file)
        var builder = YAMLSourceBuilder()
        builder.run(bytes)
        let text = String(decoding: bytes, as: UTF8.self)
        return YAMLSource(scalars: Array(text.unicodeScalars), root: builder.root)
    }
}

private struct YAMLSourceBuilder {
    private struct Open {
        var nodes: [YAMLSource.Node] = []
        var isMapping: Bool
        var isFlow: Bool
        var anchor: String?
        var tag: String?
        var start: Int
    }

    var root: YAMLSource.Node?
    private var stack: [Open] = []

    init() {}

    mutating func run(_ source: [UInt8]) {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else { return }
        defer { yaml_parser_delete(parser) }
        source.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(parser, base, buffer.count)
            var event = yaml_event_t()
            while yaml_parser_parse(parser, &event) == 1 {
                defer { yaml_event_delete(&event) }
                if event.type == YAML_STREAM_END_EVENT { return }
                take(event)
            }
        }
    }

    private mutating func take(_ event: yaml_event_t) {
        let (start, end) = (Int(event.start_mark.index), Int(event.end_mark.index))
        switch event.type {
        case YAML_ALIAS_EVENT:
            add(.init(kind: .alias(string(event.data.alias.anchor) ?? ""), start: start, end: end))
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let text = String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: Int(scalar.length)), as: UTF8.self)
            let style: YAMLScalar.Style =
                switch scalar.style {
                case YAML_SINGLE_QUOTED_SCALAR_STYLE: .singleQuoted
                case YAML_DOUBLE_QUOTED_SCALAR_STYLE: .doubleQuoted
                case YAML_LITERAL_SCALAR_STYLE: .literal
                case YAML_FOLDED_SCALAR_STYLE: .folded
                default: .plain
                }
            add(
                .init(
                    kind: .scalar(text, style), anchor: string(scalar.anchor), tag: string(scalar.tag), start: start,
                    end: end))
        case YAML_SEQUENCE_START_EVENT:
            let data = event.data.sequence_start
            stack.append(
                Open(
                    isMapping: false, isFlow: data.style == YAML_FLOW_SEQUENCE_STYLE, anchor: string(data.anchor),
                    tag: string(data.tag), start: start))
        case YAML_MAPPING_START_EVENT:
            let data = event.data.mapping_start
            stack.append(
                Open(
                    isMapping: true, isFlow: data.style == YAML_FLOW_MAPPING_STYLE, anchor: string(data.anchor),
                    tag: string(data.tag), start: start))
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            guard let open = stack.popLast() else { return }
            var kind = YAMLSource.Node.Kind.sequence(open.nodes, isFlow: open.isFlow)
            if open.isMapping {
                let pairs = stride(from: 0, to: open.nodes.count - 1, by: 2).map {
                    (key: open.nodes[$0], value: open.nodes[$0 + 1])
                }
                kind = .mapping(pairs, isFlow: open.isFlow)
            }
            add(
                .init(
                    kind: kind, anchor: open.anchor, tag: open.tag, start: open.start,
                    end: open.isFlow ? end : open.nodes.last?.end ?? open.start))
        default: break
        }
    }

    private mutating func add(_ node: YAMLSource.Node) {
        if stack.isEmpty {
            root = node
        } else {
            stack[stack.count - 1].nodes.append(node)
        }
    }

    private func string(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? { pointer.map { String(cString: $0) } }
}
