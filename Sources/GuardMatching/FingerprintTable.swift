/// The fingerprints of literals: which bytes of each, a bitmap that says of four or two bytes whether they may be one,
/// and the literals that have it.
///
/// The bitmap of four bytes in a row is indexed by a multiplicative hash (Fibonacci hashing, Knuth, TAOCP 3, 6.4), that
/// of two bytes by the bytes themselves. Sixty-four bits or more for each fingerprint keep false hits below two in a
/// hundred places; a thousand literals take 8 KiB.
struct FingerprintTable: Sendable {
    /// Bytes of the longer kind.
    static let bytesMax = 4

    /// One kind of fingerprint.
    private struct Kind: Sendable {
        let mask: UInt32
        let isHashed: Bool
        /// Places of the bitmap and of `buckets`, as powers of two.
        let bits: UInt32
        let bucketBits: UInt32
        let bitmap: [UInt32]
        /// Where the entries of each bucket begin, and one more.
        let buckets: [UInt32]
        let entries: [(print: UInt32, literal: UInt32)]

        init(_ prints: [(print: UInt32, literal: UInt32)], bytes: Int) {
            isHashed = bytes == 4
            mask = bytes == 4 ? .max : 0xFFFF
            let size = UInt32(Int.bitWidth - max(1, prints.count).leadingZeroBitCount)
            bits = isHashed ? min(max(size + 6, 13), 22) : 16
            bucketBits = min(max(size + 1, 6), 16)
            var bitmap = [UInt32](repeating: 0, count: 1 << Int(bits - 5))
            var counts = [UInt32](repeating: 0, count: 1 << Int(bucketBits) + 1)
            for (print, _) in prints {
                let place = Self.place(print, isHashed, bits)
                bitmap[Int(place >> 5)] |= 1 << (place & 31)
                counts[Int(Self.hash(print) >> (32 - bucketBits)) + 1] += 1
            }
            for index in 1..<counts.count { counts[index] += counts[index - 1] }
            var next = counts
            var entries = [(print: UInt32, literal: UInt32)](repeating: (0, 0), count: prints.count)
            for entry in prints {
                let bucket = Int(Self.hash(entry.print) >> (32 - bucketBits))
                entries[Int(next[bucket])] = entry
                next[bucket] += 1
            }
            self.bitmap = bitmap
            self.entries = entries
            buckets = counts
        }

        @inline(__always) static func hash(_ print: UInt32) -> UInt32 { print &* 0x9E37_79B1 }

        @inline(__always) static func place(_ print: UInt32, _ isHashed: Bool, _ bits: UInt32) -> UInt32 {
            isHashed ? hash(print) &>> (32 &- bits) : print
        }

        @inline(__always)
        func forEachLiteral(of bytes: UInt32, _ body: (Int) -> Void) {
            guard !entries.isEmpty else { return }
            let print = bytes & mask
            let place = Self.place(print, isHashed, bits)
            guard bitmap[Int(place >> 5)] & (1 << (place & 31)) != 0 else { return }
            let bucket = Int(Self.hash(print) >> (32 - bucketBits))
            for index in Int(buckets[bucket])..<Int(buckets[bucket + 1]) where entries[index].print == print {
                body(Int(entries[index].literal))
            }
        }
    }

    private let wide: Kind
    private let narrow: Kind

    /// - Parameter literals: folded, none of them empty; the numbers that are given back are their places.
    init(_ literals: [[UInt8]]) {
        var wide: [(print: UInt32, literal: UInt32)] = []
        var narrow = wide
        for (number, literal) in literals.enumerated() {
            let number = UInt32(truncatingIfNeeded: number)
            let at = Self.offset(literal)
            func bytes(_ count: Int) -> UInt32 {
                (0..<count).reduce(0) { $0 | UInt32(literal[at + $1]) << UInt32(8 * $1) }
            }
            switch literal.count {
            case 1:
                // Whatever follows.
                for byte in 0...255 as ClosedRange<UInt32> { narrow.append((bytes(1) | byte << 8, number)) }
            case ..<4: narrow.append((bytes(2), number))
            default: wide.append((bytes(4), number))
            }
        }
        self.wide = Kind(wide, bytes: 4)
        self.narrow = Kind(narrow, bytes: 2)
    }

    /// Where the fingerprint of a literal is: at its rarest bytes.
    static func offset(_ literal: [UInt8]) -> Int {
        let size = literal.count < 4 ? min(2, literal.count) : 4
        var best = (rarity: -1, offset: 0)
        for start in 0...(literal.count - size) {
            let rarity = literal[start..<start + size].reduce(0) { $0 + ByteRarity.halfBits($1) }
            if rarity >= best.rarity { best = (rarity, start) }
        }
        return best.offset
    }

    /// Puts the places from `start` to `end` where fingerprints may be into `hits`, relative to `start` and ascending,
    /// and says how many they are.
    ///
    /// - Parameter folded: at least `bytesMax` bytes longer than `end`.
    func places(in folded: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int, _ hits: inout [UInt32]) -> Int {
        let length = end - start
        guard start >= 0, length > 0, end + Self.bytesMax <= folded.count, let base = folded.baseAddress else {
            return 0
        }
        if hits.count < length { hits = [UInt32](repeating: 0, count: length) }
        let bytes = UnsafeRawPointer(base + start)
        let hasWide = !wide.entries.isEmpty
        let hasNarrow = !narrow.entries.isEmpty
        return hits.withUnsafeMutableBufferPointer { hits in
            wide.bitmap.withUnsafeBufferPointer { wideBits in
                narrow.bitmap.withUnsafeBufferPointer { narrowBits in
                    guard let hits = hits.baseAddress, let wideBits = wideBits.baseAddress,
                        let narrowBits = narrowBits.baseAddress
                    else { return 0 }
                    // Unchecked: four bytes are there at every place, each place of a bitmap is below its size, and
                    // there are no more hits than places.
                    let shift = 32 &- wide.bits
                    var count = 0
                    if hasWide, hasNarrow {
                        for index in 0..<length {
                            let four = UInt32(
                                littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self))
                            let place = Kind.hash(four) &>> shift
                            let two = four & 0xFFFF
                            let bit =
                                wideBits[Int(place &>> 5)] &>> (place & 31) | narrowBits[Int(two &>> 5)] &>> (two & 31)
                            hits[count] = UInt32(truncatingIfNeeded: index)
                            count &+= Int(bit & 1)
                        }
                    } else if hasWide {
                        for index in 0..<length {
                            let four = UInt32(
                                littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self))
                            let place = Kind.hash(four) &>> shift
                            hits[count] = UInt32(truncatingIfNeeded: index)
                            count &+= Int(wideBits[Int(place &>> 5)] &>> (place & 31) & 1)
                        }
                    } else {
                        for index in 0..<length {
                            let two = UInt32(
                                UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt16.self)))
                            hits[count] = UInt32(truncatingIfNeeded: index)
                            count &+= Int(narrowBits[Int(two &>> 5)] &>> (two & 31) & 1)
                        }
                    }
                    return count
                }
            }
        }
    }

    /// Calls `body` with the literals whose fingerprint stands at `place`, which is before the end of the text.
    @inline(__always)
    func forEachLiteral(at place: Int, in folded: UnsafeBufferPointer<UInt8>, _ body: (Int) -> Void) {
        guard place >= 0, place + Self.bytesMax <= folded.count, let base = folded.baseAddress else { return }
        let four = UInt32(
            littleEndian: UnsafeRawPointer(base).loadUnaligned(fromByteOffset: place, as: UInt32.self))
        wide.forEachLiteral(of: four, body)
        narrow.forEachLiteral(of: four, body)
    }
}
