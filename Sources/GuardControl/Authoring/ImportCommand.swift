package import ArgumentParser
import GuardAuthoring
import GuardCore

/// `guardctl import`
package struct ImportCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Reads the rules of other tools.", subcommands: [ImportGitleaksCommand.self])

    package init() {}
}

/// `guardctl import gitleaks`
package struct ImportGitleaksCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "gitleaks",
        abstract: "Turns a gitleaks configuration into a rule set.",
        discussion: """
            The rule set goes to standard output or --output, what could not be carried over to standard error (with \
            --format json: one object on standard output, the rule set only to --output). Exit code: 0, 2 where the file \
            cannot be read.
            """)

    @Argument(help: "A gitleaks configuration (TOML); '-' is standard input.")
    package var file: String

    @Option(name: .shortAndLong, help: "Where the rule set is written.")
    package var output: String?

    @Option(help: "What a match does: flag, mask, block.")
    package var action = "flag"

    @Option(help: "Name of the rule set; its rules are NAME.ID.")
    package var name = "gitleaks"

    @Option(help: "Report: \(OutputFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    package var format = OutputFormat.text

    package init() {}

    package func run() async throws {
        guard ["flag", "mask", "block"].contains(action) else { throw ValidationError("--action: flag, mask or block") }
        var options = GitleaksImport.Options()
        (options.action, options.name) = (action, name)
        let result = try GitleaksImport.run(try Files.read(file), file: file == "-" ? "stdin" : file, options: options)
        if let output {
            try Files.write(result.ruleSet, to: output)
        } else if format == .text {
            Console.write(result.ruleSet)
        }
        if format == .json {
            Console.line(result.json)
        } else {
            for line in result.lines { Console.error(line) }
        }
    }
}
