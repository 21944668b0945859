package import GuardCore

/// What `guardctl lint` can say; docs/lint.md has a section for each.
package enum LintID: String, Sendable, Hashable, CaseIterable {
    /// The bundle does not load, or loads with a warning.
    case load
    case catastrophic
    case costly
    case neverMatches = "never-matches"
    case neverSelected = "never-selected"
    case off
    case expired
    case allowsNothing = "allows-nothing"
    case duplicate
    case shadowed
    case untested
    case noSeverity = "no-severity"
    case unboundedHold = "unbounded-hold"
    case longHold = "long-hold"
    case openStart = "open-start"
    case noLiteral = "no-literal"
    case unusedIgnore = "unused-ignore"

    package var level: LintLevel {
        switch self {
        case .load, .catastrophic, .neverMatches, .longHold: .error
        case .costly, .neverSelected, .off, .expired, .allowsNothing, .duplicate, .shadowed, .untested, .noSeverity,
            .unboundedHold, .unusedIgnore:
            .warning
        case .openStart, .noLiteral: .note
        }
    }

    /// One line, for SARIF.
    package var summary: String {
        switch self {
        case .load: "The policy does not load"
        case .catastrophic: "A pattern takes exponential or far too many steps on some text"
        case .costly: "A pattern takes many steps on some text"
        case .neverMatches: "A condition that no text meets"
        case .neverSelected: "A rule that no text is judged by"
        case .off: "A rule with mode off"
        case .expired: "An allowance that has expired"
        case .allowsNothing: "An allowance whose rules are never judged where it is"
        case .duplicate: "A rule that matches what another matches"
        case .shadowed: "A rule whose every match is blocked by another already"
        case .untested: "A rule without a test that matches and one that does not"
        case .noSeverity: "A rule without a severity"
        case .unboundedHold: "An output rule that may hold a stream without bound"
        case .longHold: "An output rule that may hold more than the given limit"
        case .openStart: "An output rule that most characters may begin"
        case .noLiteral: "A rule that no literal keeps from running on every text"
        case .unusedIgnore: "A lint suppression that suppresses nothing"
        }
    }
}

package enum LintLevel: String, Sendable, Hashable { case error, warning, note }

package struct LintFinding: Sendable, Hashable {
    package var id: LintID
    package var level: LintLevel
    package var rule: RuleID?
    package var file: String
    /// 1-based; 0: the whole file.
    package var line: Int
    package var column: Int
    package var message: String
    /// The reason given in the rule, where it is suppressed.
    package var suppressed: String?
}

/// What a rule costs and holds back, whether or not that is a finding.
package struct RuleFacts: Sendable {
    package enum Hold: Sendable, Hashable {
        /// Flags, allowances, monitor mode, rules of the input only: text never waits for them.
        case none
        /// Bytes of the rule's view that a match can keep open.
        case bytes(Int)
        /// Up to limits.holdBytes.
        case unbounded
        /// Until the channel ends, up to limits.holdBytes (`stream: hold`).
        case wholeAnswer
        /// Windows of this size (`stream: cut`).
        case windows(Int)
    }

    package var rule: RuleID
    package var file: String
    package var line: Int
    package var column: Int
    /// Of its worst pattern; `nil`: it has none.
    package var cost: PatternCost?
    package var hold: Hold
    /// Why text of a match can leave: `nil` where it cannot.
    package var leak: String?
    /// Patterns whose cost was tried with texts only, with the reason.
    package var notAnalysed: [String]
}

package struct LintReport: Sendable {
    package var findings: [LintFinding] = []
    package var rules: [RuleFacts] = []

    package func count(_ level: LintLevel) -> Int { findings.count { $0.level == level && $0.suppressed == nil } }
}

package struct LintOptions: Sendable {
    /// Steps on 1 KiB of its worst text from which a pattern is an error.
    package var maxCost = 10_000_000
    /// Bytes that an output rule may hold; `nil`: whatever it says.
    package var maxHold: Int?
    /// Seconds since 1970, for what expires.
    package var now: Int

    package init(now: Int) { self.now = now }
}
