import GuardCore
import GuardJSON

/// `messages[]`: every string that a template may print.
enum ChatMessages {
    private static let names = FieldNames([
        "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "reasoning",
        "reasoning_content", "audio",
    ])

    static func read(_ messages: JSONNode, _ reader: inout RequestReader) throws(RequestError) {
        var position = 0
        for message in messages.elements {
            let pointer = "/messages/\(position)"
            guard message.kind == .object else { throw reader.wrongType(message, pointer, "an object") }
            try read(message: message, pointer, &reader)
            position += 1
        }
    }

    private static func read(message: JSONNode, _ pointer: String, _ reader: inout RequestReader)
        throws(RequestError)
    {
        // The role may stand behind the content.
        guard let roleNode = message["role"] else { throw reader.missing("\(pointer)/role") }
        guard let word = roleNode.string else { throw reader.wrongType(roleNode, "\(pointer)/role", "a string") }
        let (role, kind) = roles(word)
        if kind == "custom" {
            // Templates print roles: one that is none of the usual is text.
            try reader.segment(role, "custom.role", roleNode, "\(pointer)/role")
        }
        for (key, value) in message.members {
            switch key.string {
            case "role": continue
            case "content": try content(value, role, kind, "\(pointer)/content", &reader)
            case "name": try reader.segment(role, "\(kind).name", value, "\(pointer)/name")
            case "refusal": try reader.segment(role, kind, value, "\(pointer)/refusal")
            case "reasoning", "reasoning_content":
                try reader.segment(role, "\(kind).reasoning", value, "\(pointer)/\(key.string ?? "")")
            case "tool_call_id": try reader.segment(.toolCall, "tool_call_id", value, "\(pointer)/tool_call_id")
            case "tool_calls": try toolCalls(value, "\(pointer)/tool_calls", &reader)
            case "function_call":
                if value.isNull { continue }
                try call(value, "\(pointer)/function_call", &reader)
            case "audio":
                if !value.isNull { reader.opaque("\(pointer)/audio", kind: "audio") }
            default: try reader.unknown(key, value, at: pointer, known: names)
            }
        }
    }

    /// The role's place in the closed set, and the API's word if it is one of the known.
    static func roles(_ word: String) -> (Role, String) {
        switch word {
        case "system", "developer": (.system, word)
        case "user": (.user, word)
        case "assistant": (.assistant, word)
        case "tool", "function": (.tool, word)
        default: (.user, "custom")
        }
    }

    // MARK: Content

    private static func content(
        _ content: JSONNode, _ role: Role, _ kind: String, _ pointer: String, _ reader: inout RequestReader
    ) throws(RequestError) {
        guard content.kind == .array else {
            guard content.kind == .string || content.isNull else {
                throw reader.wrongType(content, pointer, "a string or an array of parts")
            }
            try reader.segment(role, kind, content, pointer)
            return
        }
        var run: [JSONNode] = []
        var runPointer = pointer
        var position = 0
        func flush(_ reader: inout RequestReader) {
            reader.segment(role, kind, joining: run, separator: reader.options.partSeparator, runPointer)
            run = []
        }
        for part in content.elements {
            let here = "\(pointer)/\(position)"
            position += 1
            guard part.kind == .object else { throw reader.wrongType(part, here, "an object") }
            guard let type = part["type"], let word = type.string else {
                throw reader.wrongType(part, "\(here)/type", "a string")
            }
            if let field = textParts[word] {
                guard let text = part[field], text.kind == .string else {
                    throw reader.wrongType(part, "\(here)/\(field)", "a string")
                }
                if run.isEmpty { runPointer = "\(here)/\(field)" }
                run.append(text)
                try extras(part, except: ["type", field], here, &reader)
            } else if let media = mediaParts[word] {
                flush(&reader)
                guard part[word] != nil else { throw reader.missing("\(here)/\(word)") }
                reader.opaque(here, kind: media)
                try extras(part, except: ["type", word, "uuid"], here, &reader)
            } else {
                throw RequestError(
                    .invalidRequest, param: "\(here)/type", message: "\(here)/type is not a known content part",
                    offset: type.byteRange.lowerBound)
            }
        }
        flush(&reader)
    }

    /// Type of the part to the field that holds its text.
    private static let textParts = [
        "text": "text", "refusal": "refusal", "input_text": "text", "output_text": "text", "thinking": "thinking",
    ]

    private static let mediaParts = [
        "image_url": "image", "input_image": "image", "image_embeds": "embeds", "input_audio": "audio",
        "audio_url": "audio", "audio_embeds": "embeds", "video_url": "video", "file": "file",
    ]

    private static func extras(
        _ part: JSONNode, except known: [String], _ pointer: String, _ reader: inout RequestReader
    ) throws(RequestError) {
        for (key, value) in part.members where !known.contains(where: { key.isString($0) }) {
            if key.isString("prompt_cache_breakpoint") || key.isString("cache_control") { continue }
            try reader.unknown(key, value, at: pointer, known: FieldNames(known))
        }
    }

    // MARK: Calls

    private static func toolCalls(_ calls: JSONNode, _ pointer: String, _ reader: inout RequestReader)
        throws(RequestError)
    {
        if calls.isNull { return }
        guard calls.kind == .array else { throw reader.wrongType(calls, pointer, "an array") }
        var position = 0
        for entry in calls.elements {
            let here = "\(pointer)/\(position)"
            position += 1
            guard entry.kind == .object else { throw reader.wrongType(entry, here, "an object") }
            for (key, value) in entry.members {
                switch key.string {
                case "type", "index": continue
                case "id": try reader.segment(.toolCall, "tool_call_id", value, "\(here)/id")
                case "function", "custom": try call(value, "\(here)/\(key.string ?? "")", &reader)
                default: try reader.unknown(key, value, at: here, known: callNames)
                }
            }
        }
    }

    private static let callNames = FieldNames(["type", "index", "id", "function", "custom"])
    private static let functionNames = FieldNames(["name", "arguments", "input"])

    /// `{name, arguments}` or, of custom tools, `{name, input}`.
    private static func call(_ call: JSONNode, _ pointer: String, _ reader: inout RequestReader)
        throws(RequestError)
    {
        guard call.kind == .object else { throw reader.wrongType(call, pointer, "an object") }
        for (key, value) in call.members {
            switch key.string {
            case "name": try reader.segment(.toolCall, "assistant.tool_call.name", value, "\(pointer)/name")
            case "arguments", "input":
                // An object is what Ollama's and llama.cpp's clients send; its strings are the arguments then.
                if value.kind == .object {
                    reader.deepSegment(.toolCall, "assistant.tool_call", value, "\(pointer)/arguments")
                } else {
                    try reader.segment(.toolCall, "assistant.tool_call", value, "\(pointer)/\(key.string ?? "")")
                }
            default: try reader.unknown(key, value, at: pointer, known: functionNames)
            }
        }
    }
}

/// `tools[]` and `functions[]`.
enum ToolDefinitions {
    private static let toolNames = FieldNames(["type", "function", "custom"])

    static func read(_ tools: JSONNode, _ pointer: String, _ reader: inout RequestReader) throws(RequestError) {
        if tools.isNull { return }
        guard tools.kind == .array else { throw reader.wrongType(tools, pointer, "an array") }
        let isLegacy = pointer == "/functions"
        var position = 0
        for tool in tools.elements {
            let here = "\(pointer)/\(position)"
            position += 1
            guard tool.kind == .object else { throw reader.wrongType(tool, here, "an object") }
            if isLegacy {
                try definition(tool, here, &reader)
                continue
            }
            for (key, value) in tool.members {
                switch key.string {
                case "type":
                    guard value.kind == .string else { throw reader.wrongType(value, "\(here)/type", "a string") }
                case "function", "custom": try definition(value, "\(here)/\(key.string ?? "")", &reader)
                default:
                    // Templates print tools with `tojson`: every string of them reaches the prompt.
                    try unknown(key, value, here, toolNames, &reader)
                }
            }
        }
    }

    private static let definitionNames = FieldNames(["name", "description", "parameters", "strict", "format"])

    private static func definition(_ node: JSONNode, _ pointer: String, _ reader: inout RequestReader)
        throws(RequestError)
    {
        guard node.kind == .object else { throw reader.wrongType(node, pointer, "an object") }
        for (key, value) in node.members {
            switch key.string {
            case "name": try reader.segment(.toolDefinition, "tool.name", value, "\(pointer)/name")
            case "description":
                try reader.segment(.toolDefinition, "tool.description", value, "\(pointer)/description")
            case "parameters", "format":
                reader.deepSegment(
                    .toolDefinition, "tool.parameters", value, "\(pointer)/\(key.string ?? "")")
            case "strict": try reader.plain(.bool, value, "\(pointer)/strict")
            default: try unknown(key, value, pointer, definitionNames, &reader)
            }
        }
    }

    /// Printed with the tool, so it is known text of the prompt and does not make the count an estimate.
    private static func unknown(
        _ key: JSONNode, _ value: JSONNode, _ pointer: String, _ known: FieldNames, _ reader: inout RequestReader
    ) throws(RequestError) {
        let estimatedWhy = reader.view.estimatedWhy
        try reader.unknown(key, value, at: pointer, known: known)
        reader.view.estimatedWhy = estimatedWhy
    }
}

extension RequestReader {
    /// A document of retrieval: a string, or an object of strings, each printed on its own.
    mutating func documentSegments(_ document: JSONNode, _ pointer: String) {
        guard document.kind == .object else {
            return segment(.user, "documents", joining: document.strings, separator: [0x0A], pointer)
        }
        for (key, value) in document.members {
            segment(
                .user, "documents", joining: value.strings, separator: [0x0A],
                "\(pointer)/\(JSONPointer.escape(key.string ?? ""))")
        }
    }
}
