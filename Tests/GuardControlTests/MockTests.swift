import GuardJSON
import GuardTesting
import Testing

@testable import GuardControl

@Suite struct MockServerTests {
    private func send(
        _ target: String, _ body: String, headers: [String] = [],
        configure: (inout MockResponder.Options) -> Void = { _ in }
    ) async throws -> RawHTTP.Answer {
        var options = MockResponder.Options()
        configure(&options)
        let server = try await MockServer.start(MockResponder(options))
        defer { Task { await server.stop() } }
        return try await RawHTTP.send(
            RawHTTP.request("POST", target, headers: ["Content-Type: application/json"] + headers, body: body),
            port: server.port)
    }

    /// The data of the events of an answer in chunked coding whose chunks hold whole events.
    private func events(_ answer: RawHTTP.Answer) -> [String] {
        dechunk(answer.bodyBytes).split(separator: "\n").filter { $0.hasPrefix("data:") }
            .map { String($0.dropFirst(5).drop { $0 == " " }) }
    }

    private func dechunk(_ body: [UInt8]) -> String {
        var bytes = body[...]
        var text: [UInt8] = []
        while let end = bytes.firstIndex(of: 0x0A) {
            let line = String(decoding: bytes[..<end], as: UTF8.self).filter { $0.isHexDigit }
            guard let length = Int(line, radix: 16), length > 0, bytes.count >= length else { break }
            text += bytes[(end + 1)..<min(bytes.endIndex, end + 1 + length)]
            bytes = bytes.dropFirst(end + 1 - bytes.startIndex + length + 2)
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func deltas(_ events: [String], choice: Int64 = 0) throws -> String {
        try events.filter { $0 != "[DONE]" }.map {
            let root = try JSONDocument(Array($0.utf8)).root
            guard let first = root["choices"]?[0], first["index"]?.integer == choice else { return "" }
            return first["delta"]?["content"]?.string ?? first["text"]?.string ?? ""
        }.joined()
    }

    @Test func countsAndHonoursTheLimit() async throws {
        let answer = try await send(
            "/v1/completions", #"{"model":"m","prompt":["a b c","d e"],"max_tokens":2,"n":2}"#,
            headers: ["x-mock-answer: one two three"])
        let root = try JSONDocument(Array(answer.body.utf8)).root
        #expect(root["choices"]?.count == 4)
        #expect(root["choices"]?[3]?["text"]?.string == "one two")
        #expect(root["choices"]?[3]?["finish_reason"]?.string == "length")
        #expect(root["usage"]?["prompt_tokens"]?.integer == 5)
        #expect(root["usage"]?["completion_tokens"]?.integer == 8)
    }

    @Test(arguments: ["1", "2", "7", "random:1", "random:2"], ["1", "3", "random:5"])
    func streamsTheSameTextHoweverItIsCut(chunk: String, delta: String) async throws {
        let answer = try await send(
            "/v1/chat/completions",
            #"{"messages":[{"role":"user","content":"x"}],"stream":true,"n":2,"stream_options":{"include_usage":true}}"#,
            headers: [
                #"x-mock-answer: {"choices":[{"content":"caf\u00e9 \ud83d\ude00 4111 1111"},{"content":"two"}]}"#,
                "x-mock-chunk-bytes: \(chunk)", "x-mock-delta-bytes: \(delta)",
            ])
        let events = events(answer)
        #expect(try deltas(events) == "café 😀 4111 1111")
        #expect(try deltas(events, choice: 1) == "two")
        #expect(events.last == "[DONE]")
        let usage = try JSONDocument(Array(events[events.count - 2].utf8)).root["usage"]
        #expect(usage?["completion_tokens"]?.integer == 5)
    }

    @Test func streamsToolCalls() async throws {
        let answer = try await send(
            "/v1/chat/completions", #"{"messages":[],"stream":true}"#,
            headers: [#"x-mock-answer: {"tool_calls":[{"name":"f","arguments":{"a": 1}}]}"#, "x-mock-delta-bytes: 2"])
        let arguments = try events(answer).filter { $0 != "[DONE]" }.map {
            try JSONDocument(Array($0.utf8)).root["choices"]?[0]?["delta"]?["tool_calls"]?[0]?["function"]?[
                "arguments"]?
                .string ?? ""
        }
        #expect(arguments.joined() == #"{"a": 1}"#)
        #expect(answer.body.contains(#""finish_reason":"tool_calls""#))
    }

    @Test func speaksTGI() async throws {
        let answer = try await send(
            "/generate_stream", #"{"inputs":"a b","parameters":{"max_new_tokens":2}}"#,
            headers: ["x-mock-answer: x y z"])
        let last = try JSONDocument(Array(#require(events(answer).last).utf8)).root
        #expect(last["generated_text"]?.string == "x y")
        #expect(last["details"]?["finish_reason"]?.string == "length")
        #expect(last["details"]?["generated_tokens"]?.integer == 2)
        #expect(last["details"]?["input_length"]?.integer == 2)
        let error = try await send("/generate", "{}")
        #expect(error.status == 422)
        #expect(error.body.contains(#""error_type":"validation""#))
    }

    @Test(arguments: [("error-503", 503), ("error-429", 429), ("nonsense", 400)])
    func failsWithAStatus(fault: String, status: Int) async throws {
        let answer = try await send("/v1/chat/completions", #"{"messages":[]}"#, headers: ["x-mock-fault: \(fault)"])
        #expect(answer.status == status)
    }

    @Test func closesWhenTold() async throws {
        await #expect(throws: RawHTTP.Failure.self) {
            try await send("/v1/chat/completions", #"{"messages":[]}"#, headers: ["x-mock-fault: close-before-answer"])
        }
        let answer = try await send(
            "/v1/chat/completions", #"{"messages":[],"stream":true}"#, headers: ["x-mock-fault: close-mid-stream"])
        #expect(answer.status == 200)
        #expect(!answer.body.contains("[DONE]"))
        #expect(!answer.body.hasSuffix("0\r\n\r\n"))
    }

    @Test func scriptsByTheLastUserText() async throws {
        let script = try MockAnswer.Script(
            jsonLines: Array(
                """
                {"contains": "card", "answer": {"content": "4111"}}

                {"answer": {"echo": true}}
                """.utf8), file: "answers.jsonl")
        for (text, wanted) in [("my card", "4111"), ("other", "other")] {
            let answer = try await send(
                "/v1/chat/completions", #"{"messages":[{"role":"user","content":"\#(text)"}]}"#
            ) { $0.script = script }
            #expect(answer.body.contains(#""content":"\#(wanted)""#))
        }
        #expect(throws: MockAnswer.Malformed.self) {
            try MockAnswer.Script(jsonLines: Array("{}".utf8), file: "f")
        }
    }

    @Test(arguments: ["", "0", "-1", "x", "random:x", "random:"])
    func refusesOtherCuts(text: String) { #expect(MockCut(text) == nil) }
}
