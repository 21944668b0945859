import GuardJSON

/// The shapes of text-generation-inference: `/generate`, `/generate_stream` and the compatible `/`.
extension MockCompletion {
    func tgiAnswer() -> [UInt8] {
        var writer = JSONWriter()
        let isList = request.endpoint == .tgiCompatible
        if isList { writer.beginArray() }
        writer.object {
            $0.member("generated_text", utf8: fullText)
            if request.details {
                $0.key("details")
                $0.object {
                    $0.member("finish_reason", finishReason)
                    $0.member("generated_tokens", completionTokens)
                    $0.memberNull("seed")
                    $0.key("prefill")
                    $0.array {
                        guard request.prefillDetails else { return }
                        for index in 0..<promptTokens { $0.object { $0.member("id", index) } }
                    }
                    $0.key("tokens")
                    $0.array { for delta in deltas { token(delta, &$0) } }
                }
            }
        }
        if isList { writer.endArray() }
        return writer.bytes
    }

    /// `data:` without a space, no end mark; the last event repeats the whole text.
    func tgiEvents() -> [[UInt8]] {
        let deltas = deltas.isEmpty ? [Delta(ids: [0], text: [])] : deltas
        return deltas.enumerated().map { index, delta in
            let isLast = index == deltas.count - 1
            var writer = JSONWriter()
            writer.object {
                $0.member("index", index + 1)
                $0.key("token")
                token(delta, &$0)
                if isLast, !fault.noEndMark {
                    $0.member("generated_text", utf8: fullText)
                } else {
                    $0.memberNull("generated_text")
                }
                if isLast, !fault.noUsage {
                    $0.key("details")
                    $0.object {
                        $0.member("finish_reason", finishReason)
                        $0.member("generated_tokens", completionTokens)
                        $0.memberNull("seed")
                        $0.member("input_length", promptTokens)
                    }
                } else {
                    $0.memberNull("details")
                }
            }
            return Array("data:".utf8) + writer.bytes + Array("\n\n".utf8)
        }
    }

    private var deltas: [Delta] { choices.first?.content ?? [] }

    private var fullText: [UInt8] {
        (request.returnsFullText ? request.prompts.first ?? [] : []) + deltas.flatMap(\.text)
    }

    /// TGI's words for the reasons.
    private var finishReason: String {
        switch choices.first?.finishReason {
        case "length": "length"
        case "stop" where !request.stops.isEmpty: "stop_sequence"
        default: "eos_token"
        }
    }

    private func token(_ delta: Delta, _ writer: inout JSONWriter) {
        writer.object {
            $0.member("id", delta.ids.last ?? 0)
            $0.member("text", utf8: delta.text)
            $0.member("logprob", -0.25)
            $0.member("special", false)
        }
    }
}
