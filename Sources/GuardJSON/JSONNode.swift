package import GuardCore

/// One value (or key) of a document. Cheap to copy; keeps the document alive.
package struct JSONNode: Sendable {
    package enum Kind: UInt8, Sendable, Hashable {
        case object, array, string, number, `true`, `false`, null
    }

    let storage: JSONStorage
    let index: Int

    private var record: JSONRecord { storage.nodes[index] }

    package var kind: Kind { record.kind }

    /// Byte range of the whole value, with quotes or brackets.
    package var byteRange: ByteRange {
        let record = record
        return Int(record.start)..<Int(record.end)
    }

    /// Byte range inside the quotes or brackets; of other values the value.
    package var contentRange: ByteRange {
        let record = record
        switch record.kind {
        case .string, .object, .array: return Int(record.start) + 1..<Int(record.end) - 1
        default: return Int(record.start)..<Int(record.end)
        }
    }

    /// The value as it stands in the text.
    package var rawBytes: ArraySlice<UInt8> { storage.bytes[byteRange] }

    package var isNull: Bool { kind == .null }

    package var bool: Bool? {
        switch kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    // MARK: Strings

    /// The string, decoded. Prefer `stringBytes` where it is compared or counted.
    package var string: String? {
        stringBytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The string's decoded UTF-8.
    package var stringBytes: [UInt8]? {
        let record = record
        guard record.kind == .string else { return nil }
        let content = Int(record.start) + 1..<Int(record.end) - 1
        guard record.isMarked else { return Array(storage.bytes[content]) }
        return storage.bytes.withUnsafeBufferPointer { JSONStringDecoder.decode($0, content) }
    }

    /// Whether the string holds an escape; if not, its body bytes are its text.
    package var hasEscapes: Bool { kind == .string && record.isMarked }

    /// Whether this is a string and its decoded text is `text`.
    package func isString(_ text: String) -> Bool {
        let record = record
        guard record.kind == .string else { return false }
        if record.isMarked { return stringBytes.map { $0.elementsEqual(text.utf8) } ?? false }
        let content = Int(record.start) + 1..<Int(record.end) - 1
        var text = text
        return text.withUTF8 { text in
            text.count == content.count
                && storage.bytes.withUnsafeBufferPointer {
                    UnsafeBufferPointer(rebasing: $0[content]).elementsEqual(text)
                }
        }
    }

    // MARK: Numbers

    /// The number if it is written as an integer and fits. `1.0` and `1e3` are not: readers disagree about them.
    package var integer: Int64? {
        let record = record
        guard record.kind == .number, !record.isMarked else { return nil }
        var value: Int64 = 0
        var negative = false
        for byte in storage.bytes[byteRange] {
            if byte == UInt8(ascii: "-") {
                negative = true
                continue
            }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte) - 0x30
            let (sum, overflowSum) =
                negative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            if overflow || overflowSum { return nil }
            value = sum
        }
        return value
    }

    /// Whether the number is written without fraction and exponent (it may still not fit `integer`).
    package var isIntegerLiteral: Bool { kind == .number && !record.isMarked }

    /// The nearest double; finite, as the reader refuses others.
    package var double: Double? {
        guard kind == .number else { return nil }
        return Double(String(decoding: rawBytes, as: UTF8.self))
    }

    // MARK: Containers

    /// The value of `key`; `nil` if this is not an object or has no such key. Linear in the number of keys: to look
    /// up many keys of a big object make an `JSONIndex`.
    package subscript(key: String) -> JSONNode? {
        for (name, value) in members where name.isString(key) { return value }
        return nil
    }

    /// The element at `position`; linear in it.
    package subscript(position: Int) -> JSONNode? {
        guard position >= 0 else { return nil }
        var left = position
        for element in elements {
            if left == 0 { return element }
            left -= 1
        }
        return nil
    }

    /// Keys and values in the order of the text; empty if this is not an object.
    package var members: Members {
        let record = record
        return Members(storage: storage, at: index + 1, end: record.kind == .object ? Int(record.next) : index + 1)
    }

    /// Values in the order of the text; empty if this is not an array.
    package var elements: Elements {
        let record = record
        return Elements(storage: storage, at: index + 1, end: record.kind == .array ? Int(record.next) : index + 1)
    }

    /// Number of members or elements; linear in it.
    package var count: Int {
        var count = 0
        switch kind {
        case .object: for _ in members { count += 1 }
        case .array: for _ in elements { count += 1 }
        default: break
        }
        return count
    }

    package struct Members: Sequence, IteratorProtocol, Sendable {
        let storage: JSONStorage
        var at: Int
        let end: Int

        package mutating func next() -> (key: JSONNode, value: JSONNode)? {
            guard at < end else { return nil }
            defer { at = Int(storage.nodes[at + 1].next) }
            return (JSONNode(storage: storage, index: at), JSONNode(storage: storage, index: at + 1))
        }
    }

    package struct Elements: Sequence, IteratorProtocol, Sendable {
        let storage: JSONStorage
        var at: Int
        let end: Int

        package mutating func next() -> JSONNode? {
            guard at < end else { return nil }
            defer { at = Int(storage.nodes[at].next) }
            return JSONNode(storage: storage, index: at)
        }
    }

    /// JSON Pointer (RFC 6901) of this value. Costs the siblings before it at each level: for diagnostics, not for loops.
    package var pointer: String {
        var parts: [String] = []
        var node = index
        while Int(storage.nodes[node].parent) != node {
            let parent = Int(storage.nodes[node].parent)
            if storage.nodes[parent].kind == .object {
                // A value's key is the node before it; a key points to its value.
                var at = parent + 1
                while Int(storage.nodes[at + 1].next) <= node { at = Int(storage.nodes[at + 1].next) }
                parts.append(JSONPointer.escape(JSONNode(storage: storage, index: at).string ?? ""))
            } else {
                var position = 0
                var at = parent + 1
                while at < node {
                    at = Int(storage.nodes[at].next)
                    position += 1
                }
                parts.append(String(position))
            }
            node = parent
        }
        return parts.reversed().map { "/" + $0 }.joined()
    }
}

/// RFC 6901.
package enum JSONPointer {
    /// One reference token: `~` is `~0`, `/` is `~1`.
    package static func escape(_ key: String) -> String {
        guard key.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else { return key }
        var token = ""
        for scalar in key.unicodeScalars {
            switch scalar {
            case "~": token += "~0"
            case "/": token += "~1"
            default: token.unicodeScalars.append(scalar)
            }
        }
        return token
    }
}

/// Keys of one object by their bytes, for objects of which many keys are looked up.
package struct JSONIndex: Sendable {
    private var values: [[UInt8]: JSONNode] = [:]

    package init(_ object: JSONNode) {
        for (key, value) in object.members {
            if let key = key.stringBytes { values[key] = value }
        }
    }

    package subscript(key: [UInt8]) -> JSONNode? { values[key] }

    package subscript(key: String) -> JSONNode? { values[Array(key.utf8)] }
}
