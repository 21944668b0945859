/// `tokenizer.json`'s decoders step by step, as Hugging Face runs them: a list of tokens in, a list of texts out. For
/// combinations that `Decoder` has no short way for.
struct DecoderChain: Sendable {
    enum Step: Sendable {
        case byteLevel
        case replace([UInt8], with: [UInt8])
        case replacePattern(SplitPattern, with: [UInt8])
        case wordPiece(Decoder.WordPiece)
        case byteFallback
        case fuse
        /// At most so many of the character at the ends of each text.
        case strip([UInt8], start: Int, stop: Int)
        case metaspace(replacement: [UInt8], isPrepended: Bool)
        /// The suffix ends words: a space, but at the end of the text nothing.
        case endOfWord([UInt8])
        /// Repeated tokens are one; padding is nothing; the delimiter is a space.
        case ctc(padding: [UInt8], delimiter: [UInt8], cleansUp: Bool)
    }

    var steps: [Step]
    /// Tokens by id as the file writes them.
    var tokens: [UInt32: [UInt8]]

    func text(_ ids: [UInt32]) -> [UInt8] {
        var texts = ids.compactMap { tokens[$0] }
        for step in steps { texts = Self.apply(step, texts) }
        // Without a decoder the tokens stand with spaces between them.
        return Array(texts.joined(separator: steps.isEmpty ? [0x20] : []))
    }

    private static func apply(_ step: Step, _ texts: [[UInt8]]) -> [[UInt8]] {
        switch step {
        case .byteLevel:
            let bytes = texts.flatMap { text -> [UInt8] in
                var bytes: [UInt8] = []
                return text.withUnsafeBufferPointer { ByteAlphabet.append($0, to: &bytes) } ? bytes : text
            }
            return [Array(String(decoding: bytes, as: UTF8.self).utf8)]
        case .replace(let pattern, let content):
            return texts.map { Normalizer(steps: [.replace(pattern, with: content)]).apply($0) }
        case .replacePattern(let pattern, let content):
            return texts.map { Normalizer(steps: [.replacePattern(pattern, with: content)]).apply($0) }
        case .wordPiece(let options): return texts.enumerated().map { options.text($1, isFirst: $0 == 0) }
        case .byteFallback: return joiningBytes(texts)
        case .fuse: return [Array(texts.joined())]
        case .strip(let character, let start, let stop): return texts.map { stripping($0, character, start, stop) }
        case .metaspace(let replacement, let isPrepended):
            return texts.enumerated().map { index, text in
                let content: [UInt8] = index == 0 && isPrepended ? [] : [0x20]
                return Normalizer(steps: [.replace(replacement, with: content)]).apply(text)
            }
        case .endOfWord(let suffix):
            return texts.enumerated().map { index, text in
                let content: [UInt8] = index == texts.count - 1 ? [] : [0x20]
                return Normalizer(steps: [.replace(suffix, with: content)]).apply(text)
            }
        case .ctc(let padding, let delimiter, let cleansUp):
            var result: [[UInt8]] = []
            var last: [UInt8]?
            for text in texts where text != last {
                last = text
                var text = Normalizer(steps: [.replace(padding, with: [])]).apply(text)
                if cleansUp {
                    text = Normalizer(steps: [.replace(delimiter, with: [0x20])]).apply(Decoder.WordPiece.cleanedUp(text))
                }
                if !text.isEmpty { result.append(text) }
            }
            return result
        }
    }

    /// Byte tokens in a row are a text if they are UTF-8, else each is U+FFFD.
    private static func joiningBytes(_ texts: [[UInt8]]) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var bytes: [UInt8] = []
        func flush() {
            guard !bytes.isEmpty else { return }
            if String(validating: bytes, as: UTF8.self) != nil {
                result.append(bytes)
            } else {
                result += Array(repeating: [0xEF, 0xBF, 0xBD], count: bytes.count)
            }
            bytes = []
        }
        for text in texts {
            if let byte = SentencePieceModel.byteValue(text) {
                bytes.append(byte)
            } else {
                flush()
                result.append(text)
            }
        }
        flush()
        return result
    }

    private static func stripping(_ text: [UInt8], _ character: [UInt8], _ start: Int, _ stop: Int) -> [UInt8] {
        var text = text[...]
        guard !character.isEmpty else { return Array(text) }
        var left = start
        while left > 0, text.starts(with: character) {
            text = text.dropFirst(character.count)
            left -= 1
        }
        left = stop
        while left > 0, text.suffix(character.count).elementsEqual(character) {
            text = text.dropLast(character.count)
            left -= 1
        }
        return Array(text)
    }
}
