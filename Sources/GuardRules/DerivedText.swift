package import GuardCore

/// A text made from another one, with the way back: offsets advance together in linear runs, and all bytes of another
/// run stand for all source bytes of that run.
package struct DerivedText: Sendable {
    package private(set) var text: [UInt8] = []
    /// Ranges of `text` that differ from the source, ascending and apart; empty ones where something was taken away.
    package private(set) var changes: [ByteRange] = []
    /// Put in was ASCII only, and nothing else stands right behind: of a folded source this is a folded text.
    private(set) var isFolded = true
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
        if text.isEmpty { text.reserveCapacity(bytes.count + bytes.count / 8) }
        if bytes[range.lowerBound] >= 0x80, !text.isEmpty { isFolded = false }
        bytes.extracting(range).withUnsafeBufferPointer { text.append(contentsOf: $0) }
        sourceCount += range.count
    }

    /// The next source byte is read as another one.
    mutating func change(to byte: UInt8) {
        if runs.last?.linear != true { runs.append(Run(out: text.count, source: sourceCount, linear: true)) }
        if byte >= 0x80 { isFolded = false }
        text.append(byte)
        noteChange(text.count - 1)
        sourceCount += 1
    }

    /// `bytes` stand for the next `source` source bytes.
    mutating func replace(_ source: Int, by bytes: some Collection<UInt8>) {
        runs.append(Run(out: text.count, source: sourceCount, linear: false))
        let start = text.count
        for byte in bytes {
            if byte >= 0x80 { isFolded = false }
            text.append(byte)
        }
        noteChange(start)
        sourceCount += source
    }

    private mutating func noteChange(_ start: Int) {
        if let last = changes.indices.last, changes[last].upperBound == start {
            changes[last] = changes[last].lowerBound..<text.count
        } else {
            changes.append(start..<text.count)
        }
    }

    /// What was made of the next source bytes.
    mutating func append(_ part: DerivedText) {
        for run in part.runs {
            runs.append(Run(out: run.out + text.count, source: run.source + sourceCount, linear: run.linear))
        }
        for change in part.changes {
            let change = change.lowerBound + text.count..<change.upperBound + text.count
            if let last = changes.last, last.upperBound == change.lowerBound {
                changes[changes.count - 1] = last.lowerBound..<change.upperBound
            } else {
                changes.append(change)
            }
        }
        if let first = part.text.first, first >= 0x80, !text.isEmpty { isFolded = false }
        isFolded = isFolded && part.isFolded
        text.append(contentsOf: part.text)
        sourceCount += part.sourceCount
    }

    /// - Parameter changes: those that count.
    mutating func keepChanges(_ changes: [ByteRange]) { self.changes = changes }

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

    /// The bytes of `text` that stand for a range of the source, whole encoded spans; empty where they were taken away.
    func range(ofSource range: ByteRange) -> ByteRange {
        func place(_ source: Int, isEnd: Bool) -> Int {
            var low = 0
            var high = runs.count
            while low < high {
                let middle = (low + high) / 2
                if runs[middle].source <= source { low = middle + 1 } else { high = middle }
            }
            guard low > 0 else { return 0 }
            let run = runs[low - 1]
            if run.linear { return min(run.out + (source - run.source), text.count) }
            if source == run.source, isEnd { return run.out }
            return isEnd ? (low < runs.count ? runs[low].out : text.count) : run.out
        }
        let start = place(range.lowerBound, isEnd: false)
        return start..<max(start, range.isEmpty ? start : place(range.upperBound, isEnd: true))
    }
}
