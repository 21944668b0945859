package import GuardChatTemplates
import GuardJSON
package import GuardLLMSchema
import GuardTokenizers

/// Builds what a model server hands to its chat template from the messages of a request (DESIGN decision 7).
///
/// | counting | content parts | earlier tool calls | text is tokenized |
/// |---|---|---|---|
/// | `hf` (vLLM, SGLang) | `string` templates: joined with a newline; `openai` ones: a list of parts | arguments parsed | as the template wrote it |
/// | `hf5` | as `hf` | as `hf` | with the pipeline of transformers 5 |
/// | `transformers5` | joined with a space | arguments parsed, content beside calls left out | with that pipeline |
/// | `mistral-common` | see `MistralPrompt` | by `MistralPrompt` | user text never as control tokens |
/// | `tgi` | joined without a separator | arguments parsed | as the template wrote it |
/// | `llamacpp` | see `PromptRenderer+Llama` | arguments parsed where the template takes objects | one start token |
/// | `ollama` | joined with a newline | estimated | estimated: its own Go template |
///
/// Sources: vLLM `entrypoints/chat_utils.py`, `protocol.py`; text-generation-inference `router/src/chat.rs`,
/// `infer/chat_template.rs`; transformers `utils/chat_template_utils.py`, `cli/serving/utils.py`.
package struct PromptRenderer: Sendable {
    package var counting: ModelEntry.Counting
    package var templates: ModelTemplates

    package init(counting: ModelEntry.Counting, templates: ModelTemplates) {
        self.counting = counting
        self.templates = templates
    }

    /// The prompt of a conversation, UTF-8, as the template gives it.
    package func render(_ chat: RequestView.Chat) throws(TemplateError) -> [UInt8] {
        guard let template = templates.template(hasTools: chat.tools != nil) else {
            throw TemplateError(.value, "the model has no chat template")
        }
        if counting == .llamacpp { return try renderAsLlama(chat, template) }
        var messages = Array(chat.messages.elements)
        var goesOn = chat.continueFinalMessage
        var addsGenerationPrompt = chat.addGenerationPrompt
        var prefill: [UInt8]?
        switch counting {
        case .hf, .hf5, .mistralCommon:
            if goesOn, addsGenerationPrompt {
                throw TemplateError(
                    .value, "continue_final_message and add_generation_prompt are not compatible. Use"
                        + " continue_final_message when you want the model to continue the final message, and"
                        + " add_generation_prompt when you want to add a header that will prompt it to start a new"
                        + " assistant message instead.")
            }
        case .transformers5:
            // Requests that say otherwise are refused there.
            addsGenerationPrompt = true
            goesOn = false
        case .tgi:
            addsGenerationPrompt = true
            goesOn = messages.last?.isAssistant ?? false
        case .ollama, .llamacpp:
            goesOn = false
            // The last assistant message goes behind the generation prompt as it is.
            if let last = messages.last, last.isAssistant, last["tool_calls"] == nil {
                prefill = last["content"].map { joined($0) } ?? []
                messages.removeLast()
                addsGenerationPrompt = true
            }
        }
        var extra = templates.variables
        if let documents = chat.documents { extra.append(("documents", Value(json: documents))) }
        if let arguments = chat.templateArguments {
            for (key, value) in arguments.members { extra.append((key.string ?? "", Value(json: value))) }
        }
        let isList = counting.detectsContentFormat && template.contentFormat == .openai
        var prompt = try template.render(
            messages: .list(messages.map { counting == .transformers5 ? serveMessage($0) : message($0, isList: isList) }),
            tools: chat.tools.map(tools),
            addGenerationPrompt: addsGenerationPrompt, extra: extra)
        if goesOn, let last = messages.last { prompt = try Self.cut(prompt, behind: lastText(last)) }
        return prompt + (prefill ?? [])
    }

    /// Cuts the prompt behind the final message, as `continue_final_message` of transformers does.
    private static func cut(_ prompt: [UInt8], behind text: [UInt8]) throws(TemplateError) -> [UInt8] {
        let start = text.firstIndex { !isSpace($0) } ?? text.count
        let end = (text.lastIndex { !isSpace($0) } ?? -1) + 1
        let stripped = start < end ? text[start..<end] : []
        var at = prompt.count - stripped.count
        while at >= 0, !prompt[at...].starts(with: stripped) { at -= 1 }
        guard at >= 0 else {
            throw TemplateError(
                .value, "continue_final_message is set but the final message does not appear in the chat after"
                    + " applying the chat template! This can happen if the chat template deletes portions of the final"
                    + " message. Please verify the chat template and final message in your chat to ensure they are"
                    + " compatible.")
        }
        // White space behind the text stays where the template kept it.
        let whole = text[start...]
        let isKept = prompt[at...].starts(with: whole)
        return Array(prompt[..<(at + (isKept ? whole.count : stripped.count))])
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    /// Text of the last text part, or of the content as a whole.
    private func lastText(_ message: JSONNode) -> [UInt8] {
        guard let content = message["content"] else { return [] }
        guard content.kind == .array else { return content.stringBytes ?? [] }
        if counting == .tgi || templates.standard?.contentFormat == .string { return joined(content) }
        return Array(content.elements).last { $0["text"] != nil }?["text"]?.stringBytes ?? []
    }

    /// What transformers' `apply_chat_template` gives: messages and tools reach the template as they are.
    /// - Returns: `nil` where the model has no chat template.
    func asLibrary(_ chat: RequestView.Chat) throws(TemplateError) -> TokenizerInput? {
        guard let template = templates.template(hasTools: chat.tools != nil) else { return nil }
        let prompt = try template.render(
            messages: Value(json: chat.messages), tools: chat.tools.map { Value(json: $0) },
            addGenerationPrompt: chat.addGenerationPrompt, extra: templates.variables)
        return TokenizerInput(text: prompt, specials: .parseControl, addsSpecialTokens: false)
    }

    /// `transformers serve` keeps these four fields only, and the content of a message with calls not at all.
    private func serveMessage(_ node: JSONNode) -> Value {
        let calls = node["tool_calls"].flatMap { $0.isNull ? nil : $0 }
        var texts: [[UInt8]] = []
        if calls == nil, let content = node["content"] {
            if content.kind == .string { texts.append(content.stringBytes ?? []) }
            for part in content.elements {
                guard let type = part["type"]?.string, ["text", "input_text", "output_text"].contains(type),
                    let text = part["text"]?.stringBytes
                else { continue }
                texts.append(text)
            }
        }
        var pairs: [(String, Value)] = [
            ("role", node["role"].map { Value(json: $0) } ?? .none),
            ("content", .string(utf8: Array(texts.joined(separator: [0x20])))),
        ]
        if let calls { pairs.append(("tool_calls", .list(calls.elements.map(toolCall)))) }
        if let id = node["tool_call_id"], !id.isNull { pairs.append(("tool_call_id", Value(json: id))) }
        return .dictionary(pairs)
    }

    private func message(_ node: JSONNode, isList: Bool) -> Value {
        var pairs: [(String, Value)] = []
        var hasContent = false
        let role = node["role"]?.string
        for (key, value) in node.members {
            guard let name = key.string else { continue }
            switch name {
            case "content":
                hasContent = true
                pairs.append((name, content(value, isList: isList)))
            case "tool_calls":
                if !value.isNull, !counting.rebuildsMessages || role == "assistant" {
                    pairs.append((name, .list(value.elements.map(toolCall))))
                }
            case "reasoning_content", "reasoning":
                guard !value.isNull else { break }
                guard counting.rebuildsMessages else {
                    pairs.append((name, Value(json: value)))
                    break
                }
                // vLLM gives the template both names.
                guard role == "assistant", !pairs.contains(where: { $0.0 == "reasoning" }) else { break }
                let text = node["reasoning"].flatMap { $0.isNull ? nil : $0 } ?? value
                pairs.append(("reasoning", Value(json: text)))
                pairs.append(("reasoning_content", Value(json: text)))
            case "refusal", "name", "tool_call_id":
                if !value.isNull { pairs.append((name, Value(json: value))) }
            default:
                pairs.append((name, Value(json: value)))
            }
        }
        if !hasContent { pairs.append(("content", isList ? .list([]) : .string(""))) }
        return .dictionary(pairs)
    }

    private func content(_ node: JSONNode, isList: Bool) -> Value {
        switch node.kind {
        case .null: return isList ? .list([]) : .string("")
        case .array where isList:
            return .list(
                node.elements.compactMap { part in
                    Self.text(part).map { .dictionary([("type", .string("text")), ("text", .string(utf8: $0))]) }
                })
        case .array: return .string(utf8: joined(node))
        case .string where isList:
            return .list([.dictionary([("type", .string("text")), ("text", Value(json: node))])])
        default: return Value(json: node)
        }
    }

    private static func text(_ part: JSONNode) -> [UInt8]? {
        part.kind == .string ? part.stringBytes : (part["text"] ?? part["refusal"])?.stringBytes
    }

    /// The text parts as one string. vLLM leaves empty ones out, Ollama separates behind the first text.
    private func joined(_ content: JSONNode) -> [UInt8] {
        guard content.kind == .array else { return content.stringBytes ?? [] }
        var result: [UInt8] = []
        var isFirst = true
        for part in content.elements {
            guard let text = Self.text(part) else { continue }
            if counting.rebuildsMessages && text.isEmpty { continue }
            if !isFirst, counting != .tgi { result.append(UInt8(ascii: "\n")) }
            result += text
            isFirst = counting.rebuildsMessages ? false : result.isEmpty
        }
        return result
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
        guard counting.rebuildsMessages else { return Value(json: node) }
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

extension JSONNode {
    fileprivate var isAssistant: Bool { self["role"]?.string == "assistant" }
}
