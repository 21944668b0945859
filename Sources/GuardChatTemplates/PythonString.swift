/// A Python `str`: Unicode scalars, kept as UTF-8.
///
/// Not `String`: its equality is canonical equivalence and its elements are grapheme clusters, while Python compares and
/// counts scalars (`"é" != "e\u0301"`, `len("\r\n") == 2`).
package struct PythonString: Hashable, Sendable {
    package let utf8: [UInt8]
    /// Then offsets are byte offsets.
    let isASCII: Bool
    /// `markupsafe.Markup`: escapes what is joined to it. Made by the filters `safe` and `escape` only.
    let isMarkup: Bool

    package init(_ text: String) { self.init(utf8: Array(text.utf8)) }

    /// `utf8` must be valid UTF-8; what is not is repaired to U+FFFD.
    package init(validating utf8: [UInt8]) {
        self.init(utf8: String(validating: utf8, as: UTF8.self) != nil ? utf8 : Array(String(decoding: utf8, as: UTF8.self).utf8))
    }

    init(utf8: [UInt8], isMarkup: Bool = false) {
        self.utf8 = utf8
        self.isASCII = utf8.allSatisfy { $0 < 0x80 }
        self.isMarkup = isMarkup
    }

    init(utf8: [UInt8], isASCII: Bool, isMarkup: Bool = false) {
        self.utf8 = utf8
        self.isASCII = isASCII
        self.isMarkup = isMarkup
    }

    init(_ utf8: ArraySlice<UInt8>, like other: PythonString) {
        self.utf8 = Array(utf8)
        self.isASCII = other.isASCII || utf8.allSatisfy { $0 < 0x80 }
        self.isMarkup = other.isMarkup
    }

    init(scalars: some Sequence<Unicode.Scalar>, isMarkup: Bool = false) {
        var utf8: [UInt8] = []
        for scalar in scalars { utf8.append(scalar) }
        self.init(utf8: utf8, isMarkup: isMarkup)
    }

    static let empty = PythonString(utf8: [], isASCII: true)

    package static func == (left: PythonString, right: PythonString) -> Bool { left.utf8 == right.utf8 }

    package func hash(into hasher: inout Hasher) { hasher.combine(utf8) }

    package var string: String { String(decoding: utf8, as: UTF8.self) }

    var scalars: [Unicode.Scalar] { Array(string.unicodeScalars) }

    /// In scalars.
    var count: Int { isASCII ? utf8.count : utf8.reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) } }

    /// Byte offset of the scalar at `index`, 0...count.
    func byteOffset(ofScalar index: Int) -> Int {
        if isASCII { return min(index, utf8.count) }
        var left = index
        for (offset, byte) in utf8.enumerated() where byte & 0xc0 != 0x80 {
            if left == 0 { return offset }
            left -= 1
        }
        return utf8.count
    }

    func scalarIndex(ofByte offset: Int) -> Int {
        isASCII ? offset : utf8[..<offset].reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) }
    }

    /// The bytes of each scalar, in order.
    var characters: [PythonString] {
        var result: [PythonString] = []
        var start = 0
        while start < utf8.count {
            let end = min(start + Self.width(utf8[start]), utf8.count)
            result.append(PythonString(utf8: Array(utf8[start..<end]), isASCII: end - start == 1, isMarkup: isMarkup))
            start = end
        }
        return result
    }

    static func width(_ lead: UInt8) -> Int { lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4 }

    /// Start of the first occurrence at or behind `start`, in bytes.
    func find(_ needle: [UInt8], from start: Int = 0, to end: Int? = nil) -> Int? {
        let end = end ?? utf8.count
        guard let first = needle.first else { return start <= end ? start : nil }
        var position = start
        let last = end - needle.count
        return utf8.withUnsafeBufferPointer { text in
            needle.withUnsafeBufferPointer { needle in
                while position <= last {
                    if text[position] == first {
                        var index = 1
                        while index < needle.count, text[position + index] == needle[index] { index += 1 }
                        if index == needle.count { return position }
                    }
                    position += 1
                }
                return nil
            }
        }
    }

    /// Start of the last occurrence, in bytes.
    func findLast(_ needle: [UInt8], from start: Int = 0, to end: Int? = nil) -> Int? {
        let end = end ?? utf8.count
        var position = end - needle.count
        while position >= start {
            if utf8[position..<position + needle.count].elementsEqual(needle) { return position }
            position -= 1
        }
        return nil
    }

    func hasPrefix(_ prefix: [UInt8]) -> Bool { utf8.starts(with: prefix) }

    func hasSuffix(_ suffix: [UInt8]) -> Bool {
        utf8.count >= suffix.count && utf8[(utf8.count - suffix.count)...].elementsEqual(suffix)
    }

    /// `str.strip(characters)`; `nil` strips white space.
    func stripped(_ characters: PythonString?, left: Bool = true, right: Bool = true) -> PythonString {
        let set = characters.map { Set($0.string.unicodeScalars) }
        var start = 0
        var end = utf8.count
        func isStripped(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? Self.isSpace(scalar) }
        while left, start < end {
            let width = Self.width(utf8[start])
            guard isStripped(scalar(at: start)) else { break }
            start = min(start + width, end)
        }
        while right, start < end {
            var lead = end - 1
            while lead > start, utf8[lead] & 0xc0 == 0x80 { lead -= 1 }
            guard isStripped(scalar(at: lead)) else { break }
            end = lead
        }
        return start == 0 && end == utf8.count ? self : PythonString(utf8[start..<end], like: self)
    }

    /// The scalar whose first byte is at `offset`.
    func scalar(at offset: Int) -> Unicode.Scalar {
        let lead = utf8[offset]
        if lead < 0x80 { return Unicode.Scalar(lead) }
        let width = Self.width(lead)
        var value = UInt32(lead) & (width == 2 ? 0x1f : width == 3 ? 0x0f : 0x07)
        for byte in utf8[(offset + 1)..<min(offset + width, utf8.count)] { value = value << 6 | UInt32(byte & 0x3f) }
        return Unicode.Scalar(value) ?? "\u{fffd}"
    }

    /// `str.isspace` of one scalar: bidirectional type WS, B or S, or category Zs.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0d, 0x1c...0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000: true
        default: false
        }
    }

    func adding(_ other: PythonString) -> PythonString {
        if isMarkup || other.isMarkup {
            let left = isMarkup ? self : escaped
            let right = other.isMarkup ? other : other.escaped
            return PythonString(utf8: left.utf8 + right.utf8, isMarkup: true)
        }
        return PythonString(utf8: utf8 + other.utf8, isASCII: isASCII && other.isASCII)
    }

    /// `markupsafe.escape`.
    var escaped: PythonString {
        if isMarkup { return self }
        var output: [UInt8] = []
        output.reserveCapacity(utf8.count)
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "&"): output += "&amp;".utf8
            case UInt8(ascii: "<"): output += "&lt;".utf8
            case UInt8(ascii: ">"): output += "&gt;".utf8
            case UInt8(ascii: "'"): output += "&#39;".utf8
            case UInt8(ascii: "\""): output += "&#34;".utf8
            default: output.append(byte)
            }
        }
        return PythonString(utf8: output, isASCII: isASCII, isMarkup: true)
    }

    func marked(_ isMarkup: Bool) -> PythonString { PythonString(utf8: utf8, isASCII: isASCII, isMarkup: isMarkup) }
}

extension [UInt8] {
    mutating func append(_ scalar: Unicode.Scalar) {
        if scalar.value < 0x80 {
            append(UInt8(scalar.value))
        } else {
            append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }
}

/// `str.strip` on UTF-8 bytes, for those who work with what a template gave.
package enum PythonText {
    package static func stripped(_ text: [UInt8]) -> [UInt8] { PythonString(validating: text).stripped(nil).utf8 }

    package static func strippedAtEnd(_ text: [UInt8]) -> [UInt8] {
        PythonString(validating: text).stripped(nil, left: false).utf8
    }
}
