import GuardCore
import GuardJSON
package import GuardLLMSchema

/// How the mock turns text into tokens: as a real server would, or by words where no tokenizer is given.
package protocol MockCounting: Sendable {
    /// Tokens of the rendered conversation.
    /// - Throws: `MockRefusal` when the template raises.
    func chatTokens(_ chat: RequestView.Chat) throws(MockRefusal) -> Int
    /// Tokens of a text prompt, with the special tokens that the server adds.
    func promptTokens(_ text: [UInt8]) -> Int
    /// The tokens of an answer; their texts joined are the answer.
    func tokens(of text: [UInt8]) -> [(id: UInt32, text: [UInt8])]
}

/// What a real server would say instead of an answer.
package struct MockRefusal: Error, Sendable {
    package var status: Int
    package var code: String?
    package var message: String

    package init(status: Int = 400, code: String? = nil, _ message: String) {
        (self.status, self.code, self.message) = (status, code, message)
    }
}

/// A word with the white space before it is a token. Exact for nobody: only for runs that need no tokenizer.
package struct WordCounting: MockCounting {
    package init() {}

    package func chatTokens(_ chat: RequestView.Chat) throws(MockRefusal) -> Int {
        var count = 0
        for message in chat.messages.elements { count += 3 + words(in: message["content"]) }
        return count + words(in: chat.tools)
    }

    package func promptTokens(_ text: [UInt8]) -> Int { tokens(of: text).count }

    package func tokens(of text: [UInt8]) -> [(id: UInt32, text: [UInt8])] {
        var tokens: [(id: UInt32, text: [UInt8])] = []
        var start = 0
        for index in text.indices where index > start {
            // A token ends where white space begins.
            if Self.isSpace(text[index]), !Self.isSpace(text[index - 1]) {
                tokens.append((UInt32(tokens.count), Array(text[start..<index])))
                start = index
            }
        }
        if start < text.count { tokens.append((UInt32(tokens.count), Array(text[start...]))) }
        return tokens
    }

    private func words(in node: JSONNode?) -> Int {
        guard let node else { return 0 }
        if let text = node.stringBytes { return tokens(of: text).count }
        var count = 0
        for element in node.elements { count += words(in: element) }
        for (_, value) in node.members { count += words(in: value) }
        return count
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
