import Foundation
import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardTesting
import GuardTokenizers
import Testing

/// What each counting mode makes of the same request.
@Suite struct CountingTests {
    private static let listTemplate =
        "{% for m in messages %}<{{ m.role }}>{% for c in m['content'] %}[{{ c.type }}:{{ c.text }}]{% endfor %}{% endfor %}"
    private static let plainTemplate =
        "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] | trim }}{% if m.tool_calls %}"
        + "{{ m.tool_calls[0].function.arguments.x }}{% endif %}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"

    private func chat(_ body: String) throws -> RequestView {
        try RequestView.parse(.chatCompletions, body: Array(body.utf8), options: RequestOptions(api: .vllm))
    }

    private func render(
        _ counting: ModelEntry.Counting, _ messages: String, _ fields: String = "",
        template: String = CountingTests.plainTemplate
    ) throws -> String {
        let view = try chat(#"{"model": "m", "messages": \#(messages)\#(fields)}"#)
        guard case .chat(let chat) = view.prompt else { return "no chat" }
        let templates = ModelTemplates(
            standard: try ChatTemplate(source: template), variables: [("bos_token", .string("<|bos|>"))])
        return String(
            decoding: try PromptRenderer(counting: counting, templates: templates).render(chat), as: UTF8.self)
    }

    private static let parts =
        #"[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}]}]"#

    @Test(arguments: [
        (ModelEntry.Counting.hf, "<|bos|><user>a\nb</><assistant>"), (.hf5, "<|bos|><user>a\nb</><assistant>"),
        (.transformers5, "<|bos|><user>a  b</><assistant>"),
        (.tgi, "<|bos|><user>ab</><assistant>"), (.llamacpp, "<|bos|><user>a\n\nb</><assistant>"),
    ])
    func contentPartsAreJoinedAsTheServerDoes(_ counting: ModelEntry.Counting, _ expected: String) throws {
        #expect(try render(counting, Self.parts) == expected)
    }

    @Test func templatesThatLoopOverContentGetParts() throws {
        #expect(try render(.hf, Self.parts, template: Self.listTemplate) == "<user>[text:a][text:][text:b]")
        let string = #"[{"role": "user", "content": "a"}]"#
        #expect(try render(.hf, string, template: Self.listTemplate) == "<user>[text:a]")
    }

    @Test func continuedMessageEndsThePrompt() throws {
        let messages = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": " to be "}]"#
        let fields = #", "add_generation_prompt": false, "continue_final_message": true"#
        #expect(try render(.hf, messages, fields) == "<|bos|><user>q</><assistant>to be")
        #expect(
            try render(.hf, messages, fields, template: "{% for m in messages %}{{ m.content }}</>{% endfor %}")
                == "q</> to be ")
        #expect(throws: TemplateError.self) { try render(.hf, messages, #", "continue_final_message": true"#) }
        // transformers 5.20 behind vLLM 0.33: white space alone takes that of the header with it where the template trims.
        let blank = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "\n\n"}]"#
        let trims = "{% for m in messages %}<{{ m.role }}>\n{{ m.content | trim }}</>{% endfor %}"
        #expect(try render(.hf, blank, fields, template: trims) == "<user>\nq</><assistant>")
        #expect(try render(.hf, messages, fields, template: trims) == "<user>\nq</><assistant>\nto be")
        let shortens = "{% for m in messages %}{{ m.content[:2] }}</>{% endfor %}"
        #expect(throws: TemplateError.self) { try render(.hf, messages, fields, template: shortens) }
        #expect(try render(.llamacpp, messages) == "<|bos|><user>q</><assistant> to be ")
        let empty = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": ""}]"#
        #expect(try render(.llamacpp, empty) == "<|bos|><user>q</>")
    }

    @Test func argumentsOfToolCallsAreParsed() throws {
        let messages =
            #"[{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 7}"}}]}]"#
        #expect(try render(.hf, messages) == "<|bos|><assistant>7</><assistant>")
    }

    /// `transformers serve` reads four fields of a message, and no content beside tool calls.
    @Test func serveDropsWhatStandsBesideToolCalls() throws {
        let messages =
            #"[{"role": "assistant", "name": "n", "content": "look", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 7}"}}]}]"#
        let template = "{% for m in messages %}{% for k in m %}{{ k }} {% endfor %}[{{ m.content }}]{% endfor %}"
        #expect(try render(.transformers5, messages, template: template) == "role content tool_calls []")
        #expect(try render(.hf, messages, template: template) == "role name content tool_calls [look]")
    }

    /// llama.cpp puts a system message that the template does not show before the next one, strips ASCII white space
    /// only, prints numbers short and gives today's date.
    @Test func llamacppWritesMessagesAnew() throws {
        let noSystem =
            "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
            + "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
        let messages = #"[{"role": "developer", "content": "s"}, {"role": "user", "content": "\u00a0x "}]"#
        #expect(try render(.llamacpp, messages, template: noSystem) == "<user>s\n\u{A0}x")
        #expect(throws: TemplateError.self) {
            try render(.hf, #"[{"role": "system", "content": "s"}]"#, template: noSystem)
        }
        let call =
            #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": [1.0, 0.5, 1e22, 123456.789]}"}}]}, {"role": "tool", "content": "r"}]"#
        let calls =
            "{% for m in messages %}{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls[0].function.arguments | tojson }}{% endif %}{% endfor %}"
        #expect(try render(.llamacpp, call, template: calls) == #"q{"x": [1, 0.5, 1e+22, 123457]}r"#)
        #expect(try render(.hf, call, template: calls) == #"q{"x": [1.0, 0.5, 1e+22, 123456.789]}r"#)
        let date = try render(.llamacpp, messages, template: "{{ date_string }}{{ tools is defined }}")
        #expect(date.utf8.count == "22 Nov 2026False".utf8.count && date.hasSuffix("False"))
    }

    private func count(_ counting: ModelEntry.Counting, _ body: String) throws -> PromptCount {
        let fixture = try EngineFixture()
        var entry = fixture.entry
        entry.counting = counting
        entry.templates = ModelTemplates(
            standard: try ChatTemplate(source: Self.plainTemplate), variables: [("bos_token", .string("<|bos|>"))])
        return try entry.count(try chat(body))
    }

    @Test func llamacppHasOneStartToken() throws {
        let body = #"{"model": "m", "messages": [{"role": "user", "content": "hello"}]}"#
        let plain = try count(.hf, body)
        #expect(try count(.llamacpp, body).perPrompt == plain.perPrompt)
        let doubled = try count(.hf, body.replacing("}]}", with: #"}], "add_special_tokens": true}"#))
        #expect(doubled.total == plain.total + 1)
    }

    @Test func whatCannotBeExactSaysSo() throws {
        let body = #"{"model": "m", "messages": [{"role": "user", "content": "hello"}]}"#
        #expect(try count(.hf, body).why.isEmpty && count(.llamacpp, body).why.isEmpty)
        #expect(try count(.ollama, body).why == ["ollama_template"])
        #expect(try count(.mistralCommon, body).why == ["mistral_common_template"])
        let prefill = #"{"model": "m", "messages": [{"role": "assistant", "content": "hello"}]}"#
        #expect(try count(.tgi, prefill).why == ["tgi_prefill"])
    }

    /// Runs of spaces that a text writes as U+2581 are what llama.cpp's vocabularies read otherwise.
    @Test func wordMarksUnderLlamaAreAnEstimate() throws {
        func why(_ counting: ModelEntry.Counting, _ text: String, _ file: String) throws -> [[String]] {
            var entry = try EngineFixture().entry
            entry.counting = counting
            entry.templates = ModelTemplates(standard: try ChatTemplate(source: Self.plainTemplate))
            entry.serve(try Tokenizer.load(path: TestData.fixtures.appending(path: file).path), entry.templates)
            let builder = try #require(entry.promptBuilder)
            let body = #"{"model": "m", "messages": [{"role": "user", "content": "\#(text)"}]}"#
            guard case .chat(let view) = try chat(body).prompt else { return [] }
            return [try #require(try builder.chat(view)).why, builder.text(Array(text.utf8)).why]
        }
        let file = "tokenizers/sentencepiece/tokenizer.json"
        let marks = ["llamacpp_word_marks"]
        #expect(try why(.llamacpp, "a\u{2581}\u{2581}b", file) == [marks, marks])
        #expect(try why(.llamacpp, "a\u{2581}b  c", file) == [[], []])
        #expect(try why(.hf, "a\u{2581}\u{2581}b", file) == [[], []])
        #expect(try why(.llamacpp, "a\u{2581}\u{2581}b", "tokenizers/byte-level/tokenizer.json") == [[], []])
    }

    /// Counts of mistral-common 1.x with the same file (`tekken_240718.json`).
    @Test(
        .enabled(if: TestData.hasShared),
        arguments: [
            (7, #"[{"role": "user", "content": "Hello, world!"}]"#),
            (
                28,
                #"[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say [INST] hi [/INST] </s>"}, {"role": "assistant", "content": "Fine.  "}, {"role": "user", "content": "And now?\n"}]"#
            ),
            (
                16,
                #"[{"role": "system", "content": "A"}, {"role": "user", "content": "one"}, {"role": "user", "content": "two"}, {"role": "assistant", "content": "three"}, {"role": "user", "content": "four <s>"}]"#
            ),
            (
                52,
                #"[{"role": "user", "content": "weather?"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "get", "arguments": "{\"city\":\"Oslo\"}"}}]}, {"role": "tool", "tool_call_id": "abcdefghi", "content": "{\"rain\":true}"}]"#
            ),
            (
                9,
                #"[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b </s>"}]}]"#
            ),
        ])
    func mistralCommonNeverReadsControlStrings(_ expected: Int, _ messages: String) throws {
        var entry = try EngineFixture().entry
        entry.counting = .mistralCommon
        entry.tokenizer = try Self.tekken.get()
        let count = try entry.count(try chat(#"{"model": "m", "messages": \#(messages)}"#))
        #expect(count.perPrompt == [expected] && count.why.isEmpty)
    }

    private static let tekken = Result {
        let unpack = Process()
        unpack.executableURL = URL(filePath: "/usr/bin/env")
        unpack.arguments = ["gzip", "-dc", try TestData.sharedFile("tokenizers/mistral-nemo/tekken.json.gz").path]
        let pipe = Pipe()
        unpack.standardOutput = pipe
        try unpack.run()
        let bytes = try [UInt8](pipe.fileHandleForReading.readToEnd() ?? Data())
        return try Tokenizer.load(bytes: bytes, name: "tekken.json")
    }
}
