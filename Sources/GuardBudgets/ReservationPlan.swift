internal import GuardCore

/// What a request wants to generate, as its endpoint was parsed and counted.
package struct Generation: Sendable, Hashable {
    /// Tokens of each prompt: one for a chat, several for a completions batch.
    package var promptTokens: [Int]
    /// max(`n`, `best_of`); values below 1 count as 1.
    package var choicesMax: Int
    /// The output limit that the client asked for, for each choice.
    package var clientLimit: Int?
    /// What the API generates where the client says nothing (OpenAI completions: 16).
    package var apiDefaultLimit: Int?
    /// False for embeddings, scores and reranks, which reserve the prompt only.
    package var generates: Bool

    package init(
        promptTokens: [Int], choicesMax: Int = 1, clientLimit: Int? = nil, apiDefaultLimit: Int? = nil,
        generates: Bool = true
    ) {
        self.promptTokens = promptTokens
        self.choicesMax = choicesMax
        self.clientLimit = clientLimit
        self.apiDefaultLimit = apiDefaultLimit
        self.generates = generates
    }
}

/// What the served model allows, in tokens of one prompt; nil is not known or no limit.
package struct ModelLimits: Sendable, Hashable {
    package var contextWindow: Int?
    package var maxInputTokens: Int?
    /// The output limit where neither the client nor the API says one.
    package var defaultCompletionTokens: Int

    package init(contextWindow: Int? = nil, maxInputTokens: Int? = nil, defaultCompletionTokens: Int = 1024) {
        self.contextWindow = contextWindow
        self.maxInputTokens = maxInputTokens
        self.defaultCompletionTokens = defaultCompletionTokens
    }

    /// Tokens over which no prompt is served; nil where nothing limits it.
    package var longestPrompt: Int? {
        guard let contextWindow else { return maxInputTokens }
        return min(contextWindow, maxInputTokens ?? contextWindow)
    }
}

/// The arithmetic of DESIGN section 1, step 5: what is reserved and which output limit is forwarded.
///
///     reservation = sum of prompts + number of prompts x max(n, best_of) x output limit
///
/// The output limit is the client's, else the API's default, else the model's `defaultCompletionTokens`. It is lowered
/// to the room that the longest prompt leaves in the context window, and to the request limits of the budgets in force.
/// One that the client asked for itself is lowered to a request limit only by a budget that says `onShort: clamp`;
/// under `refuse` the client gets an error rather than a shorter answer than it asked for. Windows never lower it.
///
/// All sums and products saturate at `Int.max`, which no window can hold.
package struct ReservationPlan: Sendable, Hashable {
    package enum Origin: String, Sendable, Hashable { case client, apiDefault, modelDefault }

    package enum Lowered: Sendable, Hashable {
        case contextWindow
        case requestBudget(String)
    }

    /// Sum over all prompts.
    package var promptTokens: Int
    /// The longest prompt: what the context window is compared with.
    package var longestPromptTokens: Int
    /// Number of prompts x choices of each.
    package var choicesTotal: Int
    /// For each choice; nil where nothing is generated.
    package var outputLimit: Int?
    package var origin: Origin
    package var lowered: Lowered?
    /// What the token windows have to hold.
    package var reservedTokens: Int
    /// The first refusal of a limit in force; the plan is then what would have been reserved without it.
    package var refusal: BudgetRefusal?
    /// What budgets in monitor mode would have refused.
    package var wouldRefuse: [BudgetRefusal]

    /// Whether the forwarded body needs the limit written: always, unless it already carries exactly this one.
    package var writesOutputLimit: Bool { outputLimit != nil && (origin != .client || lowered != nil) }

    /// - Parameter budgets: all that match, with their effective modes.
    package init(_ request: Generation, model: ModelLimits, budgets: some Sequence<Budget>) {
        let prompt = request.promptTokens.reduce(0) { Self.sum($0, max(0, $1)) }
        let longest = request.promptTokens.reduce(0) { max($0, $1) }
        let choices = Self.product(request.promptTokens.count, max(1, request.choicesMax))
        promptTokens = prompt
        longestPromptTokens = longest
        choicesTotal = choices
        refusal = nil
        wouldRefuse = []
        lowered = nil
        if let limit = request.clientLimit {
            (outputLimit, origin) = (max(0, limit), .client)
        } else if let limit = request.apiDefaultLimit {
            (outputLimit, origin) = (max(0, limit), .apiDefault)
        } else {
            (outputLimit, origin) = (max(0, model.defaultCompletionTokens), .modelDefault)
        }
        if !request.generates { outputLimit = nil }
        reservedTokens = 0

        if let limit = model.maxInputTokens, longest > limit {
            refusal = BudgetRefusal(.contextLength, limit: Int64(limit), requested: Int64(longest))
        }
        if let window = model.contextWindow {
            // A server generates at least one token, so a prompt that fills the window to the last one is over it.
            let wanted = min(outputLimit ?? 0, 1)
            if longest > window || window - longest < wanted {
                refusal =
                    refusal
                    ?? BudgetRefusal(
                        .contextLength, limit: Int64(window), requested: Int64(Self.sum(longest, wanted)))
            } else if let limit = outputLimit, limit > window - longest {
                outputLimit = window - longest
                lowered = .contextWindow
            }
        }
        // In force first, so that what a monitored budget says is about the request as it is sent.
        for budget in budgets where budget.mode == .enforce {
            var limit = outputLimit
            let wrong = Self.check(
                budget, prompt: prompt, choices: choices, limit: &limit, asked: origin == .client)
            if let wrong {
                refusal = refusal ?? wrong
            } else if limit != outputLimit {
                outputLimit = limit
                lowered = .requestBudget(budget.name)
            }
        }
        for budget in budgets where budget.mode == .monitor {
            var limit = outputLimit
            if let wrong = Self.check(
                budget, prompt: prompt, choices: choices, limit: &limit, asked: origin == .client)
            {
                wouldRefuse.append(wrong)
            }
        }
        reservedTokens = Self.sum(prompt, Self.product(choices, outputLimit ?? 0))
    }

    /// Lowers `limit` to the budget's request limits or says what is over them.
    private static func check(
        _ budget: Budget, prompt: Int, choices: Int, limit: inout Int?, asked: Bool
    ) -> BudgetRefusal? {
        func refuse(_ kind: BudgetRefusal.Kind, _ allowed: Int, _ requested: Int) -> BudgetRefusal {
            BudgetRefusal(
                kind, budget: budget.name, limit: Int64(allowed), requested: Int64(requested),
                remaining: Int64(allowed))
        }
        if let allowed = budget.request.promptTokens, prompt > allowed {
            return refuse(.requestPromptTokens, allowed, prompt)
        }
        if let allowed = budget.request.totalTokens, prompt > allowed {
            return refuse(.requestTotalTokens, allowed, sum(prompt, product(choices, limit ?? 0)))
        }
        guard let wanted = limit, choices > 0 else { return nil }
        let mayLower = !asked || budget.onShort == .clamp
        let floor = min(wanted, max(1, budget.minCompletionTokens))
        if let allowed = budget.request.completionTokens, product(choices, wanted) > allowed {
            let fits = allowed / choices
            guard mayLower, fits >= floor else {
                return refuse(.requestCompletionTokens, allowed, product(choices, wanted))
            }
            limit = fits
        }
        let now = limit ?? 0
        if let allowed = budget.request.totalTokens, sum(prompt, product(choices, now)) > allowed {
            let fits = (allowed - prompt) / choices
            guard mayLower, fits >= floor else {
                return refuse(.requestTotalTokens, allowed, sum(prompt, product(choices, now)))
            }
            limit = fits
        }
        return nil
    }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (value, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : value
    }

    private static func product(_ left: Int, _ right: Int) -> Int {
        let (value, overflow) = left.multipliedReportingOverflow(by: right)
        return overflow ? .max : value
    }
}
