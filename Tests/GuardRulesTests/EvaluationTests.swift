import GuardCore
import GuardMatching
import Testing

@testable import GuardRules

@Suite struct EvaluationTests {
    static func bundle(_ rules: String, file: String = "t.yaml") throws -> RuleBundle {
        try RuleBundle(files: [.init(path: file, content: Array("ruleset: t\nrules:\n\(rules)".utf8))])
    }

    /// Matches as `rule@text`.
    static func matches(_ bundle: RuleBundle, _ text: String, phase: Phase = .input, role: Role = .user) -> [String] {
        var scratch = EvaluationScratch()
        let bytes = Array(text.utf8)
        let rules = bundle.select(phase: phase, model: nil, tenant: nil, route: nil).rules(for: role)
        let found = bundle.evaluate(bytes.span, rules: rules, scratch: &scratch)
        #expect(found.failures == [])
        return found.matches.map { "\(bundle.rules[$0.rule].id)@\(String(decoding: bytes[$0.range], as: UTF8.self))" }
    }

    static func masked(_ bundle: RuleBundle, _ text: String, mode: Mode = .enforce) -> (String, TextVerdict) {
        var scratch = EvaluationScratch()
        let bytes = Array(text.utf8)
        let rules = bundle.select(phase: .input, model: nil, tenant: nil, route: nil).rules(for: .user)
        let found = bundle.evaluate(bytes.span, rules: rules, scratch: &scratch)
        let verdict = bundle.verdict(found, mode: mode, phase: .input, segment: 0, role: .user, kind: "user")
        return (String(decoding: RuleBundle.apply(verdict.edits, to: bytes), as: UTF8.self), verdict)
    }

    @Test func validatorIsPartOfTheMatch() throws {
        let bundle = try Self.bundle(
            #"- {id: c, on: input, action: mask, mask: '[CARD:{last4}]', view: raw, match: {pcre: '\b(?:\d[ -]?){12,18}\d\b', validate: luhn}}"#
        )
        // One greedy match with a check afterwards misses the second and the third.
        #expect(Self.matches(bundle, "pay with 4111 1111 1111 1111") == ["c@4111 1111 1111 1111"])
        #expect(Self.matches(bundle, "card 4111 1111 1111 1111 12/27") == ["c@4111 1111 1111 1111"])
        #expect(Self.matches(bundle, "12 4111 1111 1111 1111") == ["c@4111 1111 1111 1111"])
        #expect(Self.matches(bundle, "order 4111 1111 1111 1112") == [])
        #expect(Self.masked(bundle, "x 4111-1111-1111-1111").0 == "x [CARD:1111]")
    }

    @Test(arguments: [
        ("'{1}'", "(bob) \\w+", "ＢＯＢ Smith.", "ＢＯＢ."), ("'{0}'", "strasse", "die Straße", "die Straße"),
        ("'{last4}'", "card \\d+", "CARD ４１１１2222", "2222"), ("'{last6}'", "card \\d+", "Card ４１１１2", "d４１１１2"),
        ("'{first3}'", "\\w+", "ﬁX Y", "ﬁX Y"), ("'{n}'", "(?<n>x+)", "a X\u{200B}x", "a X\u{200B}x"), ("'{length}'", "\\w+", "Straße", "6"),
        ("'{1}-{2}'", "(a)?(b)", "B", "-B"), ("'{last2}'", "[a-z]+", "ABC", "BC"),
    ]) func masksOfFoldedRulesWriteRawText(_ mask: String, _ pattern: String, _ text: String, _ wanted: String) throws {
        for match in ["{pcre: '\(pattern)'}", "{all: [{pcre: '\(pattern)'}]}"] {
            let bundle = try Self.bundle("- {id: r, on: input, action: mask, mask: \(mask), match: \(match)}")
            let masked = Self.masked(bundle, text)
            let edits = masked.1.edits.map { String(decoding: $0.replacement, as: UTF8.self) }
            #expect(masked.0 == wanted || edits == [wanted], "\(masked.0) \(edits)")
        }
        // Of what was decoded the decoded text, never the encoded span.
        let decoded = try Self.bundle(
            "- {id: r, on: input, action: mask, mask: '<{1} {last2}>', view: decoded, match: {pcre: 'the (secret) word'}}")
        #expect(Self.masked(decoded, "x dGhlIHNlY3JldCB3b3Jk y").0 == "x <secret rd> y")
    }

    @Test func foldedIsTheDefaultAndRaw() throws {
        let folded = try Self.bundle("- {id: r, on: input, action: flag, match: {pcre: 'SECRET word'}}")
        for text in [
            "secret word", "ＳＥＣＲＥＴ word", "se\u{200B}cret word", "ѕеcrеt word", "SECRET\u{A0}WORD",
            "\u{1D42C}ecret word",
        ] {
            #expect(Self.matches(folded, "a \(text) b") == ["r@\(text)"])
        }
        let raw = try Self.bundle("- {id: r, on: input, action: flag, view: raw, match: {pcre: 'SECRET word'}}")
        #expect(Self.matches(raw, "SECRET word") == ["r@SECRET word"])
        #expect(Self.matches(raw, "secret word") == [])
    }

    @Test func literalsOfFoldedPatternsAreFolded() throws {
        let bundle = try Self.bundle(
            "- {id: r, on: input, action: flag, match: {any: [{pcre: 'Straße|ПРИВЕТ|[É-Ë]t[Ѐ-я]{2}|ΝΟΥ|\\x{410}\\x{411}'}, {words: ['Ｆｕｌｌ width', '（x）']}]}}"
        )
        for text in ["STRASSE", "straße", "привет", "ПРИВЕТ", "étпр", "νου", "абв", "full WIDTH", "(x)", "（Ｘ）"] {
            #expect(Self.matches(bundle, "- \(text) -").count == 1, "\(text)")
        }
        #expect(Self.matches(bundle, "strase fullwidth full widths") == [])
    }

    @Test func wordsAreWhole() throws {
        let bundle = try Self.bundle("- {id: w, on: input, action: flag, match: {words: [cat, cat food, 'c++', 日本]}}")
        #expect(
            Self.matches(bundle, "a Cat, cat  food; C++ concat cats cat_ 日本") == [
                "w@Cat", "w@cat  food", "w@C++", "w@日本",
            ])
        #expect(Self.matches(bundle, "日本語 écat caté") == [])
    }

    @Test func anyIsTheUnionAndNests() throws {
        let bundle = try Self.bundle(
            "- {id: a, on: input, action: flag, match: {any: [{pcre: 'ab'}, {any: [{pcre: 'bc'}, {pcre: 'ab'}]}]}}")
        #expect(Self.matches(bundle, "abc ab") == ["a@ab", "a@bc", "a@ab"])
    }

    @Test func phasesRolesAndConditions() throws {
        let bundle = try Self.bundle(
            """
            - {id: in, on: input, action: flag, match: {pcre: x}}
            - {id: out, on: output, action: flag, match: {pcre: x}}
            - {id: sys, on: [input, output], roles: system, action: flag, match: {pcre: x}}
            - {id: off, on: input, mode: 'off', action: flag, match: {pcre: x}}
            - {id: when, on: input, when: {models: 'llama-*', tenants: [a, 'b?']}, action: flag, match: {pcre: x}}
            """)
        #expect(Self.matches(bundle, "x") == ["in@x"])
        #expect(Self.matches(bundle, "x", phase: .output, role: .assistant) == ["out@x"])
        #expect(Self.matches(bundle, "x", role: .system) == ["in@x", "sys@x"])
        #expect(Self.matches(bundle, "x", role: .toolDefinition) == [])
        func rules(_ model: String?, _ tenant: String?) -> [String] {
            bundle.select(phase: .input, model: model, tenant: tenant, route: nil).rules(for: .user).map {
                bundle.rules[$0].id.name
            }
        }
        #expect(rules("llama-3", "a") == ["in", "when"])
        #expect(rules("llama-3", "bé") == ["in", "when"])
        #expect(rules("llama-3", "bcd") == ["in"])
        #expect(rules("gemma", "a") == ["in"])
        #expect(rules(nil, nil) == ["in"])
    }

    @Test func overlappingMasksAreOneEdit() throws {
        let bundle = try Self.bundle(
            """
            - {id: b, on: input, action: mask, mask: '[B]', match: {pcre: 'bcd'}}
            - {id: a, on: input, action: mask, mask: '[A]', match: {pcre: 'bc'}}
            - {id: z, on: input, action: mask, mask: '[Z]', match: {pcre: 'dex'}}
            - {id: y, on: input, action: mask, mask: '[Y]', match: {pcre: 'xy'}}
            - {id: t1, on: input, action: mask, mask: '[1]', match: {pcre: 'same'}}
            - {id: t2, on: input, action: mask, mask: '[2]', match: {pcre: 'same'}}
            - {id: n1, on: input, action: mask, mask: '[l]', match: {pcre: 'left'}}
            - {id: n2, on: input, action: mask, mask: '[r]', match: {pcre: 'right'}}
            """)
        // Union of bcd, bc, dex, xy with the text of the earliest and longest.
        #expect(Self.masked(bundle, "abcdexyf").0 == "a[B]f")
        #expect(Self.masked(bundle, "same").0 == "[1]")
        #expect(Self.masked(bundle, "leftright").0 == "[l][r]")
        let edit = Self.masked(bundle, "abcdexyf").1.edits.first
        #expect(edit?.range == 1..<7)
        #expect(edit?.rules.map { bundle.rules[$0].id.name } == ["a", "b", "y", "z"])
    }

    @Test func maskWidensToWholeScalars() throws {
        let bundle = try Self.bundle("- {id: f, on: input, action: mask, mask: '#', match: {pcre: 'i'}}")
        // The ligature folds to f and i; there is no half of it to edit.
        #expect(Self.masked(bundle, "oﬁce").0 == "o#ce")
    }

    @Test func heaviestActionAndWeakestMode() throws {
        let bundle = try Self.bundle(
            """
            - {id: b, on: input, action: block, mode: monitor, match: {pcre: block}}
            - {id: e, on: input, action: block, match: {pcre: stop}}
            - {id: f, on: input, action: flag, match: {pcre: flag}}
            - {id: m, on: input, action: mask, match: {pcre: mask}}
            """)
        func actions(_ text: String, _ mode: Mode = .enforce) -> [Action] {
            let verdict = Self.masked(bundle, text, mode: mode).1
            return [verdict.action, verdict.wouldAction]
        }
        #expect(actions("flag") == [.flag, .flag])
        #expect(actions("flag mask") == [.mask, .mask])
        #expect(actions("flag mask block") == [.mask, .block])
        #expect(actions("flag mask stop") == [.block, .block])
        #expect(actions("flag mask stop", .monitor) == [.allow, .block])
        #expect(actions("nothing") == [.allow, .allow])
        #expect(Self.masked(bundle, "a mask", mode: .monitor).0 == "a mask")
        #expect(Self.masked(bundle, "a mask").0 == "a [REDACTED]")
        #expect(Self.masked(bundle, "stop stop").1.blockingRules == [1])
    }

    @Test func maskTemplates() throws {
        func mask(_ template: String, _ pcre: String, _ text: String) throws -> String {
            let bundle = try Self.bundle(
                "- {id: m, on: input, view: raw, action: mask, mask: '\(template)', match: {pcre: '\(pcre)'}}")
            return Self.masked(bundle, text).0
        }
        #expect(try mask("{first2}..{last2}", "[a-z-]+", "A ab-c-de") == "A ab..de")
        #expect(try mask("{2}/{1}", "([a-z]+)-(x)?", "ab-x cd-") == "x/ab /cd")
        #expect(try mask("{who}@*", "(?<who>[a-z]+)@[a-z]+", "me@home") == "me@*")
        #expect(try mask("{{{length}}}", "é+", "ééé") == "{3}")
        #expect(try mask("{0}{0}", "x", "x") == "xx")
        #expect(try mask("", "x", "axb") == "ab")
    }

    @Test func matchLimitIsAFailure() throws {
        let bundle = try Self.bundle("- {id: slow, on: input, view: raw, action: flag, match: {pcre: '(?:a+)+$'}}")
        var limits = MatchLimits()
        limits.matchLimit = 1000
        var scratch = EvaluationScratch(limits: limits)
        let text = Array((String(repeating: "a", count: 40) + "b").utf8)
        let found = bundle.evaluate(text.span, rules: [0], scratch: &scratch)
        #expect(found.failures == [ScanFailure(rule: 0, reason: .matchLimit)])
        var few = EvaluationScratch(matchesMax: 2)
        let many = try Self.bundle("- {id: a, on: input, action: flag, match: {pcre: a}}")
        let result = many.evaluate(text.span, rules: [0], scratch: &few)
        #expect(result.matches.count == 2)
        #expect(result.failures == [ScanFailure(rule: 0, reason: .tooManyMatches)])
    }

    @Test func emptyMatchesEnd() throws {
        let bundle = try Self.bundle("- {id: e, on: input, action: flag, match: {pcre: 'a*'}}")
        #expect(Self.matches(bundle, "baab") == ["e@aa"])
    }

    @Test func validators() {
        let rows: [(Validator, String, Bool)] = [
            (.luhn, "4111 1111 1111 1111", true), (.luhn, "4111111111111112", false),
            (.luhn, "0000000000000000", false),
            (.luhn, "18", false), (.iban, "DE89 3704 0044 0532 0130 00", true),
            (.iban, "DE89370400440532013001", false),
            (.iban, "gb82west12345698765432", true), (.iban, "XX00", false), (.iban, "", false),
            (.ssn, "536-22-1845", true), (.ssn, "000-22-1845", false), (.ssn, "53622184", false),
            (.nhs, "943 476 5919", true), (.nhs, "943 476 5918", false), (.nhs, "0000000000", false),
            (.entropy(bits: 2, group: 0), "abcd", true), (.entropy(bits: 2, group: 0), "aaab", false),
            (.entropy(bits: 0.1, group: 0), "", false),
        ]
        for (validator, text, accepted) in rows {
            #expect(validator.accepts(Array(text.utf8)) == accepted, "\(validator) \(text)")
        }
    }

    @Test func globs() {
        for (pattern, text, matches) in [
            ("*", "", true), ("a*", "abc", true), ("*c", "abc", true), ("a*c", "abdc", true), ("a*c", "abcd", false),
            ("?", "é", true), ("a?c", "ac", false), ("", "", true), ("", "a", false), ("*a*b*", "xxaxxb", true),
            ("[a]", "[a]", true), ("A", "a", false), ("**", "x", true),
        ] { #expect(Glob(pattern).matches(text) == matches, "\(pattern) \(text)") }
    }
}
