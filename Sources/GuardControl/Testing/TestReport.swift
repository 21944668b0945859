import GuardCore
import GuardRules

/// Where a test or a rule is written; 1-based.
struct TestPlace: Sendable, CustomStringConvertible {
    var file: String
    var line: Int
    var column: Int

    init(_ place: RulePlace) { (file, line, column) = (place.file, place.line, place.column) }

    var description: String { "\(file):\(line):\(column)" }
}

/// The outcome of one test.
struct TestResult: Sendable {
    /// `pii.card matches #1`, or a case's name: no text of the test.
    var name: String
    var place: TestPlace
    /// nil: passed.
    var failure: String?
    var seconds: Double
}

/// How well one rule is tested.
struct RuleCoverage: Sendable {
    var rule: RuleID
    var place: TestPlace
    /// Tests, inline and case files, that want a finding of it and that want none.
    var positive = 0
    var negative = 0

    /// A rule is covered if a test would fail without it, and another if it matched everything.
    var isCovered: Bool { positive > 0 && negative > 0 }
}

struct TestReport: Sendable {
    var results: [TestResult] = []
    var coverage: [RuleCoverage] = []
    var chunkings = 0
    /// Set with `--mutate` and `--corpus`.
    var mutation: MutationReport?
    var corpus: CorpusReport?

    var failed: Int { results.count { $0.failure != nil } }
    var passed: Int { results.count - failed }
    var covered: Int { coverage.count(where: \.isCovered) }
}
