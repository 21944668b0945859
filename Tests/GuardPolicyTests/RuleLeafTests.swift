import Foundation
import GuardCore
import GuardDecisionLog
import GuardJSON
import GuardRules
import GuardTesting
import Testing

@testable import GuardPolicy

/// Conditions on complete texts on their way through an exchange.
@Suite struct RuleLeafTests {
    private static let rules = """
        ruleset: t
        rules:
          - {id: long, on: input, roles: [user], action: block, match: {tokens: {max: 12}}}
          - {id: order, on: output, action: block, stream: hold, match: {json: {schema: {type: object, required: [id]}}}}
          - {id: mail, on: output, action: mask, mask: '<{1}>', stream: hold, match: {json: {at: '/**', match: {pcre: '(\\w+)@\\w+'}}}}
        """

    @Test func theServedTokenizerCounts() async throws {
        let texts: [(String, String?)] = [
            ("hi", nil), (String(repeating: "word and ", count: 20), "400 content_policy_violation"),
        ]
        for (text, wanted) in texts {
            let fixture = try EngineFixture(rules: Self.rules)
            #expect(await fixture.send(EngineFixture.chat(text)).refusal == wanted)
        }
    }

    @Test func withoutATokenizerTheRequestMeetsTheFailureMode() async throws {
        let closed = try EngineFixture(rules: Self.rules) { $1.tokenizer = nil }
        #expect(await closed.send(EngineFixture.chat("hi")).refusal == "400 content_policy_violation")
        let record = try closed.record
        #expect(!record.scan.complete)
        #expect(record.scan.skipped.map(\.why.description) == ["no_tokenizer"])
        let open = try EngineFixture(rules: Self.rules) {
            $1.tokenizer = nil
            $0.failure = .open
        }
        #expect(await open.send(EngineFixture.chat("hi")).refusal == nil)
    }

    /// In the record it stands beside the rules' time.
    @Test(arguments: [false, true]) func theTimeOfClassifiersIsTold(_ isStream: Bool) async throws {
        let model = try [UInt8](Data(contentsOf: TestData.fixtures.appending(path: "classifiers/injection.gclf")))
        func classify(_ phase: String?) async throws -> Int? {
            let rules = """
                ruleset: t
                rules:
                  - {id: c, on: \(phase ?? ""), stream: hold, action: flag, match: {classify: {model: m.gclf, label: injection, threshold: 0.9}}}
                """
            let fixture =
                phase == nil
                ? try EngineFixture()
                : try EngineFixture(rules: rules, resources: [.init(path: "m.gclf", content: model)])
            let outcome = await fixture.send(EngineFixture.chat("hi", isStream ? #","stream":true"# : ""))
            let exchange = try #require(outcome.exchange)
            if isStream {
                _ = exchange.answerHead(status: 200, contentType: "text/event-stream")
                let event = #"data: {"id":"c","choices":[{"index":0,"delta":{"content":"a b"},"finish_reason":"stop"}]}"#
                _ = exchange.answer(bytes: Array((event + "\n\ndata: [DONE]\n\n").utf8))
                _ = exchange.answerEnded(complete: true)
            } else {
                _ = exchange.answerHead(status: 200, contentType: "application/json")
                _ = exchange.answer(whole: EngineFixture.answer("a b"))
            }
            exchange.finish(.complete)
            return try fixture.record.latency.guardMicroseconds.classify
        }
        #expect(try await classify("input") != nil)
        #expect(try await classify("output") != nil)
        #expect(try await classify(nil) == nil)
    }

    private func answered(_ text: String, streamed: Bool) async throws -> (status: Int, body: String, record: [String]) {
        let fixture = try EngineFixture(rules: Self.rules)
        let outcome = await fixture.send(EngineFixture.chat("hi", streamed ? #","stream":true"# : ""))
        let exchange = try #require(outcome.exchange)
        var writer = JSONWriter()
        writer.string(text)
        let escaped = String(decoding: writer.bytes.dropFirst().dropLast(), as: UTF8.self)
        if streamed {
            _ = exchange.answerHead(status: 200, contentType: "text/event-stream")
            var body: [UInt8] = []
            let events =
                #"data: {"id":"c","choices":[{"index":0,"delta":{"content":"\#(escaped)"},"finish_reason":null}]}"# + "\n\n"
                + #"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"# + "\n\ndata: [DONE]\n\n"
            for byte in events.utf8 { body += exchange.answer(bytes: [byte]).output }
            body += exchange.answerEnded(complete: true).output
            exchange.finish(.complete)
            return (200, String(decoding: body, as: UTF8.self), try fixture.record.findings.map { $0.rule.name })
        }
        _ = exchange.answerHead(status: 200, contentType: "application/json")
        let answer = exchange.answer(whole: EngineFixture.answer(escaped))
        exchange.finish(.complete)
        return (answer.status, String(decoding: answer.body, as: UTF8.self), try fixture.record.findings.map { $0.rule.name })
    }

    @Test(arguments: [false, true]) func structuredOutput(_ streamed: Bool) async throws {
        let sound = try await answered(#"{"id": 1}"#, streamed: streamed)
        #expect(sound.body.contains(#"{\"id\": 1}"#) && sound.record == [])
        let broken = try await answered(#"{"name": "secret words"}"#, streamed: streamed)
        #expect(!broken.body.contains("secret words"))
        #expect(broken.body.contains("content_policy_violation") && broken.record == ["order"])
        // The mask is escaped as deep as the text was.
        let masked = try await answered(#"{"id": "\u0042ob\u0040corp \"q\""}"#, streamed: streamed)
        #expect(masked.record == ["mail"])
        #expect(masked.body.contains(#"{\"id\": \"<Bob> \\\"q\\\"\"}"#), "\(masked.body)")
    }

    @Test func masksInToolCallsStayInOneValue() async throws {
        let rules = """
            ruleset: t
            rules:
              - {id: quoted, on: input, action: mask, mask: 'a "{last2}"', match: {pcre: '\\d{4}'}}
              - {id: across, on: input, action: mask, mask: 'x', view: raw, match: {pcre: '<.*>'}}
            """
        func sent(_ arguments: String) async throws -> EngineFixture.Outcome {
            var writer = JSONWriter()
            writer.string(arguments)
            let text = String(decoding: writer.bytes, as: UTF8.self)
            return await (try EngineFixture(rules: rules)).send(
                #"{"model":"demo","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":\#(text)}}]},{"role":"tool","tool_call_id":"1","content":"ok"}]}"#)
        }
        let masked = try #require(try await sent(#"{"n": "no 1234"}"#).body)
        #expect(masked.contains(##"{\"n\": \"no a \\\"34\\\"\"}"##), "\(masked)")
        #expect(try await sent(#"{"a": "<", "b": ">"}"#).body?.contains(##"{\"a\": \"x\"}"##) == true)
        #expect(try await sent(#"{"a": "<", "b": [1, ">"]}"#).refusal == "400 content_policy_violation")
        // What was no JSON before need not be afterwards.
        #expect(try await sent(#"no json 1234"#).body?.contains(##"no json a \"34\""##) == true)
    }

    private struct Tokens: TokenCounting {
        var identity: String
        var bytes: Int
        func tokensCount(of text: Span<UInt8>, tokenizer: String?) -> Int? { text.count / bytes }
    }

    @Test func theCacheTellsTokenizersApart() throws {
        let bundle = try VerdictCacheTests.bundle(
            "ruleset: t\nrules:\n  - {id: l, on: input, action: block, match: {tokens: {max: 50}}}")
        let cache = VerdictCache()
        let segment = VerdictCacheTests.segment(String(repeating: "x", count: 100))
        let selection = bundle.select(phase: .input, model: nil, tenant: nil, route: nil)
        var scratch = EvaluationScratch()
        for _ in 0..<2 {
            for (tokens, isLong) in [(Tokens(identity: "a", bytes: 1), true), (Tokens(identity: "b", bytes: 4), false)] {
                let verdict = bundle.judge(
                    [segment], phase: .input, mode: .enforce, selection: selection, cache: cache, tokens: tokens,
                    scratch: &scratch)
                #expect(verdict.findings.isEmpty == !isLong)
            }
        }
        #expect(cache.count == 2)
    }

    @Test func whatIsOnlyAllowedIsClean() throws {
        let bundle = try VerdictCacheTests.bundle(
            """
            ruleset: t
            rules:
              - {id: num, on: input, action: block, match: {pcre: '\\d+'}}
              - {id: ok, on: input, action: allow, suppresses: num, reason: versions, match: {pcre: 'v\\d+'}}
              - {id: watched, on: input, action: flag, mode: monitor, match: {words: [watch]}}
              - {id: shape, on: output, action: flag, match: {json: {schema: {required: [a]}}}}
            """)
        let operation = CheckOperation(bundle: bundle)
        var scratch = EvaluationScratch()
        func answer(_ json: String) throws -> (line: [UInt8], isClean: Bool) {
            try operation.answer(try JSONDocument(Array(json.utf8)).root, scratch: &scratch)
        }
        #expect(try answer(#"{"text": "v1"}"#).isClean)
        #expect(try !answer(#"{"text": "v1 2"}"#).isClean)
        // What enforcing would have done is not clean.
        #expect(try !answer(#"{"text": "watch"}"#).isClean)
        let shape = try answer(#"{"text": "{}", "phase": "output"}"#)
        #expect(String(decoding: shape.line, as: UTF8.self).contains(#""why":"required at the root""#))
    }
}
