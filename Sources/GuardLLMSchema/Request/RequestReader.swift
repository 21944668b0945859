import GuardCore
import GuardJSON

/// What the schemas read requests with: typed access that refuses, segments, unknown fields.
struct RequestReader {
    var view: RequestView
    let options: RequestOptions
    private let body: [UInt8]

    var root: JSONNode { view.document.root }

    init(endpoint: Endpoint, document: JSONDocument, options: RequestOptions) {
        view = RequestView(endpoint: endpoint, document: document)
        body = document.bytes
        self.options = options
    }

    // MARK: Errors

    func wrongType(_ node: JSONNode, _ pointer: String, _ wanted: String) -> RequestError {
        RequestError(
            .invalidRequest, param: pointer, message: "\(pointer) must be \(wanted)", offset: node.byteRange.lowerBound)
    }

    func missing(_ pointer: String) -> RequestError {
        RequestError(.invalidRequest, param: pointer, message: "\(pointer) is required", offset: nil)
    }

    func notAllowed(_ node: JSONNode, _ pointer: String) -> RequestError {
        RequestError(
            .fieldNotAllowed, param: pointer,
            message: "\(pointer) is not allowed: it changes the prompt or the cost of the request unseen",
            offset: node.byteRange.lowerBound)
    }

    // MARK: Values. Null is absent.

    func string(_ node: JSONNode, _ pointer: String) throws(RequestError) -> String? {
        if node.isNull { return nil }
        guard let value = node.string else { throw wrongType(node, pointer, "a string") }
        return value
    }

    func bool(_ node: JSONNode, _ pointer: String) throws(RequestError) -> Bool? {
        if node.isNull { return nil }
        guard let value = node.bool else { throw wrongType(node, pointer, "true or false") }
        return value
    }

    /// - Parameter range: what the servers accept, at most up to 2^31 - 1.
    func integer(_ node: JSONNode, _ pointer: String, in range: ClosedRange<Int>) throws(RequestError) -> Int? {
        if node.isNull { return nil }
        guard node.isIntegerLiteral else { throw wrongType(node, pointer, "an integer") }
        guard let value = node.integer, range.contains(Int(value)) else {
            throw wrongType(node, pointer, "an integer in \(range.lowerBound)...\(range.upperBound)")
        }
        return Int(value)
    }

    // MARK: Segments

    /// One string as one segment; null is none.
    /// - Returns: index of the segment.
    @discardableResult
    mutating func segment(_ role: Role, _ kind: String, _ node: JSONNode, _ pointer: String) throws(RequestError)
        -> Int?
    {
        if node.isNull { return nil }
        guard let text = node.stringBytes else { throw wrongType(node, pointer, "a string") }
        let piece = TextSegment.Piece(text: 0..<text.count, body: node.contentRange)
        view.segments.append(TextSegment(role: role, kind: kind, text: text, pieces: [piece], pointer: pointer))
        return view.segments.count - 1
    }

    /// Strings as one segment, with `separator` between them.
    mutating func segment(
        _ role: Role, _ kind: String, joining nodes: some Sequence<JSONNode>, separator: [UInt8], _ pointer: String
    ) {
        var text: [UInt8] = []
        var pieces: [TextSegment.Piece] = []
        for node in nodes {
            guard let bytes = node.stringBytes else { continue }
            if !pieces.isEmpty { text += separator }
            pieces.append(
                TextSegment.Piece(text: text.count..<text.count + bytes.count, body: node.contentRange))
            text += bytes
        }
        guard !pieces.isEmpty else { return }
        view.segments.append(TextSegment(role: role, kind: kind, text: text, pieces: pieces, pointer: pointer))
    }

    /// All strings at and below a value, keys included, as one segment of lines.
    mutating func deepSegment(_ role: Role, _ kind: String, _ node: JSONNode, _ pointer: String) {
        segment(role, kind, joining: node.strings, separator: [0x0A], pointer)
    }

    /// A string, or an array of strings (each its own segment).
    mutating func texts(_ role: Role, _ kind: String, _ node: JSONNode, _ pointer: String) throws(RequestError) {
        guard node.kind == .array else {
            try segment(role, kind, node, pointer)
            return
        }
        var position = 0
        for element in node.elements {
            guard element.kind == .string else { throw wrongType(element, "\(pointer)/\(position)", "a string") }
            try segment(role, kind, element, "\(pointer)/\(position)")
            position += 1
        }
    }

    // MARK: Fields outside of the schema

    /// A field that the schema does not know.
    mutating func unknown(_ key: JSONNode, _ value: JSONNode, at parent: String, known: FieldNames)
        throws(RequestError)
    {
        let pointer = "\(parent)/\(JSONPointer.escape(key.string ?? ""))"
        // Go's encoding/json (Ollama) matches keys without regard to case: there `Messages` is `messages`.
        if let meant = known.caseVariant(of: key.stringBytes ?? []) {
            throw RequestError(
                .invalidRequest, param: "\(parent)/\(meant)",
                message: "a field differs from \(meant) only in upper and lower case, which servers read differently",
                offset: key.byteRange.lowerBound)
        }
        if options.refusesUnknownFields {
            throw RequestError(
                .fieldNotAllowed, param: pointer, message: "\(pointer) is not known", offset: key.byteRange.lowerBound)
        }
        view.unknownFields.append(pointer)
        estimated("unknown_field")
        // The key is text that a template may print, too.
        segment(
            .extension, "extension", joining: [key] + Array(value.strings), separator: [0x0A], pointer)
    }

    /// A field that is refused if it has a value, unless allowed by name.
    mutating func denied(_ name: String, _ value: JSONNode, _ pointer: String) throws(RequestError) {
        if value.isNull || value.bool == false { return }
        guard options.allowedFields.contains(name) else { throw notAllowed(value, pointer) }
        estimated("allowed_field")
        deepSegment(.extension, "extension", value, pointer)
    }

    mutating func opaque(_ pointer: String, kind: String) {
        view.opaqueParts.append(RequestView.OpaquePart(pointer: pointer, kind: kind))
        estimated("opaque_part")
    }

    mutating func estimated(_ why: String) {
        if !view.estimatedWhy.contains(why) { view.estimatedWhy.append(why) }
    }

    /// Checks a field that is known, is no text and needs no further reading.
    func plain(_ type: PlainType, _ node: JSONNode, _ pointer: String) throws(RequestError) {
        if node.isNull { return }
        switch type {
        case .bool: guard node.bool != nil else { throw wrongType(node, pointer, "true or false") }
        case .number: guard node.kind == .number else { throw wrongType(node, pointer, "a number") }
        case .integer: guard node.integer != nil else { throw wrongType(node, pointer, "an integer in 64 bits") }
        case .string: guard node.kind == .string else { throw wrongType(node, pointer, "a string") }
        case .any: break
        }
    }
}

enum PlainType: Sendable {
    case bool, number, integer, string
    /// An object, array or several types, in which no text for the model stands.
    case any
}

/// The names of an object's fields.
struct FieldNames: Sendable {
    private let folded: [[UInt8]: String]

    init(_ names: [String]) {
        folded = Dictionary(names.map { (Self.fold(Array($0.utf8)), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The name that `key`, which is none of the names itself, is a case variant of.
    func caseVariant(of key: [UInt8]) -> String? {
        guard key.count <= 64 else { return nil }
        return folded[Self.fold(key)]
    }

    /// ASCII case, and the two letters outside ASCII that fold into it: U+017F (s) and U+212A (k).
    private static func fold(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            if byte == 0xC5, at + 1 < bytes.count, bytes[at + 1] == 0xBF {
                result.append(UInt8(ascii: "s"))
                at += 2
            } else if byte == 0xE2, at + 2 < bytes.count, bytes[at + 1] == 0x84, bytes[at + 2] == 0xAA {
                result.append(UInt8(ascii: "k"))
                at += 3
            } else {
                result.append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
                at += 1
            }
        }
        return result
    }
}
