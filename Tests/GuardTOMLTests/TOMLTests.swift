import GuardCore
import GuardTesting
import Testing

@testable import GuardTOML

@Suite struct TOMLTests {
    /// The document in one line: enough to compare.
    static func shown(_ text: String) -> String {
        do throws(Diagnostic) {
            return shown(try TOMLDocument.parse(Array(text.utf8), file: "t.toml"))
        } catch {
            return error.description
        }
    }

    static func shown(_ table: TOMLTable) -> String {
        "{" + table.entries.map { "\($0.key)=\(shown($0.value))" }.joined(separator: " ") + "}"
    }

    static func shown(_ value: TOMLValue) -> String {
        switch value.kind {
        case .string(let text): text.debugDescription
        case .integer(let value): "\(value)"
        case .float(let value): "\(value)"
        case .boolean(let value): "\(value)"
        case .moment(let text): "<\(text)>"
        case .array(let items): "[" + items.map(shown).joined(separator: " ") + "]"
        case .table(let table): shown(table)
        }
    }

    @Test(arguments: [
        ("", "{}"),
        ("# only a comment\n", "{}"),
        ("a = 1\nb = 'x'\r\n", #"{a=1 b="x"}"#),
        ("a.b.c = 1\na.b.d = 2", "{a={b={c=1 d=2}}}"),
        ("[a]\nx=1\n[a.b]\ny=2\n[c]", "{a={x=1 b={y=2}} c={}}"),
        ("[a.b]\nx=1\n[a]\ny=2", "{a={b={x=1} y=2}}"),
        ("[[r]]\nid='1'\n[[r.w]]\nn=1\n[[r.w]]\nn=2\n[[r]]\nid='2'", #"{r=[{id="1" w=[{n=1} {n=2}]} {id="2"}]}"#),
        ("a = [ 1, 2, # two\n 3,\n]", "{a=[1 2 3]}"),
        ("a = {x = 1, y.z = 'q'}", #"{a={x=1 y={z="q"}}}"#),
        (#"a = "t\tq\"u\u00e9\U0001F600""#, "{a=\"t\\tq\\\"ué😀\"}"),
        ("a = '''\nno \\n escape'''", #"{a="no \\n escape"}"#),
        ("a = \"\"\"\none \\\n   two\"\"\"", #"{a="one two"}"#),
        ("a = '''it''s'''", #"{a="it\'\'s"}"#),
        ("a = \"\"\"q\"\"\"\"", "{a=\"q\\\"\"}"),
        ("a = 0x_f", "t.toml:1:5: error: '0x_f' is no value"),
        ("a = [1_000, -17, +3, 0xFF, 0o17, 0b11, 0.5, 6e2, -inf]", "{a=[1000 -17 3 255 15 3 0.5 600.0 -inf]}"),
        ("a = 1979-05-27T07:32:00Z\nb = 07:32:00\nc = 1979-05-27 07:32:00", "{a=<1979-05-27T07:32:00Z> b=<07:32:00> c=<1979-05-27 07:32:00>}"),
        ("\"a b\".'c' = true", "{a b={c=true}}"),
    ]) func reads(_ text: String, _ expected: String) {
        #expect(Self.shown(text).replacing("\\'", with: "'") == expected.replacing("\\'", with: "'"))
    }

    /// What the specification forbids.
    @Test(arguments: [
        ("a = 1\na = 2", "t.toml:2:1: error: 'a' is defined already"),
        ("[a]\n[a]", "t.toml:2:2: error: 'a' is defined already"),
        ("[a]\nb=1\n[a.b]", "t.toml:3:4: error: 'b' is defined already"),
        ("a = {x=1}\n[a.y]", "t.toml:2:1: error: 'a' is complete; nothing can be added to it"),
        ("a = [1]\n[[a]]", "t.toml:2:3: error: 'a' is defined already"),
        ("a.b = 1\n[a]", "t.toml:2:2: error: 'a' is defined already"),
        ("[a]\nb.c=1\n[a.b.d]", "t.toml:3:1: error: 'b' was made by a dotted key; it cannot be opened again"),
        ("a = ", "t.toml:1:5: error: expected a value"),
        ("a = 01", "t.toml:1:5: error: '01' is no value"),
        ("a = 1.", "t.toml:1:5: error: '1.' is no value"),
        ("a = 'x", "t.toml:1:7: error: the string is not closed"),
        ("a = \"\\q\"", "t.toml:1:7: error: unknown escape '\\q'"),
        ("a = \"\\uD800\"", "t.toml:1:12: error: no Unicode scalar value"),
        ("a = 1 b = 2", "t.toml:1:7: error: expected the end of the line"),
        ("= 1", "t.toml:1:1: error: expected a key"),
        ("a = [1 2]", "t.toml:1:8: error: expected ',' or ']'"),
        ("a = {x=1,}", "t.toml:1:10: error: expected a key"),
        ("a = 99999999999999999999", "t.toml:1:5: error: '99999999999999999999' is no value"),
    ]) func refuses(_ text: String, _ expected: String) {
        #expect(Self.shown(text) == expected)
    }

    @Test func nestingIsBounded() {
        #expect(Self.shown("a = " + String(repeating: "[", count: 100_000)).contains("nested deeper"))
    }

    /// Any bytes give a table or an error with a place.
    @Test func mutationsNeverCrash() {
        let seed = Array(
            "t = 'x'\n[a.b]\nx = [1, 2.5, {y = \"z\\n\"}]\n[[r]]\nd = 1979-05-27\nm = '''\na\n'''\n[[r]]\ne.f = true # c\n".utf8)
        var random = SeededRandom(seed: 7)
        var errors = 0
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = seed.randomElement(using: &random) ?? 0
                case 1: bytes.remove(at: at)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
                }
                if bytes.isEmpty { bytes = seed }
            }
            do throws(Diagnostic) {
                _ = try TOMLDocument.parse(bytes, file: "t")
            } catch {
                errors += 1
            }
        }
        #expect(errors > 1000)
    }
}
