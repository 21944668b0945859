import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardTokenizers

/// The prompt that mistral-common builds: from ids, not from a template, so that control strings in a message stay text.
///
/// Version 3 of its instruct tokenizer, for `tekken.json` files that say `v3` (Mistral-Nemo) and SentencePiece models with
/// the control pieces of v3 (Mistral-7B-Instruct-v0.3). Other versions are not built here. Source: mistral-common
/// `tokens/tokenizers/instruct.py` (`InstructTokenizerV3`), `protocol/instruct/normalize.py`.
struct MistralPrompt {
    private typealias Part = TokenizerInput.Part

    private let start, end, beginsUser, endsUser, beginsTools, endsTools, calls, beginsResult, endsResult: Part

    /// - Returns: `nil` where the file is not one of version 3.
    init?(_ tokenizer: Tokenizer) {
        guard tokenizer.format == .tekken && tokenizer.version == "v3" || tokenizer.format == .sentencePiece else {
            return nil
        }
        func control(_ text: String) -> Part? { tokenizer.addedToken(text).map { .token($0, Array(text.utf8)) } }
        guard let start = control("<s>"), let end = control("</s>"), let beginsUser = control("[INST]"),
            let endsUser = control("[/INST]"), let beginsTools = control("[AVAILABLE_TOOLS]"),
            let endsTools = control("[/AVAILABLE_TOOLS]"), let calls = control("[TOOL_CALLS]"),
            let beginsResult = control("[TOOL_RESULTS]"), let endsResult = control("[/TOOL_RESULTS]")
        else { return nil }
        (self.start, self.end, self.beginsUser, self.endsUser) = (start, end, beginsUser, endsUser)
        (self.beginsTools, self.endsTools, self.calls) = (beginsTools, endsTools, calls)
        (self.beginsResult, self.endsResult) = (beginsResult, endsResult)
    }

    /// - Returns: `nil` for a conversation that mistral-common refuses or that has more than texts and calls.
    func parts(_ chat: RequestView.Chat) throws(TemplateError) -> [TokenizerInput.Part]? {
        guard chat.documents == nil, let (turns, system) = Self.turns(chat) else { return nil }
        var parts = [start]
        let lastUser = turns.lastIndex { $0.role == .user }
        for (index, turn) in turns.enumerated() {
            switch turn.role {
            case .user:
                if index == lastUser, let tools = chat.tools {
                    parts += [beginsTools, .text(try ToolDefinitions.value(tools).pythonJSON()), endsTools]
                }
                let leads = index == lastUser && !system.isEmpty
                parts += [beginsUser, .text(leads ? system + Self.separator + turn.text : turn.text), endsUser]
            case .assistant:
                // Either a text or calls, never both nor neither.
                guard turn.text.isEmpty == !turn.calls.isEmpty else { return nil }
                if turn.calls.isEmpty {
                    let length = (turn.text.lastIndex { $0 != 0x20 } ?? -1) + 1
                    parts.append(.text(Array(turn.text[..<length])))
                } else {
                    parts += [calls, .text(try Value.list(turn.calls).pythonJSON())]
                }
                let isPrefix = index == turns.count - 1 && chat.continueFinalMessage
                if !isPrefix { parts.append(end) }
            case .tool:
                guard let id = turn.callID else { return nil }
                let result = Value.dictionary([("content", Self.parsed(turn.text)), ("call_id", id)])
                parts += [beginsResult, .text(try result.pythonJSON()), endsResult]
            }
        }
        return parts
    }

    private struct Turn {
        enum Role { case user, assistant, tool }

        var role: Role
        var text: [UInt8]
        var calls: [Value] = []
        var callID: Value?
    }

    private static let separator = Array("\n\n".utf8)

    /// Messages without those of the system, whose texts are one; messages of user and assistant in a row are joined,
    /// results of tools are not.
    private static func turns(_ chat: RequestView.Chat) -> ([Turn], system: [UInt8])? {
        var turns: [Turn] = []
        var system: [[UInt8]] = []
        var previous: String?
        for message in chat.messages.elements {
            guard let word = message["role"]?.string, let text = text(message["content"]) else { return nil }
            let role = word == "developer" ? "system" : word
            defer { previous = role }
            switch role {
            case "system":
                if message["content"]?.count ?? 0 > 0 || !text.isEmpty { system.append(text) }
            case "user", "assistant":
                var turn = Turn(role: role == "user" ? .user : .assistant, text: text)
                for call in message["tool_calls"]?.elements.map({ $0 }) ?? [] {
                    guard role == "assistant", let call = Self.call(call) else { return nil }
                    turn.calls.append(call)
                }
                guard turn.calls.isEmpty || turn.text.isEmpty else { return nil }
                if previous == role, let last = turns.indices.last {
                    if !turns[last].text.isEmpty, !text.isEmpty { turns[last].text += separator }
                    turns[last].text += text
                    turns[last].calls += turn.calls
                } else {
                    turns.append(turn)
                }
            case "tool":
                turns.append(Turn(role: .tool, text: text, callID: message["tool_call_id"].map { Value(json: $0) }))
            default: return nil
            }
        }
        // An answer without a question gets an empty one.
        if turns.first?.role != .user { turns.insert(Turn(role: .user, text: []), at: 0) }
        return (turns, Array(system.joined(separator: separator)))
    }

    /// Texts of the parts that are not empty, joined; `nil` where a part is no text.
    private static func text(_ content: JSONNode?) -> [UInt8]? {
        guard let content, !content.isNull else { return [] }
        guard content.kind == .array else { return content.stringBytes }
        var texts: [[UInt8]] = []
        for part in content.elements {
            guard part["type"]?.string == "text", let text = part["text"]?.stringBytes else { return nil }
            if !text.isEmpty { texts.append(text) }
        }
        return Array(texts.joined(separator: separator))
    }

    private static func call(_ node: JSONNode) -> Value? {
        guard let function = node["function"], let name = function["name"] else { return nil }
        let arguments = function["arguments"]
        let value = arguments?.stringBytes.map { parsed($0) } ?? arguments.map { Value(json: $0) } ?? .dictionary([])
        var pairs = [("name", Value(json: name)), ("arguments", value)]
        if let id = node["id"], let text = id.string, !text.isEmpty, text != "null" { pairs.append(("id", Value(json: id))) }
        return .dictionary(pairs)
    }

    /// JSON text as its value, an empty text as an empty object, other text as it is.
    private static func parsed(_ text: [UInt8]) -> Value {
        if text.isEmpty { return .dictionary([]) }
        return (try? JSONDocument(text)).map { Value(json: $0.root) } ?? .string(utf8: text)
    }
}
