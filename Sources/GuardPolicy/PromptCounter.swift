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
        guard let tokenizer else {
            return PromptCount(perPrompt: Self.estimate(view), why: why + ["no_tokenizer"])
        }
        if let reason = tokenizer.estimatedWhy { why.append(reason) }
        var isLeast = false
        func tokens(_ text: [UInt8], _ specials: SpecialTokens, _ addsSpecialTokens: Bool) -> Int {
            guard let limit, text.count > Self.countedBytes else {
                return tokenizer.count(text, specials: specials, addSpecialTokens: addsSpecialTokens)
            }
            switch tokenizer.count(text, specials: specials, addSpecialTokens: addsSpecialTokens, limit: limit) {
            case .exact(let count): return count
            case .over(let least):
                isLeast = true
                return least
            }
        }
        func counted(_ perPrompt: [Int]) -> PromptCount {
            var count = PromptCount(perPrompt: perPrompt, why: isLeast ? why + ["stopped_at_limit"] : why)
            count.isLeast = isLeast
            return count
        }
        switch view.prompt {
        case .tokenIDs(let lists): return PromptCount(perPrompt: lists.map(\.count), why: why)
        case .texts(let indices):
            // mistral-common never reads control strings from text; Ollama puts a completion into its own template.
            let specials: SpecialTokens = counting == .mistralCommon ? .asText : .parse
            if counting == .ollama { why += counting.chatWhy }
            let counts = indices.map { index in
                view.segments.indices.contains(index)
                    ? tokens(view.segments[index].text, specials, view.promptAddsSpecialTokens) : 0
            }
            return counted(counts)
        case .chat(let chat):
            if counting == .mistralCommon, let count = MistralPrompt.count(chat, tokenizer) {
                return PromptCount(perPrompt: [count], why: why)
            }
            guard templates.standard != nil || templates.toolUse != nil else {
                return PromptCount(perPrompt: Self.estimate(view), why: why + ["no_chat_template"])
            }
            var prompt = try PromptRenderer(counting: counting, templates: templates).render(chat)
            why += counting.chatWhy
            var addsSpecialTokens = chat.addSpecialTokens ?? false
            switch counting {
            case .mistralCommon: why.append("mistral_common_template")
            case .llamacpp:
                if chat.tools != nil { why.append("llamacpp_tools") }
                // The vocabulary's start token is added, and the template's own taken away where both would be.
                addsSpecialTokens = true
                if tokenizer.addsStartToken, let bos = tokenizer.bosToken, prompt.starts(with: bos.utf8) {
                    prompt.removeFirst(bos.utf8.count)
                }
            case .tgi:
                if Array(chat.messages.elements).last?["role"]?.string == "assistant" { why.append("tgi_prefill") }
            case .hf, .transformers5, .ollama: break
            }
            return counted([tokens(prompt, .parseControl, addsSpecialTokens)])
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
