/// The windows of all budgets that apply to one request, after the last thing that was charged.
package struct BudgetStatus: Sendable, Hashable {
    package struct Window: Sendable, Hashable {
        package var budget: String
        package var enforced: Bool
        package var window: BudgetWindow
        /// Negative where there is debt.
        package var remaining: Int64
        package var resetAt: UTCTime
    }

    package var now: UTCTime
    package var windows: [Window]

    package init(now: UTCTime, windows: [Window] = []) {
        self.now = now
        self.windows = windows
    }

    /// The window that a client will meet first: the least remaining, then the latest reset, then the first in the
    /// file. Budgets in monitor mode are no business of the client's.
    package func tightest(_ unit: BudgetWindow.Unit, enforcedOnly: Bool = true) -> Window? {
        var best: Window?
        for window in windows where window.window.unit == unit && (window.enforced || !enforcedOnly) {
            guard let current = best else {
                best = window
                continue
            }
            if window.remaining < current.remaining
                || (window.remaining == current.remaining && window.resetAt > current.resetAt)
            {
                best = window
            }
        }
        return best
    }

    /// `x-ratelimit-{limit,remaining,reset}-{tokens,requests}` of the tightest windows. `remaining` is never below 0;
    /// `reset` is the time left as OpenAI writes it (`6m0s`, `59s`), in whole seconds, rounded up.
    package func headers() -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        for unit in [BudgetWindow.Unit.requests, .tokens] {
            guard let window = tightest(unit) else { continue }
            headers.append(("x-ratelimit-limit-\(unit.rawValue)", String(window.window.limit)))
            headers.append(("x-ratelimit-remaining-\(unit.rawValue)", String(max(0, window.remaining))))
            headers.append(
                ("x-ratelimit-reset-\(unit.rawValue)", Self.describe(seconds: now.secondsUntil(window.resetAt))))
        }
        return headers
    }

    static func describe(seconds: Int64) -> String {
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        if hours > 0 { return "\(hours)h\(minutes)m\(rest)s" }
        return minutes > 0 ? "\(minutes)m\(rest)s" : "\(rest)s"
    }
}

/// One budget's line of the decision record (DESIGN section 5, `budget[]`): its tightest token window, or its tightest
/// request window where it has no token window; a budget without windows has no line.
package struct BudgetReport: Sendable, Hashable {
    package var name: String
    package var limit: Int64
    /// Tokens reserved, or 1 request. 0 where nothing was charged.
    package var reserved: Int64
    /// Tokens charged in the end, or 1 request; nil until settled.
    package var settled: Int64?
    package var remaining: Int64
    package var resetAt: UTCTime
    package var window: BudgetWindow
    package var enforced: Bool
}
