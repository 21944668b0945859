import GuardChatTemplates
import GuardJSON
import GuardLLMSchema

/// What llama.cpp's server makes of a conversation before and after its template runs.
///
/// Messages are written anew with the fields that it knows; what the template is found to take (`TemplateTraits`) decides
/// about parts, a system message and arguments; the last message of an assistant is gone on with. Templates of models
/// for which llama.cpp has code of its own (gpt-oss, Gemma 4, DeepSeek 3.2 ...) may be treated otherwise there. Sources:
/// llama.cpp `common/chat.cpp`, `tools/server/server-common.cpp`.
extension PromptRenderer {
    func renderAsLlama(_ chat: RequestView.Chat, _ template: ChatTemplate) throws(TemplateError) -> [UInt8] {
        let traits = template.traits
        var nodes = Array(chat.messages.elements)
        var prefill: [UInt8]?
        if let last = nodes.last, last["role"]?.string == "assistant", (last["tool_calls"]?.count ?? 0) == 0 {
            prefill = Self.texts(last["content"], separator: "\n\n")
            nodes.removeLast()
        }
        var messages = nodes.map { Self.message($0, traits) }
        if !traits.showsSystem { Self.mergeSystem(&messages) }
        let time = TemplateTime.now()
        var variables: [(String, Value)] = [
            ("messages", .list(messages)), ("bos_token", .string("")), ("eos_token", .string("")),
            ("enable_thinking", .bool(true)),
        ]
        variables += templates.variables.filter { $0.0 == "bos_token" || $0.0 == "eos_token" }
        if let tools = chat.tools { variables.append(("tools", ToolDefinitions.value(tools))) }
        variables.append(("datetime", .string(time.formatted("%b %d %Y"))))
        variables.append(("date_string", .string(time.formatted("%d %b %Y"))))
        if let arguments = chat.templateArguments {
            for (key, value) in arguments.members { variables.append((key.string ?? "", Value(json: value))) }
        }
        let asking = variables + [("add_generation_prompt", .bool(true))]
        guard let prefill else {
            return try template.render(chat.addGenerationPrompt ? asking : variables, now: time, dialect: .llama)
        }
        // The prompt without the header of an answer, then the header: what a render with it has more.
        let plain = try template.render(variables, now: time, dialect: .llama)
        // A message of nothing is taken away, and nothing is put in its place.
        let content = chat.messages.elements.map { $0 }.last?["content"]
        if prefill.isEmpty, content?.count ?? 0 == 0 { return plain }
        let header = try template.render(asking, now: time, dialect: .llama)
        let common = zip(plain, header).prefix { $0 == $1 }.count
        return plain + header[common...] + prefill
    }

    private static func message(_ node: JSONNode, _ traits: TemplateTraits) -> Value {
        let role = node["role"]?.string ?? ""
        var pairs: [(String, Value)] = [("role", .string(role == "developer" ? "system" : role))]
        let content = node["content"]
        if content?.kind == .array, traits.takesParts, content?.count ?? 0 > 0 {
            pairs.append(("content", .list((content?.elements.map { $0 } ?? []).compactMap(Self.part))))
        } else {
            let text = texts(content, separator: "\n")
            let isParts = traits.takesParts && !traits.takesText
            pairs.append(("content", isParts ? .list([textPart(.string(utf8: text))]) : .string(utf8: text)))
        }
        for name in ["reasoning_content", "name", "tool_call_id"] {
            if let value = node[name], let text = value.stringBytes, !text.isEmpty { pairs.append((name, Value(json: value))) }
        }
        if let calls = node["tool_calls"], calls.count > 0 {
            pairs.append(("tool_calls", .list(calls.elements.map { call($0, traits) })))
        }
        return .dictionary(pairs)
    }

    private static func textPart(_ text: Value) -> Value { .dictionary([("type", .string("text")), ("text", text)]) }

    private static func part(_ node: JSONNode) -> Value? { node["text"].map { textPart(Value(json: $0)) } }

    /// A string, or the texts of parts: separated only once there is some text.
    private static func texts(_ content: JSONNode?, separator: String) -> [UInt8] {
        guard let content else { return [] }
        guard content.kind == .array else { return content.stringBytes ?? [] }
        var text: [UInt8] = []
        for part in content.elements {
            guard let more = part["text"]?.stringBytes else { continue }
            if !text.isEmpty { text += separator.utf8 }
            text += more
        }
        return text
    }

    private static func call(_ node: JSONNode, _ traits: TemplateTraits) -> Value {
        let function = node["function"]
        let arguments = function?["arguments"]
        var value = arguments.map { Value(json: $0) } ?? .none
        if traits.takesObjectArguments, let text = arguments?.stringBytes, let document = try? JSONDocument(text) {
            value = Value(json: document.root)
        }
        var pairs: [(String, Value)] = [
            ("type", .string("function")),
            (
                "function",
                .dictionary([("name", function?["name"].map { Value(json: $0) } ?? .none), ("arguments", value)])
            ),
        ]
        if let id = node["id"], let text = id.stringBytes, !text.isEmpty { pairs.append(("id", Value(json: id))) }
        return .dictionary(pairs)
    }

    /// A template that shows no system message gets it before the text of the message behind.
    private static func mergeSystem(_ messages: inout [Value]) {
        guard let first = messages.first, case .string(let role)? = first["role"], role.string == "system" else { return }
        messages.removeFirst()
        guard let next = messages.first, case .string(let system)? = first["content"],
            case .string(let text)? = next["content"]
        else { return }
        messages[0] = next.setting("content", .string(system.string + "\n" + text.string))
    }
}
