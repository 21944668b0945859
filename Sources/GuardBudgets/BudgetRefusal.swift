/// Why a request may not pass, or (from a budget in monitor mode) would not have passed. Values only, never text.
package struct BudgetRefusal: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The longest prompt is over the model's `maxInputTokens` or context window.
        case contextLength
        /// Over the budget's request limit for prompt, completion or both together.
        case requestPromptTokens, requestCompletionTokens, requestTotalTokens
        /// The reservation is larger than a whole window: waiting cannot help.
        case neverFits
        /// A token window cannot hold the reservation now.
        case tokenWindow
        /// The request window is used up.
        case requestWindow
        /// As many requests of this ledger are running as may.
        case concurrency
        /// The store is down, or has no room for one more ledger (see `MemoryBudgetStore.Limits`).
        case unavailable
    }

    package var kind: Kind
    /// Name of the budget; nil for `contextLength` and an outage of the whole store.
    package var budget: String?
    package var limit: Int64
    /// What was asked for: tokens, or 1 request.
    package var requested: Int64
    /// At least `requested`: counting stopped once it was certain.
    package var isLeast = false
    /// What is left; negative where there is debt.
    package var remaining: Int64
    /// The window, for `neverFits`, `tokenWindow` and `requestWindow`.
    package var window: BudgetWindow?
    /// When the window is whole again; nil where no time is known.
    package var resetAt: UTCTime?
    /// Seconds for `retry-after`, at least 1; nil where waiting cannot help.
    package var retryAfterSeconds: Int64?

    package init(
        _ kind: Kind, budget: String? = nil, limit: Int64 = 0, requested: Int64 = 0, remaining: Int64 = 0,
        window: BudgetWindow? = nil, resetAt: UTCTime? = nil, retryAfterSeconds: Int64? = nil
    ) {
        self.kind = kind
        self.budget = budget
        self.limit = limit
        self.requested = requested
        self.remaining = remaining
        self.window = window
        self.resetAt = resetAt
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// HTTP status of the OpenAI shape (DESIGN section 6; TGI answers `contextLength` with 422).
    package var status: Int {
        switch kind {
        case .contextLength, .requestPromptTokens, .requestCompletionTokens, .requestTotalTokens, .neverFits: 400
        case .tokenWindow, .requestWindow, .concurrency: 429
        case .unavailable: 503
        }
    }

    package var code: String {
        switch kind {
        case .contextLength: "context_length_exceeded"
        case .requestPromptTokens, .requestCompletionTokens, .requestTotalTokens, .neverFits: "prompt_budget_exceeded"
        case .tokenWindow, .requestWindow, .concurrency: "token_budget_exceeded"
        case .unavailable: "unavailable"
        }
    }

    /// False where waiting 60 s cannot change the answer: then the response carries `x-should-retry: false`.
    package var shouldRetry: Bool { retryAfterSeconds.map { $0 <= 60 } ?? false }

    /// For the error body: numbers and the budget's name, nothing of the request's text.
    package var message: String {
        let name = budget.map { "budget '\($0)'" } ?? "the budget store"
        switch kind {
        case .contextLength:
            return "The prompt has \(isLeast ? "at least " : "")\(requested) tokens, the limit is \(limit)."
        case .requestPromptTokens:
            return "The prompt has \(requested) tokens, \(name) allows \(limit) in one request."
        case .requestCompletionTokens:
            return "Up to \(requested) completion tokens were asked for, \(name) allows \(limit) in one request."
        case .requestTotalTokens:
            return "Prompt and completion together need \(requested) tokens, \(name) allows \(limit) in one request."
        case .neverFits:
            return "The request needs \(requested) tokens, \(name) allows \(limit) per \(periodName)."
        case .tokenWindow:
            return "The request needs \(requested) tokens, \(name) has \(max(0, remaining)) of \(limit) per "
                + "\(periodName) left."
        case .requestWindow:
            return "The request rate of \(name), \(limit) per \(periodName), is used up."
        case .concurrency:
            return "As many requests of \(name) are running as may: \(limit)."
        case .unavailable:
            return "\(budget == nil ? "The budget store" : "Budget '\(budget ?? "")'") cannot take the request now."
        }
    }

    private var periodName: String { window?.period.rawValue ?? "window" }
}
