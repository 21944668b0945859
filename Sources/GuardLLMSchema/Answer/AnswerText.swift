package import GuardCore

/// A piece of a channel's text, and where it stands in the JSON of the answer or event.
package struct AnswerText: Sendable, Hashable {
    package var channel: ChannelID
    /// Where in the channel it begins, in bytes.
    package var offset: Int
    /// Decoded UTF-8.
    package var text: [UInt8]
    /// Content ranges (between the quotes) of the JSON strings that show exactly this text; the first is the field
    /// itself, more are repetitions (`reasoning` beside `reasoning_content`). Empty: only a `whole` side shows it.
    package var places: [ByteRange]

    package var channelRange: ByteRange { offset..<offset + text.count }
}

/// Something beside the texts that repeats a channel's text or tells what it is: it waits with that text and goes with
/// it (DESIGN section 4 "Streams").
package struct SideField: Sendable, Hashable {
    package enum Relation: Sendable, Hashable {
        /// One token of the text: `logprobs.content[]`, `logprobs.tokens[]`, `details.tokens[]`. Dropped as a whole
        /// entry, alternatives and ids included.
        case token
        /// Ids, logprob and alternatives of the very text of this event (TGI `token.id`, `token_ids`): emptied.
        case companion
        /// Repeats the whole text of the channel (TGI `generated_text`): give the edited text in `Rewrite.wholes`.
        case whole
    }

    package var channel: ChannelID
    package var relation: Relation
    /// Bytes of the channel that it shows. `nil`: it does not fit the channel's text, so nobody knows what it shows:
    /// drop it unless all channels of its choice are free of edits and nothing of them is held.
    package var range: ByteRange?
    /// For the record's list of what was dropped: `logprobs`, `token_ids`, `token` ...
    package var name: String
    var removal: Removal
    /// Of `whole`: content range of the string.
    var place: ByteRange?

    enum Removal: Sendable, Hashable {
        /// Index into `AnswerParts.lists`, and position in the arrays of that list.
        case element(list: Int, index: Int)
        case replacement([ReplacedRange])
    }

    struct ReplacedRange: Sendable, Hashable {
        var range: ByteRange
        var bytes: [UInt8]
    }
}

/// A string of the answer that the schema does not know. It is no metadata that we know of, so it is judged as a
/// complete text, or the scan counts as incomplete.
package struct UnreadText: Sendable, Hashable {
    package var text: [UInt8]
    /// Content range in the JSON.
    package var place: ByteRange
    /// Where it was, in words of ours: known names, positions and `*`.
    package var pointer: String
}

/// The end of a choice: all its channels end behind the texts of the same event.
package struct ChoiceEnd: Sendable, Hashable {
    package var choice: Int
    /// The API's word: `stop`, `length`, `tool_calls`, `eos_token` ...; empty where the server gives none.
    package var finishReason: String
    /// Content range of that word in the JSON.
    package var place: ByteRange
}
