import Foundation
import GuardCore
import GuardMatching
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

    /// The texts of the packs' own tests and of the corpus, as they are and mutated.
    static func texts(_ bundle: RuleBundle) throws -> MutatedTexts {
        try MutatedTexts(bundle.rules.flatMap { $0.tests.match + $0.tests.noMatch }.map { Array($0.text.utf8) })
    }

    /// What readings show is found whether all of them are made or those that rules match in: texts of the packs' tests
    /// in disguise, with plain text around or none.
    @Test func noReadingThatMattersIsMissed() throws {
        let bundle = try RuleBundle.load(directory: Self.directory)
        let texts = bundle.rules.flatMap { $0.tests.match + $0.tests.noMatch }.map(\.text)
        var random = SeededRandom(seed: 23)
        @Sendable func joined(_ text: String, _ sign: String) -> String { text.map(String.init).joined(separator: sign) }
        @Sendable func words(_ text: String, _ sign: String) -> String { text.split(separator: " ").joined(separator: sign) }
        @Sendable func shifted(_ text: String, _ by: UInt8) -> String {
            String(decoding: TextDecoder.turn(Array(text.utf8).span, alphabet: Int(by)), as: UTF8.self)
        }
        @Sendable func leet(_ text: String) -> String {
            let signs: [Character: Character] = ["a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7", "l": "|"]
            return String(text.map { signs[$0] ?? $0 })
        }
        var disguises = DecodedViewTests.encoders.map(\.1)
        disguises += [
            { joined($0, " ") }, { joined($0, "-") }, { joined($0, "\u{B7}") }, { words($0, "_") }, { words($0, ".") },
            { words($0, "\u{1F44F}") }, { $0.capitalized.filter { $0 != " " } }, { String($0.reversed()) },
            { $0.split(separator: " ").map { String($0.reversed()) }.joined(separator: " ") }, { shifted($0, 5) },
            { shifted(String($0.reversed()), 13) }, { leet($0) }, { leet($0.uppercased()) },
            { $0.utf8.map { "\($0)" }.joined(separator: " ") },
            { $0.utf8.map { String($0, radix: 16) }.joined(separator: " ") },
            { text in
                let characters = Array(text)
                return stride(from: 0, to: characters.count, by: 9).map { String(characters[$0...].prefix(9)) }
                    .joined(separator: "\n")
            },
        ]
        var asking = EvaluationScratch()
        var making = EvaluationScratch()
        making.asksForReadings = false
        let all = Array(bundle.rules.indices)
        let wanted = Comparisons.share(0.1)
        var found = 0
        for _ in 0..<wanted {
            var text = texts.randomElement(using: &random) ?? ""
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                text = (disguises.randomElement(using: &random) ?? { $0 })(text)
            }
            if Int.random(in: 0..<3, using: &random) == 0 {
                text =
                    (texts.randomElement(using: &random) ?? "")
                    + [" ", "\n", ". "][Int.random(in: 0..<3, using: &random)] + text
            }
            let bytes = Array(text.utf8)
            let expected = bundle.evaluate(bytes.span, rules: all, scratch: &making)
            #expect(bundle.evaluate(bytes.span, rules: all, scratch: &asking) == expected, "\(text.debugDescription)")
            found += expected.matches.count
        }
        #expect(found > wanted / 4, "\(found)")
    }

    /// Compares two ways to judge texts until as many as wanted were compared. `skipsFailures`: texts on which one of
    /// the two fails do not count.
    private static func compare(
        _ wanted: Int, seed: UInt64, skipsFailures: Bool = false, _ change: (inout EvaluationScratch) -> Void
    ) throws -> (compared: Int, found: Int) {
        let bundle = try RuleBundle.load(directory: Self.directory)
        let texts = try Self.texts(bundle)
        var with = EvaluationScratch()
        var without = EvaluationScratch()
        change(&without)
        let all = Array(bundle.rules.indices)
        var random = SeededRandom(seed: seed)
        var (round, compared, found) = (0, 0, 0)
        while compared < wanted, round < 2 * wanted + texts.seeds.count {
            let text = round < texts.seeds.count ? texts.seeds[round] : texts.next(&random)
            round += 1
            let expected = bundle.evaluate(text.span, rules: all, scratch: &without)
            let evaluation = bundle.evaluate(text.span, rules: all, scratch: &with)
            if skipsFailures, !expected.failures.isEmpty || !evaluation.failures.isEmpty { continue }
            #expect(evaluation == expected, "\(String(decoding: text, as: UTF8.self).debugDescription)")
            compared += 1
            found += expected.matches.count
        }
        return (compared, found)
    }

    @Test func prefilterChangesNothing() throws {
        let wanted = Comparisons.share(0.2)
        let (compared, found) = try Self.compare(wanted, seed: 21) { $0.usesPrefilter = false }
        #expect(compared >= wanted && found > wanted / 4)
    }

    @Test func machineCodeAndInterpreterFindTheSame() throws {
        let wanted = Comparisons.share(0.1)
        let (compared, found) = try Self.compare(wanted, seed: 22, skipsFailures: true) { $0.match.usesJIT = false }
        #expect(compared >= wanted && found > wanted / 4)
    }
}
