import GuardJSON
import GuardLLMSchema

/// What the mock reads of a request. It is as lenient as model servers are: unknown fields are ignored.
struct MockRequest {
    enum Endpoint: Equatable {
        case chat, completions
        case tgi(streams: Bool)
        /// TGI's `POST /`: the body says whether it streams, a whole answer is a list.
        case tgiCompatible
    }

    var endpoint: Endpoint
    var model: String?
    var streams = false
    var includeUsage = false
    var choicesCount = 1
    var bestOf = 1
    /// nil: as long as the answer is.
    var outputLimit: Int?
    var logprobs = false
    var topLogprobs = 0
    var details = false
    var prefillDetails = false
    var returnsFullText = false
    var stops: [[UInt8]] = []
    var chat: RequestView.Chat?
    var messages: JSONNode? { chat?.messages }
    /// Text prompts (completions, TGI) in order.
    var prompts: [[UInt8]] = []
    /// Lengths of prompts given as token ids.
    var promptIDCounts: [Int] = []

    init(_ endpoint: Endpoint, body: [UInt8]) throws(MockRefusal) {
        self.endpoint = endpoint
        let root: JSONNode
        do {
            root = try JSONDocument(body).root
        } catch {
            throw MockRefusal("the body is not JSON: \(error)")
        }
        guard root.kind == .object else { throw MockRefusal("the body is not an object") }
        switch endpoint {
        case .chat:
            try readOpenAI(root)
            chat = try Self.chat(root)
            outputLimit = Self.limit(root["max_completion_tokens"]) ?? Self.limit(root["max_tokens"])
            logprobs = root["logprobs"]?.bool ?? false
            topLogprobs = Self.count(root["top_logprobs"]) ?? 0
        case .completions:
            try readOpenAI(root)
            try readPrompt(root["prompt"])
            outputLimit = Self.limit(root["max_tokens"]) ?? 16
            if let count = Self.count(root["logprobs"]) { (logprobs, topLogprobs) = (true, count) }
        case .tgi(let streams):
            try readTGI(root)
            self.streams = streams
        case .tgiCompatible:
            try readTGI(root)
            streams = root["stream"]?.bool ?? false
        }
    }

    /// A conversation, with vLLM's fields for it.
    static func chat(_ root: JSONNode) throws(MockRefusal) -> RequestView.Chat {
        guard let messages = root["messages"], messages.kind == .array else { throw MockRefusal("messages: missing") }
        var chat = RequestView.Chat(messages: messages)
        chat.tools = root["tools"].flatMap { $0.isNull || $0.count == 0 ? nil : $0 }
        chat.addGenerationPrompt = root["add_generation_prompt"]?.bool ?? true
        chat.continueFinalMessage = root["continue_final_message"]?.bool ?? false
        chat.addSpecialTokens = root["add_special_tokens"]?.bool
        return chat
    }

    private mutating func readOpenAI(_ root: JSONNode) throws(MockRefusal) {
        model = root["model"]?.string
        streams = root["stream"]?.bool ?? false
        includeUsage = root["stream_options"]?["include_usage"]?.bool ?? false
        choicesCount = Self.count(root["n"]) ?? 1
        bestOf = max(choicesCount, Self.count(root["best_of"]) ?? 1)
        guard (1...128).contains(choicesCount) else { throw MockRefusal("n: out of range") }
        readStops(root["stop"])
    }

    private mutating func readPrompt(_ prompt: JSONNode?) throws(MockRefusal) {
        guard let prompt else { throw MockRefusal("prompt: missing") }
        if let text = prompt.stringBytes {
            prompts = [text]
        } else if prompt.kind == .array {
            var ids = 0
            for element in prompt.elements {
                if let text = element.stringBytes {
                    prompts.append(text)
                } else if element.kind == .array {
                    promptIDCounts.append(element.count)
                } else {
                    ids += 1
                }
            }
            if ids > 0 { promptIDCounts.append(ids) }
        }
        guard !prompts.isEmpty || !promptIDCounts.isEmpty else { throw MockRefusal("prompt: empty") }
    }

    private mutating func readTGI(_ root: JSONNode) throws(MockRefusal) {
        guard let text = root["inputs"]?.stringBytes else { throw MockRefusal(status: 422, "inputs: missing") }
        prompts = [text]
        let parameters = root["parameters"]
        outputLimit = Self.limit(parameters?["max_new_tokens"])
        bestOf = Self.count(parameters?["best_of"]) ?? 1
        details = parameters?["details"]?.bool ?? false
        prefillDetails = parameters?["decoder_input_details"]?.bool ?? false
        returnsFullText = parameters?["return_full_text"]?.bool ?? false
        readStops(parameters?["stop"])
    }

    private mutating func readStops(_ stop: JSONNode?) {
        guard let stop else { return }
        if let text = stop.stringBytes { stops = [text] }
        for element in stop.elements { if let text = element.stringBytes { stops.append(text) } }
        stops.removeAll { $0.isEmpty }
    }

    private static func limit(_ node: JSONNode?) -> Int? { node?.integer.map { max(0, Int($0)) } }

    private static func count(_ node: JSONNode?) -> Int? { node?.integer.flatMap { $0 > 0 ? Int($0) : nil } }

    /// The text that `echo` gives back and that scripts look into: the last user message, or the first prompt.
    var lastUserText: [UInt8] {
        guard let messages else { return prompts.first ?? [] }
        var last: [UInt8] = []
        for message in messages.elements where message["role"]?.isString("user") ?? false {
            if let text = message["content"]?.stringBytes {
                last = text
            } else if let parts = message["content"]?.elements {
                last = parts.flatMap { $0["text"]?.stringBytes ?? [] }
            }
        }
        return last
    }
}
