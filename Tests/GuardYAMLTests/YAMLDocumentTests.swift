import GuardCore
import GuardTesting
import Testing

@testable import GuardYAML

@Suite struct YAMLDocumentTests {
    private func parse(_ text: String, limits: YAMLLimits = YAMLLimits()) throws -> YAMLNode {
        try YAMLDocument.parse(Array(text.utf8), file: "f.yaml", limits: limits).root
    }

    private func problems(_ text: String, limits: YAMLLimits = YAMLLimits()) -> [String] {
        do {
            _ = try parse(text, limits: limits)
            return []
        } catch {
            return (error as? Diagnostics)?.list.map(\.description) ?? ["\(error)"]
        }
    }

    @Test func coreSchemaScalars() throws {
        let expected: [(String, YAMLScalar.Value)] = [
            ("no", .string("no")), ("on", .string("on")), ("yes", .string("yes")), ("Off", .string("Off")),
            ("true", .bool(true)), ("False", .bool(false)), ("~", .null), ("null", .null), ("''", .string("")),
            ("0777", .int(777)), ("0o17", .int(15)), ("0x1F", .int(31)), ("-12", .int(-12)), ("+5", .int(5)),
            ("1_000", .string("1_000")), ("12:30", .string("12:30")), ("1.5", .double(1.5)), (".5", .double(0.5)),
            ("1e3", .double(1000)), ("5.", .double(5)), (".inf", .double(.infinity)), ("1.2.3", .string("1.2.3")),
            ("'5'", .string("5")), ("\"true\"", .string("true")), ("!!str 5", .string("5")), ("!!int '5'", .int(5)),
            ("2027-06-30", .string("2027-06-30")), ("0x", .string("0x")), (".", .string(".")),
            ("99999999999999999999", .double(1e20)), ("1e", .string("1e")),
        ]
        for (source, value) in expected {
            let node = try parse("k: \(source)")
            #expect(node["k"]?.scalar?.value == value, "\(source)")
        }
    }

    @Test func placesCountScalars() throws {
        let node = try parse("a: 1\nключ: {b: [x, 'йц y']}\n")
        let list = try #require(node["ключ"]?["b"])
        #expect((list.line, list.column) == (2, 11))
        guard case .sequence(let items) = list.kind else {
            Issue.record("no list")
            return
        }
        #expect((items[1].line, items[1].column) == (2, 15))
        #expect(items[1].scalar?.verbatimColumn == 16)
        #expect(try parse("a: 'it''s'")["a"]?.scalar?.verbatimColumn == nil)
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: error: duplicate key 'a'; first given on line 1"),
        ("a: 1\n'a': 3\n", "f.yaml:2:1: error: duplicate key 'a'; first given on line 1"),
        ("? [a]\n: 1", "f.yaml:1:3: error: a key must be a scalar, not a list or a mapping"),
        ("a: *x", "f.yaml:1:4: error: no anchor '&x' before this"),
        ("a: &x [*x]", "f.yaml:1:8: error: the alias '*x' contains itself"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: error: a second document begins here; one file holds one document"),
        ("a: !python/object 1", "f.yaml:1:4: error: unknown tag '!python/object'"),
        (
            "b: &b {x: 1}\na:\n  <<: *b",
            "f.yaml:3:3: error: merge keys ('<<') are not part of YAML 1.2; write the keys out"
        ),
    ])
    func refuses(_ text: String, _ message: String) { #expect(problems(text) == [message]) }

    @Test func syntaxErrorsHaveAPlace() {
        #expect(problems("a: [1, 2\nb: 3").first?.hasPrefix("f.yaml:2:") == true)
        #expect(problems("a: 1\nb: \u{7}x").first?.hasPrefix("f.yaml:2:4: error:") == true)
        #expect(problems("a: \"\\q\"").count == 1)
        #expect(throws: Diagnostics.self) { try YAMLDocument.parse([0x61, 0x3A, 0x20, 0xFF], file: "f") }
    }

    @Test func aliasesAreCopiesWithinBounds() throws {
        let node = try parse("a: &x {k: [1, 2]}\nb: *x\n")
        #expect(node["b"]?["k"]?.typeDescription == "a list")
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            bomb +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
                + "]\n"
        }
        #expect(problems(bomb).first?.contains("more than 1000000 nodes") == true)
        var chain = "a0: &a0 [x]\n"
        for level in 1...70 { chain += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        #expect(problems(chain).first?.contains("nested deeper than 64 levels") == true)
    }

    @Test func limits() {
        #expect(problems(String(repeating: "[", count: 65)).first?.contains("nested deeper than 64") == true)
        #expect(problems(String(repeating: "[", count: 100_000)).first?.contains("nested deeper than 64") == true)
        var limits = YAMLLimits()
        limits.bytes = 4
        #expect(problems("a: 12", limits: limits).first?.contains("at most 4") == true)
        limits = YAMLLimits()
        limits.nodes = 3
        #expect(problems("[1, 2, 3, 4]", limits: limits).first?.contains("more than 3 nodes") == true)
        limits = YAMLLimits()
        limits.aliases = 1
        #expect(problems("[&a 1, *a, *a]", limits: limits).first?.contains("more than 1 aliases") == true)
    }

    @Test func emptyFileIsNull() throws {
        #expect(try parse("").isNull)
        #expect(try parse("# only a comment\n").isNull)
    }

    @Test func fuzzSmoke() {
        var random = SeededRandom(seed: 7)
        let seeds = [
            "a: &x {k: [1, 2], 'q': \"e\\u00e9\"}\nb: *x\nc: |\n  text\n  more\nd: >-\n  folded\n",
            "- a\n- [b, {c: d}]\n- ? complex\n  : value\n- !!str 5\n- ~\n", "%YAML 1.2\n---\nключ: значение # c\n...\n",
        ].map { Array($0.utf8) }
        for round in 0..<6000 {
            var bytes = seeds[round % seeds.count]
            if round % 5 == 0 {
                bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in .random(in: 0...255, using: &random) }
            }
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                case 2: bytes.insert(Array("&*[]{}:-!|>\"'\n #%@`".utf8).randomElement(using: &random) ?? 0, at: index)
                default: bytes.insert(contentsOf: bytes[..<index].suffix(12), at: index)
                }
            }
            do {
                let document = try YAMLDocument.parse(bytes, file: "fuzz")
                #expect(document.root.line >= 1)
            } catch {
                #expect(!error.list.isEmpty)
            }
        }
    }
}
