import GuardCore
import GuardMatching
import Testing

@testable import GuardRules

@Suite struct JSONConditionTests {
    static func bundle(_ rules: String, _ resources: [String: String] = [:]) throws -> RuleBundle {
        try RuleBundle(
            files: [.init(path: "t.yaml", content: Array("ruleset: t\nrules:\n\(rules)".utf8))],
            resources: resources.map { .init(path: $0.key, content: Array($0.value.utf8)) })
    }

    static func problems(_ match: String, _ resources: [String: String] = [:], rest: String = "") -> [String] {
        do {
            _ = try bundle("- {id: r, on: input, action: flag, \(rest) match: \(match)}", resources)
            return []
        } catch {
            return (error as? Diagnostics)?.list.map(\.description) ?? ["\(error)"]
        }
    }

    static func found(_ match: String, _ text: String, rest: String = "", _ resources: [String: String] = [:]) throws
        -> [String]
    {
        let bundle = try bundle("- {id: r, on: input, action: flag, \(rest) match: \(match)}", resources)
        return EvaluationTests.matches(bundle, text).map { String($0.dropFirst(2)) }
    }

    @Test(arguments: [
        ("{}", true), (" [1, 2.5e3, \"x\"]\n", true), ("\"a\"", true), ("7", true), ("null", true), ("nul", false),
        ("{'a': 1}", false), ("{\"a\": 1,}", false), ("```json\n{}\n```", false), ("{} {}", false),
        ("{\"a\": 1, \"\\u0061\": 2}", false), ("\"\\ud800\"", false), ("NaN", false), ("Sure: {}", false),
    ]) func validOrNot(_ text: String, _ isValid: Bool) throws {
        #expect(try Self.found("{json: {valid: false}}", text) == (isValid ? [] : [text]))
        #expect(try Self.found("{json: {valid: true}}", text) == (isValid ? [text] : []))
    }

    @Test(arguments: [
        ("{at: /a/b}", #"{"a": {"b": [1]}}"#, ["[1]"]), ("{at: /a/b}", #"{"a": {"c": 1}}"#, []),
        ("{at: /items/*/id}", #"{"items": [{"id": 1}, {"x": 2}, {"id": "y"}]}"#, ["1", #""y""#]),
        ("{at: /items/1}", #"{"items": [5, 6]}"#, ["6"]), ("{at: /0}", #"{"0": true}"#, ["true"]),
        ("{at: '/**/id'}", #"{"id": 1, "a": [{"id": {"id": 2}}]}"#, ["1", #"{"id": 2}"#, "2"]),
        ("{at: ['/a', '/b']}", #"{"b": 1, "a": 2}"#, ["1", "2"]),
        ("{at: '/a~1b/~0/~2'}", #"{"a/b": {"~": {"*": 3}}}"#, ["3"]), ("{at: ''}", "[]", ["[]"]),
        ("{at: /é}", #"{"\u00e9": 1}"#, ["1"]),
        ("{at: /n, type: integer}", #"{"n": 1.0}"#, ["1.0"]), ("{at: /n, type: integer}", #"{"n": 1.5}"#, []),
        ("{at: '/*', notType: [string, 'null']}", #"{"a": "x", "b": null, "c": 1, "d": []}"#, ["1", "[]"]),
        ("{notType: object}", "[]", ["[]"]), ("{type: boolean}", "true", ["true"]),
        ("{missing: [id, name]}", #"{"id": 1}"#, [#"{"id": 1}"#]), ("{missing: id}", #"{"id": 1}"#, []),
        ("{at: '/*', missing: id}", #"[{"id": 1}, {"x": 2}, 3]"#, [#"{"x": 2}"#]),
        ("{keysBesides: [id]}", #"{"id": 1, "x": {"y": 2}}"#, [#"{"y": 2}"#]),
        ("{keysBesides: []}", #"{"id": 1}"#, ["1"]), ("{at: /a}", "no json", []), ("{missing: [a]}", "{", []),
    ]) func valuesAtPaths(_ condition: String, _ text: String, _ wanted: [String]) throws {
        #expect(try Self.found("{json: \(condition)}", text) == wanted)
    }

    @Test func insideOfStringsWithExactSpans() throws {
        let json = #"{"to": "bob\u0040corp.com \u00e9", "cc": ["x", "a@b.co\nEND"], "a@b.co": 1}"#
        let rule = "{json: {at: '/**', match: {pcre: '\\w+@\\w+\\.\\w+'}}}"
        #expect(try Self.found(rule, json, rest: "view: raw,") == [#"bob\u0040corp.com"#, "a@b.co"])
        #expect(try Self.found("{json: {match: {pcre: '\\w+@\\w+\\.\\w+'}}}", json).count == 2)
        #expect(try Self.found("{json: {at: /to, match: {words: [é]}}}", json) == [#"\u00e9"#])
        // Half of a surrogate pair, half of an escape cannot be pointed at.
        #expect(try Self.found("{json: {match: {pcre: '😀+'}}}", #"["\ud83d\ude00\uD83D\uDE00!"]"#) == [#"\ud83d\ude00\uD83D\uDE00"#])
        // Views read the string, not its escapes; nodes are about one string.
        #expect(try Self.found("{json: {match: {words: [secret]}}}", #"["ＳＥＣ\u0052ET"]"#) == [#"ＳＥＣ\u0052ET"#])
        #expect(
            try Self.found("{json: {match: {words: [secret word]}}}", #"["c2VjcmV0IHdvcmQgaGVyZQ=="]"#, rest: "view: decoded,")
                == ["c2VjcmV0IHdvcmQgaGVyZQ=="])
        #expect(try Self.found("{json: {match: {all: [{words: [a]}, {words: [b]}]}}}", #"["a", "b", "b a"]"#) == ["b", "a"])
        #expect(try Self.found("{json: {at: '/*', match: {not: {words: [ok]}}}}", #"["ok", "no", 1]"#) == ["no"])
        // `$` is the string's end.
        #expect(try Self.found("{json: {match: {pcre: 'x$'}}}", #"["x", "xy"]"#) == ["x"])
    }

    @Test func combines() throws {
        let rule = "{all: [{json: {at: /tool, match: {pcre: '^delete$'}}}, {not: {json: {at: /confirmed, type: boolean}}}]}"
        #expect(try Self.found(rule, #"{"tool": "delete"}"#) == ["delete"])
        #expect(try Self.found(rule, #"{"tool": "delete", "confirmed": true}"#) == [])
        #expect(try Self.found("{any: [{json: {valid: false}}, {pcre: 'x+'}]}", "xx") == ["xx", "xx"].prefix(1).map { $0 })
        #expect(try Self.found("{not: {json: {valid: true}}}", "x") == ["x"])
    }

    @Test func masksStayJSON() throws {
        func masked(_ rule: String, _ text: String) throws -> String {
            EvaluationTests.masked(try Self.bundle("- {id: r, on: input, action: mask, \(rule)}"), text).0
        }
        #expect(
            try masked(#"mask: 'a "{last2}"', match: {json: {match: {pcre: '\d+'}}}"#, #"{"n": "x\t1234", "m": 99}"#)
                == #"{"n": "x\ta \"34\"", "m": 99}"#)
        #expect(try masked("mask: '<\"{length}>', match: {json: {at: /m}}", #"{"m": [99]}"#) == #"{"m": "<\"4>"}"#)
        #expect(
            try masked("match: {json: {schema: {properties: {n: {type: string}}}}}", #"{"n": {"deep": 1}}"#)
                == #"{"n": "[REDACTED]"}"#)
        #expect(try masked("mask: gone, match: {json: {valid: false}}", "{oops") == "gone")
        // `{1}` is the string's raw text, escaped again.
        #expect(
            try masked(#"mask: '{1}!', match: {json: {match: {pcre: '(b\w+) x'}}}"#, #"["BOB x \u0022"]"#)
                == #"["BOB! \u0022"]"#)
    }

    @Test func whatNobodyReadFails() throws {
        let deep = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
        let bundle = try Self.bundle("- {id: r, on: input, action: flag, match: {json: {at: '/**', match: {words: [x]}}}}")
        var scratch = EvaluationScratch()
        let found = bundle.evaluate(Array(deep.utf8).span, rules: [0], scratch: &scratch)
        #expect(found.failures == [ScanFailure(rule: 0, reason: .stepLimit)])
    }

    @Test func whatDoesNotLoad() {
        for (match, wanted) in [
            ("{json: {}}", "names no condition; one of valid, schema, at, match"), ("{json: yes}", "expected a mapping"),
            ("{json: {valid: true, at: /a}}", "'at' does not belong beside 'valid'"),
            ("{json: {valid: true, missing: [a]}}", "'valid' is the condition here already"),
            ("{json: {at: a/b, type: string}}", "a path is '' (the whole text) or begins with '/'"),
            ("{json: {at: /a~3}}", "'~' is followed by 0 (~), 1 (/) or 2 (*)"),
            ("{json: {at: /a*b}}", "'*' stands alone in a step"), ("{json: {type: text}}", "'text' is none of object"),
            ("{json: {match: {json: {valid: true}}}}", "'json' is about a whole text"),
            ("{json: {match: {tokens: {max: 1}}}}", "'tokens' is about a whole text"),
            ("{json: {schem: {}}}", "unknown key 'schem'; did you mean 'schema'?"),
            ("{json: {missing: []}}", "an empty list says nothing"),
            ("{json: {schema: nope.json}}", "cannot read 'nope.json': there is no such file"),
            ("{json: {schema: ../x.json}}", "expected a path in the policy folder"),
            ("{json: {valid: true}, context: {near: [a], within: 3}}", "other conditions have no place of their own"),
            ("{pcre: a, context: {near: {json: {valid: true}}, within: 3}}", "'json' is about a whole text"),
        ] {
            let found = Self.problems(match)
            #expect(found.contains { $0.contains(wanted) }, "\(match): \(found)")
        }
        #expect(Self.problems("{json: {match: {pcre: '(a'}}}").first?.hasPrefix("t.yaml:3:") == true)
        let places = Self.problems("{json: {schema: s.json}}", ["s.json": "{\n  \"type\": \"objekt\"\n}"])
        #expect(places.first?.hasPrefix("s.json:2:11: error: 'objekt' is none of") == true, "\(places)")
        let broken = Self.problems("{json: {schema: s.json}}", ["s.json": "{\n  \"type\": }"])
        #expect(broken == ["s.json:2:11: error: unexpected byte"])
        let placeholder = Self.problems("{json: {at: /a}}", rest: "mask: {placeholder: '[A_{n}]'},")
        #expect(placeholder.contains { $0.contains("a placeholder stands for plain text") })
    }
}
