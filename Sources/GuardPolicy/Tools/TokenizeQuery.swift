import GuardChatTemplates
package import GuardCore
package import GuardJSON
import GuardTokenizers

/// One text or conversation to tokenize: what `guardctl tokenize` reads as a line and `POST /v1/tokenize` as a body
/// (DESIGN section 7): `{"id","text"}` or `{"id","messages","tools","add_generation_prompt"}`.
package struct TokenizeQuery: Sendable {
    package enum Subject: Sendable {
        case text([UInt8])
        case chat(messages: JSONNode, tools: JSONNode?, addGenerationPrompt: Bool)
    }

    package struct Options: Sendable {
        /// nil: true for text, false for chat, whose template writes them.
        package var addSpecialTokens: Bool?
        package var specialAsText = false
        package var countOnly = false

        package init() {}
    }

    /// JSON of the caller's name for it, given back as it is.
    package var id: [UInt8]?
    package var subject: Subject
    package var options: Options
    /// Of the admin endpoint, which serves several.
    package var model: String?

    private static let keys: Set = [
        "id", "text", "messages", "tools", "add_generation_prompt", "add_special_tokens", "special_as_text",
        "count_only", "model",
    ]

    package init(text: [UInt8], options: Options = Options()) {
        subject = .text(text)
        self.options = options
    }

    /// - Parameters:
    ///   - options: what the line does not say itself.
    ///   - isStrict: refuses fields that it does not know. Files of test vectors have more.
    package init(json: JSONNode, options standard: Options = Options(), isStrict: Bool = true) throws(QueryError) {
        guard json.kind == .object else { throw QueryError("an object is wanted") }
        if isStrict {
            for (key, _) in json.members {
                guard let name = key.string, Self.keys.contains(name) else {
                    throw QueryError("unknown field; known are \(Self.keys.sorted().joined(separator: ", "))")
                }
            }
        }
        id = json["id"].map { Array($0.rawBytes) }
        options = standard
        if let flag = try Self.flag(json, "add_special_tokens") { options.addSpecialTokens = flag }
        if let flag = try Self.flag(json, "special_as_text") { options.specialAsText = flag }
        if let flag = try Self.flag(json, "count_only") { options.countOnly = flag }
        if let name = json["model"], !name.isNull {
            guard let text = name.string else { throw QueryError("model: a string is wanted") }
            model = text
        }
        switch (json["text"], json["messages"]) {
        case (let text?, nil):
            guard let bytes = text.stringBytes else { throw QueryError("text: a string is wanted") }
            subject = .text(bytes)
        case (nil, let messages?):
            guard messages.kind == .array else { throw QueryError("messages: an array is wanted") }
            let tools = json["tools"].flatMap { $0.isNull ? nil : $0 }
            guard tools == nil || tools?.kind == .array else { throw QueryError("tools: an array is wanted") }
            subject = .chat(
                messages: messages, tools: tools,
                addGenerationPrompt: try Self.flag(json, "add_generation_prompt") ?? true)
        default: throw QueryError("exactly one of text and messages is wanted")
        }
    }

    private static func flag(_ json: JSONNode, _ key: String) throws(QueryError) -> Bool? {
        guard let node = json[key], !node.isNull else { return nil }
        guard let flag = node.bool else { throw QueryError("\(key): true or false is wanted") }
        return flag
    }
}

/// `{"id","ids","count"}`, of a conversation also `"rendered"`; `{"id","error"}` where the template raises.
package struct TokenizeReport: Sendable {
    package var id: [UInt8]?
    /// nil where only the count was wanted.
    package var ids: [TokenID]?
    package var count: Int?
    package var rendered: [UInt8]?
    package var error: String?

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if let id {
                writer.key("id")
                writer.raw(id)
            }
            if let ids {
                writer.key("ids")
                writer.array { for id in ids { $0.integer(id.value) } }
            }
            if let count { writer.member("count", count) }
            if let rendered { writer.member("rendered", utf8: rendered) }
            if let error { writer.member("error", error) }
        }
    }
}

extension ModelEntry {
    /// Tokenizes as the model's own library does: a conversation as `apply_chat_template` renders it, messages as they
    /// are. What a server makes of them before it renders is `PromptRenderer`'s.
    package func tokenize(_ query: TokenizeQuery) throws(QueryError) -> TokenizeReport {
        var report = TokenizeReport(id: query.id)
        let text: [UInt8]
        let isChat: Bool
        switch query.subject {
        case .text(let bytes): (text, isChat) = (bytes, false)
        case .chat(let messages, let tools, let addGenerationPrompt):
            guard let template = templates.template(hasTools: tools != nil) else {
                throw QueryError("the model has no chat template")
            }
            do {
                text = try template.render(
                    messages: Value(json: messages), tools: tools.map { Value(json: $0) },
                    addGenerationPrompt: addGenerationPrompt, extra: templates.variables)
            } catch {
                report.error = error.message
                return report
            }
            report.rendered = text
            isChat = true
        }
        guard let tokenizer else { throw QueryError("the model has no tokenizer") }
        let specials: SpecialTokens = query.options.specialAsText ? .asText : isChat ? .parseControl : .parse
        let addSpecialTokens = query.options.addSpecialTokens ?? !isChat
        if query.options.countOnly {
            report.count = tokenizer.count(text, specials: specials, addSpecialTokens: addSpecialTokens)
        } else {
            let ids = tokenizer.encode(text, specials: specials, addSpecialTokens: addSpecialTokens)
            report.ids = ids
            report.count = ids.count
        }
        return report
    }
}

extension PolicySnapshot {
    /// Of the model that the query names, or the default one.
    package func tokenize(_ query: TokenizeQuery) throws(QueryError) -> TokenizeReport {
        guard let name = query.model ?? catalog.defaultModel else { throw QueryError("model: missing") }
        guard let entry = catalog.entry(named: name) else {
            throw QueryError(.modelNotFound, "model: not one of those that are served")
        }
        return try entry.tokenize(query)
    }
}
