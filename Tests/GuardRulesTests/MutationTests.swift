import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardRules

@Suite struct MutationTests {
    @Test(arguments: [
        (#"\bab\.c$"#, ["\\b left out: ab\\.c$", "\\. widened to any character: \\bab.c$", "$ left out: \\bab\\.c"]),
        (#"[A-Z]{2,3}"#, ["[A-Z] widened by \\w: [A-Z\\w]{2,3}", "{2,3} widened to {1,3}: [A-Z]{1,3}", "{2,3} widened to {2,4}: [A-Z]{2,4}"]),
        (#"[^]\]x]+?"#, ["[^]\\]x] widened to any character: [\\s\\S]+?", "+ widened to *: [^]\\]x]*?"]),
        (#"(?<![a-z])\d(?=x)"#, [
            "[a-z] widened by \\w: (?<![a-z\\w])\\d(?=x)", "look-around (?<![a-z]) left out: \\d(?=x)",
            "\\d widened to \\w: (?<![a-z])\\w(?=x)", "look-around (?=x) left out: (?<![a-z])\\d",
        ]),
        (#"(?:a(?<n>b)?)\Q.[\E(?#[)\x{2d}"#, ["? widened to {0,2}: (?:a(?<n>b){0,2})\\Q.[\\E(?#[)\\x{2d}"]),
        (#"[[:alpha:]\]"#, []),
        (#"a{,3}{x}\"#, []),
    ])
    func patterns(_ source: String, _ expected: [String]) {
        let mutations = PatternMutation.all(of: source, isCaseless: true)
        #expect(mutations.map { "\($0.change): \($0.source)" } == expected)
    }

    @Test func rawPatternsAlsoLoseTheirCase() {
        #expect(PatternMutation.all(of: "ab", isCaseless: false).map(\.source) == ["(?i)ab"])
        #expect(PatternMutation.all(of: "(?i)ab", isCaseless: false).isEmpty)
    }

    /// Whatever stands in a pattern: no crash, and offsets that lie in it.
    @Test func noise() {
        var random = SeededRandom(seed: 3)
        let parts = ["\\", "[", "]", "(", ")", "?", "{", "}", ",", "1", "b", "^", "$", "[:", ":]", "(?", "(?<!", "(*", "\\Q", "+", "é", "."]
        for _ in 0..<20_000 {
            let source = (0..<Int.random(in: 0...12, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }
                .joined()
            for mutation in PatternMutation.all(of: source, isCaseless: false) {
                #expect(mutation.offset <= source.unicodeScalars.count && mutation.source != source)
            }
        }
    }

    private static let rules = """
        ruleset: t
        rules:
          - id: t.card
            on: [input]
            match:
              all:
                - {pcre: '\\d{16}', validate: luhn, context: {near: [card], within: 20}}
                - not: {words: [test]}
            view: raw
            action: flag
            severity: low
          - id: t.allowed
            on: [input]
            match: {any: [{words: [blue, red]}]}
            action: allow
            suppresses: [t.card]
            reason: colours
        """

    private func mutations(_ rules: String) throws -> [String: [RuleMutation]] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "mutations-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(rules.utf8).write(to: folder.appending(path: "t.yaml"))
        let bundle = try RuleBundle.load(directory: folder.path)
        let all = try RuleMutations(bundle, directory: folder.path)
        return Dictionary(uniqueKeysWithValues: bundle.rules.map { ($0.id.name, all.mutations(of: $0)) })
    }

    @Test func conditions() throws {
        let found = try mutations(Self.rules)
        let card = try #require(found["t.card"])
        #expect(card.map(\.change) == [
            "the rule left out", "condition 1 of all left out", "condition 2 of all left out", "\\d widened to \\w",
            "{16} widened to {15,16}", "{16} widened to {16,17}", "also in any case", "validate left out",
            "context left out", "within 20 widened to 80",
        ])
        #expect(card.map(\.place.line).allSatisfy { (3...8).contains($0) })
        #expect(card[7].place.line == 7)

        var scratch = EvaluationScratch()
        func finds(_ mutation: RuleMutation, _ text: String) -> Bool {
            !mutation.alone.evaluate(Array(text.utf8).span, rules: [0], scratch: &scratch).matches.isEmpty
        }
        let without = try #require(card.first { $0.change == "validate left out" })
        let dropped = try #require(card.first { $0.kind == .loosen && $0.change == "condition 2 of all left out" })
        #expect(finds(without, "card 4111111111111112") && !finds(dropped, "card 4111111111111112"))
        #expect(finds(dropped, "test card 4111111111111111") && !finds(without, "test card 4111111111111111"))

        let allowed = try #require(found["t.allowed"])
        #expect(allowed.map(\.change) == ["the rule left out", "words also within other words"])
        #expect(allowed[1].whole(isLight: true).rules.map(\.id.name) == ["t.allowed", "t.card"])
        #expect(finds(allowed[1], "hundred"))
    }
}
