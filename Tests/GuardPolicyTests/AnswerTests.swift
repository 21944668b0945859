import GuardCore
import GuardDecisionLog
import GuardPolicy
import GuardTokenizers
import Testing

@Suite struct AnswerTests {
    /// Lets one answer come back whole.
    private func answer(
        _ fixture: EngineFixture, _ body: [UInt8], status: Int = 200, contentType: String = "application/json"
    ) async throws -> GuardResponse {
        let exchange = try #require(await fixture.send(EngineFixture.chat("a", #","max_tokens":50"#)).exchange)
        #expect(exchange.answerHead(status: status, contentType: contentType) == .collect)
        let response = exchange.answer(whole: body)
        exchange.finish(.complete)
        return response
    }

    @Test func aSoundAnswerPassesByteForByte() async throws {
        let fixture = try EngineFixture()
        let body = EngineFixture.answer("fine")
        let response = try await answer(fixture, body)
        #expect(response.status == 200 && response.body == body)
        let record = try fixture.record
        #expect(record.tokens?.reported == .init(prompt: 20, completion: 5, total: 25))
        #expect(record.tokens?.completion == 5)
        #expect(record.tokens?.drift == 20 - (record.tokens?.prompt ?? 0))
        #expect(record.action == .allow && record.scan.complete)
    }

    @Test func masksAndBlocks() async throws {
        let masking = try EngineFixture()
        let masked = try await answer(masking, EngineFixture.answer("card 4111 1111 1111 1111."))
        #expect(masked.body == EngineFixture.answer("card [CARD]."))
        #expect(try masking.record.action == .mask)

        let blocking = try EngineFixture()
        let blocked = try await answer(blocking, EngineFixture.answer("well, xyzzy"))
        #expect(blocked.status == 400)
        #expect(!String(decoding: blocked.body, as: UTF8.self).contains("xyzzy"))
        #expect(try blocking.record.action == .block)
        // The server has generated it: charged all the same.
        #expect(try blocking.record.tokens?.completion == 5)
    }

    @Test func everyChoiceAndToolCallIsJudged() async throws {
        let bodies = [
            #"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"a"}},{"index":1,"message":{"role":"assistant","content":"xyzzy"}}]}"#,
            #"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"q\":\"xyzzy\"}"}}]}}]}"#,
            #"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"a","reasoning_content":"xyzzy"}}]}"#,
            #"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"a","made_up":"xyzzy"}}]}"#,
        ]
        for body in bodies {
            let fixture = try EngineFixture()
            #expect(try await answer(fixture, Array(body.utf8)).status == 400, "\(body)")
        }
    }

    @Test func whatCannotBeParsedMeetsTheFailureMode() async throws {
        let closed = try EngineFixture()
        #expect(try await answer(closed, Array("{\"choices\":".utf8)).status == 502)
        #expect(try !closed.record.scan.complete)
        let open = try EngineFixture { options, _ in options.failure = .open }
        #expect(try await answer(open, Array("{\"choices\":".utf8)).status == 200)
        #expect(try !open.record.scan.complete)
    }

    @Test func errorsOfTheServerPassAndChargeNothing() async throws {
        let fixture = try EngineFixture()
        let body = Array(#"{"error":{"message":"too long","type":"BadRequestError","code":400}}"#.utf8)
        let response = try await answer(fixture, body, status: 400)
        #expect(response.status == 400 && response.body == body)
        #expect(try fixture.record.tokens?.completion == nil)
        let plain = try EngineFixture()
        #expect(try await answer(plain, Array("Internal Server Error".utf8), status: 500, contentType: "text/plain").status == 500)
    }

    /// Cut anywhere, every piece leaves at once and as it came.
    @Test(arguments: ["application/json", "text/event-stream"])
    func monitorModeHoldsAndEditsNothing(contentType: String) async throws {
        let fixture = try EngineFixture { options, _ in options.mode = .monitor }
        let exchange = try #require(await fixture.send(EngineFixture.chat("a")).exchange)
        #expect(exchange.answerHead(status: 200, contentType: contentType) == .observe)
        var body = EngineFixture.answer("xyzzy 4111 1111 1111 1111")
        if contentType == "text/event-stream" {
            body = Array(
                #"data: {"id":"c","choices":[{"index":0,"delta":{"content":"xyzzy 4111 1111 1111 1111"},"finish_reason":"stop"}]}"#
                    .utf8) + Array("\n\ndata: [DONE]\n\n".utf8)
        }
        var start = 0
        while start < body.count {
            let piece = Array(body[start..<min(start + 7, body.count)])
            #expect(exchange.answer(bytes: piece).output == piece)
            start += 7
        }
        #expect(exchange.answerEnded(complete: true).output.isEmpty)
        exchange.finish(.complete)
        #expect(try fixture.record.wouldAction == .block)
        #expect(try fixture.record.action == .allow)
    }

    @Test func aRecordIsWrittenOnceEvenWithoutAnEnd() async throws {
        let fixture = try EngineFixture()
        do {
            let exchange = try #require(await fixture.send(EngineFixture.chat("a")).exchange)
            exchange.finish(.upstream(.idleTimeout))
            exchange.finish(.complete)
        }
        #expect(try fixture.record.reasons.contains("idle_timeout"))
        let dropped = try EngineFixture()
        _ = await dropped.send(EngineFixture.chat("a"))
        #expect(try dropped.record.reasons.contains("client_gone"))
    }

    /// A server that ignores the output limit and proves no tokens: the guard counts, and ends the stream at the first
    /// event that is over limit + 2 % + 8.
    @Test func theGuardsOwnCountEndsAStream() async throws {
        let fixture = try EngineFixture()
        let exchange = try #require(
            await fixture.send(EngineFixture.chat("a", #","max_tokens":50,"stream":true"#)).exchange)
        #expect(exchange.answerHead(status: 200, contentType: "text/event-stream") == .inspect)
        let tokenizer = try EngineFixture.tokenizer.get()
        var text: [UInt8] = []
        var ended = false
        for index in 0..<400 where !ended {
            let piece = ["the ", "quick", " brown", "\u{e9}x ", "12", "345"][index % 6]
            text += Array(piece.utf8)
            let event = #"data: {"id":"c","choices":[{"index":0,"delta":{"content":"\#(piece)"}}]}"# + "\n\n"
            ended = exchange.answer(bytes: Array(event.utf8)).ends
            let tokens = tokenizer.count(text, addSpecialTokens: false)
            #expect(ended == (tokens > 50 + 1 + 8), "\(tokens) tokens")
        }
        #expect(ended)
        exchange.finish(.complete)
        let record = try fixture.record
        #expect(record.stream?.end == "output_limit")
        #expect(record.tokens?.completion == tokenizer.count(text, addSpecialTokens: false))
    }
}
