import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardTokenizers

/// One text or conversation that both sides count.
struct VerifyCase: Sendable {
    enum Input: Sendable {
        case text([UInt8])
        case chat(RequestView.Chat)

        var isText: Bool { if case .text = self { true } else { false } }
    }

    /// Of the built-in set its name, of a file the line's `id`, or its number.
    var name: String
    var input: Input
    /// A text of the user's holds strings of special tokens.
    var hasSpecialStrings = false

    var isText: Bool { input.isText }

    var hasTools: Bool {
        guard case .chat(let chat) = input else { return false }
        return chat.tools != nil
    }

    /// Whether it needs fields that only vLLM's API has.
    var needsPromptFields: Bool {
        guard case .chat(let chat) = input else { return false }
        return !chat.addGenerationPrompt || chat.continueFinalMessage
    }
}

extension VerifyCase {
    struct Problem: Error, CustomStringConvertible { var description: String }

    /// A line of `guardctl tokenize`'s input.
    init(_ json: JSONNode, name: String) throws(Problem) {
        guard json.kind == .object else { throw Problem(description: "an object is wanted") }
        let id = json["id"].map { $0.string ?? String(decoding: $0.rawBytes, as: UTF8.self) }
        if let text = json["text"] {
            guard let bytes = text.stringBytes else { throw Problem(description: "text is a string") }
            self.init(name: id ?? name, input: .text(bytes))
            return
        }
        guard json["messages"] != nil else { throw Problem(description: "'text' or 'messages' is wanted") }
        var chat: RequestView.Chat
        do {
            chat = try TokenizeOperation.chat(json)
        } catch {
            throw Problem(description: error.message)
        }
        if let flag = json["continue_final_message"] {
            guard let value = flag.bool else { throw Problem(description: "continue_final_message is true or false") }
            chat.continueFinalMessage = value
        }
        self.init(name: id ?? name, input: .chat(chat))
    }

    /// Marks the case if a text of it has the string of one of these tokens.
    func marked(by specials: [String]) -> VerifyCase {
        var copy = self
        func holds(_ text: [UInt8]) -> Bool {
            specials.contains { special in
                let special = Array(special.utf8)
                return text.count >= special.count && !special.isEmpty
                    && (0...text.count - special.count).contains { text[$0...].starts(with: special) }
            }
        }
        func holds(_ node: JSONNode) -> Bool {
            if let text = node.stringBytes { return holds(text) }
            return node.elements.contains { holds($0) } || node.members.contains { holds($0.value) }
        }
        switch input {
        case .text(let text): copy.hasSpecialStrings = holds(text)
        case .chat(let chat): copy.hasSpecialStrings = holds(chat.messages) || chat.tools.map { holds($0) } ?? false
        }
        return copy
    }

    // MARK: Built in

    /// What shows most differences between two ways of counting, and little else.
    /// - Parameter specials: strings of special tokens of the vocabulary.
    static func builtIn(specials: [String]) throws -> [VerifyCase] {
        var lines = builtInLines
        for (index, special) in specials.prefix(3).enumerated() {
            let text = quoted("before \(special) after \(special)")
            lines.append(#"{"id": "text-special-\#(index + 1)", "text": \#(text)}"#)
            lines.append(
                #"{"id": "chat-special-\#(index + 1)", "messages": [{"role": "user", "content": \#(text)}]}"#)
        }
        return try lines.map { line in
            try VerifyCase(try JSONDocument(Array(line.utf8)).root, name: "").marked(by: specials)
        }
    }

    private static func quoted(_ text: String) -> String {
        "\"" + String(decoding: JSONEscape.escaped(text.utf8), as: UTF8.self) + "\""
    }

    private static let tool =
        #"{"type": "function", "function": {"name": "get_weather", "description": "Weather of a place — now", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}}, "required": ["city"]}}}"#

    private static let builtInLines = [
        #"{"id": "text-plain", "text": "The quick brown fox jumps over the lazy dog."}"#,
        #"{"id": "text-word", "text": "Hello"}"#,
        #"{"id": "text-space-before", "text": "  two spaces before"}"#,
        #"{"id": "text-space-behind", "text": "two spaces behind  "}"#,
        #"{"id": "text-lines", "text": "\n\nlines\r\n\tand tabs\n \n  "}"#,
        #"{"id": "text-numbers", "text": "1234567890 3.14159 1e-9 2026-11-22 0xFF"}"#,
        #"{"id": "text-contractions", "text": "I'll say they're DON'T's and it'S we've"}"#,
        #"{"id": "text-code", "text": "def f(x):\n    return {'a': [x**2, 0x1f], \"b\": None}  # done\n"}"#,
        #"{"id": "text-unicode", "text": "Grüße aus Zürich, 世界 こんにちは, мир, مرحبا, हिन्दी"}"#,
        #"{"id": "text-combining", "text": "é e\u0301 ﬁ ½ Å \u00a0nbsp\u2009thin \u200bzero"}"#,
        #"{"id": "text-emoji", "text": "🙂👩‍👩‍👧‍👦🇨🇭❤️ ok"}"#,
        #"{"id": "text-metaspace", "text": "a▁b ▁▁ c"}"#,
        #"{"id": "text-repeated", "text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!!!!!!!!!!!!!!!!!"}"#,
        #"{"id": "chat-user", "messages": [{"role": "user", "content": "Hello"}]}"#,
        #"{"id": "chat-turns", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello! How can I help?"}, {"role": "user", "content": "Tell me a joke."}]}"#,
        #"{"id": "chat-system", "messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "Why is the sky blue?"}]}"#,
        #"{"id": "chat-long", "messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}, {"role": "assistant", "content": "four"}, {"role": "user", "content": "five"}]}"#,
        #"{"id": "chat-spaces", "messages": [{"role": "user", "content": "  spaces around \n\n"}]}"#,
        #"{"id": "chat-empty", "messages": [{"role": "user", "content": ""}]}"#,
        #"{"id": "chat-unicode", "messages": [{"role": "user", "content": "Übersetze: 你好，世界 🙂 e\u0301"}]}"#,
        #"{"id": "chat-parts", "messages": [{"role": "user", "content": [{"type": "text", "text": "first part"}, {"type": "text", "text": "second part"}]}]}"#,
        #"{"id": "chat-tools", "messages": [{"role": "user", "content": "Weather in Bern?"}], "tools": [\#(tool)]}"#,
        #"{"id": "chat-tool-call", "messages": [{"role": "user", "content": "Weather in Bern?"}, {"role": "assistant", "content": "", "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Bern\", \"days\": 2}"}}]}, {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "{\"sky\": \"clear\"}"}], "tools": [\#(tool)]}"#,
        #"{"id": "chat-no-generation-prompt", "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}], "add_generation_prompt": false}"#,
        #"{"id": "chat-continued", "messages": [{"role": "user", "content": "Count to three."}, {"role": "assistant", "content": "One, two"}], "add_generation_prompt": false, "continue_final_message": true}"#,
    ]
}
