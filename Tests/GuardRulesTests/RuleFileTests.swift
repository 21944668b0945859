import Foundation
import GuardCore
import GuardMatching
import GuardTesting
import GuardYAML
import Testing

@testable import GuardRules

@Suite struct RuleFileTests {
    static let bad =
        (try? FileManager.default.contentsOfDirectory(atPath: TestData.fixtures.appending(path: "rules/bad").path))?
        .filter { $0.hasSuffix(".yaml") }.sorted() ?? []

    private static func problems(_ files: [RuleBundle.File]) -> [String] {
        do {
            _ = try RuleBundle(files: files)
            return []
        } catch {
            return error.list.map(\.description)
        }
    }

    /// Each file ends with the messages it gives, behind `#! `. `RECORD=1` writes them anew.
    @Test(arguments: bad) func goldenMessages(_ name: String) throws {
        let url = TestData.fixtures.appending(path: "rules/bad/\(name)")
        let text = try String(contentsOf: url, encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let expected = lines.filter { $0.hasPrefix("#! ") }.map { String($0.dropFirst(3)) }
        let found = Self.problems([.init(path: "bad/\(name)", content: Array(text.utf8))])
        if ProcessInfo.processInfo.environment["RECORD"] == "1" {
            let rules = lines.filter { !$0.hasPrefix("#! ") && !$0.isEmpty }.map(String.init)
            try (rules + found.map { "#! " + $0 } + [""]).joined(separator: "\n")
                .write(to: url, atomically: true, encoding: .utf8)
        }
        #expect(found == expected)
        #expect(!found.isEmpty)
    }

    @Test func problemsOfAllFilesInOneRun() {
        let rule = "ruleset: t\nrules:\n  - {id: same, on: input, action: flag, match: {pcre: x}}\n"
        let found = Self.problems([
            .init(path: "b.yaml", content: Array(rule.utf8)), .init(path: "a.yaml", content: Array(rule.utf8)),
            .init(path: "c.yaml", content: Array("ruleset: t\nrules: 5\n".utf8)),
            .init(path: "d.yaml", content: Array("a: [".utf8)),
        ])
        #expect(found.count == 3)
        #expect(found.contains("c.yaml:2:8: error: expected a list, found the number 5"))
        #expect(found.contains("b.yaml:3:5: error: the id 'same' is used already at a.yaml:3:5"))
        #expect(found.contains { $0.hasPrefix("d.yaml:") })
    }

    @Test func defaults() throws {
        let bundle = try EvaluationTests.bundle("- {id: a, on: [input, output], action: mask, match: {pcre: x}}")
        let rule = try #require(bundle.rule(RuleID("a")))
        #expect(rule.roles == Set(Role.allCases).subtracting([.toolDefinition]))
        #expect(rule.view == .folded && rule.mode == .enforce && rule.severity == .medium)
        #expect(rule.onHoldOverflow == .block && rule.when.isAlways && rule.mask == .standard)
        #expect(rule.place.description == "t.yaml:3:3")
        #expect(bundle.rule(RuleID("b")) == nil)
    }

    @Test func streamIsAWarningHere() throws {
        let bundle = try EvaluationTests.bundle("- {id: a, on: output, stream: hold, action: flag, match: {pcre: x}}")
        #expect(
            bundle.warnings.map(\.description) == [
                "t.yaml:3:31: warning: 'stream: hold' changes nothing: the conditions of this rule are exact on streams"
            ])
    }

    @Test func hashIsOfPathsAndContents() throws {
        let content = Array("ruleset: t\nrules: []\n".utf8)
        let one = try RuleBundle(files: [
            .init(path: "a.yaml", content: content), .init(path: "b.yaml", content: content),
        ])
        let two = try RuleBundle(files: [
            .init(path: "b.yaml", content: content), .init(path: "a.yaml", content: content, shownAs: "/x"),
        ])
        let other = try RuleBundle(files: [
            .init(path: "a.yaml", content: content), .init(path: "c.yaml", content: content),
        ])
        #expect(one.hash == two.hash && one.hash != other.hash && one.hash.count == 64)
        #expect(one.version == one.hash.prefix(12))
    }

    // MARK: folders

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "guard-rules-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    private func rule(_ id: String) -> Data {
        Data("ruleset: t\nrules: [{id: \(id), on: input, action: flag, match: {pcre: x}}]".utf8)
    }

    @Test func mountedConfigMap() throws {
        try withFolder { folder in
            let manager = FileManager.default
            let data = folder.appending(path: "..2027_01_01")
            try manager.createDirectory(at: data.appending(path: "tests"), withIntermediateDirectories: true)
            try rule("a").write(to: data.appending(path: "a.yaml"))
            try manager.createSymbolicLink(
                atPath: folder.appending(path: "..data").path, withDestinationPath: "..2027_01_01")
            try manager.createSymbolicLink(
                atPath: folder.appending(path: "a.yaml").path, withDestinationPath: "..data/a.yaml")
            try rule("hidden").write(to: folder.appending(path: ".b.yaml"))
            try Data("not yaml: [".utf8).write(to: folder.appending(path: "notes.txt"))
            for sub in ["tests", "more"] {
                try manager.createDirectory(at: folder.appending(path: sub), withIntermediateDirectories: true)
                try rule(sub).write(to: folder.appending(path: "\(sub)/c.yml"))
            }
            let bundle = try RuleBundle.load(directory: folder.path)
            #expect(bundle.files == ["a.yaml", "more/c.yml"])
            #expect(bundle.rules.map(\.id.name) == ["a", "more"])
            #expect(bundle.rules.first?.place.file == folder.path + "/a.yaml")
        }
    }

    @Test func loopsAndBrokenLinksAreErrors() throws {
        try withFolder { folder in
            try FileManager.default.createSymbolicLink(
                atPath: folder.appending(path: "loop").path, withDestinationPath: ".")
            try FileManager.default.createSymbolicLink(
                atPath: folder.appending(path: "gone.yaml").path, withDestinationPath: "nowhere")
            mkfifo(folder.appending(path: "pipe.yaml").path, 0o600)
            #expect {
                _ = try RuleBundle.load(directory: folder.path)
            } throws: { error in
                let text = "\(error)"
                return text.contains("a loop") && text.contains("gone.yaml: error: cannot read")
            }
            try FileManager.default.removeItem(at: folder.appending(path: "loop"))
            try FileManager.default.removeItem(at: folder.appending(path: "gone.yaml"))
            #expect(throws: Diagnostics.self) { _ = try RuleBundle.load(directory: folder.path) }
            #expect(throws: Diagnostics.self) { _ = try RuleBundle.load(directory: folder.path + "/absent") }
        }
    }

    @Test func sizesAreBounded() throws {
        try withFolder { folder in
            try rule("a").write(to: folder.appending(path: "a.yaml"))
            try rule("b").write(to: folder.appending(path: "b.yaml"))
            var limits = BundleLimits()
            limits.fileBytes = 10
            #expect(throws: Diagnostics.self) { _ = try RuleBundle.load(directory: folder.path, limits: limits) }
            limits = BundleLimits()
            limits.files = 1
            #expect(throws: Diagnostics.self) { _ = try RuleBundle.load(directory: folder.path, limits: limits) }
            limits = BundleLimits()
            limits.totalBytes = 100
            #expect(throws: Diagnostics.self) { _ = try RuleBundle.load(directory: folder.path, limits: limits) }
        }
    }

    // MARK: case files

    @Test func caseFilesSayWhatIsWrong() {
        let text = """
            - {name: a, phase: input, text: x, request: {}, expect: {}}
            - {name: b, phase: output, request: {a: 1}, expect: {action: refuse}}
            - {phase: input, text: x, expct: {}}
            """
        #expect {
            _ = try RuleCase.parse(files: [.init(path: "tests/t.yaml", content: Array(text.utf8))])
        } throws: { error in
            "\(error)" == """
                tests/t.yaml:1:3: error: a case has exactly one of text, request, response, stream
                tests/t.yaml:2:28: error: a request is judged in 'phase: input'
                tests/t.yaml:2:62: error: 'refuse' is none of allow, flag, mask, block
                tests/t.yaml:3:27: error: unknown key 'expct'; did you mean 'expect'?
                tests/t.yaml:3:3: error: missing key 'name' in a case
                tests/t.yaml:3:3: error: missing key 'expect' in a case
                """
        }
    }

    @Test func bodiesOfCases() throws {
        let text = #"""
            cases:
              - {name: a, phase: input, request: {a: [1, 2.5, null, true, "q\"\n\té"]}, expect: {action: allow}}
              - {name: b, phase: output, stream: [{x: 1}, '[DONE]'], expect: {action: allow}}
              - {name: c, phase: output, api: tgi, stream: [{x: 1}], expect: {action: allow}}
              - {name: d, phase: output, stream: "data: x\n\n", expect: {action: allow}}
            """#
        let cases = try RuleCase.parse(files: [.init(path: "t.yaml", content: Array(text.utf8))])
        let bodies = cases.map { item -> String in
            switch item.subject {
            case .text(let bytes, _), .request(let bytes), .response(let bytes), .stream(let bytes):
                String(decoding: bytes, as: UTF8.self)
            }
        }
        #expect(
            bodies == [
                #"{"a":[1,2.5,null,true,"q\"\n\u0009é"]}"#, "data: {\"x\":1}\n\ndata: [DONE]\n\n", "data:{\"x\":1}\n\n",
                "data: x\n\n",
            ])
        #expect(
            cases.map(\.path) == [
                "/v1/chat/completions", "/v1/chat/completions", "/generate_stream", "/v1/chat/completions",
            ])
    }

    // MARK: literals

    @Test(arguments: [
        ("ghp_[A-Za-z]{4}", "ghp_"), ("a(?:bcd|efgh)i", "abcdi|aefghi"), ("x?foobar*", "foobar|xfoobar|fooba"),
        ("foo|bar", "foo|bar"),
        ("foo|b", "foo|b"), ("foo|.", ""), ("(?i)FooBar", "foobar"), ("\\bfoo(?=bar)\\d", "foo0"), ("(?:foo)+", "foo"),
        ("(?:foo)*", ""), ("(?:foo){0,3}barbaz", "barbaz"), ("[ab]cd", "acd|bcd"), ("a.bcd", "bcd"),
        ("a\\.bcd", "a.bcd"),
        ("(?x)f o o", ""), ("\\Qfoo\\E", ""), ("a?b+.", "ab|b"), ("(*UCP)foo", ""), ("éabc", "éabc"),
        ("(?i)éabc", "Éabc|éabc"), ("(?i)åabc", "abc"), ("\\d{3}-[0-9]{2}", "000-00"), ("a\\x60b", "a`b"),
        ("ab{2}c", "abbc"),
        ("(?<n>foo)\\k{n}", "foo"),
        ("foo(?#c)bar", ""), ("(?(1)foo|bar)", ""), ("(foo)(?1)", ""),
        ("\\d(?:(?<=tel \\d)|(?<=fax: \\d))\\d+", "fax: 0|tel 0"), ("[a-c]\\d\\d[^x]*", "a00|b00|c00"),
    ])
    func requiredLiterals(_ pattern: String, _ expected: String) {
        let found = LiteralExtraction.required(pattern, caseless: false, isRaw: true).any.map(\.bytes)
            .map { String(decoding: $0, as: UTF8.self) }.sorted()
        if pattern == "x?foobar*" {
            // `r*` may be nothing.
            #expect(found == ["fooba", "xfooba"])
        } else {
            #expect(found == expected.split(separator: "|").map(String.init).sorted())
        }
    }

    /// Random patterns and texts over few letters: with literals and without, the same is found.
    @Test func literalsNeverMiss() throws {
        var random = SeededRandom(seed: 5)
        let pieces = [
            "abc", "sk", "K", "a", "[ab]", "[^a]", ".", "(?:ab|ba)", "(abc|k)", "(?i:s)", "(?i)", "\\b", "(?=a)", "\\w",
            "ſ", "(?!b)", "[ab]{0,3}", "\\w{1,3}?", "[a-c]{3}", "[^c]{0,2}", "\\d", "1", "[[:alpha:]]", "[\\w-]",
            "(?<=a)", "(?<=ab|sk1)", "(?:(?<=b)|(?<=1a))", "(?<!a)", "(?<![ab])", "(?<![\\w-])", "(?<!b|1)",
            "(?<=\\bk)",
            "[^ab-]{0,4}", "[^\\s]{1,3}", "é", "д", "ж", "(?<=é)", "\\s?", "\\x61", "[\\x{17e}-\\x{180}]", "[\\x{e9}]",
            "[0-9a-c]{12,}",
        ]
        let quantifiers = ["", "", "", "", "?", "*", "+", "{2}", "{1,2}", "{0,1}", "??"]
        let alphabet = Array("aabbccsSkK ſ\u{212A}A12-éÉдДжЖ")
        var matched = 0
        for number in 0..<600 {
            var pattern = ""
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let piece = pieces.randomElement(using: &random) ?? "a"
                let isAssertion =
                    piece.hasPrefix("\\b") || piece == "(?i)" || piece.hasPrefix("(?=") || piece.hasPrefix("(?!")
                let isLong = piece == "abc" || piece == "sk"
                pattern +=
                    (isLong ? "(?:\(piece))" : piece)
                    + (isAssertion || piece.hasSuffix("}") || piece.hasSuffix("?")
                        ? "" : quantifiers.randomElement(using: &random) ?? "")
                if Int.random(in: 0..<6, using: &random) == 0 { pattern += "|" }
            }
            for view in ["raw", "folded"] {
                guard
                    let bundle = try? EvaluationTests.bundle(
                        "- {id: r, on: input, view: \(view), action: flag, match: {pcre: '\(pattern)'}}")
                else { continue }
                for _ in 0..<6 {
                    let text = String(
                        (0..<Int.random(in: 1...(number % 8 == 0 ? 600 : 16), using: &random)).compactMap { _ in
                            alphabet.randomElement(using: &random)
                        })
                    var with = EvaluationScratch()
                    var without = EvaluationScratch()
                    without.usesPrefilter = false
                    let bytes = Array(text.utf8)
                    let found = bundle.evaluate(bytes.span, rules: [0], scratch: &without)
                    #expect(bundle.evaluate(bytes.span, rules: [0], scratch: &with) == found, "\(pattern) on \(text)")
                    matched += found.matches.isEmpty ? 0 : 1
                }
            }
        }
        #expect(matched > 300)
    }

    // MARK: fuzz

    @Test func fuzzSmoke() throws {
        var random = SeededRandom(seed: 9)
        let seed = Array(
            """
            ruleset: t
            rules:
              - id: a
                on: [input, output]
                roles: [user]
                when: {models: ['x*']}
                match: {any: [{pcre: 'é(?<n>[à-я]{2,3})\\x{410}', validate: luhn}, {words: [Ｆｏｏ bar]}]}
                action: mask
                mask: '{last4}'
                tests: {match: [x], noMatch: [y]}
              - {id: b, on: input, action: mask, mask: {placeholder: '[E_{n}]', restore: true}, view: decoded, match: {all: [{pcre: 'o+', context: {near: [bar], within: 9}}, {not: {near: {match: {words: [b]}, to: {pcre: c}, within: 3}}}]}}
              - {id: c, on: output, action: block, stream: hold, match: {not: {any: [{pcre: q, validate: jwt}]}}}
              - {id: d, on: input, action: allow, suppresses: ['a*'], reason: r, expires: 2099-01-01, match: {words: [foo]}}
            """.utf8)
        var loaded = 0
        for _ in 0..<1000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = Array("[](){}\\?*+^$.|:'-, \n".utf8).randomElement(using: &random) ?? 0x20
                case 1: bytes.remove(at: index)
                default: bytes.insert(.random(in: 0...255, using: &random), at: index)
                }
            }
            do {
                let bundle = try RuleBundle(files: [.init(path: "f.yaml", content: bytes)])
                var scratch = EvaluationScratch()
                let text = Array("éабc foo bar %6fo &#111; f o o\u{301} ёà1".utf8)
                _ = bundle.evaluate(text.span, rules: Array(bundle.rules.indices), scratch: &scratch)
                loaded += 1
            } catch {
                #expect(error.hasErrors)
            }
        }
        #expect(loaded > 100)
    }
}
