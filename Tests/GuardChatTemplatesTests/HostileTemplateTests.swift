import Foundation
import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardTesting
import Testing

/// Templates that would run forever, fill the memory or overflow the stack end in an error, soon.
struct HostileTemplateTests {
    static let limits = ChatTemplate.Limits(stepsMax: 200_000, outputBytesMax: 1 << 20)

    static let sources: [String] = [
        // loops
        "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        // doubling
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s.replace('x', 'xx') %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ''.join([ns.s, ns.s]) %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
        "{% for i in range(100000) %}{% for j in range(1000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
        "{{ 'x' * 9223372036854775807 }}", "{{ [1] * 9223372036854775807 }}", "{{ 'x' * 1000000000 }}",
        "{{ [0] * 100000000 }}", "{{ 'x'.center(1000000000000) }}", "{{ '%1000000000000d' % 1 }}",
        "{{ '{:1000000000000}'.format(1) }}", "{{ [1]|tojson(indent=1000000000000) }}", "{{ 'a'|indent(1000000000000) }}",
        "{{ [1]|slice(1000000000000)|list }}", "{{ [1]|batch(1000000000000, 0)|list }}", "{{ 'a'.zfill(1000000000000) }}",
        "{{ range(0, 9223372036854775807) }}", "{{ range(-9223372036854775808, 9223372036854775807) }}",
        "{{ 9223372036854775807 + 1 }}", "{{ 2 ** 64 }}", "{{ -9223372036854775807 - 2 }}",
        "{{ -(0 - 9223372036854775807 - 1) }}", "{{ (0 - 9223372036854775807 - 1) // -1 }}",
        "{{ 10 ** 1000000000000 }}", "{{ (0 - 9223372036854775807 - 1)|abs }}",
        // nesting
        "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = {'a': ns.x} %}{% endfor %}{{ ns.x|tojson }}",
        "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = (ns.x,) %}{% endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = dict(a=ns.x) %}{% endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = [ns.x]|list + [] %}{% endfor %}",
        "{{ " + String(repeating: "(", count: 100_000) + "1" + String(repeating: ")", count: 100_000) + " }}",
        "{{ " + String(repeating: "[", count: 100_000) + "1" + String(repeating: "]", count: 100_000) + " }}",
        "{{ " + String(repeating: "not ", count: 100_000) + "1 }}", "{{ " + String(repeating: "-", count: 100_000) + "1 }}",
        "{{ 1" + String(repeating: " + 1", count: 100_000) + " }}", "{{ x" + String(repeating: ".x", count: 100_000) + " }}",
        "{{ x" + String(repeating: "|e", count: 100_000) + " }}", "{{ x" + String(repeating: "()", count: 100_000) + " }}",
        "{{ 1" + String(repeating: " if 1 else 1", count: 100_000) + " }}",
        String(repeating: "{% if 1 %}", count: 100_000), String(repeating: "{% for x in y %}", count: 100_000),
        "{% set " + String(repeating: "(", count: 100_000) + "a = 1 %}",
        "{% for " + String(repeating: "(", count: 100_000) + "a in b %}",
    ]

    @Test(arguments: sources)
    func endsInAnError(source: String) {
        let start = ContinuousClock.now
        #expect(throws: TemplateError.self) {
            let template = try ChatTemplate(source: source, limits: Self.limits)
            _ = try template.render(messages: .list([]), addGenerationPrompt: true)
        }
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    /// What keeps objects alive in a circle is taken apart at the end of a render.
    @Test func cyclesEnd() throws {
        let source = """
            {% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{% set a.l = [a, b] %}
            {% macro m(x) %}{% macro inner() %}{{ x }}{% endmacro %}{% set a.m = inner %}{{ inner() }}{% endmacro %}{{ m(1) }}
            {% set chain = namespace(p=none) %}
            {% for i in range(50000) %}{% set chain.p = namespace(p=chain.p) %}{% endfor %}
            """
        let template = try ChatTemplate(source: source)
        for _ in 0..<3 { _ = try template.render(messages: .list([]), addGenerationPrompt: true) }
    }

    /// A deep macro recursion that stays within the limit must not overflow the stack of a worker thread.
    @Test func depthWithinTheLimit() throws {
        let template = try ChatTemplate(
            source: "{% macro f(n) %}{% if n > 0 %}{% for x in [n] %}{{ [f(x - 1)]|join }}{% endfor %}{% endif %}{% endmacro %}{{ f(30) }}ok")
        let text = try template.render(messages: .list([]), addGenerationPrompt: true)
        #expect(String(decoding: text, as: UTF8.self) == "ok")
    }

    /// Mutations of real and own templates: any outcome but a crash or a hang.
    @Test func fuzzSmoke() throws {
        var seeds = SemanticsTests.cases.map { Array($0.template.utf8) }
        seeds += Self.sources.filter { $0.utf8.count < 500 }.map { Array($0.utf8) }
        var random = SplitMix(state: 20_261_122)
        let pieces: [[UInt8]] = [
            "{{", "}}", "{%", "%}", "{#", "#}", "-", "|", "(", ")", "[", "]", "'", "\"", ".", ",", " is ", " in ", " not ",
            "for x in xs", "endfor", "if", "endif", "set x = ", "macro m(a)", "endmacro", "\\", "\u{e9}", "0", "9e99", "**", "~",
        ].map { Array($0.utf8) }
        let limits = ChatTemplate.Limits(stepsMax: 20_000, outputBytesMax: 1 << 16)
        var parsed = 0
        for _ in 0..<4000 {
            var bytes = seeds[random.below(seeds.count)]
            for _ in 0...random.below(4) {
                let position = random.below(bytes.count + 1)
                switch random.below(5) {
                case 0 where position < bytes.count: bytes.remove(at: position)
                case 1 where position < bytes.count: bytes[position] = UInt8(random.below(256))
                case 2:
                    let other = seeds[random.below(seeds.count)]
                    bytes = Array(bytes[..<position]) + other.suffix(random.below(other.count + 1))
                default: bytes.insert(contentsOf: pieces[random.below(pieces.count)], at: position)
                }
            }
            guard let template = try? ChatTemplate(source: String(decoding: bytes, as: UTF8.self), limits: limits) else {
                continue
            }
            parsed += 1
            _ = try? template.render(SemanticsTests.context)
        }
        #expect(parsed > 200)
    }
}

struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
