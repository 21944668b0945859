/// Where a growing text can be cut so that both sides encode on their own as they do together, whatever follows.
struct CutRules: Sendable {
    /// How everything behind a cut is encoded: without what is put before a text.
    let tail: Tokenizer
    private let place: Place
    private let pairs: PairTable
    /// Cuts only before a space behind something else, as spaces in a row become one.
    private var onlyAtSpaces = false
    /// Adjacent unknown characters are one token: never cut between two.
    private var needsKnown = false

    private enum Place: Sendable {
        /// The pipeline looks too far around.
        case never
        /// Where no vocabulary entry spans.
        case vocabulary
        /// Where a piece ends and nothing that can still come changes that.
        case scanner(PieceScanner)
        /// Before white space that the pre-tokenizer removes or begins pieces with.
        case spaces
    }

    init(_ tokenizer: Tokenizer) {
        var stages = tokenizer.stages
        stages.postProcessor = PostProcessor()
        var place = Self.place(of: &stages)
        for index in stages.normalizer.steps.indices.reversed() {
            switch stages.normalizer.steps[index] {
            case .prepend: stages.normalizer.steps.remove(at: index)
            case .metaspaceToSpace, .form: break
            case .collapseSpaces:
                // What is cut off begins with spaces, which become the one that the prefix is.
                stages.normalizer.steps[index] = .collapseSpaces(addsPrefix: true)
                onlyAtSpaces = true
            case .sentencePiece(var rules):
                rules.addsPrefix = rules.addsPrefix || rules.removesExtraSpaces
                if !rules.removesExtraSpaces { rules.addsPrefix = false }
                stages.normalizer.steps[index] = .sentencePiece(rules)
                onlyAtSpaces = true
            case .strip(_, let right):
                stages.normalizer.steps[index] = .strip(left: false, right: right)
                onlyAtSpaces = true
            case .lowercase, .stripAccents, .nmt, .bert, .precompiled:
                // Character by character, or by clusters, which end before a space.
                onlyAtSpaces = true
            case .replace(let pattern, _):
                onlyAtSpaces = true
                if pattern.contains(0x20) { place = .never }
            case .replacePattern, .byteLevel, .llamaUnigram, .llamaWords: place = .never
            }
        }
        // Such tokens' matches depend on what stands beside them or on the normalizer.
        let isPlain = stages.normalizer.steps.allSatisfy { if case .metaspaceToSpace = $0 { true } else { false } }
        if case .scanner = place, stages.addedTokens.contains(where: \.isNormalized) { place = .never }
        if stages.addedTokens.contains(where: { $0.singleWord || $0.isNormalized && !isPlain && !$0.isControl }) {
            place = .never
        }
        // A character's symbol depends on where in its piece it stands.
        if case .vocabulary = place, case .bytePair(let model) = stages.model, model.options.affixes != nil {
            place = .never
        }
        var pairs = PairTable()
        for token in stages.addedTokens { pairs.insert(token) }
        if case .vocabulary = place {
            let vocabulary = stages.model.vocabulary
            for id in 0..<vocabulary.count { pairs.insert(vocabulary.bytes(UInt32(id))) }
            if case .bytePair(let model) = stages.model, model.options.unknown != nil, model.options.fusesUnknown {
                let fallback = model.options.byteFallback ?? []
                needsKnown = fallback.count < 256 || fallback.enumerated().contains { byte, id in
                    id == nil && (byte >= 0x80 || vocabulary.id([UInt8(byte)]) == nil)
                }
            }
        }
        self.place = place
        self.pairs = pairs
        tail = Tokenizer(format: tokenizer.format, source: tokenizer.source, hash: tokenizer.hash, stages: stages)
    }

    /// Also takes what is put before pieces out of the pre-tokenizer.
    private static func place(of stages: inout Tokenizer.Stages) -> Place {
        switch stages.preTokenizer {
        case .whole:
            if case .bytePair = stages.model { return .vocabulary }
            return .never
        case .scanner(let scanner): return .scanner(scanner)
        case .steps(var steps):
            if steps.count == 1, case .metaspace(_, let splits) = steps[0] {
                stages.preTokenizer = .steps([.metaspace(prepends: .never, splits: splits)])
                if splits { return .spaces }
                if case .bytePair = stages.model { return .vocabulary }
                return .never
            }
            if steps.count == 2, case .prefixSpace = steps[0], case .scanner(let scanner) = steps[1] {
                stages.preTokenizer = .scanner(scanner)
                return .scanner(scanner)
            }
            var removesSpaces = false
            if case .split(.whiteSpace, .removed, false) = steps[0] { removesSpaces = true }
            if case .words = steps[0] { removesSpaces = true }
            guard removesSpaces else { return .never }
            for index in steps.indices {
                switch steps[index] {
                case .metaspace(.first, let splits): steps[index] = .metaspace(prepends: .never, splits: splits)
                case .scripts, .characters, .prefixSpace: break
                default: break
                }
            }
            stages.preTokenizer = .steps(steps)
            return .spaces
        }
    }

    /// Number of ids of text behind a cut. What is put before a text still comes behind each added token.
    func count(_ text: [UInt8], _ specials: SpecialTokens, by tokenizer: Tokenizer) -> Int {
        var firstEnd: Int?
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            tail.stages.addedToRaw.forEachPart(base, 0, buffer.count, specials) { part in
                guard firstEnd == nil else { return }
                if case .text(_, let end) = part { firstEnd = end } else { firstEnd = 0 }
            }
        }
        let end = firstEnd ?? text.count
        return tail.count(Array(text[..<end]), specials: specials, addSpecialTokens: false)
            + tokenizer.count(Array(text[end...]), specials: specials, addSpecialTokens: false)
    }

    /// The last place in `text`, which begins where the text or the last cut is, at which it can be cut.
    func cut(_ text: [UInt8], isFirst: Bool, _ specials: SpecialTokens, by tokenizer: Tokenizer) -> Int? {
        switch place {
        case .never: return nil
        case .spaces: return (1..<max(text.count, 1)).last { isBeforeSpace(text, $0) && isClear(text, $0) }
        case .vocabulary:
            let parts = parts(text, specials)
            let normalized = (isFirst ? tokenizer : tail).stages.normalizer.apply(AlignedText(text, origin: 0))
            var at = normalized.count - 1
            while at > 0 {
                // What is put before a text also comes behind each added token, so no cut there.
                if let raw = rawPlace(normalized, at, text),
                    parts.contains(where: { $0.lowerBound < raw && raw <= $0.upperBound })
                {
                    return raw
                }
                at -= 1
            }
            return nil
        case .scanner(let scanner):
            let limit = text.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map {
                    Self.settledEnd($0, tail.stages.addedToRaw.partialStart($0, buffer.count))
                } ?? 0
            }
            let parts = parts(text, specials)
            for part in parts.reversed() where part.lowerBound < limit {
                let normalized = tail.stages.normalizer.apply(AlignedText(Array(text[part]), origin: part.lowerBound))
                var ends = Self.ends(normalized.bytes, scanner)
                while let at = ends.popLast() {
                    // White space at the end of a text is one piece, and before other text it is not.
                    if at < normalized.count, normalized.starts[at] <= limit, !isBehindSpace(normalized.bytes, at),
                        let raw = rawPlace(normalized, at, text)
                    {
                        return raw
                    }
                }
            }
            return nil
        }
    }

    /// What is between added tokens; each stretch is normalized and scanned on its own.
    private func parts(_ text: [UInt8], _ specials: SpecialTokens) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            tail.stages.addedToRaw.forEachPart(base, 0, buffer.count, specials) { part in
                if case .text(let begin, let end) = part { parts.append(begin..<end) }
            }
        }
        return parts
    }

    private func isBehindSpace(_ text: [UInt8], _ at: Int) -> Bool {
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return true }
            let start = UnicodeClasses.start(base, before: at, from: 0)
            return UnicodeClasses.shared.character(base, start, at).class & UnicodeClasses.space != 0
        }
    }

    private func rawPlace(_ normalized: AlignedText, _ at: Int, _ text: [UInt8]) -> Int? {
        guard normalized.bytes[at] & 0xC0 != 0x80, normalized.ends[at - 1] <= normalized.starts[at] else { return nil }
        let raw = normalized.starts[at]
        guard raw > 0, raw < text.count, isClear(normalized.bytes, at), isClear(text, raw) else { return nil }
        return onlyAtSpaces && !isBeforeSpace(text, raw) ? nil : raw
    }

    private func isBeforeSpace(_ text: [UInt8], _ at: Int) -> Bool {
        text[at] == 0x20 && text[at - 1] != 0x20 && text[at - 1] > 0x20 && text[at - 1] < 0x7F
    }

    /// Whether no entry has the two characters beside the place in a row, and neither joins with the other.
    private func isClear(_ text: [UInt8], _ at: Int) -> Bool {
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return false }
            let (right, rightLength) = UTF8Scalars.next(base, at, buffer.count)
            let start = UnicodeClasses.start(base, before: at, from: 0)
            let (left, _) = UTF8Scalars.next(base, start, at)
            guard left != UTF8Scalars.illFormed, right != UTF8Scalars.illFormed,
                !UnicodeTables.shared.mayJoinBackward(right), !pairs.contains(left, right)
            else { return false }
            return !needsKnown || tail.stages.model.vocabulary.id(base + at, count: rightLength) != nil
                && tail.stages.model.vocabulary.id(base + start, count: at - start) != nil
        }
    }

    private static func ends(_ text: [UInt8], _ scanner: PieceScanner) -> [Int] {
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return [] }
            var ends: [Int] = []
            var at = 0
            while at < buffer.count {
                at = scanner.next(base, at, buffer.count, .shared)
                ends.append(at)
            }
            return ends
        }
    }

    /// Up to where longer text moves no end of a piece: the scanners look from a piece into the runs of characters of
    /// one class behind it, at most to the end of a contraction or of a run of white space, so three whole runs are
    /// enough.
    private static func settledEnd(_ text: UnsafePointer<UInt8>, _ end: Int) -> Int {
        let classes = UnicodeClasses.shared
        var limit = end
        // The last character may not be whole yet.
        var back = 1
        while back <= min(4, end), text[end - back] & 0xC0 == 0x80 { back += 1 }
        if back <= min(4, end), text[end - back] >= 0xC0 { limit = end - back }
        var runs = 0
        var last = -1
        while limit > 0 {
            let start = UnicodeClasses.start(text, before: limit, from: 0)
            let kind = classes.character(text, start, limit).class
            let run =
                kind & UnicodeClasses.space != 0 ? 0
                : kind & (UnicodeClasses.letter | UnicodeClasses.upper | UnicodeClasses.lower) != 0 ? 1
                : kind & UnicodeClasses.number != 0 ? 2 : 3
            if run != last {
                runs += 1
                last = run
                if runs > 4 { return limit }
            }
            limit = start
        }
        return 0
    }
}

/// Pairs of characters that stand in a row in some text, with false positives.
private struct PairTable: Sendable {
    private var bits = [UInt64](repeating: 0, count: 1 << 15)

    mutating func insert(_ text: UnsafeBufferPointer<UInt8>) {
        guard let base = text.baseAddress else { return }
        var at = 0
        var last: UInt32?
        while at < text.count {
            let (scalar, length) = UTF8Scalars.next(base, at, text.count)
            if let last { insert(last, scalar) }
            last = scalar
            at += length
        }
    }

    mutating func insert(_ token: AddedToken) {
        token.content.withUnsafeBufferPointer { insert($0) }
        guard token.stripsLeft || token.stripsRight else { return }
        // The white space beside it goes with it.
        let spaces: [UInt32] = (0..<0x3001).filter { UnicodeClasses.shared[$0] & UnicodeClasses.space != 0 }
        let scalars = String(decoding: token.content, as: UTF8.self).unicodeScalars
        for space in spaces {
            for other in spaces { insert(space, other) }
            if let first = scalars.first { insert(space, first.value) }
            if let last = scalars.last { insert(last.value, space) }
        }
    }

    private mutating func insert(_ left: UInt32, _ right: UInt32) {
        let bit = Self.bit(left, right)
        bits[bit >> 6] |= 1 << UInt64(bit & 63)
    }

    func contains(_ left: UInt32, _ right: UInt32) -> Bool {
        let bit = Self.bit(left, right)
        return bits[bit >> 6] & 1 << UInt64(bit & 63) != 0
    }

    private static func bit(_ left: UInt32, _ right: UInt32) -> Int {
        let left = left == 0x2581 ? 0x20 : left
        let right = right == 0x2581 ? 0x20 : right
        let mixed = (UInt64(left) << 32 | UInt64(right)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 43)
    }
}
