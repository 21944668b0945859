package import GuardCore

extension Tokenizer {
    /// What the file calls its own version (`v3` of `tekken.json`).
    package var version: String? { stages.version }

    /// Whether the post-processor puts tokens (`<s>`) before a text.
    package var addsStartToken: Bool { !stages.postProcessor.prefix.isEmpty }

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
}
