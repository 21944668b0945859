import Foundation
import GuardCore
import GuardDecisionLog
import GuardPolicy
import Testing

@Suite struct ReversibleMaskTests {
    static let rules = """
        ruleset: test
        rules:
          - id: email
            on: input
            match: {pcre: '[a-z"]+@[a-z]+\\.org'}
            view: raw
            action: mask
            mask: {placeholder: '[EMAIL_{n}]', restore: true}
          - id: phone
            on: input
            match: {pcre: '\\d{3}-\\d{4}'}
            action: mask
            mask: {placeholder: '<tel:{n}>'}
          - id: secret
            on: output
            match: {words: [hush]}
            action: mask
            mask: '#'
        """

    private func send(_ fixture: EngineFixture, _ text: String) async throws -> (String, Exchange) {
        let outcome = await fixture.send(EngineFixture.chat(text))
        let exchange = try #require(outcome.exchange)
        return (try #require(outcome.body), exchange)
    }

    @Test func thePromptIsMaskedAndTheAnswerRestored() async throws {
        let fixture = try EngineFixture(rules: Self.rules)
        let (body, exchange) = try await send(fixture, "ann@x.org, bob@y.org, ann@x.org 555-1234 555-1234")
        #expect(body.contains("[EMAIL_1], [EMAIL_2], [EMAIL_1] <tel:1> <tel:1>"))
        #expect(exchange.answerHead(status: 200, contentType: "application/json") == .collect)
        let answer = exchange.answer(whole: EngineFixture.answer("hush [EMAIL_2] [EMAIL_1]x [EMAIL_3] <tel:1>"))
        exchange.finish(.complete)
        #expect(answer.body == EngineFixture.answer("# bob@y.org ann@x.orgx [EMAIL_3] <tel:1>"))
        let record = try fixture.record
        #expect(record.edits.filter { $0.kind == "restore" }.count == 2)
        #expect(!"\(record)".contains("bob@"))
    }

    @Test func whatTheClientWroteIsNotTakenForOurs() async throws {
        let fixture = try EngineFixture(rules: Self.rules)
        let (body, exchange) = try await send(fixture, "[EMAIL_1] ann@x.org")
        #expect(body.contains("[EMAIL_1] [EMAIL_2]"))
        #expect(exchange.answerHead(status: 200, contentType: "application/json") == .collect)
        let answer = exchange.answer(whole: EngineFixture.answer("[EMAIL_1] [EMAIL_2]"))
        #expect(answer.body == EngineFixture.answer("[EMAIL_1] ann@x.org"))
    }

    @Test func toolCallsStayJSON() async throws {
        let fixture = try EngineFixture(rules: Self.rules)
        let (_, exchange) = try await send(fixture, #"a\"b@x.org"#)
        _ = exchange.answerHead(status: 200, contentType: "application/json")
        let body =
            #"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"to\":\"[EMAIL_1]\"}"}}]}}]}"#
        let answer = exchange.answer(whole: Array(body.utf8))
        #expect(String(decoding: answer.body, as: UTF8.self).contains(#"{\"to\":\"a\\\"b@x.org\"}"#))
    }

    /// Through the hold-back: cut anywhere, the same text arrives, and never a part of a placeholder.
    @Test func streamsAreRestoredHoweverCut() async throws {
        let text = "to [EMAIL_1], hush [EMAIL_2 [EMAIL_2]. [E"
        func event(_ delta: String, _ end: String) -> String {
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\(delta)\"},\"finish_reason\":\(end)}]}\n\n"
        }
        for cut in 1..<text.count {
            let fixture = try EngineFixture(rules: Self.rules)
            let (_, exchange) = try await send(fixture, "ann@x.org bob@y.org")
            #expect(exchange.answerHead(status: 200, contentType: "text/event-stream") == .inspect)
            var out = exchange.answer(bytes: Array(event(String(text.prefix(cut)), "null").utf8)).output
            #expect(!String(decoding: out, as: UTF8.self).contains("EMAIL_1"))
            out += exchange.answer(bytes: Array(event(String(text.dropFirst(cut)), "\"stop\"").utf8)).output
            out += exchange.answer(bytes: Array("data: [DONE]\n\n".utf8)).output
            out += exchange.answerEnded(complete: true).output
            exchange.finish(.complete)
            var delivered = ""
            for part in String(decoding: out, as: UTF8.self).components(separatedBy: "\"content\":\"").dropFirst() {
                delivered += part.prefix { $0 != "\"" }
            }
            #expect(delivered == "to ann@x.org, # [EMAIL_2 bob@y.org. [E", "cut at \(cut)")
        }
    }

    @Test func monitorModeTakesNothingOut() async throws {
        let fixture = try EngineFixture(rules: Self.rules) { options, _ in options.mode = .monitor }
        let (body, _) = try await send(fixture, "ann@x.org")
        #expect(body.contains("ann@x.org"))
    }

    @Test(arguments: [
        ("on: [input, output]", "{placeholder: '[X_{n}]'}", "on: input"),
        ("on: input", "{placeholder: '[X]'}", "'{n}' once"),
        ("on: input", "{placeholder: 'X{n}'}", "stands between"),
        ("on: input", "{placeholder: '[1{n}]'}", "stands between"),
        ("on: input", "{placeholder: '[ {n} ]'}", "printable ASCII"), ("on: input", "{restore: true}", "missing key"),
        ("on: input", "{placeholder: '[{n}]', restores: true}", "did you mean 'restore'"),
    ]) func whatDoesNotLoad(_ phases: String, _ mask: String, _ message: String) {
        let rules = "ruleset: t\nrules:\n  - {id: r, \(phases), action: mask, mask: \(mask), match: {pcre: x}}"
        #expect { _ = try EngineFixture(rules: rules) } throws: { "\($0)".contains(message) }
    }
}
