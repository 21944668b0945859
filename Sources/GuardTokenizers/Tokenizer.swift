package import GuardCore
import Synchronization

/// What becomes of the strings of special tokens (`<|eot_id|>`, `</s>`) in a text.
package enum SpecialTokens: Sendable, Hashable {
    /// As the file's own library does by default: Hugging Face and tiktoken files turn them into their ids;
    /// SentencePiece never reads control pieces from text.
    case parse
    /// Tokens with the flag `special` are plain text. User-defined ones that are not special are still found.
    case asText
    /// As `parse`, and control pieces of SentencePiece models too: what transformers does with a rendered chat prompt.
    case parseControl
}

/// A loaded tokenizer: text in, ids out, equal to what the file's own library gives.
///
/// Text goes through the stages that `tokenizer.json` names: added tokens are cut out, `Normalizer` rewrites what is
/// between them, `PreTokenizer` cuts that into pieces, `Model` turns pieces into ids, `PostProcessor` adds the tokens
/// around. The other formats are loaded into the same stages.
///
/// Immutable and safe to share between threads.
package final class Tokenizer: Sendable {
    package enum Format: String, Sendable, Hashable {
        case tokenizerJSON = "tokenizer.json"
        case sentencePiece = "sentencepiece"
        case tiktoken
        case tekken
        case gguf
    }

    package let format: Format
    /// Path of the file that the vocabulary came from.
    package let source: String
    /// SHA-256 of that file (of a GGUF file: of its metadata), lower-case hex.
    package let hash: String
    /// One more than the highest id, added tokens included.
    package let vocabularySize: Int
    /// Strings of the tokens that `tokenizer_config.json` (or the model file) names as start and end of text.
    package let bosToken: String?
    package let eosToken: String?
    /// Why counts are not known to be exact, `nil` where they are (DESIGN: `estimated`).
    package let estimatedWhy: String?
    /// What a GGUF file says about chats, in the form of a `tokenizer_config.json`: templates and special tokens.
    package let embeddedConfiguration: [UInt8]?

    let stages: Stages
    /// Derived from the stages by use; `nil` where there is no memory for it.
    private let cache = PieceCache()
    private let specialIDs: Set<UInt32>
    private let addedTextOfID: [UInt32: [UInt8]]
    private let lazyCutRules = Mutex<CutRules?>(nil)

    /// Made when the first growing text is counted.
    var cutRules: CutRules {
        lazyCutRules.withLock { rules in
            if let rules { return rules }
            let made = CutRules(self)
            rules = made
            return made
        }
    }

    /// What a loader builds.
    struct Stages: Sendable {
        var addedTokens: [AddedToken] = []
        var normalizer = Normalizer()
        var preTokenizer = PreTokenizer.whole
        var model: Model
        var postProcessor = PostProcessor()
        var decoder = Decoder()
        var vocabularySize: Int
        var bosToken: String?
        var eosToken: String?
        var estimatedWhy: String?
        var version: String?

        // Derived by `Tokenizer.init`; only read elsewhere.
        var addedToRaw = AddedTokens([])
        var addedToNormalized = AddedTokens([])

        init(model: Model, vocabularySize: Int) {
            self.model = model
            self.vocabularySize = vocabularySize
        }
    }

    init(format: Format, source: String, hash: String, stages: Stages, embeddedConfiguration: [UInt8]? = nil) {
        self.format = format
        self.source = source
        self.hash = hash
        vocabularySize = stages.vocabularySize
        bosToken = stages.bosToken
        eosToken = stages.eosToken
        estimatedWhy = stages.estimatedWhy
        self.embeddedConfiguration = embeddedConfiguration
        var stages = stages
        stages.addedToRaw = AddedTokens(
            stages.addedTokens.filter { !$0.isNormalized }, order: format == .gguf ? .longestFirst : .leftmost)
        stages.addedToNormalized = AddedTokens(stages.addedTokens.filter(\.isNormalized))
        specialIDs = Set(stages.addedTokens.filter { $0.isSpecial || $0.isControl }.map(\.id))
        addedTextOfID = Dictionary(stages.addedTokens.map { ($0.id, $0.content) }) { _, last in last }
        self.stages = stages
    }

    // MARK: Encoding

    /// - Parameters:
    ///   - text: UTF-8. Ill-formed bytes are kept as single characters of no class.
    ///   - specials: what special tokens' strings in the text become.
    ///   - addSpecialTokens: whether the post-processor's tokens (`<s>` ...) are added: servers do so for completions
    ///     and not for chat, whose template writes them itself.
    package func encode(_ text: [UInt8], specials: SpecialTokens = .parse, addSpecialTokens: Bool) -> [TokenID] {
        encode(text.span, specials: specials, addSpecialTokens: addSpecialTokens)
    }

    package func encode(_ text: Span<UInt8>, specials: SpecialTokens = .parse, addSpecialTokens: Bool) -> [TokenID] {
        withUnsafeTemporaryAllocation(of: TokenID.self, capacity: ChunkSink.capacity) { chunk in
            guard let base = chunk.baseAddress else { return [] }
            // Growing copies all of it; room that stays empty is never touched.
            var sink = ChunkSink(base, expected: text.count / 3 + 8)
            run(text, specials, addSpecialTokens, &sink)
            sink.flush()
            return sink.ids
        }
    }

    /// `encode(...).count` without building the ids.
    package func count(_ text: [UInt8], specials: SpecialTokens = .parse, addSpecialTokens: Bool) -> Int {
        count(text.span, specials: specials, addSpecialTokens: addSpecialTokens)
    }

    package func count(_ text: Span<UInt8>, specials: SpecialTokens = .parse, addSpecialTokens: Bool) -> Int {
        var sink = CountSink()
        run(text, specials, addSpecialTokens, &sink)
        return sink.count
    }

    /// The count of tokens of a text by itself, and how much merging it took without the cache.
    func countWithWork(_ text: [UInt8]) -> (count: Int, work: Int) {
        var sink = CountSink()
        let scratch = Scratch()
        run(text.span, .parse, false, scratch, &sink)
        return (sink.count, scratch.work)
    }

    /// Pieces that the cache had no room for since it was empty.
    var cacheRefusals: Int { cache?.refusals ?? 0 }

    private func run<Sink: TokenSink>(
        _ text: Span<UInt8>, _ specials: SpecialTokens, _ addSpecialTokens: Bool, _ sink: inout Sink
    ) {
        let scratch = Scratch(cache)
        run(text, specials, addSpecialTokens, scratch, &sink)
        withExtendedLifetime(scratch) {}
    }

    private func run<Sink: TokenSink>(
        _ text: Span<UInt8>, _ specials: SpecialTokens, _ addSpecialTokens: Bool, _ scratch: Scratch,
        _ sink: inout Sink
    ) {
        if addSpecialTokens { for id in stages.postProcessor.prefix { sink.append(id) } }
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
            if stages.addedToRaw.isEmpty {
                encodeStretch(base, 0, buffer.count, isFirst: true, specials, scratch, &sink)
            } else {
                stages.addedToRaw.forEachPart(base, 0, buffer.count, specials) { part in
                    switch part {
                    case .token(let id, _, _): sink.append(id)
                    case .text(let begin, let end):
                        encodeStretch(base, begin, end, isFirst: begin == 0, specials, scratch, &sink)
                    }
                }
            }
        }
        if addSpecialTokens { for id in stages.postProcessor.suffix { sink.append(id) } }
    }

    /// Text between added tokens that are cut from the raw text.
    private func encodeStretch<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, isFirst: Bool, _ specials: SpecialTokens,
        _ scratch: Scratch, _ sink: inout Sink
    ) {
        stages.normalizer.withNormalized(text, begin, end) { text, begin, end in
            if stages.addedToNormalized.isEmpty {
                encodePieces(text, begin, end, isFirst: isFirst, scratch, &sink)
            } else {
                stages.addedToNormalized.forEachPart(text, begin, end, specials) { part in
                    switch part {
                    case .token(let id, _, _): sink.append(id)
                    case .text(let from, let to):
                        encodePieces(text, from, to, isFirst: isFirst && from == begin, scratch, &sink)
                    }
                }
            }
        }
    }

    private func encodePieces<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, isFirst: Bool, _ scratch: Scratch, _ sink: inout Sink
    ) {
        switch stages.model {
        case .bytePair(let model):
            if case .scanner(let scanner) = stages.preTokenizer {
                return model.encode(text, begin, end, scanner, scratch, &sink)
            }
            stages.preTokenizer.forEachPiece(text, begin, end, isFirst: isFirst) { text, start, end in
                model.encode(text, start, end, scratch, &sink)
            }
        case .unigram(let model):
            stages.preTokenizer.forEachPiece(text, begin, end, isFirst: isFirst) { text, start, end in
                model.encode(text, start, end, &sink)
            }
        case .wordPiece(let model):
            stages.preTokenizer.forEachPiece(text, begin, end, isFirst: isFirst) { text, start, end in
                model.encode(text, start, end, &sink)
            }
        }
    }

    // MARK: Decoding

    /// Bytes of the ids' text as the file's decoder joins them; ids that do not exist add nothing. The result may be
    /// ill-formed UTF-8, where a token is part of a character.
    package func decode(_ ids: [TokenID], skipSpecialTokens: Bool = false) -> [UInt8] {
        let kept = ids.lazy.map(\.value).filter { !(skipSpecialTokens && self.specialIDs.contains($0)) }
        if let chain = stages.decoder.chain { return chain.text(Array(kept)) }
        var text: [UInt8] = []
        var isFirst = true
        for id in kept {
            appendText(of: id, isFirst: isFirst, to: &text)
            isFirst = false
        }
        if stages.decoder.stripsLeadingSpace, text.first == 0x20 { text.removeFirst() }
        return text
    }

    /// What the id adds to decoded text.
    func appendText(of id: UInt32, isFirst: Bool, to text: inout [UInt8]) {
        let decoder = stages.decoder
        if let byte = decoder.byteOfID[id] { return text.append(byte) }
        let content = decoder.textOfID[id] ?? addedTextOfID[id]
        if decoder.joinsWithSpaces, !isFirst { text.append(0x20) }
        if decoder.dropsSpacesOfFirst, isFirst {
            text += (content ?? Array(stages.model.vocabulary.bytes(id))).filter { $0 != 0x20 }
        } else if let wordPiece = decoder.wordPiece {
            text += wordPiece.text(content ?? Array(stages.model.vocabulary.bytes(id)), isFirst: isFirst)
        } else if let content {
            text += content
        } else {
            text.append(contentsOf: stages.model.vocabulary.bytes(id))
        }
    }

    /// Content of an added token.
    func addedText(_ id: UInt32) -> [UInt8]? { addedTextOfID[id] }

    /// Whether the id stands for a special token (start of text, end of turn ...).
    package func isSpecial(_ id: TokenID) -> Bool { specialIDs.contains(id.value) }
}
