import GuardJSON

/// What the events of a stream say about themselves, as the server wrote it: for events of our own.
package struct StreamIdentity: Sendable, Hashable {
    /// Raw JSON values.
    var members: [String: [UInt8]] = [:]
    /// TGI: index of the last token.
    var lastIndex = 0

    private static let names = ["id", "object", "created", "model", "system_fingerprint"]

    mutating func note(_ root: JSONNode) {
        guard members.isEmpty else { return }
        if let index = root["index"]?.integer, index >= 0, index < Int64(Int32.max) { lastIndex = Int(index) }
        guard root["choices"] != nil else { return }
        for name in Self.names { members[name] = root[name].map { Array($0.rawBytes) } }
    }

    func write(_ writer: inout JSONWriter, object: String) {
        writer.key("id")
        writer.raw(members["id"] ?? Array("\"guard\"".utf8))
        writer.key("object")
        writer.raw(members["object"] ?? Array("\"\(object)\"".utf8))
        writer.key("created")
        writer.raw(members["created"] ?? Array("0".utf8))
        writer.key("model")
        writer.raw(members["model"] ?? Array("\"\"".utf8))
        if let fingerprint = members["system_fingerprint"] {
            writer.key("system_fingerprint")
            writer.raw(fingerprint)
        }
    }
}

/// Ends of streams that are ours.
extension StreamDecoder {
    /// The terminal error event of the API, with the end mark where it has one.
    package func errorEnd(_ error: APIError) -> [UInt8] {
        switch endpoint.shape {
        case .openAI: Self.event(error.body(endpoint.shape)) + Self.done
        case .tgi: Self.event(error.body(endpoint.shape), space: false)
        }
    }

    /// Ends the choices that are still open as if the API had ended them: `content_filter` (`onBlock: contentFilter`)
    /// or `length` (cut at the limit), then usage and the end mark.
    ///
    /// - Parameters:
    ///   - finishReason: `content_filter` or `length`.
    ///   - choices: `nil`: all that are open (choice 0 if none was seen).
    ///   - usage: for the usage event, sent if the client asked for one; OpenAI shape only.
    ///   - delivered: TGI: the text that the client has got, which its last event repeats.
    ///   - endsStream: whether the end mark follows (not while other choices go on).
    package func end(
        finishReason: String, choices: [Int]? = nil, usage: Usage?, delivered: [UInt8] = [], endsStream: Bool = true
    ) -> [UInt8] {
        var result: [UInt8] = []
        switch endpoint.shape {
        case .openAI:
            for choice in choices ?? (openChoices.isEmpty ? [0] : openChoices) {
                result += Self.event(choiceEnd(choice, finishReason))
            }
            if let usage { result += Self.event(usageEvent(usage)) }
            if endsStream { result += Self.done }
        case .tgi:
            result += Self.event(generateEnd(finishReason, usage, delivered), space: false)
        }
        return result
    }

    private var objectName: String {
        endpoint == .completions ? "text_completion" : "chat.completion.chunk"
    }

    private func choiceEnd(_ choice: Int, _ reason: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            identity.write(&writer, object: objectName)
            writer.key("choices")
            writer.array { writer in
                writer.object { writer in
                    writer.member("index", choice)
                    if endpoint == .completions {
                        writer.member("text", "")
                    } else {
                        writer.key("delta")
                        writer.object { _ in }
                    }
                    writer.memberNull("logprobs")
                    writer.member("finish_reason", reason)
                }
            }
        }
        return writer.bytes
    }

    private func usageEvent(_ usage: Usage) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            identity.write(&writer, object: objectName)
            writer.key("choices")
            writer.array { _ in }
            writer.key("usage")
            writer.object { writer in
                let prompt = usage.promptTokens ?? 0
                let completion = usage.completionTokens ?? 0
                writer.member("prompt_tokens", prompt)
                writer.member("completion_tokens", completion)
                writer.member("total_tokens", usage.totalTokens ?? prompt &+ completion)
                if let cached = usage.cachedTokens {
                    writer.key("prompt_tokens_details")
                    writer.object { $0.member("cached_tokens", cached) }
                }
            }
        }
        return writer.bytes
    }

    /// The last event of TGI must hold a token; an empty special one adds nothing to the text.
    private func generateEnd(_ reason: String, _ usage: Usage?, _ delivered: [UInt8]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("index", identity.lastIndex + 1)
            writer.key("token")
            writer.object { writer in
                writer.member("id", 0)
                writer.member("text", "")
                writer.memberNull("logprob")
                writer.member("special", true)
            }
            writer.member("generated_text", utf8: delivered)
            writer.key("details")
            writer.object { writer in
                writer.member("finish_reason", reason)
                writer.member("generated_tokens", usage?.completionTokens ?? 0)
                writer.memberNull("seed")
                writer.member("input_length", usage?.promptTokens ?? 0)
            }
        }
        return writer.bytes
    }

    /// `data: ` + JSON; TGI writes no space.
    private static func event(_ json: [UInt8], space: Bool = true) -> [UInt8] {
        Array((space ? "data: " : "data:").utf8) + json + [0x0A, 0x0A]
    }

    private static let done = Array("data: [DONE]\n\n".utf8)
}
