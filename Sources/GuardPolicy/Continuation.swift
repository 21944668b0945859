import GuardChatTemplates

/// A prompt that ends within its last message, for the model to go on with it.
enum Continuation {
    private static let tag = Array("CONTINUE_FINAL_MESSAGE_TAG ".utf8)

    /// The message with a mark behind its text, as transformers' `continue_final_message` makes it before the template
    /// runs: what the template writes behind the mark is not in the prompt.
    static func tagged(_ message: Value) throws(TemplateError) -> Value {
        switch message["content"] {
        case .string(let text)?: return message.setting("content", .string(utf8: text.utf8 + tag))
        case .list(let parts)?:
            guard let last = parts.items.lastIndex(where: { $0["text"] != nil }),
                case .string(let text)? = parts.items[last]["text"]
            else {
                throw TemplateError(
                    .value,
                    "continue_final_message is set but we could not find any text to continue in the final message!")
            }
            var items = parts.items
            items[last] = items[last].setting("text", .string(utf8: text.utf8 + tag))
            return message.setting("content", .list(items))
        default: return message
        }
    }

    /// The prompt up to the mark; a template that trims the message leaves no white space before it.
    static func cutAtTag(_ prompt: [UInt8], _ text: [UInt8]) throws(TemplateError) -> [UInt8] {
        guard let place = lastPlace(of: tag.dropLast(), in: prompt) else { throw deleted }
        let kept = Array(prompt[..<place])
        let trimmed = PythonText.strippedAtEnd(kept)
        // A template that shortens the text (reasoning, say) leaves nothing to go on with.
        guard trimmed.reversed().starts(with: PythonText.stripped(text).reversed()) else { throw deleted }
        return prompt[place...].starts(with: tag) ? kept : trimmed
    }

    /// What text-generation-inference does: cuts behind the last place of the text.
    static func cut(_ prompt: [UInt8], behind text: [UInt8]) throws(TemplateError) -> [UInt8] {
        let start = text.firstIndex { !isSpace($0) } ?? text.count
        let end = (text.lastIndex { !isSpace($0) } ?? -1) + 1
        let stripped = start < end ? text[start..<end] : []
        guard let place = lastPlace(of: stripped, in: prompt) else { throw deleted }
        // White space behind the text stays where the template kept it.
        let whole = text[start...]
        let isKept = prompt[place...].starts(with: whole)
        return Array(prompt[..<(place + (isKept ? whole.count : stripped.count))])
    }

    private static let deleted = TemplateError(
        .value, "continue_final_message is set but the final message does not appear in the chat after"
            + " applying the chat template! This can happen if the chat template deletes portions of the final"
            + " message. Please verify the chat template and final message in your chat to ensure they are"
            + " compatible.")

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func lastPlace(of text: ArraySlice<UInt8>, in prompt: [UInt8]) -> Int? {
        var at = prompt.count - text.count
        while at >= 0 {
            if prompt[at...].starts(with: text) { return at }
            at -= 1
        }
        return nil
    }
}
