extension Tokenizer {
    /// How many tokens a text has, as far as a limit needs to know.
    package enum LimitedCount: Sendable, Hashable {
        /// What `count` gives.
        case exact(Int)
        /// The text has at least so many, which are more than the limit; the rest was not read.
        case over(atLeast: Int)
    }

    /// Bytes that are read between two looks at the running count.
    private static let strideBytes = 1 << 16

    /// Counts until it is certain that the text has more than `limit` tokens.
    ///
    /// Appending text can lower a count, so what is compared with the limit is only what lies before the last place at
    /// which the text can be cut (`GrowingCount`). A pipeline without such places is counted to the end.
    package func count(
        _ text: [UInt8], specials: SpecialTokens = .parse, addSpecialTokens: Bool, limit: Int
    ) -> LimitedCount {
        guard text.count > Self.strideBytes else {
            return .exact(count(text, specials: specials, addSpecialTokens: addSpecialTokens))
        }
        let around = addSpecialTokens ? stages.postProcessor.prefix.count + stages.postProcessor.suffix.count : 0
        var growing = GrowingCount(self, specials: specials)
        for start in stride(from: 0, to: text.count, by: Self.strideBytes) {
            growing.append(Array(text[start..<min(start + Self.strideBytes, text.count)]))
            if growing.leastCount > limit - around { return .over(atLeast: growing.leastCount + around) }
        }
        return .exact(growing.count + around)
    }
}
