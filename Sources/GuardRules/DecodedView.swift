package import GuardCore

/// A text made from another one, with the way back: offsets advance together in linear runs, and all bytes of another
/// run stand for all source bytes of that run.
package struct DerivedText: Sendable {
    package private(set) var text: [UInt8] = []
    private var runs: [Run] = []
    private var sourceCount = 0

    private struct Run: Sendable {
        var out: Int
        var source: Int
        var linear: Bool
    }

    /// Source bytes that stay as they are.
    mutating func keep(_ bytes: Span<UInt8>, _ range: ByteRange) {
        guard !range.isEmpty else { return }
        if runs.last?.linear != true { runs.append(Run(out: text.count, source: sourceCount, linear: true)) }
        for index in range { text.append(bytes[index]) }
        sourceCount += range.count
    }

    /// `bytes` stand for the next `source` source bytes.
    mutating func replace(_ source: Int, by bytes: some Collection<UInt8>) {
        runs.append(Run(out: text.count, source: sourceCount, linear: false))
        text.append(contentsOf: bytes)
        sourceCount += source
    }

    /// The source bytes that a range of `text` stands for; widened to whole encoded spans.
    package func sourceRange(of range: ByteRange) -> ByteRange {
        guard !range.isEmpty, let first = run(at: range.lowerBound), let last = run(at: range.upperBound - 1) else {
            return sourceCount..<sourceCount
        }
        let start = runs[first].source + (runs[first].linear ? range.lowerBound - runs[first].out : 0)
        let end: Int
        if runs[last].linear {
            end = runs[last].source + (range.upperBound - runs[last].out)
        } else {
            end = last + 1 < runs.count ? runs[last + 1].source : sourceCount
        }
        return start..<max(start, end)
    }

    /// The last run that begins at or before `offset`: of runs that decoded to nothing the one behind holds the byte.
    private func run(at offset: Int) -> Int? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].out <= offset { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? low - 1 : nil
    }
}

/// The readings of the `decoded` view: the text itself, and what is left when encoded spans in it are decoded in place,
/// up to two levels deep. Each reading is folded, as the `folded` view is.
///
/// | span | is taken as encoded if |
/// |---|---|
/// | base64, standard and URL alphabet, with or without padding | 16 or more letters that decode to printable UTF-8 |
/// | hexadecimal | 16 or more digits, an even number, that decode to printable UTF-8 |
/// | `%41` | bytes of a run are UTF-8 |
/// | `&#65; &#x41; &lt;` … | the entity is closed and known |
/// | `\u0041 \u{41} \U00000041 \x41` | surrogates are paired, bytes of a `\x` run are UTF-8 |
/// | tag characters U+E0020–E007E | always: ASCII that no one sees |
/// | two or more variation selectors | the bytes that they stand for (VS1 = 0 …) are printable UTF-8 |
/// | rot13 | the whole text, as a reading of its own |
/// | `i g n o r e`, `s.t.o.p` | three or more letters that stand alone, the same character between them |
/// | combining marks over ASCII letters | always |
/// | `1gn0r3`, `p4$$word` | a word with at least as many letters as digits and signs |
///
/// Readings: the text, decoded, decoded twice, rot13, rot13 of the decoded text, decoded rot13, letters joined, leet read
/// as letters, both. None is longer than the text, so the cost is bounded by its length.
package enum DecodedView {
    /// One reading; `rawRange` leads its bytes back to the text.
    package struct Reading: Sendable {
        fileprivate let steps: [DerivedText]
        fileprivate let folded: FoldedView

        fileprivate init(_ text: Span<UInt8>, steps: [DerivedText]) {
            self.steps = steps
            folded = FoldedView(raw: text)
        }

        /// Folded.
        package var text: [UInt8] { folded.text }

        package func rawRange(of range: ByteRange) -> ByteRange {
            var range = folded.rawRange(of: range)
            for step in steps.reversed() { range = step.sourceRange(of: range) }
            return range
        }
    }

    /// Readings of one text, at most.
    package static let readingsMax = 9

    package static func readings(of raw: Span<UInt8>) -> [Reading] {
        var readings = [Reading(raw, steps: [])]
        func add(_ steps: [DerivedText]) {
            guard let last = steps.last else { return }
            readings.append(Reading(last.text.span, steps: steps))
        }
        if let once = TextDecoder.decode(raw) {
            add([once])
            if let twice = TextDecoder.decode(once.text.span) { add([once, twice]) }
            if let rotated = TextDecoder.rot13(once.text.span) { add([once, rotated]) }
        }
        if let joined = TextDecoder.join(raw) {
            add([joined])
            if let letters = TextDecoder.leet(joined.text.span) { add([joined, letters]) }
        }
        if let letters = TextDecoder.leet(raw) { add([letters]) }
        if let rotated = TextDecoder.rot13(raw) {
            add([rotated])
            if let decoded = TextDecoder.decode(rotated.text.span) { add([rotated, decoded]) }
        }
        return readings
    }
}
