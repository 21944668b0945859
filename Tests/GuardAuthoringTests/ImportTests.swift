import Foundation
import GuardCore
import GuardMatching
import GuardRules
import GuardTesting
import Testing

@testable import GuardAuthoring

@Suite struct ImportTests {
    static func result(_ toml: String) throws(Diagnostics) -> GitleaksImport.Result {
        try GitleaksImport.run(Array(toml.utf8), file: "t.toml")
    }

    @Test(arguments: [
        ("a$", "a\\z"), ("(?m)a$", "(?m)a$"), ("a.b", "a[^\\n]b"), ("(?s)a.b", "(?s)a.b"), ("(?s:.).", "(?s:.)[^\\n]"),
        ("((?s).)x.", "((?s).)x[^\\n]"), ("[.\\s$]", "[.\\t\\n\\f\\r $]"), ("\\s\\S", "[\\t\\n\\f\\r ][^\\t\\n\\f\\r ]"),
        ("[^\\S]", "[^\\S\\x0B]"), ("\\v", "\\x0B"), ("a{,3}", "a\\{,3}"), ("[[:alpha:]$]", "[[:alpha:]$]"), ("[[a]", "[\\[a]"),
        ("\\Qa.$\\E", "\\Qa.$\\E"), ("\\.\\$", "\\.\\$"), ("[]$]$", "[]$]\\z"), ("\\p{L}.", "\\p{L}[^\\n]"),
    ]) func patternsOfGo(_ source: String, _ expected: String) throws {
        #expect(GoPattern.rewritten(source) == expected)
        _ = try Pattern(expected)
    }

    @Test func fields() throws {
        let result = try Self.result(
            """
            title = "mine"
            [extend]
            useDefault = true
            [[rules]]
            id = "one"
            description = "It's: one"
            regex = '''key_([a-z0-9]{8})'''
            entropy = 2
            keywords = ["key_"]
            [[rules.allowlists]]
            stopwords = ["example"]
            [[rules]]
            id = "two"
            regex = '''tok[0-9]{4}$'''
            keywords = ["vendor"]
            path = '''\\.env'''
            [[rules]]
            id = "three"
            path = '''\\.pem$'''
            [[rules]]
            id = "four"
            regex = '''('''
            """)
        let text = String(decoding: result.ruleSet, as: UTF8.self)
        #expect(text.contains("match: {pcre: 'key_([a-z0-9]{8})', validate: 'entropy(2.000001, 1)'}"))
        #expect(text.contains("{pcre: 'tok[0-9]{4}\\z'}") && text.contains("not: {not: {pcre: '(?i)(?:vendor)'}}"))
        #expect(result.rules == 4 && result.imported == 2)
        let notes = result.notes.map { "\($0.rule ?? "-"): \($0.message.prefix(40))" }
        #expect(
            notes == [
                "-: 'extend.useDefault' is not followed: imp", "one: an allow-list is not carried over (1 sto",
                "two: its 'path' is not carried over: the rule", "three: left out: it matches paths of files, whi",
                "four: left out: the pattern does not compile: ",
            ])
        // It loads, and its tests are what the engine finds.
        let bundle = try RuleBundle(files: [.init(path: "g.yaml", content: result.ruleSet)])
        #expect(bundle.rules.map(\.id.name) == ["gitleaks.one", "gitleaks.two"])
        #expect(bundle.rules.allSatisfy { $0.tests.match.count == 1 && $0.tests.noMatch.count == 1 })
        // The keyword counts, and is no match.
        var scratch = EvaluationScratch()
        func matches(_ text: String) -> [String] {
            bundle.evaluate(Array(text.utf8).span, rules: [1], scratch: &scratch).matches.map {
                String(decoding: Array(text.utf8)[$0.range], as: UTF8.self)
            }
        }
        #expect(matches("tok1234") == [] && matches("VENDOR tok1234") == ["tok1234"])
    }

    @Test func wrongTypesAreErrorsWithPlaces() {
        do throws(Diagnostics) {
            _ = try Self.result("[[rules]]\nid = 5\n[[rules]]\nid = 'x'\nkeywords = 'k'\n")
            Issue.record("nothing was wrong")
        } catch {
            #expect(
                error.list.map(\.description) == [
                    "t.toml:2:6: error: 'id': expected a string, found a number", "t.toml:1:1: error: a rule without an id",
                    "t.toml:5:12: error: 'keywords': expected an array of strings, found a string",
                ])
        }
    }

    /// gitleaks' own configuration: every pattern loads, nearly every rule gets a test, a second import is the same.
    @Test(.enabled(if: TestData.hasShared)) func gitleaks() throws {
        let bytes = Array(try Data(contentsOf: TestData.sharedFile("rulesets/gitleaks.toml")))
        let result = try GitleaksImport.run(bytes, file: "gitleaks.toml")
        #expect(result.rules == 222 && result.imported == 221)
        let bundle = try RuleBundle(files: [.init(path: "g.yaml", content: result.ruleSet)])
        #expect(bundle.rules.count == 221)
        let untested = bundle.rules.filter { $0.tests.match.isEmpty }.map(\.id.name)
        let composed = bundle.rules.filter { $0.composed != nil }.map(\.id.name)
        print("untested:", untested, "keyword kept:", composed)
        #expect(untested.count <= 6)
        #expect(try GitleaksImport.run(bytes, file: "gitleaks.toml").ruleSet == result.ruleSet)
    }
}
