package import ArgumentParser
import GuardCore
import GuardJSON
import GuardRules

/// `guardctl test`
package struct TestCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Runs the inline tests and case files of a policy folder through the code that guardd runs.",
        discussion: """
            Exit code: 0 all passed, 1 a test failed, there was none, a mutant survived or a rule has more findings than in \
            the baseline, 2 the policy does not load.
            """)

    @Argument(help: "Folder of the rules.")
    package var directory: String

    @Option(help: "Only tests, and with --mutate only rules, whose name contains this.")
    package var filter: String?

    @Flag(help: "Show the coverage of every rule, not only of those that lack a test.")
    package var coverage = false

    @Option(
        help:
            "Also put every text that an output rule is tested with through streams, cut after every byte and in N random ways."
    )
    package var chunkings = 0

    @Flag(
        help:
            "Instead: every text that a rule must find, in every transformation; recall by transformation and pack. --format text or json."
    )
    package var evasions = false

    @Option(help: "With --evasions: a file of further transformations, of the form of evasions.yaml; repeatable.")
    package var evasionFile: [String] = []

    @Option(help: "With --evasions: below this recall over all transformations the exit code is 1.")
    package var minRecall: Double = 0

    @Option(help: "With --evasions: JSON lines with benign {\"text\"}; no transformation may make more of them flagged.")
    package var benign: String?

    @Flag(help: "With --evasions: every miss with its place.")
    package var verbose = false

    @Flag(help: "Also leave out, loosen and widen each rule in every way known: a test must notice.")
    package var mutate = false

    @Option(help: "With --mutate: share of mutants that tests must notice.")
    package var mutationScore = 1.0

    @Option(
        help: ArgumentHelp(
            "Also count the findings of each rule in ordinary texts: JSON lines with \"text\", or plain text.",
            valueName: "file"))
    package var corpus: String?

    @Option(
        help: ArgumentHelp(
            "With --corpus: an earlier report (--format json); a rule with more findings per byte than there fails.",
            valueName: "file"))
    package var baseline: String?

    @Flag(help: "Run again whenever a file of the folder changes.")
    package var watch = false

    @Option(help: "Output: \(TestFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    package var format = TestFormat.text

    package init() {}

    package func validate() throws {
        guard (0...10_000).contains(chunkings) else { throw ValidationError("--chunkings: 0 to 10000") }
        guard (0...1).contains(mutationScore) else { throw ValidationError("--mutation-score: 0 to 1") }
        guard mutate || mutationScore == 1 else { throw ValidationError("--mutation-score belongs to --mutate") }
        guard corpus != nil || baseline == nil else { throw ValidationError("--baseline belongs to --corpus") }
    }

    package func run() async throws {
        guard watch else { return try await runOnce() }
        while true {
            let stamp = FolderStamp(of: directory)
            do {
                try await runOnce()
            } catch let error as ExitCode where error == ExitStatus.findings {
                // Said already; the next change may mend it.
            } catch let error as Diagnostics {
                Console.error("\(error)")
            }
            Console.error("waiting for changes in \(directory)")
            while FolderStamp(of: directory) == stamp { try await Task.sleep(for: .milliseconds(300)) }
        }
    }

    private func runOnce() async throws {
        let bundle = try RuleBundle.load(directory: directory)
        let cases = try RuleCase.load(directory: directory)
        for warning in bundle.warnings { Console.error("\(warning)") }
        if evasions { return try runEvasions(bundle, cases) }
        let runner = RuleTestRunner(
            bundle: bundle, cases: cases, filter: filter, chunkings: chunkings,
            tokenizers: try RuleTokenizers.load(bundle, directory: directory))
        var report = await runner.run()
        let isTested = !report.results.isEmpty
        if mutate, report.failed == 0, isTested {
            let mutations = try RuleMutations(bundle, directory: directory)
            let mutation = await runner.mutate(mutations, scoreMin: mutationScore)
            if !mutation.isEnough { report.results += mutation.results }
            report.mutation = mutation
        }
        if let corpus {
            var counts = try runner.corpus(corpus)
            counts.baseline = try baseline.map { try CorpusBaseline(path: $0) }
            report.results += counts.results(bundle)
            report.corpus = counts
        }
        for line in format.lines(report, showsCoverage: coverage) { Console.line(line) }
        if mutate, report.mutation == nil, isTested {
            Console.error("\(directory): error: no mutants were made, because tests fail without them")
        }
        if !isTested {
            Console.error("\(directory): error: no tests found\(filter.map { " with \"\($0)\" in their name" } ?? "")")
            throw ExitStatus.findings
        }
        if report.failed > 0 { throw ExitStatus.findings }
    }

    private func runEvasions(_ bundle: RuleBundle, _ cases: [RuleCase]) throws {
        guard (0...1).contains(minRecall) else { throw ValidationError("--min-recall: 0 to 1") }
        guard format == .text || format == .json else { throw ValidationError("--evasions: --format text or json") }
        var list = try Evasion.builtIn()
        for path in evasionFile { list += try Evasion.parse(try Files.read(path), file: path) }
        var texts: [String] = []
        if let benign {
            try JSONLines(path: benign).forEach { json in
                guard let text = json["text"]?.string else { return }
                // Labelled data: only its benign rows.
                if let label = json["label"]?.string, label != "benign" { return }
                texts.append(text)
            }
        }
        let report = EvasionRunner(bundle: bundle, cases: cases, evasions: list, filter: filter).run(benign: texts)
        if format == .json {
            Console.line(report.json)
        } else {
            for line in report.lines(showsMisses: verbose) { Console.line(line) }
        }
        if report.total.all == 0 { Console.error("\(directory): error: no rule has a text that it must find") }
        if report.total.all == 0 || report.total.recall < minRecall || !report.noisy.isEmpty { throw ExitStatus.findings }
    }
}
