import GuardCore
import GuardJSON

extension ChatCompletions {
    static func read(answer root: JSONNode, into reader: inout AnswerReader) {
        OpenAIAnswer.read(root, into: &reader) { choice, number, pointer, reader in
            read(choice: choice, number, pointer(), &reader)
        }
    }

    static func read(event root: JSONNode, into reader: inout AnswerReader) {
        read(answer: root, into: &reader)
    }

    private static func read(
        choice: JSONNode, _ number: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        let content = ChannelID(choice: number, kind: .content)
        for (key, value) in choice.members {
            switch key.word {
            case "message", "delta":
                read(message: value, number, pointer(), &reader)
            case "logprobs":
                logprobs(value, number, pointer(), &reader)
            case "finish_reason":
                reader.end(number, value)
            case "token_ids":
                if value.kind == .array {
                    reader.countTokens(value.count)
                    reader.companion(content, name: "token_ids", [(value, "null")])
                }
            case "index", "stop_reason", "matched_stop", "content_filter_results", "routed_experts": continue
            default: reader.unread(value, pointer: pointer())
            }
        }
    }

    private static func read(
        message: JSONNode, _ number: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        guard message.kind == .object else { return reader.unread(message, pointer: pointer()) }
        for (key, value) in message.members {
            switch key.word {
            case "role": reader.once(value)
            case "tool_call_id": continue
            case "content": content(value, number, pointer(), &reader)
            case "reasoning", "reasoning_content":
                reasoning(value, number, pointer(), &reader)
            case "refusal":
                reader.text(value, ChannelID(choice: number, kind: .refusal), pointer: pointer())
            case "tool_calls": toolCalls(value, number, pointer(), &reader)
            case "function_call":
                guard value.kind == .object else { continue }
                for (field, text) in value.members {
                    switch field.word {
                    case "name": reader.text(text, ChannelID(choice: number, kind: .functionName), pointer: pointer())
                    case "arguments":
                        reader.text(text, ChannelID(choice: number, kind: .functionArguments), pointer: pointer())
                    default: reader.unread(text, pointer: pointer())
                    }
                }
            case "audio":
                guard value.kind == .object else { continue }
                reader.text(value["transcript"], ChannelID(choice: number, kind: .transcript), pointer: pointer())
                if value["data"]?.kind == .string {
                    reader.parts.opaque.append(RequestView.OpaquePart(pointer: "\(pointer())/audio", kind: "audio"))
                }
            default: reader.unread(value, pointer: pointer())
            }
        }
    }

    /// A string, or parts (Mistral): text parts are pieces of the channel.
    private static func content(
        _ value: JSONNode, _ number: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        let channel = ChannelID(choice: number, kind: .content)
        guard value.kind == .array else { return reader.text(value, channel, pointer: pointer()) }
        for part in value.elements {
            guard part.kind == .object else {
                reader.unread(part, pointer: pointer())
                continue
            }
            for (key, field) in part.members where !key.isString("type") {
                if key.isString("text") {
                    reader.text(field, channel, pointer: pointer())
                } else {
                    reader.unread(field, pointer: pointer())
                }
            }
        }
    }

    /// Servers on the way from `reasoning_content` to `reasoning` send the same text under both names.
    private static func reasoning(
        _ value: JSONNode, _ number: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        let channel = ChannelID(choice: number, kind: .reasoning)
        if let text = value.stringBytes,
            let same = reader.parts.texts.lastIndex(where: { $0.channel == channel && $0.text == text })
        {
            reader.parts.texts[same].places.append(value.contentRange)
            return
        }
        reader.text(value, channel, pointer: pointer())
    }

    private static func toolCalls(
        _ calls: JSONNode, _ number: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        guard calls.kind == .array else { return reader.unread(calls, pointer: pointer()) }
        var position = -1
        for call in calls.elements {
            position += 1
            guard call.kind == .object else {
                reader.unread(call, pointer: pointer())
                continue
            }
            let index = reader.toolCalls.number(
                choice: number, index: call["index"], id: call["id"], position: position)
            for (key, value) in call.members {
                switch key.word {
                case "index", "type": continue
                case "id": reader.once(value)
                case "function", "custom":
                    guard value.kind == .object else {
                        reader.unread(value, pointer: pointer())
                        continue
                    }
                    for (field, text) in value.members {
                        switch field.word {
                        case "name":
                            reader.text(text, ChannelID(choice: number, kind: .toolName(index)), pointer: pointer())
                        case "arguments", "input":
                            reader.text(
                                text, ChannelID(choice: number, kind: .toolArguments(index)), pointer: pointer())
                        default: reader.unread(text, pointer: pointer())
                        }
                    }
                default: reader.unread(value, pointer: pointer())
                }
            }
        }
    }

    /// `{content: [{token, bytes, logprob, top_logprobs}], refusal: [...]}`: each entry is one token of the text.
    private static func logprobs(
        _ value: JSONNode, _ number: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        guard value.kind == .object else { return reader.unread(value, pointer: pointer()) }
        for (key, entries) in value.members {
            let kind: ChannelID.Kind
            switch key.word {
            case "content": kind = .content
            case "refusal": kind = .refusal
            default:
                reader.unread(entries, pointer: pointer())
                continue
            }
            guard entries.kind == .array else { continue }
            let list = reader.list([entries])
            var position = 0
            for entry in entries.elements {
                reader.token(
                    ChannelID(choice: number, kind: kind), bytes: tokenBytes(entry), name: "logprobs", list: list,
                    index: position)
                position += 1
            }
            reader.countTokens(position)
        }
    }

    /// `bytes` where given: a token may be part of a character.
    private static func tokenBytes(_ entry: JSONNode) -> [UInt8] {
        if let bytes = entry["bytes"], bytes.kind == .array {
            return bytes.elements.compactMap { $0.integer.flatMap { UInt8(exactly: $0) } }
        }
        return entry["token"]?.stringBytes ?? []
    }
}
