package import GuardCore
package import GuardMatching

/// One rule of a bundle, checked and compiled.
///
/// Its matches in a text are the union of what its detectors find, each from left to right without overlap.
package struct CompiledRule: Sendable {
    package let id: RuleID
    /// Place in `RuleBundle.rules`, which are sorted by id: the smaller index is the first rule id of the selection.
    package internal(set) var index: Int
    package let phases: Set<Phase>
    package let roles: Set<Role>
    package let when: RuleCondition
    package let view: TextView
    /// `.flag`, `.mask`, `.block`; `.allow` with `suppresses`.
    package let action: Action
    package let severity: Severity
    package let mode: Mode
    package let onHoldOverflow: HoldOverflow
    /// Empty where `composed` is set.
    package let detectors: [Detector]
    /// Set where the rule can only be judged on a complete text.
    package var composed: ComposedRule?
    /// Set with `action: allow`.
    package var allowance: Allowance?
    /// Set where the mask is a placeholder that the request's table numbers.
    package var placeholder: PlaceholderTemplate?
    /// What replaces a match; set for `action: mask` only.
    package let mask: MaskTemplate?
    package let place: RulePlace
    package let tests: RuleTests
    package let summary: String?

    /// Its `tokens` conditions.
    package var tokensConditions: [TokensCondition] {
        composed?.leaves.compactMap { leaf in
            if case .tokens(let condition) = leaf { condition } else { nil }
        } ?? []
    }

    /// Its matches in a complete text are the union of its detectors', in each reading: all but what asks for several
    /// things. On streams it may be composed all the same.
    var isFlat: Bool { composed.map { view == .decoded && $0.tree.isFlat } ?? true }

    /// A pattern says for itself where case matters: what it looks for is lost in other letters.
    package var tellsCase: Bool {
        (detectors + (composed?.detectors ?? [])).contains {
            let source = Array($0.pattern.source.utf8)
            return source.starts(with: "(?i)".utf8)
                || source.indices.contains { source[$0...].starts(with: "(?-i".utf8) }
        }
    }

    /// All but tool definitions.
    package static let defaultRoles = Set(Role.allCases).subtracting([.toolDefinition])
}

/// What to do on a stream when an open match outgrows `limits.holdBytes`.
package enum HoldOverflow: String, Sendable, CaseIterable {
    /// Hold nothing more, block: nothing of the match has left.
    case block
    /// Let the text go and note in the record that the stream was not leak-free.
    case release
}

/// Where a rule was written.
package struct RulePlace: Sendable, Hashable, CustomStringConvertible {
    /// As messages show it: with the folder that the bundle was loaded from.
    package var file: String
    /// 1-based.
    package var line: Int
    package var column: Int

    package var description: String { "\(file):\(line):\(column)" }
}

/// One pattern of a rule.
package struct Detector: Sendable {
    package let pattern: Pattern
    /// Part of the match: where it refuses a candidate, matching goes on with other ends and later starts. Set exactly
    /// if `pattern.isValidated`.
    package let validator: Validator?
    /// Literals of which every match holds one; empty: nothing is known. For complete text only: on a stream a match
    /// may have shown itself before its literal arrives.
    package let required: RequiredLiterals
    /// All must accept a match for it to count.
    package var contexts: [ContextCondition] = []

    /// The leftmost match of the view's text `text` that begins at or after `from`. With contexts, a match that none of
    /// them refuses but that text to come decides about is `partial` at its start.
    ///
    /// - Parameter through: if given, the last byte at which the match may begin; for complete text only.
    package func firstMatch(
        in text: Span<UInt8>, from: Int, through: Int? = nil, mode: MatchMode, scratch: inout MatchScratch
    ) -> MatchOutcome {
        if contexts.isEmpty { return candidate(in: text, from: from, through: through, mode: mode, scratch: &scratch) }
        var from = from
        while true {
            let outcome = candidate(in: text, from: from, through: through, mode: mode, scratch: &scratch)
            guard case .match(let range) = outcome else { return outcome }
            switch contexts.verdict(of: range, in: text, mode: mode, scratch: &scratch) {
            case .accepted:
                // The groups are those of the contexts now.
                return candidate(in: text, from: from, through: through, mode: mode, scratch: &scratch)
            case .rejected:
                guard range.upperBound < min(text.count, through.map { $0 + 1 } ?? .max) else { return .none }
                from = range.upperBound
            case .open: return .partial(start: range.lowerBound)
            case .failed(let failure): return .failed(failure)
            }
        }
    }

    private func candidate(
        in text: Span<UInt8>, from: Int, through: Int?, mode: MatchMode, scratch: inout MatchScratch
    ) -> MatchOutcome {
        guard let validator else {
            return pattern.firstMatch(in: text, from: from, through: through, mode: mode, scratch: &scratch)
        }
        var work = ValidatorWork()
        let outcome = text.withUnsafeBufferPointer { buffer in
            // The closure may not capture a span; the buffer lives as long as the call.
            pattern.firstMatch(in: text, from: from, through: through, mode: mode, scratch: &scratch) { captures in
                validator.accepts(buffer, captures, &work)
            }
        }
        return work.isExhausted ? .failed(.matchLimit) : outcome
    }
}

/// `when:` of a rule. Empty lists do not restrict.
package struct RuleCondition: Sendable, Hashable {
    package var models: [Glob] = []
    package var tenants: [Glob] = []
    package var routes: [Glob] = []

    package var isAlways: Bool { models.isEmpty && tenants.isEmpty && routes.isEmpty }

    /// A value that is not known matches no pattern but `*`.
    package func holds(model: String?, tenant: String?, route: String?) -> Bool {
        func holds(_ globs: [Glob], _ value: String?) -> Bool {
            globs.isEmpty || globs.contains { $0.matches(value ?? "") }
        }
        return holds(models, model) && holds(tenants, tenant) && holds(routes, route)
    }
}

/// `tests:` of a rule, for `guardctl test`.
package struct RuleTests: Sendable {
    package struct Text: Sendable {
        package var text: String
        package var line: Int
        package var column: Int
    }

    package var match: [Text] = []
    package var noMatch: [Text] = []

    package var count: Int { match.count + noMatch.count }
}
