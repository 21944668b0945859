import GuardJSON

/// The shapes of `/v1/chat/completions` and `/v1/completions`.
extension MockCompletion {
    private var isChat: Bool { request.endpoint == .chat }

    // MARK: Whole

    func openAIAnswer() -> [UInt8] {
        var writer = JSONWriter(reserving: 1024)
        writer.object {
            head(&$0, object: isChat ? "chat.completion" : "text_completion")
            $0.key("choices")
            $0.array {
                for (index, choice) in choices.enumerated() {
                    $0.object {
                        $0.member("index", index)
                        if isChat {
                            message(choice, &$0)
                        } else {
                            $0.member("text", utf8: choice.content.flatMap(\.text))
                        }
                        $0.key("logprobs")
                        logprobs(choice.content, &$0)
                        $0.member("finish_reason", choice.finishReason)
                    }
                }
            }
            if !fault.noUsage {
                $0.key("usage")
                usage(&$0)
            }
        }
        return writer.bytes
    }

    private func message(_ choice: Choice, _ writer: inout JSONWriter) {
        writer.key("message")
        writer.object {
            $0.member("role", "assistant")
            if choice.hasContent {
                $0.member("content", utf8: choice.content.flatMap(\.text))
            } else {
                $0.memberNull("content")
            }
            if let refusal = choice.refusal { $0.member("refusal", utf8: refusal) } else { $0.memberNull("refusal") }
            if !choice.reasoning.isEmpty { $0.member("reasoning_content", utf8: choice.reasoning.flatMap(\.text)) }
            if !choice.toolCalls.isEmpty {
                $0.key("tool_calls")
                $0.array {
                    for (index, call) in choice.toolCalls.enumerated() {
                        $0.object {
                            $0.member("id", "call_\(index)")
                            $0.member("type", "function")
                            $0.key("function")
                            $0.object {
                                $0.member("name", utf8: call.name)
                                $0.member("arguments", utf8: choice.argumentDeltas[index].flatMap(\.text))
                            }
                        }
                    }
                }
            }
        }
    }

    // MARK: Streaming

    /// The choices take turns, as a batch generates them.
    func openAIEvents() -> [[UInt8]] {
        var lanes = choices.enumerated().map { index, choice in
            isChat ? chatLane(index, choice) : textLane(index, choice)
        }
        var events: [[UInt8]] = []
        var turn = 0
        while lanes.contains(where: { !$0.isEmpty }) {
            for index in lanes.indices where turn < lanes[index].count { events.append(lanes[index][turn]) }
            turn += 1
            for index in lanes.indices where turn >= lanes[index].count { lanes[index] = [] }
        }
        if request.includeUsage, !fault.noUsage {
            var writer = JSONWriter()
            writer.object {
                head(&$0, object: isChat ? "chat.completion.chunk" : "text_completion")
                $0.key("choices")
                $0.array { _ in }
                $0.key("usage")
                usage(&$0)
            }
            events.append(Self.event(writer.bytes))
        }
        if !fault.noEndMark { events.append(Array("data: [DONE]\n\n".utf8)) }
        return events
    }

    private func chatLane(_ index: Int, _ choice: Choice) -> [[UInt8]] {
        var lane = [
            chunk(index) {
                $0.member("role", "assistant")
                $0.member("content", "")
            }
        ]
        for delta in choice.reasoning { lane.append(chunk(index) { $0.member("reasoning_content", utf8: delta.text) }) }
        for delta in choice.content {
            lane.append(chunk(index, logprobs: [delta]) { $0.member("content", utf8: delta.text) })
        }
        if let refusal = choice.refusal { lane.append(chunk(index) { $0.member("refusal", utf8: refusal) }) }
        for (position, call) in choice.toolCalls.enumerated() {
            lane.append(toolChunk(index, position, first: call.name, arguments: []))
            for delta in choice.argumentDeltas[position] {
                lane.append(toolChunk(index, position, first: nil, arguments: delta.text))
            }
        }
        lane.append(chunk(index, finish: choice.finishReason) { _ in })
        return lane
    }

    private func textLane(_ index: Int, _ choice: Choice) -> [[UInt8]] {
        var lane = choice.content.map { textChunk(index, $0.text, logprobs: [$0], finish: nil) }
        lane.append(textChunk(index, [], logprobs: [], finish: choice.finishReason))
        return lane
    }

    private func toolChunk(_ index: Int, _ position: Int, first name: [UInt8]?, arguments: [UInt8]) -> [UInt8] {
        chunk(index) {
            $0.key("tool_calls")
            $0.array {
                $0.object {
                    $0.member("index", position)
                    if name != nil {
                        $0.member("id", "call_\(position)")
                        $0.member("type", "function")
                    }
                    $0.key("function")
                    $0.object {
                        if let name { $0.member("name", utf8: name) }
                        $0.member("arguments", utf8: arguments)
                    }
                }
            }
        }
    }

    private func chunk(
        _ index: Int, finish: String? = nil, logprobs deltas: [Delta] = [], _ delta: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            head(&$0, object: "chat.completion.chunk")
            $0.key("choices")
            $0.array {
                $0.object {
                    $0.member("index", index)
                    $0.key("delta")
                    $0.object(delta)
                    $0.key("logprobs")
                    logprobs(deltas, &$0)
                    if let finish { $0.member("finish_reason", finish) } else { $0.memberNull("finish_reason") }
                }
            }
            if request.includeUsage { $0.memberNull("usage") }
        }
        return Self.event(writer.bytes)
    }

    private func textChunk(_ index: Int, _ text: [UInt8], logprobs deltas: [Delta], finish: String?) -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            head(&$0, object: "text_completion")
            $0.key("choices")
            $0.array {
                $0.object {
                    $0.member("index", index)
                    $0.member("text", utf8: text)
                    $0.key("logprobs")
                    logprobs(deltas, &$0)
                    if let finish { $0.member("finish_reason", finish) } else { $0.memberNull("finish_reason") }
                }
            }
            if request.includeUsage { $0.memberNull("usage") }
        }
        return Self.event(writer.bytes)
    }

    // MARK: Parts

    private func head(_ writer: inout JSONWriter, object: String) {
        writer.member("id", isChat ? "chatcmpl-mock" : "cmpl-mock")
        writer.member("object", object)
        writer.member("created", 1_700_000_000)
        writer.member("model", model)
    }

    private func usage(_ writer: inout JSONWriter) {
        writer.object {
            $0.member("prompt_tokens", promptTokens)
            $0.member("completion_tokens", completionTokens)
            $0.member("total_tokens", promptTokens + completionTokens)
        }
    }

    private func logprobs(_ deltas: [Delta], _ writer: inout JSONWriter) {
        guard request.logprobs, !deltas.isEmpty else { return writer.null() }
        if isChat {
            writer.object {
                $0.key("content")
                $0.array {
                    for delta in deltas {
                        $0.object {
                            token(delta, &$0)
                            $0.key("top_logprobs")
                            $0.array {
                                if request.topLogprobs > 0 { $0.object { token(delta, &$0) } }
                            }
                        }
                    }
                }
                $0.memberNull("refusal")
            }
        } else {
            var offset = 0
            writer.object {
                $0.key("tokens")
                $0.array { for delta in deltas { $0.string(utf8: delta.text) } }
                $0.key("token_logprobs")
                $0.array { for _ in deltas { $0.double(-0.25) } }
                $0.key("top_logprobs")
                $0.array {
                    for delta in deltas { $0.object { $0.member(String(decoding: delta.text, as: UTF8.self), -0.25) } }
                }
                $0.key("text_offset")
                $0.array {
                    for delta in deltas {
                        $0.integer(offset)
                        offset += delta.text.count
                    }
                }
            }
        }
    }

    private func token(_ delta: Delta, _ writer: inout JSONWriter) {
        writer.member("token", utf8: delta.text)
        writer.member("logprob", -0.25)
        writer.key("bytes")
        writer.array { for byte in delta.text { $0.integer(byte) } }
    }

    static func event(_ json: [UInt8]) -> [UInt8] { Array("data: ".utf8) + json + Array("\n\n".utf8) }
}
