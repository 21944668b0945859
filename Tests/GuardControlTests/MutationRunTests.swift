import Foundation
import GuardCore
import GuardRules
import Testing

@testable import GuardControl

/// `--mutate` judges all mutants of a rule at once and runs few case files; this is what it has to find.
@Suite struct MutationRunTests {
    /// One rule of every kind. `t.hidden` alone has the word that makes `please_obey_me_now` words; `t.long` holds more of a
    /// stream than others.
    private static let rules = #"""
        ruleset: t
        rules:
          - id: t.card
            on: [input, output]
            match: {pcre: '\b(?:\d[ -]?){12,18}\d\b', validate: luhn, context: {near: [card], within: 10}}
            view: raw
            action: mask
            mask: '[CARD:{last4}]'
            severity: high
            tests: {match: ['card 4111 1111 1111 1111'], noMatch: ['card 4111 1111 1111 1112']}
          - id: t.obey
            on: input
            match: {any: [{pcre: '\bobey\s+(?:me|us)?\b'}, {words: [surrender now]}]}
            view: decoded
            action: block
            tests: {match: [please_obey_me_now, 'now obey me'], noMatch: [obeyed]}
          - id: t.hidden
            on: input
            match: {all: [{pcre: 'lemon(?!please)'}, {not: {words: [tea]}}, {pcre: 'sugar'}]}
            view: decoded
            action: flag
            tests: {match: ['lemon and sugar', bGVtb24gd2l0aCBzdWdhcg==], noMatch: ['lemon tea with sugar']}
          - id: t.word
            on: output
            match: {words: [swordfish]}
            action: block
            tests: {match: [a Swordfish]}
          - id: t.long
            on: output
            match: {pcre: 'begin\s[^.]{2,40}end'}
            action: mask
            tests: {match: ['begin this end'], noMatch: [beginner]}
          - id: t.off
            on: input
            match: {pcre: 'nothing of it'}
            mode: off
            action: flag
            tests: {noMatch: [none]}
          - id: t.allow
            on: [input, output]
            match: {pcre: '4111 1111 1111 1111 is a test$'}
            action: allow
            suppresses: [t.card]
            reason: a test number
        """#

    private static let cases = #"""
        - name: a mask
          phase: input
          text: my card 4111 1111 1111 1111.
          expect: {action: mask, rules: [t.card], maskedText: 'my card [CARD:1111].'}
        - name: a test number
          phase: input
          text: card 4111 1111 1111 1111 is a test
          expect: {action: allow, notRules: [t.card]}
        - name: nothing
          phase: input
          request: {model: m, messages: [{role: user, content: 'nothingness of it, lemon sugar tea; they obeyed'}]}
          expect: {action: allow}
        - name: three rules
          phase: input
          request: {model: m, messages: [{role: user, content: 'card 4111-1111-1111-1111'}, {role: user, content: 'lemon, sugar'}]}
          expect: {rules: [t.card, t.hidden], maskedText: 'lemon, sugar'}
        - name: an answer
          phase: output
          response: {choices: [{index: 0, message: {role: assistant, content: 'begin it here. My card: 4111111111111111'}, finish_reason: stop}]}
          expect: {action: mask, maskedText: 'begin it here. My card: [CARD:1111]'}
        - name: a blocked stream
          phase: output
          stream:
            - {choices: [{index: 0, delta: {content: 'to beginning, a '}, finish_reason: null}]}
            - {choices: [{index: 0, delta: {content: 'swordfish or '}, finish_reason: null}]}
            - '[DONE]'
          expect: {action: block, rules: [t.word], maskedText: 'to beginning, a '}
        - name: a stream
          phase: output
          stream:
            - {choices: [{index: 0, delta: {content: 'begin this en'}, finish_reason: null}]}
            - {choices: [{index: 0, delta: {content: 'd, swordfishes'}, finish_reason: null}]}
            - '[DONE]'
          expect: {action: mask, maskedText: '[REDACTED], swordfishes'}
        """#

    private static func shown(_ verdict: MutationReport.Verdict) -> String {
        switch verdict {
        case .killed: "killed"
        case .equivalent: "equivalent"
        case .survived(let text, let wanted): "survived: \(wanted): \(text)"
        }
    }

    /// Every test and every probe against a bundle as guardd makes it, mutant after mutant.
    private func slow(_ mutation: RuleMutation, _ rule: CompiledRule, _ runner: RuleTestRunner) async -> String {
        let whole = mutation.whole(isLight: false)
        func finds(_ text: [UInt8]) -> Bool {
            if mutation.kind == .drop { return false }
            let evaluation = runner.evaluate(rule, of: whole, on: text)
            return !evaluation.matches.isEmpty || !evaluation.failures.isEmpty
        }
        if rule.tests.match.contains(where: { !finds(Array($0.text.utf8)) }) { return "killed" }
        if rule.tests.noMatch.contains(where: { finds(Array($0.text.utf8)) }) { return "killed" }
        let cases = RuleTestRunner(bundle: whole, cases: [])
        for test in runner.cases { if await cases.failure(of: test) != nil { return "killed" } }
        for text in MutationProbes.texts(of: rule) {
            let original = runner.evaluate(rule, of: runner.bundle, on: text)
            guard original.failures.isEmpty, finds(text) == original.matches.isEmpty else { continue }
            return
                "survived: \(original.matches.isEmpty ? "noMatch" : "match"): \(String(decoding: text, as: UTF8.self))"
        }
        return "equivalent"
    }

    @Test func equalsTheSlowRun() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "mutants-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(Self.rules.utf8).write(to: folder.appending(path: "t.yaml"))
        let bundle = try RuleBundle.load(directory: folder.path)
        let parsed = try RuleCase.parse(files: [.init(path: "tests/c.yaml", content: Array(Self.cases.utf8))])
        let runner = RuleTestRunner(bundle: bundle, cases: parsed)
        let failed = await runner.run().results.filter { $0.failure != nil }
        #expect(failed.map { "\($0.name): \($0.failure ?? "")" } == [])
        let mutations = try RuleMutations(bundle, directory: folder.path)
        let report = await runner.mutate(mutations, scoreMin: 1)
        var wanted: [String] = []
        for rule in bundle.rules {
            for mutation in mutations.mutations(of: rule) {
                let verdict = await slow(mutation, rule, runner)
                wanted.append("\(rule.id) \(mutation.change): \(verdict)")
            }
        }
        #expect(report.mutants.map { "\($0.mutation.rule) \($0.mutation.change): \(Self.shown($0.verdict))" } == wanted)

        let mutants = report.mutants
        // Every way to be killed and to survive is there.
        func count(_ rule: String, _ verdict: String) -> Int {
            mutants.count { $0.mutation.rule.name == rule && Self.shown($0.verdict).hasPrefix(verdict) }
        }
        #expect(count("t.card", "killed") > 0 && count("t.card", "survived") > 0)
        #expect(count("t.obey", "killed") > 0 && count("t.obey", "equivalent") > 0)
        #expect(mutants.contains { !$0.mutation.leavesReadings } && mutants.contains { $0.mutation.leavesReadings })
        // Nothing but the case files would miss the allowance, or see what `begin[\s\S]` holds back of a blocked stream.
        #expect(count("t.allow", "killed") > 0)
        #expect(
            mutants.contains {
                $0.mutation.rule.name == "t.long" && $0.mutation.change == "\\s widened to any character"
                    && Self.shown($0.verdict) == "killed"
            })
    }
}
