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
    /// `.raw` or `.folded`.
    package let view: TextView
    /// `.flag`, `.mask` or `.block`.
    package let action: Action
    package let severity: Severity
    package let mode: Mode
    package let onHoldOverflow: HoldOverflow
    package let detectors: [Detector]
    /// What replaces a match; set for `action: mask` only.
    package let mask: MaskTemplate?
    package let place: RulePlace
    package let tests: RuleTests
    package let summary: String?

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
    /// Literals of which the view's text must hold one if the pattern matches anywhere; empty: nothing is known. For
    /// complete text only: on a stream a match may have shown itself before its literal arrives.
    package let required: RequiredLiterals

    /// The leftmost match at or after `from` of the view's text `text`.
    package func firstMatch(
        in text: Span<UInt8>, from: Int, mode: MatchMode, scratch: inout MatchScratch
    ) -> MatchOutcome {
        guard let validator else { return pattern.firstMatch(in: text, from: from, mode: mode, scratch: &scratch) }
        return text.withUnsafeBufferPointer { buffer in
            // The closure may not capture a span; the buffer lives as long as the call.
            pattern.firstMatch(in: text, from: from, mode: mode, scratch: &scratch) { captures in
                validator.accepts(buffer, captures)
            }
        }
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

/// `*` stands for any run of characters, `?` for one; all else for itself, case matters. Linear in practice: only the
/// last `*` is ever gone back to.
package struct Glob: Sendable, Hashable {
    package let source: String
    private let pattern: [UInt8]

    package init(_ source: String) {
        self.source = source
        pattern = Array(source.utf8)
    }

    package func matches(_ value: String) -> Bool {
        let text = Array(value.utf8)
        var at = 0
        var index = 0
        var star: (pattern: Int, text: Int)?
        while index < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                star = (at, index)
                at += 1
            } else if at < pattern.count, pattern[at] == UInt8(ascii: "?") {
                at += 1
                index += 1
                while index < text.count, text[index] & 0xC0 == 0x80 { index += 1 }
            } else if at < pattern.count, pattern[at] == text[index] {
                at += 1
                index += 1
            } else if let (pattern, start) = star {
                star = (pattern, start + 1)
                at = pattern + 1
                index = start + 1
            } else {
                return false
            }
        }
        while at < pattern.count, pattern[at] == UInt8(ascii: "*") { at += 1 }
        return at == pattern.count
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
