import GuardTesting
import GuardCore
import GuardJSON
import Testing

@testable import GuardLLMSchema

struct RequestEditTests {
    private func apply(_ view: RequestView, _ edits: [JSONEdit]) -> String {
        String(decoding: JSONEdit.applying(edits, to: view.document.bytes), as: UTF8.self)
    }

    // MARK: Masks

    @Test func masksTouchOnlyTheirBytes() throws {
        let body = #"{ "messages" : [ {"role":"user","content":"card \u0034111 \"ok\" 😀 \ud83d\ude00"} ], "n":1 }"#
        let view = try parse(.chatCompletions, body)
        let text = view.segments[0].text
        let start = try #require(text.firstIndex(of: UInt8(ascii: "4")))
        let edits = view.edits(masking: 0, range: start..<start + 4, with: Array("[\"C\"]".utf8))
        #expect(
            apply(view, edits)
                == #"{ "messages" : [ {"role":"user","content":"card [\"C\"] \"ok\" 😀 \ud83d\ude00"} ], "n":1 }"#)
    }

    @Test func aMaskOverPartsPutsItsTextIntoTheFirst() throws {
        let body =
            #"{"messages":[{"role":"user","content":[{"type":"text","text":"ab"},{"type":"text","text":"cd"},{"type":"text","text":"ef"}]}]}"#
        let view = try parse(.chatCompletions, body)
        #expect(view.segments[0].text == Array("ab\ncd\nef".utf8))
        let edited = apply(view, view.edits(masking: 0, range: 1..<7, with: Array("X".utf8)))
        #expect(
            edited
                == #"{"messages":[{"role":"user","content":[{"type":"text","text":"aX"},{"type":"text","text":""},{"type":"text","text":"f"}]}]}"#
        )
        #expect(view.edits(masking: 9, range: 0..<1, with: []).isEmpty)
    }

    /// Random masks in random segments, then read again: the text is what was meant and nothing else changed.
    @Test func maskThenReadIsWhatWasMeant() throws {
        let pieces = ["a", "b ", "\\n", "\\\"", "\\\\", "\\u00e9", "é", "\\ud83d\\ude00", "😀", "\\/", "\\u0000"]
        var random = SeededRandom(seed: 11)
        for _ in 0..<400 {
            func text() -> String {
                (0..<Int.random(in: 1..<9, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }
                    .joined()
            }
            let body =
                #"{"messages":[{"role":"system","content":"\#(text())"},{"role":"user","content":[{"type":"text","text":"\#(text())"},{"type":"text","text":"\#(text())"}]}],"extra":{"\#(text())k":"\#(text())"}}"#
            let view = try parse(.chatCompletions, body)
            let index = Int.random(in: 0..<2, using: &random)
            let old = view.segments[index].text
            let lower = Int.random(in: 0..<old.count, using: &random)
            let upper = Int.random(in: lower + 1...old.count, using: &random)
            let edited = try parse(
                .chatCompletions, apply(view, view.edits(masking: index, range: lower..<upper, with: [0x23])))
            for (position, segment) in edited.segments.enumerated() where position != index {
                #expect(segment.text == view.segments[position].text)
            }
            let new = edited.segments[index].text
            // No byte of the range is left (separators between parts belong to nobody), all around it is.
            let pieces = view.segments[index].pieces
            let start = scalarStart(old, lower)
            let end = scalarEnd(old, upper)
            var wanted: [UInt8] = []
            var marked = false
            for at in old.indices {
                let isText = pieces.contains { $0.text.contains(at) }
                if (start..<end).contains(at), isText {
                    if !marked { wanted.append(0x23) }
                    marked = true
                } else {
                    wanted.append(old[at])
                }
            }
            #expect(new == wanted)
        }
    }

    private func scalarStart(_ text: [UInt8], _ offset: Int) -> Int {
        var at = offset
        while at > 0, text[at] & 0xC0 == 0x80 { at -= 1 }
        return at
    }

    private func scalarEnd(_ text: [UInt8], _ offset: Int) -> Int {
        var at = offset
        while at < text.count, text[at] & 0xC0 == 0x80 { at += 1 }
        return at
    }

    // MARK: Output limit

    @Test(arguments: [
        (Endpoint.chatCompletions, API.vllm, #"{"messages":[]}"#, #"{"messages":[],"max_tokens":7}"#),
        (.chatCompletions, .openai, #"{"messages":[]}"#, #"{"messages":[],"max_completion_tokens":7}"#),
        (.chatCompletions, .vllm, #"{"messages":[],"max_tokens":null}"#, #"{"messages":[],"max_tokens":7}"#),
        (.chatCompletions, .vllm, #"{"max_tokens":100,"messages":[]}"#, #"{"max_tokens":7,"messages":[]}"#),
        (
            .chatCompletions, .vllm, #"{"max_tokens":100,"messages":[],"max_completion_tokens":50}"#,
            #"{"max_tokens":7,"messages":[],"max_completion_tokens":7}"#
        ),
        (
            .chatCompletions, .tgi, #"{"messages":[],"max_completion_tokens":50}"#,
            #"{"messages":[],"max_completion_tokens":7,"max_tokens":7}"#
        ),
        (.completions, .vllm, #"{"prompt":"a"}"#, #"{"prompt":"a","max_tokens":7}"#),
        (.completions, .vllm, #"{"prompt":"a","max_tokens": 16 }"#, #"{"prompt":"a","max_tokens": 7 }"#),
        (.generate, .tgi, #"{"inputs":"a"}"#, #"{"inputs":"a","parameters":{"max_new_tokens":7}}"#),
        (.generate, .tgi, #"{"inputs":"a","parameters":null}"#, #"{"inputs":"a","parameters":{"max_new_tokens":7}}"#),
        (.generate, .tgi, #"{"inputs":"a","parameters":{}}"#, #"{"inputs":"a","parameters":{"max_new_tokens":7}}"#),
        (
            .generate, .tgi, #"{"parameters":{"seed":1},"inputs":"a"}"#,
            #"{"parameters":{"seed":1,"max_new_tokens":7},"inputs":"a"}"#
        ),
        (
            .generate, .tgi, #"{"inputs":"a","parameters":{"max_new_tokens":20}}"#,
            #"{"inputs":"a","parameters":{"max_new_tokens":7}}"#
        ),
        (
            .generate, .tgi, #"{"inputs":"a","parameters":{"max_new_tokens":null}}"#,
            #"{"inputs":"a","parameters":{"max_new_tokens":7}}"#
        ),
    ])
    func outputLimitStandsWhereTheServerReadsIt(_ endpoint: Endpoint, _ api: API, _ body: String, _ wanted: String)
        throws
    {
        let view = try parse(endpoint, body, RequestOptions(api: api))
        let edited = apply(view, view.edits(outputLimit: 7))
        #expect(edited == wanted)
        let again = try parse(endpoint, edited, RequestOptions(api: api))
        #expect(again.outputLimit.value == 7)
        #expect(again.edits(outputLimit: 7).isEmpty)
    }

    @Test func whichLimitCounts() throws {
        let body = #"{"messages":[],"max_tokens":4000,"max_completion_tokens":50}"#
        #expect(try parse(.chatCompletions, body).outputLimit.value == 50)
        #expect(try parse(.chatCompletions, body, RequestOptions(api: .tgi)).outputLimit.value == 4000)
        #expect(try parse(.chatCompletions, body).outputLimit.field == "max_completion_tokens")
    }

    // MARK: Usage

    @Test(arguments: [
        (#"{"messages":[],"stream":true}"#, #"{"messages":[],"stream":true,"stream_options":{"include_usage":true}}"#),
        (
            #"{"messages":[],"stream_options":null,"stream":true}"#,
            #"{"messages":[],"stream_options":{"include_usage":true},"stream":true}"#
        ),
        (
            #"{"messages":[],"stream_options":{},"stream":true}"#,
            #"{"messages":[],"stream_options":{"include_usage":true},"stream":true}"#
        ),
        (
            #"{"messages":[],"stream_options":{"include_usage": false},"stream":true}"#,
            #"{"messages":[],"stream_options":{"include_usage": true},"stream":true}"#
        ),
        (
            #"{"messages":[],"stream_options":{"include_obfuscation":false},"stream":true}"#,
            #"{"messages":[],"stream_options":{"include_obfuscation":false,"include_usage":true},"stream":true}"#
        ),
        (
            #"{"messages":[],"stream_options":{"include_usage":true},"stream":true}"#,
            #"{"messages":[],"stream_options":{"include_usage":true},"stream":true}"#
        ),
        (#"{"messages":[],"stream":false}"#, #"{"messages":[],"stream":false}"#),
    ])
    func usageIsAskedFor(_ body: String, _ wanted: String) throws {
        let view = try parse(.chatCompletions, body)
        #expect(apply(view, view.edits(includeUsage: true)) == wanted)
        // Together with a new limit: both at the end of the object.
        let both = try parse(
            .chatCompletions, apply(view, view.edits(outputLimit: 3) + view.edits(includeUsage: true)))
        #expect(both.outputLimit.value == 3)
        #expect(both.includeUsage == view.stream)
    }

    @Test func generateSendsUsageUnasked() throws {
        #expect(try parse(.generateStream, #"{"inputs":"a"}"#).edits(includeUsage: true).isEmpty)
    }
}
