import GuardCore
import GuardLLMSchema
import GuardStreaming

/// What is known of the answer while it comes.
struct AnswerState {
    var status = 0
    var plan: AnswerPlan = .pass
    /// Set while a stream is inspected.
    var stream: StreamInspector?
    /// The client did not ask for the usage that we asked for: the frame that carries nothing else is kept from it.
    var hidesUsage = false
    var forwardedNanoseconds: UInt64?
    var firstByteNanoseconds: UInt64?
    var endNanoseconds: UInt64?
    var evidence = TokenEvidence()
}

/// What says how many tokens the server has generated, in the order of belief: its usage, the tokens that its events
/// prove, our encoding of its text.
struct TokenEvidence {
    var usage: Usage?
    /// Sum over all events and choices.
    var tokens: Int?
    /// All generated text so far, by channel in order of appearance: for the count of last resort.
    private(set) var texts: [(channel: ChannelID, text: [UInt8])] = []
    private(set) var textBytes = 0

    mutating func add(_ text: [UInt8], to channel: ChannelID) {
        guard !text.isEmpty, channel.isGenerated else { return }
        textBytes += text.count
        // Few channels, and nearly always the one of the event before.
        if let index = texts.lastIndex(where: { $0.channel == channel }) {
            texts[index].text += text
        } else {
            texts.append((channel, text))
        }
    }
}

extension ChannelID {
    /// Whether the model wrote it in this answer.
    var isGenerated: Bool {
        switch kind {
        case .promptEcho, .generatedText, .special: false
        default: true
        }
    }

    /// The role by which rules select it (DESIGN section 4).
    var role: Role {
        switch kind {
        case .toolName, .toolArguments, .functionName, .functionArguments: .toolCall
        case .promptEcho: .user
        default: .assistant
        }
    }
}
