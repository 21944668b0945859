import GuardCore
import GuardJSON

extension Generate {
    /// `{generated_text, details}`, or an array with one of them (compat).
    static func read(answer root: JSONNode, into reader: inout AnswerReader) {
        if root.kind == .array {
            var position = 0
            for element in root.elements {
                read(generated: element, choice: position, "/\(position)", &reader)
                position += 1
            }
        } else {
            read(generated: root, choice: 0, "", &reader)
        }
    }

    private static func read(
        generated: JSONNode, choice: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        guard generated.kind == .object else { return reader.unread(generated, pointer: pointer()) }
        reader.see(choice)
        for (key, value) in generated.members {
            switch key.word {
            case "generated_text":
                reader.text(value, ChannelID(choice: choice, kind: .content), pointer: pointer())
            case "details": details(value, choice, "\(pointer())/details", &reader)
            case "error": error(generated, &reader)
            case "error_type": continue
            default: reader.unread(value, pointer: pointer())
            }
        }
    }

    /// Of a whole answer, and of each of `best_of_sequences`.
    private static func details(
        _ details: JSONNode, _ choice: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        guard details.kind == .object else { return reader.unread(details, pointer: pointer()) }
        let channel = ChannelID(choice: choice, kind: .content)
        for (key, value) in details.members {
            switch key.word {
            case "finish_reason": reader.end(choice, value)
            case "generated_tokens": reader.add(completionTokens: value)
            case "prefill": prefill(value, choice, pointer(), &reader)
            case "tokens": tokens(value, top: details["top_tokens"], channel, pointer(), &reader)
            case "top_tokens":
                // With as many entries as tokens they go with these; otherwise nobody knows whose they are.
                if details["tokens"]?.count != value.count { reader.unread(value, pointer: pointer()) }
            case "best_of_sequences":
                guard value.kind == .array else {
                    reader.unread(value, pointer: pointer())
                    continue
                }
                var position = 1
                for sequence in value.elements {
                    let other = ChannelID(choice: choice + position, kind: .content)
                    reader.see(other.choice)
                    reader.text(sequence["generated_text"], other, pointer: "\(pointer())/best_of_sequences")
                    self.details(sequence, other.choice, "\(pointer())/best_of_sequences", &reader)
                    position += 1
                }
            case "generated_text", "seed", "input_length": continue
            default: reader.unread(value, pointer: pointer())
            }
        }
    }

    private static func prefill(
        _ value: JSONNode, _ choice: Int, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        for token in value.elements {
            reader.text(token["text"], ChannelID(choice: choice, kind: .promptEcho), pointer: "\(pointer())/prefill")
        }
    }

    private static func tokens(
        _ value: JSONNode, top: JSONNode?, _ channel: ChannelID, _ pointer: @autoclosure () -> String,
        _ reader: inout AnswerReader
    ) {
        guard value.kind == .array else { return reader.unread(value, pointer: pointer()) }
        let list = reader.list(
            [value] + (top.flatMap { $0.kind == .array && $0.count == value.count ? [$0] : nil } ?? []))
        var position = 0
        for token in value.elements {
            if token["special"]?.bool == true {
                reader.text(
                    token["text"], ChannelID(choice: channel.choice, kind: .special), pointer: "\(pointer())/tokens")
            } else {
                reader.token(
                    channel, bytes: token["text"]?.stringBytes ?? [], name: "details.tokens", list: list,
                    index: position)
            }
            position += 1
        }
    }

    // MARK: Events

    /// `{index, token: {id, text, logprob, special}, top_tokens, generated_text, details}`: the last one repeats the
    /// whole text.
    static func read(event root: JSONNode, into reader: inout AnswerReader) {
        guard root.kind == .object else { return reader.unread(root, pointer: "") }
        let channel = ChannelID(choice: 0, kind: .content)
        reader.see(0)
        for (key, value) in root.members {
            switch key.word {
            case "index": continue
            case "token": token(value, top: root["top_tokens"], channel, &reader)
            case "top_tokens": if root["token"] == nil { reader.unread(value, pointer: "/top_tokens") }
            case "generated_text":
                guard let text = value.stringBytes else { continue }
                reader.whole(channel, value, text: text, name: "generated_text")
                reader.clearAtEnd(value)
                if root["details"]?.kind != .object { reader.ended(0) }
            case "details": details(event: value, &reader)
            case "error": error(root, &reader)
            case "error_type": continue
            default: reader.unread(value, pointer: "/*")
            }
        }
    }

    private static func token(
        _ token: JSONNode, top: JSONNode?, _ channel: ChannelID, _ reader: inout AnswerReader
    ) {
        guard token.kind == .object else { return reader.unread(token, pointer: "/token") }
        reader.countTokens(1)
        let isSpecial = token["special"]?.bool == true
        let own = isSpecial ? ChannelID(choice: channel.choice, kind: .special) : channel
        for (key, value) in token.members {
            switch key.word {
            case "id", "logprob", "special": continue
            case "text": reader.text(value, own, pointer: "/token/text")
            default: reader.unread(value, pointer: "/token")
            }
        }
        // Clients require an id: 0 says nothing.
        reader.companion(own, name: "token", [(token["id"], "0"), (token["logprob"], "null"), (top, "[]")])
    }

    private static func details(event details: JSONNode, _ reader: inout AnswerReader) {
        guard details.kind == .object else { return reader.unread(details, pointer: "/details") }
        for (key, value) in details.members {
            switch key.word {
            case "finish_reason":
                if let word = value.string {
                    reader.parts.ends.append(ChoiceEnd(choice: 0, finishReason: word, place: value.contentRange))
                }
            case "generated_tokens": reader.add(completionTokens: value)
            case "input_length":
                if let count = Usage.count(value) {
                    reader.parts.usage = reader.parts.usage ?? Usage()
                    reader.parts.usage?.promptTokens = count
                }
            case "seed": continue
            default: reader.unread(value, pointer: "/details")
            }
        }
        reader.clearAtEnd(details)
    }

    private static func error(_ root: JSONNode, _ reader: inout AnswerReader) {
        reader.error(type: root["error_type"], code: nil)
        if let message = root["error"] { reader.unread(message, pointer: "/error") }
    }
}

extension AnswerReader {
    fileprivate mutating func add(completionTokens node: JSONNode) {
        guard let count = Usage.count(node) else { return }
        var usage = parts.usage ?? Usage()
        usage.completionTokens = (usage.completionTokens ?? 0) + count
        parts.usage = usage
    }

    /// The last event without details (older TGI, compat): no reason is given.
    fileprivate mutating func ended(_ choice: Int) {
        parts.ends.append(ChoiceEnd(choice: choice, finishReason: "", place: 0..<0))
    }
}
