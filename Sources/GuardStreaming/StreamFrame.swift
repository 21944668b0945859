import GuardCore
import GuardJSON
import GuardLLMSchema

/// One event on its way to the client.
struct StreamFrame {
    let event: StreamEvent
    /// When it came, in milliseconds of the caller's clock.
    let arrival: Int
    /// Indices of the tracks of `event.texts`.
    let texts: [Int]
    /// Indices of the tracks of `event.sides`.
    let sides: [Int]
    /// Tracks that it shows something of, each once.
    let tracks: [Int]
    let choices: [Int]
    /// Speaks of its choices as a whole (an end, no text): leaves behind everything that came of them before.
    let isFence: Bool
    /// Speaks of no choice (usage, end mark, what we do not know): leaves behind everything that came before.
    let isBarrier: Bool
    /// Edits of strings that the schema does not know.
    var unreadEdits: [JSONEdit] = []
    /// By text: channel offset up to which it has left.
    var delivered: [Int]
    /// Sides that have left, or had to go.
    var doneSides: Set<Int> = []
    /// A part of it has left.
    var isRest = false
    /// All of it has left.
    var isGone = false

    /// Edits that take out of the rest of an event what its first part has said already. Clients add up what they
    /// get: a role or the id of a tool call would come out doubled.
    func repetitionEdits() -> (edits: [JSONEdit], removed: [ByteRange]) {
        guard let data = event.frame.data, let document = try? JSONDocument(data),
            let choices = document.root["choices"], choices.kind == .array
        else { return ([], []) }
        var removed: [ByteRange] = []
        for choice in choices.elements {
            guard let delta = choice["delta"], delta.kind == .object else { continue }
            Self.remove(["role"], from: delta, &removed)
            guard let calls = delta["tool_calls"], calls.kind == .array else { continue }
            for call in calls.elements where call.kind == .object {
                Self.remove(["id", "type"], from: call, &removed)
            }
        }
        return (removed.map { JSONEdit(range: $0, replacement: []) }, removed)
    }

    private static func remove(_ names: [String], from object: JSONNode, _ removed: inout [ByteRange]) {
        let members = Array(object.members)
        func isRemoved(_ index: Int) -> Bool { names.contains { members[index].key.isString($0) } }
        var index = 0
        while index < members.count {
            guard isRemoved(index) else {
                index += 1
                continue
            }
            var last = index
            while last + 1 < members.count, isRemoved(last + 1) { last += 1 }
            if last + 1 < members.count {
                removed.append(members[index].key.byteRange.lowerBound..<members[last + 1].key.byteRange.lowerBound)
            } else if index > 0 {
                removed.append(members[index - 1].value.byteRange.upperBound..<members[last].value.byteRange.upperBound)
            } else {
                removed.append(members[index].key.byteRange.lowerBound..<members[last].value.byteRange.upperBound)
            }
            index = last + 1
        }
    }
}
