import GuardCore
import GuardJSON

/// Turns a request into the reply that the options, the script and the request's `x-mock-…` headers ask for.
package struct MockResponder: Sendable {
    package struct Options: Sendable {
        package var model = "mock"
        package var answer = MockAnswer(text: Array("The quick brown fox jumps over the lazy dog.".utf8))
        package var script = MockAnswer.Script()
        /// How the bytes on the wire are cut; nil is one write an event.
        package var chunks: MockCut?
        /// How the text is cut into events; nil is one token an event.
        package var deltas: MockCut?
        package var pauseMilliseconds = 0
        package var contextWindow: Int?

        package init() {}
    }

    let options: Options
    let counting: any MockCounting

    package init(_ options: Options = Options(), counting: any MockCounting = WordCounting()) {
        self.options = options
        self.counting = counting
    }

    /// - Parameters:
    ///   - target: the request target as sent.
    ///   - header: the first field of a name.
    package func reply(
        method: String, target: String, header: (String) -> String?, body: [UInt8]
    ) -> MockReply {
        let path = target.prefix { $0 != "?" }
        let endpoint: MockRequest.Endpoint
        switch (method, path) {
        case ("POST", "/v1/chat/completions"): endpoint = .chat
        case ("POST", "/v1/completions"): endpoint = .completions
        case ("POST", "/generate"): endpoint = .tgi(streams: false)
        case ("POST", "/generate_stream"): endpoint = .tgi(streams: true)
        case ("POST", "/"): endpoint = .tgiCompatible
        case ("POST", "/tokenize"), ("POST", "/chat_tokenize"), ("POST", "/apply-template"):
            guard let model = counting as? ModelCounting else { return metadata(method: method, path: String(path)) }
            do throws(MockRefusal) {
                return .json(200, try MockTokenization(model: model, path: String(path), body: body).answer)
            } catch {
                return refusal(error, endpoint: path == "/chat_tokenize" ? .tgiCompatible : .chat)
            }
        default: return metadata(method: method, path: String(path))
        }
        var fault = MockFault()
        var reply: MockReply
        do throws(MockRefusal) {
            if let text = header("x-mock-fault") {
                guard let read = MockFault(text) else {
                    throw MockRefusal("x-mock-fault: one of \(MockFault.names.joined(separator: ", "))")
                }
                fault = read
            }
            if let status = fault.status { throw MockRefusal(status: status, "the fault that was asked for") }
            let request = try MockRequest(endpoint, body: body)
            let answer = try MockCompletion(
                request, answer: try answer(to: request, header: header),
                deltas: try cut("x-mock-delta-bytes", header) ?? options.deltas,
                fault: fault, responder: self)
            reply = fault.garbage ? garbage(request) : answer.reply()
            reply.pauseMilliseconds = header("x-mock-delay-ms").flatMap { Int($0) } ?? options.pauseMilliseconds
            if let cut = try cut("x-mock-chunk-bytes", header) ?? options.chunks { reply.cut(cut) }
        } catch {
            reply = refusal(error, endpoint: endpoint)
        }
        fault.apply(to: &reply)
        return reply
    }

    private func answer(
        to request: MockRequest, header: (String) -> String?
    ) throws(MockRefusal) -> MockAnswer {
        var answer: MockAnswer
        if let text = header("x-mock-answer") {
            do { answer = try MockAnswer(header: text) } catch { throw MockRefusal("\(error)") }
        } else {
            answer = options.script.answer(to: request.lastUserText) ?? options.answer
        }
        if answer.echoes { answer = MockAnswer(text: request.lastUserText) }
        return answer
    }

    private func cut(_ name: String, _ header: (String) -> String?) throws(MockRefusal) -> MockCut? {
        guard let text = header(name) else { return nil }
        guard let cut = MockCut(text) else { throw MockRefusal("\(name): a number, `random` or `random:SEED`") }
        return cut
    }

    /// An answer with the right status and content type that is nothing of the API.
    private func garbage(_ request: MockRequest) -> MockReply {
        request.streams
            ? .events([Array("data: {\"choices\": [oops\n\n".utf8), Array("\u{1}\u{2}garbage".utf8)])
            : .json(200, Array("{\"choices\": [oops".utf8))
    }

    // MARK: Errors and metadata

    func refusal(_ refusal: MockRefusal, endpoint: MockRequest.Endpoint) -> MockReply {
        var writer = JSONWriter()
        switch endpoint {
        case .chat, .completions:
            writer.object {
                $0.key("error")
                $0.object {
                    $0.member("message", refusal.message)
                    $0.member("type", refusal.status < 500 ? "BadRequestError" : "InternalServerError")
                    $0.memberNull("param")
                    if let code = refusal.code { $0.member("code", code) } else { $0.member("code", refusal.status) }
                }
            }
        case .tgi, .tgiCompatible:
            writer.object {
                $0.member("error", refusal.message)
                $0.member("error_type", refusal.status < 500 ? "validation" : "generation")
            }
        }
        return .json(refusal.status, writer.bytes)
    }

    private func metadata(method: String, path: String) -> MockReply {
        guard method == "GET" || method == "HEAD" else { return .json(404, Array(#"{"detail":"Not Found"}"#.utf8)) }
        var writer = JSONWriter()
        switch path {
        case "/health", "/ping": return MockReply(contentType: "text/plain", body: [])
        case "/version":
            writer.object { $0.member("version", "mock") }
        case "/v1/models":
            writer.object {
                $0.member("object", "list")
                $0.key("data")
                $0.array {
                    $0.object {
                        $0.member("id", options.model)
                        $0.member("object", "model")
                        $0.member("created", 1_700_000_000)
                        $0.member("owned_by", "mock")
                        if let window = options.contextWindow { $0.member("max_model_len", window) }
                    }
                }
            }
        case "/info":
            writer.object {
                $0.member("model_id", options.model)
                $0.member("max_concurrent_requests", 128)
                $0.member("max_best_of", 4)
                if let window = options.contextWindow {
                    $0.member("max_input_tokens", window - 1)
                    $0.member("max_total_tokens", window)
                }
                $0.member("version", "mock")
            }
        default: return .json(404, Array(#"{"detail":"Not Found"}"#.utf8))
        }
        return .json(200, writer.bytes)
    }

    // MARK: What tests ask about

    package func describe(last: MockState.Request?) -> MockReply {
        guard let last else { return .json(404, Array("null".utf8)) }
        var writer = JSONWriter(reserving: last.body.count + 512)
        writer.object {
            $0.member("method", last.method)
            $0.member("target", last.target)
            $0.key("headers")
            $0.array {
                for (name, value) in last.headers {
                    $0.array {
                        $0.string(name)
                        $0.string(value)
                    }
                }
            }
            // Repaired where it is not UTF-8: this is for reading.
            $0.member("body", String(decoding: last.body, as: UTF8.self))
        }
        return .json(200, writer.bytes)
    }

    package func describe(stats: MockState.Stats) -> MockReply {
        var writer = JSONWriter()
        writer.object {
            $0.member("requests", stats.requests)
            $0.member("aborted", stats.aborted)
            $0.member("connectionsOpen", stats.connectionsOpen)
            $0.member("connectionsTotal", stats.connectionsTotal)
        }
        return .json(200, writer.bytes)
    }
}
