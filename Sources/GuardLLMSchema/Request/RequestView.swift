package import GuardCore
package import GuardJSON

/// How requests are read.
package struct RequestOptions: Sendable {
    /// The upstream's kind: which of several limit fields it reads.
    package var api: API
    /// `unknownFields:` of the configuration.
    package var refusesUnknownFields: Bool
    /// Names of otherwise refused fields that may pass (`truncate_prompt_tokens` ...); the count is then estimated.
    package var allowedFields: Set<String>
    /// Names in `chat_template_kwargs` that pass with a boolean or number as value: they are handed to the renderer.
    package var templateArguments: Set<String>
    /// What the served template puts between adjacent text parts of one message. vLLM and SGLang join with a newline;
    /// TGI and llama.cpp put nothing.
    package var partSeparator: [UInt8]
    package var json: JSONLimits

    package init(
        api: API = .auto, refusesUnknownFields: Bool = false, allowedFields: Set<String> = [],
        templateArguments: Set<String> = ["enable_thinking", "thinking"], partSeparator: [UInt8]? = nil,
        json: JSONLimits = .init()
    ) {
        self.api = api
        self.refusesUnknownFields = refusesUnknownFields
        self.allowedFields = allowedFields
        self.templateArguments = templateArguments
        self.partSeparator = partSeparator ?? (api == .tgi || api == .llamacpp ? [] : [0x0A])
        self.json = json
    }
}

/// A request as the guard understands it: every text that the model may read, and the fields that decide cost.
///
/// Kinds of segments (`TextSegment.kind`) and their roles:
///
/// | kind | role | where |
/// |---|---|---|
/// | `system`, `developer`, `user`, `assistant`, `tool`, `function`, `custom` | as named; function: tool; custom (any other role): user | `messages[].content` |
/// | *kind*`.name` | of the message | `messages[].name` |
/// | `assistant.reasoning` | assistant | `messages[].reasoning`, `.reasoning_content` |
/// | `assistant.tool_call`, `assistant.tool_call.name`, `tool_call_id` | toolCall | `tool_calls[]`, `function_call` |
/// | `tool.name`, `tool.description`, `tool.parameters` | toolDefinition | `tools[]`, `functions[]` |
/// | `prompt`, `suffix` | user | completions, TGI `inputs` |
/// | `documents` | user | `documents[]` |
/// | `prediction` | assistant | `prediction.content` |
/// | `constraint` | user | `response_format`, `guided_*`, `structured_outputs`, TGI `grammar` |
/// | `stop` | user | `stop`, `bad_words` |
/// | `extension` | extension | strings and keys of fields that the schema does not know |
///
/// Not segments: fields with a fixed vocabulary and identifiers that no template shows the model (`model`, `user`,
/// `seed`, `logit_bias` keys are token ids ...).
package struct RequestView: Sendable {
    package let endpoint: Endpoint
    package let document: JSONDocument
    /// `nil` where the request names none (TGI, llama.cpp).
    package internal(set) var model: String?
    package internal(set) var stream = false
    /// In the order of the document.
    package internal(set) var segments: [TextSegment] = []
    package internal(set) var prompt: Prompt = .texts([])
    /// `max(n, best_of)`, at least 1.
    package internal(set) var choicesMax = 1
    package internal(set) var outputLimit = OutputLimit()
    /// Whether the client itself asked for usage in its stream; if not, what our edit brings must not surprise it.
    package internal(set) var includeUsage = false
    /// Whether usage comes with every event (`continuous_usage_stats`).
    package internal(set) var continuousUsage = false
    /// The answer repeats the prompt (`echo`, TGI `return_full_text`).
    package internal(set) var echo = false
    /// The segment that the answer goes on with (`continue_final_message`): read both as one text.
    package internal(set) var prefillSegment: Int?
    package internal(set) var opaqueParts: [OpaquePart] = []
    /// JSON Pointers; their strings are segments of role `extension`. The keys are the client's words: not for logs.
    package internal(set) var unknownFields: [String] = []
    /// Why the prompt's count cannot be exact, as words for the record; empty if it can.
    package internal(set) var estimatedWhy: [String] = []

    /// Whether text prompts get the tokenizer's special tokens (BOS); chat says so in `Chat.addSpecialTokens`.
    package internal(set) var promptAddsSpecialTokens = true

    /// Places for `edits(includeUsage:)`.
    var streamOptions: JSONNode?

    /// What the server makes its prompt of.
    package enum Prompt: Sendable {
        case chat(Chat)
        /// Indices of segments, one for each prompt.
        case texts([Int])
        case tokenIDs([[TokenID]])
    }

    /// A conversation, as the chat template wants it.
    package struct Chat: Sendable {
        /// Array of message objects.
        package var messages: JSONNode
        /// Array of tool definitions; `nil` if absent, null or empty.
        package var tools: JSONNode?
        package var documents: JSONNode?
        /// Object of allowed `chat_template_kwargs`.
        package var templateArguments: JSONNode?
        package var addGenerationPrompt = true
        package var continueFinalMessage = false
        /// `nil`: the server's default for chat (vLLM: false).
        package var addSpecialTokens: Bool?

        package init(messages: JSONNode) { self.messages = messages }
    }

    /// Number of prompts that the server will run: `prompts x choicesMax` answers.
    package var promptsCount: Int {
        switch prompt {
        case .chat: 1
        case .texts(let indices): indices.count
        case .tokenIDs(let lists): lists.count
        }
    }

    /// A part of the prompt that cannot be read as text: the scan is incomplete and the count estimated.
    package struct OpaquePart: Sendable, Hashable {
        /// JSON Pointer.
        package var pointer: String
        /// `image`, `audio`, `video`, `file`, `embeds`.
        package var kind: String
    }

    /// The limit on completion tokens of one answer, and where it stands.
    package struct OutputLimit: Sendable {
        /// What the client asked for, in tokens; `nil`: the API's default.
        package var value: Int?
        /// Name of the field that the server reads, e.g. `max_tokens`, `parameters.max_new_tokens`.
        package var field = ""
        /// Present limit fields with their value, null included.
        var places: [(name: String, node: JSONNode, value: Int?)] = []
        /// Object that the field belongs into; `nil`: it does not exist yet (TGI without `parameters`).
        var container: JSONNode?
        /// `parameters: null`.
        var nullContainer: JSONNode?
    }

    /// Reads a body strictly.
    package static func parse(_ endpoint: Endpoint, body: [UInt8], options: RequestOptions = .init())
        throws(RequestError) -> RequestView
    {
        let document: JSONDocument
        do { document = try JSONDocument(body, limits: options.json) } catch { throw RequestError(error) }
        var reader = RequestReader(endpoint: endpoint, document: document, options: options)
        try endpoint.schema.read(request: &reader)
        return reader.view
    }

    init(endpoint: Endpoint, document: JSONDocument) {
        self.endpoint = endpoint
        self.document = document
    }
}
