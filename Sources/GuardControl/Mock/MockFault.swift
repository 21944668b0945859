/// What goes wrong on request: `x-mock-fault: close-mid-stream`, several with commas.
package struct MockFault: Sendable, Hashable {
    package var closeBeforeAnswer = false
    package var closeMidStream = false
    package var stall = false
    package var garbage = false
    package var ignoreLimit = false
    package var noUsage = false
    package var noEndMark = false
    package var status: Int?
    package var firstByteDelayMilliseconds = 0

    package static let names = [
        "close-before-answer", "close-mid-stream", "stall", "garbage", "ignore-limit", "no-usage", "no-end-mark",
        "error-STATUS", "slow-first-byte=MILLISECONDS",
    ]

    package init() {}

    package init?(_ text: String) {
        for part in text.split(separator: ",") {
            let name = part.drop { $0 == " " }
            switch name {
            case "close-before-answer": closeBeforeAnswer = true
            case "close-mid-stream": closeMidStream = true
            case "stall": stall = true
            case "garbage": garbage = true
            case "ignore-limit": ignoreLimit = true
            case "no-usage": noUsage = true
            case "no-end-mark": noEndMark = true
            default:
                if name.hasPrefix("error-"), let status = Int(name.dropFirst(6)), (400...599).contains(status) {
                    self.status = status
                } else if name.hasPrefix("slow-first-byte="), let delay = Int(name.dropFirst(16)),
                    (0...600_000).contains(delay)
                {
                    firstByteDelayMilliseconds = delay
                } else {
                    return nil
                }
            }
        }
    }

    /// Changes a reply that is otherwise right.
    func apply(to reply: inout MockReply) {
        reply.firstByteDelayMilliseconds = firstByteDelayMilliseconds
        if closeBeforeAnswer { reply.ending = .closeBeforeAnswer }
        if closeMidStream || stall {
            reply.keepHalf()
            reply.ending = stall ? .stall : .closeMidway
        }
    }
}
