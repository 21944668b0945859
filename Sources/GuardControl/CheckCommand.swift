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
        let snapshot = PolicySnapshot(options: PolicyOptions(), catalog: ModelCatalog(), bundle: bundle)
        let pool = ScratchPool()
        var found = false
        var output = Console.Buffer()
        func answer(_ query: CheckQuery) throws {
            let report: CheckReport
            do { report = try snapshot.check(query, pool: pool) } catch { throw QueryProblem(message: error.message) }
            found = found || !report.findings.isEmpty || !report.failures.isEmpty
            output.line(Self.line(report, format))
        }
        if let text {
            try answer(CheckQuery(text: Array(text.utf8), phase: phase))
        } else {
            defer { output.flush() }
            try JSONLines(path: jsonl ?? "-").forEach { json, _ in
                let query: CheckQuery
                do { query = try CheckQuery(json: json, phase: phase, isStrict: false) } catch {
                    throw QueryProblem(message: error.message)
                }
                try answer(query)
            }
        }
        output.flush()
        if found { throw ExitStatus.findings }
    }

    private static func line(_ report: CheckReport, _ format: OutputFormat) -> [UInt8] {
        var writer = JSONWriter()
        switch format {
        case .json:
            report.write(to: &writer)
            return writer.bytes
        case .text:
            let id = report.id.map { String(decoding: $0, as: UTF8.self) + ": " } ?? ""
            let findings = report.findings.map { " \($0.rule) \($0.range.lowerBound)..<\($0.range.upperBound)" }
            return Array((id + report.action.rawValue + findings.joined(separator: ",")).utf8)
        }
    }
}
