package import GuardBudgets
import GuardCore
import GuardDecisionLog
import GuardLLMSchema
import GuardRules
import Synchronization

/// One request on its way through the guard, from its head to its record (the steps of DESIGN section 1).
///
/// `open`, `admit`, then the answer by one of the plans, then `finish`; at each step the guard may answer itself. It
/// knows neither HTTP library nor event loop: bytes in, values out.
///
/// Unchecked `Sendable`: it is used by one thread at a time. Who hands it to another thread does not touch it until it
/// comes back.
package final class Exchange: @unchecked Sendable {
    package enum Gate: Sendable {
        /// Collect the body, then `admit` it.
        case judge
        /// Nothing to read: forward as it is.
        case pass(target: String)
        case refuse(GuardResponse)
    }

    package enum Admission: Sendable {
        case forward(target: String, body: [UInt8])
        case refuse(GuardResponse)
    }

    let engine: Engine
    let snapshot: PolicySnapshot
    let arrival: Arrival
    var record: DecisionRecord
    var tenant = Tenant.anonymous
    var endpoint: Endpoint?
    var target = ""
    var account: BudgetAccount?
    var model: ModelEntry?
    var modelName: String?
    var view: RequestView?
    var promptTokens = 0
    /// The limit that was forwarded, of one answer.
    var outputLimit: Int?
    var answersMax = 1
    /// Something went to the model server, so there is something to charge.
    var wasForwarded = false
    var answer = AnswerState()
    /// Texts that reversible masks took out of the prompt. Never recorded.
    var placeholders = PlaceholderTable()
    let startNanoseconds = monotonicNanoseconds()
    private var finished = false

    init(engine: Engine, arrival: Arrival) {
        self.engine = engine
        self.arrival = arrival
        snapshot = engine.snapshot
        record = DecisionRecord(
            id: engine.ids.next(), start: .now(), api: Label(snapshot.options.request.api.rawValue), route: "unguarded",
            kind: "unguarded", mode: snapshot.options.mode, policy: snapshot.policyRecord)
        record.requestId = arrival.header("x-request-id").map { Label($0) }
        record.traceId = arrival.header("traceparent").flatMap(Self.traceID).map { Label($0) }
        engine.observer.begun()
    }

    deinit { finish(.clientGone) }

    /// Nothing is refused, edited or held: what comes is what goes.
    package var isMonitoring: Bool { snapshot.options.mode != .enforce }
    var shape: APIShape {
        endpoint?.shape ?? APIShape(unguarded: arrival.target, api: snapshot.options.request.api)
    }

    /// Header fields of every answer to this request.
    package var responseHeaders: [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = [("x-guard-decision-id", record.id.description)]
        if let account { headers += account.status.headers() }
        if let deprecation = model?.deprecation { headers += deprecation.headers }
        return headers
    }

    // MARK: - head of the request

    /// Steps before the body: route, content type, tenant, request rate and concurrency.
    package func open() -> StoreAnswer<Gate> {
        if engine.log?.isFull == true {
            return .now(.refuse(respond(APIError(.unavailable, "The decision log is full.", retryAfterSeconds: 1))))
        }
        switch snapshot.router.route(method: arrival.method, target: arrival.target) {
        case .passThrough(let target):
            (record.kind, record.route) = ("metadata", Label(Self.path(of: target)))
            return .now(.pass(target: target))
        case .unguarded(let reason, let path):
            if reason != .malformed,
                snapshot.options.passThroughRoutes.contains(where: {
                    $0.path.matches(path) && $0.methods.contains(arrival.method)
                })
            {
                (record.kind, record.route) = ("pass_through", Label(path))
                // The path that was looked up is the one that the server sees.
                let query = arrival.target.utf8.firstIndex(of: UInt8(ascii: "?")).map { String(arrival.target[$0...]) }
                return .now(.pass(target: path + (query ?? "")))
            }
            return refuseOrPass(
                APIError(
                    .unguardedRoute, "This endpoint is not guarded, so requests to it are refused (\(reason.rawValue)).",
                    status: reason == .methodNotAllowed ? 405 : nil))
        case .guarded(let endpoint, let target):
            self.endpoint = endpoint
            self.target = target
            record.route = Label(Self.path(of: target))
            record.kind = Label(endpoint.recordKind)
            // Of two types the server might believe the other.
            let types = arrival.values("content-type")
            guard types.count == 1, Self.isJSON(types.first) else {
                return refuseOrPass(
                    APIError(.unguardedRoute, "The content type must be application/json.", status: 415))
            }
        }
        tenant = engine.tenants.withLock { $0 }.resolve { arrival.values($0) }
        record.tenant = Label(tenant.id)
        return BudgetAccount.begin(snapshot.budgets, in: engine.store, tenant: tenant.id, model: nil).map {
            [self] decision in
            if let refusal = absorb(decision) { return .refuse(respond(refusal)) }
            return .judge
        }
    }

    /// Takes over what the budgets said; the error, if they refuse.
    func absorb(_ decision: BudgetDecision) -> APIError? {
        account = decision.account
        for would in decision.wouldRefuse { noteWould(.refuse, reason: would.code) }
        guard let refusal = decision.refusal else { return nil }
        guard isMonitoring else { return APIError(refusal) }
        noteWould(.refuse, reason: refusal.code)
        return nil
    }

    private func refuseOrPass(_ error: APIError) -> StoreAnswer<Gate> {
        guard isMonitoring else { return .now(.refuse(respond(error))) }
        noteWould(.refuse, reason: error.code.rawValue)
        record.scan.complete = false
        record.scan.skipped.append(.init(phase: .input, kind: "body", why: Label(error.code.rawValue)))
        return .now(.pass(target: arrival.target))
    }

    // MARK: - refusals

    /// A request that is broken below the JSON. Also in monitor mode: there is nothing sound to forward.
    package func refuse(_ failure: TransportFailure) -> GuardResponse { respond(APIError(failure)) }

    /// The model server cannot answer.
    package func refuse(_ fault: UpstreamFault) -> GuardResponse {
        record.reasons.append(Label(fault.label))
        return respond(APIError(fault), action: .error)
    }

    /// Makes the response of a refusal and writes it into the record.
    func respond(_ error: APIError, action: Action = .refuse) -> GuardResponse {
        let response = error.response(shape)
        record.action = action
        record.wouldAction = max(record.wouldAction, action)
        record.status = response.status
        for reason in [error.code.rawValue] + error.rules where !record.reasons.contains(Label(reason)) {
            record.reasons.append(Label(reason))
        }
        var headers = response.headers
        for field in responseHeaders where !headers.contains(where: { $0.name == field.name }) { headers.append(field) }
        return GuardResponse(status: response.status, headers: headers, body: response.body)
    }

    /// What `enforce` would have done.
    func noteWould(_ action: Action, reason: String) {
        record.wouldAction = max(record.wouldAction, action)
        if !record.reasons.contains(Label(reason)) { record.reasons.append(Label(reason)) }
    }

    // MARK: - end

    /// Settles and records, once.
    package func finish(_ end: ExchangeEnd) {
        guard !finished else { return }
        finished = true
        record.time = .now()
        closeAnswer(end)
        let charged = wasForwarded ? chargedTokens() : 0
        let reports = account?.settle(tokens: charged) ?? .now([])
        switch reports {
        case .now(let reports): write(reports)
        case .later(let wait):
            // The record waits for the store, not the client for the record.
            let (engine, label, record) = (engine, tenant.label, record)
            Task {
                var record = record
                record.budget = await wait().map(DecisionRecord.Budget.init)
                engine.log?.append(record)
                engine.observer.ended(record, tenantLabel: label)
            }
        }
    }

    private func write(_ reports: [BudgetReport]) {
        record.budget = reports.map(DecisionRecord.Budget.init)
        engine.log?.append(record)
        engine.observer.ended(record, tenantLabel: tenant.label)
    }

    // MARK: - reading of header fields

    private static func path(of target: String) -> String {
        String(target.utf8.firstIndex(of: UInt8(ascii: "?")).map { target[..<$0] } ?? target[...])
    }

    /// `application/json`, with no charset or UTF-8 (RFC 8259 section 8.1).
    private static func isJSON(_ value: String?) -> Bool {
        guard let value else { return false }
        let parts = value.lowercased().split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
        guard parts.first == "application/json" else { return false }
        return parts.dropFirst().allSatisfy { !$0.hasPrefix("charset=") || ["utf-8", "\"utf-8\"", "utf8"].contains($0.dropFirst(8)) }
    }

    /// W3C Trace Context: `00-<32 hex>-<16 hex>-<2 hex>`.
    private static func traceID(_ value: String) -> String? {
        let parts = value.split(separator: "-")
        guard parts.count >= 4, parts[1].utf8.count == 32, parts[1].utf8.allSatisfy({ $0.isHexDigit }) else { return nil }
        return String(parts[1])
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool {
        (0x30...0x39).contains(self) || (0x61...0x66).contains(self) || (0x41...0x46).contains(self)
    }
}
