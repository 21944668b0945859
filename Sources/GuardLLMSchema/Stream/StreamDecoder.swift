import GuardCore
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

    /// Takes bytes as they came, returns the events that are complete.
    package mutating func append(_ bytes: some Collection<UInt8>) throws(SSEDecoder.TooLarge) -> [StreamEvent] {
        try sse.append(bytes).map { decode($0) }
    }

    /// The stream has ended.
    /// - Returns: whether it broke off inside an event. The bytes of that event must not be forwarded.
    package func endsTruncated() -> Bool {
        sse.rest.contains { $0 != 0x0A && $0 != 0x0D }
    }

    private var toolCalls = ToolCallNumbers()

    private mutating func decode(_ frame: SSEEvent) -> StreamEvent {
        guard let data = frame.data, data.contains(where: { $0 != 0x20 && $0 != 0x0A && $0 != 0x09 }) else {
            return StreamEvent(frame: frame, kind: .comment, parts: AnswerParts())
        }
        if data.elementsEqual("[DONE]".utf8) { return StreamEvent(frame: frame, kind: .end, parts: AnswerParts()) }
        let document: JSONDocument
        do { document = try JSONDocument(data, limits: json) } catch {
            return StreamEvent(frame: frame, kind: .unreadable(error), parts: AnswerParts())
        }
        let root = document.root
        var reader = AnswerReader(streaming: true)
        reader.toolCalls = toolCalls
        endpoint.schema.read(event: root, into: &reader)
        toolCalls = reader.toolCalls
        if endpoint.shape == .tgi { tracks.keepText(of: ChannelID(choice: 0, kind: .content)) }
        tracks.place(&reader)
        let parts = reader.parts
        note(parts)
        if let error = parts.error { return StreamEvent(frame: frame, kind: .error(error), parts: parts) }
        if frame.name.elementsEqual("error".utf8) {
            return StreamEvent(frame: frame, kind: .error(UpstreamError()), parts: parts)
        }
        identity.note(root)
        let isKnown = !parts.choices.isEmpty || parts.usage != nil || root["choices"] != nil
        return StreamEvent(frame: frame, kind: isKnown ? .message : .unknown, parts: parts)
    }

    private mutating func note(_ parts: AnswerParts) {
        if let usage = parts.usage { self.usage = usage }
        for choice in parts.choices where !openChoices.contains(choice) && !endedChoices.contains(choice) {
            openChoices.append(choice)
            openChoices.sort()
        }
        for end in parts.ends {
            openChoices.removeAll { $0 == end.choice }
            endedChoices.insert(end.choice)
        }
    }

    private var endedChoices: Set<Int> = []
}
