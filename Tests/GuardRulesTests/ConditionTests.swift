import GuardCore
import GuardMatching
import Testing

@testable import GuardRules

@Suite struct ConditionTests {
    private static func problems(_ rules: String) -> [String] {
        do {
            _ = try EvaluationTests.bundle(rules)
            return []
        } catch {
            return (error as? Diagnostics)?.list.map(\.message) ?? ["\(error)"]
        }
    }

    private func matches(_ rule: String, _ text: String) throws -> [String] {
        let bundle = try EvaluationTests.bundle("- {id: r, on: input, action: flag, \(rule)}")
        return EvaluationTests.matches(bundle, text).map { String($0.dropFirst(2)) }
    }

    @Test(arguments: [
        ("card 4111", ["4111"]), ("4111 is my card", []), ("4111 a card", ["4111"]), ("4111 is a cards", []),
        ("cards 4111", []), ("card ééé 4111", ["4111"]), ("card éééé 4111", []),
        ("my credit card is 4111 or 5222", ["4111"]),
        ("4111 card 5222 and 6333", ["4111", "5222"]), ("ＣＡＲＤ 4111", ["4111"]), ("4111", []),
    ]) func contextCountsScalarsOfTheView(_ text: String, _ found: [String]) throws {
        // "card" and up to five characters between.
        #expect(try matches("match: {pcre: '\\d{4}', context: {near: [card], within: 9}}", text) == found)
        #expect(try matches("match: {near: {match: {pcre: '\\d{4}'}, to: {words: [card]}, within: 9}}", text) == found)
    }

    @Test func contextsOfLongTextsAreFoundEverywhere() throws {
        let gap = String(repeating: "x ", count: 300)
        let rule = "view: raw, match: {pcre: '\\d+', context: {near: {pcre: '(?<=#)card(?=!)'}, within: 20}}"
        for (text, count) in [
            (gap + "12 #card!" + gap, 1), (gap + "#card! 12" + gap, 1), (gap + "12" + gap + "#card!", 0),
            (gap + "card! 12 #card" + gap, 0), ("12 " + String(repeating: "y", count: 12) + " #card!", 1),
            ("12 " + String(repeating: "y", count: 16) + "#card!", 0),
        ] { #expect(try matches(rule, text).count == count, "\(text)") }
    }

    @Test func contextAlternativesMayBeShorter() throws {
        // The longer phrase does not fit, the shorter one does.
        let rule = "match: {pcre: '\\d+', context: {near: [card, card number], within: 6}}"
        #expect(try matches(rule, "12 card number") == ["12"])
    }

    @Test func contextComposes() throws {
        let luhn =
            "view: raw, match: {pcre: '\\b(?:\\d[ -]?){12,18}\\d\\b', validate: luhn, context: {near: [card], within: 10}}"
        #expect(try matches(luhn, "card 4111 1111 1111 1111 12/27") == ["4111 1111 1111 1111"])
        #expect(try matches(luhn, "4111 1111 1111 1111 12/27") == [])
        let nested =
            "match: {near: {match: {near: {match: {words: [b]}, to: {words: [a]}, within: 3}}, to: {words: [c]}, within: 3}}"
        #expect(try matches(nested, "a b c") == ["b"])
        #expect(try matches(nested, "a b") == [])
        let bundle = try EvaluationTests.bundle(
            "- {id: m, on: input, action: mask, mask: '<{1}>', view: raw, match: {pcre: '(\\w+)@x', context: {near: {pcre: '(m)ail'}, within: 9}}}"
        )
        #expect(EvaluationTests.masked(bundle, "mail me@x, you").0 == "mail <me>, you")
    }

    @Test func allAndNot() throws {
        let all = "match: {all: [{words: [left]}, {any: [{pcre: 'ri+ght'}, {pcre: 'up'}]}]}"
        #expect(try matches(all, "left or right, left") == ["left", "right", "left"])
        #expect(try matches(all, "left or left") == [])
        let not = "match: {all: [{words: [bomb]}, {not: {words: [movie, film]}}]}"
        #expect(try matches(not, "the bomb") == ["bomb"])
        #expect(try matches(not, "the bomb movie") == [])
        #expect(try matches("match: {not: {words: [please]}}", "do it") == ["do it"])
        #expect(try matches("match: {not: {words: [please]}}", "please") == [])
        #expect(try matches("match: {any: [{not: {pcre: a}}, {pcre: b}]}", "bc") == ["b"])
        #expect(try matches("view: raw, match: {not: {not: {pcre: b}}}", "abc") == ["abc"])
    }

    @Test func allowancesWorkInsideTheirSpan() throws {
        let bundle = try EvaluationTests.bundle(
            """
            - {id: num, on: input, action: mask, mask: '#', match: {pcre: '\\d+'}}
            - {id: word, on: input, action: block, match: {words: [stop]}}
            - {id: ok, on: input, action: allow, suppresses: [num], reason: versions, match: {pcre: 'v\\d+'}}
            - {id: try, on: input, action: allow, suppresses: ['w*'], reason: r, mode: monitor, match: {pcre: 'stop'}}
            """)
        let (text, verdict) = EvaluationTests.masked(bundle, "v12 34 v5.6")
        #expect(text == "v12 # v5.#")
        #expect(verdict.findings.map(\.rule.name) == ["ok", "num", "ok", "num"])
        #expect(verdict.findings.first?.action == .allow && verdict.findings.first?.wouldAction == .allow)
        // Part of a match outside of the span: the match stands. An allowance in monitor mode allows nothing.
        #expect(EvaluationTests.masked(bundle, "1v23").0 == "#v23")
        #expect(EvaluationTests.masked(bundle, "stop").1.action == .block)
        #expect(EvaluationTests.masked(bundle, "v1").1.action == .allow)
    }

    @Test func allowancesExpire() throws {
        let bundle = try EvaluationTests.bundle(
            """
            - {id: a, on: input, action: flag, match: {pcre: x}}
            - {id: ok, on: input, action: allow, suppresses: a, reason: r, expires: 2027-06-30, match: {pcre: x}}
            """)
        func rules(_ now: Int) -> Int {
            bundle.select(phase: .input, model: nil, tenant: nil, route: nil, now: now).rules(for: .user).count
        }
        // 2027-07-01T00:00:00Z
        #expect(rules(1_814_399_999) == 2)
        #expect(rules(1_814_400_000) == 1)
        #expect(RuleCompiler.endOfDay("1970-01-01") == 86_400)
        #expect(RuleCompiler.endOfDay("2000-02-29") == 951_868_800)
        #expect(RuleCompiler.endOfDay("2027-02-29") == nil)
        #expect(RuleCompiler.endOfDay("2027-6-30") == nil)
    }

    @Test func whatDoesNotLoad() {
        func first(_ rest: String) -> String { Self.problems("- {id: r, \(rest)}").first ?? "" }
        #expect(
            first("on: output, action: mask, match: {all: [{pcre: a}]}").hasPrefix(
                "'all' and 'not' on output needs the whole answer"))
        // Without `stream` it reads the folded text of answers.
        #expect(first("on: output, action: block, view: decoded, match: {pcre: a}") == "")
        #expect(first("on: output, action: flag, match: {not: {pcre: a}}") == "")
        #expect(first("on: output, action: block, stream: cut, match: {not: {pcre: a}}") == "")
        #expect(first("on: input, action: allow, match: {pcre: a}").hasPrefix("missing key 'suppresses'"))
        #expect(first("on: input, action: allow, suppresses: [x], match: {pcre: a}").hasPrefix("missing key 'reason'"))
        #expect(
            first("on: input, action: allow, suppresses: [x], reason: r, match: {pcre: a}").hasPrefix(
                "'suppresses' names 'x'"))
        #expect(first("on: input, action: flag, reason: r, match: {pcre: a}") == "'reason' belongs to 'action: allow'")
        #expect(
            first("on: input, action: allow, suppresses: [x], reason: r, expires: soon, match: {pcre: a}").hasPrefix(
                "expected the last day"))
        #expect(
            first("on: input, action: flag, match: {pcre: a, context: {near: [b]}}")
                == "missing key 'within' in 'context'")
        #expect(
            first("on: input, action: flag, match: {pcre: a, context: {near: {not: {pcre: b}}, within: 3}}").hasPrefix(
                "'not' cannot be what stands near"))
        #expect(
            first("on: input, action: flag, match: {all: [{pcre: a}], context: {near: [b], within: 3}}").hasPrefix(
                "'context' belongs beside"))
        #expect(
            first("on: input, action: flag, match: {near: {match: {pcre: a}, within: 3}}")
                == "missing key 'to' in 'near'")
        #expect(
            first("on: input, action: flag, match: {pcre: a, context: {near: [b], within: 0}}").contains("out of range")
        )
        #expect(first("on: input, action: flag, match: {all: []}") == "an empty list always matches")
        #expect(
            first("on: output, action: allow, suppresses: [x], reason: r, match: {all: [{pcre: a}]}").contains(
                "cannot allow on output"))
    }

    @Test func tokenValidators() {
        let rows: [(Validator, String, Bool)] = [
            // The genesis block's address, one with leading ones, and one digit changed.
            (.base58check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", true),
            (.base58check, "1111111111111111111114oLvT2", true),
            (.base58check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", false), (.base58check, "", false),
            (.base58check, "0A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", false),
            (.jwt, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", true), (.jwt, "eyJ0eXAiOiJKV1QifQ.e30.c2ln", false),
            (.jwt, "eyJhbGciOiJub25lIn0.e30.", true), (.jwt, "eyJhbGciOiJIUzI1NiJ9.e30", false), (.jwt, "a.b.c", false),
        ]
        for (validator, text, accepted) in rows {
            #expect(validator.accepts(Array(text.utf8)) == accepted, "\(validator) \(text)")
        }
    }
}
