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
        /// Whitespace: runs of word characters, runs of others, without the white space between.
        case words
        /// UnicodeScripts: at changes of the script; Han and kana are one.
        case scripts
        /// FixedLength: so many characters each.
        case characters(Int)
    }

    enum Splitter: Sendable {
        case literal([UInt8])
        case pattern(SplitPattern)
        /// Digits: each number character, or runs of them.
        case digits(individually: Bool)
        /// Each white space character.
        case whiteSpace
        /// Each punctuation character.
        case punctuation
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
        case .steps:
            let text = Array(UnsafeBufferPointer(start: text + begin, count: end - begin))
            for piece in pieces(AlignedText(text, isFirst: isFirst)) {
                piece.bytes.withUnsafeBufferPointer { buffer in
                    if let base = buffer.baseAddress { body(base, 0, buffer.count) }
                }
            }
        }
    }

    /// The pieces with the places that they came from, none of them empty.
    func pieces(_ text: AlignedText) -> [AlignedText] {
        switch self {
        case .whole: return text.count == 0 ? [] : [text]
        case .scanner(let scanner): return pieces([.scanner(scanner)], text)
        case .steps(let steps): return pieces(steps, text)
        }
    }

    private func pieces(_ steps: [Step], _ text: AlignedText) -> [AlignedText] {
        var pieces = [text]
        for step in steps {
            var next: [AlignedText] = []
            for piece in pieces where piece.count > 0 { step.apply(piece, &next) }
            pieces = next
        }
        return pieces.filter { $0.count > 0 }
    }
}

extension PreTokenizer.Step {
    fileprivate func apply(_ text: AlignedText, _ pieces: inout [AlignedText]) {
        switch self {
        case .scanner(let scanner):
            text.bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                var at = 0
                while at < buffer.count {
                    let next = scanner.next(base, at, buffer.count, .shared)
                    pieces.append(text.slice(at..<next))
                    at = next
                }
            }
        case .prefixSpace: pieces.append(text.bytes.first == 0x20 ? text : Self.prefixed(text))
        case .metaspace(let prepends, let splits):
            let mapped = Normalizer(steps: [.metaspaceToSpace]).apply(text)
            let isPrepended = mapped.bytes.first != 0x20 && (prepends == .always || prepends == .first && text.isFirst)
            let prefixed = isPrepended ? Self.prefixed(mapped) : mapped
            if splits {
                Self.split(.literal([0x20]), .mergedWithNext, inverted: false).apply(prefixed, &pieces)
            } else {
                pieces.append(prefixed)
            }
        case .split(let splitter, let behavior, let inverted):
            var parts: [(range: Range<Int>, isMatch: Bool)] = []
            var done = 0
            for match in splitter.matches(text.bytes) {
                if done < match.lowerBound { parts.append((done..<match.lowerBound, inverted)) }
                parts.append((match, !inverted))
                done = match.upperBound
            }
            if done < text.count { parts.append((done..<text.count, inverted)) }
            for range in behavior.joined(parts) where !range.isEmpty { pieces.append(text.slice(range)) }
        case .words:
            let classes = UnicodeClasses.shared
            cut(text, &pieces) { scalar in
                let kind = scalar < 0x110000 ? classes[scalar] : 0
                return kind & UnicodeClasses.word != 0 ? 1 : kind & UnicodeClasses.space != 0 ? 0 : 2
            }
        case .scripts:
            let scripts = UnicodeTables.shared.script
            var last = 0
            cut(text, &pieces) { scalar in
                // A space goes with whatever is before it.
                let script = scalar == 0x20 ? 0 : Int(scripts[scalar])
                if script != 0 { last = script + 1 }
                // Hugging Face drops what is before the first character that has a script.
                return last
            }
        case .characters(let count):
            var start = 0
            var inPiece = 0
            UTF8Scalars.forEach(text.bytes) { _, range in
                inPiece += 1
                guard inPiece == count || range.upperBound == text.count else { return }
                pieces.append(text.slice(start..<range.upperBound))
                (start, inPiece) = (range.upperBound, 0)
            }
        }
    }

    /// Runs of characters with the same number; those with 0 are left out.
    private func cut(_ text: AlignedText, _ pieces: inout [AlignedText], _ number: (UInt32) -> Int) {
        var start = 0
        var current = 0
        UTF8Scalars.forEach(text.bytes) { scalar, range in
            let next = number(scalar)
            guard next != current else { return }
            if current != 0 { pieces.append(text.slice(start..<range.lowerBound)) }
            (start, current) = (range.lowerBound, next)
        }
        if current != 0 { pieces.append(text.slice(start..<text.count)) }
    }

    private static func prefixed(_ text: AlignedText) -> AlignedText {
        var result = AlignedText(from: text)
        result.append([0x20], for: text.firstCharacter, of: text)
        result.append(copying: 0..<text.count, of: text)
        return result
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
            for range in Self.characters(text, where: { UnicodeClasses.shared[$0] & UnicodeClasses.number != 0 }) {
                if !individually, let last = ranges.last, last.upperBound == range.lowerBound {
                    ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
                } else {
                    ranges.append(range)
                }
            }
            return ranges
        case .whiteSpace:
            return Self.characters(text) { UnicodeClasses.shared[$0] & UnicodeClasses.space != 0 }
        case .punctuation:
            return Self.characters(text) { UnicodeTables.shared.flags[$0] & UnicodeTables.punctuation != 0 }
        }
    }

    private static func characters(_ text: [UInt8], where isMatch: (UInt32) -> Bool) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        UTF8Scalars.forEach(text) { scalar, range in
            if scalar < 0x110000, isMatch(scalar) { ranges.append(range) }
        }
        return ranges
    }
}
