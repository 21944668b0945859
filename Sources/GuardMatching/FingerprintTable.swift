internal import CTextScan

/// The fingerprints of literals: which bytes of each, what a scan of a text for them needs, and the literals that have
/// one.
///
/// A literal of four bytes or more has a long one, four to eight bytes in a row (as many as the shortest of them has),
/// looked up by a multiplicative hash (Fibonacci hashing, Knuth, TAOCP 3, 6.4) in a bitmap; shorter ones have short
/// ones, in groups by the halves of their bytes, or, where those would
/// pass too many places, by hashes of two or three bytes. Sixty-four bits or more for
/// each long fingerprint keep false hits below two in a hundred places; a thousand literals take 8 KiB.
struct FingerprintTable: Sendable {
    /// Bytes of long fingerprints.
    private static let longBytes = 4...8
    /// How many bytes must be readable behind a text.
    static let padding = Int(GUARD_TEXT_PADDING)
    static let partBytes = Int(GUARD_PART_BYTES)
    /// So many bytes of a literal are compared with the text before it is given back; all of shorter ones.
    static let entryBytes = 8

    /// A literal by its fingerprint.
    private struct Entry: Sendable {
        /// Of the literal as many bytes as fit, among them the fingerprint.
        var eight: UInt64
        var literal: Int32
        /// Where the literal begins, counted back from the fingerprint.
        var offset: Int16
        /// The same of the bytes in `eight`.
        var back: Int8
        /// Bits of `eight` that are no bytes of the literal.
        var others: UInt8

        init(_ bytes: [UInt8], offset: Int, number: Int) {
            let start = min(offset, max(0, bytes.count - FingerprintTable.entryBytes))
            let some = bytes[start...].prefix(FingerprintTable.entryBytes)
            back = Int8(truncatingIfNeeded: offset - start)
            self.offset = Int16(truncatingIfNeeded: offset)
            literal = Int32(truncatingIfNeeded: number)
            eight = some.reversed().reduce(0) { $0 << 8 | UInt64($1) }
            others = UInt8(8 * (FingerprintTable.entryBytes - some.count))
        }
    }

    /// The literals of one kind of fingerprint, by fingerprint.
    private struct Kind: Sendable {
        /// Buckets, as a power of two.
        let bits: UInt32
        /// Where the entries of each bucket begin, and one more.
        let buckets: [UInt32]
        let entries: [Entry]

        init(_ prints: [(hash: UInt32, entry: Entry)]) {
            let size = UInt32(Int.bitWidth - max(1, prints.count).leadingZeroBitCount)
            let bits = min(max(size + 1, 6), 16)
            var counts = [UInt32](repeating: 0, count: 1 << Int(bits) + 1)
            for (hash, _) in prints { counts[Int(hash >> (32 - bits)) + 1] += 1 }
            for index in 1..<counts.count { counts[index] += counts[index - 1] }
            self.bits = bits
            buckets = counts
            entries = prints.sorted { $0.hash < $1.hash }.map(\.entry)
        }

        /// - Parameter place: at least 8 bytes of `text` are readable from there.
        @inline(__always)
        func forEachLiteral(
            of hash: UInt32, at place: Int, in text: UnsafePointer<UInt8>, _ body: (Int, Int) -> Void
        ) {
            let bucket = Int(hash >> (32 &- bits))
            buckets.withUnsafeBufferPointer { buckets in
                entries.withUnsafeBufferPointer { entries in
                    for index in Int(buckets[bucket])..<Int(buckets[bucket + 1]) {
                        let entry = entries[index]
                        let start = place - Int(entry.back)
                        let wanted = UInt64.max &>> UInt64(entry.others)
                        if start >= 0, guard_load64(text + start) & wanted == entry.eight {
                            body(Int(entry.literal), place - Int(entry.offset))
                        }
                    }
                }
            }
        }
    }

    private let long: Kind
    private let short: Kind
    /// As `guard_prints` says.
    private let longBitmap: [UInt8]
    private let longBits: UInt32
    private let longMore: UInt32
    private let threeBitmap: [UInt8]
    private let threeBits: UInt32
    private let twoBitmap: [UInt8]
    private let twoBits: UInt32
    private let shortNibbles: [UInt8]
    private let usesVectors: Bool

    /// - Parameters:
    ///   - literals: folded, none of them empty; the numbers that are given back are their places.
    ///   - usesVectors: off for tests that compare.
    init(_ literals: [[UInt8]], usesVectors: Bool = true) {
        self.usesVectors = usesVectors && guard_has_avx2() != 0
        var long: [(hash: UInt32, entry: Entry)] = []
        var short = long
        var shortBytes: Set<[UInt8]> = []
        let longLeast = literals.lazy.map(\.count).filter { $0 >= Self.longBytes.lowerBound }.min() ?? 0
        let longCount = min(max(longLeast, Self.longBytes.lowerBound), Self.longBytes.upperBound)
        longMore = UInt32(longCount - 4)
        for (number, literal) in literals.enumerated() {
            let at = literal.count < Self.longBytes.lowerBound ? 0 : Self.offset(literal, longCount)
            let entry = Entry(literal, offset: at, number: number)
            func bytes(_ count: Int, from start: Int = 0) -> UInt32 {
                (0..<count).reduce(0) { $0 | UInt32(literal[at + start + $1]) << UInt32(8 * $1) }
            }
            switch literal.count {
            case 1:
                // Whatever follows.
                for byte in 0...255 as ClosedRange<UInt32> {
                    short.append((guard_hash(bytes(1) | byte << 8, 0), entry))
                }
            case ..<4: short.append((guard_hash(bytes(2), 0), entry))
            default: long.append((guard_hash(bytes(4), bytes(4, from: longCount - 4)), entry))
            }
            if literal.count < 4 { shortBytes.insert(literal) }
        }
        self.long = Kind(long)
        self.short = Kind(short)

        (longBitmap, longBits) = Self.bitmap(long.map(\.hash), bits: 16...22)

        // Groups of many may let most places pass, and single bytes would fill a bitmap of hashes.
        let all = Self.nibbles(shortBytes)
        let isGrouped = Self.passed(all) <= Self.passedMax
        func hashed(_ count: Int) -> (bitmap: [UInt8], bits: UInt32) {
            let hashes = shortBytes.filter { !isGrouped && $0.count == count }.map { literal in
                guard_hash(literal.reversed().reduce(0) { $0 << 8 | UInt32($1) }, 0)
            }
            return Self.bitmap(hashes, bits: 16...18)
        }
        (threeBitmap, threeBits) = hashed(3)
        (twoBitmap, twoBits) = hashed(2)
        shortNibbles = isGrouped ? all : Self.nibbles(shortBytes.filter { $0.count == 1 })
    }

    /// As `guard_prints` says; nothing of none.
    private static func nibbles(_ literals: Set<[UInt8]>) -> [UInt8] {
        let places = Int(GUARD_SHORT_BYTES)
        var nibbles = [UInt8](repeating: 0, count: literals.isEmpty ? 0 : 32 * places)
        // Those that begin alike share a group; single bytes, which anything follows, have the last one.
        let groups = literals.contains { $0.count == 1 } ? 7 : 8
        for (number, literal) in literals.sorted(by: { $0.lexicographicallyPrecedes($1) }).enumerated() {
            let group = UInt8(1) << UInt8(literal.count == 1 ? 7 : number * groups / literals.count)
            for place in 0..<places {
                for half in 0..<16 where place >= literal.count || Int(literal[place] & 15) == half {
                    nibbles[32 * place + half] |= group
                }
                for half in 0..<16 where place >= literal.count || Int(literal[place] >> 4) == half {
                    nibbles[32 * place + 16 + half] |= group
                }
            }
        }
        return nibbles
    }

    /// Of 1,000 places of ordinary text so many are passed by `nibbles`, roughly.
    private static func passed(_ nibbles: [UInt8]) -> Double {
        if nibbles.isEmpty { return 0 }
        let shares = (0...255 as ClosedRange<UInt8>).map { byte in
            Double(sign: .plus, exponent: byte < 0x80 ? -ByteRarity.halfBits(byte) / 2 : -14, significand: 1)
        }
        let whole = shares.reduce(0, +)
        return (0..<8).reduce(0) { sum, group in
            sum
                + stride(from: 0, to: nibbles.count, by: 32).reduce(1000) { product, first in
                    let share = shares.enumerated().reduce(0) { share, byte in
                        let groups = nibbles[first + (byte.offset & 15)] & nibbles[first + 16 + (byte.offset >> 4)]
                        return groups >> UInt8(group) & 1 == 1 ? share + byte.element : share
                    }
                    return product * share / whole
                }
        }
    }

    /// More than this and hashes pass fewer.
    private static let passedMax = 20.0

    /// The bits of some hashes, sixty-four or more for each of them; nothing of none.
    private static func bitmap(_ hashes: [UInt32], bits range: ClosedRange<UInt32>) -> ([UInt8], UInt32) {
        let size = UInt32(Int.bitWidth - max(1, hashes.count).leadingZeroBitCount)
        let bits = min(max(size + 6, range.lowerBound), range.upperBound)
        var bitmap = [UInt8](repeating: 0, count: hashes.isEmpty ? 0 : 1 << Int(bits - 3))
        for hash in hashes {
            let place = hash >> (32 - bits)
            bitmap[Int(place >> 3)] |= 1 << UInt8(place & 7)
        }
        return (bitmap, bits)
    }

    /// An `Entry` counts back to the begin of its literal in 16 bits.
    private static let offsetMax = 32_000

    /// Where the long fingerprint of a literal is: at its rarest bytes, of those near enough to its begin.
    private static func offset(_ literal: [UInt8], _ count: Int) -> Int {
        var best = (rarity: -1, offset: 0)
        for start in 0...min(literal.count - count, offsetMax) {
            let rarity = ByteRarity.halfBits(of: literal[start..<start + count])
            if rarity >= best.rarity { best = (rarity, start) }
        }
        return best.offset
    }

    /// Sets the bits of the `count` bytes from `text` on where a fingerprint may begin, long ones and short ones: bit i of
    /// word w speaks of byte 64 w + i. Zeros behind `count`.
    ///
    /// - Parameters:
    ///   - text: folded, readable for `padding` bytes behind `count`, which is at most `partBytes`.
    ///   - longMasks: (count + 63) / 64, as `shortMasks`.
    func places(
        in text: UnsafePointer<UInt8>, count: Int, _ longMasks: UnsafeMutablePointer<UInt64>,
        _ shortMasks: UnsafeMutablePointer<UInt64>
    ) {
        longBitmap.withUnsafeBufferPointer { long in
            threeBitmap.withUnsafeBufferPointer { three in
                twoBitmap.withUnsafeBufferPointer { two in
                    shortNibbles.withUnsafeBufferPointer { nibbles in
                        func some(_ bytes: UnsafeBufferPointer<UInt8>) -> UnsafePointer<UInt8>? {
                            bytes.isEmpty ? nil : bytes.baseAddress
                        }
                        var prints = guard_prints(
                            long_bitmap: some(long), long_bits: longBits, long_more: longMore,
                            three_bitmap: some(three), three_bits: threeBits, two_bitmap: some(two),
                            two_bits: twoBits, short_nibbles: some(nibbles))
                        if usesVectors {
                            guard_places_avx2(&prints, text, count, longMasks, shortMasks)
                        } else {
                            guard_places(&prints, text, count, longMasks, shortMasks)
                        }
                    }
                }
            }
        }
    }

    /// Calls `body` with the literals of which up to eight bytes, the long fingerprint among them, stand around `place`,
    /// and with where they would begin.
    ///
    /// - Parameter text: folded, readable for `padding` bytes behind `place`.
    @inline(__always)
    func forEachLong(at place: Int, in text: UnsafePointer<UInt8>, _ body: (Int, Int) -> Void) {
        long.forEachLiteral(
            of: guard_hash(guard_load32(text + place), guard_load32(text + place + Int(longMore))), at: place,
            in: text, body)
    }

    /// As `forEachLong`, of short fingerprints.
    @inline(__always)
    func forEachShort(at place: Int, in text: UnsafePointer<UInt8>, _ body: (Int, Int) -> Void) {
        short.forEachLiteral(of: guard_hash(guard_load32(text + place) & 0xFFFF, 0), at: place, in: text, body)
    }
}
