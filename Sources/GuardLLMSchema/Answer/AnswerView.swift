package import GuardCore
package import GuardJSON

/// A whole answer (not streamed): its channels, complete, with the ways to edit them.
package struct AnswerView: Sendable {
    package let endpoint: Endpoint
    package let document: JSONDocument
    package internal(set) var parts: AnswerParts

    /// Channels with their whole text, in order of appearance. Pieces lead to the JSON strings.
    package let channels: [Channel]

    package struct Channel: Sendable {
        package var id: ChannelID
        package var text: [UInt8]
    }

    /// - Throws: the answer is no JSON that we can read: the failure mode decides.
    package static func parse(_ endpoint: Endpoint, body: [UInt8], limits: JSONLimits = .init()) throws(JSONError)
        -> AnswerView
    {
        let document = try JSONDocument(body, limits: limits)
        var reader = AnswerReader(streaming: false)
        endpoint.schema.read(answer: document.root, into: &reader)
        return AnswerView(endpoint: endpoint, document: document, parts: reader.finishAnswer())
    }

    private init(endpoint: Endpoint, document: JSONDocument, parts: AnswerParts) {
        self.endpoint = endpoint
        self.document = document
        self.parts = parts
        var channels: [Channel] = []
        var index: [ChannelID: Int] = [:]
        for text in parts.texts {
            if let at = index[text.channel] {
                channels[at].text += text.text
            } else {
                index[text.channel] = channels.count
                channels.append(Channel(id: text.channel, text: text.text))
            }
        }
        self.channels = channels
    }

    package var usage: Usage? { parts.usage }
    package var ends: [ChoiceEnd] { parts.ends }
    package var error: UpstreamError? { parts.error }
    package var unread: [UnreadText] { parts.unread }

    package struct Mask: Sendable {
        package var channel: ChannelID
        /// Bytes of the channel's text; masks of one channel do not overlap.
        package var range: ByteRange
        package var replacement: [UInt8]

        package init(channel: ChannelID, range: ByteRange, replacement: [UInt8]) {
            self.channel = channel
            self.range = range
            self.replacement = replacement
        }
    }

    /// The edits of the body that carry out `masks`, side fields edited alike; `dropped` names what had to go.
    package func edits(masking masks: [Mask]) -> (edits: [JSONEdit], dropped: Set<String>) {
        parts.edits(masking: masks, body: document.bytes)
    }
}
