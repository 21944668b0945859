package import ArgumentParser
import GuardAssembly
import GuardCore

/// `guardctl tokenizer inspect`
package struct TokenizerInspectCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Says what a tokenizer is: format, model, stages, special tokens, templates, memory.",
        discussion: "Exit code: 0, or 2 where it cannot be loaded.")

    @Argument(help: "Model folder, tokenizer file or compiled image.")
    package var path: String

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.text

    package init() {}

    package func run() async throws {
        let inspection = try TokenizerInspection(path: path)
        Console.line(format == .json ? inspection.json : Array(inspection.text.utf8))
    }
}
