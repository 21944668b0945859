package import ArgumentParser
import GuardCore
import GuardRules

/// `guardctl test`
package struct TestCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Runs the inline tests and case files of a policy folder through the code that guardd runs.",
        discussion: "Exit code: 0 all passed, 1 a test failed or there was none, 2 the policy does not load.")

    @Argument(help: "Folder of the rules.")
    package var directory: String

    @Option(help: "Only tests whose name contains this.")
    package var filter: String?

    @Flag(help: "Show the coverage of every rule, not only of those that lack a test.")
    package var coverage = false

    @Option(
        help:
            "Also put every text that an output rule is tested with through streams, cut after every byte and in N random ways."
    )
    package var chunkings = 0

    @Option(help: "Output: \(TestFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    package var format = TestFormat.text

    package init() {}

    package func run() async throws {
        guard (0...10_000).contains(chunkings) else { throw ValidationError("--chunkings: 0 to 10000") }
        let bundle = try RuleBundle.load(directory: directory)
        let cases = try RuleCase.load(directory: directory)
        for warning in bundle.warnings { Console.error("\(warning)") }
        let runner = RuleTestRunner(
            bundle: bundle, cases: cases, filter: filter, chunkings: chunkings,
            tokenizers: try RuleTokenizers.load(bundle, directory: directory))
        let report = await runner.run()
        for line in format.lines(report, showsCoverage: coverage) { Console.line(line) }
        if report.results.isEmpty {
            Console.error("\(directory): error: no tests found\(filter.map { " with \"\($0)\" in their name" } ?? "")")
            throw ExitStatus.findings
        }
        if report.failed > 0 { throw ExitStatus.findings }
    }
}
