package import GuardCore

/// Replaces a byte range of a body; everything else stays as it came.
package struct JSONEdit: Sendable, Hashable {
    /// In the original body. Empty: an insertion.
    package var range: ByteRange
    package var replacement: [UInt8]

    package init(range: ByteRange, replacement: [UInt8]) {
        self.range = range
        self.replacement = replacement
    }

    /// The body with all edits done. Ranges refer to `body` as given and may come in any order; insertions at one
    /// place are kept in the given order. Edits that overlap act as one over their union with the replacement of the
    /// earliest, so that no byte of what was to be replaced survives.
    package static func applying(_ edits: [JSONEdit], to body: [UInt8]) -> [UInt8] {
        if edits.isEmpty { return body }
        // `sorted` is stable in fact but not by contract, hence the index.
        let ordered = edits.enumerated().sorted {
            ($0.element.range.lowerBound, $0.element.range.upperBound, $0.offset)
                < ($1.element.range.lowerBound, $1.element.range.upperBound, $1.offset)
        }
        var result: [UInt8] = []
        result.reserveCapacity(body.count + edits.reduce(0) { $0 + $1.replacement.count })
        var copied = 0
        for (_, edit) in ordered {
            let range = edit.range.clamped(to: 0..<body.count)
            if range.lowerBound < copied {
                copied = max(copied, range.upperBound)
                continue
            }
            result.append(contentsOf: body[copied..<range.lowerBound])
            result.append(contentsOf: edit.replacement)
            copied = range.upperBound
        }
        result.append(contentsOf: body[copied...])
        return result
    }
}
