import Foundation
import GuardCore
import GuardJSON
import GuardTesting
import Testing

@testable import GuardLLMSchema

struct AnswerTests {
    private func view(_ endpoint: Endpoint, _ text: String) throws -> AnswerView {
        try AnswerView.parse(endpoint, body: Array(text.utf8))
    }

    private func masked(_ view: AnswerView, _ kind: ChannelID.Kind, _ range: ByteRange, _ text: String = "#") -> (
        text: String, dropped: Set<String>
    ) {
        let mask = AnswerView.Mask(
            channel: ChannelID(choice: 0, kind: kind), range: range, replacement: Array(text.utf8))
        let (edits, dropped) = view.edits(masking: [mask])
        return (String(decoding: JSONEdit.applying(edits, to: view.document.bytes), as: UTF8.self), dropped)
    }

    @Test func masksTakeTheirTokensWithThem() throws {
        func entry(_ token: String) -> String {
            #"{"token":"\#(token)","logprob":-1,"top_logprobs":[{"token":"~\#(token)"}]}"#
        }
        let body =
            #"{"choices":[{"index":0,"message":{"content":"Hi Bob!"},"logprobs":{"content":[\#(entry("Hi")), \#(entry(" Bob")), \#(entry("!"))]},"finish_reason":"stop"}]}"#
        let view = try view(.chatCompletions, body)
        let (text, dropped) = masked(view, .content, 3..<6)
        #expect(dropped == ["logprobs"])
        #expect(
            text
                == #"{"choices":[{"index":0,"message":{"content":"Hi #!"},"logprobs":{"content":[\#(entry("Hi")), \#(entry("!"))]},"finish_reason":"stop"}]}"#
        )
        #expect(masked(view, .content, 0..<7).text.contains(#""logprobs":{"content":[]}"#))
    }

    @Test func tokensThatDoNotFitGoWithEveryEdit() throws {
        let body =
            #"{"choices":[{"index":0,"message":{"content":"Hi","reasoning":"Hm"},"logprobs":{"content":[{"token":"Hm"},{"token":"Hi"}]}}]}"#
        let view = try view(.chatCompletions, body)
        #expect(masked(view, .reasoning, 0..<1).text.contains(#""logprobs":{"content":[]}"#))
        #expect(masked(view, .content, 0..<1).text.contains(#""logprobs":{"content":[]}"#))
    }

    @Test func everyChannelIsReadAndEdited() throws {
        let body = #"""
            {"choices":[{"index":0,"message":{"content":[{"type":"text","text":"c1"},{"type":"text","text":"c2"}],
            "refusal":"rf","reasoning":"rs","tool_calls":[{"id":"i","function":{"name":"tn","arguments":"{\"a\":\"x\"}"}}],
            "function_call":{"name":"fn","arguments":"fa"},"audio":{"id":"a","data":"AAAA","transcript":"tr"}}}]}
            """#
        let view = try view(.chatCompletions, body)
        let texts = Dictionary(
            uniqueKeysWithValues: view.channels.map { ($0.id.kind, String(decoding: $0.text, as: UTF8.self)) })
        #expect(
            texts == [
                .content: "c1c2", .refusal: "rf", .reasoning: "rs", .toolName(0): "tn",
                .toolArguments(0): #"{"a":"x"}"#, .functionName: "fn", .functionArguments: "fa", .transcript: "tr",
            ])
        #expect(view.unread.isEmpty)
        #expect(view.parts.opaque.map(\.kind) == ["audio"])
        for channel in view.channels {
            let mask = AnswerView.Mask(channel: channel.id, range: 1..<2, replacement: Array("\"#".utf8))
            let edited = try AnswerView.parse(
                .chatCompletions, body: JSONEdit.applying(view.edits(masking: [mask]).edits, to: view.document.bytes))
            var wanted = channel.text
            wanted.replaceSubrange(1..<2, with: Array("\"#".utf8))
            for other in edited.channels {
                let before = view.channels.first { $0.id == other.id }?.text
                #expect(other.text == (other.id == channel.id ? wanted : before))
            }
        }
        // Over two parts.
        #expect(masked(view, .content, 1..<3).text.contains(#""text":"c#"},{"type":"text","text":"2""#))
    }

    @Test func generateTokensFollow() throws {
        let body =
            #"[{"generated_text":"Hello Ann","details":{"finish_reason":"length","generated_tokens":2,"prefill":[{"id":1,"text":"Say"}],"tokens":[{"id":1,"text":"Hello","special":false},{"id":2,"text":" Ann","special":false},{"id":3,"text":"</s>","special":true}]}}]"#
        let view = try view(.compatGenerate, body)
        let (text, dropped) = masked(view, .content, 6..<9)
        #expect(dropped == ["details.tokens"])
        #expect(text.contains(#""generated_text":"Hello #""#))
        #expect(
            text.contains(#""tokens":[{"id":1,"text":"Hello","special":false},{"id":3,"text":"</s>","special":true}]"#))
        #expect(view.channels.map { $0.id.kind } == [.content, .promptEcho, .special])
    }

    @Test func unknownStringsAreReported() throws {
        let chat = try view(
            .chatCompletions, #"{"id":"a","model":"b","x":{"y":"z"},"choices":[{"message":{"poem":["p"]},"q":1}]}"#)
        #expect(chat.unread.map { String(decoding: $0.text, as: UTF8.self) } == ["y", "z", "p"])
        let generate = try view(.generate, #"{"generated_text":"a","details":{"note":"n"},"more":"m"}"#)
        #expect(generate.unread.map { String(decoding: $0.text, as: UTF8.self) } == ["n", "m"])
        let odd = try view(.chatCompletions, #"["text",{"a":"b"}]"#)
        #expect(odd.unread.count == 3)
    }

    /// Real servers: every captured request of these endpoints is read as exact, every answer without unread strings.
    @Test(.enabled(if: TestData.hasShared), arguments: ["vllm", "llamacpp"]) func captures(_ server: String) throws {
        let data = try Data(contentsOf: try TestData.sharedFile("protocols/captures/\(server).json"))
        let file = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        var streams = 0
        var answers = 0
        for item in try #require(file["items"] as? [[String: Any]]) {
            guard let name = item["name"] as? String, let request = item["request_text"] as? String,
                let reads = item["response_reads_b64"] as? [String],
                let end = request.range(of: "\r\n\r\n")
            else { continue }
            let words = request.prefix { $0 != "\r\n" }.split(separator: " ")
            guard words.count == 3,
                case .guarded(let endpoint, _) = Router(api: API(rawValue: server) ?? .auto)
                    .route(method: String(words[0]), target: String(words[1])),
                let (status, headers, body) = http(reads.flatMap { [UInt8](Data(base64Encoded: $0) ?? Data()) })
            else { continue }
            let sent = Array(request[end.upperBound...].utf8)
            let view = try? RequestView.parse(endpoint, body: sent, options: RequestOptions(api: .vllm))
            if headers.contains("text/event-stream") {
                let (outcome, events) = try Outcome.stream(endpoint, [body[...]])
                let view = try #require(view, "\(name)")
                #expect(view.estimatedWhy.isEmpty, "\(name)")
                #expect(events.allSatisfy { $0.unread.isEmpty }, "\(name)")
                #expect(outcome.isDone && !outcome.isTruncated, "\(name)")
                if view.includeUsage { #expect(outcome.usage?.promptTokens ?? 0 > 0, "\(name)") }
                #expect(outcome.ends.count == view.choicesMax * view.promptsCount, "\(name)")
                streams += 1
            } else if status == 200 {
                let answer = try AnswerView.parse(endpoint, body: body)
                #expect(answer.usage?.completionTokens ?? 0 > 0, "\(name)")
                let pointers = Set(answer.unread.map(\.pointer))
                #expect(pointers.allSatisfy { $0.hasSuffix("prompt_logprobs") }, "\(name) \(pointers)")
                answers += 1
            } else if !body.isEmpty {
                #expect(try AnswerView.parse(endpoint, body: body).error != nil, "\(name)")
            }
        }
        #expect(streams >= 2)
        #expect(answers >= 4)
    }

    /// Status, headers and body of a captured answer, chunked coding undone.
    private func http(_ bytes: [UInt8]) -> (Int, String, [UInt8])? {
        let separator = Array("\r\n\r\n".utf8)
        guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: separator) }) else { return nil }
        let head = String(decoding: bytes[..<end], as: UTF8.self).lowercased()
        var body = Array(bytes[(end + 4)...])
        if head.contains("transfer-encoding: chunked") {
            var plain: [UInt8] = []
            var at = 0
            while at < body.count, let line = body[at...].firstIndex(of: 0x0D),
                let size = Int(String(decoding: body[at..<line], as: UTF8.self), radix: 16), size > 0
            {
                plain += body[(line + 2)..<min(line + 2 + size, body.count)]
                at = line + 2 + size + 2
            }
            body = plain
        }
        return (Int(head.dropFirst(9).prefix(3)) ?? 0, head, body)
    }
}
