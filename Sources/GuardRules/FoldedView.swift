package import GuardCore

/// The `folded` reading of a text: each scalar NFKD-normalised and, beyond ASCII, case folded; default-ignorables, bidi
/// controls, tag characters and marks dropped, look-alikes of ASCII mapped to it, with a map back to the raw bytes. ASCII
/// letters keep their case: patterns of the view are caseless unless they say otherwise.
///
/// What a scalar becomes depends on it alone, or for the marks of a script also on what the view ends with; so `append`
/// in any pieces gives the same view as the whole text at once, and only an incomplete UTF-8 sequence at the end waits.
/// ASCII costs one copy; no map is kept until the first scalar that changes length.
package struct FoldedView: Sendable {
    /// Valid UTF-8, each scalar of it a fixed point of the fold.
    package private(set) var text: [UInt8] = []
    /// Raw bytes that `text` covers. Less than what was appended while a UTF-8 sequence is incomplete.
    package private(set) var rawCount = 0
    /// Where the map changes, ascending. Before the first run, and inside a linear one, offsets advance together.
    private var runs: [Run] = []
    /// The incomplete sequence at the end, at most three bytes.
    private var pending: [UInt8] = []
    /// What the view ended with when its text was taken away.
    private var before: UInt32 = 0

    private struct Run: Sendable {
        var folded: Int
        var raw: Int
        /// Scalars that keep their length. Otherwise the folded bytes up to the next run all stand for the raw bytes up
        /// to the next run: one scalar that changed its length, or scalars that were dropped.
        var linear: Bool
    }

    package init() {}

    package init(raw: Span<UInt8>) {
        append(raw)
        finish()
    }

    package init(raw: [UInt8]) { self.init(raw: raw.span) }

    /// - Parameter keepingPlace: more of the same text follows.
    package mutating func removeAll(keepingPlace: Bool = false) {
        before = keepingPlace ? lastScalar : 0
        text.removeAll(keepingCapacity: true)
        runs.removeAll(keepingCapacity: true)
        pending.removeAll(keepingCapacity: true)
        rawCount = 0
    }

    /// Appends raw UTF-8. Bytes that are no UTF-8 become U+FFFD each.
    package mutating func append(_ raw: Span<UInt8>) {
        raw.withUnsafeBufferPointer { append(buffer: $0) }
    }

    /// No more text follows: an incomplete sequence becomes U+FFFD per byte.
    package mutating func finish() {
        for _ in pending { appendReplacement() }
        pending.removeAll(keepingCapacity: true)
    }

    private mutating func append(buffer: UnsafeBufferPointer<UInt8>) {
        var index = 0
        // Finish the sequence that an earlier piece began: three more bytes are always enough.
        while !pending.isEmpty, index < buffer.count {
            pending.append(buffer[index])
            index += 1
            let joined = pending
            pending.removeAll(keepingCapacity: true)
            joined.withUnsafeBufferPointer { decode($0) }
        }
        guard index < buffer.count else { return }
        decode(UnsafeBufferPointer(rebasing: buffer[index...]))
    }

    private mutating func decode(_ buffer: UnsafeBufferPointer<UInt8>) {
        let table = FoldTable.shared
        var index = 0
        while index < buffer.count {
            let run = asciiPrefix(buffer, from: index)
            if run > 0 {
                appendASCII(UnsafeBufferPointer(rebasing: buffer[index..<(index + run)]))
                index += run
                continue
            }
            let (scalar, length) = Self.scalar(buffer, at: index)
            switch length {
            case 0:
                pending.append(contentsOf: buffer[index...])
                return
            case -1:
                appendReplacement()
                index += 1
            default:
                appendScalar(scalar, table, buffer, index, length)
                index += length
            }
        }
    }

    private func asciiPrefix(_ buffer: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var index = start
        while index + 8 <= buffer.count {
            let word = UnsafeRawPointer(buffer.baseAddress.unsafelyUnwrapped)
                .loadUnaligned(fromByteOffset: index, as: UInt64.self)
            if word & 0x8080_8080_8080_8080 != 0 { break }
            index += 8
        }
        while index < buffer.count, buffer[index] < 0x80 { index += 1 }
        return index - start
    }

    private mutating func appendASCII(_ run: UnsafeBufferPointer<UInt8>) {
        beginLinear()
        text.append(contentsOf: run)
        rawCount += run.count
    }

    private mutating func appendScalar(
        _ scalar: UInt32, _ table: FoldTable, _ buffer: UnsafeBufferPointer<UInt8>, _ index: Int, _ length: Int
    ) {
        let entry = table.entry(scalar)
        if entry >= FoldTable.mark, entry == FoldTable.keep || lastScalar >> 8 == scalar >> 8 {
            beginLinear()
            for offset in 0..<length { text.append(buffer[index + offset]) }
        } else if entry == FoldTable.mark {
            runs.append(Run(folded: text.count, raw: rawCount, linear: false))
        } else {
            runs.append(Run(folded: text.count, raw: rawCount, linear: false))
            table.append(entry, to: &text)
        }
        rawCount += length
    }

    /// What the view ends with; 0 for nothing.
    private var lastScalar: UInt32 {
        guard let last = text.last else { return before }
        if last < 0x80 { return UInt32(last) }
        var value: UInt32 = 0
        var shift: UInt32 = 0
        for byte in text.suffix(4).reversed() {
            if byte & 0xC0 != 0x80 { return value | UInt32(byte & (0xFF >> UInt8(shift / 6 + 2))) << shift }
            value |= UInt32(byte & 0x3F) << shift
            shift += 6
        }
        return value
    }

    private mutating func appendReplacement() {
        runs.append(Run(folded: text.count, raw: rawCount, linear: false))
        text.append(contentsOf: [0xEF, 0xBF, 0xBD])
        rawCount += 1
    }

    private mutating func beginLinear() {
        if let last = runs.last, !last.linear {
            runs.append(Run(folded: text.count, raw: rawCount, linear: true))
        }
    }

    /// The scalar at `index`; length 0: incomplete at the end of the buffer, -1: no UTF-8.
    static func scalar(_ buffer: UnsafeBufferPointer<UInt8>, at index: Int) -> (UInt32, Int) {
        let first = buffer[index]
        let length: Int
        var value: UInt32
        var low: UInt8 = 0x80
        var high: UInt8 = 0xBF
        switch first {
        case 0..<0x80: return (UInt32(first), 1)
        case 0xC2...0xDF: (length, value) = (2, UInt32(first & 0x1F))
        case 0xE0...0xEF:
            (length, value) = (3, UInt32(first & 0x0F))
            if first == 0xE0 { low = 0xA0 }
            if first == 0xED { high = 0x9F }
        case 0xF0...0xF4:
            (length, value) = (4, UInt32(first & 0x07))
            if first == 0xF0 { low = 0x90 }
            if first == 0xF4 { high = 0x8F }
        default: return (0, -1)
        }
        for offset in 1..<length {
            guard index + offset < buffer.count else { return (0, 0) }
            let byte = buffer[index + offset]
            guard byte >= low, byte <= high else { return (0, -1) }
            (low, high) = (0x80, 0xBF)
            value = value << 6 | UInt32(byte & 0x3F)
        }
        return (value, length)
    }

    // MARK: the map

    /// Raw bytes that a range of `text` stands for, widened to whole scalars, dropped scalars inside included. An
    /// empty range gives an empty range at the scalar's start.
    package func rawRange(of range: ByteRange) -> ByteRange {
        let start = rawStart(of: range.lowerBound)
        guard range.upperBound > range.lowerBound else { return start..<start }
        return start..<max(start, rawEnd(of: range.upperBound))
    }

    /// Raw offset of the scalar that folded offset `folded` lies in; `rawCount` at the end of `text`.
    package func rawStart(of folded: Int) -> Int {
        guard folded < text.count else { return rawCount }
        guard let run = lastRun(atOrBefore: folded) else { return folded }
        return runs[run].linear ? runs[run].raw + (folded - runs[run].folded) : runs[run].raw
    }

    /// Raw offset behind the scalar that folded byte `folded - 1` lies in; 0 for 0.
    package func rawEnd(of folded: Int) -> Int {
        guard folded > 0 else { return 0 }
        guard let run = lastRun(atOrBefore: folded - 1) else { return folded }
        if runs[run].linear { return runs[run].raw + (folded - runs[run].folded) }
        return run + 1 < runs.count ? runs[run + 1].raw : rawCount
    }

    /// Folded offset of the first scalar that begins at or behind raw offset `raw` (`text.count` where none does).
    package func foldedOffset(ofRaw raw: Int) -> Int {
        guard raw < rawCount else { return text.count }
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].raw <= raw { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return raw }
        let run = runs[low - 1]
        if run.linear { return run.folded + (raw - run.raw) }
        if raw == run.raw { return run.folded }
        return low < runs.count ? runs[low].folded : text.count
    }

    /// The last run that begins at or before `folded`. Of runs that begin at the same offset (dropped scalars have no
    /// folded byte) the last one holds the byte.
    private func lastRun(atOrBefore folded: Int) -> Int? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].folded <= folded { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? low - 1 : nil
    }
}
