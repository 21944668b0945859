import GuardCore
import GuardJSON

extension Tokenizer {
    /// Loads a file by its content (an image of `TokenizerImage` is mapped), or a model folder (`tokenizer.json` preferred, then `tekken.json`,
    /// `tokenizer.model`, `*.tiktoken`). A `tokenizer_config.json` beside the file names the start and end tokens.
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
        let found = FileBytes.names(in: folder).first { $0.hasSuffix(".tiktoken") || $0.hasSuffix(".gtok") }
        guard let found else {
            throw TokenizerError(
                .unreadable, file: folder, "no tokenizer.json, tekken.json, tokenizer.model, *.tiktoken or *.gtok")
        }
        return folder + "/" + found
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
        if bytes.starts(with: "GGUF".utf8) {
            throw TokenizerError(.unsupported, "GGUF vocabularies are not read yet")
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
            .unknownFormat, "neither tokenizer.json, tekken.json, a SentencePiece model nor a tiktoken rank file")
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
