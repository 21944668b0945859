internal import GuardCore

/// The words in the patterns of rules: what words in disguise have to show to be worth a reading. `i` and `l` are one
/// letter, as they are in leet.
///
/// Words are kept as hashes of 64 bits: one that is not there may seem to be, never the other way round.
struct RuleVocabulary: Sendable, Equatable {
    /// Letters of the shortest word.
    static let lettersMin = 3
    /// Letters that tell how a word begins.
    private static let beginLetters = 4

    private let words: Hashes
    private let begins: Hashes

    /// A set of hashes. Most that are asked for are not there, which one look at the bits tells.
    private struct Hashes: Sendable, Equatable {
        private let sorted: [UInt64]
        private var bits = [UInt64](repeating: 0, count: 1 << 10)

        init(_ hashes: Set<UInt64>) {
            sorted = hashes.sorted()
            for hash in sorted { bits[Self.word(hash)] |= 1 << (hash & 63) }
        }

        func union(_ other: Hashes) -> Hashes { Hashes(Set(sorted).union(other.sorted)) }

        private static func word(_ hash: UInt64) -> Int { Int(hash >> 6 & 1023) }

        func contains(_ hash: UInt64) -> Bool {
            if bits[Self.word(hash)] & 1 << (hash & 63) == 0 { return false }
            var low = 0
            var high = sorted.count
            while low < high {
                let middle = (low + high) / 2
                if sorted[middle] < hash { low = middle + 1 } else { high = middle }
            }
            return low < sorted.count && sorted[low] == hash
        }
    }

    /// Every run of letters in a pattern's source is a word: more than the pattern asks for, not less.
    init(_ patterns: some Sequence<String>) {
        var words: Set<UInt64> = []
        var begins: Set<UInt64> = []
        func insert(_ run: [UInt8]) {
            guard run.count >= Self.lettersMin else { return }
            let word = Word(run)
            words.insert(word.hash)
            if run.count >= Self.beginLetters { begins.insert(word.beginHash) }
        }
        for pattern in patterns {
            var run: [UInt8] = []
            var isEscaped = false
            for byte in pattern.utf8 {
                if !isEscaped, let letter = Self.letter(byte) {
                    run.append(letter)
                } else {
                    insert(run)
                    run.removeAll(keepingCapacity: true)
                }
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            }
            insert(run)
        }
        self.words = Hashes(words)
        self.begins = Hashes(begins)
    }

    private init(_ words: Hashes, _ begins: Hashes) {
        self.words = words
        self.begins = begins
    }

    /// With the words of another one.
    func union(_ other: RuleVocabulary) -> RuleVocabulary {
        RuleVocabulary(words.union(other.words), begins.union(other.begins))
    }

    /// Letters in a row, as `letter` gives them: their hashes.
    struct Word {
        private(set) var count = 0
        /// FNV-1a.
        fileprivate private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        /// Of the first letters, once there are so many.
        fileprivate private(set) var beginHash: UInt64 = 0

        init() {}

        init(_ letters: some Sequence<UInt8>) {
            for letter in letters { append(letter) }
        }

        mutating func append(_ letter: UInt8) {
            hash = (hash ^ UInt64(letter)) &* 0x100_0000_01B3
            count += 1
            if count == RuleVocabulary.beginLetters { beginHash = hash }
        }
    }

    /// Whether it is a word of a pattern.
    func contains(_ word: Word) -> Bool { word.count >= Self.lettersMin && words.contains(word.hash) }

    /// Whether a word of a pattern begins with the same four letters.
    func containsBegin(of word: Word) -> Bool {
        word.count >= Self.beginLetters && begins.contains(word.beginHash)
    }

    /// What a byte is in words: lower case, `i` for `l`, itself beyond ASCII. `nil`: no letter.
    static func letter(_ byte: UInt8) -> UInt8? {
        if byte >= 0x80 { return byte }
        let lower = byte | 0x20
        guard lower &- 0x61 < 26 else { return nil }
        return lower == UInt8(ascii: "l") ? UInt8(ascii: "i") : lower
    }
}
