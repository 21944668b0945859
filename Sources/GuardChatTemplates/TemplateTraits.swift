/// What a template does with what it is given, found by rendering small conversations with it, as llama.cpp finds it before
/// it decides how to write a request down (`common/jinja/caps.cpp`). There it watches which values the template touches;
/// here what shows in the output.
package struct TemplateTraits: Sendable, Hashable {
    /// A system message comes out.
    package var showsSystem: Bool
    /// Content that is a string comes out.
    package var takesText: Bool
    /// Content may be a list of parts.
    package var takesParts: Bool
    /// Arguments of tool calls that are an object come out: those that are JSON text are parsed for it.
    package var takesObjectArguments: Bool

    init(_ template: ChatTemplate) {
        takesParts = template.contentFormat == .openai
        takesText = Self.rendered(template, [Self.message("user", "STRING_MARKER")], "STRING_MARKER")
        showsSystem = Self.rendered(
            template, [Self.message("system", "System message"), Self.message("user", "User message")],
            "System message")
        takesObjectArguments = Self.rendered(template, Self.call, "argument_marker", tools: [Self.tool])
    }

    /// Whether the conversation renders, with the text in it.
    private static func rendered(
        _ template: ChatTemplate, _ messages: [Value], _ marker: String, tools: [Value] = []
    ) -> Bool {
        let output = try? template.render([
            ("messages", .list(messages)), ("tools", .list(tools)), ("bos_token", .string("")),
            ("eos_token", .string("")), ("add_generation_prompt", .bool(true)),
        ], dialect: .llama)
        return output.map { PythonString(validating: $0).string.contains(marker) } ?? false
    }

    private static func message(_ role: String, _ content: String, _ more: [(String, Value)] = []) -> Value {
        .dictionary([("role", .string(role)), ("content", .string(content))] + more)
    }

    private static let call: [Value] = [
        message("user", "User message"),
        message(
            "assistant", "",
            [
                (
                    "tool_calls",
                    .list([
                        .dictionary([
                            // Nine letters and digits: Mistral's templates refuse others.
                            ("id", .string("call00001")), ("type", .string("function")),
                            (
                                "function",
                                .dictionary([
                                    ("name", .string("tool1")),
                                    ("arguments", .dictionary([("arg", .string("argument_marker"))])),
                                ])
                            ),
                        ])
                    ])
                )
            ]),
        message("tool", "Tool response", [("tool_call_id", .string("call00001"))]),
        message("assistant", "The tool response was 'tool response'"), message("user", "User message"),
    ]

    private static let tool = Value.dictionary([
        ("name", .string("tool")), ("type", .string("function")),
        (
            "function",
            .dictionary([
                ("name", .string("tool1")), ("description", .string("Tool description")),
                (
                    "parameters",
                    .dictionary([
                        ("type", .string("object")),
                        (
                            "properties",
                            .dictionary([
                                (
                                    "arg",
                                    .dictionary([
                                        ("type", .string("string")), ("description", .string("Arg description")),
                                    ])
                                )
                            ])
                        ), ("required", .list([.string("arg")])),
                    ])
                ),
            ])
        ),
    ])
}
