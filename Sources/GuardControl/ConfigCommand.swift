package import ArgumentParser
import GuardAssembly
import GuardConfiguration
import GuardCore
import GuardJSON

/// `guardctl config`
package struct ConfigCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Checks a configuration, or shows what it comes to.",
        subcommands: [ConfigCheckCommand.self, ConfigPrintCommand.self])

    package init() {}
}

package struct ConfigCheckCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "check", abstract: "All errors of guard.yaml, its tokenizers and its rules in one run.",
        discussion: "Exit code: 0 usable, 2 not.")

    @Argument(help: "The configuration file.")
    package var file = "guard.yaml"

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.text

    package init() {}

    package func run() async throws {
        var problems: [Diagnostic] = []
        do throws(Diagnostics) {
            let (configuration, warnings) = try Configuration.load(path: file, environment: Environment.all)
            problems += warnings
            problems += try SnapshotBuilder().build(configuration).warnings
        } catch {
            problems += error.list
        }
        switch format {
        case .text:
            for problem in problems { Console.line("\(problem)") }
            if !Diagnostics(problems).hasErrors { Console.line("\(file): usable") }
        case .json:
            for problem in problems { Console.line(problem.json) }
        }
        if Diagnostics(problems).hasErrors { throw ExitStatus.usage }
    }
}

package struct ConfigPrintCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "print",
        abstract: "The posture that a configuration comes to: which rules run where, which budgets apply to whom.")

    @Argument(help: "The configuration file.")
    package var file = "guard.yaml"

    package init() {}

    package func run() async throws {
        let (configuration, warnings) = try Configuration.load(path: file, environment: Environment.all)
        let built = try SnapshotBuilder().build(configuration)
        for warning in warnings + built.warnings { Console.error("\(warning)") }
        for line in Posture.lines(configuration, built.snapshot) { Console.line(line) }
    }
}

extension Diagnostic {
    /// `{"level","file","line","column","message"}`
    var json: [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("level", level.rawValue)
            $0.member("file", file)
            $0.member("line", line)
            $0.member("column", column)
            $0.member("message", message)
        }
        return writer.bytes
    }
}
