/// One stretch of text that a model will read or has written, as a rule sees it.
///
/// `text` is the decoded UTF-8 of the JSON strings it came from; `pieces` lead every byte of it back to the body, so
/// that an edit of the text becomes an edit of exactly those body bytes.
package struct TextSegment: Sendable {
    /// A run of `text` that came from one JSON string of the body.
    package struct Piece: Sendable, Hashable {
        /// Byte range in `text`.
        package var text: ByteRange
        /// Byte range in the body of the JSON string's content, between the quotes, escapes as they stand.
        package var body: ByteRange

        package init(text: ByteRange, body: ByteRange) { (self.text, self.body) = (text, body) }
    }

    package var role: Role
    /// The API's own word: `user`, `developer`, `prompt`, `inputs`, `assistant.tool_call` ...
    package var kind: String
    /// UTF-8.
    package var text: [UInt8]
    /// In ascending order of `text`. Bytes between pieces (separators that a template inserts when it joins parts)
    /// belong to no piece and cannot be edited. Empty for text that has no place in the body (decoded token ids).
    package var pieces: [Piece]
    /// JSON Pointer (RFC 6901) of the field, for diagnostics.
    package var pointer: String

    package init(role: Role, kind: String, text: [UInt8], pieces: [Piece], pointer: String) {
        self.role = role
        self.kind = kind
        self.text = text
        self.pieces = pieces
        self.pointer = pointer
    }
}

/// One match of a rule, content-free: what the record keeps of it (DESIGN section 5).
package struct Finding: Sendable, Hashable {
    package var rule: RuleID
    package var severity: Severity
    /// What the rule does here, after modes.
    package var action: Action
    /// What the rule would have done in `enforce`.
    package var wouldAction: Action
    package var phase: Phase
    /// Index of the segment in its request, or of the channel in its answer.
    package var segment: Int
    package var role: Role
    package var kind: String
    /// Byte offsets into the segment's UTF-8 text.
    package var range: ByteRange
    package var view: TextView
    /// A classifier's score, 0...1.
    package var score: Double?
    /// Why, for `guardctl check`: content-free, and not in the record.
    package var explanation: String?

    package init(
        rule: RuleID, severity: Severity, action: Action, wouldAction: Action, phase: Phase, segment: Int, role: Role,
        kind: String, range: ByteRange, view: TextView, score: Double? = nil, explanation: String? = nil
    ) {
        self.rule = rule
        self.severity = severity
        self.action = action
        self.wouldAction = wouldAction
        self.phase = phase
        self.segment = segment
        self.role = role
        self.kind = kind
        self.range = range
        self.view = view
        self.score = score
        self.explanation = explanation
    }
}
