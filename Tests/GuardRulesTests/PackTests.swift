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

    /// The texts of the packs' own tests, as they are and mutated: pieces cut out, doubled, put together, bytes of interest
    /// put in. `GUARD_ROUNDS=1000000` with a release build for the long run.
    @Test func prefilterChangesNothing() throws {
        let bundle = try RuleBundle.load(directory: Self.directory)
        var texts = bundle.rules.flatMap { $0.tests.match + $0.tests.noMatch }.map { Array($0.text.utf8) }
        if TestData.hasShared {
            let corpus = try Data(contentsOf: TestData.sharedFile("tokenizers/corpus.txt")).prefix(400_000)
            for start in stride(from: 0, to: corpus.count - 200, by: 2000) {
                let piece = corpus[corpus.startIndex + start..<corpus.startIndex + start + 200]
                texts.append(Array(String(decoding: piece, as: UTF8.self).utf8))
            }
        }
        var with = EvaluationScratch()
        var without = EvaluationScratch()
        without.usesPrefilter = false
        let all = Array(bundle.rules.indices)
        func check(_ text: [UInt8]) -> Int {
            let found = bundle.evaluate(text.span, rules: all, scratch: &without)
            #expect(
                bundle.evaluate(text.span, rules: all, scratch: &with) == found,
                "\(String(decoding: text, as: UTF8.self))")
            return found.matches.count
        }
        for text in texts { _ = check(text) }
        var random = SeededRandom(seed: 21)
        let odd = ["ſ", "\u{212A}", "é", "-", "0", "@", "\r\n", "ﬁ", "Ａ", "\u{200B}", "=", "\"", "\u{E0041}"].map {
            Array($0.utf8)
        }
        let rounds = ProcessInfo.processInfo.environment["GUARD_ROUNDS"].flatMap { Int($0) } ?? 4000
        var found = 0
        for _ in 0..<rounds {
            var text: [UInt8] = []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                guard let piece = texts.randomElement(using: &random), !piece.isEmpty else { continue }
                let start = Int.random(in: 0..<piece.count, using: &random)
                let end =
                    Bool.random(using: &random) ? piece.count : Int.random(in: start...piece.count, using: &random)
                text += Bool.random(using: &random) ? piece : Array(piece[start..<end])
                if Bool.random(using: &random) { text += odd.randomElement(using: &random) ?? [] }
            }
            found += check(Array(String(decoding: text, as: UTF8.self).utf8))
        }
        #expect(found > rounds / 4)
    }
}
