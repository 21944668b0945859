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

    /// The next source byte is read as another one.
    mutating func change(to byte: UInt8) {
        if runs.last?.linear != true { runs.append(Run(out: text.count, source: sourceCount, linear: true)) }
        text.append(byte)
        sourceCount += 1
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

/// The readings of the `decoded` view: the folded text, and what is left when what is encoded or disguised in it is read
/// as what it stands for, in place, up to two levels deep. Each reading is folded, as the `folded` view is.
/// `docs/rules.md` lists what is taken as encoded.
package enum DecodedView {
    /// Readings of one text beside the folded one, at most.
    package static let readingsMax = 24
    /// Bytes of all readings together, at most, as a multiple of the text's.
    private static let bytesFactor = 16

    /// One reading; `rawRange` leads its bytes back to the text.
    package struct Reading: Sendable {
        /// Folded.
        package let text: [UInt8]
        fileprivate let steps: [Step]
        /// What made it of the reading before.
        fileprivate let kind: Kind?

        /// Shows only words in disguise: leet, signs in place of spaces, letters of each word backwards.
        var isOfWords: Bool { kind == .leet || kind == .words || kind == .wordsBackwards }

        /// In another alphabet or order.
        var isTurned: Bool { kind == .alphabet || kind == .backwards || kind == .wordsBackwards }

        package func rawRange(of range: ByteRange) -> ByteRange {
            var range = range
            for step in steps.reversed() {
                switch step {
                case .folded(let view): range = view.rawRange(of: range)
                case .derived(let text): range = text.sourceRange(of: range)
                case .turned(let count): range = (count - range.upperBound)..<(count - range.lowerBound)
                }
            }
            return range
        }
    }

    fileprivate enum Step: Sendable {
        case folded(FoldedView)
        case derived(DerivedText)
        /// Backwards by scalars, of so many bytes.
        case turned(Int)
    }

    fileprivate enum Kind: Sendable {
        case hidden, encoded, spaced, broken, words, leet, alphabet, backwards, wordsBackwards
    }

    /// The folded text first.
    package static func readings(of raw: Span<UInt8>) -> [Reading] {
        let folded = FoldedView(raw: raw)
        return [first(folded)] + further(than: folded, of: raw)
    }

    /// The folded text as a reading.
    static func first(_ folded: FoldedView) -> Reading {
        Reading(text: folded.text, steps: [.folded(folded)], kind: nil)
    }

    /// All but the folded text itself.
    package static func further(than folded: FoldedView, of raw: Span<UInt8>) -> [Reading] {
        var found: [Reading] = []
        var bytes = 0
        func add(_ reading: Reading) {
            guard found.count < readingsMax, bytes + reading.text.count <= raw.count * bytesFactor + 4096,
                reading.text != folded.text, !found.contains(where: { $0.text == reading.text })
            else { return }
            bytes += reading.text.count
            found.append(reading)
        }
        let base = Reading(text: folded.text, steps: [.folded(folded)], kind: nil)
        if let hidden = TextDecoder.hidden(raw) {
            add(reading(of: hidden, .hidden, Reading(text: [], steps: [], kind: nil)))
            if let inner = TextDecoder.hidden(hidden.text.span) {
                add(reading(of: inner, .hidden, Reading(text: [], steps: [.derived(hidden)], kind: nil)))
            }
        }
        if let spaced = TextDecoder.spaced(raw) {
            add(reading(of: spaced, .words, Reading(text: [], steps: [], kind: nil)))
        }
        if let upright = TextDecoder.upright(raw) {
            let steps: [Step] = [.derived(upright), .turned(upright.text.count)]
            add(
                Reading(
                    text: FoldedView(raw: TextDecoder.backwards(upright.text.span)).text, steps: steps, kind: .backwards
                ))
        }
        expand(base, add)
        // What was found so far may itself be encoded, but no words in disguise; of what that gives nothing is read again.
        for index in found.indices where !found[index].isOfWords { expand(found[index], add) }
        return found
    }

    private static func expand(_ source: Reading, _ add: (Reading) -> Void) {
        let text = source.text.span
        if let decoded = TextDecoder.decode(text) {
            addDecoded(decoded.text, source, add)
            if decoded.isAmbiguous, let other = TextDecoder.decode(text, isSecond: true) {
                addDecoded(other.text, source, add)
            }
        }
        // Who turns letters or their order does not also disguise words.
        let isTurned = source.kind == .alphabet || source.kind == .backwards
        if !isTurned {
            if source.kind != .spaced, let joined = TextDecoder.join(text) { add(reading(of: joined, .spaced, source)) }
            if source.kind != .broken, let joined = TextDecoder.joinLines(text) {
                add(reading(of: joined, .broken, source))
            }
            if source.kind != .spaced, let words = TextDecoder.words(text) { add(reading(of: words, .words, source)) }
            for letters in TextDecoder.leet(text) { add(reading(of: letters, .leet, source)) }
        }
        turn(source, isTurned, add)
    }

    /// Other alphabets and directions.
    private static func turn(_ source: Reading, _ isTurned: Bool, _ add: (Reading) -> Void) {
        let text = source.text.span
        let statistics = LetterStatistics.shared
        let suspicion = statistics.suspicion(text)
        if suspicion.isShifted, source.kind != .alphabet {
            let best = statistics.alphabets(text)
            // 13 in any case: what has no words, a key say, looks like no language whichever way it is turned.
            for alphabet in source.kind == nil ? [13] + best.filter({ $0 != 13 }) : best {
                add(reading(of: TextDecoder.turn(text, alphabet: alphabet), .alphabet, source))
            }
            if !isTurned, source.kind != .spaced {
                if let turned = TextDecoder.turnDigits(text) { add(reading(of: turned, .alphabet, source)) }
                if let turned = TextDecoder.turnSigns(text) { add(reading(of: turned, .alphabet, source)) }
            }
        }
        if suspicion.isReversed || suspicion.isShifted && source.kind == nil, source.kind != .backwards {
            var turned = source.steps
            turned.append(.turned(source.text.count))
            add(Reading(text: TextDecoder.backwards(text), steps: turned, kind: .backwards))
            if suspicion.isReversed, !isTurned {
                add(reading(of: TextDecoder.wordsBackwards(text), .wordsBackwards, source))
            }
        }
    }

    /// What was decoded, and what is hidden in it, which its fold would drop.
    private static func addDecoded(_ derived: DerivedText, _ source: Reading, _ add: (Reading) -> Void) {
        add(reading(of: derived, .encoded, source))
        guard let hidden = TextDecoder.hidden(derived.text.span) else { return }
        add(reading(of: hidden, .hidden, Reading(text: [], steps: source.steps + [.derived(derived)], kind: nil)))
    }

    private static func reading(of derived: DerivedText, _ kind: Kind, _ source: Reading) -> Reading {
        let isASCII = derived.text.allSatisfy { $0 < 0x80 }
        if isASCII { return Reading(text: derived.text, steps: source.steps + [.derived(derived)], kind: kind) }
        let folded = FoldedView(raw: derived.text)
        return Reading(text: folded.text, steps: source.steps + [.derived(derived), .folded(folded)], kind: kind)
    }
}
