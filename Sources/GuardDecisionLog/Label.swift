/// A short name in a record: a model, a tenant, a route, a code. Not a place for text.
///
/// Records are content-free by construction: every string of a record is a `Label`, and a label holds at most
/// `bytesMax` bytes without white space or control characters, so that prose cannot pass through one unnoticed.
package struct Label: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    package static let bytesMax = 256

    package let name: String

    /// White space and control characters become `_`; what is longer than `bytesMax` is cut at a scalar and ends in `…`.
    package init(_ text: some StringProtocol) { self.init(String(text)) }

    package init(_ text: String) {
        // Nearly all labels are short and plain already.
        var text = text
        if text.utf8.count <= Self.bytesMax, text.withUTF8({ $0.allSatisfy { $0 > 0x20 && $0 < 0x7F } }) {
            name = text
            return
        }
        var name = ""
        var bytes = 0
        for scalar in text.unicodeScalars {
            let kept: Unicode.Scalar = Self.isPlain(scalar) ? scalar : "_"
            bytes += UTF8.width(kept)
            if bytes > Self.bytesMax {
                name.unicodeScalars.append("…")
                break
            }
            name.unicodeScalars.append(kept)
        }
        self.name = name
    }

    package init(stringLiteral value: String) { self.init(value) }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x80 { return scalar.value > 0x20 && scalar.value != 0x7f }
        let properties = scalar.properties
        return !properties.isWhitespace && !properties.isDefaultIgnorableCodePoint
            && properties.generalCategory != .control && properties.generalCategory != .format
    }

    package var description: String { name }
}
