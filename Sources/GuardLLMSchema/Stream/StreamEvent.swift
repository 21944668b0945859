import GuardCore
package import GuardJSON

/// One event of a streamed answer, understood.
package struct StreamEvent: Sendable {
    package enum Kind: Sendable, Hashable {
        /// Comments, empty data, `id:` lines: passes.
        case comment
        /// JSON of the endpoint; see `parts`.
        case message
        /// The API's end mark (`[DONE]`).
        case end
        /// The server failed; the stream is over but for an end mark.
        case error(UpstreamError)
        /// JSON of a shape that the endpoint does not know (`event: ping`): passes if `parts.unread` is judged.
        case unknown
        /// `data` that is no JSON and no end mark: cannot be read, the failure mode decides.
        case unreadable(JSONError)
    }

    package let frame: SSEEvent
    package let kind: Kind
    package let parts: AnswerParts

    package var texts: [AnswerText] { parts.texts }
    package var sides: [SideField] { parts.sides }
    package var ends: [ChoiceEnd] { parts.ends }
    package var usage: Usage? { parts.usage }
    package var unread: [UnreadText] { parts.unread }

    /// The bytes as they came.
    package var raw: [UInt8] { frame.raw }
}

extension StreamEvent {
    /// The event with other texts: replaced strings are escaped, dropped entries leave no comma behind, everything
    /// else is byte for byte as it came.
    package func reframed(_ rewrite: AnswerParts.Rewrite) -> [UInt8] {
        reframed(parts.edits(rewrite))
    }

    /// The event with edits of its data (places of `texts`, `unread` ... are ranges of it).
    package func reframed(_ edits: [JSONEdit]) -> [UInt8] {
        guard !edits.isEmpty, let data = frame.data else { return frame.raw }
        return frame.bytes(withData: JSONEdit.applying(edits, to: data))
    }
}
