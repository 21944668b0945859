package import GuardLLMSchema

/// What says how many tokens the server has generated, in the order of belief: its usage, the tokens that its answer
/// proves, our encoding of its text (DESIGN section 3 "Budgets").
package struct TokenEvidence: Sendable {
    package var usage: Usage?
    /// Token ids, logprobs entries, or one for each TGI event; over all choices. `nil`: nothing proves any.
    package var tokens: Int?
    /// All generated text so far, by channel in order of appearance: for the count of last resort.
    package private(set) var texts: [(channel: ChannelID, text: [UInt8])] = []
    package private(set) var textBytes = 0

    package init() {}

    package mutating func add(_ text: [UInt8], to channel: ChannelID) {
        guard !text.isEmpty, channel.isGenerated else { return }
        textBytes &+= text.count
        // Few channels, and nearly always the one of the event before.
        if let index = texts.lastIndex(where: { $0.channel == channel }) {
            texts[index].text += text
        } else {
            texts.append((channel, text))
        }
    }

    package mutating func add(tokens count: Int?) {
        if let count { tokens = (tokens ?? 0) &+ count }
    }
}

extension ChannelID {
    /// Whether the model wrote it in this answer, and no other channel repeats it.
    var isGenerated: Bool {
        switch kind {
        case .promptEcho, .generatedText, .special: false
        default: true
        }
    }
}
