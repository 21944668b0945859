import GuardJSON

/// Decoders.
extension TokenizerJSON {
    func decoder(_ vocabulary: Vocabulary, _ added: [AddedToken]) throws(TokenizerError) -> Decoder {
        var decoder = Decoder()
        for token in added { decoder.textOfID[token.id] = mapped(token.content) }
        let nodes = Self.flattened(root["decoder"], "decoders")
        switch nodes.map(\.type) {
        case []:
            // Without a decoder the tokens themselves stand with spaces between them.
            if isByteLevel || usesMetaspace { break }
            decoder.joinsWithSpaces = true
            return decoder
        case ["ByteLevel"] where isByteLevel: return decoder
        case ["WordPiece"]:
            decoder.wordPiece = wordPiece(nodes[0])
            return decoder
        case ["Metaspace"] where usesMetaspace && Self.isMetaspace(nodes[0]):
            decoder.dropsSpacesOfFirst = Self.prepends(nodes[0])
            return decoder
        case ["Replace", "ByteFallback", "Fuse"], ["Replace", "ByteFallback", "Fuse", "Strip"]:
            guard usesMetaspace, nodes[0]["pattern"]?["String"]?.stringBytes == Normalizer.metaspace,
                nodes[0]["content"]?.stringBytes == [0x20]
            else { break }
            if nodes.count == 4 {
                guard nodes[3]["content"]?.stringBytes == [0x20], nodes[3]["start"]?.integer == 1,
                    nodes[3]["stop"]?.integer == 0
                else { break }
                decoder.stripsLeadingSpace = true
            }
            for byte in 0..<256 {
                if let id = vocabulary.id(Self.byteToken(byte)) { decoder.byteOfID[id] = UInt8(byte) }
            }
            return decoder
        default: break
        }
        var steps: [DecoderChain.Step] = []
        for node in nodes { steps.append(try decoderStep(node)) }
        decoder.chain = DecoderChain(steps: steps, tokens: try rawTokens())
        return decoder
    }

    private func wordPiece(_ node: JSONNode) -> Decoder.WordPiece {
        Decoder.WordPiece(
            prefix: node["prefix"]?.stringBytes ?? Array("##".utf8), cleansUp: node["cleanup"]?.bool ?? true)
    }

    private static func isMetaspace(_ node: JSONNode) -> Bool {
        node["replacement"]?.stringBytes ?? Normalizer.metaspace == Normalizer.metaspace
    }

    /// Whether the first token has a `▁` that is not of the text.
    private static func prepends(_ node: JSONNode) -> Bool {
        node["prepend_scheme"]?.string.map { $0 != "never" } ?? node["add_prefix_space"]?.bool ?? true
    }

    private func decoderStep(_ node: JSONNode) throws(TokenizerError) -> DecoderChain.Step {
        func text(_ key: String, _ standard: String) -> [UInt8] { node[key]?.stringBytes ?? Array(standard.utf8) }
        func count(_ key: String) throws(TokenizerError) -> Int {
            guard let value = node[key]?.integer, value >= 0, value < 1 << 31 else { throw malformed(node, "no \(key)") }
            return Int(value)
        }
        switch node.type {
        case "ByteLevel": return .byteLevel
        case "ByteFallback": return .byteFallback
        case "Fuse": return .fuse
        case "WordPiece": return .wordPiece(wordPiece(node))
        case "Metaspace":
            return .metaspace(replacement: text("replacement", "\u{2581}"), isPrepended: Self.prepends(node))
        case "BPEDecoder": return .endOfWord(text("suffix", "</w>"))
        case "CTC":
            return .ctc(
                padding: text("pad_token", "<pad>"), delimiter: text("word_delimiter_token", "|"),
                cleansUp: node["cleanup"]?.bool ?? true)
        case "Strip": return .strip(text("content", " "), start: try count("start"), stop: try count("stop"))
        case "Replace":
            guard let content = node["content"]?.stringBytes else { throw malformed(node, "Replace without content") }
            if let pattern = node["pattern"]?["String"]?.stringBytes { return .replace(pattern, with: content) }
            guard let pattern = node["pattern"]?["Regex"]?.string else { throw malformed(node, "no pattern") }
            return .replacePattern(try splitPattern(pattern, node), with: content)
        default: throw TokenizerError(.unsupported, place: node.pointer, "decoder \(node.type)")
        }
    }

    /// Tokens by id as the file writes them; of an added token its content.
    private func rawTokens() throws(TokenizerError) -> [UInt32: [UInt8]] {
        var tokens: [UInt32: [UInt8]] = [:]
        guard let list = root["model"]?["vocab"] else { return tokens }
        if list.kind == .array {
            for (id, entry) in list.elements.enumerated() { tokens[UInt32(id)] = entry[0]?.stringBytes }
        } else {
            for (key, value) in list.members { if let id = id(value) { tokens[id] = key.stringBytes } }
        }
        if let added = root["added_tokens"], !added.isNull {
            for node in added.elements { if let id = id(node["id"]) { tokens[id] = node["content"]?.stringBytes } }
        }
        return tokens
    }
}
