/// What kind of server the upstream is (`upstream.api`). Decides which endpoints exist and which fields it reads.
package enum API: String, Sendable, Hashable, CaseIterable {
    case auto, openai, vllm, tgi, triton, kserve, ollama, llamacpp, anthropic, sglang, tei

    /// Which of the two fields of a chat request limits the answer if neither is given. Old vLLM, TGI and llama.cpp
    /// know only `max_tokens`; OpenAI's reasoning models refuse it.
    var insertsMaxCompletionTokens: Bool { self == .openai }
}

/// In whose words errors, streams and ends are written.
package enum APIShape: String, Sendable, Hashable, CaseIterable {
    case openAI, tgi

    /// For a request that no endpoint reads: what the client of that path understands. Those of Triton and Ollama want
    /// the text of an error where OpenAI has an object.
    package init(unguarded target: String, api: API) {
        self = api == .tgi || target.hasPrefix("/v2/") || target.hasPrefix("/api/") ? .tgi : .openAI
    }
}

/// An endpoint whose requests and answers are read. To add one: a case here, a row in `EndpointTable`, a type that
/// conforms to `EndpointSchema`, named in `schema`.
package enum Endpoint: String, Sendable, Hashable, CaseIterable {
    case chatCompletions = "openai.chat"
    case completions = "openai.completions"
    case generate = "tgi.generate"
    case generateStream = "tgi.generate_stream"
    /// TGI's `POST /` (and `/invocations`): `stream` in the body picks the shape, a whole answer is an array.
    case compatGenerate = "tgi.compat"

    package var shape: APIShape {
        switch self {
        case .chatCompletions, .completions: .openAI
        case .generate, .generateStream, .compatGenerate: .tgi
        }
    }

    /// Completion tokens that the API grants where the request names no limit; `nil`: no default of the API (what is
    /// left of the context). Source: OpenAI reference and vLLM, `max_tokens` of completions.
    package var defaultOutputLimit: Int? { self == .completions ? 16 : nil }

    var schema: any EndpointSchema.Type {
        switch self {
        case .chatCompletions: ChatCompletions.self
        case .completions: Completions.self
        case .generate, .generateStream, .compatGenerate: Generate.self
        }
    }
}
