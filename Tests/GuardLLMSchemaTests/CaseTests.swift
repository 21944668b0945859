import Foundation
import GuardCore
import GuardJSON
import GuardTesting
import Testing

@testable import GuardLLMSchema

/// Every fixture of these endpoints, ours and the team's: what the case file expects is what we read.
struct CaseTests {
    @Test(.enabled(if: TestData.hasShared)) func sharedCasesAreFound() {
        #expect(Case.shared.filter { $0.endpoint != nil }.count > 60)
    }

    @Test func ownCasesAreFound() { #expect(Case.own.count >= 8) }

    // MARK: Requests

    /// Kinds that the case files list as input texts; the rest of the segments is what they do not speak of.
    private static let listedKinds: Set<String> = [
        "system", "developer", "user", "assistant", "tool", "function", "prompt", "suffix", "assistant.tool_call",
    ]

    @Test(arguments: Case.guarded.filter { $0.body != nil }) func request(_ test: Case) throws {
        let endpoint = try #require(test.endpoint)
        let body = try #require(test.body)
        let expected = test.expected
        var view: RequestView?
        var error: RequestError?
        do {
            view = try RequestView.parse(endpoint, body: body, options: RequestOptions(api: test.api))
        } catch let refusal { error = refusal }

        if test.verdict == "reject", expected["reason"] as? String != "over_budget" {
            let error = try #require(error, "must be refused")
            #expect(error.status == 400)
            let wanted: RequestError.Code =
                expected["reason"] as? String == "opaque_prompt" ? .fieldNotAllowed : .invalidRequest
            #expect(error.code == wanted)
            #expect(wanted == .fieldNotAllowed || error.offset != nil)
            return
        }
        if let error {
            #expect(test.verdict.contains("or_reject"), "refused: \(error)")
            // What may pass or not is refused only for these reasons.
            if expected["dangerous_fields"] != nil { #expect(error.code == .fieldNotAllowed) }
            return
        }
        let read = try #require(view)
        if test.verdict != "reject" {
            #expect(read.model == expected["model"] as? String)
            #expect(read.stream == expected["stream"] as? Bool)
            #expect(read.outputLimit.value == expected["max_tokens"] as? Int)
            let texts = (expected["input_texts"] as? [[String: String]] ?? []).map {
                [$0["role"] ?? "", $0["text"] ?? ""]
            }
            let own = read.segments.filter { Self.listedKinds.contains($0.kind) }
                .map { [$0.kind, String(decoding: $0.text, as: UTF8.self)] }
            #expect(own == texts)
        }
        if let worst = expected["worst_case_output_tokens"] as? Int {
            #expect(read.promptsCount * read.choicesMax * (read.outputLimit.value ?? 0) == worst)
        }
        if let n = expected["n"] as? Int { #expect(read.choicesMax == n) }
        if let usage = expected["include_usage"] as? Bool { #expect(read.includeUsage == usage) }
        if let limit = expected["default_max_tokens"] as? Int { #expect(read.endpoint.defaultOutputLimit == limit) }
        if let echo = expected["echo"] as? Bool { #expect(read.echo == echo) }
        if let ids = expected["token_ids"] as? [[Int]] {
            guard case .tokenIDs(let lists) = read.prompt else { return #expect(Bool(false), "no token ids") }
            #expect(lists.map { $0.map { Int($0.value) } } == ids)
        }
        if expected["prefill"] as? Bool == true {
            let prefill = try #require(read.prefillSegment)
            #expect(read.segments[prefill].kind == "assistant")
        }
        let opaque = (expected["opaque"] as? [[String: String]] ?? []).map { [$0["where"] ?? "", $0["kind"] ?? ""] }
        #expect(read.opaqueParts.map { [$0.pointer, $0.kind] } == opaque)
        #expect(read.estimatedWhy.contains("opaque_part") == !opaque.isEmpty)
        for tool in expected["tools"] as? [[String: String]] ?? [] {
            for (field, text) in tool {
                #expect(read.segments.contains { $0.kind == "tool.\(field)" && $0.text == Array(text.utf8) })
            }
        }
    }

    // MARK: Routes

    @Test(arguments: Case.all.filter { $0.line != nil }) func route(_ test: Case) throws {
        let line = try #require(test.line)
        for api in [test.api, .auto] {
            let route = Router(api: api).route(method: line.method, target: line.target)
            if let canonical = test.expected["canonical_path"] as? String, test.name != "path-upper-case" {
                #expect(route == .guarded(.chatCompletions, target: canonical))
            } else if test.name == "path-upper-case" {
                #expect(route == .unguarded(.unknownPath, path: "/V1/Chat/Completions"))
            } else if test.verdict == "pass_through" && test.apiName.hasPrefix("openai") {
                #expect(route == .passThrough(target: "/v1/models"))
            } else if let endpoint = test.endpoint, test.body != nil {
                #expect(
                    route == .guarded(endpoint, target: line.target)
                        || test.name.hasPrefix("path-") && route == .guarded(endpoint, target: "/v1/chat/completions"))
            } else if test.name == "admin-endpoint" || test.name == "unknown-endpoint" {
                #expect(route == .unguarded(.unknownPath, path: line.target))
            }
        }
    }

    // MARK: Answers

    @Test(arguments: Case.guarded.filter { $0.responseBody != nil && !$0.isStream }) func answer(_ test: Case) throws {
        let endpoint = try #require(test.endpoint)
        let body = try #require(test.responseBody)
        let view = try AnswerView.parse(endpoint, body: body)
        try check(try Outcome.answer(endpoint, body), test)
        // Everything generated that stands beside the texts goes when they are edited.
        if let side = test.object["side_texts"] as? [String] {
            let masks = view.channels.map {
                AnswerView.Mask(channel: $0.id, range: 0..<$0.text.count, replacement: Array("X".utf8))
            }
            let edited = JSONEdit.applying(view.edits(masking: masks).edits, to: body)
            let text = String(decoding: edited, as: UTF8.self)
            for word in side { #expect(!text.contains(word)) }
            #expect(try Outcome.answer(endpoint, edited).text(.content) == "X")
        }
    }

    // MARK: Streams

    @Test(arguments: Case.guarded.filter { $0.responseBody != nil && $0.isStream }) func stream(_ test: Case) throws {
        let endpoint = try #require(test.endpoint)
        let body = try #require(test.responseBody)
        let (whole, events) = try Outcome.stream(endpoint, [body[...]])
        try check(whole, test)
        #expect(events.allSatisfy { $0.unread.isEmpty || whole.error != nil })
        #expect(body.starts(with: events.flatMap(\.raw)))
        if !whole.isTruncated { #expect(events.flatMap(\.raw) == body) }
    }

    /// However the reads are cut, the events are the same.
    @Test(arguments: Case.guarded.filter { $0.responseBody != nil && $0.isStream }) func streamCuts(_ test: Case) throws
    {
        let endpoint = try #require(test.endpoint)
        let body = try #require(test.responseBody)
        let (whole, events) = try Outcome.stream(endpoint, [body[...]])
        let raws = events.map(\.raw)
        let (bytewise, byteEvents) = try Outcome.stream(endpoint, body.indices.map { body[$0...$0] })
        #expect(bytewise == whole)
        #expect(byteEvents.map(\.raw) == raws)
        for cut in body.indices {
            // The framing at every cut; the reading of the events (equal bytes, equal state) at some.
            var decoder = SSEDecoder()
            let frames = try decoder.append(body[..<cut]) + decoder.append(body[cut...])
            if frames.map(\.raw) != raws { Issue.record("cut at \(cut)") }
            if cut % 37 == 0 { #expect(try Outcome.stream(endpoint, [body[..<cut], body[cut...]]).0 == whole) }
        }
    }

    private func check(_ outcome: Outcome, _ test: Case) throws {
        let object = test.object
        if let text = object["expected_output_text"] as? String { #expect(outcome.text(.content) == text) }
        for output in object["expected_outputs"] as? [[String: Any]] ?? [] {
            #expect(outcome.text(.content, choice: output["index"] as? Int ?? -1) == output["text"] as? String)
        }
        if let text = object["expected_reasoning_text"] as? String { #expect(outcome.text(.reasoning) == text) }
        if let text = object["expected_refusal_text"] as? String { #expect(outcome.text(.refusal) == text) }
        for call in object["expected_tool_calls"] as? [[String: Any]] ?? [] {
            let index = call["index"] as? Int ?? -1
            #expect(outcome.text(.toolName(index)) == call["name"] as? String)
            #expect(outcome.text(.toolArguments(index)) == call["arguments"] as? String)
        }
        #expect(outcome.usage == Usage(case: object["usage"]))
        if let reason = object["finish_reason"] as? String { #expect(outcome.ends[0] == reason) }
        if let error = object["expected_error"] as? [String: Any] {
            if error["type"] as? String == "truncated_stream" {
                #expect(outcome.isTruncated)
            } else {
                #expect(outcome.error?.type == error["type"] as? String)
                #expect(outcome.error?.code == error["code"].map { "\($0)" })
            }
        } else {
            #expect(outcome.error == nil)
            #expect(!outcome.isTruncated)
        }
    }
}
