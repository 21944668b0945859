package import GuardChatTemplates
import GuardCore
package import GuardPolicy
package import GuardTokenizers

/// A model as guardd serves it: its tokenizer, and its chat templates read and compiled.
package struct ServedModel: Sendable {
    package var source: ModelSource
    package var templates: ModelTemplates

    package var tokenizer: Tokenizer { source.tokenizer }

    /// - Parameters:
    ///   - path: a model folder, a lone tokenizer file, or a compiled image.
    ///   - keepsVocabulary: see `ModelSource.load`.
    /// - Throws: `TokenizerError`, or `Diagnostic` for what is wrong with the templates.
    package static func load(path: String, keepsVocabulary: Bool = false) throws -> ServedModel {
        let source = try ModelSource.load(path: path, keepsVocabulary: keepsVocabulary)
        return ServedModel(source: source, templates: try templates(of: source, path: path))
    }

    /// The model in use, with the pipeline of the entry's counting mode.
    package func serve(in entry: inout ModelEntry) {
        entry.serve(tokenizer, templates, source.transformersModel)
    }

    /// The model counted as a server of this kind does.
    package func promptBuilder(_ counting: ModelEntry.Counting) -> PromptBuilder {
        var entry = ModelEntry(match: Glob("*"), counting: counting)
        serve(in: &entry)
        return PromptBuilder(
            tokenizer: entry.tokenizer ?? tokenizer, renderer: PromptRenderer(counting: counting, templates: templates))
    }

    /// None for a lone file or a base model.
    private static func templates(of source: ModelSource, path: String) throws -> ModelTemplates {
        guard let config = try configuration(of: source, path: path) else { return ModelTemplates() }
        do {
            return try ModelTemplates(config)
        } catch {
            let file = name(of: source.file(.template) ?? source.file(.configuration), source, path)
            throw Diagnostic(file: file, line: error.line, column: error.line > 0 ? 1 : 0, "\(error)")
        }
    }

    /// What the files of a model say about its chats; `nil` for a lone file and where there is nothing to read.
    package static func configuration(of source: ModelSource, path: String) throws -> TokenizerConfig? {
        guard source.hasTemplates else { return nil }
        let template = source.file(.template)
        let configuration = source.file(.configuration)
        guard let json = configuration?.content ?? (template == nil ? nil : Array("{}".utf8)) else { return nil }
        do {
            return try TokenizerConfig(
                json: json, chatTemplate: template?.content.map { String(decoding: $0, as: UTF8.self) })
        } catch {
            throw Diagnostic(file: name(of: configuration, source, path), "\(error)")
        }
    }

    /// What errors call a file of the model: its path, or its name in the image.
    private static func name(of file: ModelFile?, _ source: ModelSource, _ path: String) -> String {
        guard let file else { return path }
        if case .folder = source.container { return path + "/" + file.name }
        return path + ": " + file.name
    }
}
