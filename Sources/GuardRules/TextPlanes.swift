internal import CTextScan
internal import GuardCore

/// What kinds of bytes a text is made of, as bit masks: bit i of word w of a plane speaks of byte 64 w + i. Made in one
/// pass; what disguises and encodings look like is told from a few words of masks instead of from every byte.
struct TextPlanes {
    enum Plane: Int, CaseIterable {
        /// Of ASCII; those of them that are capital.
        case letter, upper
        case digit
        /// `TextDecoder.isSpace`
        case space
        /// `TextDecoder.isJoint`
        case joint
        /// Signs that stand for letters in leet.
        case leet
        /// Of escapes: `%`, `\`, `&`, `=`.
        case escape
        /// Letters that no number has, with or without a prefix; signs that do not separate numbers.
        case noNumber
        /// `TextDecoder.isSpanByte`
        case span
        /// Of Morse letters; between them.
        case dot, bar
        case newline
        /// Not ASCII.
        case high
        /// Printable, no space.
        case graphic
        /// What stands before a token besides a space.
        case opener
        /// Not inside of a word that is broken at a line end: `TextDecoder.isBrokenByte` is not true of it.
        case edge
    }

    let count: Int
    /// Words of a plane.
    let words: Int
    /// Plane after plane, a word of zeros before and behind each.
    private let bits: [UInt64]

    private static let sets: [UInt16] = (0..<128).map { value in
        let byte = UInt8(value)
        func bit(_ plane: Plane, _ isMember: Bool) -> UInt16 { isMember ? 1 << UInt16(plane.rawValue) : 0 }
        let isAlphanumeric = TextDecoder.isAlphanumeric(byte)
        var set = bit(.letter, TextDecoder.isLetter(byte)) | bit(.upper, byte &- 0x41 < 26)
        set |= bit(.digit, TextDecoder.isDigit(byte)) | bit(.space, TextDecoder.isSpace(byte))
        set |= bit(.joint, TextDecoder.isJoint(byte)) | bit(.leet, "@$!|+".utf8.contains(byte))
        set |= bit(.escape, "%\\&=".utf8.contains(byte)) | bit(.span, TextDecoder.isSpanByte(byte))
        set |= bit(
            .noNumber,
            isAlphanumeric
                ? TextDecoder.hexValue(byte) == nil && !TextDecoder.isNumberPrefix(byte)
                : !TextDecoder.isSeparator(byte) && !TextDecoder.isSpace(byte))
        set |= bit(.dot, ".-".utf8.contains(byte)) | bit(.bar, "/|".utf8.contains(byte)) | bit(.newline, byte == 0x0A)
        return set | bit(.graphic, byte &- 0x21 < 0x5E) | bit(.opener, "\"'([".utf8.contains(byte))
            | bit(.edge, !TextDecoder.isBrokenByte(byte))
    }
    private static let ofHigh: UInt16 = 1 << UInt16(Plane.high.rawValue) | 1 << UInt16(Plane.noNumber.rawValue)
    /// As `guard_planes_avx2` says.
    private static let rows: [UInt8] = {
        var rows = [UInt8](repeating: 0, count: 16 * Int(GUARD_PLANES))
        for (byte, set) in sets.enumerated() {
            for plane in 0..<Int(GUARD_PLANES) where set >> UInt16(plane) & 1 != 0 {
                rows[16 * plane + byte & 15] |= 1 << UInt8(byte >> 4)
            }
        }
        return rows
    }()

    /// - Parameter usesVectors: off for tests that compare.
    init(_ text: UnsafeBufferPointer<UInt8>, usesVectors: Bool = true) {
        count = text.count
        let words = (text.count + 63) / 64
        self.words = words
        let stride = words + 2
        bits = [UInt64](unsafeUninitializedCapacity: stride * Int(GUARD_PLANES)) { bits, made in
            made = stride * Int(GUARD_PLANES)
            for plane in 0..<Int(GUARD_PLANES) { (bits[plane * stride], bits[plane * stride + words + 1]) = (0, 0) }
            guard let base = bits.baseAddress, let start = text.baseAddress, !text.isEmpty else { return }
            if usesVectors, guard_has_avx2() != 0 {
                guard_planes_avx2(Self.rows, Self.ofHigh, start, text.count, base + 1, stride)
            } else {
                guard_planes(Self.sets, Self.ofHigh, start, text.count, base + 1, stride)
            }
        }
    }

    /// Calls `body` with the planes, readable as long as it runs.
    func read<Result>(_ body: (Reader) -> Result) -> Result {
        bits.withUnsafeBufferPointer { body(Reader(bits: $0, stride: words + 2, count: count)) }
    }

    struct Reader {
        fileprivate let bits: UnsafeBufferPointer<UInt64>
        fileprivate let stride: Int
        let count: Int
        var words: Int { stride &- 2 }

        /// - Parameter word: from -1 to `words`; those two are zero.
        @inline(__always)
        func word(_ plane: Plane, _ word: Int) -> UInt64 { bits[plane.rawValue &* stride &+ word &+ 1] }

        /// Letters and digits.
        @inline(__always)
        func alphanumeric(_ word: Int) -> UInt64 { self.word(.letter, word) | self.word(.digit, word) }

        /// The same of the byte before each byte, and of the byte behind it.
        @inline(__always)
        static func before(_ plane: (Int) -> UInt64, _ word: Int) -> UInt64 {
            plane(word) &<< 1 | (word > 0 ? plane(word &- 1) &>> 63 : 0)
        }
        @inline(__always)
        static func behind(_ plane: (Int) -> UInt64, _ word: Int) -> UInt64 {
            plane(word) &>> 1 | plane(word &+ 1) &<< 63
        }

        /// Of each byte whether so many bytes from it on are of a set; 2 to 64.
        @inline(__always)
        static func runs(_ length: Int, _ plane: (Int) -> UInt64, _ word: Int) -> UInt64 {
            var (low, high) = (plane(word), plane(word + 1))
            var made = 1
            while made < length {
                let step = UInt64(min(made, length - made))
                low &= low &>> step | high &<< (64 &- step)
                high &= high &>> step
                made &+= Int(step)
            }
            return low
        }

        /// The first byte from `start` on that is of the plane, or the text's end.
        func first(_ plane: Plane, from start: Int) -> Int {
            var word = start / 64
            if word >= words { return count }
            var mask = self.word(plane, word) & ~0 << UInt64(start % 64)
            while mask == 0 {
                word += 1
                if word >= words { return count }
                mask = self.word(plane, word)
            }
            return 64 * word + mask.trailingZeroBitCount
        }

        /// The first byte from `start` on that is of a set, or the text's end.
        func firstOf(_ plane: (Int) -> UInt64, from start: Int) -> Int { firstBeyond({ ~plane($0) }, from: start) }

        /// How many bytes in front of `end` in a row are not of a set.
        func lengthBefore(_ plane: (Int) -> UInt64, _ end: Int) -> Int { end - start({ ~plane($0) }, before: end) }

        /// The first byte from `start` on that is not of a set, or the text's end.
        func firstBeyond(_ plane: (Int) -> UInt64, from start: Int) -> Int {
            var word = start / 64
            if word >= words { return count }
            var mask = ~plane(word) & ~0 << UInt64(start % 64)
            while mask == 0 {
                word += 1
                if word >= words { return count }
                mask = ~plane(word)
            }
            return min(64 * word + mask.trailingZeroBitCount, count)
        }

        /// Where what a byte before `end` is in began: behind the last byte before it that is not of the plane, or 0.
        func start(_ plane: (Int) -> UInt64, before end: Int) -> Int {
            if end <= 0 { return 0 }
            var word = (end - 1) / 64
            var mask = ~plane(word) & ~0 >> UInt64(63 - (end - 1) % 64)
            while mask == 0 {
                word -= 1
                if word < 0 { return 0 }
                mask = ~plane(word)
            }
            return 64 * word + 64 - mask.leadingZeroBitCount
        }

        /// How many bytes of a range are of a set given by words.
        func count(_ plane: (Int) -> UInt64, in range: ByteRange) -> Int {
            if range.isEmpty { return 0 }
            let (first, last) = (range.lowerBound / 64, (range.upperBound - 1) / 64)
            var sum = 0
            for word in first...last {
                var mask = plane(word)
                if word == first { mask &= ~0 << UInt64(range.lowerBound % 64) }
                if word == last { mask &= ~0 >> UInt64(63 - (range.upperBound - 1) % 64) }
                sum += mask.nonzeroBitCount
            }
            return sum
        }

        /// Calls `body` with the places of a set, ascending, until it says yes.
        @inline(__always)
        func contains(_ plane: (Int) -> UInt64, where body: (Int) -> Bool) -> Bool {
            for word in 0..<words {
                var mask = plane(word)
                while mask != 0 {
                    if body(64 * word + mask.trailingZeroBitCount) { return true }
                    mask &= mask &- 1
                }
            }
            return false
        }
    }
}
