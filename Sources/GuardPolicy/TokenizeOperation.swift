import GuardChatTemplates
import GuardCore
package import GuardJSON
import GuardLLMSchema
import GuardTokenizers

/// Counts texts and conversations: what `guardctl tokenize` and `POST /v1/tokenize` share.
///
/// In: `{"id", "text"}` or `{"id", "messages", "tools", "add_generation_prompt"}`.
/// Out: `{"id", "ids", "count"}`, for a conversation also `"rendered"`; a template that raises gives `{"id", "error"}`.
package struct TokenizeOperation: Sendable {
    package var builder: PromptBuilder
    /// `nil`: as the server of the counting mode does (of most: true for text, false for chat).
    package var addSpecialTokens: Bool?
    package var specialAsText = false
    /// A conversation is rendered as the model's own library does (transformers' `apply_chat_template`: messages as they
    /// are), not as a server does after it has joined and parsed their parts.
    package var rendersAsLibrary = false
    /// Leaves `ids` (and `rendered`) out.
    package var countOnly = false

    package struct Problem: Error, Sendable, CustomStringConvertible {
        package var message: String
        package var description: String { message }
    }

    package init(_ builder: PromptBuilder) { self.builder = builder }

    /// - Returns: `nil` where the model has no tokenizer.
    package init?(_ entry: ModelEntry) {
        guard let builder = entry.promptBuilder else { return nil }
        self.init(builder)
    }

    package func run(_ input: JSONNode) throws(Problem) -> [UInt8] {
        guard input.kind == .object else { throw Problem(message: "an object is wanted") }
        var writer = JSONWriter()
        writer.beginObject()
        if let id = input["id"] {
            writer.key("id")
            writer.raw(id.rawBytes)
        }
        if let text = input["text"] {
            guard let bytes = text.stringBytes else { throw Problem(message: "text is a string") }
            write(builder.text(bytes), &writer)
        } else if let messages = input["messages"] {
            do {
                let chat = try chat(input, messages)
                let input = try rendersAsLibrary ? builder.renderer.asLibrary(chat) : builder.chat(chat)
                guard let input else { throw TemplateError(.value, "the model has no chat template") }
                write(input, &writer)
                if !countOnly { writer.member("rendered", utf8: input.rendered) }
            } catch let error as TemplateError {
                writer.member("error", error.message)
            } catch let error as Problem {
                throw error
            } catch {
                throw Problem(message: "\(error)")
            }
        } else {
            throw Problem(message: "'text' or 'messages' is wanted")
        }
        writer.endObject()
        return writer.bytes
    }

    private func chat(_ input: JSONNode, _ messages: JSONNode) throws(Problem) -> RequestView.Chat {
        guard messages.kind == .array, messages.elements.allSatisfy({ $0.kind == .object }) else {
            throw Problem(message: "messages is an array of objects")
        }
        var chat = RequestView.Chat(messages: messages)
        if let tools = input["tools"], !tools.isNull {
            guard tools.kind == .array else { throw Problem(message: "tools is an array") }
            if tools.count > 0 { chat.tools = tools }
        }
        if let flag = input["add_generation_prompt"] {
            guard let value = flag.bool else { throw Problem(message: "add_generation_prompt is true or false") }
            chat.addGenerationPrompt = value
        }
        return chat
    }

    private func write(_ input: TokenizerInput, _ writer: inout JSONWriter) {
        var input = input
        if let addSpecialTokens { input.addsSpecialTokens = addSpecialTokens }
        if specialAsText { input.specials = .asText }
        if countOnly {
            writer.member("count", builder.tokenizer.count(input))
            return
        }
        let ids = builder.tokenizer.encode(input)
        writer.key("ids")
        writer.beginArray()
        for id in ids { writer.integer(id.value) }
        writer.endArray()
        writer.member("count", ids.count)
    }
}
