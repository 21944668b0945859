package import GuardCore
package import GuardMatching
package import GuardRules

/// A decided match. Offsets count bytes of the channel's text from its begin, before edits.
package struct StreamMatch: Sendable, Hashable {
    /// The rule's index in its bundle.
    package var rule: Int
    package var range: ByteRange
    /// A classifier's score.
    package var score: Double?
    /// Content-free.
    package var explanation: String?

    package init(rule: Int, range: ByteRange, score: Double? = nil, explanation: String? = nil) {
        self.rule = rule
        self.range = range
        self.score = score
        self.explanation = explanation
    }
}

/// One final edit: `text` stands in for the bytes of `range`.
package struct StreamEdit: Sendable, Hashable {
    package var range: ByteRange
    package var text: [UInt8]
    /// The rules whose masks the edit is the union of, ascending.
    package var rules: [Int]

    package init(range: ByteRange, text: [UInt8], rules: [Int]) {
        self.range = range
        self.text = text
        self.rules = rules
    }
}

/// Why and where a channel is blocked.
package struct StreamBlock: Sendable, Hashable {
    package enum Cause: Sendable, Hashable {
        case match
        /// An open match outgrew `holdBytes` and its rule says `onHoldOverflow: block`.
        case holdOverflow
        /// With its masks the text of a tool call would not be the JSON any more that it was.
        case brokenJSON
    }

    package var cause: Cause
    /// Length of the shortest prefix of the channel that proves the block.
    package var provenAt: Int
    /// Indexes in the bundle of the rules that it proves, ascending.
    package var rules: [Int]
}

/// A search that gave up, or text that no search may see.
package struct StreamFailure: Sendable, Hashable {
    package enum Reason: Sendable, Hashable {
        case match(MatchFailure)
        /// The channel's text is not UTF-8; it is not read on.
        case invalidText
        /// A rule that only reports had an open match longer than `holdBytes` and forgot it.
        case openMatchDropped
        /// A rule that judges complete texts could not judge this one.
        case whole(ScanFailure.Reason)

        /// A metric label.
        package var label: String {
            switch self {
            case .match(let failure): failure.rawValue
            case .invalidText: "invalid_text"
            case .openMatchDropped: "open_match_dropped"
            case .whole(let reason): reason.rawValue
            }
        }
    }

    package var reason: Reason
    /// The rule's index in its bundle; `nil` where the text is the reason.
    package var rule: Int?
    /// Channel offset from which on the rule did not judge.
    package var offset: Int

    package init(reason: Reason, rule: Int?, offset: Int) {
        self.reason = reason
        self.rule = rule
        self.offset = offset
    }
}

/// What a channel's newest text decided.
package struct ChannelUpdate: Sendable {
    /// Text before this channel offset may leave, `edits` applied. Never inside an edit or a character.
    package var releasableEnd = 0
    /// Edits that became final: below `releasableEnd`, at or behind the one before, ascending.
    package var edits: [StreamEdit] = []
    /// The channel ends at `releasableEnd`; nothing behind it may leave.
    package var block: StreamBlock?
    package var findings: [StreamMatch] = []
    package var failures: [StreamFailure] = []
    /// A rule with `onHoldOverflow: release` gave up an open match, or one with `stream: cut` let go a window: what
    /// leaves may be a part of a match.
    package var leaked = false
    /// Time that classifiers took.
    package var classifyNanoseconds: UInt64 = 0

    package init() {}
}
