/// Why a template cannot be read or rendered: what Python would raise, so that a request gets the server's own answer.
package struct TemplateError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Name of the Python exception; `LimitError` is ours (`ChatTemplate.Limits`).
    package enum Kind: String, Sendable, Hashable {
        /// `raise_exception(...)` of a template.
        case template = "TemplateError"
        case syntax = "TemplateSyntaxError"
        case assertion = "TemplateAssertionError"
        case runtime = "TemplateRuntimeError"
        case undefined = "UndefinedError"
        case security = "SecurityError"
        case filterArgument = "FilterArgumentError"
        case type = "TypeError"
        case value = "ValueError"
        case key = "KeyError"
        case index = "IndexError"
        case attribute = "AttributeError"
        case overflow = "OverflowError"
        case division = "ZeroDivisionError"
        case limit = "LimitError"
    }

    package var kind: Kind
    /// What `str(exception)` gives, without the kind.
    package var message: String
    /// 1-based line of the template, 0 where unknown.
    package var line: Int

    package init(_ kind: Kind, _ message: String, line: Int = 0) {
        self.kind = kind
        self.message = message
        self.line = line
    }

    /// `kind: message`.
    package var description: String { "\(kind.rawValue): \(message)" }

    static func limit(_ what: String) -> TemplateError { TemplateError(.limit, "template exceeds \(what)") }
}
