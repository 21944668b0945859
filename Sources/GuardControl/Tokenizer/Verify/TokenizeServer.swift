import GuardJSON
import GuardLLMSchema

/// A live model server, asked how it tokenizes: `/tokenize` in its own shape where there is one, else `usage` of an
/// answer of one token.
///
/// Sources: vLLM `entrypoints/openai/protocol.py` (`TokenizeCompletionRequest`, `TokenizeChatRequest`);
/// text-generation-inference `router/src/server.rs` (`tokenize`, `get_chat_tokenize`); llama.cpp `tools/server/README.md`
/// (`/tokenize`, `/apply-template`); Ollama `docs/api.md` (`prompt_eval_count`).
struct TokenizeServer {
    enum API: String, CaseIterable, Sendable {
        case openai, vllm, tgi, llamacpp, ollama
    }

    /// The server cannot be asked: nothing is compared.
    struct Failure: Error, CustomStringConvertible { var description: String }

    let http: HTTPFetcher
    let url: ServerURL
    /// `Authorization` and the like.
    let headers: [(String, String)]
    private(set) var api: API
    private(set) var model: String
    /// `nil` until it was tried.
    private var hasTokenize: Bool?

    /// How ids and counts were got, for the report.
    var evidence: String {
        switch (api, hasTokenize ?? false) {
        case (.ollama, _): "prompt_eval_count"
        case (_, true): "/tokenize"
        case (_, false): "usage"
        }
    }

    init(
        http: HTTPFetcher, url: ServerURL, headers: [(String, String)], api: API?, model: String?
    ) async throws {
        self.http = http
        self.url = url
        self.headers = headers
        let known = api == nil || model == nil ? try await Self.detected(http, url, headers) : nil
        guard let api = api ?? known?.api else {
            throw Failure(description: "\(url.text): error: neither /v1/models nor /info says what it is: give --api")
        }
        self.api = api
        self.model = model ?? known?.model ?? ""
        if api == .openai || api == .ollama { hasTokenize = false }
    }

    // MARK: What it is

    private static func detected(
        _ http: HTTPFetcher, _ url: ServerURL, _ headers: [(String, String)]
    ) async throws -> (api: API, model: String)? {
        let models = try await http.send("GET", url.appending("/v1/models"), headers: headers)
        if models.status == 401 || models.status == 403 {
            throw Failure(description: "\(url.text): error: the server answers \(models.status): give --token-file")
        }
        if models.status == 200, let root = try? JSONDocument(models.body).root, let first = root["data"]?[0],
            let id = first["id"]?.string
        {
            switch first["owned_by"]?.string {
            case "vllm": return (.vllm, id)
            case "llamacpp": return (.llamacpp, id)
            case "library", "ollama": return (.ollama, id)
            case id: return (.tgi, id)
            default: return (.openai, id)
            }
        }
        let info = try await http.send("GET", url.appending("/info"), headers: headers)
        if info.status == 200, let root = try? JSONDocument(info.body).root, let id = root["model_id"]?.string {
            return (.tgi, id)
        }
        return nil
    }

    // MARK: Counting

    mutating func counted(_ input: VerifyCase.Input) async throws -> CountedPrompt {
        if hasTokenize != false {
            let answer: CountedPrompt?
            switch input {
            case .text(let text): answer = try await tokenized(text: text)
            case .chat(let chat): answer = try await tokenized(chat: chat)
            }
            if let answer {
                hasTokenize = true
                return answer
            }
            if hasTokenize == true {
                throw Failure(description: "\(url.text): error: /tokenize answered before and does not any more")
            }
            hasTokenize = false
        }
        return try await used(input)
    }

    /// - Returns: `nil` where there is no such endpoint.
    private func tokenized(text: [UInt8]) async throws -> CountedPrompt? {
        var body = JSONWriter()
        body.object {
            switch api {
            case .vllm, .openai, .ollama:
                $0.member("model", model)
                $0.member("prompt", utf8: text)
                $0.member("add_special_tokens", true)
            case .tgi: $0.member("inputs", utf8: text)
            case .llamacpp:
                $0.member("content", utf8: text)
                $0.member("add_special", true)
                $0.member("parse_special", true)
            }
        }
        return try await post("/tokenize", body.bytes, optional: true) { try ids(in: $0, "/tokenize") }
    }

    private func tokenized(chat: RequestView.Chat) async throws -> CountedPrompt? {
        switch api {
        case .vllm, .openai, .ollama:
            var body = JSONWriter()
            body.object {
                $0.member("model", model)
                write(chat, &$0)
                $0.member("add_generation_prompt", chat.addGenerationPrompt)
                $0.member("continue_final_message", chat.continueFinalMessage)
            }
            return try await post("/tokenize", body.bytes, optional: true) { try ids(in: $0, "/tokenize") }
        case .tgi:
            var body = JSONWriter()
            body.object {
                $0.member("model", model)
                write(chat, &$0)
            }
            return try await post("/chat_tokenize", body.bytes, optional: true) { root in
                guard let tokens = root["tokenize_response"], let text = root["templated_text"]?.stringBytes else {
                    throw unexpected("/chat_tokenize")
                }
                var prompt = try ids(in: tokens, "/chat_tokenize")
                prompt.rendered = text
                return prompt
            }
        case .llamacpp:
            var body = JSONWriter()
            body.object { write(chat, &$0) }
            let applied = try await post("/apply-template", body.bytes, optional: true) { root in
                guard let text = root["prompt"]?.stringBytes else { throw unexpected("/apply-template") }
                return CountedPrompt(rendered: text)
            }
            guard let applied, let text = applied.rendered else { return applied }
            var prompt = try await tokenized(text: text)
            prompt?.rendered = text
            return prompt
        }
    }

    /// What `usage` says about a prompt whose answer is one token.
    private func used(_ input: VerifyCase.Input) async throws -> CountedPrompt {
        var body = JSONWriter()
        body.object {
            $0.member("model", model)
            $0.member("stream", false)
            switch (input, api) {
            case (.text(let text), .ollama):
                $0.member("prompt", utf8: text)
                $0.member("raw", true)
            case (.text(let text), _): $0.member("prompt", utf8: text)
            case (.chat(let chat), _):
                write(chat, &$0)
                // vLLM's own fields; other servers would refuse or ignore them.
                if !chat.addGenerationPrompt { $0.member("add_generation_prompt", false) }
                if chat.continueFinalMessage { $0.member("continue_final_message", true) }
            }
            if api == .ollama {
                $0.key("options")
                $0.object { $0.member("num_predict", 1) }
            } else {
                $0.member("max_tokens", 1)
            }
        }
        let isText = if case .text = input { true } else { false }
        let path =
            api == .ollama
            ? (isText ? "/api/generate" : "/api/chat") : (isText ? "/v1/completions" : "/v1/chat/completions")
        let answer = try await post(path, body.bytes, optional: false) { root in
            let count = api == .ollama ? root["prompt_eval_count"] : root["usage"]?["prompt_tokens"]
            guard let count = count?.integer.flatMap({ Int(exactly: $0) }), count >= 0 else {
                throw Failure(description: "\(url.text)\(path): error: an answer without a count of the prompt's tokens")
            }
            return CountedPrompt(count: count)
        }
        guard let answer else { throw Failure(description: "\(url.text)\(path): error: there is no such endpoint") }
        return answer
    }

    // MARK: Requests

    private func write(_ chat: RequestView.Chat, _ writer: inout JSONWriter) {
        writer.key("messages")
        writer.raw(chat.messages.rawBytes)
        if let tools = chat.tools {
            writer.key("tools")
            writer.raw(tools.rawBytes)
        }
    }

    /// - Parameter optional: whether an endpoint that does not exist is an answer too.
    private func post(
        _ path: String, _ body: [UInt8], optional: Bool, _ read: (JSONNode) throws -> CountedPrompt
    ) async throws -> CountedPrompt? {
        let answer = try await http.send("POST", url.appending(path), headers: headers, body: body)
        switch answer.status {
        case 200:
            guard let root = try? JSONDocument(answer.body).root else { throw unexpected(path) }
            return try read(root)
        case 404, 405, 501:
            if optional { return nil }
            throw Failure(description: "\(url.text)\(path): error: \(answer.status): \(Self.message(answer.body))")
        case 400, 413, 422: return CountedPrompt(refusal: "\(answer.status): \(Self.message(answer.body))")
        default:
            throw Failure(
                description: "\(url.text)\(path): error: the server answers \(answer.status): \(Self.message(answer.body))")
        }
    }

    private func unexpected(_ path: String) -> Failure {
        Failure(description: "\(url.text)\(path): error: the answer is not what \(api.rawValue) answers: is --api right?")
    }

    /// Of vLLM `tokens`, of llama.cpp too; of TGI a list of objects.
    private func ids(in root: JSONNode, _ path: String) throws -> CountedPrompt {
        let list = root.kind == .array ? root : root["tokens"]
        guard let list, list.kind == .array else { throw unexpected(path) }
        var ids: [UInt32] = []
        ids.reserveCapacity(list.count)
        for element in list.elements {
            let id = element.kind == .object ? element["id"] : element
            guard let value = id?.integer, let id = UInt32(exactly: value) else { throw unexpected(path) }
            ids.append(id)
        }
        return CountedPrompt(ids: ids, count: ids.count)
    }

    /// The message of an error body of any API, cut to a line.
    private static func message(_ body: [UInt8]) -> String {
        let root = try? JSONDocument(body).root
        let text =
            root?["error"]?["message"]?.string ?? root?["error"]?.string ?? root?["message"]?.string
            ?? root?["detail"]?.string ?? String(decoding: body.prefix(200), as: UTF8.self)
        return String(text.prefix(300)).replacing("\n", with: " ")
    }
}
