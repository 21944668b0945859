import GuardCore
import GuardJSON

/// `POST /v1/chat/completions`. Sources: OpenAI's openapi.yaml (CreateChatCompletionRequest), vLLM's
/// `ChatCompletionRequest`, TGI's openapi.json (ChatRequest), captures of vLLM and llama-server.
enum ChatCompletions: EndpointSchema {
    private static let plain: [String: PlainType] = [
        "logprobs": .bool, "top_logprobs": .integer, "parallel_tool_calls": .bool, "tool_choice": .any,
        "function_call": .any, "modalities": .any, "audio": .any, "verbosity": .string, "reasoning_effort": .string,
        "web_search_options": .any, "include_reasoning": .bool, "separate_reasoning": .bool,
        "stream_reasoning": .bool, "reasoning_format": .string, "parse_tool_calls": .bool,
    ]

    private static let denied: Set<String> = ["chat_template", "prompt", "reasoning_budget"]

    private static let names = OpenAIFields.names(
        [
            "messages", "tools", "functions", "documents", "max_completion_tokens", "prediction",
            "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "tool_prompt", "guideline",
        ] + Array(plain.keys) + Array(denied))

    static func read(request reader: inout RequestReader) throws(RequestError) {
        let root = reader.root
        guard root.kind == .object else { throw reader.wrongType(root, "", "an object") }
        reader.view.outputLimit.container = root
        reader.view.outputLimit.field =
            reader.options.api.insertsMaxCompletionTokens ? "max_completion_tokens" : "max_tokens"
        var chat: RequestView.Chat?
        var settings = Settings()
        for (key, value) in root.members {
            guard let name = key.string else { continue }
            let pointer = "/" + name
            switch name {
            case "messages":
                guard value.kind == .array else { throw reader.wrongType(value, pointer, "an array of messages") }
                try ChatMessages.read(value, &reader)
                chat = RequestView.Chat(messages: value)
            case "max_tokens", "max_completion_tokens":
                let limit = try reader.integer(
                    value, pointer, in: (name == "max_tokens" ? 0 : 1)...Int(Int32.max))
                reader.view.outputLimit.places.append((name, value, limit))
            case "tools", "functions":
                try ToolDefinitions.read(value, pointer, &reader)
                if name == "tools", value.count > 0 { settings.tools = value }
                if name == "functions", value.count > 0 { reader.estimated("functions") }
            case "documents":
                if value.isNull { continue }
                guard value.kind == .array else { throw reader.wrongType(value, pointer, "an array of documents") }
                var position = 0
                for document in value.elements {
                    reader.documentSegments(document, "\(pointer)/\(position)")
                    position += 1
                }
                settings.documents = value
            case "prediction":
                try prediction(value, pointer, &reader)
            case "chat_template_kwargs":
                settings.arguments = try templateArguments(value, pointer, &reader)
            case "add_generation_prompt":
                settings.addGenerationPrompt = try reader.bool(value, pointer) ?? true
            case "continue_final_message":
                settings.continueFinalMessage = try reader.bool(value, pointer) ?? false
            case "add_special_tokens":
                settings.addSpecialTokens = try reader.bool(value, pointer)
            case "tool_prompt", "guideline":
                // TGI: goes into the prompt in a place that only its template knows.
                if try reader.segment(.system, "system", value, pointer) != nil { reader.estimated("tgi_\(name)") }
            default:
                if let type = plain[name] {
                    try reader.plain(type, value, pointer)
                } else if denied.contains(name) {
                    try reader.denied(name, value, pointer)
                } else if try !OpenAIFields.read(name, value, &reader) {
                    try reader.unknown(key, value, at: "", known: names)
                }
            }
        }
        guard var chat else { throw reader.missing("/messages") }
        chat.tools = settings.tools
        chat.documents = settings.documents
        chat.templateArguments = settings.arguments
        chat.addGenerationPrompt = settings.addGenerationPrompt
        chat.continueFinalMessage = settings.continueFinalMessage
        chat.addSpecialTokens = settings.addSpecialTokens
        if chat.continueFinalMessage {
            reader.view.prefillSegment = reader.view.segments.lastIndex { $0.kind == "assistant" }
        }
        reader.view.prompt = .chat(chat)
        decideLimit(&reader)
    }

    /// Fields that may stand before `messages` or behind.
    private struct Settings {
        var tools: JSONNode?
        var documents: JSONNode?
        var arguments: JSONNode?
        var addGenerationPrompt = true
        var continueFinalMessage = false
        var addSpecialTokens: Bool?
    }

    /// vLLM, SGLang and OpenAI read `max_completion_tokens` first; TGI knows only `max_tokens`.
    private static func decideLimit(_ reader: inout RequestReader) {
        let places = reader.view.outputLimit.places
        let order =
            reader.options.api == .tgi ? ["max_tokens"] : ["max_completion_tokens", "max_tokens"]
        for name in order {
            if let place = places.first(where: { $0.name == name }), let value = place.value {
                reader.view.outputLimit.value = value
                reader.view.outputLimit.field = name
                return
            }
        }
    }

    private static func prediction(_ value: JSONNode, _ pointer: String, _ reader: inout RequestReader)
        throws(RequestError)
    {
        if value.isNull { return }
        guard value.kind == .object else { throw reader.wrongType(value, pointer, "an object") }
        for (key, content) in value.members where !key.isString("type") {
            reader.deepSegment(.assistant, "prediction", content, "\(pointer)/\(JSONPointer.escape(key.string ?? ""))")
        }
    }

    private static func templateArguments(_ value: JSONNode, _ pointer: String, _ reader: inout RequestReader)
        throws(RequestError) -> JSONNode?
    {
        if value.isNull { return nil }
        guard value.kind == .object else { throw reader.wrongType(value, pointer, "an object") }
        if reader.options.allowedFields.contains("chat_template_kwargs") {
            reader.deepSegment(.extension, "extension", value, pointer)
            return value
        }
        for (key, argument) in value.members {
            // A string would be text in the prompt at a place of the template's choice.
            guard let name = key.string, reader.options.templateArguments.contains(name),
                argument.kind != .string, argument.kind != .object, argument.kind != .array
            else { throw reader.notAllowed(key, pointer) }
        }
        return value.count > 0 ? value : nil
    }
}
