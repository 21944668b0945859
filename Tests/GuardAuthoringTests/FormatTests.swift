import Foundation
import GuardCore
import GuardMatching
import GuardRules
import GuardTesting
import GuardYAML
import Testing

@testable import GuardAuthoring

@Suite struct FormatTests {
    static func formatted(_ text: String) -> String {
        do throws(Diagnostics) {
            return String(decoding: try RuleFormatter.format(Array(text.utf8), file: "t.yaml"), as: UTF8.self)
        } catch {
            return "\(error)"
        }
    }

    /// In: what a person may write. Out: the canonical form.
    static let pairs: [(String, String)] = [
        (
            """
            # about the file

            rules:
                # the first
              - action:   "flag"   # why
                id: a
                on:
                  - input
                  - output
                match: { pcre: foo\\d , validate: luhn }
                # tests follow
                tests: {match: [x, "it's", 'a"b'], noMatch: []}


              - id: 'b'   # two
                match:
                  words: [ignore, "all: of", 5x]
                severity: "low"
                # after b
                on: [input]
            # the end
            ruleset: 'my set'
            """,
            """
            # about the file

            # the end
            ruleset: my set
            rules:
              # the first
              - id: a
                on: [input, output]
                match: {pcre: 'foo\\d', validate: luhn}
                action: flag  # why
                # tests follow
                tests:
                  match: ['x', 'it''s', 'a"b']
                  noMatch: []

              - id: b  # two
                # after b
                on: [input]
                match:
                  words: [ignore, 'all: of', 5x]
                severity: low

            """
        ),
        (
            """
            ruleset: a
            rules:
              - {id: a, on: [input], action: flag, match: {pcre: x}} # one
              # two
              - {id: b, on: [input],
                 action: flag, match: {pcre: y}} # three
              - id: c
                on: [input,
                  output] # four
                match: {pcre: z} # five
                action: flag
            """,
            """
            ruleset: a
            rules:
              # one
              - id: a
                on: [input]
                match: {pcre: 'x'}
                action: flag

              # two
              # three
              - id: b
                on: [input]
                match: {pcre: 'y'}
                action: flag

              - id: c
                on: [input, output]  # four
                match: {pcre: 'z'}  # five
                action: flag

            """
        ),
        ("ruleset: a\nrules: []", "ruleset: a\nrules: []\n"),
        ("- {name: x, text: y, phase: input, expect: {action: allow}}", "- name: x\n  phase: input\n  text: 'y'\n  expect: {action: allow}\n"),
        ("ruleset: a\ndescription: \"a\\u200Bb\"\nrules: []", "ruleset: a\ndescription: \"a\\u200Bb\"\nrules: []\n"),
        ("ruleset: a\ndescription: |\n   one\n   two\nrules: []", "ruleset: a\ndescription: |\n  one\n  two\nrules: []\n"),
        ("ruleset: a\ndescription: >-\n  one\n  two\nrules: []", "ruleset: a\ndescription: >-\n  one two\nrules: []\n"),
        ("ruleset: 'yes'\nrules: [ ]", "ruleset: 'yes'\nrules: []\n"),
        ("# only a comment\n", "# only a comment\n"),
    ]

    @Test(arguments: pairs) func canonical(_ text: String, _ expected: String) {
        #expect(Self.formatted(text) == expected)
        #expect(Self.formatted(expected) == expected)
    }

    @Test(arguments: [
        "ruleset: [",
        "a: 1\na: 2",
        "ruleset: a\nrules: [ # nothing\n]",
        "ruleset: a\ndescription: | # why\n  x\nrules: []",
    ]) func whatCannotBeKeptIsRefused(_ text: String) {
        #expect(Self.formatted(text).contains(" error: "))
    }

    static let files: [String] = {
        var paths: [String] = []
        for folder in ["rules", "fixtures/rules", "Tests/clients/rules"] {
            let url = TestData.root.appending(path: folder)
            for case let file as URL in FileManager.default.enumerator(at: url, includingPropertiesForKeys: nil) ?? .init()
            where file.pathExtension == "yaml" { paths.append(file.path) }
        }
        return paths.sorted()
    }()

    /// Every file of ours: a second run changes nothing, and what the readers make of it is the same.
    @Test(arguments: files) func ourFiles(_ path: String) throws {
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        let out: [UInt8]
        do throws(Diagnostics) {
            out = try RuleFormatter.format(bytes, file: path)
        } catch {
            // Only what does not read may not be formatted.
            #expect((try? YAMLDocument.parse(bytes, file: path)) == nil, "\(error)")
            return
        }
        #expect(try RuleFormatter.format(out, file: path) == out)
        func messages(_ content: [UInt8]) -> [String] {
            do {
                let bundle = try RuleBundle(files: [.init(path: "t.yaml", content: content)])
                return bundle.rules.map { rule in
                    "\(rule.id) \(rule.detectors.map(\.pattern.source)) \(rule.tests.match.map(\.text)) \(rule.tests.noMatch.map(\.text)) "
                        + "\(rule.action) \(rule.mask?.source ?? "") \(rule.view) \(rule.severity) \(rule.when) \(rule.summary ?? "")"
                }
            } catch {
                return error.list.map(\.message).sorted()
            }
        }
        #expect(messages(bytes) == messages(out))
    }

    /// A mutated file is formatted to something equal and stable, or refused.
    @Test func mutations() throws {
        let seeds = Self.pairs.map { Array($0.0.utf8) }
        var random = SeededRandom(seed: 11)
        var formattedCount = 0
        for round in 0..<4000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes.remove(at: at)
                case 1: bytes.insert(Array("#:-[]{},'\"&*|> \n\tax".utf8).randomElement(using: &random) ?? 0, at: at)
                default: bytes[at] = bytes.randomElement(using: &random) ?? 0
                }
            }
            guard let out = try? RuleFormatter.format(bytes, file: "t") else { continue }
            formattedCount += 1
            let again = try? RuleFormatter.format(out, file: "t")
            #expect(again == out, "\(String(decoding: bytes, as: UTF8.self))\n=>\n\(String(decoding: out, as: UTF8.self))")
        }
        #expect(formattedCount > 500)
    }
}
