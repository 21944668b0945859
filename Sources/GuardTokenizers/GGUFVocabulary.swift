import GuardJSON

/// Reads the vocabulary of a GGUF file with the meaning that llama.cpp gives it (src/llama-vocab.cpp), since it is what
/// serves such files.
///
/// Where that differs from Hugging Face's reading of the same vocabulary: special tokens are cut out of the text the
/// longest first, wherever they are; every token can come out of merging, whatever its type; characters that are not in
/// the vocabulary have no token in byte-level models.
struct GGUFVocabulary {
    /// llama.cpp's `llama_token_type`; it has tokens with several of them.
    private struct Attributes: OptionSet {
        var rawValue: UInt8
        static let unknown = Attributes(rawValue: 1)
        static let unused = Attributes(rawValue: 2)
        static let normal = Attributes(rawValue: 4)
        static let control = Attributes(rawValue: 8)
        static let userDefined = Attributes(rawValue: 16)
        static let byte = Attributes(rawValue: 32)

        init(rawValue: UInt8) { self.rawValue = rawValue }

        /// - Parameter type: as the file has it.
        init(type: Int32) {
            switch type {
            case 1: self = .normal
            case 2: self = .unknown
            case 3: self = .control
            case 4: self = .userDefined
            case 5: self = .unused
            case 6: self = .byte
            default: self = []
            }
        }
    }

    private let metadata: GGUFMetadata
    private let kind: String
    private var texts: [[UInt8]] = []
    private var scores: [Float] = []
    private var attributes: [Attributes] = []
    private var bos: UInt32?
    private var eos: UInt32?
    private var unknown: UInt32?
    private var separator: UInt32?

    /// - Returns: the stages, and what the file says about chats in the form of a `tokenizer_config.json`.
    static func load(
        _ metadata: GGUFMetadata
    ) throws(TokenizerError) -> (stages: Tokenizer.Stages, configuration: [UInt8]) {
        let vocabulary = try GGUFVocabulary(metadata)
        return (try vocabulary.stages(), try vocabulary.configuration())
    }

    private init(_ metadata: GGUFMetadata) throws(TokenizerError) {
        self.metadata = metadata
        guard let kind = try metadata.text("tokenizer.ggml.model") else {
            throw TokenizerError(.malformed, place: "byte \(metadata.end)", "no tokenizer.ggml.model")
        }
        self.kind = kind
        guard ["gpt2", "llama", "bert", "t5"].contains(kind) else {
            throw Self.unsupported(metadata, "tokenizer.ggml.model", "a GGUF vocabulary of the kind '\(kind)'")
        }
        try readTokens()
        try readSpecialTokens()
        overrideAttributes()
    }

    private static func unsupported(_ metadata: GGUFMetadata, _ key: String, _ message: String) -> TokenizerError {
        TokenizerError(.unsupported, place: "byte \(metadata.entries[key]?.start ?? metadata.end)", message)
    }

    // MARK: Tokens

    private mutating func readTokens() throws(TokenizerError) {
        guard let list = try metadata.strings("tokenizer.ggml.tokens"), !list.isEmpty else {
            throw TokenizerError(.malformed, place: "byte \(metadata.end)", "no tokenizer.ggml.tokens")
        }
        guard list.count < Vocabulary.idsMax / 2 else {
            throw TokenizerError(.limitExceeded, place: "byte \(list[0].lowerBound)", "\(list.count) tokens")
        }
        var known = Set<[UInt8]>()
        for (id, range) in list.enumerated() {
            guard range.count <= AddedToken.bytesMax else {
                throw TokenizerError(.limitExceeded, place: "byte \(range.lowerBound)", "a token of \(range.count) bytes")
            }
            let text = range.isEmpty ? Array("[EMPTY_\(id)]".utf8) : Array(metadata.bytes[range])
            guard known.insert(text).inserted else {
                throw TokenizerError(
                    .malformed, place: "byte \(range.lowerBound)", "the text of token \(id) is another one's too")
            }
            texts.append(text)
        }
        scores = try metadata.floats("tokenizer.ggml.scores") ?? Array(repeating: 0, count: texts.count)
        if let place = metadata.entries["tokenizer.ggml.scores"]?.start {
            guard scores.count >= texts.count, !scores.contains(where: \.isNaN) else {
                throw TokenizerError(
                    .malformed, place: "byte \(place)", "\(scores.count) scores of \(texts.count) tokens, or one is no number")
            }
        }
        let types = try metadata.integers("tokenizer.ggml.token_type")
        if let types, types.count < texts.count {
            let place = metadata.entries["tokenizer.ggml.token_type"]?.start ?? 0
            throw TokenizerError(
                .malformed, place: "byte \(place)", "\(types.count) token types of \(texts.count) tokens")
        }
        attributes = texts.indices.map { index in types.map { Attributes(type: $0[index]) } ?? .normal }
    }

    private mutating func readSpecialTokens() throws(TokenizerError) {
        let count = texts.count
        func id(_ name: String, _ standard: UInt32?) throws(TokenizerError) -> UInt32? {
            let key = "tokenizer.ggml.\(name)_token_id"
            if let id = try metadata.id(key, below: count) { return id }
            return standard.flatMap { Int($0) < count ? $0 : nil }
        }
        switch kind {
        case "llama":
            (bos, eos, unknown) = (try id("bos", 1), try id("eos", 2), try id("unknown", 0))
        case "bert":
            (bos, eos, unknown) = (try id("bos", 101), try id("eos", nil), try id("unknown", 100))
            separator = try id("seperator", try id("separator", 102))
        case "t5":
            (bos, eos, unknown) = (try id("bos", nil), try id("eos", 1), try id("unknown", 2))
        default:
            let pre = try metadata.text("tokenizer.ggml.pre")
            let standard: UInt32? = pre == "glm4" || pre == "chatglm-bpe" ? nil : 11
            (bos, eos, unknown) = (try id("bos", standard), try id("eos", 11), try id("unknown", nil))
        }
    }

    /// llama.cpp knows some tokens by their text, whatever type the file gives them.
    private mutating func overrideAttributes() {
        var ids: [[UInt8]: Int] = [:]
        for (id, text) in texts.enumerated() where text.count <= 32 { ids[text] = id }
        func id(_ text: String) -> Int? { ids[Array(text.utf8)] }
        func mark(_ names: [String], unlessNamed keys: [String]) {
            guard !keys.contains(where: { metadata.entries["tokenizer.ggml.\($0)_token_id"] != nil }) else { return }
            for name in names { if let id = id(name) { attributes[id].insert(.control) } }
        }
        for (keys, names) in Self.fillInTheMiddle { mark(names, unlessNamed: keys) }
        mark(Self.endsOfGeneration, unlessNamed: [])
        for name in ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"] {
            if let id = id(name) { attributes[id] = .userDefined }
        }
        let hasCall = id("<|call|>") != nil || id("<|calls|>") != nil
        if hasCall, id("<|return|>") != nil || id("<|flush|>") != nil, let id = id("<|end|>") {
            attributes[id] = .userDefined
        }
        if id("<|tool_response>") != nil, let id = id("</s>") { attributes[id] = .normal }
    }

    private static let endsOfGeneration = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
        "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
        "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<\u{FF5C}end\u{2581}of\u{2581}sentence\u{FF5C}>",
        "[e~[",
    ]

    private static let fillInTheMiddle: [(keys: [String], names: [String])] = [
        (
            ["fim_pre", "prefix"],
            [
                "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\u{FF5C}fim\u{2581}begin\u{FF5C}>", "<PRE>",
                "\u{2581}<PRE>", "<|code_prefix|>", "<|prefix|>",
            ]
        ),
        (
            ["fim_suf", "suffix"],
            [
                "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\u{FF5C}fim\u{2581}hole\u{FF5C}>", "<SUF>",
                "\u{2581}<SUF>", "<|code_suffix|>", "<|suffix|>",
            ]
        ),
        (
            ["fim_mid", "middle"],
            [
                "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\u{FF5C}fim\u{2581}end\u{FF5C}>", "<MID>",
                "\u{2581}<MID>", "<|code_middle|>", "<|middle|>",
            ]
        ),
        (["fim_pad"], ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
        (["fim_rep"], ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]),
        (["fim_sep"], ["<|file_sep|>"]),
    ]

    // MARK: Stages

    private func stages() throws(TokenizerError) -> Tokenizer.Stages {
        var stages: Tokenizer.Stages
        switch kind {
        case "llama": stages = try scored()
        case "bert": stages = try wordPiece()
        case "t5": stages = try unigram()
        default: stages = try byteLevel()
        }
        stages.addedTokens = try specialTokens()
        stages.bosToken = bos.map { String(decoding: texts[Int($0)], as: UTF8.self) }
        stages.eosToken = eos.map { String(decoding: texts[Int($0)], as: UTF8.self) }
        for (id, text) in texts.enumerated()
        where !attributes[id].isDisjoint(with: [.control, .userDefined, .unknown]) {
            stages.decoder.textOfID[UInt32(id)] = text
        }
        return stages
    }

    /// The tokens that are cut out of the text before anything else.
    private func specialTokens() throws(TokenizerError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        for (id, text) in texts.enumerated()
        where !attributes[id].isDisjoint(with: [.control, .userDefined, .unknown]) {
            tokens.append(
                AddedToken(
                    id: UInt32(id), content: text, isSpecial: !attributes[id].isDisjoint(with: [.control, .unknown])))
        }
        // The file has no room for these flags; llama.cpp goes by names.
        let name = (try metadata.text("general.name") ?? "").lowercased()
        let pre = try metadata.text("tokenizer.ggml.pre") ?? ""
        let architecture = try metadata.text("general.architecture") ?? ""
        func mark(_ text: String, _ flag: WritableKeyPath<AddedToken, Bool>) {
            for index in tokens.indices where tokens[index].content.elementsEqual(text.utf8) {
                tokens[index][keyPath: flag] = true
            }
        }
        if ["jina-v2-de", "jina-v2-es", "jina-v2-code"].contains(where: { pre.contains($0) })
            || ["nomic-bert-moe", "jina-bert-v3"].contains(where: { architecture.contains($0) })
        {
            mark("<mask>", \.stripsLeft)
        } else if name.contains("phi-3") || name.contains("phi3") {
            let exceptions = ["<unk>", "<s>", "<|endoftext|>"].map { Array($0.utf8) }
            for index in tokens.indices { tokens[index].stripsRight = !exceptions.contains(tokens[index].content) }
        } else if name.contains("modern-bert") {
            mark("[MASK]", \.stripsLeft)
        }
        return tokens
    }

    /// The tokens around a text: where the file does not say, the kind of the vocabulary does.
    private func postProcessor(addsStart: Bool, addsEnd: Bool) throws(TokenizerError) -> PostProcessor {
        let addsStart = try metadata.flag("tokenizer.ggml.add_bos_token") ?? addsStart
        let addsEnd = try metadata.flag("tokenizer.ggml.add_eos_token") ?? addsEnd
        guard !addsStart || bos != nil, !addsEnd || eos != nil else {
            throw TokenizerError(
                .malformed, place: "byte \(metadata.end)", "a start or end token is to be added, and there is none")
        }
        return PostProcessor(prefix: addsStart ? [bos].compactMap { $0 } : [], suffix: addsEnd ? [eos].compactMap { $0 } : [])
    }

    private func byteLevel() throws(TokenizerError) -> Tokenizer.Stages {
        let key = "tokenizer.ggml.pre"
        let name = try metadata.text(key) ?? "default"
        guard let split = try GGUFPreTokenizer.named(name) else {
            throw Self.unsupported(metadata, key, "the pre-tokenizer '\(name)'")
        }
        var isFindable: [Bool] = []
        var tokens: [[UInt8]] = []
        for text in texts {
            let bytes = Self.byteLevel(text[...])
            isFindable.append(bytes != nil)
            tokens.append(bytes ?? text)
        }
        let vocabulary = try Vocabulary(tokens: tokens) { isFindable[$0] }
        let merges = try merges(vocabulary)
        var options = BytePairModel.Options()
        options.ignoresMerges = split.ignoresMerges
        let model = try BytePairModel(
            vocabulary: vocabulary, merges: merges.pairs, results: merges.results, options: options)
        var stages = Tokenizer.Stages(model: .bytePair(model), vocabularySize: texts.count)
        stages.preTokenizer = split.preTokenizer
        stages.postProcessor = try postProcessor(addsStart: split.addsStart, addsEnd: false)
        return stages
    }

    private static func byteLevel(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        return text.withUnsafeBufferPointer { ByteAlphabet.append($0, to: &bytes) } ? bytes : nil
    }

    private func merges(
        _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> (pairs: [MergeTable.Merge], results: [UInt32]) {
        guard let list = try metadata.strings("tokenizer.ggml.merges") else {
            throw TokenizerError(.malformed, place: "byte \(metadata.end)", "no tokenizer.ggml.merges")
        }
        var pairs: [MergeTable.Merge] = []
        var results: [UInt32] = []
        var known = Set<UInt64>()
        for range in list {
            // The first character may be a space.
            guard let space = metadata.bytes[range].dropFirst().firstIndex(of: 0x20) else {
                throw TokenizerError(.malformed, place: "byte \(range.lowerBound)", "not two tokens")
            }
            guard let first = Self.byteLevel(metadata.bytes[range.lowerBound..<space]),
                let second = Self.byteLevel(metadata.bytes[space + 1..<range.upperBound]),
                let left = vocabulary.id(first), let right = vocabulary.id(second),
                let result = vocabulary.id(first + second)
            else {
                throw TokenizerError(
                    .malformed, place: "byte \(range.lowerBound)", "a merge of a token that is not in the vocabulary")
            }
            // Of equal pairs the first counts.
            guard known.insert(UInt64(left) << 32 | UInt64(right)).inserted else { continue }
            pairs.append(MergeTable.Merge(left: left, right: right, rank: UInt32(truncatingIfNeeded: results.count)))
            results.append(result)
        }
        return (pairs, results)
    }

    /// `llama`: SentencePiece's BPE, without its normalizer.
    private func scored() throws(TokenizerError) -> Tokenizer.Stages {
        var tokens = texts.map { Normalizer.mappedSpaces($0) }
        let isPiece = texts.map { !$0.contains(0x20) }
        ScoredMerges.addVirtualCharacters(&tokens, isPiece: isPiece)
        let count = texts.count
        let vocabulary = try Vocabulary(tokens: tokens) { $0 >= count || isPiece[$0] }
        let merges = ScoredMerges(tokens: tokens, scores: scores, isPiece: isPiece, vocabulary)
        var options = BytePairModel.Options()
        options.startsWithCharacters = true
        options.firstVirtualID = UInt32(truncatingIfNeeded: count)
        options.unknown = unknown
        let bytes = byteTokens()
        if bytes.contains(where: { $0 != nil }) { options.byteFallback = bytes }
        let model = try BytePairModel(
            vocabulary: vocabulary, merges: merges.pairs, results: merges.results, priorities: merges.priorities,
            options: options)
        var stages = Tokenizer.Stages(model: .bytePair(model), vocabularySize: count)
        let addsPrefix = try metadata.flag("tokenizer.ggml.add_space_prefix") ?? true
        if addsPrefix { stages.normalizer.steps.append(.prepend([0x20])) }
        stages.normalizer.steps.append(.metaspaceToSpace)
        stages.postProcessor = try postProcessor(addsStart: true, addsEnd: false)
        stages.decoder.stripsLeadingSpace = addsPrefix
        for (byte, id) in bytes.enumerated() {
            if let id, attributes[Int(id)].contains(.byte) { stages.decoder.byteOfID[id] = UInt8(byte) }
        }
        return stages
    }

    /// Id of `<0x0A>` and its like by byte.
    private func byteTokens() -> [UInt32?] {
        var ids = [UInt32?](repeating: nil, count: 256)
        for (id, text) in texts.enumerated() {
            if let byte = SentencePieceModel.byteValue(text) { ids[Int(byte)] = UInt32(id) }
        }
        return ids
    }

    private func unigram() throws(TokenizerError) -> Tokenizer.Stages {
        let tokens = texts.map { Normalizer.mappedSpaces($0) }
        let isFound = texts.indices.map { id in
            !attributes[id].isDisjoint(with: [.normal, .userDefined, .unused]) && !texts[id].contains(0x20)
        }
        let entries = texts.indices.map { id in
            UnigramModel.Entry(
                text: isFound[id] ? tokens[id] : [], score: Double(scores[id]),
                isUserDefined: attributes[id].contains(.userDefined))
        }
        var options = UnigramModel.Options(unknown: unknown)
        options.userDefinedScore = 0
        let normal = texts.indices.filter { attributes[$0].contains(.normal) }.map { scores[$0] }
        // Its last bits count, and llama.cpp subtracts the penalty in single precision.
        options.unknownScore = Double((normal.min() ?? .greatestFiniteMagnitude) - 10)
        let vocabulary = try Vocabulary(tokens: tokens) { isFound[$0] }
        var stages = Tokenizer.Stages(
            model: .unigram(UnigramModel(vocabulary: vocabulary, entries: entries, options: options)),
            vocabularySize: texts.count)
        var rules = LlamaUnigramNormalizer()
        if let map = try metadata.byteArray("tokenizer.ggml.precompiled_charsmap"), !map.isEmpty {
            do throws(TokenizerError) {
                rules.map = try CharacterMap(map)
            } catch {
                throw TokenizerError(error.code, place: "byte \(map.startIndex)", error.message)
            }
        }
        rules.frozen = ByteTrie(texts.indices.filter { attributes[$0].contains(.userDefined) }.map { texts[$0] })
        rules.addsPrefix = try metadata.flag("tokenizer.ggml.add_space_prefix") ?? false
        rules.removesExtraSpaces = try metadata.flag("tokenizer.ggml.remove_extra_whitespaces") ?? false
        stages.normalizer.steps = [.llamaUnigram(rules)]
        stages.postProcessor = try postProcessor(addsStart: false, addsEnd: true)
        stages.decoder.stripsLeadingSpace = rules.addsPrefix || rules.removesExtraSpaces
        return stages
    }

    /// `bert`: the file's words begin with `▁`, their continuations with nothing.
    private func wordPiece() throws(TokenizerError) -> Tokenizer.Stages {
        guard let unknown else {
            throw TokenizerError(.malformed, place: "byte \(metadata.end)", "no unknown token")
        }
        guard let bos, let separator else {
            throw TokenizerError(.malformed, place: "byte \(metadata.end)", "no start token or no separator")
        }
        let vocabulary = try Vocabulary(tokens: texts) { _ in true }
        let options = WordPieceModel.Options(
            unknown: unknown, prefix: [], charactersMax: .max, wordStart: Normalizer.metaspace)
        var stages = Tokenizer.Stages(
            model: .wordPiece(WordPieceModel(vocabulary: vocabulary, options: options)), vocabularySize: texts.count)
        let lowercases = try metadata.flag("tokenizer.ggml.normalizer.lowercase") ?? true
        stages.normalizer.steps = [
            .llamaWords(
                LlamaWordNormalizer(
                    lowercases: lowercases,
                    stripsAccents: try metadata.flag("tokenizer.ggml.normalizer.strip_accents") ?? lowercases))
        ]
        stages.preTokenizer = .steps([.split(.literal([0x20]), .removed, inverted: false)])
        stages.postProcessor = PostProcessor(prefix: [bos], suffix: [separator])
        stages.decoder.stripsLeadingSpace = true
        for (id, text) in texts.enumerated() where text.starts(with: Normalizer.metaspace) {
            stages.decoder.textOfID[UInt32(id)] = [0x20] + text.dropFirst(Normalizer.metaspace.count)
        }
        return stages
    }

    // MARK: What else the file says

    /// Chat templates and special tokens, in the form of a `tokenizer_config.json`.
    private func configuration() throws(TokenizerError) -> [UInt8] {
        var templates: [(name: String, source: String)] = []
        if let standard = try metadata.text("tokenizer.chat_template") { templates.append(("default", standard)) }
        for range in try metadata.strings("tokenizer.chat_templates") ?? [] {
            let name = String(decoding: metadata.bytes[range], as: UTF8.self)
            if name != "default", let source = try metadata.text("tokenizer.chat_template." + name) {
                templates.append((name, source))
            }
        }
        var tokens: [(name: String, id: UInt32?)] = [("bos_token", bos), ("eos_token", eos), ("unk_token", unknown)]
        for (name, key) in [("sep_token", "seperator"), ("pad_token", "padding"), ("mask_token", "mask")] {
            tokens.append((name, try metadata.id("tokenizer.ggml.\(key)_token_id", below: texts.count)))
        }
        var writer = JSONWriter()
        writer.object { object in
            for (name, id) in tokens {
                if let id { object.member(name, String(decoding: texts[Int(id)], as: UTF8.self)) }
            }
            if templates.count == 1, templates[0].name == "default" {
                object.member("chat_template", templates[0].source)
            } else if !templates.isEmpty {
                object.key("chat_template")
                object.array { list in
                    for template in templates {
                        list.object {
                            $0.member("name", template.name)
                            $0.member("template", template.source)
                        }
                    }
                }
            }
        }
        return writer.bytes
    }
}
