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
