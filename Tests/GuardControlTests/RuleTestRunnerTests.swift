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
}
