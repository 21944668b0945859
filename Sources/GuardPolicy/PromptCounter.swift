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

    package init(perPrompt: [Int], why: [String] = []) { (self.perPrompt, self.why) = (perPrompt, why) }

    package var total: Int { perPrompt.reduce(0) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 } }
    package var longest: Int { perPrompt.max() ?? 0 }
    package var isExact: Bool { why.isEmpty }
}

extension ModelEntry {
    /// Renders and tokenizes what the server would.
    /// - Throws: what the served template raises, for the server would answer with the same error.
    package func count(_ view: RequestView) throws(TemplateError) -> PromptCount {
        var why = view.estimatedWhy
        guard let tokenizer, let builder = promptBuilder else {
            return PromptCount(perPrompt: Self.estimate(view), why: why + ["no_tokenizer"])
        }
        if let reason = tokenizer.estimatedWhy { why.append(reason) }
        switch view.prompt {
        case .tokenIDs(let lists): return PromptCount(perPrompt: lists.map(\.count), why: why)
        case .texts(let indices):
            var counts: [Int] = []
            for index in indices {
                guard view.segments.indices.contains(index) else {
                    counts.append(0)
                    continue
                }
                let input = builder.text(
                    view.segments[index].text, addsSpecialTokens: view.promptAddsSpecialTokens)
                counts.append(tokenizer.count(input))
                for reason in input.why where !why.contains(reason) { why.append(reason) }
            }
            return PromptCount(perPrompt: counts, why: why)
        case .chat(let chat):
            guard let input = try builder.chat(chat) else {
                return PromptCount(perPrompt: Self.estimate(view), why: why + ["no_chat_template"])
            }
            return PromptCount(perPrompt: [tokenizer.count(input)], why: why + input.why)
        }
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
