package import ArgumentParser
import GuardCore
import GuardJSON

/// `guardctl serve-mock`
package struct ServeMockCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "serve-mock",
        abstract: "A model server for demos and tests: OpenAI and TGI, streaming, exact usage, faults on request.",
        discussion: """
            Prints one JSON line with the port when it listens, on 127.0.0.1 only.

            A request may carry: x-mock-answer (text, or an answer as JSON), x-mock-delta-bytes and \
            x-mock-chunk-bytes (N, random, random:SEED: text of one event, bytes of one write), x-mock-delay-ms, \
            x-mock-fault (\(MockFault.names.joined(separator: ", "))).

            An answer as JSON: {"content", "reasoning", "refusal", "tool_calls": [{"name", "arguments"}], \
            "finish_reason", "repeat"} or {"choices": [...]} or {"echo": true}.

            With --tokenizer it also answers /tokenize as vLLM ("prompt", "messages"), TGI ("inputs") and llama.cpp \
            ("content") do, TGI's /chat_tokenize and llama.cpp's /apply-template.

            GET /mock/last shows the last request as it arrived, GET /mock/stats the counts.
            """)

    @Option(help: "Port; 0 lets the system choose.")
    package var port = 8000

    @Option(help: "Name of the model it serves.")
    package var model = "mock"

    @Option(
        help:
            "Model folder or tokenizer file: usage is then counted as a real server counts it. Without it words count.")
    package var tokenizer: String?

    @Option(help: "Refuse prompts over this many tokens, with the output limit.")
    package var contextWindow: Int?

    @Option(help: "The answer to every request that has no other.")
    package var answer: String?

    @Flag(help: "Answer with the text of the last user message.")
    package var echo = false

    @Option(
        help:
            "JSON lines of {\"contains\": text of the last user message, \"answer\": answer}; the first that fits wins."
    )
    package var answers: String?

    @Option(help: "Bytes of one write: N, random or random:SEED.")
    package var chunkBytes: String?

    @Option(help: "Text bytes of one event: N, random or random:SEED. Default: one token.")
    package var deltaBytes: String?

    @Option(help: "Milliseconds between writes of a stream.")
    package var delay = 0

    @Option(help: "Event loop threads.")
    package var threads = 1

    package init() {}

    package func run() async throws {
        var options = MockResponder.Options()
        options.model = model
        options.contextWindow = contextWindow
        options.pauseMilliseconds = delay
        options.chunks = try cut(chunkBytes, "chunk-bytes")
        options.deltas = try cut(deltaBytes, "delta-bytes")
        if echo { options.answer = .echo }
        do {
            if let answer { options.answer = try MockAnswer(header: answer) }
            if let answers {
                options.script = try MockAnswer.Script(jsonLines: try Files.read(answers), file: answers)
            }
        } catch {
            throw ValidationError("\(error)")
        }
        var serverOptions = MockServer.Options()
        serverOptions.port = port
        serverOptions.threads = threads
        let server = try await MockServer.start(
            MockResponder(options, counting: try counting()), options: serverOptions)
        var line = JSONWriter()
        line.object {
            $0.member("listening", "127.0.0.1:\(server.port)")
            $0.member("port", server.port)
        }
        Console.line(line.bytes)
        try await server.wait()
    }

    private func counting() throws -> any MockCounting {
        guard let tokenizer else { return WordCounting() }
        guard let counting = ModelCounting(try ModelLoading.entry(tokenizer)) else {
            throw Diagnostic(file: tokenizer, "no tokenizer")
        }
        return counting
    }

    private func cut(_ text: String?, _ name: String) throws -> MockCut? {
        guard let text else { return nil }
        guard let cut = MockCut(text) else { throw ValidationError("--\(name): a number, `random` or `random:SEED`") }
        return cut
    }
}
