package import ArgumentParser
import GuardAssembly
import GuardCore
import GuardJSON
import GuardPolicy
import GuardTokenizers

/// `guardctl tokenizer compile`
package struct TokenizerCompileCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "compile",
        abstract: "Writes a binary image that guardd maps at start: tokenizer and chat templates in one file.",
        discussion: """
            The image counts exactly what its source counts, and records name the same tokenizer hash. It is written \
            beside its place and renamed. Images of another version of the format do not load: compile them again.

            Exit code: 0 written, 2 the source does not load or cannot be compiled.
            """)

    @Argument(help: "Model folder or tokenizer file.")
    package var path: String

    @Option(name: .shortAndLong, help: "The image, by custom *.gtok.")
    package var output: String

    @Flag(help: "Load the image again and say how long that takes.")
    package var time = false

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.text

    package init() {}

    package func run() async throws {
        // Templates are compiled too, so that an image whose template does not parse is not written.
        let model = try ServedModel.load(path: path, keepsVocabulary: true)
        let reason = TokenizerImage.reasonAgainstTables(model.tokenizer)
        let image: [UInt8]
        do {
            image = try TokenizerImage.bytes(of: model.source)
        } catch {
            throw Diagnostic(file: path, "cannot be compiled: \(error.message)")
        }
        try TokenizerImage.write(image, to: output)
        let milliseconds = time ? try Self.loadMilliseconds(output) : nil
        guard format == .json else {
            Console.line("\(output): \(image.count) bytes, " + (reason.map { "holds the source file (\($0))" } ?? "tables are mapped"))
            if let milliseconds { Console.line("loads in \(milliseconds) ms") }
            return
        }
        var writer = JSONWriter()
        writer.object {
            $0.member("image", output)
            $0.member("bytes", image.count)
            $0.member("version", TokenizerImage.version)
            $0.member("mapped", reason == nil)
            if let reason { $0.member("why", reason) }
            $0.member("tokenizerHash", model.tokenizer.hash)
            $0.member("chatTemplate", model.templates.standard != nil || model.templates.toolUse != nil)
            if let milliseconds { $0.member("loadMilliseconds", milliseconds) }
        }
        Console.line(writer.bytes)
    }

    /// The best of five, in microseconds' precision: what guardd's start pays, templates included.
    private static func loadMilliseconds(_ path: String) throws -> Double {
        var best = Double.infinity
        for _ in 0..<5 {
            let start = ContinuousClock.now
            let model = try ServedModel.load(path: path)
            let took = ContinuousClock.now - start
            withExtendedLifetime(model) {}
            best = min(best, Double(took / .microseconds(1)) / 1000)
        }
        return best
    }
}
