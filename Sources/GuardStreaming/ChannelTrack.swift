import GuardCore
import GuardJSON
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
    /// Set where the text is JSON as a rule: what was JSON is so with its edits.
    private var arguments: Arguments?

    private struct Arguments {
        var text: [UInt8] = []
        var scan = JSONStringScan()
        /// Offset that `scan` has come to.
        var scanned = 0

        /// `edit` as it may stand in the text; those before it have been asked about.
        mutating func fitted(_ edit: StreamEdit) -> StreamEdit {
            var edit = edit
            let start = min(text.count, max(scanned, edit.range.lowerBound))
            scan.read(text[scanned..<start])
            scanned = start
            edit.text = scan.fitting(edit.text)
            return edit
        }
    }

    init(id: ChannelID, role: Role, index: Int, inspector: ChannelInspector?) {
        (self.id, self.role, self.index, self.inspector) = (id, role, index, inspector)
        if inspector != nil, id.kind.isArguments { arguments = Arguments() }
    }

    var held: Int { length - released }

    mutating func append(_ text: [UInt8], scratch: inout MatchScratch) -> ChannelUpdate? {
        length += text.count
        guard inspector != nil else {
            released = length
            return nil
        }
        arguments?.text += text
        return noted(inspector?.append(text.span, scratch: &scratch))
    }

    mutating func finish(scratch: inout MatchScratch) -> ChannelUpdate? {
        guard !isFinished else { return nil }
        isFinished = true
        var update = noted(inspector?.finish(scratch: &scratch))
        if update?.block == nil, !edits.isEmpty, let text = arguments?.text, Self.isJSON(text),
            !Self.isJSON(rewritten(0..<text.count, of: text, offset: 0))
        {
            update?.block = StreamBlock(
                cause: .brokenJSON, provenAt: length, rules: Set(edits.flatMap(\.rules)).sorted())
        }
        return update
    }

    private static func isJSON(_ text: [UInt8]) -> Bool { (try? JSONDocument(text)) != nil }

    private mutating func noted(_ update: ChannelUpdate?) -> ChannelUpdate? {
        guard var update else { return nil }
        if arguments != nil { update.edits = update.edits.map { arguments?.fitted($0) ?? $0 } }
        released = max(released, update.releasableEnd)
        edits += update.edits
        return update
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
    /// What a tool is called with, JSON as a rule.
    var isArguments: Bool {
        switch self {
        case .toolArguments, .functionArguments: true
        default: false
        }
    }

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
