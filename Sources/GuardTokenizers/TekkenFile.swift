import GuardJSON

/// Reads Mistral's `tekken.json`.
///
/// Only the first `default_vocab_size - default_num_special_tokens` entries count. Special tokens come first, so an id
/// is the rank plus their number. mistral-common never reads special tokens from text: they are control tokens here.
enum TekkenFile {
    /// Names of the first special tokens of files that do not list them (tekken v3).
    private static let defaultSpecial = [
        "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
        "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
    ]

    static func isRecognised(_ root: JSONNode) -> Bool {
        root["config"]?["pattern"] != nil && root["vocab"]?.kind == .array
    }

    static func load(_ document: JSONDocument) throws(TokenizerError) -> Tokenizer.Stages {
        let root = document.root
        guard let config = root["config"], let pattern = config["pattern"]?.string,
            let size = config["default_vocab_size"]?.integer,
            let specialCount = config["default_num_special_tokens"]?.integer,
            size > specialCount, specialCount > 0, size < Int64(Vocabulary.idsMax), let list = root["vocab"]
        else { throw TokenizerError(.malformed, place: "/config", "sizes or pattern missing") }
        guard let scanner = PieceScanner.named(by: pattern) else {
            throw TokenizerError(.unsupported, place: "/config/pattern", "a split pattern of tekken that is not known")
        }
        let special = try specialTokens(root, count: Int(specialCount))
        let ranksCount = Int(size - specialCount)
        var tokens = [[UInt8]](repeating: [], count: ranksCount)
        for (position, entry) in list.elements.enumerated() where position < ranksCount {
            guard let rank = entry["rank"]?.integer, let text = entry["token_bytes"]?.stringBytes,
                let token = Base64.decode(text[...]), tokens.indices.contains(Int(rank)), tokens[Int(rank)].isEmpty
            else { throw TokenizerError(.malformed, place: "/vocab/\(position)", "no token with a rank of its own") }
            tokens[Int(rank)] = token
        }
        var stages = try TiktokenFile.stages(
            tokens: Array(repeating: [], count: Int(specialCount)) + tokens, scanner: scanner, special: special)
        for (index, token) in stages.addedTokens.enumerated() {
            stages.addedTokens[index].isControl = true
            stages.addedTokens[index].isSpecial = true
            stages.decoder.textOfID[token.id] = token.content
        }
        stages.vocabularySize = Int(size)
        stages.version = config["version"]?.string
        stages.postProcessor.prefix = special.first { $0.0 == "<s>" }.map { [$0.1] } ?? []
        (stages.bosToken, stages.eosToken) = ("<s>", "</s>")
        return stages
    }

    private static func specialTokens(_ root: JSONNode, count: Int) throws(TokenizerError) -> [(String, UInt32)] {
        var tokens: [(String, UInt32)] = []
        if let list = root["special_tokens"], list.kind == .array {
            for entry in list.elements {
                guard let rank = entry["rank"]?.integer, rank >= 0, rank < Int64(count),
                    let text = entry["token_str"]?.string
                else { throw TokenizerError(.malformed, place: entry.pointer, "not a special token") }
                tokens.append((text, UInt32(truncatingIfNeeded: rank)))
            }
        } else {
            for (id, name) in defaultSpecial.enumerated().prefix(count) { tokens.append((name, UInt32(id))) }
        }
        let known = Set(tokens.map(\.1))
        for id in 0..<UInt32(count) where !known.contains(id) { tokens.append(("<SPECIAL_\(id)>", id)) }
        return tokens
    }
}
