package import GuardCore

/// One budget of guard.yaml (DESIGN section 3). Every budget that matches a request applies to it, all or none.
package struct Budget: Sendable, Hashable {
    package struct Match: Sendable, Hashable {
        package var tenant: Glob
        package var model: Glob

        package init(tenant: Glob = .any, model: Glob = .any) { (self.tenant, self.model) = (tenant, model) }
    }

    /// What splits a budget into ledgers: one for each value, or one for all where the scope is empty.
    package enum ScopeKey: String, Sendable, Hashable, CaseIterable { case tenant, model }

    /// What one request may ask for, in tokens, all its prompts and choices together; nil is no limit.
    package struct RequestLimits: Sendable, Hashable {
        package var promptTokens: Int?
        package var completionTokens: Int?
        package var totalTokens: Int?

        package init(promptTokens: Int? = nil, completionTokens: Int? = nil, totalTokens: Int? = nil) {
            self.promptTokens = promptTokens
            self.completionTokens = completionTokens
            self.totalTokens = totalTokens
        }
    }

    /// What becomes of an output limit that the client asked for and that the request limits do not allow.
    package enum OnShort: String, Sendable, Hashable, CaseIterable {
        /// 400 `prompt_budget_exceeded`.
        case refuse
        /// Lowered to what fits, but never below `minCompletionTokens`: then refused all the same.
        case clamp
    }

    /// Unique: the ledger's key. Changing a limit under the same name keeps what was used.
    package var name: String
    package var match: Match
    package var scope: Set<ScopeKey>
    package var request: RequestLimits
    /// At most one for each (unit, period).
    package var windows: [BudgetWindow]
    /// Requests of one ledger that may run at the same time.
    package var concurrency: Int?
    package var onShort: OnShort
    /// The lowest output limit of one choice that `clamp`, or the lowering of a default, may leave.
    package var minCompletionTokens: Int
    package var mode: Mode

    package init(
        name: String, match: Match = Match(), scope: Set<ScopeKey> = [], request: RequestLimits = RequestLimits(),
        windows: [BudgetWindow] = [], concurrency: Int? = nil, onShort: OnShort = .refuse,
        minCompletionTokens: Int = 1, mode: Mode = .enforce
    ) {
        self.name = name
        self.match = match
        self.scope = scope
        self.request = request
        self.windows = windows
        self.concurrency = concurrency
        self.onShort = onShort
        self.minCompletionTokens = minCompletionTokens
        self.mode = mode
    }

    /// Whether it can be told without the model's name that this budget applies, and to which ledger.
    package var needsModel: Bool { !match.model.isAny || scope.contains(.model) }

    /// Whether anything of it is counted across requests.
    package var hasLedger: Bool { !windows.isEmpty || concurrency != nil }
}

/// A fixed window, aligned to UTC: `period` number `index` is [index x length, (index + 1) x length) of POSIX time.
package struct BudgetWindow: Sendable, Hashable {
    package enum Unit: String, Sendable, Hashable, CaseIterable { case tokens, requests }

    package enum Period: String, Sendable, Hashable, CaseIterable {
        case second, minute, hour, day

        package var milliseconds: Int64 {
            switch self {
            case .second: 1000
            case .minute: 60_000
            case .hour: 3_600_000
            case .day: 86_400_000
            }
        }

        var position: Int {
            switch self {
            case .second: 0
            case .minute: 1
            case .hour: 2
            case .day: 3
            }
        }
    }

    package var unit: Unit
    package var limit: Int64
    package var period: Period

    package init(_ unit: Unit, _ limit: Int64, per period: Period) {
        self.unit = unit
        self.limit = limit
        self.period = period
    }

    /// Number of the window that holds `time`.
    package func index(at time: UTCTime) -> Int64 {
        let length = period.milliseconds
        let quotient = time.milliseconds / length
        return time.milliseconds % length < 0 ? quotient - 1 : quotient
    }

    /// When window `index` is over and its limit is whole again.
    package func end(ofWindow index: Int64) -> UTCTime { Self.end(ofWindow: index, period: period) }

    static func end(ofWindow index: Int64, period: Period) -> UTCTime {
        let (next, overflow) = index.addingReportingOverflow(1)
        let (end, overflow2) = next.multipliedReportingOverflow(by: period.milliseconds)
        return UTCTime(milliseconds: overflow || overflow2 ? (index < 0 ? .min : .max) : end)
    }
}
