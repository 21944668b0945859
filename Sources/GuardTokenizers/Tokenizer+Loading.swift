import GuardCore
import GuardJSON

extension Tokenizer {
    /// Loads a file by its content (an image of `TokenizerImage` is mapped), or a model folder (`tokenizer.json` preferred, then `tekken.json`,
    /// `tokenizer.model`, `*.tiktoken`, `*.gguf`). A `tokenizer_config.json` beside the file names the start and end tokens.
    package static func load(path: String) throws(TokenizerError) -> Tokenizer {
        try ModelSource.load(path: path).tokenizer
    }

    /// - Parameters:
    ///   - bytes: content of a tokenizer file of any known format.
    ///   - name: what errors and `source` call it.
    ///   - configuration: content of its `tokenizer_config.json`.
    package static func load(
        bytes: [UInt8], name: String, configuration: [UInt8]? = nil
    ) throws(TokenizerError) -> Tokenizer {
        do {
            if bytes.starts(with: TokenizerImage.magic) {
                return try TokenizerImage.source(try ImageMemory(bytes), name: name).tokenizer
            }
            if bytes.starts(with: GGUFMetadata.magic) { return try gguf(bytes, name: name) }
            let config = try configuration.map { bytes throws(TokenizerError) in try TokenizerConfiguration(bytes) }
            var (format, stages) = try stages(bytes, config)
            if let bos = config?.bosToken { stages.bosToken = bos }
            if let eos = config?.eosToken { stages.eosToken = eos }
            return Tokenizer(format: format, source: name, hash: ModelFile.sha256(bytes), stages: stages)
        } catch {
            throw error.inFile(name)
        }
    }

    /// The file in a model folder that the tokenizer is read from.
    static func vocabularyFile(of folder: String) throws(TokenizerError) -> String {
        for name in ["tokenizer.json", "tekken.json", "tokenizer.model"] where FileBytes.exists(folder + "/" + name) {
            return folder + "/" + name
        }
        let names = FileBytes.names(in: folder)
        for ending in [".tiktoken", ".gtok", ".gguf"] {
            if let found = names.first(where: { $0.hasSuffix(ending) }) { return folder + "/" + found }
        }
        throw TokenizerError(
            .unreadable, file: folder,
            "no tokenizer.json, tekken.json, tokenizer.model, *.tiktoken, *.gtok or *.gguf")
    }

    /// A GGUF file says everything itself; a `tokenizer_config.json` beside it belongs to other files.
    private static func gguf(_ bytes: [UInt8], name: String) throws(TokenizerError) -> Tokenizer {
        let metadata = try GGUFMetadata.whole(bytes)
        let loaded = try GGUFVocabulary.load(metadata)
        return Tokenizer(
            format: .gguf, source: name, hash: ModelFile.sha256(Array(bytes[..<metadata.end])), stages: loaded.stages,
            embeddedConfiguration: loaded.configuration)
    }

    private static func stages(
        _ bytes: [UInt8], _ config: TokenizerConfiguration?
    ) throws(TokenizerError) -> (Format, Stages) {
        let first = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        if first == UInt8(ascii: "{") {
            let document: JSONDocument
            do {
                document = try JSONDocument(bytes)
            } catch {
                throw TokenizerError(.malformed, place: "byte \(error.offset)", error.code.rawValue)
            }
            if TekkenFile.isRecognised(document.root) { return (.tekken, try TekkenFile.load(document)) }
            return (.tokenizerJSON, try TokenizerJSON.load(document))
        }
        if TiktokenFile.isRecognised(bytes) {
            return (.tiktoken, try TiktokenFile.load(bytes, configuration: config))
        }
        if SentencePieceModel.isRecognised(bytes) {
            var stages = try SentencePieceModel.load(bytes)
            if config?.addsBOS == false { stages.postProcessor.prefix = [] }
            return (.sentencePiece, stages)
        }
        throw TokenizerError(
            .unknownFormat, "neither tokenizer.json, tekken.json, a SentencePiece model, a tiktoken rank file nor a GGUF file")
    }
}

/// What a tokenizer needs of `tokenizer_config.json`; the chat template is read elsewhere.
struct TokenizerConfiguration {
    var bosToken: String?
    var eosToken: String?
    var addsBOS: Bool?
    /// Added tokens by id.
    var special: [(String, UInt32)] = []

    /// Id of the start token, if texts begin with it.
    var startOfText: UInt32? {
        guard addsBOS == true, let bosToken else { return nil }
        return special.first { $0.0 == bosToken }?.1
    }

    init(_ bytes: [UInt8]) throws(TokenizerError) {
        let root: JSONNode
        do {
            root = try JSONDocument(bytes).root
        } catch {
            throw TokenizerError(
                .malformed, place: "byte \(error.offset)", "tokenizer_config.json: \(error.code.rawValue)")
        }
        bosToken = Self.token(root["bos_token"])
        eosToken = Self.token(root["eos_token"])
        addsBOS = root["add_bos_token"]?.bool
        guard let added = root["added_tokens_decoder"] else { return }
        for (key, value) in added.members {
            guard let id = key.string.flatMap({ UInt32($0) }), Int(id) < Vocabulary.idsMax,
                let content = value["content"]?.string
            else { continue }
            special.append((content, id))
        }
    }

    /// Written as a string or as an added token.
    private static func token(_ node: JSONNode?) -> String? { node?.string ?? node?["content"]?.string }
}
