import GuardCore
import GuardJSON

/// Collects what an endpoint's schema finds in an answer or event. Offsets and side ranges are set by `ChannelTracks`
/// afterwards.
struct AnswerReader {
    let streaming: Bool
    var parts = AnswerParts()
    /// Which index a tool call without one has; kept from event to event.
    var toolCalls = ToolCallNumbers()
    /// Bytes of the token that `parts.sides[i]` stands for.
    var tokenBytes: [Int: [UInt8]] = [:]
    /// Texts of `whole` sides.
    var wholeTexts: [Int: [UInt8]] = [:]

    init(streaming: Bool) { self.streaming = streaming }

    /// A piece of a channel. Null and absent are no text; anything else is read as far as it holds strings.
    mutating func text(_ node: JSONNode?, _ channel: ChannelID, pointer: @autoclosure () -> String) {
        guard let node, !node.isNull else { return }
        guard let text = node.stringBytes else { return unread(node, pointer: pointer()) }
        parts.texts.append(AnswerText(channel: channel, offset: 0, text: text, places: [node.contentRange]))
    }

    /// All strings below a value that the schema does not know.
    mutating func unread(_ node: JSONNode, pointer: @autoclosure () -> String) {
        for string in node.strings {
            guard let text = string.stringBytes, !text.isEmpty else { continue }
            parts.unread.append(UnreadText(text: text, place: string.contentRange, pointer: pointer()))
        }
    }

    mutating func list(_ arrays: [JSONNode]) -> Int {
        parts.lists.append(arrays)
        return parts.lists.count - 1
    }

    /// An entry for one token of a channel.
    mutating func token(_ channel: ChannelID, bytes: [UInt8], name: String, list: Int, index: Int) {
        tokenBytes[parts.sides.count] = bytes
        parts.sides.append(
            SideField(
                channel: channel, relation: .token, range: nil, name: name,
                removal: .element(list: list, index: index), place: nil))
    }

    /// Ids and numbers of the texts of this JSON; replaced by `bytes` when those are edited.
    mutating func companion(_ channel: ChannelID, name: String, _ replaced: [(JSONNode?, String)]) {
        let ranges: [SideField.ReplacedRange] = replaced.compactMap { node, json in
            guard let node, !node.isNull else { return nil }
            return SideField.ReplacedRange(range: node.byteRange, bytes: Array(json.utf8))
        }
        guard !ranges.isEmpty else { return }
        parts.sides.append(
            SideField(
                channel: channel, relation: .companion, range: nil, name: name, removal: .replacement(ranges),
                place: nil))
    }

    mutating func whole(_ channel: ChannelID, _ node: JSONNode, text: [UInt8], name: String) {
        wholeTexts[parts.sides.count] = text
        parts.sides.append(
            SideField(
                channel: channel, relation: .whole, range: nil, name: name,
                removal: .replacement([SideField.ReplacedRange(range: node.byteRange, bytes: Array("\"\"".utf8))]),
                place: node.contentRange))
    }

    mutating func end(_ choice: Int, _ reason: JSONNode) {
        guard let word = reason.string else { return }
        parts.ends.append(ChoiceEnd(choice: choice, finishReason: word, place: reason.contentRange))
        clearAtEnd(reason)
    }

    /// A string that clients append when it comes again.
    mutating func once(_ node: JSONNode) {
        guard streaming, node.kind == .string else { return }
        parts.onceClearing.append(SideField.ReplacedRange(range: node.byteRange, bytes: Array("null".utf8)))
    }

    mutating func clearAtEnd(_ node: JSONNode?) {
        guard let node, !node.isNull else { return }
        parts.endClearing.append(SideField.ReplacedRange(range: node.byteRange, bytes: Array("null".utf8)))
    }

    mutating func error(type: JSONNode?, code: JSONNode?) {
        let word = code.flatMap { code -> String? in
            code.isNull ? nil : code.string ?? String(decoding: code.rawBytes, as: UTF8.self)
        }
        parts.error = UpstreamError(type: type?.string, code: word)
    }

    mutating func see(_ choice: Int) {
        if !parts.choices.contains(choice) { parts.choices.append(choice) }
    }

    mutating func countTokens(_ count: Int) { parts.tokensCount = (parts.tokensCount ?? 0) + count }

    /// For a whole answer: offsets and ranges from the texts of this JSON alone.
    mutating func finishAnswer() -> AnswerParts {
        var tracks = ChannelTracks(laggingBytesMax: .max)
        tracks.place(&self)
        return parts
    }
}

/// Numbers tool calls that come without `index`: by id, else by position in their list, else the last one goes on.
struct ToolCallNumbers: Sendable {
    private struct Choice: Sendable {
        var ids: [[UInt8]: Int] = [:]
        var last = -1
    }

    private var choices: [Int: Choice] = [:]

    mutating func number(choice: Int, index: JSONNode?, id: JSONNode?, position: Int) -> Int {
        var state = choices[choice] ?? Choice()
        defer { choices[choice] = state }
        let id = id?.stringBytes.flatMap { $0.isEmpty ? nil : $0 }
        if let given = index?.integer, given >= 0, given <= Int64(Int32.max) {
            state.last = max(state.last, Int(given))
            if let id { state.ids[id] = Int(given) }
            return Int(given)
        }
        if let id {
            if let known = state.ids[id] { return known }
            state.last += 1
            state.ids[id] = state.last
            return state.last
        }
        // Neither index nor id: goes on with the last call, unless one list holds several.
        if state.last < 0 || position > state.last { state.last += 1 }
        return position > 0 ? max(position, 0) : state.last
    }
}
