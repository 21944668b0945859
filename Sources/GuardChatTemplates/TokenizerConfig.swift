private import GuardCore
package import GuardJSON

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
        fatalError()
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
