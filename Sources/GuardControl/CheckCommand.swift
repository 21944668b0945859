package import ArgumentParser
import GuardCore
import GuardJSON
import GuardPolicy
import GuardRules

/// `guardctl check`
package struct CheckCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Judges texts or whole requests by a policy folder.",
        discussion: """
            Lines in: {"id", "text"} or {"id", "request", "api"}. Lines out: {"id", "action", "findings": [{"rule", \
            "start", "end", "score"}]}; spans are UTF-8 bytes of the raw text.

            Exit code: 0 no findings, 1 findings, 2 wrong usage, input or policy.
            """)

    @Option(help: "Folder of the rules.")
    package var policy: String

    @Option(help: "input or output; a line may name its own.")
    package var phase = "input"

    @Option(help: "One text to judge.")
    package var text: String?

    @Option(help: "File of JSON lines; - is standard input, the default without --text.")
    package var jsonl: String?

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.json

    package init() {}

    package func run() async throws {
        guard let phase = Phase(rawValue: phase) else { throw ValidationError("--phase: input or output") }
        guard text == nil || jsonl == nil else { throw ValidationError("--text and --jsonl exclude each other") }
        let bundle = try RuleBundle.load(directory: policy)
        for warning in bundle.warnings { Console.error("\(warning)") }
        let tokens = RuleTokens(nil, named: try RuleTokenizers.load(bundle, directory: policy))
        let operation = CheckOperation(bundle: bundle) { _ in tokens }
        var scratch = EvaluationScratch()
        var isClean = true
        var output = Console.Buffer()
        defer { output.flush() }
        if let text {
            var writer = JSONWriter()
            writer.object { $0.member("text", text) }
            let answer = try operation.answer(
                try JSONDocument(writer.bytes).root, phase: phase, scratch: &scratch)
            isClean = answer.isClean
            output.line(try format.line(answer.line, Self.text))
        } else {
            try JSONLines(path: jsonl ?? "-").forEach { json in
                let answer = try operation.answer(json, phase: phase, scratch: &scratch)
                isClean = isClean && answer.isClean
                output.line(try format.line(answer.line, Self.text))
            }
        }
        if !isClean {
            output.flush()
            throw ExitStatus.findings
        }
    }

    private static func text(_ report: JSONNode) -> String {
        let id = report["id"].map { String(decoding: $0.rawBytes, as: UTF8.self) + ": " } ?? ""
        let findings = report["findings"].map { list in
            list.elements.map {
                " \($0["rule"]?.string ?? "") \($0["start"]?.integer ?? 0)..<\($0["end"]?.integer ?? 0)"
            }
        }
        return id + (report["action"]?.string ?? "") + (findings ?? []).joined(separator: ",")
    }
}
