package import ArgumentParser

/// `guardctl`: exit code 0 all right, 1 findings, failed tests or differences, 2 wrong usage or configuration.
package struct GuardctlCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "guardctl",
        abstract: "Tests, checks and explains what guardd does, with the same engine.",
        subcommands: [
            TestCommand.self, LintCommand.self, FormatCommand.self, SchemaCommand.self, ImportCommand.self,
            CheckCommand.self, TokenizeCommand.self, TokenizerCommand.self, TrainCommand.self, ConfigCommand.self,
            ServeMockCommand.self,
        ])

    package init() {}

    /// Runs with the process's arguments and exits.
    package static func runAndExit() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: ExitStatus.mapped(error, by: Self.self))
        }
    }
}
