import Synchronization

/// A chat template, read once and rendered for every request, as transformers renders it
/// (`ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)`, loop controls, tag `generation`).
///
/// Any thread may render at any time; a render allocates its own state.
package final class ChatTemplate: Sendable {
    /// What one render may cost. A template is data of the model's owner, and still ends in an error, never in a hang.
    package struct Limits: Sendable, Hashable {
        /// Statements and expressions evaluated, and units of bulk work.
        package var stepsMax: Int
        /// Nested macro calls, loops and expressions.
        package var depthMax: Int
        /// Of the output and of each string.
        package var outputBytesMax: Int

        package init(stepsMax: Int = 20_000_000, depthMax: Int = 400, outputBytesMax: Int = 128 << 20) {
            self.stepsMax = stepsMax
            self.depthMax = depthMax
            self.outputBytesMax = outputBytesMax
        }
    }

    /// Whose Jinja runs the template.
    package enum Dialect: Sendable {
        case python
        /// llama.cpp's own: `trim` and `strip` take away ASCII white space only, `tojson` prints numbers with six digits.
        /// Source: `common/jinja/string.cpp`, `value.cpp`.
        case llama

        /// What `trim` takes away where it is not told; `nil`: Unicode white space, as `str.strip`.
        var space: PythonString? { self == .python ? nil : PythonString(" \t\n\u{0B}\u{0C}\r") }
    }

    let program: Program
    package let limits: Limits
    /// How the template wants content, as vLLM decides it.
    package let contentFormat: ContentFormat
    private let lazyTraits = Mutex<TemplateTraits?>(nil)

    /// Found at first use, by some renders.
    package var traits: TemplateTraits {
        if let known = lazyTraits.withLock({ $0 }) { return known }
        let found = TemplateTraits(self)
        lazyTraits.withLock { $0 = found }
        return found
    }

    /// - Throws: `syntax` with the line, where Jinja would not compile it.
    package init(source: String, limits: Limits = Limits()) throws(TemplateError) {
        self.limits = limits
        let statements = try Parser.parse(source)
        contentFormat = ContentFormat.detected(in: statements)
        program = try Compiler.compile(statements)
    }

    /// Renders with the variables that transformers' `apply_chat_template` passes.
    ///
    /// - Parameters:
    ///   - tools: `nil` where the request has none (`None` in the template).
    ///   - extra: further variables: special tokens (`TokenizerConfig.templateVariables`), the request's
    ///     `chat_template_kwargs` ...; of equal names the last one counts, and beats the ones above.
    ///   - now: what `strftime_now` shows.
    package func render(
        messages: Value, tools: Value? = nil, addGenerationPrompt: Bool, extra: [(String, Value)] = [],
        now: TemplateTime = .now()
    ) throws(TemplateError) -> [UInt8] {
        try render(
            [
                ("messages", messages), ("tools", tools ?? .none), ("documents", .none),
                ("add_generation_prompt", .bool(addGenerationPrompt)),
            ] + extra, now: now)
    }

    /// Renders with exactly these variables.
    package func render(
        _ variables: [(String, Value)], now: TemplateTime = .now(), dialect: Dialect = .python
    ) throws(TemplateError) -> [UInt8] {
        let render = Render(program: program, limits: limits, now: now, dialect: dialect, variables: variables)
        return try render.run()
    }
}
