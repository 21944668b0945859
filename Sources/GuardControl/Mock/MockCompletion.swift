import GuardJSON

/// One request's answer, cut to its limit, counted, and in the pieces in which it would be generated.
struct MockCompletion {
    /// A stretch of text that becomes one event.
    struct Delta {
        var ids: [UInt32]
        var text: [UInt8]
    }

    struct Choice {
        var reasoning: [Delta] = []
        var content: [Delta] = []
        var refusal: [UInt8]?
        var toolCalls: [MockAnswer.ToolCall] = []
        var argumentDeltas: [[Delta]] = []
        var finishReason = "stop"
        var hasContent = false
        var tokensCount = 0
    }

    let request: MockRequest
    let model: String
    let choices: [Choice]
    let promptTokens: Int
    let completionTokens: Int
    let fault: MockFault

    init(
        _ request: MockRequest, answer: MockAnswer, deltas: MockCut?, fault: MockFault, responder: MockResponder
    ) throws(MockRefusal) {
        self.request = request
        self.fault = fault
        model = request.model ?? responder.options.model
        let counting = responder.counting
        if let chat = request.chat {
            promptTokens = try counting.chatTokens(chat)
        } else {
            var count = request.promptIDCounts.reduce(0, +)
            for prompt in request.prompts { count += counting.promptTokens(prompt) }
            promptTokens = count
        }
        var limit = fault.ignoreLimit ? nil : request.outputLimit
        if let window = responder.options.contextWindow {
            let wanted = request.outputLimit ?? 0
            guard promptTokens + wanted <= window, promptTokens < window else {
                throw MockRefusal(
                    code: "context_length_exceeded",
                    "This model's maximum context length is \(window) tokens. However, you requested \(promptTokens + wanted) tokens."
                )
            }
            if !fault.ignoreLimit { limit = min(limit ?? window, window - promptTokens) }
        }
        let promptsCount = max(1, request.prompts.count + request.promptIDCounts.count)
        choices = (0..<(request.choicesCount * promptsCount)).map { index in
            Self.choice(
                answer.choices[index % answer.choices.count], limit: limit, stops: request.stops, deltas: deltas,
                counting: counting)
        }
        completionTokens = choices.reduce(0) { $0 + $1.tokensCount }
    }

    private static func choice(
        _ script: MockAnswer.Choice, limit: Int?, stops: [[UInt8]], deltas: MockCut?, counting: any MockCounting
    ) -> Choice {
        var choice = Choice()
        var left = limit ?? Int.max
        var wasCut = false
        func generate(_ text: [UInt8]) -> [Delta] {
            let tokens = counting.tokens(of: text)
            let kept = tokens.prefix(left)
            if kept.count < tokens.count { wasCut = true }
            left -= kept.count
            choice.tokensCount += kept.count
            return Self.deltas(kept, cut: deltas)
        }
        if let reasoning = script.reasoning { choice.reasoning = generate(reasoning) }
        if let content = script.content {
            choice.hasContent = true
            choice.content = generate(Self.cut(content, at: stops))
        }
        if let refusal = script.refusal { choice.refusal = generate(refusal).flatMap(\.text) }
        for call in script.toolCalls where !wasCut {
            choice.toolCalls.append(call)
            choice.argumentDeltas.append(generate(call.arguments))
        }
        choice.finishReason =
            wasCut ? "length" : script.finishReason ?? (script.toolCalls.isEmpty ? "stop" : "tool_calls")
        return choice
    }

    /// The text before the first stop string.
    private static func cut(_ text: [UInt8], at stops: [[UInt8]]) -> [UInt8] {
        var end = text.count
        for stop in stops where stop.count <= end {
            for start in 0...(end - stop.count) where text[start..<(start + stop.count)].elementsEqual(stop) {
                end = start
                break
            }
        }
        return Array(text.prefix(end))
    }

    /// Deltas hold whole scalars: JSON cannot carry half of one. What is left incomplete by the limit is dropped.
    private static func deltas(_ tokens: ArraySlice<(id: UInt32, text: [UInt8])>, cut: MockCut?) -> [Delta] {
        var deltas: [Delta] = []
        var open = Delta(ids: [], text: [])
        for token in tokens {
            open.ids.append(token.id)
            open.text += token.text
            let end = wholeScalarsEnd(open.text)
            guard end > 0 || open.text.isEmpty else { continue }
            deltas.append(Delta(ids: open.ids, text: Array(open.text[..<end])))
            open = Delta(ids: [], text: Array(open.text[end...]))
        }
        guard let cut else { return deltas }
        let text = deltas.flatMap(\.text)
        var generator = cut.generator
        var pieces: [Delta] = []
        var at = 0
        while at < text.count {
            var end = min(text.count, at + cut.next(&generator))
            while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
            pieces.append(Delta(ids: [UInt32(pieces.count)], text: Array(text[at..<end])))
            at = end
        }
        return pieces
    }

    /// Length of the longest prefix that does not end within a scalar.
    static func wholeScalarsEnd(_ text: [UInt8]) -> Int {
        var start = text.count
        while start > 0, text.count - start < 4 {
            start -= 1
            let byte = text[start]
            if byte & 0xC0 == 0x80 { continue }
            let length = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            return start + length <= text.count ? text.count : start
        }
        return text.count
    }

    func reply() -> MockReply {
        switch request.endpoint {
        case .chat, .completions: request.streams ? .events(openAIEvents()) : .json(200, openAIAnswer())
        case .tgi, .tgiCompatible: request.streams ? .events(tgiEvents()) : .json(200, tgiAnswer())
        }
    }
}
