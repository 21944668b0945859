import GuardAssembly
import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardPolicy
import GuardTokenizers

/// Everything that `guardctl tokenizer inspect` shows.
struct TokenizerInspection {
    struct Template {
        var name: String
        var sha256: String
        var bytesCount: Int
        /// Why our engine does not read it.
        var error: String?
        var variables: [String] = []
        /// `string` or `openai`: whether it wants content as text or as a list of parts.
        var contentFormat: String?
    }

    let path: String
    let source: ModelSource
    let config: TokenizerConfig?
    let description: TokenizerDescription
    let templates: [Template]

    /// - Throws: where the tokenizer does not load. A template that does not parse is shown, not thrown.
    init(path: String) throws {
        self.path = path
        source = try ModelSource.load(path: path)
        config = try ServedModel.configuration(of: source, path: path)
        description = TokenizerDescription(source.tokenizer)
        templates = (config?.chatTemplates ?? []).map(Self.template)
    }

    private static func template(_ named: TokenizerConfig.NamedTemplate) -> Template {
        let bytes = Array(named.source.utf8)
        var template = Template(name: named.name, sha256: ModelFile.sha256(bytes), bytesCount: bytes.count)
        do {
            template.contentFormat = try ChatTemplate(source: named.source).contentFormat.rawValue
            template.variables = try ChatTemplate.variables(of: named.source)
        } catch {
            template.error = error.line > 0 ? "line \(error.line): \(error)" : "\(error)"
        }
        return template
    }

    var container: String {
        switch source.container {
        case .folder: "folder"
        case .file: "file"
        case .image: "image"
        }
    }

    /// Counting modes that fit (DESIGN decision 7), with what to mind.
    var countingModes: [(name: String, note: String)] {
        let tokenizer = source.tokenizer
        let hasTemplate = templates.contains { $0.error == nil }
        let chat = hasTemplate ? "" : "texts only: no chat template"
        var modes = [("hf", chat)]
        let isMadeAnew = tokenizer.asTransformers5(source.transformersModel) !== tokenizer
        let anew = isMadeAnew ? "other ids than hf: transformers 5 makes this pipeline anew" : ""
        if isMadeAnew { modes.append(("hf5", anew)) }
        modes.append(("transformers5", [chat, anew].filter { !$0.isEmpty }.joined(separator: "; ")))
        if tokenizer.format == .tekken || tokenizer.addedToken("[INST]") != nil {
            modes.append(("mistral-common", tokenizer.version.map { "tekken \($0)" } ?? ""))
        }
        modes.append(("tgi", chat))
        modes.append(("llamacpp", chat))
        modes.append(("ollama", "chats are estimated"))
        return modes
    }

    /// What a text gets at its ends when special tokens are added, and what of it a chat gets.
    var startAndEnd: [String] {
        var lines: [String] = []
        func list(_ tokens: [TokenizerDescription.AddedToken]) -> String {
            tokens.map { "\($0.content.debugDescription) (\($0.id))" }.joined(separator: " ")
        }
        lines.append(
            description.prefix.isEmpty ? "nothing is put before a text" : "before a text: \(list(description.prefix))")
        lines.append(
            description.suffix.isEmpty ? "nothing is put behind a text" : "behind a text: \(list(description.suffix))")
        if let value = config?.addBosToken { lines.append("tokenizer_config.json: add_bos_token \(value)") }
        if let value = config?.addEosToken { lines.append("tokenizer_config.json: add_eos_token \(value)") }
        if let bos = source.tokenizer.bosToken, templates.contains(where: { $0.error == nil }) {
            let writes = templates.contains { $0.variables.contains("bos_token") }
                || (config?.chatTemplates ?? []).contains { $0.source.contains(bos) }
            lines.append("chats: " + (writes ? "the template writes the start token" : "the template writes no start token"))
        }
        return lines
    }
}
