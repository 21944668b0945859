private import GuardJSON

/// What the chat template needs from a model folder: `tokenizer_config.json`, and `chat_template.jinja` (or the older
/// `chat_template.json`) beside it.
package struct TokenizerConfig: Sendable {
    package struct NamedTemplate: Sendable, Hashable {
        /// `default`, `tool_use`, `rag` ...
        package var name: String
        package var source: String
    }

    /// Empty where the model has none (a base model).
    package var chatTemplates: [NamedTemplate] = []
    /// `bos_token`, `eos_token`, `unk_token`, `sep_token`, `pad_token`, `cls_token`, `mask_token` and others that end in
    /// `_token`, with their content.
    package var specialTokens: [(name: String, content: String)] = []
    package var additionalSpecialTokens: [String] = []
    /// `added_tokens_decoder` by id.
    package var addedTokens: [(id: Int, content: String, special: Bool)] = []
    package var addBosToken: Bool?
    package var addEosToken: Bool?
    package var modelMaxLength: Int?

    /// - Parameter chatTemplate: content of `chat_template.jinja`; it beats the one in the configuration, as in
    ///   transformers.
    /// - Throws: where it is not an object, or a part that is read has another type.
    package init(json: [UInt8], chatTemplate: String? = nil) throws(TokenizerConfigError) {
        let document: JSONDocument
        do {
            document = try JSONDocument(json)
        } catch {
            throw TokenizerConfigError(message: error.description)
        }
        let root = document.root
        guard root.kind == .object else { throw TokenizerConfigError(message: "must be an object") }
        for (key, value) in root.members {
            guard let name = key.string else { continue }
            switch name {
            case "chat_template": chatTemplates = try Self.templates(value)
            case "added_tokens_decoder": addedTokens = try Self.addedTokens(value)
            case "additional_special_tokens" where value.kind == .array:
                additionalSpecialTokens = value.elements.compactMap { Self.content($0) }
            case "add_bos_token": addBosToken = value.bool
            case "add_eos_token": addEosToken = value.bool
            case "model_max_length": modelMaxLength = value.integer.flatMap { Int(exactly: $0) }
            case _ where name.hasSuffix("_token"):
                if let content = Self.content(value) { specialTokens.append((name, content)) }
            default: break
            }
        }
        if let chatTemplate { chatTemplates = [NamedTemplate(name: "default", source: chatTemplate)] }
    }

    /// A string, or an `AddedToken` object with `content`.
    private static func content(_ node: JSONNode) -> String? { node.string ?? node["content"]?.string }

    private static func templates(_ node: JSONNode) throws(TokenizerConfigError) -> [NamedTemplate] {
        switch node.kind {
        case .null: return []
        case .string: return [NamedTemplate(name: "default", source: node.string ?? "")]
        case .array:
            var templates: [NamedTemplate] = []
            for element in node.elements {
                guard let name = element["name"]?.string, let source = element["template"]?.string else {
                    throw TokenizerConfigError(message: "chat_template: an entry has no name or template")
                }
                templates.append(NamedTemplate(name: name, source: source))
            }
            return templates
        case .object:
            // As older exports write it: name to template.
            return node.members.compactMap { key, value in
                guard let name = key.string, let source = value.string else { return nil }
                return NamedTemplate(name: name, source: source)
            }
        default: throw TokenizerConfigError(message: "chat_template must be a string or a list")
        }
    }

    private static func addedTokens(_ node: JSONNode) throws(TokenizerConfigError) -> [(id: Int, content: String, special: Bool)] {
        guard node.kind == .object else { throw TokenizerConfigError(message: "added_tokens_decoder must be an object") }
        var tokens: [(id: Int, content: String, special: Bool)] = []
        for (key, value) in node.members {
            guard let id = key.string.flatMap({ Int($0) }), let content = content(value) else {
                throw TokenizerConfigError(message: "added_tokens_decoder: an entry has no id or content")
            }
            tokens.append((id, content, value["special"]?.bool ?? false))
        }
        return tokens
    }

    package var bosToken: String? { specialToken("bos_token") }
    package var eosToken: String? { specialToken("eos_token") }

    package func specialToken(_ name: String) -> String? { specialTokens.first { $0.name == name }?.content }

    /// Variables for `ChatTemplate.render(extra:)`: special tokens that are set, as transformers passes them.
    package var templateVariables: [(String, Value)] {
        specialTokens.map { ($0.name, .string($0.content)) }
    }

    /// The template that transformers chooses: `tool_use` if there are tools and such a template, else `default`, else
    /// the only one.
    package func chatTemplate(hasTools: Bool) -> NamedTemplate? {
        if hasTools, let template = chatTemplates.first(where: { $0.name == "tool_use" }) { return template }
        return chatTemplates.first { $0.name == "default" } ?? (chatTemplates.count == 1 ? chatTemplates.first : nil)
    }
}

package struct TokenizerConfigError: Error, Sendable, CustomStringConvertible {
    package var message: String

    package var description: String { "tokenizer_config.json: \(message)" }
}
