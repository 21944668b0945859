import GuardCore
package import GuardJSON

/// What one JSON text of an answer (the whole of it, or one event) holds.
package struct AnswerParts: Sendable {
    /// Pieces of channels in the order of the JSON.
    package internal(set) var texts: [AnswerText] = []
    package internal(set) var sides: [SideField] = []
    package internal(set) var ends: [ChoiceEnd] = []
    package internal(set) var usage: Usage?
    /// Strings that the schema does not know: judge them as complete texts, or count the scan as incomplete.
    package internal(set) var unread: [UnreadText] = []
    /// Parts that are no text (generated audio): the scan is incomplete.
    package internal(set) var opaque: [RequestView.OpaquePart] = []
    package internal(set) var error: UpstreamError?
    /// Completion tokens that this JSON proves (token ids, logprobs entries, one for each TGI event), where it does.
    package internal(set) var tokensCount: Int?
    /// Choices that this JSON speaks of.
    package internal(set) var choices: [Int] = []

    /// Arrays whose elements at one index belong together.
    var lists: [[JSONNode]] = []
    /// What to replace so that the JSON no longer ends its choices.
    var endClearing: [SideField.ReplacedRange] = []
    /// What to replace where an event is sent in two: role, tool call id.
    var onceClearing: [SideField.ReplacedRange] = []

    /// Which texts change, and what goes with them.
    package struct Rewrite: Sendable {
        /// New text of `texts[i]`.
        package var texts: [Int: [UInt8]]
        /// Indices of `sides` to drop.
        package var dropped: Set<Int>
        /// New text of `sides[i]` whose relation is `whole`.
        package var wholes: [Int: [UInt8]]
        /// Take the ends out: finish reasons become null, TGI's final fields too.
        package var clearsEnds: Bool
        /// The event was sent before with the beginning of its texts: take out what clients would append twice (role,
        /// tool call ids).
        package var continues: Bool
        /// New finish reasons of `ends[i]`.
        package var finishReasons: [Int: String]

        package init(
            texts: [Int: [UInt8]] = [:], dropped: Set<Int> = [], wholes: [Int: [UInt8]] = [:], clearsEnds: Bool = false,
            continues: Bool = false, finishReasons: [Int: String] = [:]
        ) {
            self.continues = continues
            self.texts = texts
            self.dropped = dropped
            self.wholes = wholes
            self.clearsEnds = clearsEnds
            self.finishReasons = finishReasons
        }
    }

    /// Edits of the JSON that carry out `rewrite`. Unknown indices are ignored.
    package func edits(_ rewrite: Rewrite) -> [JSONEdit] {
        var edits: [JSONEdit] = []
        for (index, text) in rewrite.texts where texts.indices.contains(index) {
            let escaped = JSONEscape.escaped(text)
            for place in texts[index].places { edits.append(JSONEdit(range: place, replacement: escaped)) }
        }
        var removed: [Int: Set<Int>] = [:]
        for index in rewrite.dropped where sides.indices.contains(index) {
            switch sides[index].removal {
            case .element(let list, let position): removed[list, default: []].insert(position)
            case .replacement(let ranges):
                for range in ranges { edits.append(JSONEdit(range: range.range, replacement: range.bytes)) }
            }
        }
        for (list, positions) in removed where lists.indices.contains(list) {
            for array in lists[list] { edits += JSONEdit.removing(positions, from: array) }
        }
        for (index, text) in rewrite.wholes where sides.indices.contains(index) && !rewrite.dropped.contains(index) {
            guard let place = sides[index].place else { continue }
            edits.append(JSONEdit(range: place, replacement: JSONEscape.escaped(text)))
        }
        if rewrite.continues {
            for range in onceClearing { edits.append(JSONEdit(range: range.range, replacement: range.bytes)) }
        }
        if rewrite.clearsEnds {
            let cleared = endClearing
            edits.removeAll { edit in cleared.contains { $0.range.overlaps(edit.range) } }
            for range in cleared { edits.append(JSONEdit(range: range.range, replacement: range.bytes)) }
        } else {
            for (index, reason) in rewrite.finishReasons
            where ends.indices.contains(index) && !ends[index].place.isEmpty {
                edits.append(JSONEdit(range: ends[index].place, replacement: JSONEscape.escaped(reason.utf8)))
            }
        }
        return edits
    }

    /// Edits of a whole answer for masks in its channels.
    func edits(masking masks: [AnswerView.Mask], body: [UInt8]) -> (edits: [JSONEdit], dropped: Set<String>) {
        var edits: [JSONEdit] = []
        let ordered = OrderedMasks(masks)
        for text in texts {
            let own = ordered.overlapping(text.channelRange, of: text.channel)
            guard !own.isEmpty else { continue }
            for place in text.places {
                let map = JSONStringMap(body: body, content: place)
                for mask in own {
                    // The piece in which a mask begins carries its text.
                    let begins = mask.range.lowerBound >= text.offset
                    let range = mask.range.clamped(to: text.channelRange)
                    let inside = range.lowerBound - text.offset..<range.upperBound - text.offset
                    edits.append(
                        JSONEdit(
                            range: map.bodyRange(of: inside),
                            replacement: begins ? JSONEscape.escaped(mask.replacement) : []))
                }
            }
        }
        var dropped: Set<Int> = []
        var names: Set<String> = []
        for (index, side) in sides.enumerated() {
            let isHit =
                side.range.map { !ordered.overlapping($0, of: side.channel).isEmpty }
                ?? ordered.choices.contains(side.channel.choice)
            guard isHit else { continue }
            dropped.insert(index)
            names.insert(side.name)
        }
        edits += self.edits(Rewrite(dropped: dropped))
        return (edits, names)
    }
}

/// Masks by channel and place: answers have as many tokens as text.
private struct OrderedMasks {
    private var byChannel: [ChannelID: [AnswerView.Mask]]
    let choices: Set<Int>

    init(_ masks: [AnswerView.Mask]) {
        byChannel = Dictionary(grouping: masks.filter { !$0.range.isEmpty }, by: \.channel)
            .mapValues { $0.sorted { $0.range.lowerBound < $1.range.lowerBound } }
        choices = Set(masks.map(\.channel.choice))
    }

    func overlapping(_ range: ByteRange, of channel: ChannelID) -> ArraySlice<AnswerView.Mask> {
        guard let masks = byChannel[channel] else { return [] }
        // They do not overlap one another, so their ends are in order, too.
        var low = 0
        var high = masks.count
        while low < high {
            let middle = (low + high) / 2
            if masks[middle].range.upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < masks.count, masks[end].range.lowerBound < range.upperBound { end += 1 }
        return masks[low..<end]
    }
}
