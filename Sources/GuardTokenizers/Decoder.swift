/// How token bytes become text again.
struct Decoder: Sendable {
    /// Whether one space at the very start is taken away (it was put there by the normalizer).
    var stripsLeadingSpace = false
    /// Byte that stands behind an id (`<0x0A>`).
    var byteOfID: [UInt32: UInt8] = [:]
    /// Text that is written for an id instead of its bytes (control pieces, the unknown piece).
    var textOfID: [UInt32: [UInt8]] = [:]
    /// Whether no space of the first token is of the text.
    var dropsSpacesOfFirst = false
    /// Whether a space stands between tokens.
    var joinsWithSpaces = false
    /// Instead of all others.
    var chain: DecoderChain?
    /// Joins words and their continuations.
    var wordPiece: WordPiece?

    struct WordPiece: Sendable, Hashable {
        /// Marks continuations.
        var prefix: [UInt8]
        /// Takes spaces before punctuation and contractions away.
        var cleansUp: Bool

        /// What a token adds to the text.
        func text(_ token: [UInt8], isFirst: Bool) -> [UInt8] {
            let text =
                isFirst ? token
                : !prefix.isEmpty && token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
            return cleansUp ? Self.cleanedUp(text) : text
        }

        /// Hugging Face's `cleanup`.
        static func cleanedUp(_ text: [UInt8]) -> [UInt8] {
            var text = text
            for (pattern, replacement) in replacements {
                let step = Normalizer.Step.replace(Array(pattern.utf8), with: Array(replacement.utf8))
                text = Normalizer(steps: [step]).apply(text)
            }
            return text
        }

        /// In its order.
        private static let replacements = [
            (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
            (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
        ]
    }
}
