import GuardCore
import GuardJSON

extension Completions {
    static func read(answer root: JSONNode, into reader: inout AnswerReader) {
        OpenAIAnswer.read(root, into: &reader) { choice, number, pointer, reader in
            let channel = ChannelID(choice: number, kind: .content)
            for (key, value) in choice.members {
                switch key.word {
                case "text": reader.text(value, channel, pointer: pointer())
                case "reasoning", "reasoning_content":
                    reader.text(value, ChannelID(choice: number, kind: .reasoning), pointer: pointer())
                case "finish_reason": reader.end(number, value)
                case "logprobs": logprobs(value, channel, pointer(), &reader)
                case "token_ids":
                    if value.kind == .array {
                        reader.countTokens(value.count)
                        reader.companion(channel, name: "token_ids", [(value, "null")])
                    }
                case "index", "stop_reason", "matched_stop", "prompt_token_ids", "routed_experts",
                    "content_filter_results":
                    continue
                case "prompt_logprobs": reader.unread(value, pointer: "\(pointer())/prompt_logprobs")
                default: reader.unread(value, pointer: pointer())
                }
            }
        }
    }

    static func read(event root: JSONNode, into reader: inout AnswerReader) {
        read(answer: root, into: &reader)
    }

    /// Parallel arrays: `tokens`, `token_logprobs`, `top_logprobs` (objects whose keys are tokens), `text_offset`.
    /// `text_offset` of what stays is left as the server counted it: an index into the unedited text.
    private static func logprobs(
        _ value: JSONNode, _ channel: ChannelID, _ pointer: @autoclosure () -> String, _ reader: inout AnswerReader
    ) {
        guard value.kind == .object else { return reader.unread(value, pointer: pointer()) }
        guard let tokens = value["tokens"], tokens.kind == .array else {
            return reader.unread(value, pointer: "\(pointer())/logprobs")
        }
        let count = tokens.count
        var parallel: [JSONNode] = []
        for (key, array) in value.members {
            let isKnown = ["tokens", "token_logprobs", "top_logprobs", "text_offset"].contains { key.isString($0) }
            if isKnown, array.kind == .array, array.count == count {
                parallel.append(array)
            } else if !isKnown || array.kind != .null {
                reader.unread(array, pointer: "\(pointer())/logprobs")
            }
        }
        let list = reader.list(parallel)
        var position = 0
        for token in tokens.elements {
            reader.token(channel, bytes: token.stringBytes ?? [], name: "logprobs", list: list, index: position)
            position += 1
        }
        reader.countTokens(position)
    }
}
