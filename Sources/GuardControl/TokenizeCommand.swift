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
            "count"}, of a conversation also "rendered"; {"id", "error"} where the chat template raises. With --offsets \
            also "offsets", the [begin, end] of each token in UTF-8 bytes of the text or of "rendered"; tokens that are put \
            around it have [0, 0].
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

    @Flag(help: "Where in the text each token is.")
    package var offsets = false

    @Flag(help: "No ids.")
    package var countOnly = false

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.json

    package init() {}

    package func run() async throws {
        guard text == nil || jsonl == nil else { throw ValidationError("--text and --jsonl exclude each other") }
        guard !(offsets && countOnly) else { throw ValidationError("--offsets and --count-only exclude each other") }
        guard var operation = TokenizeOperation(try ModelLoading.entry(tokenizer)) else {
            throw Diagnostic(file: tokenizer, "no tokenizer")
        }
        operation.addSpecialTokens = addSpecialTokens
        operation.specialAsText = specialAsText
        operation.countOnly = countOnly
        operation.writesOffsets = offsets
        operation.rendersAsLibrary = true
        var output = Console.Buffer()
        defer { output.flush() }
        if let text {
            var writer = JSONWriter()
            writer.object { $0.member("text", text) }
            let line = try operation.run(try query(JSONDocument(writer.bytes).root))
            output.line(try format.line(line, Self.text))
        } else {
            try JSONLines(path: jsonl ?? "-").forEach { json in
                output.line(try format.line(try operation.run(try query(json)), Self.text))
            }
        }
    }

    /// With `--chat` a text becomes the user's message.
    private func query(_ json: JSONNode) throws -> JSONNode {
        guard chat, let text = json["text"]?.stringBytes else { return json }
        var writer = JSONWriter()
        writer.object {
            if let id = json["id"] {
                $0.key("id")
                $0.raw(id.rawBytes)
            }
            $0.key("messages")
            $0.array {
                $0.object {
                    $0.member("role", "user")
                    $0.member("content", utf8: text)
                }
            }
        }
        return try JSONDocument(writer.bytes).root
    }

    private static func text(_ report: JSONNode) -> String {
        if let error = report["error"]?.string { return "error: \(error)" }
        let count = report["count"]?.integer ?? 0
        guard let ids = report["ids"] else { return "\(count)" }
        let places = report["offsets"]?.elements.map { "@\($0[0]?.integer ?? 0)-\($0[1]?.integer ?? 0)" }
        let tokens = ids.elements.enumerated().map { index, id in
            String(decoding: id.rawBytes, as: UTF8.self) + (places.map { index < $0.count ? $0[index] : "" } ?? "")
        }
        return "\(count): " + tokens.joined(separator: " ")
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
