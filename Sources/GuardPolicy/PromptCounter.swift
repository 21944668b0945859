package import GuardChatTemplates
import GuardCore
import GuardJSON
package import GuardLLMSchema
import GuardTokenizers

/// Tokens of each prompt of a request, as the server will count them.
package struct PromptCount: Sendable, Hashable {
    package var perPrompt: [Int]
    /// Why the figure is an estimate; empty where it is exact by construction.
    package var why: [String]
    /// A prompt has more tokens than the limit that was given and was not counted to its end: its figure is the least
    /// that it can be.
    package var isLeast = false

    package init(perPrompt: [Int], why: [String] = []) { (self.perPrompt, self.why) = (perPrompt, why) }

    package var total: Int { perPrompt.reduce(0) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 } }
    package var longest: Int { perPrompt.max() ?? 0 }
    package var isExact: Bool { why.isEmpty }
}

extension ModelEntry {
    /// Prompts up to this size are counted to the end even over the limit: it costs some milliseconds, and an exact
    /// figure helps whoever has to shorten the prompt.
    private static let countedBytes = 512 << 10

    /// Renders and tokenizes what the server would.
    /// - Parameter limit: tokens of one prompt over which an exact count is of no use, because the request will be
    ///   refused: counting of a long prompt stops there. A prompt of megabytes then costs what its first part costs.
    /// - Throws: what the served template raises, for the server would answer with the same error.
    package func count(_ view: RequestView, limit: Int? = nil) throws(TemplateError) -> PromptCount {
        var why = view.estimatedWhy
        guard let tokenizer, let builder = promptBuilder else {
            return PromptCount(perPrompt: Self.estimate(view), why: why + ["no_tokenizer"])
        }
        if let reason = tokenizer.estimatedWhy { why.append(reason) }
        var isLeast = false
        func tokens(_ input: TokenizerInput) -> Int {
            for reason in input.why where !why.contains(reason) { why.append(reason) }
            guard let limit, input.bytesCount > Self.countedBytes else { return tokenizer.count(input) }
            switch tokenizer.count(input, limit: limit) {
            case .exact(let count): return count
            case .over(let least):
                isLeast = true
                return least
            }
        }
        let perPrompt: [Int]
        switch view.prompt {
        case .tokenIDs(let lists): perPrompt = lists.map(\.count)
        case .texts(let indices):
            perPrompt = indices.map { index in
                guard view.segments.indices.contains(index) else { return 0 }
                return tokens(
                    builder.text(view.segments[index].text, addsSpecialTokens: view.promptAddsSpecialTokens))
            }
        case .chat(let chat):
            guard let input = try builder.chat(chat) else {
                return PromptCount(perPrompt: Self.estimate(view), why: why + ["no_chat_template"])
            }
            perPrompt = [tokens(input)]
        }
        var count = PromptCount(perPrompt: perPrompt, why: isLeast ? why + ["stopped_at_limit"] : why)
        count.isLeast = isLeast
        return count
    }

    /// One token for every three bytes and eight for each message: above what today's vocabularies give for prose and
    /// code, so that limits err on the safe side.
    static func estimate(_ view: RequestView) -> [Int] {
        func tokens(_ segment: TextSegment) -> Int { segment.text.count / 3 + 8 }
        switch view.prompt {
        case .tokenIDs(let lists): return lists.map(\.count)
        case .texts(let indices):
            return indices.map { view.segments.indices.contains($0) ? tokens(view.segments[$0]) : 0 }
        case .chat: return [view.segments.reduce(0) { $0 + tokens($1) }]
        }
    }
}
