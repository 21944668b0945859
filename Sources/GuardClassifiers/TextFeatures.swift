/// What a model reads of a text.
package struct FeatureOptions: Sendable, Hashable {
    /// Character n-grams of these lengths; both 0: none.
    package var charactersMin = 2
    package var charactersMax = 5
    /// Word n-grams up to this length; 0: none.
    package var wordsMax = 2
    /// Binary logarithm of the number of hash buckets.
    package var bucketsLog2 = 14
    package var seed: UInt32 = 0x6775_6172
    /// Characters of a window; even. Windows overlap by half.
    package var windowCharacters = 2048

    package init() {}

    package var buckets: Int { 1 << bucketsLog2 }

    /// What is wrong with them.
    var problem: String? {
        if charactersMin < 0 || charactersMax > 8 || charactersMin > charactersMax
            || charactersMin == 0 && charactersMax > 0
        {
            return "character n-grams have 1 to 8 characters"
        }
        if !(0...4).contains(wordsMax) { return "word n-grams have at most 4 words" }
        if charactersMax == 0 && wordsMax == 0 { return "no features" }
        if !(4...22).contains(bucketsLog2) { return "between 2^4 and 2^22 buckets are wanted" }
        if !(64...65_536).contains(windowCharacters) || windowCharacters % 2 != 0 {
            return "a window has an even number of characters, 64 to 65536"
        }
        return nil
    }
}

/// The hashed n-grams of a text.
///
/// Runs of white space count as one space. A character n-gram is a run of Unicode scalars; a word is a run of ASCII
/// letters, digits and of anything beyond ASCII, and a word n-gram is words in a row, whatever stands between. An n-gram
/// belongs to the block in which it begins (of words: in which its last word begins), so each is counted once, and a
/// window is two blocks in a row.
enum TextFeatures {
    struct Blocks {
        /// Bytes of the text, one behind the other.
        var ranges: [Range<Int>] = []
    }

    static func blocks(_ text: Span<UInt8>, _ options: FeatureOptions) -> Blocks {
        var blocks = Blocks()
        let size = options.windowCharacters / 2
        var start = 0
        var characters = 0
        for index in 0..<text.count where text[index] & 0xC0 != 0x80 {
            if characters == size {
                blocks.ranges.append(start..<index)
                (start, characters) = (index, 0)
            }
            characters += 1
        }
        if start < text.count { blocks.ranges.append(start..<text.count) }
        return blocks
    }

    /// Calls `body` with the block and the bucket of every n-gram.
    static func forEach(
        _ text: Span<UInt8>, _ blocks: Blocks, _ options: FeatureOptions, _ body: (_ block: Int, _ bucket: Int) -> Void
    ) {
        let mask = UInt32(truncatingIfNeeded: options.buckets - 1)
        var words: [UInt32] = []
        var word: UInt32 = 0
        var wordBlock = -1
        func endWord() {
            guard wordBlock >= 0 else { return }
            words.append(word)
            if words.count > options.wordsMax { words.removeFirst() }
            var hash: UInt32 = 0
            for (length, part) in words.reversed().enumerated() {
                hash = mix(hash &* 31 &+ part)
                body(wordBlock, Int(mix(hash ^ options.seed ^ UInt32(length + 1) << 24) & mask))
            }
            wordBlock = -1
        }
        for (block, range) in blocks.ranges.enumerated() {
            var index = range.lowerBound
            while index < range.upperBound {
                let byte = text[index]
                let isFirst = byte & 0xC0 != 0x80
                let isSpace = isSpace(byte)
                // A run of white space is its first byte.
                let isRun = isSpace && index > 0 && self.isSpace(text[index - 1])
                if isFirst, !isRun, options.charactersMax > 0 {
                    characters(text, index, options) { body(block, Int($0 & mask)) }
                }
                if options.wordsMax > 0 {
                    if isWordPart(byte) {
                        if wordBlock < 0 { (wordBlock, word) = (block, 0x811C_9DC5) }
                        word = (word ^ UInt32(byte)) &* 0x0100_0193
                    } else {
                        endWord()
                    }
                }
                index += 1
            }
        }
        endWord()
    }

    /// The n-grams that begin at `start`.
    @inline(__always)
    private static func characters(
        _ text: Span<UInt8>, _ start: Int, _ options: FeatureOptions, _ body: (UInt32) -> Void
    ) {
        // FNV-1a over the bytes, finished for every length.
        var hash = options.seed ^ 0x811C_9DC5
        var index = start
        var length = 0
        while length < options.charactersMax, index < text.count {
            if isSpace(text[index]) {
                hash = (hash ^ 0x20) &* 0x0100_0193
                index += 1
                while index < text.count, isSpace(text[index]) { index += 1 }
            } else {
                repeat {
                    hash = (hash ^ UInt32(text[index])) &* 0x0100_0193
                    index += 1
                } while index < text.count && text[index] & 0xC0 == 0x80
            }
            length += 1
            if length >= options.charactersMin { body(mix(hash &+ UInt32(length))) }
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

    private static func isWordPart(_ byte: UInt8) -> Bool {
        byte >= 0x80 || byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26
    }

    /// The finaliser of MurmurHash3.
    private static func mix(_ value: UInt32) -> UInt32 {
        var value = value
        value ^= value >> 16
        value = value &* 0x85EB_CA6B
        value ^= value >> 13
        value = value &* 0xC2B2_AE35
        return value ^ (value >> 16)
    }
}
