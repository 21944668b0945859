import GuardBudgets
import GuardCore
import GuardDecisionLog
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardRules
import GuardTokenizers
import Testing

@Suite struct RequestTests {
    @Test func onlyTheOutputLimitIsWrittenIntoASoundRequest() async throws {
        let fixture = try EngineFixture()
        let body = #"{ "model" : "demo",  "messages":[{"role":"user","content":"h\u00e9llo"}] , "temperature":0.5 }"#
        let forwarded = try #require(await fixture.send(body).body)
        let document = try JSONDocument(Array(forwarded.utf8))
        #expect(document.root["max_tokens"]?.integer == 64)
        // Every other byte is the client's.
        let withoutLimit = forwarded.replacing(/,?\s*"max_tokens"\s*:\s*64/, with: "")
        #expect(withoutLimit == body)
    }

    @Test func theCountIsThatOfTheRenderedPrompt() async throws {
        let fixture = try EngineFixture()
        let body = #"{"model":"demo","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}],"max_tokens":3}"#
        let outcome = await fixture.send(body)
        #expect(outcome.body == body)
        outcome.exchange?.finish(.complete)
        // vLLM joins text parts with a newline before the template sees them.
        let joined = try RequestView.parse(
            .chatCompletions,
            body: Array(#"{"model":"demo","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"one\ntwo"}]}"#.utf8))
        let count = try fixture.entry.count(joined)
        let tokens = try #require(try fixture.record.tokens)
        #expect(tokens.prompt == count.total)
        #expect(tokens.exact && tokens.why.isEmpty)
        #expect(count.total > 8)
    }

    /// As on streams: `fixtures/streams/mask-in-tool-arguments.json` and `broken-tool-arguments-block.json`.
    @Test(arguments: [
        (#"{"a\\": "no 1234", "n": 1234}"#, #"{"a\\": "no \"n\"", "n": "n"}"#, false),
        (#"{"s": "77777", "n": 77777}"#, nil, true), (#"{"s": "77777"}"#, #"{"s": "[x]"}"#, false),
        (#"say "1234"#, #"say ""n""#, false),
    ]) func argumentsStayJSON(_ text: String, _ expected: String?, _ isBlocked: Bool) throws {
        let bundle = try RuleBundle(files: [
            .init(
                path: "t.yaml",
                content: Array(
                    """
                    ruleset: t
                    rules:
                      - {id: n, on: input, action: mask, mask: '"n"', match: {pcre: '\\b\\d{4}\\b'}}
                      - {id: x, on: input, action: mask, mask: '[x]', match: {pcre: '\\b\\d{5}\\b'}}
                    """.utf8))
        ])
        let segment = TextSegment(
            role: .toolCall, kind: "assistant.tool_call", text: Array(text.utf8), pieces: [], pointer: "/0")
        var scratch = EvaluationScratch()
        let verdict = bundle.judge(
            [segment], phase: .input, mode: .enforce,
            selection: bundle.select(phase: .input, model: nil, tenant: nil, route: nil), scratch: &scratch)
        #expect((verdict.action == .block) == isBlocked)
        if let expected {
            #expect(String(decoding: RuleBundle.apply(verdict.masks.map(\.edit), to: segment.text), as: UTF8.self) == expected)
        }
    }

    @Test(arguments: [
        ("/v1/chat/completions", EngineFixture.chat(String(repeating: "word ", count: 300)), "400 context_length_exceeded"),
        ("/generate", #"{"inputs":"\#(String(repeating: "word ", count: 300))"}"#, "422 context_length_exceeded"),
        ("/v1/completions", #"{"model":"demo","prompt":["a","\#(String(repeating: "word ", count: 300))"]}"#, "400 context_length_exceeded"),
        ("/v1/chat/completions", #"{"model":"demo","mess"#, "400 invalid_request"),
        ("/v1/chat/completions", #"{"model":"demo","messages":[],"\u006dessages":[]}"#, "400 invalid_request"),
        ("/v1/chat/completions", EngineFixture.chat("a", #","truncate_prompt_tokens":5"#), "400 field_not_allowed"),
        ("/v1/chat/completions", EngineFixture.chat("say xyzzy"), "400 content_policy_violation"),
        ("/v1/chat/completions", #"{"model":"other","messages":[{"role":"user","content":"a"}]}"#, "404 model_not_found"),
        ("/v1/unheard/of", "{}", "404 unguarded_route"),
        ("/V1%2Fchat%2fcompletions/..%2f..%2Fmetrics", "{}", "404 unguarded_route"),
    ])
    func refusals(path: String, body: String, expected: String) async throws {
        let fixture = try EngineFixture()
        let outcome = await fixture.send(body, path: path)
        #expect(outcome.refusal == expected || outcome.refusal == expected.replacing("context_length_exceeded", with: "validation"))
        let response = try #require(outcome.response)
        #expect(response.headers.contains { $0.name == "x-should-retry" && $0.value == "false" })
        #expect(response.headers.contains { $0.name == "x-guard-decision-id" })
        let record = try fixture.record
        #expect(record.status == response.status)
        #expect(record.action == (expected.hasSuffix("policy_violation") ? .block : .refuse))
        #expect(!String(decoding: response.body, as: UTF8.self).contains("xyzzy"))
    }

    /// A prompt of megabytes costs what its first part costs; the record says that the figure is no count.
    @Test func countingStopsAtTheLimit() async throws {
        let text = String(repeating: "word ", count: 400_000)
        let fixture = try EngineFixture()
        let outcome = await fixture.send(EngineFixture.chat(text))
        #expect(outcome.refusal == "400 context_length_exceeded")
        let message = String(decoding: try #require(outcome.response).body, as: UTF8.self)
        #expect(message.contains("at least") && message.contains("the limit is 200"))
        let tokens = try #require(try fixture.record.tokens)
        #expect(!tokens.exact && tokens.why == ["stopped_at_limit"] && (tokens.prompt ?? 0) > 200)
        #expect((tokens.prompt ?? 0) < 400_000)

        // Monitor mode forwards the prompt, so it wants the whole figure.
        let monitor = try EngineFixture { options, _ in options.mode = .monitor }
        try #require(await monitor.send(EngineFixture.chat(text)).exchange).finish(.complete)
        #expect(try monitor.record.tokens?.exact == true)
    }

    @Test func contentTypeAndMethodAreChecked() async throws {
        let fixture = try EngineFixture()
        #expect(await fixture.send("{}", contentType: "text/plain").refusal == "415 unguarded_route")
        #expect(await fixture.send("{}", contentType: nil).refusal == "415 unguarded_route")
        #expect(await fixture.send("{}", contentType: "application/json; charset=utf-16").refusal == "415 unguarded_route")
        #expect(await fixture.send("{}", method: "DELETE").refusal == "405 unguarded_route")
        let sound = await fixture.send(EngineFixture.chat("a"), contentType: "application/json; charset=UTF-8")
        #expect(sound.body != nil)
    }

    @Test func aMaskEditsOnlyTheMatchAndThePromptIsCountedAgain() async throws {
        let fixture = try EngineFixture()
        let body = EngineFixture.chat(#"caf\u00e9 4111 1111 1111 1111 \"ok\""#, #","max_tokens":5"#)
        let outcome = await fixture.send(body)
        #expect(outcome.body == body.replacing("4111 1111 1111 1111", with: "[CARD]"))
        outcome.exchange?.finish(.complete)
        let record = try fixture.record
        #expect(record.action == .mask)
        let tokens = try #require(record.tokens)
        #expect(try #require(tokens.promptBeforeEdits) > (try #require(tokens.prompt)))
        let edit = try #require(record.edits.first { $0.kind == "mask" })
        #expect(edit.rule == RuleID("card") && edit.replacementBytes == 6)
        #expect(record.findings.map(\.rule) == [RuleID("card")])
    }

    @Test func monitorModeForwardsUntouched() async throws {
        let bodies = [
            EngineFixture.chat("4111 1111 1111 1111 xyzzy"), EngineFixture.chat(String(repeating: "word ", count: 300)),
            #"{"model":"other","messages":[{"role":"user","content":"a"}]}"#, #"{"model":"demo","mess"#,
        ]
        for body in bodies {
            let fixture = try EngineFixture { options, _ in options.mode = .monitor }
            let outcome = await fixture.send(body)
            #expect(outcome.body == body)
            outcome.exchange?.finish(.complete)
            let record = try fixture.record
            #expect(record.wouldAction == .block || record.wouldAction == .refuse)
            #expect(record.action == .allow)
            #expect(record.mode == .monitor)
        }
    }

    @Test func theWeakestModeWins() async throws {
        let fixture = try EngineFixture()
        let outcome = await fixture.send(EngineFixture.chat("plugh", #","max_tokens":5"#))
        #expect(outcome.body != nil)
        outcome.exchange?.finish(.complete)
        let record = try fixture.record
        #expect(record.action == .allow && record.wouldAction == .block)
        #expect(record.reasons.contains("watched"))
    }

    @Test func retiredModelsAreGone() async throws {
        let fixture = try EngineFixture { _, entry in
            entry.deprecation = .init(dateMilliseconds: 0, sunsetMilliseconds: 1, successor: "demo-2")
        }
        let outcome = await fixture.send(EngineFixture.chat("a"))
        #expect(outcome.refusal == "410 model_retired")
        let sunset = outcome.response?.headers.first { $0.name == "sunset" }?.value
        #expect(sunset == "Thu, 01 Jan 1970 00:00:00 GMT")
    }

    @Test func everyPartOfARequestIsJudged() async throws {
        let places = [
            #"{"model":"demo","messages":[{"role":"system","content":"xyzzy"}]}"#,
            #"{"model":"demo","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"xyzzy"}]}]}"#,
            #"{"model":"demo","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":\"xyzzy\"}"}}]},{"role":"tool","tool_call_id":"1","content":"a"}]}"#,
            #"{"model":"demo","messages":[{"role":"tool","tool_call_id":"1","content":"xyzzy"}]}"#,
            #"{"model":"demo","messages":[{"role":"user","content":"a","name":"xyzzy"}]}"#,
            #"{"model":"demo","messages":[{"role":"user","content":"a"}],"made_up":{"deep":["xyzzy"]}}"#,
        ]
        for body in places {
            let fixture = try EngineFixture()
            #expect(await fixture.send(body).refusal == "400 content_policy_violation", "\(body)")
        }
    }

    @Test func tokenIdsAreReadAsTheirText() async throws {
        let fixture = try EngineFixture()
        let ids = { (text: String) in
            fixture.entry.tokenizer?.encode(Array(text.utf8), specials: .parse, addSpecialTokens: false).map(\.description)
                .joined(separator: ",") ?? ""
        }
        let blocked = #"{"model":"demo","prompt":[\#(ids("say xyzzy now"))]}"#
        #expect(await fixture.send(blocked, path: "/v1/completions").refusal == "400 content_policy_violation")
        // There is no text in the body that a mask could edit.
        let masked = #"{"model":"demo","prompt":[\#(ids("card 4111 1111 1111 1111"))]}"#
        #expect(await fixture.send(masked, path: "/v1/completions").refusal == "400 content_policy_violation")
        let sound = #"{"model":"demo","prompt":[\#(ids("good day"))],"max_tokens":5}"#
        #expect(await fixture.send(sound, path: "/v1/completions").body == sound)
    }

    @Test func whatCannotBeReadMeetsTheFailureMode() async throws {
        let body = #"{"model":"demo","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}],"max_tokens":5}"#
        let closed = try EngineFixture()
        #expect(await closed.send(body).refusal == "400 content_policy_violation")
        #expect(try !closed.record.scan.complete)
        let open = try EngineFixture { options, _ in options.failure = .open }
        let outcome = await open.send(body)
        #expect(outcome.body == body)
        outcome.exchange?.finish(.complete)
        let record = try open.record
        #expect(!record.scan.complete && record.scan.skipped.contains { $0.kind == "image_url_part" || $0.kind == "image_part" })
        #expect(record.tokens?.exact == false)
    }

    @Test func requestNamesAndTracesAreRecorded() async throws {
        let fixture = try EngineFixture()
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        let outcome = await fixture.send(
            EngineFixture.chat("a"),
            headers: [("X-Request-Id", "r-1"), ("traceparent", "00-\(trace)-00f067aa0ba902b7-01")])
        outcome.exchange?.finish(.complete)
        let record = try fixture.record
        #expect(record.requestId == "r-1")
        #expect(record.traceId == Label(trace))
        #expect(record.route == "/v1/chat/completions" && record.kind == "chat" && record.model == "demo")
        #expect(record.tenant == "acme")
    }
}
