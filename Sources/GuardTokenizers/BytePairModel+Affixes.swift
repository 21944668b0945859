extension BytePairModel {
    /// `tokenizer.json`'s `continuing_subword_prefix` and `end_of_word_suffix`: vocabularies that mark where in its piece
    /// a character stands.
    struct Affixes: Sendable, Hashable {
        /// Before every character of a piece but the first.
        var prefix: [UInt8] = []
        /// Behind the last one.
        var suffix: [UInt8] = []
    }

    /// Symbols of a piece; characters that have none are bytes by the fallback, or unknown.
    /// - Returns: their number.
    func affixedSymbols(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ affixes: Affixes, _ scratch: Scratch
    ) -> Int {
        // A byte with its affixes may fall back to as many tokens.
        scratch.reserve((end - start) * (1 + affixes.prefix.count) + affixes.suffix.count)
        var count = 0
        var isLastUnknown = false
        var at = start
        while at < end {
            let length = options.startsWithCharacters ? UnicodeClasses.length(text, at, end) : 1
            var written = at > start ? affixes.prefix : []
            written += UnsafeBufferPointer(start: text + at, count: length)
            if at + length == end { written += affixes.suffix }
            at += length
            if let id = vocabulary.id(written) {
                scratch.symbols[count] = id
                count += 1
                isLastUnknown = false
                continue
            }
            // The original looks the bytes of the marked character up, affixes and all.
            if let fallback = options.byteFallback, written.allSatisfy({ fallback[Int($0)] != nil }) {
                for byte in written {
                    if let id = fallback[Int(byte)] {
                        scratch.symbols[count] = id
                        count += 1
                    }
                }
                isLastUnknown = false
            } else if let unknown = options.unknown, !(isLastUnknown && options.fusesUnknown) {
                scratch.symbols[count] = unknown
                count += 1
                isLastUnknown = true
            }
        }
        return count
    }
}
