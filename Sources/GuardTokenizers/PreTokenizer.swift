/// Cuts normalized text into the pieces that the model sees.
enum PreTokenizer: Sendable {
    /// The text is one piece (SentencePiece-style models).
    case whole
    /// One of the known split patterns, adjacent pieces, no copies.
    case scanner(PieceScanner)
    /// Anything else that `tokenizer.json` can say.
    case steps([Step])

    enum Step: Sendable {
        case scanner(PieceScanner)
        case split(Splitter, Behavior, inverted: Bool)
        /// ByteLevel's `add_prefix_space`.
        case prefixSpace
        case metaspace(prepends: Prepend, splits: Bool)
    }

    enum Splitter: Sendable {
        case literal([UInt8])
        case pattern(SplitPattern)
        /// Digits: each number character, or runs of them.
        case digits(individually: Bool)
    }

    enum Behavior: String, Sendable {
        case removed = "Removed"
        case isolated = "Isolated"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    enum Prepend: String, Sendable { case always, first, never }

    /// - Parameters:
    ///   - isFirst: whether this stretch begins where the whole text begins.
    ///   - body: gets each piece, none of them empty.
    @inline(__always)
    func forEachPiece(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, isFirst: Bool,
        _ body: (UnsafePointer<UInt8>, Int, Int) -> Void
    ) {
        switch self {
        case .whole: body(text, begin, end)
        case .scanner(let scanner):
            let classes = UnicodeClasses.shared
            var at = begin
            while at < end {
                let next = scanner.next(text, at, end, classes)
                body(text, at, next)
                at = next
            }
        case .steps(let steps):
            var pieces = [Array(UnsafeBufferPointer(start: text + begin, count: end - begin))]
            for (index, step) in steps.enumerated() {
                var next: [[UInt8]] = []
                for (position, piece) in pieces.enumerated() {
                    step.apply(piece, isFirst: isFirst && index == 0 && position == 0, &next)
                }
                pieces = next
            }
            for piece in pieces where !piece.isEmpty {
                piece.withUnsafeBufferPointer { buffer in
                    if let base = buffer.baseAddress { body(base, 0, buffer.count) }
                }
            }
        }
    }
}

extension PreTokenizer.Step {
    fileprivate func apply(_ text: [UInt8], isFirst: Bool, _ pieces: inout [[UInt8]]) {
        switch self {
        case .scanner(let scanner):
            text.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                var at = 0
                while at < buffer.count {
                    let next = scanner.next(base, at, buffer.count, .shared)
                    pieces.append(Array(buffer[at..<next]))
                    at = next
                }
            }
        case .prefixSpace:
            pieces.append(text.first == 0x20 || text.isEmpty ? text : [0x20] + text)
        case .metaspace(let prepends, let splits):
            let mapped = Normalizer(steps: [.metaspaceToSpace]).apply(text)
            let isPrepended = mapped.first != 0x20 && !mapped.isEmpty
            let prefixed =
                switch prepends {
                case .always where isPrepended: [0x20] + mapped
                case .first where isPrepended && isFirst: [0x20] + mapped
                default: mapped
                }
            if splits {
                PreTokenizer.Step.split(.literal([0x20]), .mergedWithNext, inverted: false)
                    .apply(prefixed, isFirst: isFirst, &pieces)
            } else {
                pieces.append(prefixed)
            }
        case .split(let splitter, let behavior, let inverted):
            let matches = splitter.matches(text)
            var parts: [(range: Range<Int>, isMatch: Bool)] = []
            var done = 0
            for match in matches {
                if done < match.lowerBound { parts.append((done..<match.lowerBound, inverted)) }
                parts.append((match, !inverted))
                done = match.upperBound
            }
            if done < text.count { parts.append((done..<text.count, inverted)) }
            for range in behavior.joined(parts) where !range.isEmpty { pieces.append(Array(text[range])) }
        }
    }
}

extension PreTokenizer.Behavior {
    /// Hugging Face's `SplitDelimiterBehavior`, step by step: merging looks at the neighbour only, so of two matches
    /// in a row the second stands alone.
    fileprivate func joined(_ parts: [(range: Range<Int>, isMatch: Bool)]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var wasMatch = false
        switch self {
        case .removed: return parts.filter { !$0.isMatch }.map(\.range)
        case .isolated: return parts.map(\.range)
        case .mergedWithPrevious:
            for part in parts {
                if part.isMatch, !wasMatch, let last = result.popLast() {
                    result.append(last.lowerBound..<part.range.upperBound)
                } else {
                    result.append(part.range)
                }
                wasMatch = part.isMatch
            }
            return result
        case .mergedWithNext:
            for part in parts.reversed() {
                if part.isMatch, !wasMatch, let last = result.popLast() {
                    result.append(part.range.lowerBound..<last.upperBound)
                } else {
                    result.append(part.range)
                }
                wasMatch = part.isMatch
            }
            return result.reversed()
        case .contiguous:
            for part in parts {
                if part.isMatch == wasMatch, let last = result.popLast() {
                    result.append(last.lowerBound..<part.range.upperBound)
                } else {
                    result.append(part.range)
                }
                wasMatch = part.isMatch
            }
            return result
        }
    }
}

extension PreTokenizer.Splitter {
    /// Byte ranges of the matches, in order.
    fileprivate func matches(_ text: [UInt8]) -> [Range<Int>] {
        switch self {
        case .pattern(let pattern): return pattern.matches(text)
        case .literal(let literal):
            guard !literal.isEmpty else { return [] }
            var ranges: [Range<Int>] = []
            var at = 0
            while at + literal.count <= text.count {
                if literal.indices.allSatisfy({ text[at + $0] == literal[$0] }) {
                    ranges.append(at..<at + literal.count)
                    at += literal.count
                } else {
                    at += 1
                }
            }
            return ranges
        case .digits(let individually):
            var ranges: [Range<Int>] = []
            text.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                var at = 0
                while at < buffer.count {
                    let (kind, length) = UnicodeClasses.shared.character(base, at, buffer.count)
                    if kind & UnicodeClasses.number != 0 {
                        if !individually, let last = ranges.last, last.upperBound == at {
                            ranges[ranges.count - 1] = last.lowerBound..<at + length
                        } else {
                            ranges.append(at..<at + length)
                        }
                    }
                    at += length
                }
            }
            return ranges
        }
    }
}
