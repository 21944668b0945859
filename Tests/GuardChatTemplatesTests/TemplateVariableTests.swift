import GuardChatTemplates
import Testing

/// What a template reads of its caller.
@Suite struct TemplateVariableTests {
    @Test(arguments: [
        ("{{ a }}{% set b = c %}{{ b }}", ["a", "c"]),
        ("{% for m in messages %}{{ m.x[loop.index] }}{{ y }}{% endfor %}{{ m }}", ["m", "messages", "y"]),
        ("{% if tools is not defined %}{% set tools = none %}{% endif %}{{ tools }}", ["tools"]),
        ("{% if a %}{% set b = 1 %}{% endif %}{{ b }}", ["a"]),
        ("{% macro f(x, y=z) %}{{ x + y + w }}{% endmacro %}{{ f(v) }}", ["v", "w", "z"]),
        ("{% set ns = namespace(a=1) %}{% set ns.a = q %}{{ raise_exception('x') }}{{ range(3) }}", ["q"]),
        ("{{ a if b else c }}{{ d | join(e) }}{{ f is divisibleby(g) }}{{ [h, {i: j}][k:l] }}{{ not m }}{{ n.o(p=q, *r) }}",
         ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "q", "r"]),
        ("{% for a, b in c if d %}{{ a }}{% else %}{{ e }}{% endfor %}", ["c", "d", "e"]),
        ("{% set x %}{{ y }}{% endset %}{{ x }}", ["y"]), ("plain", []),
    ])
    func names(_ source: String, _ wanted: [String]) throws {
        #expect(try ChatTemplate.variables(of: source) == wanted)
    }

    @Test func brokenTemplatesThrow() {
        #expect(throws: TemplateError.self) { try ChatTemplate.variables(of: "{% if %}") }
    }
}
