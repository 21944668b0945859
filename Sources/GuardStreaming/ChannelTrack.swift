import GuardCore
import GuardLLMSchema
import GuardMatching

/// One channel of an answer: its inspector, and what came of its text so far.
struct ChannelTrack {
    let id: ChannelID
    let role: Role
    /// Index in order of appearance.
    let index: Int
    /// `nil`: no rule judges this channel.
    var inspector: ChannelInspector?
    var length = 0
    /// Text before this offset may leave.
    var released = 0
    /// All edits so far, ascending.
    var edits: [StreamEdit] = []
    var isFinished = false
    /// The text that has left, for a final field that repeats it; kept only where there may be one.
    var delivered: [UInt8]?

    var held: Int { length - released }

    mutating func append(_ text: [UInt8], scratch: inout MatchScratch) -> ChannelUpdate? {
        length += text.count
        guard inspector != nil else {
            released = length
            return nil
        }
        let update = inspector?.append(text.span, scratch: &scratch)
        note(update)
        return update
    }

    mutating func finish(scratch: inout MatchScratch) -> ChannelUpdate? {
        guard !isFinished else { return nil }
        isFinished = true
        let update = inspector?.finish(scratch: &scratch)
        note(update)
        return update
    }

    private mutating func note(_ update: ChannelUpdate?) {
        guard let update else { return }
        released = max(released, update.releasableEnd)
        edits += update.edits
    }

    /// Index of the first edit that ends behind `offset`.
    private func firstEdit(endingBehind offset: Int) -> Int {
        var low = 0
        var high = edits.count
        while low < high {
            let middle = (low + high) / 2
            if edits[middle].range.upperBound <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func isEdited(_ range: ByteRange) -> Bool {
        let first = firstEdit(endingBehind: range.lowerBound)
        return first < edits.count && edits[first].range.lowerBound < range.upperBound
    }

    /// What leaves for channel range `range`, whose original bytes are those of `text` from `offset` on. The piece in
    /// which an edit begins carries its text.
    func rewritten(_ range: ByteRange, of text: [UInt8], offset: Int) -> [UInt8] {
        var out: [UInt8] = []
        var at = range.lowerBound
        var index = firstEdit(endingBehind: range.lowerBound)
        while index < edits.count, edits[index].range.lowerBound < range.upperBound {
            let edit = edits[index]
            if edit.range.lowerBound >= range.lowerBound {
                out += text[(at - offset)..<(edit.range.lowerBound - offset)]
                out += edit.text
            }
            at = min(edit.range.upperBound, range.upperBound)
            index += 1
        }
        if at < range.upperBound { out += text[(at - offset)..<(range.upperBound - offset)] }
        return out
    }
}

extension ChannelID.Kind {
    /// The name of a called tool: a short text that comes in one piece.
    var isName: Bool {
        switch self {
        case .toolName, .functionName: true
        default: false
        }
    }

    /// Whether text of channel `next` in the same choice shows that this name is complete.
    func isName(endedBy next: Self) -> Bool {
        switch (self, next) {
        case (.toolName(let index), .toolArguments(let other)): index == other
        case (.toolName(let index), .toolName(let other)): index != other
        case (.functionName, .functionArguments): true
        default: false
        }
    }
}
