package import GuardCore
package import GuardTokenizers

/// One served model: who counts its prompts, how, and under which limits (`models:` of guard.yaml).
package struct ModelEntry: Sendable {
    /// Who renders the prompt (DESIGN decision 7).
    package enum Counting: String, Sendable, CaseIterable {
        /// vLLM, SGLang and what else renders with transformers.
        case hf
        /// As `hf`, with the tokenizer pipelines that transformers 5 makes of Llama-like files.
        case hf5
        /// `transformers serve` of transformers 5.
        case transformers5
        case mistralCommon = "mistral-common"
        case tgi
        case llamacpp
        case ollama

        /// The server makes new message objects of what it read, with declared fields first.
        var rebuildsMessages: Bool { self == .hf || self == .hf5 || self == .mistralCommon }
        var detectsContentFormat: Bool { rebuildsMessages }
        /// Why no prompt of a conversation is exact.
        var chatWhy: [String] { self == .ollama ? ["ollama_template"] : [] }
    }

    package var match: Glob
    /// Other names of the model, literally.
    package var aliases: [String]
    package var tokenizer: Tokenizer?
    package var templates: ModelTemplates
    package var counting: Counting
    package var contextWindow: Int?
    package var maxInputTokens: Int?
    package var defaultCompletionTokens: Int
    package var deprecation: Deprecation?

    /// When the model goes, for the `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) header fields. POSIX time in
    /// milliseconds, the first one of the day.
    package struct Deprecation: Sendable, Hashable {
        package var dateMilliseconds: Int64?
        /// From then on requests are answered 410.
        package var sunsetMilliseconds: Int64?
        package var successor: String?

        package init(dateMilliseconds: Int64?, sunsetMilliseconds: Int64?, successor: String?) {
            self.dateMilliseconds = dateMilliseconds
            self.sunsetMilliseconds = sunsetMilliseconds
            self.successor = successor
        }
    }

    package init(
        match: Glob, aliases: [String] = [], tokenizer: Tokenizer? = nil,
        templates: ModelTemplates = ModelTemplates(), counting: Counting = .hf, contextWindow: Int? = nil,
        maxInputTokens: Int? = nil, defaultCompletionTokens: Int = 1024, deprecation: Deprecation? = nil
    ) {
        self.match = match
        self.aliases = aliases
        self.tokenizer = tokenizer
        self.templates = templates
        self.counting = counting
        self.contextWindow = contextWindow
        self.maxInputTokens = maxInputTokens
        self.defaultCompletionTokens = defaultCompletionTokens
        self.deprecation = deprecation
    }
}

/// The models of one snapshot. First match wins.
package struct ModelCatalog: Sendable {
    package enum Unknown: String, Sendable, CaseIterable {
        /// 404 `model_not_found`.
        case refuse
        /// Served with an estimated count.
        case estimate
    }

    package var entries: [ModelEntry]
    package var unknown: Unknown
    /// What requests without a model name (TGI, llama.cpp) mean.
    package var defaultModel: String?

    package init(entries: [ModelEntry] = [], unknown: Unknown = .refuse, defaultModel: String? = nil) {
        self.entries = entries
        self.unknown = unknown
        self.defaultModel = defaultModel
    }

    package func entry(named name: String) -> ModelEntry? {
        entries.first { entry in entry.match.matches(name) || entry.aliases.contains { $0.utf8.elementsEqual(name.utf8) } }
    }
}
