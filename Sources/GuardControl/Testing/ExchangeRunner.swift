import GuardBudgets
import GuardCore
import GuardDecisionLog
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardRules
import GuardTokenizers
import Synchronization

/// Puts one request and its answer through the engine as the proxy does, without a socket.
struct ExchangeRunner {
    struct Outcome: Sendable {
        var action: Action
        var rules: Set<RuleID>
        /// What is left of the text that a case looks at: the last user text of a request, the first choice of an
        /// answer.
        var text: [UInt8]
        /// Nothing was found in either phase and nothing was left unread.
        var isClean = true
        /// Bytes of a streamed answer that had left after each of its pieces.
        var released: [Int] = []
    }

    struct Failure: Error {
        var message: String
    }

    /// Seed 0 cuts after every byte.
    static func name(of seed: UInt64) -> String { seed == 0 ? "cut after every byte" : "random cuts \(seed)" }

    let bundle: RuleBundle
    /// Of `tokens` conditions, by the name in the rule.
    var tokenizers: [String: Tokenizer] = [:]

    /// - Parameter cut: how a stream is cut, by seed; nil: not at all.
    func run(_ test: RuleCase, cut: UInt64?) async throws(Failure) -> Outcome {
        guard let api = API(rawValue: test.api) else { throw Failure(message: "unknown api") }
        let run = Run(bundle: bundle, tokenizers: tokenizers, api: api, model: test.model, tenant: test.tenant)
        switch test.subject {
        case .text: throw Failure(message: "a text is no exchange")
        case .request(let body): return try await run.request(body, path: test.path)
        case .response(let body):
            return try await run.answer(whole: body, path: test.path)
        case .stream(let body):
            return try await run.answer(stream: Self.pieces(body, cut), path: test.path)
        }
    }

    /// - Parameters:
    ///   - text: what a model says in one choice of a chat; UTF-8.
    ///   - cut: nil: as a whole answer. Else as a stream whose events and writes are cut by this seed.
    func answer(text: [UInt8], cut: UInt64?) async throws(Failure) -> Outcome {
        let run = Run(bundle: bundle, tokenizers: tokenizers, api: .openai, model: nil, tenant: nil)
        let path = "/v1/chat/completions"
        guard let cut else {
            var writer = JSONWriter()
            writer.object {
                $0.key("choices")
                $0.array {
                    $0.object {
                        $0.member("index", 0)
                        $0.key("message")
                        $0.object {
                            $0.member("role", "assistant")
                            $0.member("content", utf8: text)
                        }
                        $0.member("finish_reason", "stop")
                    }
                }
            }
            return try await run.answer(whole: writer.bytes, path: path)
        }
        var body: [UInt8] = []
        var at = 0
        for piece in Self.pieces(text, cut) {
            // An event holds whole scalars: the rest of one goes into the next event.
            let end = MockCompletion.wholeScalarsEnd(Array(text[..<min(text.count, at + piece.count)]))
            if end > at { body += Self.event(text[at..<end], finish: nil) }
            at = max(at, end)
        }
        if at < text.count { body += Self.event(text[at...], finish: nil) }
        body += Self.event([], finish: "stop") + Array("data: [DONE]\n\n".utf8)
        // Writes of whole events: cuts within them are the stream decoder's business, and much slower.
        return try await run.answer(stream: Self.pieces(body, cut == 0 ? nil : cut), path: path)
    }

    private static func event(_ text: ArraySlice<UInt8>, finish: String?) -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.key("choices")
            $0.array {
                $0.object {
                    $0.member("index", 0)
                    $0.key("delta")
                    $0.object { if finish == nil { $0.member("content", utf8: text) } }
                    if let finish { $0.member("finish_reason", finish) } else { $0.memberNull("finish_reason") }
                }
            }
        }
        return MockCompletion.event(writer.bytes)
    }

    private static func pieces(_ bytes: [UInt8], _ seed: UInt64?) -> [[UInt8]] {
        guard let seed else { return [bytes] }
        var generator = SplitMix64(state: seed)
        var pieces: [[UInt8]] = []
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + (seed == 0 ? 1 : Int.random(in: 1...32, using: &generator)))
            pieces.append(Array(bytes[at..<end]))
            at = end
        }
        return pieces
    }
}

/// One exchange with an engine of its own.
private struct Run {
    typealias Failure = ExchangeRunner.Failure
    typealias Outcome = ExchangeRunner.Outcome

    /// Keeps the record of the exchange.
    private final class Observer: EngineObserver {
        let record = Mutex<DecisionRecord?>(nil)
        func ended(_ record: DecisionRecord, tenantLabel: String) { self.record.withLock { $0 = record } }
    }

    private let engine: Engine
    private let observer = Observer()
    private let model: String
    private let tenant: String?
    private let options: PolicyOptions

    init(bundle: RuleBundle, tokenizers: [String: Tokenizer], api: API, model: String?, tenant: String?) {
        var options = PolicyOptions()
        options.request.api = api
        self.options = options
        self.model = model ?? "any"
        self.tenant = tenant
        let catalog = ModelCatalog(
            entries: [ModelEntry(match: Glob("*"))], unknown: .estimate, defaultModel: self.model)
        engine = Engine(
            snapshot: PolicySnapshot(
                options: options, catalog: catalog, bundle: bundle, ruleTokenizers: tokenizers),
            tenants: TenantResolver(sources: [TenantSource(.header("x-tenant"), as: .plain, trusted: true)]),
            observer: observer)
    }

    func request(_ body: [UInt8], path: String) async throws(Failure) -> Outcome {
        let (exchange, endpoint) = try await open(path)
        var text: [UInt8] = []
        switch await exchange.admit(body: body).value() {
        case .forward(_, let forwarded):
            text = try lastUserText(endpoint, forwarded)
            exchange.finish(.clientGone)
        case .refuse: exchange.finish(.complete)
        }
        return try outcome(.input, text)
    }

    func answer(whole body: [UInt8], path: String) async throws(Failure) -> Outcome {
        let exchange = try await asked(path, streams: false)
        guard exchange.answerHead(status: 200, contentType: "application/json") != .inspect else {
            throw Failure(message: "a whole answer was taken for a stream")
        }
        let answer = exchange.answer(whole: body)
        exchange.finish(.complete)
        return try outcome(.output, answer.status == 200 ? DeliveredText.whole(answer.body) : [])
    }

    func answer(stream pieces: [[UInt8]], path: String) async throws(Failure) -> Outcome {
        let exchange = try await asked(path, streams: true)
        guard exchange.answerHead(status: 200, contentType: "text/event-stream") == .inspect else {
            throw Failure(message: "the stream was not taken for one")
        }
        var output: [UInt8] = []
        var released: [Int] = []
        var ended = false
        for piece in pieces where !ended {
            let step = exchange.answer(bytes: piece)
            output += step.output
            released.append(output.count)
            ended = step.ends
        }
        if !ended { output += exchange.answerEnded(complete: true).output }
        exchange.finish(.complete)
        var outcome = try outcome(.output, DeliveredText.stream(output))
        outcome.released = released
        return outcome
    }

    private func open(_ path: String) async throws(Failure) -> (Exchange, Endpoint) {
        var headers = [(name: "content-type", value: "application/json")]
        if let tenant { headers.append((name: "x-tenant", value: tenant)) }
        let exchange = engine.makeExchange(Arrival(method: "POST", target: path, headers: headers))
        guard case .judge = await exchange.open().value(),
            case .guarded(let endpoint, _) = engine.snapshot.router.route(method: "POST", target: path)
        else { throw Failure(message: "\(path) is no guarded endpoint of this api") }
        return (exchange, endpoint)
    }

    /// An exchange that is waiting for its answer.
    private func asked(_ path: String, streams: Bool) async throws(Failure) -> Exchange {
        let (exchange, endpoint) = try await open(path)
        var writer = JSONWriter()
        writer.object {
            switch endpoint {
            case .chatCompletions:
                $0.member("model", model)
                $0.key("messages")
                $0.array {
                    $0.object {
                        $0.member("role", "user")
                        $0.member("content", "")
                    }
                }
                $0.member("stream", streams)
            case .completions:
                $0.member("model", model)
                $0.member("prompt", "")
                $0.member("stream", streams)
            case .generate, .generateStream: $0.member("inputs", "")
            case .compatGenerate:
                $0.member("inputs", "")
                $0.member("stream", streams)
            }
        }
        guard case .forward = await exchange.admit(body: writer.bytes).value() else {
            throw Failure(message: "the request before the answer was refused")
        }
        return exchange
    }

    private func lastUserText(_ endpoint: Endpoint, _ body: [UInt8]) throws(Failure) -> [UInt8] {
        do {
            let view = try RequestView.parse(endpoint, body: body, options: options.request)
            return view.segments.last { $0.role == .user }?.text ?? []
        } catch {
            throw Failure(message: "what would be forwarded cannot be read: \(error.message)")
        }
    }

    private func outcome(_ phase: Phase, _ text: [UInt8]) throws(Failure) -> Outcome {
        guard let record = observer.record.withLock({ $0 }) else { throw Failure(message: "no decision record") }
        let findings = record.findings.filter { $0.phase == phase }
        return Outcome(
            action: record.action, rules: Set(findings.map(\.rule)), text: text,
            isClean: record.findings.isEmpty && record.scan.complete)
    }
}

/// The text of the first choice in what a client gets.
enum DeliveredText {
    static func whole(_ body: [UInt8]) -> [UInt8] {
        guard let root = (try? JSONDocument(body))?.root else { return [] }
        let choice = root["choices"]?[0]
        let first = root.kind == .array ? root[0] : root
        return (choice?["message"]?["content"] ?? choice?["text"] ?? first?["generated_text"])?.stringBytes ?? []
    }

    static func stream(_ body: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        for line in body.split(separator: UInt8(ascii: "\n")) where line.starts(with: "data:".utf8) {
            guard let root = (try? JSONDocument(Array(line.dropFirst(5))))?.root else { continue }
            if let token = root["token"]?["text"]?.stringBytes {
                text += token
                continue
            }
            guard let choices = root["choices"] else { continue }
            for choice in choices.elements where choice["index"]?.integer ?? 0 == 0 {
                text += (choice["delta"]?["content"] ?? choice["text"])?.stringBytes ?? []
            }
        }
        return text
    }
}
