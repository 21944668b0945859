import Crypto
import GuardCore

/// A file that a model was loaded from.
package struct ModelFile: Sendable, Hashable {
    package enum Role: Int, Sendable, CaseIterable {
        /// What the tokenizer itself was read from.
        case vocabulary
        /// `tokenizer_config.json`.
        case configuration
        /// `chat_template.jinja`.
        case template
        /// `config.json`: the kind of the model.
        case model
    }

    package var role: Role
    /// The name in its folder.
    package var name: String
    /// Lower-case hex.
    package var sha256: String
    package var bytesCount: Int
    /// `nil` for a vocabulary of which only the tables were kept.
    package var content: [UInt8]?

    package init(role: Role, name: String, content: [UInt8]) {
        self.init(role: role, name: name, sha256: Self.sha256(content), bytesCount: content.count, content: content)
    }

    init(role: Role, name: String, sha256: String, bytesCount: Int, content: [UInt8]?) {
        self.role = role
        self.name = name
        self.sha256 = sha256
        self.bytesCount = bytesCount
        self.content = content
    }

    /// Lower-case hex.
    package static func sha256(_ bytes: [UInt8]) -> String {
        var digest = SHA256()
        bytes.withUnsafeBytes { digest.update(bufferPointer: $0) }
        return hexadecimal(digest.finalize())
    }
}

/// A model as its folder, a lone tokenizer file or a compiled image gives it: the tokenizer, and the files that the chat
/// template and the names of the special tokens are read from.
package struct ModelSource: Sendable {
    package enum Container: Sendable, Hashable {
        case folder, file
        /// Version of the image's format.
        case image(version: UInt32)
    }

    package var container: Container
    package var tokenizer: Tokenizer
    /// The vocabulary first; without content unless it was asked for.
    package var files: [ModelFile]
    /// Whether chats are rendered by what the files say. A lone file has no template, even where one lies beside it;
    /// then `tokenizer_config.json` only names the start and end tokens.
    package var hasTemplates: Bool
    /// An image's tables are used where they lie; an image of the source file loads as that file does.
    package var isMapped = false

    /// What transformers 5 chooses the tokenizer's class by.
    package var transformersModel: TransformersModel { TransformersModel(files) }

    package func file(_ role: ModelFile.Role) -> ModelFile? { files.first { $0.role == role } }

    /// Reads everything of a model that counting needs.
    /// - Parameter keepsVocabulary: whether the vocabulary's file is kept, which an image of some kinds needs.
    package static func load(path: String, keepsVocabulary: Bool = false) throws(TokenizerError) -> ModelSource {
        let isFolder = FileBytes.isFolder(path)
        let file = isFolder ? try Tokenizer.vocabularyFile(of: path) : path
        if try FileBytes.begins(file, with: TokenizerImage.magic) {
            do {
                var source = try TokenizerImage.source(try ImageMemory(path: file), name: file)
                if !keepsVocabulary { source.dropVocabulary() }
                return source
            } catch {
                throw error.inFile(file)
            }
        }
        let (folder, name) = split(file)
        let vocabulary = try FileBytes.read(file)
        let configuration = try optional(.configuration, "tokenizer_config.json", in: folder)
        let tokenizer = try Tokenizer.load(bytes: vocabulary, name: file, configuration: configuration?.content)
        var files = [
            ModelFile(
                role: .vocabulary, name: name, sha256: tokenizer.hash, bytesCount: vocabulary.count,
                content: keepsVocabulary ? vocabulary : nil)
        ]
        if let configuration { files.append(configuration) }
        if let model = try optional(.model, "config.json", in: folder) { files.append(model) }
        if isFolder, let template = try optional(.template, "chat_template.jinja", in: folder) {
            files.append(template)
        }
        return ModelSource(
            container: isFolder ? .folder : .file, tokenizer: tokenizer, files: files, hasTemplates: isFolder)
    }

    private mutating func dropVocabulary() {
        for index in files.indices where files[index].role == .vocabulary { files[index].content = nil }
    }

    private static func optional(
        _ role: ModelFile.Role, _ name: String, in folder: String
    ) throws(TokenizerError) -> ModelFile? {
        let path = folder + "/" + name
        guard FileBytes.exists(path) else { return nil }
        return ModelFile(role: role, name: name, content: try FileBytes.read(path))
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }
}
