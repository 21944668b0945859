package import ArgumentParser
import GuardAssembly
import GuardConfiguration
import GuardCore
import GuardJSON
import GuardPolicy

/// `guardctl tokenize`
package struct TokenizeCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Turns texts and conversations into token ids, as the model's own library does.",
        discussion: """
            Lines in: {"id", "text"} or {"id", "messages", "tools", "add_generation_prompt"}. Lines out: {"id", "ids", \
            "count"}, of a conversation also "rendered"; {"id", "error"} where the chat template raises.
            """)

    @Option(help: "Model folder or tokenizer file.")
    package var tokenizer: String

    @Option(help: "File of JSON lines; - is standard input, the default without --text.")
    package var jsonl: String?

    @Option(help: "One text.")
    package var text: String?

    @Flag(help: "A text is the user's message of a conversation.")
    package var chat = false

    @Option(help: "true or false; default: true for texts, false for conversations, whose template writes them.")
    package var addSpecialTokens: Bool?

    @Flag(help: "Strings of special tokens in the text are plain text.")
    package var specialAsText = false

    @Flag(help: "No ids.")
    package var countOnly = false

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.json

    package init() {}

    package func run() async throws {
        guard text == nil || jsonl == nil else { throw ValidationError("--text and --jsonl exclude each other") }
        var options = TokenizeQuery.Options()
        options.addSpecialTokens = addSpecialTokens
        options.specialAsText = specialAsText
        options.countOnly = countOnly
        let model = try ModelLoading.entry(tokenizer)
        var output = Console.Buffer()
        func answer(_ query: TokenizeQuery) throws {
            let report: TokenizeReport
            do { report = try model.tokenize(query) } catch { throw QueryProblem(message: error.message) }
            output.line(Self.line(report, format))
        }
        defer { output.flush() }
        if let text {
            let query = TokenizeQuery(text: Array(text.utf8), options: options)
            try answer(chat ? try Self.asChat(query) : query)
        } else {
            try JSONLines(path: jsonl ?? "-").forEach { json, _ in
                let query: TokenizeQuery
                do { query = try TokenizeQuery(json: json, options: options, isStrict: false) } catch {
                    throw QueryProblem(message: error.message)
                }
                try answer(chat ? try Self.asChat(query) : query)
            }
        }
    }

    private static func asChat(_ query: TokenizeQuery) throws -> TokenizeQuery {
        guard case .text(let text) = query.subject else { return query }
        var writer = JSONWriter()
        writer.array {
            $0.object {
                $0.member("role", "user")
                $0.member("content", utf8: text)
            }
        }
        var query = query
        query.subject = .chat(
            messages: try JSONDocument(writer.bytes).root, tools: nil, addGenerationPrompt: true)
        return query
    }

    private static func line(_ report: TokenizeReport, _ format: OutputFormat) -> [UInt8] {
        var writer = JSONWriter()
        switch format {
        case .json:
            report.write(to: &writer)
            return writer.bytes
        case .text:
            if let error = report.error { return Array("error: \(error)".utf8) }
            let ids = report.ids.map { ": " + $0.map(\.description).joined(separator: " ") } ?? ""
            return Array("\(report.count ?? 0)\(ids)".utf8)
        }
    }
}

/// A lone tokenizer as the configuration would load it.
enum ModelLoading {
    static func entry(_ path: String) throws(Diagnostics) -> ModelEntry {
        var configuration = Configuration()
        var model = Configuration.Model(match: Glob("*"))
        model.tokenizer = path
        configuration.models = [model]
        let snapshot = try SnapshotBuilder().build(configuration).snapshot
        guard let entry = snapshot.catalog.entries.first else {
            throw Diagnostics([Diagnostic(file: path, "no tokenizer")])
        }
        return entry
    }
}
