internal import GuardBudgets
internal import GuardConfiguration
internal import GuardCore
internal import GuardYAML

/// guard.yaml. Defaults are those of `Configuration`.
extension Schemas {
    private static let initial = Configuration()
    private static let tokens = SchemaNode.integer(1...(1 << 40))
    private static let date = SchemaNode.string(pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    private static let address = SchemaNode.text

    private static func duration(_ value: Duration) -> SchemaValue { .string(YAMLUnits.describe(value)) }

    static let configuration = SchemaNode.object(
        SchemaObject([
            property(
                "mode", .choice(["monitor", "enforce"]), "Of the whole process; monitor refuses and edits nothing.",
                initial: .string(initial.mode.rawValue)),
            property("listen", .object(listen), "Addresses to listen on, host:port."),
            property("upstream", .object(upstream), "The model server.", required: true),
            property(
                "unknownModel", .choice(words(Configuration.UnknownModel.self)), "A model that no entry matches.",
                initial: .string(initial.unknownModel.rawValue)),
            property("models", .list(.object(model)), "The first match wins."),
            property("tenants", .object(tenants), "Who sends a request."),
            property("budgets", .list(.object(budget)), "All that match apply."),
            property("store", .object(store), "Where ledgers are."),
            property("policy", .object(policy), "The rules."),
            property(
                "unknownFields", .choice(words(Configuration.UnknownFields.self)), "Fields that the API does not know.",
                initial: .string(initial.unknownFields.rawValue)),
            property("limits", .object(limits), "Sizes and times."),
            property("drain", .object(drain), "After SIGTERM."),
            property("decisionLog", .object(decisionLog), "Where records go."),
            property("routes", .list(.object(route)), "Paths that pass unguarded."),
            property(
                "admin", .object(SchemaObject([property("tokenFile", .text, "Needed beyond loopback.")])),
                "The admin listener."),
        ]))

    private static let listen = SchemaObject([
        property("data", address, "The proxied API.", initial: .string(initial.listen.data.description)),
        property(
            "health", address, "Probes and metrics; `off`.",
            initial: .string(initial.listen.health?.description ?? "off")),
        property("admin", address, "Admin API; `off`.", initial: .string(initial.listen.admin?.description ?? "off")),
        property("webhook", .any, "Not in this version."),
        property("extProc", .any, "Not in this version."),
    ])

    private static let upstream = SchemaObject([
        property("url", .text, "http://host:port.", required: true),
        property(
            "api", .choice(Configuration.UpstreamAPI.allCases.filter(\.isSupported).map(\.rawValue)), "What it speaks.",
            initial: .string(initial.upstream.api.rawValue)),
        property("model", .text, "What requests without a model name mean."),
        property("connectTimeout", .duration, "To connect.", initial: duration(initial.upstream.connectTimeout)),
        property(
            "firstByteTimeout", .duration, "To the first byte of the answer.",
            initial: duration(initial.upstream.firstByteTimeout)),
        property(
            "streamIdleTimeout", .duration, "Between bytes of the answer.",
            initial: duration(initial.upstream.streamIdleTimeout)),
        property(
            "idleTimeout", .duration, "After which an unused connection is closed.",
            initial: duration(initial.upstream.idleTimeout)),
    ])

    private static let model = SchemaObject([
        property("match", .text, "A glob of model names.", required: true),
        property("aliases", .oneOrMore(.text), "Other names."),
        property("tokenizer", .text, "A model folder or a tokenizer file."),
        property(
            "counting", .choice(words(Configuration.Counting.self)), "Who renders the prompt.", initial: .string("hf")),
        property("contextWindow", tokens, "Tokens; default: what the server says."),
        property("maxInputTokens", tokens, "Tokens of one prompt."),
        property("defaultCompletionTokens", tokens, "Where the client gives no limit.", initial: .int(1024)),
        property(
            "deprecation",
            .object(
                SchemaObject([
                    property("date", date, "From when on it is deprecated."),
                    property("sunset", date, "From when on it answers 410."),
                    property("successor", .text, "What to use instead."),
                ])), "When it goes."),
    ])

    private static let form = SchemaNode.choice(words(TenantSource.Form.self))

    private static let tenants = SchemaObject([
        property(
            "from",
            .oneOrMore(
                .object(
                    SchemaObject(
                        [
                            property(
                                "bearer",
                                .anyOf([
                                    .object(
                                        SchemaObject([
                                            property("as", form, "How it is recorded.", initial: .string("hash")),
                                            property("trusted", .boolean, "Believed as it is.", initial: .bool(false)),
                                        ])),
                                ]), "The bearer token."),
                            property("header", .text, "A request header."),
                            property("jwt", .any, "Not in this version."),
                            property("mtls", .any, "Not in this version."),
                            property("trusted", .boolean, "Believed as it is."),
                            property("as", form, "How it is recorded."),
                        ], exactlyOne: [["bearer", "header", "jwt", "mtls"]]))), "The first that yields."),
        property(
            "known",
            .anyOf([
                .list(
                    .anyOf([
                        .text,
                        .object(
                            SchemaObject([
                                property("name", .text, "For records and labels.", required: true),
                                property("id", .text, "What requests carry."),
                            ])),
                    ])),
                .object(SchemaObject([property("file", .text, "A file with the list.", required: true)])),
            ]), "Tenants with names of their own."),
        property("hashKeyFile", .text, "Key of the hashes, 16 bytes or more."),
    ])

    private static let budget = SchemaObject([
        property("name", .text, "Unique: the ledger's key.", required: true),
        property(
            "match",
            .object(
                SchemaObject([
                    property("tenant", .text, "A glob.", initial: .string("*")),
                    property("model", .text, "A glob.", initial: .string("*")),
                ])), "Requests it is for."),
        property("scope", .oneOrMore(.choice(words(Budget.ScopeKey.self))), "One ledger for each value of these."),
        property(
            "request",
            .object(
                SchemaObject([
                    property("promptTokens", tokens, "Of one request."),
                    property("completionTokens", tokens, "Of one request."),
                    property("totalTokens", tokens, "Of one request."),
                ])), "Limits of one request."),
        property(
            "window",
            .oneOrMore(
                .object(
                    SchemaObject(
                        [
                            property("tokens", tokens, "Tokens in the window."),
                            property("requests", tokens, "Requests in the window."),
                            property("per", .choice(words(BudgetWindow.Period.self)), "Its length.", required: true),
                        ], exactlyOne: [["tokens", "requests"]]))), "Fixed windows, aligned to UTC."),
        property("concurrency", .integer(1...1_000_000), "Requests at a time."),
        property(
            "onShort", .choice(words(Budget.OnShort.self)), "What happens where too little is left.",
            initial: .string(Budget(name: "").onShort.rawValue)),
        property(
            "minCompletionTokens", tokens, "`clamp` never goes below it.",
            initial: .int(Budget(name: "").minCompletionTokens)),
        property("mode", .choice(["monitor", "enforce"]), "How strongly it acts.", initial: .string("enforce")),
    ])

    private static let store = SchemaObject([
        property(
            "kind", .string(pattern: "^memory$"), "memory.", initial: .string(initial.store.kind.rawValue)),
        property("path", .any, "Not in this version."),
        property(
            "onOutage", .choice(words(Configuration.Store.Outage.self)), "While a shared store is down.",
            initial: .string(initial.store.onOutage.rawValue)),
        property(
            "ledgersMax", .integer(16...100_000_000), "Ledgers in memory.", initial: .int(initial.store.ledgersMax)),
    ])

    private static let policy = SchemaObject([
        property("path", .text, "Folder of the rules.", initial: .string(initial.policy.path)),
        property(
            "mode", .choice(words(Mode.self)), "How strongly the rules act.",
            initial: .string(initial.policy.mode.rawValue)),
        property(
            "failure", .choice(words(Configuration.Policy.Failure.self)), "A scan that could not be completed.",
            initial: .string(initial.policy.failure.rawValue)),
        property(
            "blockStatus", .integer(400...499), "Status of a refusal.", initial: .int(initial.policy.blockStatus)),
        property(
            "onBlock", .choice(words(Configuration.Policy.OnBlock.self)), "How a blocked stream ends.",
            initial: .string(initial.policy.onBlock.rawValue)),
        property(
            "verdictCacheBytes", .bytes, "Memory for verdicts on texts that were judged before; 0: none.",
            initial: .int(initial.policy.verdictCacheBytes)),
    ])

    private static let limits = SchemaObject([
        property("bodyBytes", .bytes, "Of a request.", initial: .int(initial.limits.bodyBytes)),
        property("responseBytes", .bytes, "Of a whole answer.", initial: .int(initial.limits.responseBytes)),
        property("headerBytes", .bytes, "Of the head.", initial: .int(initial.limits.headerBytes)),
        property("jsonDepth", .integer(1...512), "Nesting of JSON.", initial: .int(initial.limits.jsonDepth)),
        property("bodyTimeout", .duration, "To receive a body.", initial: duration(initial.limits.bodyTimeout)),
        property("holdBytes", .bytes, "Of a stream that is held.", initial: .int(initial.limits.holdBytes)),
        property(
            "bufferedBytes", .bytes, "Of all requests together.", initial: .int(initial.limits.bufferedBytes)),
    ])

    private static let drain = SchemaObject([
        property("delay", .duration, "Connections are accepted for so long.", initial: duration(initial.drain.delay)),
        property("timeout", .duration, "Streams may run for so long.", initial: duration(initial.drain.timeout)),
    ])

    private static let onFull = SchemaNode.choice(words(Configuration.DecisionLog.OnFull.self))

    private static let decisionLog = SchemaObject([
        property(
            "sinks",
            .list(
                .object(
                    SchemaObject(
                        [
                            property(
                                "stdout",
                                .anyOf([
                                    .object(
                                        SchemaObject([
                                            property("onFull", onFull, "A full buffer.", initial: .string("drop"))
                                        ])),
                                    .null,
                                ]), "Lines of JSON on standard output."),
                            property(
                                "file",
                                .object(
                                    SchemaObject([
                                        property("path", .text, "The file.", required: true),
                                        property("rotateBytes", .bytes, "Begin anew at this size."),
                                        property("onFull", onFull, "A full buffer.", initial: .string("block")),
                                    ])), "Lines of JSON in a file."),
                        ], exactlyOne: [["stdout", "file"]]))), "Default: standard output.")
    ])

    private static let route = SchemaObject([
        property("path", .string(pattern: "^[/*]"), "A glob of canonical paths.", required: true),
        property(
            "methods", .oneOrMore(.string(pattern: "^[A-Z]+$")), "HTTP methods.",
            initial: .list([.string("GET"), .string("HEAD")])),
        property("action", .choice(["passthrough"]), "The only one there is.", initial: .string("passthrough")),
    ])
}
