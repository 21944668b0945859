package import GuardCore

/// Unescapes the content of a string that the reader has already found well-formed.
enum JSONStringDecoder {
    /// - Parameter content: byte range between the quotes.
    static func decode(_ bytes: UnsafeBufferPointer<UInt8>, _ content: ByteRange) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(content.count)
        var at = content.lowerBound
        while at < content.upperBound {
            var plain = at
            while plain < content.upperBound && bytes[plain] != UInt8(ascii: "\\") { plain += 1 }
            text.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[at..<plain]))
            at = plain
            if at < content.upperBound { at += appendEscape(bytes, at, content.upperBound, &text) }
        }
        return text
    }

    /// Appends what the escape at `at` means.
    /// - Returns: length of the escape in bytes, both halves of a surrogate pair included; never 0.
    static func appendEscape(
        _ bytes: UnsafeBufferPointer<UInt8>, _ at: Int, _ end: Int, _ text: inout [UInt8]
    ) -> Int {
        guard at + 1 < end else {
            text.append(bytes[at])
            return 1
        }
        switch bytes[at + 1] {
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            guard var value = unit(bytes, at + 2, end) else { break }
            var length = 6
            if value >= 0xD800 && value < 0xDC00, let low = unit(bytes, at + 8, end), low >= 0xDC00 && low < 0xE000 {
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
                length = 12
            }
            appendScalar(value, &text)
            return length
        case let byte: text.append(byte)
        }
        return 2
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func unit(_ bytes: UnsafeBufferPointer<UInt8>, _ from: Int, _ end: Int) -> UInt32? {
        guard from + 4 <= end else { return nil }
        var value: UInt32 = 0
        for index in from..<from + 4 {
            guard let digit = hexDigit(bytes[index]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    private static func appendScalar(_ value: UInt32, _ text: inout [UInt8]) {
        text.append(contentsOf: UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter)
    }
}

/// Leads offsets of a string's decoded text to the bytes of the body and back.
///
/// Outside escapes text and body run in step, so only the escapes are kept, in order. Ranges widen to whole scalars,
/// whole escapes and whole surrogate pairs: half of one cannot be edited.
package struct JSONStringMap: Sendable {
    /// The decoded text, UTF-8.
    package let text: [UInt8]
    /// Byte range of the content in the body, between the quotes.
    package let content: ByteRange
    private let escapes: [Escape]

    private struct Escape: Sendable {
        /// Offsets of its start.
        var text: UInt32
        var body: UInt32
        /// Lengths in bytes: 1...4 and 2, 6 or 12.
        var textCount: UInt8
        var bodyCount: UInt8
    }

    /// - Parameters:
    ///   - body: a text that was read as JSON.
    ///   - content: where the string's content stands in it, between the quotes (`JSONNode.contentRange`).
    package init(body: [UInt8], content: ByteRange) {
        let content = content.clamped(to: 0..<body.count)
        var text: [UInt8] = []
        var escapes: [Escape] = []
        text.reserveCapacity(content.count)
        body.withUnsafeBufferPointer { bytes in
            var at = content.lowerBound
            while at < content.upperBound {
                var plain = at
                while plain < content.upperBound && bytes[plain] != UInt8(ascii: "\\") { plain += 1 }
                text.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[at..<plain]))
                at = plain
                guard at < content.upperBound else { break }
                let start = text.count
                let length = JSONStringDecoder.appendEscape(bytes, at, content.upperBound, &text)
                escapes.append(
                    Escape(
                        text: UInt32(truncatingIfNeeded: start), body: UInt32(truncatingIfNeeded: at),
                        textCount: UInt8(truncatingIfNeeded: text.count - start),
                        bodyCount: UInt8(truncatingIfNeeded: length)))
                at += length
            }
        }
        self.text = text
        self.content = content
        self.escapes = escapes
    }

    package init(_ node: JSONNode) {
        self.init(body: node.storage.bytes, content: node.contentRange)
    }

    /// Byte range in the body that means the text's `range`, widened to whole scalars and escapes. An empty range
    /// stays empty: the place to insert at (before an escape that it falls into).
    package func bodyRange(of range: ByteRange) -> ByteRange {
        let range = range.clamped(to: 0..<text.count)
        let lower = bodyOffset(scalarStart(range.lowerBound), roundingUp: false)
        if range.isEmpty { return lower..<lower }
        return lower..<max(lower, bodyOffset(scalarEnd(range.upperBound), roundingUp: true))
    }

    /// Byte range in the text that the body's `range` means, widened to whole scalars and escapes.
    package func textRange(of range: ByteRange) -> ByteRange {
        let range = range.clamped(to: content)
        let lower = scalarStart(textOffset(range.lowerBound, roundingUp: false))
        if range.isEmpty { return lower..<lower }
        return lower..<max(lower, scalarEnd(textOffset(range.upperBound, roundingUp: true)))
    }

    private func scalarStart(_ offset: Int) -> Int {
        var at = offset
        while at > 0, at < text.count, text[at] & 0xC0 == 0x80 { at -= 1 }
        return at
    }

    private func scalarEnd(_ offset: Int) -> Int {
        var at = offset
        while at < text.count, text[at] & 0xC0 == 0x80 { at += 1 }
        return at
    }

    private func bodyOffset(_ offset: Int, roundingUp: Bool) -> Int {
        guard let last = lastEscape(where: { Int($0.text) < offset }) else { return content.lowerBound + offset }
        let into = offset - Int(last.text)
        if into >= Int(last.textCount) { return Int(last.body) + Int(last.bodyCount) + into - Int(last.textCount) }
        return Int(last.body) + (roundingUp ? Int(last.bodyCount) : 0)
    }

    private func textOffset(_ offset: Int, roundingUp: Bool) -> Int {
        guard let last = lastEscape(where: { Int($0.body) < offset }) else { return offset - content.lowerBound }
        let into = offset - Int(last.body)
        if into >= Int(last.bodyCount) { return Int(last.text) + Int(last.textCount) + into - Int(last.bodyCount) }
        return Int(last.text) + (roundingUp ? Int(last.textCount) : 0)
    }

    private func lastEscape(where isBefore: (Escape) -> Bool) -> Escape? {
        var low = 0
        var high = escapes.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(escapes[middle]) { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? escapes[low - 1] : nil
    }
}
