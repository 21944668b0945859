import Foundation
import GuardCore
import GuardRules
import GuardTesting
import Testing

@testable import GuardAuthoring

@Suite struct LintTests {
    static func lint(_ rules: String, _ change: (inout LintOptions) -> Void = { _ in }) -> LintReport {
        var options = LintOptions(now: 1_800_000_000)
        change(&options)
        return Linter.run(
            files: [.init(path: "t.yaml", content: Array("ruleset: t\nrules:\n\(rules)\n".utf8))], options: options)
    }

    static func found(_ report: LintReport, notes: Bool = false) -> [String] {
        report.findings.filter { $0.suppressed == nil && (notes || $0.level != .note) }
            .map { "\($0.line):\($0.column) \($0.id.rawValue) \($0.rule?.name ?? "")" }
    }

    private static let tests = "severity: low, tests: {match: [zzz], noMatch: [yyy]}"

    /// Rules and what is said of them, notes left out.
    @Test(arguments: [
        ("- {id: a, on: input, action: flag, match: {pcre: 'zzz'}, \(tests)}", []),
        ("- {id: a, on: input, action: flag, match: {pcre: 'zzz'}}", ["3:3 no-severity a", "3:3 untested a"]),
        ("- {id: a, on: input, action: flag, match: {pcre: 'zzz'}, severity: low, tests: {match: [zzz]}}", ["3:73 untested a"]),
        ("- {id: a, on: input, action: flag, match: {pcre: '(z+)+y'}, \(tests)}", ["3:50 catastrophic a"]),
        ("- {id: a, on: input, action: flag, view: raw, match: {pcre: 'zzz|a^b'}, \(tests)}", []),
        ("- {id: a, on: input, action: flag, view: raw, match: {pcre: 'a^b'}, \(tests)}", ["3:61 never-matches a"]),
        ("- {id: a, on: input, action: flag, match: {pcre: '[\\x{FF21}-\\x{FF3A}]\\x{200B}?'}, \(tests)}", ["3:70 load "]),
        ("- {id: a, on: output, roles: [user], action: flag, match: {pcre: 'zzz'}, \(tests)}", ["3:23 never-selected a"]),
        ("- {id: a, on: input, when: {routes: ['/v2/*']}, action: flag, match: {pcre: 'zzz'}, \(tests)}", ["3:22 never-selected a"]),
        ("- {id: a, on: input, when: {routes: ['/v1/chat/*']}, action: flag, match: {pcre: 'zzz'}, \(tests)}", []),
        ("- {id: a, on: input, mode: off, action: flag, match: {pcre: 'zzz'}, severity: low}", ["3:22 off a"]),
        ("- {id: a, on: output, action: block, match: {pcre: 'z+'}, \(tests)}", ["3:52 unbounded-hold a"]),
        ("- {id: a, on: output, action: flag, match: {pcre: 'z+'}, \(tests)}", []),
        ("- {id: a, on: input, action: flag, match: {all: [{pcre: 'zzz'}, {not: {pcre: 'z'}}]}, \(tests)}", ["3:36 never-matches a"]),
        ("- {id: a, on: input, action: flag, match: {all: [{pcre: 'zzz'}, {not: {pcre: 'zy'}}]}, \(tests)}", []),
        (
            """
            - {id: a, on: input, action: flag, match: {pcre: 'zzz'}, \(tests)}
            - {id: b, on: input, action: flag, match: {pcre: 'zzz'}, \(tests)}
            """, ["4:36 duplicate b"]
        ),
        (
            """
            - {id: a, on: input, action: block, match: {pcre: 'z{2}'}, \(tests)}
            - {id: b, on: input, action: mask, match: {pcre: 'z{3}'}, \(tests)}
            """, ["4:36 shadowed b"]
        ),
        (
            """
            - {id: a, on: input, action: block, match: {pcre: 'zz'}, \(tests)}
            - {id: b, on: input, action: block, match: {pcre: 'z{2}'}, \(tests)}
            """, ["3:37 duplicate a"]
        ),
        (
            // Narrower in its roles: it shadows nothing.
            """
            - {id: a, on: input, roles: [user], action: block, match: {pcre: 'zz'}, \(tests)}
            - {id: b, on: input, action: mask, match: {pcre: 'zzz'}, \(tests)}
            """, []
        ),
        (
            """
            - {id: a, on: input, action: flag, match: {pcre: 'zzz'}, \(tests)}
            - {id: b, on: output, action: allow, suppresses: [a], reason: r, match: {pcre: 'zzz'}, \(tests)}
            - {id: c, on: input, action: allow, suppresses: [a], reason: r, expires: 2020-01-01, match: {pcre: 'zzz'}, \(tests)}
            """, ["4:38 allows-nothing b", "5:65 expired c"]
        ),
        (
            "- {id: a, on: input, action: flag, match: {pcre: 'zzz'}, lint: {ignore: [untested, no-severity], reason: example}}",
            []
        ),
        ("- {id: a, on: input, action: flag, match: {pcre: 'zzz'}, lint: {ignore: unteste, reason: x}, \(tests)}", ["3:58 unused-ignore a"]),
        ("- {id: a, on: input, action: flag, match: {pcre: '('}}", ["3:52 load "]),
    ] as [(String, [String])]) func findings(_ rules: String, _ expected: [String]) {
        let report = Self.lint(rules)
        #expect(Self.found(report) == expected, "\(report.findings.map(\.message))")
    }

    @Test func notes() {
        let report = Self.lint("- {id: a, on: output, action: mask, match: {pcre: '[^z]{2}'}, \(Self.tests)}")
        #expect(Self.found(report, notes: true) == ["3:51 no-literal a", "3:51 open-start a"])
        #expect(report.count(.warning) == 0 && report.count(.note) == 2)
    }

    @Test func holdTable() throws {
        let report = Self.lint(
            """
            - {id: a, on: output, action: mask, match: {pcre: 'z{2,5}'}}
            - {id: b, on: output, action: mask, match: {pcre: 'z+'}, onHoldOverflow: release}
            - {id: c, on: output, action: block, match: {all: [{pcre: z}, {pcre: y}]}, stream: hold}
            - {id: d, on: output, action: block, match: {not: {pcre: z}}, stream: cut}
            - {id: e, on: input, action: block, match: {pcre: z}}
            - {id: f, on: output, action: block, mode: monitor, match: {pcre: z}}
            """)
        #expect(report.rules.map(\.hold) == [.bytes(5), .unbounded, .wholeAnswer, .windows(1024), .none, .none])
        #expect(report.rules.map { $0.leak == nil } == [true, false, true, false, true, true])
        let limited = Self.lint("- {id: a, on: output, action: mask, match: {pcre: 'z{2,5}'}, \(Self.tests)}") { $0.maxHold = 4 }
        #expect(Self.found(limited) == ["3:3 long-hold a"])
    }

    @Test func aWitnessIsShown() throws {
        let report = Self.lint("- {id: a, on: input, action: flag, match: {pcre: '(z+)+y'}, \(Self.tests)}")
        let message = try #require(report.findings.first { $0.id == .catastrophic }).message
        #expect(message.hasPrefix("the pattern takes exponential time; witness \""))
        #expect(message.contains("×n") && message.contains("steps"))
    }

    @Test(arguments: LintFormat.allCases) func formats(_ format: LintFormat) throws {
        let report = Self.lint("- {id: a, on: input, action: flag, match: {pcre: '%(z+)+y'}}")
        let text = format.lines(report).joined(separator: "\n")
        switch format {
        case .text:
            #expect(text.contains("t.yaml:3:50: error: a: the pattern takes exponential time"))
            #expect(text.contains("[catastrophic]") && text.hasSuffix("1 rules: 1 errors, 2 warnings, 0 notes"))
        case .github: #expect(text.contains("::error file=t.yaml,line=3,col=50,title=catastrophic::a: the pattern"))
        case .json, .sarif:
            let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(object["findings"] != nil || object["runs"] != nil)
        }
    }

    /// Our own packs have no error.
    @Test func packs() throws {
        let files = try RuleBundle.ruleFiles(directory: TestData.root.appending(path: "rules").path)
        let report = Linter.run(files: files, options: LintOptions(now: 1_800_000_000))
        let errors = report.findings.filter { $0.level == .error && $0.suppressed == nil }
        #expect(errors.isEmpty, "\(errors.map { "\($0.rule?.name ?? "") \($0.id.rawValue): \($0.message)" })")
        for finding in report.findings where finding.level == .warning && finding.suppressed == nil {
            print("\(finding.rule?.name ?? "") \(finding.id.rawValue): \(finding.message)")
        }
    }
}
