import GuardCore
import GuardLLMSchema
import GuardStreaming
import GuardTokenizers

/// What is known of the answer while it comes.
struct AnswerState {
    var status = 0
    /// Monitor mode: the whole answer so far. `nil` once it is too large to be judged.
    var observed: [UInt8]? = []
    /// Set while a stream is inspected.
    var stream: StreamInspector?
    /// The client did not ask for the usage that we asked for: the frame that carries nothing else is kept from it.
    var hidesUsage = false
    var forwardedNanoseconds: UInt64?
    var firstByteNanoseconds: UInt64?
    var endNanoseconds: UInt64?
    /// Of a whole answer; a stream's inspector has its own.
    var evidence = TokenEvidence()
    /// Time that output rules took, all events together.
    var rulesNanoseconds: UInt64 = 0
    /// Of those, what classifiers of rules on the whole answer took; a stream counts them itself.
    var classifyNanoseconds: UInt64 = 0
    /// What the request took.
    var inputRulesMicroseconds = 0
    var inputClassifyMicroseconds: Int?
    /// The guard ended the stream at the output limit that the server ignored.
    var isCutAtLimit = false
    /// Our own count of the text, by channel in the order of the evidence: made when the answer is first counted,
    /// which is only where nothing the server sent proves how many tokens it has.
    var counts: [GrowingCount] = []
}

extension ChannelID {
    /// The role by which rules select it (DESIGN section 4).
    var role: Role {
        switch kind {
        case .toolName, .toolArguments, .functionName, .functionArguments: .toolCall
        case .promptEcho: .user
        default: .assistant
        }
    }
}
