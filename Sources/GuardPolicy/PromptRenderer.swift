package import GuardChatTemplates
import GuardJSON
package import GuardLLMSchema

/// Builds what a model server hands to its chat template from the messages of a request (DESIGN decision 7).
///
/// vLLM (`hf`): text parts joined with a newline, absent or null content as an empty string, the arguments of earlier
/// tool calls parsed from their JSON text, tools with `type` and `function {name, description, parameters}` first and
/// missing ones as null. Source: vLLM `entrypoints/chat_utils.py`, `protocol.py`.
/// TGI (`tgi`): text parts joined without a separator, arguments parsed, tools as sent.
/// Source: text-generation-inference `router/src/chat.rs`, `infer/chat_template.rs`.
package struct PromptRenderer: Sendable {
    package var counting: ModelEntry.Counting
    package var templates: ModelTemplates

    package init(counting: ModelEntry.Counting, templates: ModelTemplates) {
        self.counting = counting
        self.templates = templates
    }

    /// The exact prompt of a conversation, UTF-8.
    package func render(_ chat: RequestView.Chat) throws(TemplateError) -> [UInt8] {
        guard let template = templates.template(hasTools: chat.tools != nil) else {
            throw TemplateError(.value, "the model has no chat template")
        }
        var extra = templates.variables
        if let documents = chat.documents { extra.append(("documents", Value(json: documents))) }
        if let arguments = chat.templateArguments {
            for (key, value) in arguments.members { extra.append((key.string ?? "", Value(json: value))) }
        }
        return try template.render(
            messages: .list(chat.messages.elements.map(message)), tools: chat.tools.map(tools),
            addGenerationPrompt: chat.addGenerationPrompt, extra: extra)
    }

    /// What transformers' `apply_chat_template` gives: messages and tools reach the template as they are.
    package func renderAsLibrary(_ chat: RequestView.Chat) throws(TemplateError) -> [UInt8] {
        guard let template = templates.template(hasTools: chat.tools != nil) else {
            throw TemplateError(.value, "the model has no chat template")
        }
        return try template.render(
            messages: Value(json: chat.messages), tools: chat.tools.map { Value(json: $0) },
            addGenerationPrompt: chat.addGenerationPrompt, extra: templates.variables)
    }

    private func message(_ node: JSONNode) -> Value {
        var pairs: [(String, Value)] = []
        var hasContent = false
        for (key, value) in node.members {
            guard let name = key.string else { continue }
            switch name {
            case "content":
                hasContent = true
                pairs.append((name, content(value)))
            case "tool_calls":
                if !value.isNull { pairs.append((name, .list(value.elements.map(toolCall)))) }
            case "reasoning_content", "reasoning", "refusal", "name", "tool_call_id":
                if !value.isNull { pairs.append((name, Value(json: value))) }
            default:
                pairs.append((name, Value(json: value)))
            }
        }
        if !hasContent { pairs.append(("content", .string(""))) }
        return .dictionary(pairs)
    }

    private func content(_ node: JSONNode) -> Value {
        switch node.kind {
        case .null: return .string("")
        case .array:
            var joined: [UInt8] = []
            var isFirst = true
            for part in node.elements {
                guard let text = part.kind == .string ? part.stringBytes : (part["text"] ?? part["refusal"])?.stringBytes
                else { continue }
                if !isFirst, counting == .hf { joined.append(UInt8(ascii: "\n")) }
                joined += text
                isFirst = false
            }
            return .string(utf8: joined)
        default: return Value(json: node)
        }
    }

    /// Arguments arrive as JSON text and reach the template as an object. Text that is no JSON stays text: the server
    /// would answer with an error or take it as it is, and neither has another count to compare with.
    private func toolCall(_ node: JSONNode) -> Value {
        guard let function = node["function"], let text = function["arguments"]?.stringBytes else {
            return Value(json: node)
        }
        let arguments = text.isEmpty ? nil : try? JSONDocument(text)
        let parsed = text.isEmpty ? Value.dictionary([]) : arguments.map { Value(json: $0.root) }
        guard let parsed else { return Value(json: node) }
        return replacing("function", in: node) { replacing("arguments", in: $0) { _ in parsed } }
    }

    private func replacing(_ name: String, in node: JSONNode, by make: (JSONNode) -> Value) -> Value {
        .dictionary(
            node.members.map { key, value in
                let key = key.string ?? ""
                return (key, key == name ? make(value) : Value(json: value))
            })
    }

    private func tools(_ node: JSONNode) -> Value {
        guard counting == .hf else { return Value(json: node) }
        return .list(
            node.elements.map { tool in
                ordered(tool, first: ["type", "function"]) { name, value in
                    name == "function" && value?.kind == .object
                        ? self.ordered(value, first: ["name", "description", "parameters"]) { _, value in
                            value.map { Value(json: $0) } ?? .none
                        }
                        : value.map { Value(json: $0) } ?? (name == "type" ? .string("function") : .none)
                }
            })
    }

    /// The members in the order of a pydantic model: declared fields first, what else was sent behind them.
    private func ordered(
        _ node: JSONNode?, first: [String], _ make: (String, JSONNode?) -> Value
    ) -> Value {
        guard let node else { return .none }
        var pairs = first.map { ($0, make($0, node[$0])) }
        for (key, value) in node.members {
            guard let name = key.string, !first.contains(name) else { continue }
            pairs.append((name, make(name, value)))
        }
        return .dictionary(pairs)
    }
}

/// The compiled chat templates of one model.
package struct ModelTemplates: Sendable {
    package var standard: ChatTemplate?
    /// Used instead where the request has tools.
    package var toolUse: ChatTemplate?
    /// `bos_token`, `eos_token` ... as the template sees them.
    package var variables: [(String, Value)]

    package init(standard: ChatTemplate? = nil, toolUse: ChatTemplate? = nil, variables: [(String, Value)] = []) {
        self.standard = standard
        self.toolUse = toolUse
        self.variables = variables
    }

    package init(_ config: TokenizerConfig) throws(TemplateError) {
        let plain = config.chatTemplate(hasTools: false)
        let withTools = config.chatTemplate(hasTools: true)
        standard = if let plain { try ChatTemplate(source: plain.source) } else { nil }
        toolUse = if let withTools, withTools != plain { try ChatTemplate(source: withTools.source) } else { nil }
        variables = config.templateVariables
    }

    package func template(hasTools: Bool) -> ChatTemplate? { hasTools ? toolUse ?? standard : standard }
}
