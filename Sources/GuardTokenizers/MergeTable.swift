/// Which pairs of tokens merge, in which order, into what.
///
/// One slot is 64 bits: left id (21 bits), right id (21 bits), rank (22 bits). Lower ranks merge first; pairs with the
/// same result may share a rank (tiktoken's splits of one token), and then the leftmost merges first. SentencePiece's
/// equal scores are ties between different results: they have own ranks, which `priorities` makes equal.
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
    /// One bit by hash for each pair that merges. Most pairs that are asked for do not, and this small table says so
    /// without touching the big one.
    private let filter: UnsafeMutablePointer<UInt64>
    private let results: UnsafeMutablePointer<UInt32>
    private let resultsCount: Int
    private let priorities: UnsafeMutablePointer<UInt32>?
    /// Where the tables lie, if not in memory of their own.
    private let image: ImageMemory?

    /// - Parameters:
    ///   - merges: ids below `Vocabulary.idsMax`, ranks below `results.count`. Of equal pairs the last one counts, as in
    ///     the original library's map.
    ///   - results: the merged token's id by rank.
    ///   - priorities: by rank, not falling; `nil` if each rank is its own.
    init(merges: [Merge], results: [UInt32], priorities: [UInt32]? = nil) throws(TokenizerError) {
        guard results.count < Self.ranksMax, merges.count < 1 << 26,
            priorities.map({ $0.count == results.count }) ?? true
        else {
            throw TokenizerError(.limitExceeded, "more than \(Self.ranksMax) merges")
        }
        var capacity = 16
        while capacity * 5 < merges.count * 8 { capacity *= 2 }
        image = nil
        resultsCount = results.count
        mask = capacity - 1
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: .max, count: capacity)
        filter = .allocate(capacity: Self.filterWords)
        filter.initialize(repeating: 0, count: Self.filterWords)
        self.results = .allocate(capacity: max(results.count, 1))
        self.results.initialize(from: results, count: results.count)
        if let priorities {
            let copy = UnsafeMutablePointer<UInt32>.allocate(capacity: max(priorities.count, 1))
            copy.initialize(from: priorities, count: priorities.count)
            self.priorities = copy
        } else {
            self.priorities = nil
        }
        for merge in merges where Int(merge.rank) < results.count {
            let key = Self.key(merge.left, merge.right)
            let hash = Self.hash(key)
            var slot = Int(truncatingIfNeeded: hash >> 32) & mask
            filter[Self.filterWord(hash)] |= Self.filterBit(hash)
            while slots[slot] != .max && slots[slot] >> 22 != key { slot = (slot + 1) & mask }
            slots[slot] = key << 22 | UInt64(merge.rank)
        }
    }

    /// The tables of an image, where they lie.
    /// - Parameter idsCount: ids of the vocabulary are below it.
    init(_ image: ImageMemory, idsCount: Int) throws(TokenizerError) {
        let slots = try image.table(.mergeSlots, of: UInt64.self)
        let filter = try image.elements(.mergeFilter, of: UInt64.self)
        let results = try image.elements(.mergeResults, of: UInt32.self)
        let priorities = try image.elements(.mergePriorities, of: UInt32.self)
        guard filter.count == Self.filterWords, results.count < Self.ranksMax,
            priorities.isEmpty || priorities.count == results.count, let slotsBase = slots.baseAddress,
            let filterBase = filter.baseAddress, let resultsBase = results.baseAddress
        else { throw image.malformed("sizes of the merges") }
        var hasRoom = false
        for slot in slots {
            if slot == .max { hasRoom = true }
            guard slot == .max || Int(slot & 0x3F_FFFF) < results.count else {
                throw image.malformed("rank of a merge")
            }
        }
        guard hasRoom else { throw image.malformed("the table of merges is full") }
        for id in results {
            guard Int(id) < idsCount else { throw image.malformed("result of a merge") }
        }
        for priority in priorities {
            guard priority < UInt32(Self.ranksMax) else { throw image.malformed("priority of a merge") }
        }
        self.image = image
        self.slots = slotsBase
        mask = slots.count - 1
        self.filter = filterBase
        self.results = resultsBase
        resultsCount = results.count
        self.priorities = priorities.isEmpty ? nil : priorities.baseAddress
    }

    func writeSections(_ write: (ImageMemory.Section, UnsafeRawBufferPointer) -> Void) {
        write(.mergeSlots, UnsafeRawBufferPointer(start: slots, count: (mask + 1) * 8))
        write(.mergeFilter, UnsafeRawBufferPointer(start: filter, count: Self.filterWords * 8))
        write(.mergeResults, UnsafeRawBufferPointer(start: results, count: resultsCount * 4))
        if let priorities {
            write(.mergePriorities, UnsafeRawBufferPointer(start: priorities, count: resultsCount * 4))
        }
    }

    deinit {
        guard image == nil else { return }
        slots.deallocate()
        filter.deallocate()
        results.deallocate()
        priorities?.deallocate()
    }

    /// Order of the merge of two adjacent tokens among all merges, `none` if they do not merge.
    @inline(__always)
    func priority(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let rank = rank(left, right)
        guard let priorities, rank != Self.none else { return rank }
        return priorities[Int(rank)]
    }

    /// What two tokens merge into.
    /// - Parameter priority: what `priority` returned for them, not `none`.
    @inline(__always)
    func result(_ priority: UInt32, _ left: UInt32, _ right: UInt32) -> UInt32 {
        priorities == nil ? results[Int(priority)] : results[Int(rank(left, right))]
    }

    @inline(__always)
    func result(ofRank rank: UInt32) -> UInt32 { results[Int(rank)] }

    @inline(__always)
    func priority(ofRank rank: UInt32) -> UInt32 {
        guard let priorities else { return rank }
        return priorities[Int(rank)]
    }

    /// Number of the merge of two adjacent tokens, `none` if they do not merge.
    @inline(__always)
    func rank(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let key = Self.key(left, right)
        let hash = Self.hash(key)
        if filter[Self.filterWord(hash)] & Self.filterBit(hash) == 0 { return Self.none }
        var slot = Int(truncatingIfNeeded: hash &>> 32) & mask
        while true {
            let entry = slots[slot]
            if entry >> 22 == key { return UInt32(truncatingIfNeeded: entry & 0x3F_FFFF) }
            if entry == .max { return Self.none }
            slot = (slot + 1) & mask
        }
    }

    @inline(__always)
    private static func key(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 21 | UInt64(right) }

    @inline(__always)
    private static func hash(_ key: UInt64) -> UInt64 { key &* 0x9E37_79B9_7F4A_7C15 }

    /// 2^22 bits, 512 KiB: one in fifteen for a vocabulary like Llama-3's.
    private static let filterWords = 1 << 16

    @inline(__always)
    private static func filterWord(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> 48) }

    @inline(__always)
    private static func filterBit(_ hash: UInt64) -> UInt64 { 1 &<< (hash &>> 42 & 63) }
}
