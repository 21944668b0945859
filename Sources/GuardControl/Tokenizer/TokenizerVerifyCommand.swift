package import ArgumentParser
import GuardAssembly
import GuardCore
import GuardJSON
import GuardPolicy
import GuardTokenizers

/// `guardctl tokenizer verify`
package struct TokenizerVerifyCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compares our counts with a live model server's, and says what differs and why.",
        discussion: """
            Sends telling texts and conversations, and the lines of --jsonl ({"id", "text"} or {"id", "messages", \
            "tools", "add_generation_prompt", "continue_final_message"}), to the server's /tokenize where it has one, \
            else asks for an answer of one token and reads usage. Causes: template, specials, tokenizer, unknown.

            Exit code: 0 all equal, 1 differences, 2 wrong usage, or the server could not be asked.
            """)

    @Option(help: "Model folder, tokenizer file or image.")
    package var tokenizer: String

    @Option(help: "The model server.")
    package var url: String

    @Option(help: "Name of the model in requests; default: the server's first.")
    package var model: String?

    @Option(help: "auto, \(TokenizeServer.API.allCases.map(\.rawValue).joined(separator: ", ")).")
    package var api = "auto"

    @Option(
        help: "\(ModelEntry.Counting.allCases.map(\.rawValue).joined(separator: ", ")); default: as the API counts.")
    package var counting: String?

    @Option(help: "File of JSON lines besides the built-in set; - is standard input.")
    package var jsonl: String?

    @Option(help: "File with a token for Authorization: Bearer.")
    package var tokenFile: String?

    @Option(help: "Seconds for one request.")
    package var timeout = 30

    @Option(help: "Seconds for all requests.")
    package var totalTimeout = 600

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.text

    package init() {}

    private static let linesMax = 100_000

    package func run() async throws {
        guard (1...3600).contains(timeout), (1...86_400).contains(totalTimeout) else {
            throw ValidationError("--timeout is 1 to 3600 seconds, --total-timeout 1 to 86400")
        }
        let wantedAPI = TokenizeServer.API(rawValue: api)
        guard wantedAPI != nil || api == "auto" else {
            throw ValidationError("--api: auto, \(TokenizeServer.API.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let wantedCounting = counting.flatMap { ModelEntry.Counting(rawValue: $0) }
        guard counting == nil || wantedCounting != nil else {
            throw ValidationError(
                "--counting: \(ModelEntry.Counting.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let server: ServerURL
        do { server = try ServerURL(url) } catch { throw ValidationError("--url: \(error)") }
        let served = try ServedModel.load(path: tokenizer)
        let cases = try allCases(served.tokenizer)
        let headers = try TokenFile.headers(tokenFile)
        let report = try await HTTPFetcher.with(seconds: timeout) { http in
            var live = try await TokenizeServer(
                http: http, url: server, headers: headers, api: wantedAPI, model: self.model)
            let counting = wantedCounting ?? live.api.counting
            return try await run(cases, OwnCounting(builder: served.promptBuilder(counting)), &live)
        }
        Console.line(format == .json ? report.json : Array(report.text.utf8))
        if !report.differences.isEmpty { throw ExitStatus.findings }
    }

    private func allCases(_ tokenizer: Tokenizer) throws -> [VerifyCase] {
        let description = TokenizerDescription(tokenizer)
        let markers = description.addedTokens.filter { $0.flags.contains("special") || $0.flags.contains("control") }
        let named = [tokenizer.bosToken, tokenizer.eosToken].compactMap { $0 }
        var specials = named
        for marker in markers where !specials.contains(marker.content) { specials.append(marker.content) }
        var cases = try VerifyCase.builtIn(specials: specials)
        guard let jsonl else { return cases }
        let builtInCount = cases.count
        try JSONLines(path: jsonl).forEach { json in
            guard cases.count - builtInCount < Self.linesMax else {
                throw ValidationError("--jsonl: more than \(Self.linesMax) lines")
            }
            cases.append(
                try VerifyCase(json, name: "line-\(cases.count - builtInCount + 1)").marked(by: specials))
        }
        return cases
    }

    private func run(
        _ cases: [VerifyCase], _ counting: OwnCounting, _ server: inout TokenizeServer
    ) async throws -> VerifyReport {
        let end = ContinuousClock.now + .seconds(totalTimeout)
        var observations: [Observation] = []
        var skipped: [VerifyReport.Skipped] = []
        for testCase in cases {
            guard ContinuousClock.now < end else {
                throw TokenizeServer.Failure(
                    description: "\(server.url.text): error: not done within \(totalTimeout) s (--total-timeout)")
            }
            if let why = reasonToSkip(testCase, counting, server) {
                skipped.append(.init(name: testCase.name, why: why))
                continue
            }
            let observation = Observation(
                testCase: testCase, ours: counting.counted(testCase.input),
                theirs: try await server.counted(testCase.input))
            if testCase.hasTools, observation.ours.refusal == nil, let answer = observation.theirs.refusal,
                answer.lowercased().contains("tool")
            {
                skipped.append(.init(name: testCase.name, why: "the server takes no tools: \(answer)"))
                continue
            }
            observations.append(observation)
        }
        return VerifyReport(
            tokenizer: tokenizer, server: server, counting: counting, observations: observations, skipped: skipped)
    }

    private func reasonToSkip(
        _ testCase: VerifyCase, _ counting: OwnCounting, _ server: TokenizeServer
    ) -> String? {
        guard !testCase.isText else { return nil }
        let templates = counting.builder.renderer.templates
        if templates.standard == nil, templates.toolUse == nil, counting.counting != .mistralCommon {
            return "the model has no chat template"
        }
        if server.api == .ollama { return "Ollama renders by a Go template of its own: not comparable" }
        if testCase.needsPromptFields, server.api != .vllm {
            return "only vLLM's API has add_generation_prompt and continue_final_message"
        }
        return nil
    }
}

extension TokenizeServer.API {
    /// How such a server counts, if nothing else is said.
    var counting: ModelEntry.Counting {
        switch self {
        case .openai, .vllm: .hf
        case .tgi: .tgi
        case .llamacpp: .llamacpp
        case .ollama: .ollama
        }
    }
}

/// `--token-file`: a secret never stands on the command line.
enum TokenFile {
    static func headers(_ path: String?) throws -> [(String, String)] {
        guard let path else { return [] }
        let text = String(decoding: try Files.read(path), as: UTF8.self)
        let token = text.trimmedSpaces
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Diagnostic(file: path, "is no token: one line of visible ASCII characters is wanted")
        }
        return [("authorization", "Bearer \(token)")]
    }
}

extension String {
    fileprivate var trimmedSpaces: String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
