import GuardCore
import GuardJSON
import Testing

@testable import GuardLLMSchema

struct StreamTests {
    private func decode(_ endpoint: Endpoint, _ data: [String]) throws -> ([StreamEvent], StreamDecoder) {
        var decoder = StreamDecoder(endpoint: endpoint)
        var events: [StreamEvent] = []
        for line in data { events += try decoder.append(Array("data: \(line)\n\n".utf8)) }
        return (events, decoder)
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func chat(_ choice: String) -> String { #"{"id":"i","created":1,"model":"m","choices":[\#(choice)]}"# }

    // MARK: Re-framing

    @Test func onlyTheTextChanges() throws {
        let line = chat(#"{ "index" : 0, "delta" : {"content":"a\u0041\n"} , "finish_reason":null}"#)
        let (events, _) = try decode(.chatCompletions, [line])
        #expect(text(events[0].texts[0].text) == "aA\n")
        let framed = events[0].reframed(.init(texts: [0: Array("x\"y".utf8)]))
        #expect(text(framed) == "data: " + line.replacing(#"a\u0041\n"#, with: #"x\"y"#) + "\n\n")
        #expect(events[0].reframed(AnswerParts.Rewrite()) == events[0].raw)
        #expect(
            events[0].reframed(.init(texts: [7: []], dropped: [9], wholes: [3: []], finishReasons: [4: "x"]))
                == events[0].raw)
    }

    @Test func everyPlaceOfATextChanges() throws {
        let (events, _) = try decode(
            .chatCompletions, [chat(#"{"index":0,"delta":{"reasoning":"ab","reasoning_content":"ab"}}"#)])
        #expect(events[0].texts.count == 1)
        #expect(
            text(events[0].reframed(.init(texts: [0: [0x58]]))).contains(#"{"reasoning":"X","reasoning_content":"X"}"#))
    }

    /// An event sent in two: the beginning without the end of the choice, the rest without what clients would append.
    @Test func anEventInTwo() throws {
        let line = chat(
            #"{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"abcd"}}]},"finish_reason":"tool_calls"}"#
        )
        let (events, _) = try decode(.chatCompletions, [line])
        let event = events[0]
        let first = event.reframed(.init(texts: [1: Array("ab".utf8)], clearsEnds: true))
        let second = event.reframed(.init(texts: [0: [], 1: Array("cd".utf8)], continues: true))
        #expect(text(first).contains(#""arguments":"ab"}}]},"finish_reason":null"#))
        #expect(text(second).contains(#""role":null"#))
        #expect(text(second).contains(#""id":null"#))
        let (outcome, _) = try Outcome.stream(.chatCompletions, [(first + second)[...]])
        #expect(outcome.text(.toolArguments(0)) == "abcd")
        #expect(outcome.text(.toolName(0)) == "f")
        #expect(outcome.ends == [0: "tool_calls"])
    }

    @Test func finishReasonsCanChange() throws {
        let (events, _) = try decode(.chatCompletions, [chat(#"{"index":0,"delta":{},"finish_reason":"stop"}"#)])
        #expect(events[0].ends.map(\.finishReason) == ["stop"])
        #expect(
            text(events[0].reframed(.init(finishReasons: [0: "content_filter"]))).contains(
                #""finish_reason":"content_filter""#))
    }

    // MARK: Logprobs

    private func entry(_ token: String) -> String {
        #"{"token":"\#(token)","logprob":-1,"bytes":null,"top_logprobs":[{"token":"alt"}]}"#
    }

    @Test func tokensStandWhereTheirTextStands() throws {
        let (events, _) = try decode(
            .chatCompletions,
            [
                chat(#"{"index":0,"delta":{"content":"ab"},"logprobs":{"content":[\#(entry("a")),\#(entry("b"))]}}"#),
                // Runs ahead of its text.
                chat(#"{"index":0,"delta":{"content":""},"logprobs":{"content":[\#(entry("cd"))]}}"#),
                chat(#"{"index":0,"delta":{"content":"cdef"},"logprobs":{"content":[\#(entry("e")),\#(entry("f"))]}}"#),
            ])
        #expect(events.flatMap(\.sides).map(\.range) == [0..<1, 1..<2, 2..<4, 4..<5, 5..<6])
        #expect(events.flatMap(\.texts).map(\.offset) == [0, 2, 2])
        let dropped = events[2].reframed(.init(texts: [0: Array("X".utf8)], dropped: [0]))
        #expect(text(dropped).contains(#""content":[\#(entry("f"))]"#))
        #expect(text(events[2].reframed(.init(dropped: [0, 1]))).contains(#""logprobs":{"content":[]}"#))
        #expect(events[0].parts.tokensCount == 2)
    }

    @Test func tokensOfOtherTextHaveNoPlace() throws {
        let (events, _) = try decode(
            .chatCompletions,
            [
                chat(#"{"index":0,"delta":{"content":"ab"},"logprobs":{"content":[\#(entry("a")),\#(entry("x"))]}}"#),
                chat(#"{"index":0,"delta":{"content":"c"},"logprobs":{"content":[\#(entry("c"))]}}"#),
            ])
        #expect(events.flatMap(\.sides).map(\.range) == [0..<1, nil, nil])
    }

    @Test func parallelArraysStayParallel() throws {
        let line =
            #"{"choices":[{"index":0,"text":"abc","logprobs":{"tokens":["a","b","c"],"token_logprobs":[-1,-2,-3],"top_logprobs":[{"a":-1},{"b":-2},{"c":-3}],"text_offset":[0,1,2]}}]}"#
        let (events, _) = try decode(.completions, [line])
        #expect(events[0].unread.isEmpty)
        let framed = text(events[0].reframed(.init(dropped: [1])))
        #expect(
            framed.contains(
                #""tokens":["a","c"],"token_logprobs":[-1,-3],"top_logprobs":[{"a":-1},{"c":-3}],"text_offset":[0,2]"#))
    }

    @Test func tokenIDsGoWithTheirText() throws {
        let (events, _) = try decode(
            .chatCompletions, [chat(#"{"index":0,"delta":{"content":"ab"},"token_ids":[5,6]}"#)])
        #expect(events[0].sides.map(\.range) == [0..<2])
        #expect(text(events[0].reframed(.init(dropped: [0]))).contains(#""token_ids":null"#))
    }

    // MARK: TGI

    private func token(_ text: String, special: Bool = false, rest: String = #""generated_text":null,"details":null"#)
        -> String
    {
        #"{"index":1,"token":{"id":5,"text":"\#(text)","logprob":-1,"special":\#(special)},"top_tokens":[{"id":9,"text":"alt"}],\#(rest)}"#
    }

    @Test func generateEvents() throws {
        let end =
            #""generated_text":"Hello","details":{"finish_reason":"length","generated_tokens":2,"input_length":7}"#
        let (events, decoder) = try decode(.generateStream, [token("Hel"), token("lo", rest: end)])
        #expect(decoder.usage == Usage(promptTokens: 7, completionTokens: 2))
        #expect(events.flatMap(\.texts).map { text($0.text) } == ["Hel", "lo"])
        #expect(events[1].sides.map(\.relation) == [.companion, .whole])
        #expect(events[1].sides.map(\.range) == [3..<5, 0..<5])
        let framed = text(
            events[1].reframed(.init(texts: [0: [0x58]], dropped: [0], wholes: [1: Array("HX".utf8)])))
        #expect(
            framed.contains(
                #""token":{"id":0,"text":"X","logprob":null,"special":false},"top_tokens":[],"generated_text":"HX""#))
        let first = text(events[1].reframed(.init(texts: [0: [0x6C]], wholes: [1: [0x48]], clearsEnds: true)))
        #expect(first.contains(#""generated_text":null,"details":null"#))
    }

    @Test func generatedTextThatIsLongerExtendsTheChannel() throws {
        let (events, _) = try decode(
            .generateStream, [token("Hel"), token("</s>", special: true, rest: #""generated_text":"Hello""#)])
        #expect(
            events[1].texts.map { "\($0.channel) \(text($0.text)) \($0.offset) \($0.places.count)" } == [
                "special </s> 0 1", "content lo 3 0",
            ])
        #expect(events[1].ends.count == 1)
    }

    @Test func generatedTextThatDiffersIsReadByItself() throws {
        let (events, _) = try decode(
            .generateStream, [token("Hel"), token("lo", rest: #""generated_text":"Prompt Hello""#)])
        let own = try #require(events[1].texts.firstIndex { $0.channel.kind == .generatedText })
        #expect(text(events[1].texts[own].text) == "Prompt Hello")
        #expect(text(events[1].reframed(.init(texts: [own: [0x58]]))).contains(#""generated_text":"X""#))
    }

    // MARK: Kinds

    @Test func kindsOfEvents() throws {
        var decoder = StreamDecoder(endpoint: .chatCompletions)
        func kind(_ block: String) throws -> StreamEvent.Kind? { try decoder.append(Array(block.utf8)).first?.kind }
        #expect(try kind(": x\n\n") == .comment)
        #expect(try kind("data:\n\n") == .comment)
        #expect(try kind("data: [DONE]\n\n") == .end)
        #expect(try kind("event: ping\ndata: {}\n\n") == .unknown)
        #expect(try kind("data: 5\n\n") == .unknown)
        #expect(try kind("data: {\"choices\":[]}\n\n") == .message)
        #expect(try kind("event: error\ndata: {}\n\n") == .error(UpstreamError()))
        #expect(
            try kind("data: {\"error\":{\"type\":\"t\",\"code\":5}}\n\n") == .error(UpstreamError(type: "t", code: "5"))
        )
        #expect(try kind("data: {\"a\":1,\"a\":2}\n\n") == .unreadable(JSONError(.duplicateKey, at: 7)))
        #expect(try kind("data: hello\n\n") == .unreadable(JSONError(.unexpectedByte, at: 0)))
    }

    @Test func unknownStringsAreReported() throws {
        let (events, _) = try decode(
            .chatCompletions,
            [#"{"id":"i","new":{"k":["v"]},"choices":[{"index":0,"delta":{"content":"c","poem":"p"},"x":"y"}]}"#])
        #expect(events[0].unread.map { text($0.text) } == ["k", "v", "p", "y"])
        for unread in events[0].unread {
            let edit = JSONEdit(range: unread.place, replacement: [0x58])
            #expect(!text(events[0].reframed([edit])).contains("\"" + text(unread.text) + "\""))
        }
    }

    @Test func toolCallsWithoutIndex() throws {
        func delta(_ calls: String) -> String { chat(#"{"index":0,"delta":{"tool_calls":[\#(calls)]}}"#) }
        let (outcome, _) = try Outcome.stream(
            .chatCompletions,
            [
                delta(#"{"id":"a","function":{"name":"f","arguments":"1"}}"#),
                delta(#"{"function":{"arguments":"2"}}"#),
                delta(#"{"id":"b","function":{"name":"g","arguments":"3"}}"#),
                delta(#"{"id":"a","function":{"arguments":"4"}}"#),
            ].map { Array("data: \($0)\n\n".utf8)[...] })
        #expect(outcome.text(.toolArguments(0)) == "124")
        #expect(outcome.text(.toolArguments(1)) == "3")
        #expect(outcome.text(.toolName(1)) == "g")
    }

    // MARK: Ends of our own

    @Test func endsInTheWordsOfTheAPI() throws {
        let (_, decoder) = try decode(
            .chatCompletions,
            [
                chat(#"{"index":0,"delta":{"content":"a"}}"#), chat(#"{"index":1,"delta":{"content":"b"}}"#),
                chat(#"{"index":2,"delta":{"content":"c"},"finish_reason":"stop"}"#),
            ])
        #expect(decoder.openChoices == [0, 1])
        let end = decoder.end(finishReason: "content_filter", usage: Usage(promptTokens: 3, completionTokens: 2))
        let (outcome, events) = try Outcome.stream(.chatCompletions, [end[...]])
        #expect(outcome.ends == [0: "content_filter", 1: "content_filter"])
        #expect(outcome.usage == Usage(promptTokens: 3, completionTokens: 2, totalTokens: 5))
        #expect(outcome.isDone)
        #expect(
            events.dropLast().allSatisfy {
                text($0.raw).contains(#""id":"i""#) && text($0.raw).contains(#""model":"m""#)
            })
        #expect(events.allSatisfy { $0.unread.isEmpty })
        let one = decoder.end(finishReason: "content_filter", choices: [1], usage: nil, endsStream: false)
        #expect(try Outcome.stream(.chatCompletions, [one[...]]).0.ends == [1: "content_filter"])

        let error = decoder.errorEnd(APIError(.contentPolicyViolation, "Blocked", rules: ["pii.card"]))
        let (failed, _) = try Outcome.stream(.chatCompletions, [error[...]])
        #expect(failed.error == UpstreamError(type: "invalid_request_error", code: "content_policy_violation"))
        #expect(failed.isDone)
    }

    @Test func endsOfCompletionsAndGenerate() throws {
        let (_, completions) = try decode(.completions, [#"{"id":"i","choices":[{"index":0,"text":"a"}]}"#])
        let (outcome, events) = try Outcome.stream(
            .completions, [completions.end(finishReason: "length", usage: nil)[...]])
        #expect(outcome.ends == [0: "length"])
        #expect(events.count == 2)
        let (_, generate) = try decode(.generateStream, [token("Hel")])
        let end = generate.end(
            finishReason: "content_filter", usage: Usage(promptTokens: 1, completionTokens: 1),
            delivered: Array("H\"".utf8))
        let (generated, ends) = try Outcome.stream(.generateStream, [end[...]])
        #expect(generated.ends == [0: "content_filter"])
        #expect(generated.usage == Usage(promptTokens: 1, completionTokens: 1))
        #expect(text(ends[0].raw).contains(#""generated_text":"H\"""#))
        #expect(text(ends[0].raw).hasPrefix("data:{\"index\":2,"))
        let error = generate.errorEnd(APIError(.contentPolicyViolation, "Blocked"))
        #expect(try Outcome.stream(.generateStream, [error[...]]).0.error?.type == "validation")
    }
}
