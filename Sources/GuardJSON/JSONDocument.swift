/// A JSON text (RFC 8259) read once and strictly, into a flat table of nodes over the original bytes.
///
/// Guarding needs two things that a decoder into values cannot give: where every string stands in the body, so that an
/// edit touches exactly those bytes, and the certainty that no other reader sees another document. So everything that
/// readers are known to disagree about is an error here: duplicate keys (compared after unescaping), bytes that are
/// not UTF-8, a byte order mark, lone surrogates, `NaN` and friends, comments, bytes after the value, numbers that
/// no double can hold, deep nesting.
///
/// Reading allocates the node table and nothing per node, and does not recurse.
package struct JSONDocument: Sendable {
    let storage: JSONStorage

    /// - Throws: the first problem, with its byte offset.
    package init(_ bytes: [UInt8], limits: JSONLimits = .init()) throws(JSONError) {
        storage = JSONStorage(bytes: bytes, nodes: try JSONScanner.scan(bytes, limits: limits))
    }

    /// The text as given.
    package var bytes: [UInt8] { storage.bytes }

    package var root: JSONNode { JSONNode(storage: storage, index: 0) }

    /// Number of nodes, keys included: a measure of the work that a walk of the document costs.
    package var nodesCount: Int { storage.nodes.count }
}

/// What a document may cost.
package struct JSONLimits: Sendable, Hashable {
    /// Nesting of arrays and objects; 1 is a flat object.
    package var depthMax: Int
    /// Nodes, keys included. A node costs 20 bytes of memory, so that `[0,0,0…` costs at most ten times its length.
    package var nodesMax: Int

    package init(depthMax: Int = 128, nodesMax: Int = 8_000_000) {
        self.depthMax = depthMax
        self.nodesMax = nodesMax
    }
}

/// Why a text is not a document, and at which byte of it.
package struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        case empty = "empty text"
        case byteOrderMark = "byte order mark"
        case unexpectedByte = "unexpected byte"
        case unexpectedEnd = "unexpected end of text"
        case trailingBytes = "bytes after the value"
        case invalidUTF8 = "invalid UTF-8"
        case controlCharacter = "unescaped control character in a string"
        case invalidEscape = "invalid escape in a string"
        case loneSurrogate = "lone surrogate in a string"
        case invalidNumber = "invalid number"
        case numberOutOfRange = "number out of range"
        case duplicateKey = "duplicate key"
        case tooDeep = "nested too deep"
        case tooLarge = "too many values"
    }

    package var code: Code
    /// Byte offset into the text.
    package var offset: Int

    package init(_ code: Code, at offset: Int) {
        self.code = code
        self.offset = offset
    }

    package var description: String { "\(code.rawValue) at byte \(offset)" }
}

final class JSONStorage: Sendable {
    let bytes: [UInt8]
    let nodes: [JSONRecord]

    init(bytes: [UInt8], nodes: [JSONRecord]) {
        self.bytes = bytes
        self.nodes = nodes
    }
}

/// One value or key. Preorder: the first child of node `i` is `i + 1`, its next sibling is `next`; an object's
/// children are key, value, key, value.
struct JSONRecord: Sendable {
    /// Byte range of the whole value, quotes and brackets included.
    var start: UInt32
    var end: UInt32
    /// Index of the node behind this one's subtree.
    var next: UInt32
    /// Index of the container; a root's is itself.
    var parent: UInt32
    var kind: JSONNode.Kind
    /// Strings: holds at least one escape. Numbers: has a fraction or an exponent.
    var isMarked: Bool
}
