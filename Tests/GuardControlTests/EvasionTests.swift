import Foundation
import GuardCore
import GuardRules
import GuardTesting
import Testing

@testable import GuardControl

@Suite struct EvasionTests {
    static func bundle(_ rules: String) throws -> RuleBundle {
        try RuleBundle(files: [.init(path: "t.yaml", content: Array("ruleset: t\nrules:\n\(rules)\n".utf8))])
    }

    @Test func builtInTransformationsAreRead() throws {
        let list = try Evasion.builtIn()
        #expect(list.count > 100)
        #expect(Set(list.map(\.name)).count == list.count)
        let known = [
            "fullwidth": "ａｂ １", "base64": "YWIgMQ==", "hex-spaced": "61 62 20 31", "rot13": "no 1", "reversed": "1 ba",
            "zero-width-space": "a\u{200B}b 1", "binary-run": "01100001011000100010000000110001", "leet": "4b 1",
            "html-decimal": "&#97;&#98;&#32;&#49;", "base32": "MFRCAMI=", "ascii85": "@:C?6", "atbash": "zy 1",
        ]
        for evasion in list {
            if let wanted = known[evasion.name] { #expect(evasion.apply(to: "ab 1") == wanted, "\(evasion.name)") }
        }
        #expect(known.keys.allSatisfy { name in list.contains { $0.name == name } })
    }

    @Test(arguments: [
        ("evasions: [{name: a, steps: [{map: {from: abc, to: ab}}]}]", "1:36: error: 'from' has 3 characters, 'to' 2"),
        ("evasions: [{name: a, steps: [{turn: 1}]}]", "unknown key 'turn'"),
        ("evasions: [{name: a, applies: [letters], steps: []}]", "words"),
        ("evasions: [{steps: []}]", "'name'"), ("evasions: 1", "error"), ("{", "error"),
    ]) func brokenFilesSayWhere(_ text: String, _ message: String) {
        do throws(Diagnostics) {
            _ = try Evasion.parse(Array(text.utf8), file: "e.yaml")
            Issue.record("was read")
        } catch {
            #expect("\(error)".contains(message) && "\(error)".contains(text == "{" ? "e.yaml:2:1:" : "e.yaml:1:"), "\(error)")
        }
    }

    @Test func missesAndNoiseAreCounted() throws {
        let bundle = try Self.bundle(
            """
              - {id: a.word, on: input, action: flag, match: {words: [forbidden]}, tests: {match: [a forbidden word]}}
              - {id: a.raw, on: input, action: flag, view: raw, match: {words: [forbidden]}, tests: {match: [forbidden]}}
            """)
        let list = try Evasion.parse(
            Array(
                """
                evasions:
                  - {name: upper, steps: [{letters: upper}]}
                  - {name: lost, steps: [{map: {from: f, to: [x]}}]}
                  - {name: made, steps: [{wrap: {after: ' forbidden'}}]}
                """.utf8), file: "e.yaml")
        let report = EvasionRunner(bundle: bundle, cases: [], evasions: list).run(benign: ["good", "well"])
        #expect(report.rows.map(\.total.found) == [1, 0, 1])
        #expect(report.rows[1].misses == ["t.yaml:3:88: a.word matches #1: missed by lost"])
        #expect(report.raw == 1 && report.noisy.map(\.name) == ["made"])
        #expect(report.lines(showsMisses: true).contains { $0.contains("missed by lost") })
    }

    /// The packs keep what they find, whatever it looks like. (The vendor keys hold as well; they are many, so `guardctl test
    /// rules --evasions` asks for them.)
    @Test(arguments: [("pii.", 0.95), ("injection.", 0.95), ("jailbreak.", 0.95)])
    func packsHold(_ filter: String, _ recall: Double) throws {
        let rules = TestData.fixtures.appending(path: "../rules").path
        let bundle = try RuleBundle.load(directory: rules)
        let report = EvasionRunner(bundle: bundle, cases: [], evasions: try Evasion.builtIn(), filter: filter).run(benign: [])
        #expect(report.total.all > 1000)
        #expect(report.total.recall >= recall, "\(report.lines(showsMisses: true).joined(separator: "\n"))")
    }

    /// What the folded view undoes gives the same answer and the same bytes however the stream is cut.
    @Test func streamsOfTransformedTextsDoNotDependOnTheCut() async throws {
        let bundle = try RuleBundle.load(directory: TestData.fixtures.appending(path: "../rules").path)
        let names = ["zero-width-space", "fullwidth", "acute-accent", "nukta", "homoglyph-mix", "circled", "base64", "decomposed"]
        let list = try Evasion.builtIn().filter { names.contains($0.name) }
        #expect(list.count == names.count)
        var random = SeededRandom(seed: 25)
        let rules = bundle.rules.filter { $0.phases.contains(.output) && $0.roles.contains(.assistant) && $0.view != .raw }
        let runner = ExchangeRunner(bundle: bundle)
        for evasion in list {
            for _ in 0..<6 {
                guard let text = rules.randomElement(using: &random)?.tests.match.randomElement(using: &random)?.text else {
                    continue
                }
                let bytes = Array("So: \(evasion.apply(to: text)), yes.".utf8)
                let whole = try await runner.answer(text: bytes, cut: nil)
                for cut in [0, 7] as [UInt64] {
                    let streamed = try await runner.answer(text: bytes, cut: cut)
                    #expect(streamed.action == whole.action, "\(evasion.name): \(text)")
                    if whole.action == .mask { #expect(streamed.text == whole.text, "\(evasion.name): \(text)") }
                }
            }
        }
    }
}
