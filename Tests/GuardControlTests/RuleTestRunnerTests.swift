import Foundation
import GuardCore
import GuardJSON
import GuardRules
import Testing

@testable import GuardControl

@Suite struct RuleTestRunnerTests {
    private static let rules = """
        ruleset: t
        description: For the runner's own tests.
        rules:
          - id: t.card
            on: [input, output]
            match: {pcre: '\\b(?:\\d[ -]?){12,18}\\d\\b', validate: luhn}
            view: raw
            action: mask
            mask: '[CARD:{last4}]'
            severity: high
            tests:
              match: ['pay 4111 1111 1111 1111', 'no card here']
              noMatch: ['4111 1111 1111 1112']
          - id: t.word
            on: [input]
            match: {words: [swordfish]}
            action: block
            severity: low
            tests:
              match: [Swordfish]
              noMatch: ['a swordfish']
        """

    private func report(
        _ cases: String = "[]", filter: String? = nil, chunkings: Int = 0
    ) async throws -> TestReport {
        let bundle = try RuleBundle(files: [.init(path: "t.yaml", content: Array(Self.rules.utf8))])
        let cases = try RuleCase.parse(files: [.init(path: "tests/c.yaml", content: Array(cases.utf8))])
        return await RuleTestRunner(bundle: bundle, cases: cases, filter: filter, chunkings: chunkings).run()
    }

    @Test func findsWhatIsWrongWithInlineTests() async throws {
        let report = try await report()
        let failed = report.results.filter { $0.failure != nil }
        #expect(report.results.count == 5)
        #expect(failed.map(\.name) == ["t.card matches #2", "t.word does not match #1"])
        #expect(failed.map(\.place.line) == [12, 21])
        #expect(failed.first?.failure == "no match")
        #expect(failed.last?.failure == "a match at 2..<11")
    }

    @Test func filters() async throws {
        #expect(try await report(filter: "t.word").results.count == 2)
        #expect(try await report(filter: "nothing").results.isEmpty)
    }

    @Test func runsCases() async throws {
        let cases = #"""
            - name: a text
              phase: input
              text: pay 4111 1111 1111 1111
              expect: {action: mask, rules: [t.card], notRules: [t.word], maskedText: 'pay [CARD:1111]'}
            - name: a request
              phase: input
              request: {model: m, messages: [{role: user, content: 'a 4111 1111 1111 1111'}]}
              expect: {action: mask, rules: [t.card], maskedText: 'a [CARD:1111]'}
            - name: a blocked request
              phase: input
              request: {model: m, messages: [{role: user, content: swordfish}]}
              expect: {action: block, rules: [t.word]}
            - name: an answer
              phase: output
              response: {choices: [{index: 0, message: {role: assistant, content: 'a 4111 1111 1111 1111'}, finish_reason: stop}]}
              expect: {action: mask, maskedText: 'a [CARD:1111]'}
            - name: wrong expectations
              phase: input
              text: nothing
              expect: {action: block, rules: [t.word]}
            """#
        let results = try await report(cases).results.suffix(5)
        #expect(results.map { $0.failure == nil } == [true, true, true, true, false])
        #expect(results.last?.failure == "action allow, expected block; no finding of t.word")
    }

    @Test func streamsAreCutAndStayTheSame() async throws {
        let cases = #"""
            - name: a stream
              phase: output
              stream:
                - {choices: [{index: 0, delta: {content: 'a 4111 1111 '}, finish_reason: null}]}
                - {choices: [{index: 0, delta: {content: '1111 1111 b'}, finish_reason: null}]}
                - {choices: [{index: 0, delta: {}, finish_reason: stop}]}
                - '[DONE]'
              expect: {action: mask, rules: [t.card], maskedText: 'a [CARD:1111] b'}
            """#
        let report = try await report(cases, chunkings: 3)
        let results = report.results.filter { ["a stream", "t.card matches #1"].contains($0.name) }
        #expect(results.count == 2)
        #expect(results.compactMap(\.failure) == [])
    }

    @Test(arguments: TestFormat.allCases)
    func writesEveryFormat(format: TestFormat) async throws {
        let lines = format.lines(try await report(), showsCoverage: false)
        let text = lines.joined(separator: "\n")
        switch format {
        case .text:
            #expect(text.contains("FAILED t.yaml:12:42: t.card matches #2: no match"))
            #expect(text.hasSuffix("5 tests: 3 passed, 2 failed; 2 of 2 rules covered"))
        case .json:
            let root = try JSONDocument(Array(text.utf8)).root
            #expect(root["failed"]?.integer == 2)
            #expect(root["tests"]?.count == 5)
            #expect(root["coverage"]?["covered"]?.integer == 2)
        case .junit:
            #expect(text.contains(#"tests="5" failures="2""#))
            #expect(text.contains(#"<failure message="no match">"#))
        case .tap:
            #expect(lines.prefix(2) == ["TAP version 14", "1..5"])
            #expect(lines.contains("not ok 2 - t.card matches \\#2"))
        case .sarif:
            let root = try JSONDocument(Array(text.utf8)).root
            #expect(root["runs"]?[0]?["results"]?.count == 2)
        case .github:
            #expect(lines.first == "::error file=t.yaml,line=12,col=42,title=t.card matches #2::no match")
        }
    }

    // MARK: - mutants and corpora

    private func mutated(_ tests: String, scoreMin: Double = 1) async throws -> MutationReport {
        let folder = FileManager.default.temporaryDirectory.appending(path: "mutants-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let rules = """
            ruleset: t
            rules:
              - id: t.key
                on: [input]
                match: {pcre: '\\bkey-\\d{4}\\b'}
                view: raw
                action: mask
                severity: low
                tests: \(tests)
            """
        try Data(rules.utf8).write(to: folder.appending(path: "t.yaml"))
        let bundle = try RuleBundle.load(directory: folder.path)
        let runner = RuleTestRunner(bundle: bundle, cases: [])
        #expect(await runner.run().failed == 0)
        return await runner.mutate(try RuleMutations(bundle, directory: folder.path), scoreMin: scoreMin)
    }

    @Test func survivingMutantsNameATestThatWouldKillThem() async throws {
        let weak = try await mutated("{match: ['my key-1234.'], noMatch: ['none']}")
        // \b twice, \d, {3,4}, {4,5}, case; only leaving the rule out is noticed.
        #expect(weak.killed == 1 && weak.survived == 6 && !weak.isEnough)
        let failures = weak.results.map { "\($0.name) at \($0.place.column): \($0.failure ?? "")" }
        #expect(failures.contains { $0.hasPrefix("t.key mutant: \\b left out at 20") && $0.contains("noMatch: 'mykey-1234.'") })
        #expect(try await mutated("{match: ['my key-1234.'], noMatch: ['none']}", scoreMin: 0.1).isEnough)

        // Every format says which survived, where and how.
        var report = TestReport()
        (report.mutation, report.results) = (weak, weak.results)
        for format in TestFormat.allCases {
            let text = format.lines(report, showsCoverage: false).joined(separator: "\n")
            #expect(text.contains("mykey-1234.") && text.contains("t.yaml"), "\(format)")
            #expect(text.contains("\\b left out") || text.contains("\\\\b left out"), "\(format)")
        }
        report.results = []
        report.mutation?.scoreMin = 0.1
        let lines = TestFormat.text.lines(report, showsCoverage: false)
        #expect(lines.count { $0.hasPrefix("survived ") } == 6)
        #expect(lines.contains { $0.hasPrefix("mutants of ") && $0.contains("t.yaml: 1 killed, 6 survived, 0 equivalent; score 14.29 %") })

        // The probes, taken as tests, kill.
        let tests = weak.mutants.compactMap { mutant -> String? in
            guard case .survived(let text, "noMatch") = mutant.verdict else { return nil }
            return "'\(text)'"
        }
        let strong = try await mutated("{match: ['my key-1234.'], noMatch: [\(tests.joined(separator: ", "))]}")
        #expect(strong.survived == 0 && strong.score == 1)
    }

    @Test func corpusAgainstItsBaseline() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "corpus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func file(_ name: String, _ content: String) throws -> String {
            try Data(content.utf8).write(to: folder.appending(path: name))
            return folder.appending(path: name).path
        }
        let bundle = try RuleBundle(files: [.init(path: "t.yaml", content: Array(Self.rules.utf8))])
        let runner = RuleTestRunner(bundle: bundle, cases: [])
        let lines = try file("a.jsonl", """
            {"text": "a swordfish and a swordfish"}
            {"text": "4111 1111 1111 1111"}
            {"text": "nothing"}
            """)
        let first = try runner.corpus(lines)
        #expect((first.texts, first.flaggedTexts, first.bytes) == (3, 2, 27 + 19 + 7))
        #expect(first.rules == [RuleID("t.card"): .init(findings: 1, texts: 1), RuleID("t.word"): .init(findings: 2, texts: 1)])
        #expect(first.results(bundle).isEmpty)

        // A report is a baseline; twice the corpus has the same rate.
        var report = TestReport()
        report.corpus = first
        let json = TestFormat.json.lines(report, showsCoverage: false).joined()
        var twice = try runner.corpus(try file("b.txt", String(repeating: "a swordfish and a swordfish\n\n4111 1111 1111 1111\n\nnothing\n\n", count: 2)))
        twice.baseline = try CorpusBaseline(path: try file("baseline.json", json))
        #expect(twice.results(bundle).allSatisfy { $0.failure == nil })
        var worse = try runner.corpus(try file("c.txt", "swordfish"))
        worse.baseline = twice.baseline
        #expect(worse.results(bundle).filter { $0.failure != nil }.map(\.name) == ["corpus: t.word"])
        #expect(throws: Diagnostic.self) { try CorpusBaseline(path: try file("odd.json", "{}")) }
    }
}
