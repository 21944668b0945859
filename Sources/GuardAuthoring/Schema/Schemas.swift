internal import GuardCore
internal import GuardRules

/// The files that `guardctl schema` describes.
package enum SchemaName: String, CaseIterable, Sendable {
    case rules, config, cases

    /// JSON Schema, draft 2020-12.
    package var json: String {
        let (title, node, definitions, allowsNull) = table
        var out: [(String, SchemaValue)] = [
            ("$schema", .string("https://json-schema.org/draft/2020-12/schema")), ("title", .string(title)),
        ]
        out += node.schema(allowsNull: false)
        if allowsNull, case .object(let object) = node {
            out = Array(out.prefix(2)) + object.schema([("type", .string("object"))], allowsNull: true)
        }
        if !definitions.isEmpty {
            out.append(("$defs", .map(definitions.map { ($0.0, .map($0.1.schema(allowsNull: false))) })))
        }
        return SchemaValue.map(out).json()
    }

    var table: (title: String, node: SchemaNode, definitions: [(String, SchemaNode)], allowsNull: Bool) {
        switch self {
        case .rules: ("guardd rule set", Schemas.ruleFile, [("condition", Schemas.condition)], false)
        case .config: ("guardd configuration", Schemas.configuration, [], true)
        case .cases: ("guardctl test cases", Schemas.caseFile, [("case", Schemas.testCase)], false)
        }
    }
}

/// What the readers read, as tables; `SchemaTests` holds them against each other.
enum Schemas {
    static func property(
        _ name: String, _ node: SchemaNode, _ description: String, initial: SchemaValue? = nil, required: Bool = false
    ) -> SchemaObject.Property {
        SchemaObject.Property(
            name: name, node: node, description: description, initial: initial, isRequired: required)
    }

    static func words<T: RawRepresentable & CaseIterable>(_ type: T.Type) -> [String] where T.RawValue == String {
        T.allCases.map(\.rawValue)
    }

    // MARK: rules

    static let ruleFile = SchemaNode.object(
        SchemaObject([
            property("ruleset", .text, "Name of the rule set.", required: true),
            property("description", .string(), "What the set is for."),
            property("rules", .list(.object(rule)), "The rules.", required: true),
        ]))

    private static let globs = SchemaNode.oneOrMore(.text)

    static let rule = SchemaObject([
        property(
            "id", .string(pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"), "Unique in the bundle.", required: true),
        property("description", .string(), "What it finds, and where the format is documented."),
        property("on", .oneOrMore(.choice(words(Phase.self))), "Phases it judges.", required: true),
        property(
            "roles", .oneOrMore(.choice(words(Role.self))), "Roles it reads.",
            initial: .list(Role.allCases.filter { CompiledRule.defaultRoles.contains($0) }.map { .string($0.rawValue) })),
        property(
            "when",
            .object(
                SchemaObject([
                    property("models", globs, "Globs; `*` is any text."),
                    property("tenants", globs, "Globs of tenant names."),
                    property("routes", globs, "Globs of canonical paths."),
                ])), "Requests it is for; default: all."),
        property("match", .reference("condition"), "The condition.", required: true),
        property(
            "view", .choice(words(TextView.self)), "Which reading of the text it is matched against.",
            initial: .string("folded")),
        property("action", .choice(["flag", "mask", "block", "allow"]), "What a match does.", required: true),
        property(
            "mask",
            .anyOf([
                .string(),
                .object(
                    SchemaObject([
                        property("placeholder", .text, "Text with `{n}`, the number of the text.", required: true),
                        property("restore", .boolean, "Put the original back into the answer.", initial: .bool(false)),
                    ])),
            ]), "Text for a match, with fields such as {last4}; with `action: mask`.", initial: .string("[REDACTED]")),
        property("suppresses", .oneOrMore(.text), "Ids or globs of rules; with `action: allow`."),
        property("reason", .text, "Why it is allowed; with `action: allow`."),
        property(
            "expires", .string(pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), "The last day of the allowance, UTC."),
        property("severity", .choice(words(Severity.self)), "How bad a match is.", initial: .string("medium")),
        property("mode", .choice(words(Mode.self)), "How strongly it acts.", initial: .string("enforce")),
        property(
            "stream", .choice(["hold", "cut"]), "How a condition that needs the whole answer treats a stream."),
        property(
            "onHoldOverflow", .choice(words(HoldOverflow.self)),
            "What happens where an open match outgrows limits.holdBytes.", initial: .string("block")),
        property(
            "lint",
            .object(
                SchemaObject([
                    property("ignore", .oneOrMore(.text), "Ids of findings (docs/lint.md).", required: true),
                    property("reason", .text, "Why.", required: true),
                ])), "What `guardctl lint` is not to say of this rule."),
        property(
            "tests",
            .object(
                SchemaObject([
                    property("match", .oneOrMore(.string()), "Texts that the rule finds."),
                    property("noMatch", .oneOrMore(.string()), "Texts in which it finds nothing."),
                ])), "For `guardctl test`."),
    ])

    static let conditionKeys = ["pcre", "words", "json", "tokens", "classify", "any", "all", "not", "near"]

    static let condition = SchemaNode.object(
        SchemaObject(
            [
                property("pcre", .text, "A PCRE2 pattern."),
                property(
                    "words",
                    .anyOf([
                        .list(.text, isNeverEmpty: true),
                        .object(SchemaObject([property("file", .text, "A word on each line.", required: true)])),
                    ]), "Words or phrases, whole and caseless."),
                property("json", json, "The text as JSON."),
                property("tokens", tokens, "The number of tokens."),
                property("classify", classify, "A classifier's score is at least the threshold."),
                property("any", .list(.reference("condition"), isNeverEmpty: true), "One of them matches."),
                property("all", .list(.reference("condition"), isNeverEmpty: true), "All hold; the matches of all."),
                property("not", .reference("condition"), "It does not hold."),
                property(
                    "near",
                    .object(
                        SchemaObject([
                            property("match", .reference("condition"), "What is found.", required: true),
                            property("to", nearby, "What stands near it.", required: true),
                            property("within", within, "Unicode scalars of the view.", required: true),
                        ])), "The matches of one condition that have another near."),
                property(
                    "validate", .string(pattern: "^(luhn|iban|ssn|nhs|base58check|jwt|entropy\\(.*\\)|json-schema\\(.*\\))$"),
                    "A check that is part of the match."),
                property(
                    "context",
                    .object(
                        SchemaObject([
                            property("near", nearby, "Words, or a condition.", required: true),
                            property("within", within, "Unicode scalars of the view.", required: true),
                        ])), "What must stand near a match for it to count."),
            ], exactlyOne: [conditionKeys], needs: [("validate", "pcre")]))

    private static let json: SchemaNode = {
        let kinds = SchemaNode.oneOrMore(
            .choice(["object", "array", "string", "number", "integer", "boolean", "null"]))
        return .object(
            SchemaObject([
                property("valid", .boolean, "Whether the whole text is JSON."),
                property(
                    "schema", .anyOf([.text, .object(body)]),
                    "A JSON Schema, or its file: a text that does not satisfy it matches."),
                property("at", .oneOrMore(.text), "JSON Pointers, with `*` and `**`."),
                property("match", .reference("condition"), "A condition on the strings there."),
                property("type", kinds, "The value is one of these."),
                property("notType", kinds, "The value is none of these."),
                property("missing", .oneOrMore(.string()), "Keys that the object lacks."),
                property("keysBesides", .oneOrMore(.string()), "Keys that are allowed: the object has others."),
            ]))
    }()

    private static let tokens: SchemaNode = {
        func ratio(_ name: String, _ description: String) -> SchemaObject.Property {
            property(
                name,
                .object(
                    SchemaObject([
                        property("min", .number(0...1_000_000), "Matches below it."),
                        property("max", .number(0...1_000_000), "Matches above it."),
                    ])), description)
        }
        return .object(
            SchemaObject([
                property("max", .integer(0...1_000_000_000), "Matches above it."),
                property("min", .integer(1...1_000_000_000), "Matches below it."),
                ratio("bytesPerToken", "Bytes of the text for each token."),
                ratio("tokensPerCharacter", "Tokens for each Unicode scalar."),
                property("from", .integer(1...1_000_000_000), "Beside a ratio: texts with fewer tokens are not looked at."),
                property("tokenizer", .text, "For `guardctl test`: a tokenizer file in the policy folder."),
            ]))
    }()

    private static let classify = SchemaNode.object(
        SchemaObject([
            property("model", .text, "A `.gclf` file in the policy folder.", required: true),
            property("label", .text, "One of the model's labels.", required: true),
            property("threshold", .number(0...1), "The least score that matches.", required: true),
        ]))

    private static let nearby = SchemaNode.anyOf([.list(.text, isNeverEmpty: true), .reference("condition")])
    private static let within = SchemaNode.integer(1...1000)

    // MARK: cases

    static let caseFile = SchemaNode.anyOf([
        .list(.reference("case")),
        .object(
            SchemaObject([
                property("description", .any, "What the cases are about."),
                property("cases", .list(.reference("case")), "The cases.", required: true),
            ])),
    ])

    static let testCase = SchemaNode.object(
        SchemaObject(
            [
                property("name", .text, "What is tested.", required: true),
                property("phase", .choice(words(Phase.self)), "Where the text is judged.", required: true),
                property("role", .choice(words(Role.self)), "The role of `text`; user on input, assistant on output."),
                property("api", .choice(["openai", "tgi"]), "The API called.", initial: .string("openai")),
                property("path", .text, "The path called; default: the API's chat path."),
                property("model", .text, "For `when:`."),
                property("tenant", .text, "For `when:`."),
                property("text", .string(), "One text."),
                property("request", .anyOf([.text, .object(body)]), "A request body."),
                property("response", .anyOf([.text, .object(body)]), "A whole answer."),
                property(
                    "stream", .anyOf([.text, .list(.anyOf([.text, .object(body)]))]),
                    "A streamed answer: its body, or one event each."),
                property(
                    "expect",
                    .object(
                        SchemaObject([
                            property("action", .choice(["allow", "flag", "mask", "block"]), "What happens."),
                            property("rules", .oneOrMore(.text), "Rules with findings."),
                            property("notRules", .oneOrMore(.text), "Rules without."),
                            property("maskedText", .string(), "The text afterwards."),
                        ])), "What is expected.", required: true),
            ], exactlyOne: [["text", "request", "response", "stream"]]))

    private static let body: SchemaObject = {
        var body = SchemaObject([])
        body.isOpen = true
        return body
    }()
}
