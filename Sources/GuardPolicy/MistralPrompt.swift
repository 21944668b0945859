import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardTokenizers

/// The prompt that mistral-common builds: from ids, not from a template, so that control strings in a message stay text.
///
/// Exact for conversations of plain texts with tekken v3 files (Mistral-Nemo). Tools, content in parts and other versions
/// are not built here. Source: mistral-common `tokens/tokenizers/instruct.py` (`InstructTokenizerV3`),
/// `protocol/instruct/normalize.py`.
enum MistralPrompt {
    /// Number of ids, `nil` where the conversation or the file is not one of those above.
    static func count(_ chat: RequestView.Chat, _ tokenizer: Tokenizer) -> Int? {
        guard tokenizer.format == .tekken, tokenizer.version == "v3", chat.tools == nil, chat.documents == nil,
            let turns = turns(chat)
        else { return nil }
        func tokens(_ text: [UInt8]) -> Int { tokenizer.count(text, specials: .asText, addSpecialTokens: false) }
        var count = 1
        let system = Array(turns.filter { $0.role == "system" }.map(\.text).joined(separator: separator))
        let rest = turns.filter { $0.role != "system" }
        let lastUser = rest.lastIndex { $0.role == "user" }
        for (index, turn) in rest.enumerated() {
            if turn.role == "user" {
                let isLast = index == lastUser && !system.isEmpty
                count += 2 + tokens(isLast ? system + separator + turn.text : turn.text)
            } else {
                guard !turn.text.isEmpty else { return nil }
                let end = (turn.text.lastIndex { $0 != 0x20 } ?? -1) + 1
                let isPrefix = index == rest.count - 1 && chat.continueFinalMessage
                count += tokens(Array(turn.text[..<end])) + (isPrefix ? 0 : 1)
            }
        }
        return count
    }

    private static let separator = Array("\n\n".utf8)

    /// Messages, those of one role in a row joined.
    private static func turns(_ chat: RequestView.Chat) -> [(role: String, text: [UInt8])]? {
        var turns: [(role: String, text: [UInt8])] = []
        for message in chat.messages.elements {
            guard let role = message["role"]?.string, ["system", "user", "assistant"].contains(role),
                message["tool_calls"] == nil, let text = message["content"]?.stringBytes
            else { return nil }
            if let last = turns.last, last.role == role {
                turns[turns.count - 1].text += separator + text
            } else {
                turns.append((role, text))
            }
        }
        return turns
    }
}
