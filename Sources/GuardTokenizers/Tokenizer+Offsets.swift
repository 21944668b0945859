package import GuardCore

/// A token and the place in the text that it came from.
package struct TokenOffset: Sendable, Hashable {
    package var id: TokenID
    /// UTF-8 bytes of the raw text; whole characters. Empty for tokens that stand for none of it.
    package var range: Range<Int>

    package init(id: TokenID, range: Range<Int>) {
        self.id = id
        self.range = range
    }
}

extension Tokenizer {
    /// `encode` with the place of each token in the raw text, as Hugging Face's `offsets` have it, but in bytes.
    ///
    /// - A token of a part of a character has the whole character (byte-level vocabularies, byte fallback).
    /// - What a normalizer made of text has the place of that text; what it put in (`▁` before a text) has the place of
    ///   the character beside it; of several characters that became one, the first counts.
    /// - Tokens that the post-processor adds have the empty range 0..<0.
    /// - Spaces at the ends of a token do not count where the file says so (`trim_offsets`).
    ///
    /// Slower than `encode`, whose ids it gives. Ill-formed bytes are characters of their own.
    package func encodeWithOffsets(
        _ text: [UInt8], specials: SpecialTokens = .parse, addSpecialTokens: Bool
    ) -> [TokenOffset] {
        var tokens: [TokenOffset] = []
        let scratch = Scratch()
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            stages.addedToRaw.forEachPart(base, 0, buffer.count, specials) { part in
                switch part {
                case .token(let id, let start, let end): tokens.append(TokenOffset(id: TokenID(id), range: start..<end))
                case .text(let begin, let end):
                    let stretch = AlignedText(Array(text[begin..<end]), origin: begin, isFirst: begin == 0)
                    append(stages.normalizer.apply(stretch), specials, scratch, &tokens)
                }
            }
            for index in tokens.indices { tokens[index].range = Self.characters(base, buffer.count, tokens[index].range) }
            if let trimming = stages.postProcessor.offsetTrimming { trim(&tokens, trimming, base, buffer.count) }
        }
        guard addSpecialTokens else { return tokens }
        func added(_ ids: [UInt32]) -> [TokenOffset] { ids.map { TokenOffset(id: TokenID($0), range: 0..<0) } }
        return added(stages.postProcessor.prefix) + tokens + added(stages.postProcessor.suffix)
    }

    /// Text between added tokens that are cut from the raw text, normalized.
    private func append(
        _ text: AlignedText, _ specials: SpecialTokens, _ scratch: Scratch, _ tokens: inout [TokenOffset]
    ) {
        text.bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            stages.addedToNormalized.forEachPart(base, 0, buffer.count, specials) { part in
                switch part {
                case .token(let id, let start, let end):
                    tokens.append(TokenOffset(id: TokenID(id), range: text.place(start..<end)))
                case .text(let begin, let end):
                    for piece in stages.preTokenizer.pieces(text.slice(begin..<end)) {
                        append(piece: piece, scratch, &tokens)
                    }
                }
            }
        }
    }

    private func append(piece: AlignedText, _ scratch: Scratch, _ tokens: inout [TokenOffset]) {
        piece.bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            func add(_ id: UInt32, _ start: Int, _ end: Int) {
                tokens.append(TokenOffset(id: TokenID(id), range: piece.place(start..<end)))
            }
            switch stages.model {
            case .bytePair(let model): model.forEachToken(base, 0, buffer.count, scratch, add)
            case .unigram(let model): model.forEachToken(base, 0, buffer.count, add)
            case .wordPiece(let model): model.forEachToken(base, 0, buffer.count, add)
            }
        }
    }

    /// The whole characters of which the range has bytes.
    private static func characters(_ text: UnsafePointer<UInt8>, _ end: Int, _ range: Range<Int>) -> Range<Int> {
        guard !range.isEmpty, range.upperBound <= end else { return range }
        func start(of at: Int) -> Int {
            var start = at
            while start > max(0, at - 3), text[start] & 0xC0 == 0x80 { start -= 1 }
            return start + UnicodeClasses.length(text, start, end) > at ? start : at
        }
        let last = start(of: range.upperBound - 1)
        return start(of: range.lowerBound)..<max(range.upperBound, last + UnicodeClasses.length(text, last, end))
    }

    /// Hugging Face's `process_offsets` of its byte-level post-processors, which counts characters.
    private func trim(
        _ tokens: inout [TokenOffset], _ trimming: PostProcessor.OffsetTrimming, _ text: UnsafePointer<UInt8>, _ end: Int
    ) {
        for index in tokens.indices {
            let range = tokens[index].range
            let id = tokens[index].id.value
            var leading: Int
            let trailing: Int
            if addedText(id) != nil {
                // What the token stands for here, with the white space that it swallows.
                let kinds = Self.characterEnds(text, range).map { UnicodeClasses.shared.character(text, $0.start, $0.end).class }
                leading = kinds.prefix { $0 & UnicodeClasses.space != 0 }.count
                trailing = kinds.reversed().prefix { $0 & UnicodeClasses.space != 0 }.count
            } else {
                let token = stages.model.vocabulary.bytes(id)
                leading = token.prefix { $0 == 0x20 }.count
                trailing = token.reversed().prefix { $0 == 0x20 }.count
            }
            if leading > 0, index == 0 || range.lowerBound == 0, trimming.addsPrefixSpace { leading -= 1 }
            var start = range.lowerBound
            while leading > 0, start < range.upperBound {
                start += UnicodeClasses.length(text, start, end)
                leading -= 1
            }
            var stop = range.upperBound
            var left = trailing
            while left > 0, stop > 0 {
                stop = UnicodeClasses.start(text, before: stop, from: 0)
                left -= 1
            }
            tokens[index].range = start..<(left > 0 ? range.upperBound : max(stop, start))
        }
    }

    private static func characterEnds(_ text: UnsafePointer<UInt8>, _ range: Range<Int>) -> [(start: Int, end: Int)] {
        var characters: [(start: Int, end: Int)] = []
        var at = range.lowerBound
        while at < range.upperBound {
            let next = at + UnicodeClasses.length(text, at, range.upperBound)
            characters.append((at, next))
            at = next
        }
        return characters
    }
}
