import GuardChatTemplates
import Testing

/// vLLM's decision, template by template.
@Suite struct ContentFormatTests {
    @Test(arguments: [
        ("{% for m in messages %}{{ m.content }}{% endfor %}", ContentFormat.string),
        ("{% for m in messages %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}", .openai),
        ("{% for m in messages[1:] %}{% if x %}{% for c in m['content'] | list %}{% endfor %}{% endif %}{% endfor %}", .openai),
        ("{% set a = messages %}{% set b = a[1:] %}{% set a = b %}{% for m in b %}{% for c in m.content %}{% endfor %}{% endfor %}", .openai),
        ("{% for m in other %}{% for c in m.content %}{% endfor %}{% endfor %}", .string),
        ("{% for m in messages %}{% for c in m.parts %}{% endfor %}{% endfor %}", .string),
        ("{% for m in messages %}{% set c = m.content %}{% for p in c %}{% endfor %}{% endfor %}", .string),
        ("{% macro f(c) %}{% for p in c %}{% endfor %}{% endmacro %}{% for m in messages %}{{ f(m.content) }}{% endfor %}", .string),
        ("{% for i, m in messages %}{% for c in m.content %}{% endfor %}{% endfor %}", .string),
    ])
    func detected(_ source: String, _ format: ContentFormat) throws {
        #expect(try ChatTemplate(source: source).contentFormat == format)
    }
}
