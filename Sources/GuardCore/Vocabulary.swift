/// Stable name of a rule, unique in its bundle, e.g. `pii.credit-card`.
package struct RuleID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let name: String

    package init(_ name: String) { self.name = name }

    package var description: String { name }

    package static func < (left: RuleID, right: RuleID) -> Bool { left.name < right.name }
}

/// Index of a token in a vocabulary.
package struct TokenID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var value: UInt32

    @inlinable package init(_ value: UInt32) { self.value = value }

    package var description: String { String(value) }

    @inlinable package static func < (left: TokenID, right: TokenID) -> Bool { left.value < right.value }
}

/// Half-open range of byte offsets. What the bytes belong to (body, segment text, view) is said where it is used.
package typealias ByteRange = Range<Int>

/// On which side of the model a rule judges.
package enum Phase: String, Hashable, Sendable, CaseIterable {
    case input, output
}

/// The closed set of roles that rules select by, so that one rule reads every API (DESIGN section 4).
/// The word that the API itself uses is kept beside it as `TextSegment.kind`.
package enum Role: String, Hashable, Sendable, CaseIterable {
    case system, user, assistant, tool, toolCall, toolDefinition
    /// Text in fields that the schema does not know.
    case `extension`
}

/// What happened to a request. `Comparable` by weight: the heaviest wins.
package enum Action: String, Hashable, Sendable, Comparable, CaseIterable {
    case allow, flag, mask, block, refuse, error

    package var weight: Int {
        switch self {
        case .allow: 0
        case .flag: 1
        case .mask: 2
        case .block: 3
        case .refuse: 4
        case .error: 5
        }
    }

    package static func < (left: Action, right: Action) -> Bool { left.weight < right.weight }
}

package enum Severity: String, Hashable, Sendable, Comparable, CaseIterable {
    case low, medium, high, critical

    package static func < (left: Severity, right: Severity) -> Bool { left.order < right.order }

    private var order: Int {
        switch self {
        case .low: 0
        case .medium: 1
        case .high: 2
        case .critical: 3
        }
    }
}

/// How strongly a rule, policy, budget or the whole process acts. The weakest of all that apply wins.
package enum Mode: String, Hashable, Sendable, CaseIterable {
    case off, monitor, enforce

    package static func weakest(_ modes: Mode...) -> Mode {
        modes.min { $0.strength < $1.strength } ?? .enforce
    }

    private var strength: Int {
        switch self {
        case .off: 0
        case .monitor: 1
        case .enforce: 2
        }
    }
}

/// Which reading of a text a rule is matched against (DESIGN section 4 "Views").
package enum TextView: String, Hashable, Sendable, CaseIterable {
    case raw, folded, decoded
}
