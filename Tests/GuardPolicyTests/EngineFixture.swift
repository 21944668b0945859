import Foundation
import GuardBudgets
import GuardChatTemplates
import GuardCore
import GuardDecisionLog
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardRules
import GuardTesting
import GuardTokenizers
import Synchronization
import Testing

/// An engine with our own small tokenizer, and everything that it recorded.
final class EngineFixture {
    final class Catcher: EngineObserver {
        let records = Mutex<[DecisionRecord]>([])
        func ended(_ record: DecisionRecord, tenantLabel: String) { records.withLock { $0.append(record) } }
    }

    static let tokenizer = Result { try Tokenizer.load(path: TestData.fixtures.appending(path: "tokenizers/byte-level").path) }
    static let templates = Result {
        let folder = TestData.fixtures.appending(path: "tokenizers/byte-level")
        let json = try [UInt8](Data(contentsOf: folder.appending(path: "tokenizer_config.json")))
        return try ModelTemplates(TokenizerConfig(json: json))
    }

    static let rules = """
        ruleset: test
        rules:
          - id: card
            on: [input, output]
            match: {pcre: '\\b(?:\\d[ -]?){12,18}\\d\\b', validate: luhn}
            view: raw
            action: mask
            mask: '[CARD]'
            severity: high
          - id: forbidden
            on: [input, output]
            match: {words: [xyzzy]}
            action: block
            severity: critical
          - id: watched
            on: [input, output]
            match: {words: [plugh]}
            action: block
            mode: monitor
            severity: low
        """

    let catcher = Catcher()
    let engine: Engine
    let entry: ModelEntry

    init(
        rules: String = EngineFixture.rules, resources: [RuleBundle.File] = [], budgets: [Budget] = [], unknown: ModelCatalog.Unknown = .refuse,
        clock: UTCClock = .system, _ change: (inout PolicyOptions, inout ModelEntry) -> Void = { _, _ in }
    ) throws {
        var options = PolicyOptions()
        var entry = ModelEntry(
            match: Glob("demo*"), tokenizer: try Self.tokenizer.get(), templates: try Self.templates.get(),
            contextWindow: 1000, maxInputTokens: 200, defaultCompletionTokens: 64)
        change(&options, &entry)
        self.entry = entry
        let bundle = try RuleBundle(files: [.init(path: "test.yaml", content: Array(rules.utf8))], resources: resources)
        engine = Engine(
            snapshot: PolicySnapshot(
                options: options, catalog: ModelCatalog(entries: [entry], unknown: unknown, defaultModel: "demo"),
                bundle: bundle, budgets: budgets),
            store: MemoryBudgetStore(clock: clock), tenants: TenantResolver(
                sources: [TenantSource(.header("x-tenant"), as: .plain, trusted: true)]),
            observer: catcher)
    }

    /// The only record so far.
    var record: DecisionRecord {
        get throws {
            let records = catcher.records.withLock { $0 }
            return try #require(records.count == 1 ? records.first : nil, "one record, not \(records.count)")
        }
    }

    enum Outcome {
        case forwarded(String, Exchange)
        case refused(GuardResponse)

        var body: String? { if case .forwarded(let body, _) = self { body } else { nil } }
        var exchange: Exchange? { if case .forwarded(_, let exchange) = self { exchange } else { nil } }
        var response: GuardResponse? { if case .refused(let response) = self { response } else { nil } }
        /// `status code`, e.g. `400 content_policy_violation`.
        var refusal: String? {
            guard let response else { return nil }
            let error = (try? JSONDocument(response.body))?.root
            let code = error?["error"]?["code"]?.string ?? error?["error_type"]?.string ?? "?"
            return "\(response.status) \(code)"
        }
    }

    /// Sends one request as far as the model server would get it.
    func send(
        _ body: String, path: String = "/v1/chat/completions", method: String = "POST", tenant: String = "acme",
        contentType: String? = "application/json", headers: [(name: String, value: String)] = []
    ) async -> Outcome {
        var fields = [(name: "x-tenant", value: tenant)] + headers
        if let contentType { fields.append((name: "content-type", value: contentType)) }
        let exchange = engine.makeExchange(Arrival(method: method, target: path, headers: fields))
        switch await exchange.open().value() {
        case .refuse(let response):
            exchange.finish(.complete)
            return .refused(response)
        case .pass: return .forwarded(body, exchange)
        case .judge: break
        }
        switch await exchange.admit(body: Array(body.utf8)).value() {
        case .refuse(let response):
            exchange.finish(.complete)
            return .refused(response)
        case .forward(_, let body): return .forwarded(String(decoding: body, as: UTF8.self), exchange)
        }
    }

    static func chat(_ text: String, _ more: String = "") -> String {
        #"{"model":"demo","messages":[{"role":"user","content":"\#(text)"}]\#(more)}"#
    }

    static func answer(_ text: String, usage: String = #"{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}"#)
        -> [UInt8]
    {
        Array(
            #"{"id":"c","object":"chat.completion","created":1,"model":"demo","choices":[{"index":0,"message":{"role":"assistant","content":"\#(text)"},"finish_reason":"stop"}],"usage":\#(usage)}"#
                .utf8)
    }
}
