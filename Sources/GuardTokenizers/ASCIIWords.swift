/// Which of 16 bytes of text are ASCII letters, as bit masks: how `PieceScanner` finds the end of common words without
/// looking at single characters.
struct ASCIIWords {
    /// Bit i is set if byte i is in A...Z.
    var upper: UInt32
    /// Bit i is set if byte i is in a...z.
    var lower: UInt32

    @inline(__always)
    init(_ low: UInt64, _ high: UInt64) {
        let (upper0, lower0) = Self.letters(low)
        let (upper1, lower1) = Self.letters(high)
        upper = Self.bits(upper0) | Self.bits(upper1) &<< 8
        lower = Self.bits(lower0) | Self.bits(lower1) &<< 8
    }

    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// The top bit of each byte that is an upper-case letter, and of each that is a lower-case one. Sums of seven-bit
    /// values with constants below 0x80 do not carry into the next byte.
    @inline(__always)
    private static func letters(_ word: UInt64) -> (UInt64, UInt64) {
        let seven = word & ~tops
        // At least 'A' and not above 'Z', in all bytes at once.
        let upper = (seven &+ 0x3F3F_3F3F_3F3F_3F3F) & ~(seven &+ 0x2525_2525_2525_2525)
        let lower = (seven &+ 0x1F1F_1F1F_1F1F_1F1F) & ~(seven &+ 0x0505_0505_0505_0505)
        let ascii = ~word & tops
        return (upper & ascii, lower & ascii)
    }

    /// Top bits of eight bytes as eight bits.
    @inline(__always)
    private static func bits(_ tops: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: ((tops &>> 7) &* 0x0102_0408_1020_4080) &>> 56)
    }
}

extension PieceScanner {
    /// Length of the piece that begins here if it is an ASCII word, with or without one character before it, that ends
    /// in these bytes but the last before a byte that surely does not belong to it; 0 if that is not so. `next`, which
    /// decides all cases, gives the same length.
    /// - Parameters:
    ///   - low: the piece's first eight bytes, little endian.
    ///   - high: the next eight.
    ///   - classes: bytes' classes, for the head.
    @inline(__always)
    func asciiWord(_ low: UInt64, _ high: UInt64, _ classes: UnicodeClasses) -> Int {
        let words = ASCIIWords(low, high)
        let first = UInt8(truncatingIfNeeded: low)
        let letters = words.upper | words.lower
        var head = 0
        if letters & 1 == 0 {
            guard canLead(first, classes), letters & 2 != 0 else { return 0 }
            head = 1
        }
        let end: Int
        if family == .cased {
            // Capitals, then small letters. The tops are set so that counting always ends.
            let capitals = (~words.upper & 0xFFFF_FFFF &<< UInt32(head)).trailingZeroBitCount
            end = (~words.lower & 0xFFFF_FFFF &<< UInt32(capitals)).trailingZeroBitCount
        } else {
            end = (~letters & 0xFFFF_FFFF &<< UInt32(head)).trailingZeroBitCount
        }
        guard end <= PieceKey.lengthMax else { return 0 }
        let behind = UInt8(
            truncatingIfNeeded: end < 8 ? low &>> UInt64(8 &* end) : high &>> UInt64(8 &* (end &- 8)))
        // It may be a letter or mark, or the beginning of a contraction that belongs to the word.
        if behind >= 0x80 || takesContraction && behind == UInt8(ascii: "'") { return 0 }
        return end
    }

    /// Whether this ASCII character that is no letter is part of a word that follows it directly.
    @inline(__always)
    private func canLead(_ byte: UInt8, _ classes: UnicodeClasses) -> Bool {
        if family == .gpt2 { return byte == UInt8(ascii: " ") }
        // An apostrophe may begin a contraction: `next` decides.
        return byte < 0x80 && byte != UInt8(ascii: "'")
            && classes[UInt32(byte)] & (UnicodeClasses.number | UnicodeClasses.newline) == 0
    }
}
