import Foundation
import GuardCore
import GuardJSON
import GuardMatching
import GuardTesting
import GuardYAML
import Testing

@testable import GuardRules

@Suite struct JSONSchemaTests {
    static func schema(_ text: String) throws -> JSONSchema? {
        let problems = YAMLProblems()
        let schema = JSONSchema.compile(
            YAMLReader(try JSONTree.read(Array(text.utf8)), file: "s.json", problems))
        try problems.throwIfErrors()
        return schema
    }

    /// `keyword at pointer` of each violation.
    static func violations(_ schema: String, _ value: String) throws -> [String] {
        var scratch = MatchScratch()
        let result = try #require(try Self.schema(schema)).violations(
            of: try JSONDocument(Array(value.utf8)).root, scratch: &scratch)
        #expect(!result.isIncomplete)
        return result.violations.map { "\($0.keyword) at \($0.pointer)" }
    }

    /// Values that hold, and values that do not.
    @Test func keywords() throws {
        let cases = try JSONDocument(Array(Data(contentsOf: TestData.fixtures.appending(path: "rules/json-schema.json")))).root
        #expect(cases.count > 30)
        for test in cases.elements {
            let schema = String(decoding: try #require(test["schema"]).rawBytes, as: UTF8.self)
            for (key, holds) in [("holds", true), ("breaks", false)] {
                for value in try #require(test[key]).elements {
                    let text = String(decoding: value.rawBytes, as: UTF8.self)
                    #expect(try Self.violations(schema, text).isEmpty == holds, "\(schema) \(text)")
                }
            }
        }
    }

    @Test func violationsHaveTheirPlacesAndNoText() throws {
        let schema = """
            {"type": "object", "required": ["items"], "additionalProperties": false, "properties": {"items": {"type": "array",
             "items": {"type": "object", "required": ["price"], "properties": {"price": {"type": "number", "minimum": 0}},
             "additionalProperties": {"type": "string"}}}}}
            """
        #expect(
            try Self.violations(schema, #"{"items": [{"price": "1"}, {"price": -1, "my secret": 2}, {}], "key of text": 1}"#)
                == ["type at /items/0/price", "minimum at /items/1/price", "type at /items/1/*", "required at /items/2", "additionalProperties at /*"])
        let bundle = try JSONConditionTests.bundle(
            "- {id: r, on: input, action: flag, match: {json: {schema: s.json}}}", ["s.json": schema])
        var scratch = EvaluationScratch()
        let text = #"{"items": [{"price": -1}]}"#
        let found = bundle.evaluate(Array(text.utf8).span, rules: [0], scratch: &scratch)
        #expect(found.matches.map(\.explanation) == ["minimum at /items/0/price"])
        #expect(found.matches.map { String(decoding: Array(text.utf8)[$0.range], as: UTF8.self) } == ["-1"])
        let verdict = bundle.verdict(found, mode: .enforce, phase: .input, segment: 0, role: .user, kind: "user")
        #expect(verdict.findings.first?.explanation == "minimum at /items/0/price")
    }

    @Test(arguments: [
        (#"{"typ": "string"}"#, "s.json:1:2: error: the keyword 'typ' is not understood here"),
        (#"{"unevaluatedProperties": false}"#, "the keyword 'unevaluatedProperties' is not understood here"),
        (#"{"type": "int"}"#, "'int' is none of"), (#"{"items": [true]}"#, "expected a mapping, found a list"),
        (#"{"pattern": "("}"#, "broken pattern"), (#"{"patternProperties": {"(": true}}"#, "broken pattern"),
        (##"{"$ref": "other.json"}"##, "'$ref' names a place in this schema"), (##"{"$ref": "#/$defs/x"}"##, "'$ref' names no schema"),
        (##"{"$ref": "#"}"##, "leads back to itself"), (##"{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#"}]}}}"##, "leads back to itself"),
        (##"{"$schema": "http://json-schema.org/draft-07/schema#"}"##, "only draft 2020-12"), (#"{"minLength": -1}"#, "out of range"),
        (#"{"enum": []}"#, "an empty list allows nothing"), (#"{"then": true}"#, "'then' needs an 'if'"),
        (#"{"multipleOf": 0}"#, "a number above 0"), (#"{"required": "a"}"#, "expected a list"), ("7", "expected a mapping"),
    ] as [(String, String)]) func whatDoesNotLoad(_ schema: String, _ wanted: String) {
        do {
            _ = try Self.schema(schema)
            Issue.record("\(schema) loads")
        } catch {
            #expect("\(error)".contains(wanted), "\(error)")
        }
    }

    @Test func depthAndStepsAreBounded() throws {
        let schema = try #require(
            try Self.schema(##"{"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}, false], "maxItems": 1}"##))
        var scratch = MatchScratch()
        let deep = String(repeating: "[", count: 100) + "0,0" + String(repeating: "]", count: 100)
        let result = schema.violations(of: try JSONDocument(Array(deep.utf8)).root, stepsMax: 10_000, scratch: &scratch)
        #expect(result.isIncomplete)
        var nested = "true"
        for _ in 0..<70 { nested = #"{"not": \#(nested)}"# }
        #expect(throws: (any Error).self) { _ = try Self.schema(nested) }
    }

    @Test func validatorIsPartOfTheMatch() throws {
        let schema = #"{"type": "object", "required": ["name"]}"#
        let rule = "{pcre: '\\{[^!]*\\}', validate: json-schema(call.json)}"
        let cases: [(String, [String])] = [
            (#"see {"a": 1} and {"name": "x"} end}"#, [#"{"name": "x"}"#]), (#"{{"name": {"b": 1}}}"#, [#"{"name": {"b": 1}}"#]),
            (#"{"a": 1}"#, []), (#"{"name": 1, "name": 2}"#, []),
        ]
        for (text, wanted) in cases { #expect(try JSONConditionTests.found(rule, text, rest: "view: raw,", ["call.json": schema]) == wanted) }
        let problems = JSONConditionTests.problems("{pcre: a, validate: json-schema}")
        #expect(problems.contains { $0.contains("write 'json-schema(FILE)'") })
        #expect(JSONConditionTests.problems("{pcre: a, validate: json-schema(x.json)}").contains { $0.contains("cannot read 'x.json'") })
    }

    @Test func validatorThatReadsTooMuchIsAFailure() throws {
        let bundle = try JSONConditionTests.bundle(
            "- {id: r, on: input, action: flag, view: raw, match: {pcre: '\\{[\\s\\S]*\\}', validate: json-schema(s.json)}}",
            ["s.json": "false"])
        var scratch = EvaluationScratch()
        let text = Array(("{\"a\":\"" + String(repeating: "x}", count: 20_000)).utf8)
        let found = bundle.evaluate(text.span, rules: [0], scratch: &scratch)
        #expect(found.failures == [ScanFailure(rule: 0, reason: .matchLimit)])
    }

    @Test func mutatedSchemasAndValuesEndInAnError() throws {
        let seeds = [
            ##"{"type": "object", "required": ["a"], "properties": {"a": {"pattern": "^x+$", "maxLength": 3}, "b": {"$ref": "#/$defs/d"}}, "additionalProperties": false, "$defs": {"d": {"anyOf": [{"items": {"$ref": "#"}}, {"enum": [1, null]}]}}}"##,
            #"{"if": {"minimum": 1}, "then": {"multipleOf": 0.5}, "else": {"not": {"const": -1}}, "prefixItems": [true], "contains": {"type": "null"}, "patternProperties": {"a|b": {"uniqueItems": true}}}"#,
        ]
        var random = SeededRandom(seed: 11)
        var scratch = MatchScratch()
        var loaded = 0
        for round in 0..<3000 {
            var bytes = Array(seeds[round % 2].utf8)
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = Array("[]{}\",:#$/0-e".utf8).randomElement(using: &random) ?? 0x20
                case 1: bytes.remove(at: index)
                default: bytes.insert(contentsOf: bytes[index...].prefix(9), at: index)
                }
            }
            guard let node = try? JSONTree.read(bytes) else { continue }
            let problems = YAMLProblems()
            guard let schema = JSONSchema.compile(YAMLReader(node, file: "s", problems)) else {
                #expect(problems.hasErrors)
                continue
            }
            loaded += 1
            for value in [#"{"a": "xx", "b": [[1]]}"#, "[null, [], -1]", "0.75"] {
                _ = schema.violations(of: try JSONDocument(Array(value.utf8)).root, scratch: &scratch)
            }
        }
        #expect(loaded > 400)
    }
}
