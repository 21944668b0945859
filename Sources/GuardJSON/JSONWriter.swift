/// Escapes text for the inside of a JSON string, as short as RFC 8259 allows: quote, backslash and control characters,
/// nothing else.
package enum JSONEscape {
    /// Appends `text` escaped.
    /// - Parameter text: UTF-8.
    package static func append(_ text: some Sequence<UInt8>, to output: inout [UInt8]) {
        for byte in text { append(byte, to: &output) }
    }

    package static func escaped(_ text: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.underestimatedCount + 8)
        append(text, to: &output)
        return output
    }

    @inline(__always)
    private static func append(_ byte: UInt8, to output: inout [UInt8]) {
        if byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
            output.append(byte)
            return
        }
        output.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.append(byte)
        case 0x08: output.append(UInt8(ascii: "b"))
        case 0x09: output.append(UInt8(ascii: "t"))
        case 0x0A: output.append(UInt8(ascii: "n"))
        case 0x0C: output.append(UInt8(ascii: "f"))
        case 0x0D: output.append(UInt8(ascii: "r"))
        default:
            output.append(contentsOf: [UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0")])
            output.append(hex(byte >> 4))
            output.append(hex(byte & 15))
        }
    }

    private static func hex(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}

/// Writes JSON into bytes, in order; commas and escapes are its business, balance is the caller's.
///
/// ```swift
/// var writer = JSONWriter()
/// writer.object { $0.member("id", "x"); $0.key("list"); $0.array { $0.integer(1) } }
/// ```
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(reserving bytesCount: Int = 256) { bytes.reserveCapacity(bytesCount) }

    // MARK: Structure

    package mutating func beginObject() { open(UInt8(ascii: "{")) }
    package mutating func endObject() { close(UInt8(ascii: "}")) }
    package mutating func beginArray() { open(UInt8(ascii: "[")) }
    package mutating func endArray() { close(UInt8(ascii: "]")) }

    package mutating func object(_ body: (inout JSONWriter) -> Void) {
        beginObject()
        body(&self)
        endObject()
    }

    package mutating func array(_ body: (inout JSONWriter) -> Void) {
        beginArray()
        body(&self)
        endArray()
    }

    package mutating func key(_ name: String) {
        separate()
        quoted(name.utf8)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    // MARK: Values

    package mutating func string(_ text: String) {
        separate()
        quoted(text.utf8)
        needsComma = true
    }

    /// - Parameter utf8: valid UTF-8.
    package mutating func string(utf8: some Sequence<UInt8>) {
        separate()
        quoted(utf8)
        needsComma = true
    }

    package mutating func integer(_ value: some BinaryInteger) { raw(String(value).utf8) }

    /// A finite number as its shortest form; others, which JSON does not have, as null.
    package mutating func double(_ value: Double) {
        guard value.isFinite else { return null() }
        raw(value.description.utf8)
    }

    package mutating func bool(_ value: Bool) { raw((value ? "true" : "false").utf8) }

    package mutating func null() { raw("null".utf8) }

    /// A value that is already JSON.
    package mutating func raw(_ json: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
        needsComma = true
    }

    // MARK: Members

    package mutating func member(_ name: String, _ value: String) {
        key(name)
        string(value)
    }

    package mutating func member(_ name: String, utf8: some Sequence<UInt8>) {
        key(name)
        string(utf8: utf8)
    }

    package mutating func member(_ name: String, _ value: some BinaryInteger) {
        key(name)
        integer(value)
    }

    package mutating func member(_ name: String, _ value: Double) {
        key(name)
        double(value)
    }

    package mutating func member(_ name: String, _ value: Bool) {
        key(name)
        bool(value)
    }

    package mutating func memberNull(_ name: String) {
        key(name)
        null()
    }

    // MARK: Bytes

    /// Appends bytes as they are, outside of the structure: a newline between records.
    package mutating func verbatim(_ text: some Sequence<UInt8>) { bytes.append(contentsOf: text) }

    /// Starts over and keeps the memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    private mutating func open(_ byte: UInt8) {
        separate()
        bytes.append(byte)
        needsComma = false
    }

    private mutating func close(_ byte: UInt8) {
        bytes.append(byte)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = false
    }

    private mutating func quoted(_ text: some Sequence<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        JSONEscape.append(text, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }
}
