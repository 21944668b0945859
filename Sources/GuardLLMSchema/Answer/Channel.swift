import GuardJSON

/// One string of an answer that grows by itself: what a rule reads as one text.
package struct ChannelID: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        case content, reasoning, refusal
        /// Name and arguments of the tool call with this index.
        case toolName(Int)
        case toolArguments(Int)
        /// The same of OpenAI's former `function_call`.
        case functionName, functionArguments
        /// The prompt sent back: `prefill`, `prompt_text`, `prompt_logprobs`.
        case promptEcho
        /// Text of tokens that the server calls special: shown beside the content, not part of it.
        case special
        /// TGI's whole text at the end of a stream where it is not the sum of the tokens' texts.
        case generatedText
        /// A transcript of generated audio.
        case transcript
    }

    /// The choice's index (`choices[].index`); TGI: 0, sequences of `best_of` 1...
    package var choice: Int
    package var kind: Kind

    package init(choice: Int, kind: Kind) {
        self.choice = choice
        self.kind = kind
    }

    /// The `kind` of findings in this channel.
    package var description: String {
        switch kind {
        case .content: "content"
        case .reasoning: "reasoning"
        case .refusal: "refusal"
        case .toolName: "tool_call.name"
        case .toolArguments: "tool_call"
        case .functionName: "function_call.name"
        case .functionArguments: "function_call"
        case .promptEcho: "prompt"
        case .special: "special"
        case .generatedText: "generated_text"
        case .transcript: "transcript"
        }
    }
}

/// What the server says it has used, in OpenAI's words. Absent values were not sent.
package struct Usage: Sendable, Hashable {
    package var promptTokens: Int?
    package var completionTokens: Int?
    package var totalTokens: Int?
    /// Part of `promptTokens`, never added to them.
    package var cachedTokens: Int?
    /// Part of `completionTokens`.
    package var reasoningTokens: Int?

    /// More than any server can have generated: a larger figure is no evidence, and sums of a few stay in range.
    static let tokensMax: Int64 = 1 << 40

    /// A count of tokens as a server states it; `nil` where it cannot be one.
    static func count(_ node: JSONNode?) -> Int? {
        node?.integer.flatMap { (0...tokensMax).contains($0) ? Int($0) : nil }
    }

    package init(
        promptTokens: Int? = nil, completionTokens: Int? = nil, totalTokens: Int? = nil, cachedTokens: Int? = nil,
        reasoningTokens: Int? = nil
    ) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.totalTokens = totalTokens
        self.cachedTokens = cachedTokens
        self.reasoningTokens = reasoningTokens
    }
}

/// An error that the server sent, for the record: its words are the server's, not free of content.
package struct UpstreamError: Sendable, Hashable {
    package var type: String?
    /// A string or an integer in the body.
    package var code: String?

    package init(type: String? = nil, code: String? = nil) {
        self.type = type
        self.code = code
    }
}
