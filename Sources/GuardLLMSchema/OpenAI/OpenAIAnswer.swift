import GuardCore
import GuardJSON

/// What answers and events of chat and text completions have in common: the outer object, usage, errors.
enum OpenAIAnswer {
    typealias ChoiceBody = (
        _ choice: JSONNode, _ number: Int, _ pointer: () -> String, _ reader: inout AnswerReader
    ) -> Void

    static func read(_ root: JSONNode, into reader: inout AnswerReader, choice body: ChoiceBody) {
        guard root.kind == .object else { return reader.unread(root, pointer: "") }
        var isError = false
        for (key, value) in root.members {
            switch key.word {
            case "object": isError = value.isString("error")
            case "id", "created", "model", "system_fingerprint", "service_tier", "obfuscation", "timings",
                "metrics", "kv_transfer_params", "ec_transfer_params", "prompt_token_ids":
                continue
            case "choices":
                guard value.kind == .array else {
                    reader.unread(value, pointer: "/choices")
                    continue
                }
                var position = 0
                for choice in value.elements {
                    read(choice: choice, position, &reader, body)
                    position += 1
                }
            case "usage": reader.parts.usage = usage(value) ?? reader.parts.usage
            case "error": error(value, into: &reader)
            case "prompt_text":
                reader.text(value, ChannelID(choice: 0, kind: .promptEcho), pointer: "/prompt_text")
            default:
                let name = key.string ?? ""
                reader.unread(value, pointer: "/\(known.contains(name) ? name : "*")")
            }
        }
        // vLLM's former shape: the error object is the answer itself.
        if isError {
            reader.error(type: root["type"], code: root["code"])
        }
    }

    /// Unknown names are the server's words; pointers for the record name only these.
    private static let known: Set<String> = ["prompt_logprobs", "message", "type", "code", "param", "citations"]

    private static func read(choice: JSONNode, _ position: Int, _ reader: inout AnswerReader, _ body: ChoiceBody) {
        guard choice.kind == .object else { return reader.unread(choice, pointer: "/choices/\(position)") }
        let given = choice["index"]?.integer.flatMap { $0 >= 0 && $0 <= Int64(Int32.max) ? Int($0) : nil }
        let number = given ?? position
        reader.see(number)
        body(choice, number, { "/choices/\(position)" }, &reader)
    }

    static func usage(_ node: JSONNode) -> Usage? {
        guard node.kind == .object else { return nil }
        return Usage(
            promptTokens: Usage.count(node["prompt_tokens"]), completionTokens: Usage.count(node["completion_tokens"]),
            totalTokens: Usage.count(node["total_tokens"]),
            cachedTokens: Usage.count(node["prompt_tokens_details"]?["cached_tokens"]),
            reasoningTokens: Usage.count(node["completion_tokens_details"]?["reasoning_tokens"]))
    }

    static func error(_ node: JSONNode, into reader: inout AnswerReader) {
        if node.isNull { return }
        reader.error(type: node["type"], code: node["code"])
        // Servers quote what they choked on.
        if let message = node.kind == .object ? node["message"] : node { reader.unread(message, pointer: "/error") }
    }
}
