import GuardJSON

/// Reads Hugging Face's `tokenizer.json`.
///
/// Whatever the file asks for and this reader does not do is an error: a tokenizer that is nearly right counts wrong.
struct TokenizerJSON {
    private let bytes: [UInt8]
    let root: JSONNode
    /// Spaces are written as `▁` in the vocabulary; see `Normalizer`.
    let usesMetaspace: Bool
    /// The vocabulary is written in GPT-2's byte alphabet.
    let isByteLevel: Bool

    static func load(_ document: JSONDocument) throws(TokenizerError) -> Tokenizer.Stages {
        try TokenizerJSON(document).stages()
    }

    private init(_ document: JSONDocument) {
        bytes = document.bytes
        root = document.root
        let normalizers = Self.flattened(root["normalizer"], "normalizers")
        let preTokenizers = Self.flattened(root["pre_tokenizer"], "pretokenizers")
        usesMetaspace =
            normalizers.contains(where: Self.replacesSpaces) || preTokenizers.contains { $0.type == "Metaspace" }
        isByteLevel = preTokenizers.contains { $0.type == "ByteLevel" }
    }

    private func stages() throws(TokenizerError) -> Tokenizer.Stages {
        if usesMetaspace && isByteLevel {
            throw TokenizerError(.unsupported, place: "/pre_tokenizer", "ByteLevel together with Metaspace")
        }
        guard let model = root["model"], model.kind == .object else {
            throw TokenizerError(.malformed, place: "/model", "no model")
        }
        let loaded = try self.model(model)
        let added = try addedTokens(loaded.vocabulary)
        let size = max(loaded.vocabulary.count, added.map { Int($0.id) + 1 }.max() ?? 0)
        var stages = Tokenizer.Stages(model: loaded, vocabularySize: size)
        let normalizer = try normalizer()
        stages.normalizer = normalizer
        stages.addedTokens = added.map { token in
            var token = token
            if token.isNormalized { token.content = normalizer.apply(token.content) }
            return token
        }
        stages.preTokenizer = try preTokenizer()
        stages.postProcessor = try postProcessor(root["post_processor"])
        stages.decoder = try decoder(loaded.vocabulary, added)
        return stages
    }

    // MARK: Around the model

    private func postProcessor(_ node: JSONNode?) throws(TokenizerError) -> PostProcessor {
        guard let node, node.kind == .object else { return PostProcessor() }
        switch node.type {
        case "ByteLevel": return PostProcessor(offsetTrimming: offsetTrimming(node))
        case "Sequence":
            var result = PostProcessor()
            for part in Self.flattened(node, "processors") {
                let outer = try postProcessor(part)
                result = PostProcessor(
                    prefix: outer.prefix + result.prefix, suffix: result.suffix + outer.suffix,
                    offsetTrimming: outer.offsetTrimming ?? result.offsetTrimming)
            }
            return result
        case "BertProcessing", "RobertaProcessing":
            guard let first = id(node["cls"]?[1]), let last = id(node["sep"]?[1]) else {
                throw malformed(node, "no ids of cls and sep")
            }
            return PostProcessor(
                prefix: [first], suffix: [last],
                offsetTrimming: node.type == "RobertaProcessing" ? offsetTrimming(node) : nil)
        case "TemplateProcessing":
            guard let template = node["single"], template.kind == .array else { throw malformed(node, "no template") }
            var result = PostProcessor()
            var isBehind = false
            for piece in template.elements {
                if piece["Sequence"] != nil {
                    guard !isBehind else {
                        throw TokenizerError(.unsupported, place: piece.pointer, "a template with the text twice")
                    }
                    isBehind = true
                } else if let name = piece["SpecialToken"]?["id"]?.string {
                    guard let ids = node["special_tokens"]?[name]?["ids"] else {
                        throw malformed(piece, "a special token that the template does not define")
                    }
                    for element in ids.elements {
                        guard let id = id(element) else { throw malformed(element, "not a token id") }
                        if isBehind { result.suffix.append(id) } else { result.prefix.append(id) }
                    }
                } else {
                    throw malformed(piece, "not a template piece")
                }
            }
            guard isBehind else { throw malformed(template, "a template without the text") }
            return result
        default:
            throw TokenizerError(.unsupported, place: node.pointer, "post-processor \(node.type)")
        }
    }

    private func offsetTrimming(_ node: JSONNode) -> PostProcessor.OffsetTrimming? {
        guard node["trim_offsets"]?.bool ?? true else { return nil }
        return PostProcessor.OffsetTrimming(addsPrefixSpace: node["add_prefix_space"]?.bool ?? true)
    }

    private func addedTokens(_ vocabulary: Vocabulary) throws(TokenizerError) -> [AddedToken] {
        guard let list = root["added_tokens"], !list.isNull else { return [] }
        var tokens: [AddedToken] = []
        for node in list.elements {
            guard let declared = id(node["id"]), let content = node["content"]?.stringBytes else {
                throw malformed(node, "an added token without id or content")
            }
            guard content.count <= AddedToken.bytesMax else {
                throw TokenizerError(.limitExceeded, place: node.pointer, "longer than \(AddedToken.bytesMax) bytes")
            }
            // The vocabulary's id wins, as in the original.
            var written: [UInt8] = []
            let token = AddedToken(
                id: isFindable(content, &written) ? vocabulary.id(written) ?? declared : declared, content: content,
                singleWord: node["single_word"]?.bool ?? false, stripsLeft: node["lstrip"]?.bool ?? false,
                stripsRight: node["rstrip"]?.bool ?? false, isNormalized: node["normalized"]?.bool ?? false,
                isSpecial: node["special"]?.bool ?? false)
            tokens.append(token)
        }
        return tokens
    }

    // MARK: Model

    func bytePairModel(_ model: JSONNode) throws(TokenizerError) -> BytePairModel {
        if let dropout = model["dropout"], !dropout.isNull, dropout.double != 0 {
            throw TokenizerError(.unsupported, place: dropout.pointer, "dropout makes ids random")
        }
        let vocabulary = try vocabulary(model)
        var options = BytePairModel.Options()
        options.ignoresMerges = model["ignore_merges"]?.bool ?? false
        options.startsWithCharacters = !isByteLevel
        options.affixes = try affixes(model)
        options.fusesUnknown = model["fuse_unk"]?.bool ?? false
        if model["byte_fallback"]?.bool ?? false {
            options.byteFallback = (0..<256).map { vocabulary.id(Self.byteToken($0)) }
        }
        if let unknown = model["unk_token"]?.stringBytes {
            var written: [UInt8] = []
            _ = isFindable(unknown, &written)
            options.unknown = vocabulary.id(written)
            // Byte-level vocabularies have a token for every text, and those with all bytes to fall back to.
            let isNeeded = !isByteLevel && options.byteFallback?.contains { $0 == nil } ?? true
            guard options.unknown != nil || !isNeeded else {
                throw TokenizerError(.malformed, place: "/model/unk_token", "not in the vocabulary")
            }
        }
        let merges = try merges(model, vocabulary, prefixCount: options.affixes?.prefix.count ?? 0)
        return try BytePairModel(
            vocabulary: vocabulary, merges: merges.pairs, results: merges.results, options: options)
    }

    private func affixes(_ model: JSONNode) throws(TokenizerError) -> BytePairModel.Affixes? {
        func affix(_ key: String) throws(TokenizerError) -> [UInt8] {
            guard let node = model[key], let text = node.stringBytes, !text.isEmpty else { return [] }
            var written: [UInt8] = []
            guard isFindable(text, &written) else {
                throw TokenizerError(.unsupported, place: node.pointer, "an affix that the vocabulary cannot write")
            }
            guard written.count <= 64 else { throw TokenizerError(.limitExceeded, place: node.pointer, "a long affix") }
            return written
        }
        let affixes = BytePairModel.Affixes(
            prefix: try affix("continuing_subword_prefix"), suffix: try affix("end_of_word_suffix"))
        return affixes == BytePairModel.Affixes() ? nil : affixes
    }

    func vocabulary(_ model: JSONNode) throws(TokenizerError) -> Vocabulary {
        guard let node = model["vocab"], node.kind == .object else {
            throw TokenizerError(.malformed, place: "/model/vocab", "no vocabulary")
        }
        var tokens: [[UInt8]] = []
        var isFindable: [Bool] = []
        let idsMax = Vocabulary.sparseIDsMax(node.count)
        for (key, value) in node.members {
            guard let id = id(value), Int(id) < idsMax else { throw malformed(value, "not a token id") }
            while tokens.count <= Int(id) {
                tokens.append([])
                isFindable.append(false)
            }
            guard tokens[Int(id)].isEmpty else { throw malformed(value, "two tokens with the id \(id)") }
            withText(key) { text in
                var written: [UInt8] = []
                isFindable[Int(id)] = self.isFindable(text, &written)
                tokens[Int(id)] = written
            }
        }
        return try Vocabulary(tokens: tokens) { isFindable[$0] }
    }

    private func merges(
        _ model: JSONNode, _ vocabulary: Vocabulary, prefixCount: Int
    ) throws(TokenizerError) -> (pairs: [MergeTable.Merge], results: [UInt32]) {
        guard let node = model["merges"], node.kind == .array else {
            throw TokenizerError(.malformed, place: "/model/merges", "no merges")
        }
        var pairs: [MergeTable.Merge] = []
        var results: [UInt32] = []
        var text: [UInt8] = []
        for element in node.elements {
            text.removeAll(keepingCapacity: true)
            var cut = 0
            var isUsable = true
            if element.kind == .string {
                var parts = 0
                withText(element) { pair in
                    guard let space = pair.firstIndex(of: 0x20) else { return }
                    let right = UnsafeBufferPointer(rebasing: pair[(space + 1)...])
                    parts = right.contains(0x20) ? 3 : 2
                    isUsable = isFindable(UnsafeBufferPointer(rebasing: pair[..<space]), &text)
                    cut = text.count
                    isUsable = isFindable(right, &text) && isUsable
                }
                guard parts == 2 else { throw malformed(element, "not two tokens") }
            } else {
                var parts = 0
                for part in element.elements where part.kind == .string {
                    withText(part) { isUsable = isFindable($0, &text) && isUsable }
                    parts += 1
                    if parts == 1 { cut = text.count }
                }
                guard parts == 2, element.kind == .array else { throw malformed(element, "not two tokens") }
            }
            // Tokens with a plain space cannot come up where spaces are replaced, so their merges never happen.
            guard isUsable else {
                if usesMetaspace {
                    results.append(0)
                    continue
                }
                throw malformed(element, "a merge of a token that is not in the vocabulary")
            }
            let ids = text.withUnsafeBufferPointer { text -> (UInt32, UInt32, UInt32)? in
                guard let base = text.baseAddress, let left = vocabulary.id(base, count: cut),
                    let right = vocabulary.id(base + cut, count: text.count - cut), text.count - cut >= prefixCount,
                    let result = prefixCount == 0
                        ? vocabulary.id(base, count: text.count)
                        : vocabulary.id(Array(text[..<cut]) + text[(cut + prefixCount)...])
                else { return nil }
                return (left, right, result)
            }
            guard let ids else { throw malformed(element, "a merge of a token that is not in the vocabulary") }
            pairs.append(MergeTable.Merge(left: ids.0, right: ids.1, rank: UInt32(truncatingIfNeeded: results.count)))
            results.append(ids.2)
        }
        return (pairs, results)
    }

    // MARK: Text of tokens

    /// Appends the bytes by which the model looks the token up.
    /// - Returns: `false` if no text can ever come up with this token; its own bytes are appended then.
    private func isFindable(_ token: UnsafeBufferPointer<UInt8>, _ bytes: inout [UInt8]) -> Bool {
        let start = bytes.count
        if isByteLevel {
            if ByteAlphabet.append(token, to: &bytes) { return true }
            bytes.removeSubrange(start...)
            bytes.append(contentsOf: token)
            return false
        }
        guard usesMetaspace else {
            bytes.append(contentsOf: token)
            return true
        }
        var hasSpace = false
        var at = 0
        while at < token.count {
            if token[at] == 0xE2, at + 2 < token.count, token[at + 1] == 0x96, token[at + 2] == 0x81 {
                bytes.append(0x20)
                at += 3
            } else {
                if token[at] == 0x20 { hasSpace = true }
                bytes.append(token[at])
                at += 1
            }
        }
        return !hasSpace
    }

    func isFindable(_ token: [UInt8], _ bytes: inout [UInt8]) -> Bool {
        token.withUnsafeBufferPointer { isFindable($0, &bytes) }
    }

    func mapped(_ text: [UInt8]) -> [UInt8] {
        usesMetaspace ? Normalizer(steps: [.metaspaceToSpace]).apply(text) : text
    }

    static func byteToken(_ byte: Int) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[byte >> 4 & 15], digits[byte & 15], UInt8(ascii: ">")]
    }

    func withText(_ node: JSONNode, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        if node.hasEscapes {
            (node.stringBytes ?? []).withUnsafeBufferPointer(body)
        } else {
            let range = node.contentRange
            bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[range])) }
        }
    }

    // MARK: Nodes

    /// A step, or the steps of nested sequences, in order. Depth is bounded by the JSON reader.
    static func flattened(_ node: JSONNode?, _ key: String) -> [JSONNode] {
        guard let node, node.kind == .object else { return [] }
        guard node.type == "Sequence", let steps = node[key] else { return [node] }
        return steps.elements.flatMap { flattened($0, key) }
    }

    static func replacesSpaces(_ node: JSONNode) -> Bool {
        node.type == "Replace" && node["pattern"]?["String"]?.stringBytes == [0x20]
            && node["content"]?.stringBytes == Normalizer.metaspace
    }

    func id(_ node: JSONNode?) -> UInt32? {
        guard let value = node?.integer, value >= 0, value < Int64(Vocabulary.idsMax) else { return nil }
        return UInt32(truncatingIfNeeded: value)
    }

    func malformed(_ node: JSONNode, _ message: String) -> TokenizerError {
        TokenizerError(.malformed, place: node.pointer, message)
    }

    /// A pattern for the general engine.
    func splitPattern(_ source: String, _ node: JSONNode) throws(TokenizerError) -> SplitPattern {
        do throws(TokenizerError) {
            return try SplitPattern(source)
        } catch {
            throw TokenizerError(error.code, place: node.pointer, error.message)
        }
    }

    func unsupportedSplit(_ node: JSONNode) -> TokenizerError {
        TokenizerError(.unsupported, place: node.pointer, "Split where spaces are replaced by U+2581")
    }
}

extension JSONNode {
    /// The `type` of a pipeline step.
    var type: String { self["type"]?.string ?? "" }
}
