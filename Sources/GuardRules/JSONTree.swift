internal import GuardJSON
internal import GuardYAML

/// A JSON file as nodes with places, so that what reads YAML reads it too.
struct JSONTree {
    private let bytes: [UInt8]
    private var line = 1
    private var column = 1
    /// Up to where lines and columns were counted.
    private var counted = 0

    /// - Throws: `JSONError`, with its byte offset.
    static func read(_ bytes: [UInt8]) throws(JSONError) -> YAMLNode {
        let document = try JSONDocument(bytes)
        var tree = JSONTree(bytes: bytes)
        return tree.node(document.root)
    }

    /// Line and column of a byte, both from 1, the column in Unicode scalars.
    static func place(_ offset: Int, in bytes: [UInt8]) -> (line: Int, column: Int) {
        var tree = JSONTree(bytes: bytes)
        return tree.place(offset)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Offsets are asked for in ascending order.
    private mutating func place(_ offset: Int) -> (line: Int, column: Int) {
        while counted < min(offset, bytes.count) {
            if bytes[counted] == 0x0A {
                (line, column) = (line + 1, 1)
            } else if bytes[counted] & 0xC0 != 0x80 {
                column += 1
            }
            counted += 1
        }
        return (line, column)
    }

    private mutating func node(_ node: JSONNode) -> YAMLNode {
        let place = place(node.byteRange.lowerBound)
        let kind: YAMLNode.Kind
        switch node.kind {
        case .object:
            var entries: [YAMLNode.Entry] = []
            for (key, value) in node.members {
                let place = self.place(key.byteRange.lowerBound)
                entries.append(
                    YAMLNode.Entry(
                        key: key.string ?? "", keyLine: place.line, keyColumn: place.column, value: self.node(value)))
            }
            kind = .mapping(entries)
        case .array: kind = .sequence(node.elements.map { self.node($0) })
        case .string: kind = .scalar(YAMLScalar(text: node.string ?? "", style: .doubleQuoted))
        case .number, .true, .false, .null:
            kind = .scalar(YAMLScalar(text: String(decoding: node.rawBytes, as: UTF8.self), style: .plain))
        }
        return YAMLNode(kind: kind, line: place.line, column: place.column)
    }
}
