import GuardJSON

/// A refusal in the words of the API that was called (DESIGN section 6). Content-free.
package struct APIError: Sendable, Hashable {
    package enum Code: String, Sendable, CaseIterable {
        case invalidRequest = "invalid_request"
        case fieldNotAllowed = "field_not_allowed"
        case contextLengthExceeded = "context_length_exceeded"
        case promptBudgetExceeded = "prompt_budget_exceeded"
        case tokenBudgetExceeded = "token_budget_exceeded"
        case contentPolicyViolation = "content_policy_violation"
        case unguardedRoute = "unguarded_route"
        case modelNotFound = "model_not_found"
        case modelRetired = "model_retired"
        case templateError = "template_error"
        case payloadTooLarge = "payload_too_large"
        case headerTooLarge = "header_too_large"
        case requestTimeout = "request_timeout"
        case unsupportedMediaType = "unsupported_media_type"
        case unauthorized = "unauthorized"
        case upstreamUnavailable = "upstream_unavailable"
        case upstreamTimeout = "upstream_timeout"
        case upstreamBroken = "upstream_broken"
        case unavailable
        case internalError = "internal_error"
    }

    package var code: Code
    package var message: String
    /// Field the error is about.
    package var param: String?
    /// Overrides the code's own status (`policy.blockStatus`).
    package var statusOverride: Int?
    /// `retry-after` in seconds.
    package var retryAfterSeconds: Int?
    /// Ids of rules, for `content_policy_violation`.
    package var rules: [String]

    package init(
        _ code: Code, _ message: String, param: String? = nil, status: Int? = nil, retryAfterSeconds: Int? = nil,
        rules: [String] = []
    ) {
        self.code = code
        self.message = message
        self.param = param
        statusOverride = status
        self.retryAfterSeconds = retryAfterSeconds
        self.rules = rules
    }

    package init(_ error: RequestError) {
        self.init(
            error.code == .fieldNotAllowed ? .fieldNotAllowed : .invalidRequest, error.message, param: error.param,
            status: error.status)
    }

    /// What goes to the client.
    package struct Response: Sendable, Hashable {
        package var status: Int
        /// Without `content-length` and `x-guard-decision-id`, which the proxy adds.
        package var headers: [(name: String, value: String)] { headerPairs.map { ($0.name, $0.value) } }
        package var body: [UInt8]
        var headerPairs: [HeaderPair]

        struct HeaderPair: Sendable, Hashable {
            var name: String
            var value: String
        }
    }
}

extension APIError {
    /// The answer in the words of an API; `nil`: an endpoint that nobody knows gets OpenAI's, which most clients read.
    package func response(_ endpoint: Endpoint?) -> Response { response(endpoint?.shape ?? .openAI) }

    package func response(_ shape: APIShape) -> Response {
        var headers = [Response.HeaderPair(name: "content-type", value: "application/json")]
        if let seconds = retryAfterSeconds {
            headers.append(Response.HeaderPair(name: "retry-after", value: String(max(seconds, 0))))
        }
        if !isWorthRetrying {
            // SDKs retry 408, 409, 429 and 5xx; waiting changes nothing here.
            headers.append(Response.HeaderPair(name: "x-should-retry", value: "false"))
        }
        return Response(status: status(shape), body: body(shape), headerPairs: headers)
    }

    /// Whether waiting 60 seconds can change the outcome.
    package var isWorthRetrying: Bool {
        switch code {
        case .tokenBudgetExceeded: (retryAfterSeconds ?? 0) <= 60
        case .upstreamUnavailable, .upstreamTimeout, .upstreamBroken, .unavailable, .internalError, .requestTimeout:
            (retryAfterSeconds ?? 0) <= 60
        default: false
        }
    }

    package func status(_ shape: APIShape) -> Int {
        if let statusOverride { return statusOverride }
        switch code {
        case .invalidRequest, .fieldNotAllowed, .promptBudgetExceeded, .contentPolicyViolation, .templateError:
            return 400
        case .contextLengthExceeded: return shape == .tgi ? 422 : 400
        case .tokenBudgetExceeded: return 429
        case .unauthorized: return 401
        case .unguardedRoute, .modelNotFound: return 404
        case .modelRetired: return 410
        case .requestTimeout: return 408
        case .payloadTooLarge: return 413
        case .unsupportedMediaType: return 415
        case .headerTooLarge: return 431
        case .internalError: return 500
        case .upstreamUnavailable, .upstreamBroken: return 502
        case .unavailable: return 503
        case .upstreamTimeout: return 504
        }
    }

    /// The body alone: also the data of a stream's terminal error event.
    package func body(_ shape: APIShape) -> [UInt8] {
        var writer = JSONWriter()
        switch shape {
        case .openAI:
            writer.object { writer in
                writer.key("error")
                writer.object { writer in
                    writer.member("message", message)
                    writer.member("type", openAIType)
                    if let param { writer.member("param", param) } else { writer.memberNull("param") }
                    writer.member("code", code.rawValue)
                    if !rules.isEmpty { writeRules(&writer) }
                }
            }
        case .tgi:
            writer.object { writer in
                writer.member("error", message)
                writer.member("error_type", tgiType)
                writer.member("code", code.rawValue)
                if !rules.isEmpty { writeRules(&writer) }
            }
        }
        return writer.bytes
    }

    private func writeRules(_ writer: inout JSONWriter) {
        writer.key("rules")
        writer.array { writer in
            for rule in rules { writer.string(rule) }
        }
    }

    /// OpenAI's `type`: the class of the error.
    private var openAIType: String {
        switch status(.openAI) {
        case 401: "authentication_error"
        case 404: "not_found_error"
        case 429: "rate_limit_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }

    /// TGI's `error_type`: `validation`, `generation`, `overloaded`, `incomplete_generation`.
    private var tgiType: String {
        switch code {
        case .tokenBudgetExceeded, .unavailable: "overloaded"
        case .upstreamUnavailable, .upstreamTimeout, .upstreamBroken, .internalError: "generation"
        default: "validation"
        }
    }
}
