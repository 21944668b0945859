/// Which pairs of tokens merge, in which order, into what.
///
/// One slot is 64 bits: left id (21 bits), right id (21 bits), rank (22 bits). Lower ranks merge first; equal ranks are
/// allowed (SentencePiece scores, tiktoken's splits of one token) and then the leftmost pair merges first.
final class MergeTable: @unchecked Sendable {
    // Unchecked: the buffers are written by `init` only, before anybody else can see them, and freed by `deinit`.

    static let none = UInt32.max
    static let ranksMax = 1 << 22 - 1

    struct Merge {
        var left: UInt32
        var right: UInt32
        var rank: UInt32
    }

    private let slots: UnsafeMutablePointer<UInt64>
    private let mask: Int
    private let results: UnsafeMutablePointer<UInt32>

    /// - Parameters:
    ///   - merges: ids below `Vocabulary.idsMax`, ranks below `results.count`. Of equal pairs the last one counts, as in
    ///     the original library's map.
    ///   - results: the merged token's id by rank.
    init(merges: [Merge], results: [UInt32]) throws(TokenizerError) {
        guard results.count < Self.ranksMax, merges.count < 1 << 26 else {
            throw TokenizerError(.limitExceeded, "more than \(Self.ranksMax) merges")
        }
        var capacity = 16
        while capacity * 5 < merges.count * 8 { capacity *= 2 }
        mask = capacity - 1
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: .max, count: capacity)
        self.results = .allocate(capacity: max(results.count, 1))
        self.results.initialize(from: results, count: results.count)
        for merge in merges where Int(merge.rank) < results.count {
            let key = Self.key(merge.left, merge.right)
            var slot = Self.hash(key) & mask
            while slots[slot] != .max && slots[slot] >> 22 != key { slot = (slot + 1) & mask }
            slots[slot] = key << 22 | UInt64(merge.rank)
        }
    }

    deinit {
        slots.deallocate()
        results.deallocate()
    }

    /// Rank of the merge of two adjacent tokens, `none` if they do not merge.
    @inline(__always)
    func rank(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let key = Self.key(left, right)
        var slot = Self.hash(key) & mask
        while true {
            let entry = slots[slot]
            if entry >> 22 == key { return UInt32(truncatingIfNeeded: entry & 0x3F_FFFF) }
            if entry == .max { return Self.none }
            slot = (slot + 1) & mask
        }
    }

    /// - Parameter rank: one that `rank` returned.
    @inline(__always)
    func result(_ rank: UInt32) -> UInt32 { results[Int(rank)] }

    @inline(__always)
    private static func key(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 21 | UInt64(right) }

    @inline(__always)
    private static func hash(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32)
    }
}
