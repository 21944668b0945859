package import ArgumentParser
package import GuardAuthoring
import GuardCore

#if canImport(Glibc)
    import Glibc
#endif

extension LintFormat: ExpressibleByArgument {}

/// `guardctl lint`
package struct LintCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "lint",
        abstract: "Looks for rules that cost too much, never act, or hold streams.",
        discussion: """
            Patterns are read as automata; what may be exponential or polynomial is proven by a text that it is run on, \
            with the steps counted. Exit code: 0 clean, 1 an error (with --strict a warning too), 2 wrong usage. \
            docs/lint.md explains every finding.
            """)

    @Argument(help: "Folder of the rules.")
    package var directory: String

    @Option(help: "Output: \(LintFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    package var format = LintFormat.text

    @Flag(help: "Warnings fail too.")
    package var strict = false

    @Option(help: "Bytes of a stream that an output rule may hold back.")
    package var maxHold: Int?

    @Option(help: "Steps on 1 KiB of its worst text from which a pattern is an error.")
    package var maxCost = 10_000_000

    package init() {}

    package func run() async throws {
        guard (1000...1_000_000_000).contains(maxCost) else {
            throw ValidationError("--max-cost: 1000 to 1000000000")
        }
        if let maxHold, maxHold < 0 { throw ValidationError("--max-hold: not below 0") }
        var options = LintOptions(now: time(nil))
        (options.maxCost, options.maxHold) = (maxCost, maxHold)
        let report = try Linter.run(directory: directory, options: options)
        for line in format.lines(report) { Console.line(line) }
        if report.count(.error) > 0 || strict && report.count(.warning) > 0 { throw ExitStatus.findings }
    }
}
