package import GuardCore
package import GuardJSON

/// Bytes of one streamed answer to events: framing, JSON, and where every text and side field stands in its channel.
/// One per answer.
package struct StreamDecoder: Sendable {
    package let endpoint: Endpoint
    private var sse: SSEDecoder
    private var tracks = ChannelTracks()
    private let json: JSONLimits
    /// What later events of our own repeat: id, model, created ... as the server wrote them.
    package private(set) var identity = StreamIdentity()
    /// The last usage seen; servers that send it with every event send it cumulated.
    package private(set) var usage: Usage?
    /// Choices seen and not ended, ascending.
    package private(set) var openChoices: [Int] = []

    package init(endpoint: Endpoint, eventBytesMax: Int = 8_388_608, json: JSONLimits = .init()) {
        self.endpoint = endpoint
        self.json = json
        sse = SSEDecoder(eventBytesMax: eventBytesMax)
    }

    /// Bytes that wait for the rest of their event.
    package var bufferedBytes: Int { sse.bufferedBytes }
}
