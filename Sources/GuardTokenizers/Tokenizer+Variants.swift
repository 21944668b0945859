package import GuardCore

extension Tokenizer {
    /// What the file calls its own version (`v3` of `tekken.json`).
    package var version: String? { stages.version }

    /// Whether the post-processor puts tokens (`<s>`) before a text.
    package var addsStartToken: Bool { !stages.postProcessor.prefix.isEmpty }

    /// Whether spaces and `▁` (U+2581) in a text are one character to the vocabulary.
    package var readsWordMarks: Bool {
        stages.normalizer.steps.contains { if case .metaspaceToSpace = $0 { true } else { false } }
    }

    /// Id of an added token by its exact text, e.g. `[INST]`.
    package func addedToken(_ text: String) -> TokenID? {
        let bytes = Array(text.utf8)
        return stages.addedTokens.last { $0.content == bytes }.map { TokenID($0.id) }
    }

    /// The same vocabulary with the pipeline that transformers 5 runs: it makes `LlamaTokenizer`'s files anew, so that `▁`
    /// is put before the first text only, not before each text between added tokens.
    package func asTransformers5(_ model: TransformersModel = TransformersModel()) -> Tokenizer {
        if model.keepsPipeline { return self }
        guard format == .tokenizerJSON, stages.normalizer.steps.count == 2, case .whole = stages.preTokenizer,
            case .prepend([0x20]) = stages.normalizer.steps[0], case .metaspaceToSpace = stages.normalizer.steps[1]
        else { return self }
        var stages = stages
        stages.normalizer = Normalizer()
        stages.preTokenizer = .steps([.metaspace(prepends: .first, splits: false)])
        // Contents of tokens that are looked for in normalized text were normalized with the prefix.
        for (index, token) in stages.addedTokens.enumerated() where token.isNormalized {
            if token.content.first == 0x20 { stages.addedTokens[index].content.removeFirst() }
        }
        return Tokenizer(format: format, source: source, hash: hash, stages: stages)
    }

    /// A `tokenizer.json` as llama.cpp runs the vocabulary that its converter makes of it: no normal form, tokens that
    /// swallow no white space, `</s>` a control token even where it is a word, and tekken's split pattern without marks. Exact is only the GGUF file itself: of Phi-3,
    /// llama.cpp lets tokens swallow white space if the file's name of the model says `phi-3`.
    package func asLlama() -> Tokenizer {
        guard format == .tokenizerJSON else { return self }
        var stages = stages
        stages.normalizer.steps.removeAll { if case .form = $0 { true } else { false } }
        if stages.addedTokens.contains(where: { $0.stripsLeft || $0.stripsRight }) {
            stages.estimatedWhy = stages.estimatedWhy ?? "llamacpp_token_flags"
            for index in stages.addedTokens.indices {
                stages.addedTokens[index].stripsLeft = false
                stages.addedTokens[index].stripsRight = false
            }
        }
        for text in Self.llamaEnds where !stages.addedTokens.contains(where: { $0.content == text }) {
            guard let id = stages.model.vocabulary.id(text) else { continue }
            stages.addedTokens.append(AddedToken(id: id, content: text, isSpecial: true, isControl: true))
        }
        if case .scanner(let scanner) = stages.preTokenizer, scanner.family == .cased, !scanner.takesContraction,
            let pattern = try? SplitPattern(Self.llamaTekken)
        {
            stages.preTokenizer = .steps([.split(.pattern(pattern), .isolated, inverted: false)])
        }
        return Tokenizer(format: format, source: source, hash: hash, stages: stages)
    }

    /// Entries of a vocabulary that llama.cpp takes for control tokens that end a text, whatever the file says of them (its
    /// list of ends in `src/llama-vocab.cpp`).
    private static let llamaEnds: [[UInt8]] = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
        "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
        "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    ].map { Array($0.utf8) }

    /// `LLAMA_VOCAB_PRE_TYPE_TEKKEN` of `src/llama-vocab.cpp`: it stands in for classes of case, which that engine lacks.
    private static let llamaTekken =
        #"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+|"#
        + #"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]))*|"#
        + #"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
}
