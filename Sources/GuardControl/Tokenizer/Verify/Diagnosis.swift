import GuardCore
import GuardTokenizers

/// Why the two sides differ, as far as the evidence says.
struct Difference: Sendable, Equatable {
    enum Cause: String, Sendable, CaseIterable {
        /// The rendered text differs.
        case template
        /// Start and end tokens, or the parsing of special tokens' strings.
        case specials
        /// Other ids for the same text.
        case tokenizer
        case unknown
    }

    var cause: Cause
    /// The evidence in words.
    var why: String
    /// The first place where the rendered texts differ (bytes), or the ids (index).
    var place: Int?
}

/// A case and what both sides made of it.
struct Observation: Sendable {
    var testCase: VerifyCase
    var ours: CountedPrompt
    var theirs: CountedPrompt

    /// Both count the same, or both refuse.
    var isEqual: Bool {
        if ours.refusal != nil || theirs.refusal != nil { return ours.refusal != nil && theirs.refusal != nil }
        if let own = ours.ids, let their = theirs.ids { return own == their }
        return ours.count == theirs.count
    }

    /// What they count more than we; `nil` where one side refuses.
    var offset: Int? { ours.refusal == nil && theirs.refusal == nil ? theirs.count - ours.count : nil }
}

/// Deduces causes from all observations of a run: a case alone often fits several, what the others show decides.
struct Diagnosis {
    private let counting: OwnCounting
    /// Of texts without special strings: all equal, or `nil` where none was compared.
    private let plainTextsAgree: Bool?
    /// The one offset that all compared texts have; `nil` where they have several.
    private let textOffset: Int?
    private let chatOffset: Int?
    private let plainChatsAgree: Bool?

    /// A constant says something from so many cases on.
    private static let casesMin = 3

    init(_ observations: [Observation], _ counting: OwnCounting) {
        self.counting = counting
        func offset(_ list: [Observation]) -> Int? {
            let offsets = list.compactMap(\.offset)
            guard offsets.count >= Self.casesMin, let first = offsets.first, offsets.allSatisfy({ $0 == first }) else {
                return nil
            }
            return first
        }
        func agree(_ list: [Observation]) -> Bool? {
            let compared = list.filter { $0.offset != nil }
            return compared.isEmpty ? nil : compared.allSatisfy(\.isEqual)
        }
        let texts = observations.filter { $0.testCase.isText && !$0.testCase.hasSpecialStrings }
        let chats = observations.filter { !$0.testCase.isText && !$0.testCase.hasSpecialStrings }
        plainTextsAgree = agree(texts)
        plainChatsAgree = agree(chats)
        textOffset = offset(texts)
        chatOffset = offset(chats)
    }

    /// - Returns: `nil` where the case is equal.
    func difference(_ observation: Observation) -> Difference? {
        guard !observation.isEqual else { return nil }
        if let refused = refusal(observation) { return refused }
        if let ours = observation.ours.ids, let theirs = observation.theirs.ids {
            return fromIDs(observation, ours, theirs)
        }
        return observation.testCase.isText ? textFromCounts(observation) : chatFromCounts(observation)
    }

    private func refusal(_ observation: Observation) -> Difference? {
        if let raised = observation.ours.refusal {
            return Difference(
                cause: .template, why: "our template raises (\(raised)), the server counts \(observation.theirs.count)")
        }
        guard let answer = observation.theirs.refusal else { return nil }
        let words = answer.lowercased()
        let isTemplate = ["template", "jinja", "roles must", "role not supported", "raise_exception"]
            .contains { words.contains($0) }
        return Difference(cause: isTemplate ? .template : .unknown, why: "the server refuses it: \(answer)")
    }

    // MARK: With ids

    private func fromIDs(_ observation: Observation, _ ours: [UInt32], _ theirs: [UInt32]) -> Difference {
        let place = zip(ours, theirs).enumerated().first { $1.0 != $1.1 }?.offset ?? min(ours.count, theirs.count)
        if let own = observation.ours.rendered, let their = observation.theirs.rendered, own != their {
            let place = zip(own, their).enumerated().first { $1.0 != $1.1 }?.offset ?? min(own.count, their.count)
            return Difference(
                cause: .template, why: "the rendered texts differ from byte \(place) on: ours \(Self.excerpt(own, place)), "
                    + "the server's \(Self.excerpt(their, place))", place: place)
        }
        if let alternative = counting.alternatives(observation.testCase.input).first(where: { $0.ids == theirs }) {
            return Difference(cause: .specials, why: "the server's ids are ours if \(alternative.words)", place: place)
        }
        if let words = edges(ours, theirs) { return Difference(cause: .specials, why: words, place: place) }
        if observation.testCase.isText || observation.theirs.rendered != nil {
            return Difference(
                cause: .tokenizer, why: "other ids for the same text, from token \(place) on", place: place)
        }
        // The server shows ids only. Our vocabulary can read them if it is the server's.
        guard plainTextsAgree == true else {
            return Difference(
                cause: .unknown,
                why: "ids differ from token \(place) on; so do those of plain texts, or none could be compared", place: place)
        }
        let own = counting.tokenizer.decode(ours.map { TokenID($0) })
        let their = counting.tokenizer.decode(theirs.map { TokenID($0) })
        guard own == their else {
            let place = zip(own, their).enumerated().first { $1.0 != $1.1 }?.offset ?? min(own.count, their.count)
            return Difference(
                cause: .template, why: "ids of plain texts agree, and read back as text the prompts differ from byte "
                    + "\(place) on: ours \(Self.excerpt(own, place)), the server's \(Self.excerpt(their, place))",
                place: place)
        }
        return observation.testCase.hasSpecialStrings
            ? Difference(cause: .specials, why: "other ids for the same text, which holds special tokens' strings", place: place)
            : Difference(cause: .tokenizer, why: "other ids for the same text, from token \(place) on", place: place)
    }

    /// The ids are equal but for special tokens at the ends.
    private func edges(_ ours: [UInt32], _ theirs: [UInt32]) -> String? {
        func isSpecial(_ id: UInt32) -> Bool { counting.tokenizer.isSpecial(TokenID(id)) }
        func trimmed(_ ids: [UInt32]) -> (head: Int, core: ArraySlice<UInt32>, tail: Int) {
            let head = ids.prefix(while: isSpecial).count
            let tail = ids.dropFirst(head).reversed().prefix(while: isSpecial).count
            return (head, ids[head..<ids.count - tail], tail)
        }
        let own = trimmed(ours)
        let their = trimmed(theirs)
        guard own.core.elementsEqual(their.core), (own.head, own.tail) != (their.head, their.tail) else { return nil }
        return "the same but for special tokens at the ends: ours begins with \(own.head) and ends with \(own.tail), "
            + "the server's \(their.head) and \(their.tail)"
    }

    private static func excerpt(_ text: [UInt8], _ place: Int) -> String {
        var start = max(0, place - 12)
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return String(decoding: text[start..<min(text.count, max(start, place) + 28)], as: UTF8.self).debugDescription
    }

    // MARK: With counts only

    private func textFromCounts(_ observation: Observation) -> Difference {
        let theirs = observation.theirs.count
        if let offset = textOffset, offset == observation.offset {
            return Difference(
                cause: .specials, why: "the server counts \(Self.more(offset)) for every text: start or end tokens")
        }
        if observation.testCase.hasSpecialStrings,
            let alternative = counting.alternatives(observation.testCase.input).first(where: { $0.ids.count == theirs })
        {
            return Difference(cause: .specials, why: "the server's count is ours if \(alternative.words)")
        }
        if observation.testCase.hasSpecialStrings, plainTextsAgree == true {
            return Difference(cause: .specials, why: "texts without special tokens' strings agree")
        }
        return Difference(cause: .tokenizer, why: "another count for the same text, and no constant for all texts")
    }

    private func chatFromCounts(_ observation: Observation) -> Difference {
        let offset = observation.offset ?? 0
        if let constant = textOffset, constant != 0, constant == offset {
            return Difference(cause: .specials, why: "the server counts \(Self.more(constant)) for texts too")
        }
        guard let plainTextsAgree else {
            return Difference(cause: .unknown, why: "only counts, and no text could be compared")
        }
        guard plainTextsAgree else {
            return Difference(cause: .unknown, why: "only counts, and those of plain texts differ too")
        }
        if observation.testCase.hasSpecialStrings, plainChatsAgree == true {
            return Difference(
                cause: .specials, why: "conversations without special tokens' strings agree, and so do plain texts")
        }
        if let constant = chatOffset, abs(constant) == 1, counting.tokenizer.bosToken != nil {
            return Difference(
                cause: .specials,
                why: "texts agree and the server counts \(Self.more(constant)) for every conversation: most likely the start "
                    + "token, which the template or the server writes")
        }
        return Difference(
            cause: .template, why: "counts of texts agree, those of conversations do not (\(Self.more(offset)) here)")
    }

    private static func more(_ offset: Int) -> String {
        "\(abs(offset)) token\(abs(offset) == 1 ? "" : "s") \(offset > 0 ? "more" : "fewer")"
    }
}
