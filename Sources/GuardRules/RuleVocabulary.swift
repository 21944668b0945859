internal import GuardCore

/// The words in the patterns of rules: what words in disguise have to show to be worth a reading. `i` and `l` are one
/// letter, as they are in leet.
///
/// Words are kept as bits of hashes: one that is not there may seem to be, never the other way round.
struct RuleVocabulary: Sendable, Equatable {
    /// Letters of the shortest word.
    static let lettersMin = 3
    /// Letters that tell how a word begins.
    private static let beginLetters = 4
    private static let bits: UInt64 = 1 << 16

    private var words = [UInt64](repeating: 0, count: Int(bits / 64))
    private var begins = [UInt64](repeating: 0, count: Int(bits / 64))

    /// Every run of letters in a pattern's source is a word: more than the pattern asks for, not less.
    init(_ patterns: some Sequence<String>) {
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
    }

    /// With the words of another one.
    func union(_ other: RuleVocabulary) -> RuleVocabulary {
        var union = self
        for index in words.indices {
            union.words[index] |= other.words[index]
            union.begins[index] |= other.begins[index]
        }
        return union
    }

    private mutating func insert(_ run: [UInt8]) {
        guard run.count >= Self.lettersMin else { return }
        Self.set(&words, Self.hash(run[...]))
        if run.count >= Self.beginLetters { Self.set(&begins, Self.hash(run.prefix(Self.beginLetters))) }
    }

    /// Whether it is a word of a pattern. Lower case, as `letter` gives them.
    func contains(_ letters: some Collection<UInt8>) -> Bool {
        letters.count >= Self.lettersMin && Self.has(words, Self.hash(letters))
    }

    /// Whether a word of a pattern begins with the same four letters.
    func containsBegin(of letters: some Collection<UInt8>) -> Bool {
        letters.count >= Self.beginLetters && Self.has(begins, Self.hash(letters.prefix(Self.beginLetters)))
    }

    /// What a byte is in words: lower case, `i` for `l`, itself beyond ASCII. `nil`: no letter.
    static func letter(_ byte: UInt8) -> UInt8? {
        if byte >= 0x80 { return byte }
        let lower = byte | 0x20
        guard lower &- 0x61 < 26 else { return nil }
        return lower == UInt8(ascii: "l") ? UInt8(ascii: "i") : lower
    }

    /// FNV-1a, folded to the bits there are.
    private static func hash(_ letters: some Collection<UInt8>) -> UInt64 {
        let hash = letters.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return (hash ^ hash >> 32) % bits
    }

    private static func set(_ table: inout [UInt64], _ bit: UInt64) { table[Int(bit / 64)] |= 1 << (bit % 64) }

    private static func has(_ table: [UInt64], _ bit: UInt64) -> Bool { table[Int(bit / 64)] & 1 << (bit % 64) != 0 }
}
