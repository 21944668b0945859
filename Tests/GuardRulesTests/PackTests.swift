import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardRules

/// The packs in `rules/`: every rule has tests, and every test holds.
@Suite struct PackTests {
    static let directory = TestData.root.appending(path: "rules").path

    @Test func everyInlineTestHolds() throws {
        let bundle = try RuleBundle.load(directory: Self.directory)
        #expect(bundle.warnings.map(\.description) == [])
        #expect(Set(bundle.files).isSuperset(of: ["pii.yaml", "prompt-injection.yaml", "secrets.yaml"]))
        var scratch = EvaluationScratch()
        for rule in bundle.rules {
            #expect(rule.tests.match.count >= 1 && rule.tests.noMatch.count >= 1, "\(rule.id)")
            for (tests, expected) in [(rule.tests.match, true), (rule.tests.noMatch, false)] {
                for test in tests {
                    let text = Array(test.text.utf8)
                    let found = bundle.evaluate(text.span, rules: [rule.index], scratch: &scratch)
                    #expect(found.failures == [], "\(rule.id)")
                    #expect(
                        found.matches.isEmpty != expected,
                        "\(rule.place.file):\(test.line): \(rule.id) \(expected ? "misses" : "matches") \(test.text)")
                }
            }
        }
    }

    /// What no rule of the packs may hold against ordinary text.
    @Test func caseFilesOfTextHold() throws {
        let bundle = try RuleBundle.load(directory: Self.directory)
        let cases = try RuleCase.load(directory: Self.directory)
        #expect(cases.count >= 8)
        var scratch = EvaluationScratch()
        for item in cases {
            for id in item.expect.rules + item.expect.notRules {
                #expect(bundle.rule(id) != nil, "\(item.place): \(id)")
            }
            guard case .text(let text, let role) = item.subject else { continue }
            let selection = bundle.select(phase: item.phase, model: item.model, tenant: item.tenant, route: nil)
            let evaluation = bundle.evaluate(text.span, rules: selection.rules(for: role), scratch: &scratch)
            let verdict = bundle.verdict(
                evaluation, mode: .enforce, phase: item.phase, segment: 0, role: role, kind: role.rawValue)
            let rules = Set(verdict.findings.map(\.rule))
            if let action = item.expect.action { #expect(verdict.action == action, "\(item.place)") }
            #expect(rules.isSuperset(of: item.expect.rules), "\(item.place): \(rules)")
            #expect(rules.isDisjoint(with: item.expect.notRules), "\(item.place): \(rules)")
            if let masked = item.expect.maskedText {
                #expect(String(decoding: RuleBundle.apply(verdict.edits, to: text), as: UTF8.self) == masked)
            }
        }
    }

    @Test func prefilterChangesNothing() throws {
        let bundle = try RuleBundle.load(directory: Self.directory)
        let texts = bundle.rules.flatMap { $0.tests.match + $0.tests.noMatch }.map { Array($0.text.utf8) }
        var with = EvaluationScratch()
        var without = EvaluationScratch()
        without.usesPrefilter = false
        let all = Array(bundle.rules.indices)
        for text in texts {
            #expect(
                bundle.evaluate(text.span, rules: all, scratch: &with)
                    == bundle.evaluate(text.span, rules: all, scratch: &without))
        }
    }
}
