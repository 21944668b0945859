internal import CByteClasses
import Glibc
import Synchronization

/// A short piece's bytes as two words: zero-filled, little endian, its length in the top byte, so never both zero.
struct PieceKey {
    static let lengthMax = 15

    var low: UInt64
    var high: UInt64

    /// The key of no piece.
    static var none: PieceKey { PieceKey() }

    private init() { (low, high) = (0, 0) }

    /// - Parameters:
    ///   - low: the piece's first eight bytes; what is behind the piece is masked off.
    ///   - high: the next eight bytes.
    ///   - count: 1...15.
    @inline(__always)
    init(low: UInt64, high: UInt64, count: Int) {
        // Without a branch: whether a word has more than eight bytes cannot be guessed.
        let bits = UInt64(truncatingIfNeeded: count) &<< 3
        self.low = low & (UInt64.max &>> (64 &- min(bits, 64)))
        self.high = high & ~(UInt64.max &<< (max(bits, 64) &- 64)) | bits &<< 53
    }

    /// - Parameter count: 1...15.
    @inline(__always)
    init(_ text: UnsafePointer<UInt8>, _ count: Int, _ readable: Int) {
        let raw = UnsafeRawPointer(text)
        if readable >= 16 {
            self.init(
                low: raw.loadUnaligned(as: UInt64.self), high: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                count: count)
            return
        }
        var low: UInt64 = 0
        var high: UInt64 = 0
        for index in 0..<count {
            let byte = UInt64(text[index])
            if index < 8 { low |= byte &<< UInt64(8 * index) } else { high |= byte &<< UInt64(8 * (index - 8)) }
        }
        self.init(low: low, high: high, count: count)
    }

    @inline(__always)
    var hash: UInt64 {
        let mixed = (low ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: high ^ 0xE703_7ED1_A0B4_28DB)
        return mixed.high ^ mixed.low
    }
}

/// Ids of one piece: up to five of 21 bits each, and their number.
struct PackedIDs {
    static let countMax = 5

    /// Bits 0..<4 the number of ids, never 0, then two ids.
    var low: UInt64
    /// Three ids.
    var high: UInt64

    @inline(__always)
    var count: Int { Int(truncatingIfNeeded: low & 0xF) }

    @inline(__always)
    init(low: UInt64, high: UInt64) { (self.low, self.high) = (low, high) }

    /// - Parameter count: 1...5.
    init(_ ids: UnsafePointer<UInt32>, _ count: Int) {
        low = UInt64(count)
        high = 0
        for index in 0..<count {
            let id = UInt64(ids[index])
            if index < 2 { low |= id << UInt64(4 + 21 * index) } else { high |= id << UInt64(21 * (index - 2)) }
        }
    }

    @inline(__always)
    subscript(_ index: Int) -> UInt32 {
        let word = index < 2 ? low &>> UInt64(4 &+ 21 &* index) : high &>> UInt64(21 &* (index &- 2))
        return UInt32(truncatingIfNeeded: word & 0x1F_FFFF)
    }
}

/// Pieces that have been encoded before, with their ids. One for each tokenizer, shared by all threads, of fixed size.
///
/// An entry is written once and then holds until the cache is emptied: a writer claims an empty entry by a
/// compare-and-exchange of one word, writes the others, and publishes by storing that word; a reader takes an entry
/// only if the word is published, so what it reads can no longer change. Nothing is ever replaced; when the cache has
/// refused many pieces it is emptied as a whole, at a moment when no call uses it (`begin` and `end` count the calls).
final class PieceCache: @unchecked Sendable {
    // Unchecked: what threads share is atomic or published by an atomic, and lives as long as the object.

    /// 131,072 entries of 32 bytes, 4 MiB: pieces of up to 15 bytes and 5 ids.
    static let entriesCount = 1 << 17
    /// 65,536 words, 512 KiB: where longer pieces lie in the arena.
    static let longEntriesCount = 1 << 16
    /// Bytes and ids of longer pieces, 3.5 MiB.
    static let arenaBytes = 7 << 19
    static let bytesCount = entriesCount * 32 + longEntriesCount * 8 + arenaBytes
    /// Longer pieces are encoded each time.
    static let longLengthMax = 512
    /// So many refused pieces empty the cache: it holds other texts than those that come now.
    static let refusalsMax = entriesCount
    fileprivate static let busy: UInt64 = 1 << 63
    /// Stands for the ids of a short piece that has too many of them and is kept as a long one. Looks busy to `find`,
    /// so that common pieces are not asked about it.
    fileprivate static let elsewhere = busy | 1
    /// Entries looked at for one short piece.
    static let ways = 32
    /// Words looked at for one long piece: those of a cache line.
    fileprivate static let longWays = 8

    private let memory: UnsafeMutableRawPointer
    private let counters: UnsafeMutablePointer<Atomic<Int>>

    private struct State {
        var users = 0
        var isEmptying = false
    }

    private let state = Mutex(State())

    /// What a call works with: plain pointers, because reference counts would cost more than finding a piece.
    /// Valid between `begin` and `end`.
    struct View {
        fileprivate let entries: UnsafeMutablePointer<Atomic<UInt64>>
        fileprivate let long: UnsafeMutablePointer<Atomic<UInt64>>
        fileprivate let arena: UnsafeMutableRawPointer
        /// Refused pieces, and bytes of the arena in use.
        fileprivate let counters: UnsafeMutablePointer<Atomic<Int>>
    }

    init?() {
        // Anonymous memory is zero, and pages that are never touched cost nothing.
        let memory = mmap(nil, Self.bytesCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { return nil }
        // Large pages, where the system has them: the entries of common words lie all over the table.
        madvise(memory, Self.bytesCount, MADV_HUGEPAGE)
        self.memory = memory
        counters = .allocate(capacity: 2)
        counters.initialize(to: Atomic(0))
        (counters + 1).initialize(to: Atomic(0))
    }

    deinit {
        munmap(memory, Self.bytesCount)
        counters.deinitialize(count: 2)
        counters.deallocate()
    }

    /// Announces a call.
    /// - Returns: `nil` if the call must do without the cache; otherwise `end` has to follow.
    func begin() -> View? {
        let isOpen = state.withLock { state in
            if !state.isEmptying && counters[0].load(ordering: .relaxed) < Self.refusalsMax {
                state.users += 1
                return true
            }
            // From here on nobody enters until the last one has left, so emptying comes soon.
            state.isEmptying = true
            guard state.users == 0 else { return false }
            // Nobody reads: dropped pages come back as zeros.
            madvise(memory, Self.bytesCount, MADV_DONTNEED)
            counters[0].store(0, ordering: .relaxed)
            counters[1].store(0, ordering: .relaxed)
            state.isEmptying = false
            state.users = 1
            return true
        }
        guard isOpen else { return nil }
        // An `Atomic<UInt64>` is stored as the `UInt64` itself (`@_rawLayout`), and zero bits are the atomic 0.
        let long = memory + Self.entriesCount * 32
        return View(
            entries: memory.assumingMemoryBound(to: Atomic<UInt64>.self),
            long: long.assumingMemoryBound(to: Atomic<UInt64>.self), arena: long + Self.longEntriesCount * 8,
            counters: counters)
    }

    /// Pieces that were refused since the cache was emptied.
    var refusals: Int { counters[0].load(ordering: .relaxed) }

    func end() { state.withLock { $0.users -= 1 } }
}

extension PieceCache.View {
    // MARK: Short pieces

    @inline(__always)
    private static func entry(_ hash: UInt64, _ way: Int) -> Int {
        // Two entries share a cache line. What comes first, as common pieces do, lies in the first line.
        let first = Int(truncatingIfNeeded: hash &<< 1)
        return ((first &+ way) & (PieceCache.entriesCount &- 1)) &<< 2
    }

    /// Brings the first entry that `find` will look at near.
    @inline(__always)
    func prefetch(_ hash: UInt64) { guard_prefetch(entries + Self.entry(hash, 0)) }

    /// - Returns: `nil` if the piece is not there.
    @inline(__always)
    func find(_ key: PieceKey, _ hash: UInt64) -> PackedIDs? {
        let at = entries + Self.entry(hash, 0)
        // The word that publishes first: what it publishes does not change.
        let low = at[2].load(ordering: .acquiring)
        let differs =
            (at[0].load(ordering: .relaxed) ^ key.low) | (at[1].load(ordering: .relaxed) ^ key.high)
        if differs == 0 && Int64(bitPattern: low) > 0 {
            return PackedIDs(low: low, high: at[3].load(ordering: .relaxed))
        }
        return low == 0 ? nil : findFurther(key, hash)
    }

    @inline(never)
    private func findFurther(_ key: PieceKey, _ hash: UInt64) -> PackedIDs? {
        for way in 1..<PieceCache.ways {
            let at = entries + Self.entry(hash, way)
            let low = at[2].load(ordering: .acquiring)
            if low == 0 { return nil }
            if at[0].load(ordering: .relaxed) == key.low && at[1].load(ordering: .relaxed) == key.high
                && low & PieceCache.busy == 0
            {
                return PackedIDs(low: low, high: at[3].load(ordering: .relaxed))
            }
        }
        return nil
    }

    func insert(_ key: PieceKey, _ hash: UInt64, _ ids: PackedIDs) {
        for way in 0..<PieceCache.ways {
            let at = entries + Self.entry(hash, way)
            let claim = at[2].compareExchange(
                expected: 0, desired: PieceCache.busy, ordering: .acquiringAndReleasing)
            guard claim.exchanged else { continue }
            at[0].store(key.low, ordering: .relaxed)
            at[1].store(key.high, ordering: .relaxed)
            at[3].store(ids.high, ordering: .relaxed)
            at[2].store(ids.low, ordering: .releasing)
            return
        }
        counters[0].wrappingAdd(1, ordering: .relaxed)
    }

    /// Whether `insertElsewhere` has been called for the piece.
    func isElsewhere(_ key: PieceKey, _ hash: UInt64) -> Bool {
        for way in 0..<PieceCache.ways {
            let at = entries + Self.entry(hash, way)
            let low = at[2].load(ordering: .acquiring)
            if low == 0 { return false }
            if low == PieceCache.elsewhere && at[0].load(ordering: .relaxed) == key.low
                && at[1].load(ordering: .relaxed) == key.high
            {
                return true
            }
        }
        return false
    }

    func insertElsewhere(_ key: PieceKey, _ hash: UInt64) {
        insert(key, hash, PackedIDs(low: PieceCache.elsewhere, high: 0))
    }

    // MARK: Long pieces

    /// A record of the arena: number of bytes, number of ids, the ids, the bytes; all of it 8-aligned.
    private static let headBytes = 8

    private static func hash(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        let raw = UnsafeRawPointer(text)
        var state = UInt64(count) &* 0x9E37_79B9_7F4A_7C15
        var at = 0
        while at < count {
            let word: UInt64
            if count >= 8 {
                // The last word may overlap the one before it.
                word = raw.loadUnaligned(fromByteOffset: min(at, count - 8), as: UInt64.self)
            } else {
                word = (0..<count).reduce(0) { $0 << 8 | UInt64(text[$1]) }
            }
            let mixed = (state ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
            state = mixed.high ^ mixed.low
            at += 8
        }
        return state
    }

    /// - Returns: the ids of the piece, `nil` if it is not there.
    @inline(__always)
    func findLong(_ text: UnsafePointer<UInt8>, _ count: Int) -> UnsafeBufferPointer<UInt32>? {
        let hash = Self.hash(text, count)
        for way in 0..<PieceCache.longWays {
            let slot = Int(truncatingIfNeeded: hash &>> 32 ^ UInt64(way)) & (PieceCache.longEntriesCount - 1)
            let entry = long[slot].load(ordering: .acquiring)
            // Upper half: part of the hash. Lower half: place of the record, plus 8 so that no entry is 0.
            if entry == 0 { return nil }
            guard entry &>> 32 == hash & 0x7FFF_FFFF else { continue }
            let record = arena + (Int(truncatingIfNeeded: entry & 0xFFFF_FFFF) - 8)
            let head = record.load(as: UInt64.self)
            let idsCount = Int(truncatingIfNeeded: head &>> 32)
            guard Int(truncatingIfNeeded: head & 0xFFFF_FFFF) == count else { continue }
            let ids = (record + Self.headBytes).assumingMemoryBound(to: UInt32.self)
            if memcmp(ids + idsCount, text, count) == 0 {
                return UnsafeBufferPointer(start: UnsafePointer(ids), count: idsCount)
            }
        }
        return nil
    }

    /// - Parameter ids: at most one id for each byte.
    func insertLong(_ text: UnsafePointer<UInt8>, _ count: Int, _ ids: UnsafePointer<UInt32>, _ n: Int) {
        let hash = Self.hash(text, count)
        let size = (Self.headBytes + n * 4 + count + 7) & ~7
        for way in 0..<PieceCache.longWays {
            let slot = Int(truncatingIfNeeded: hash &>> 32 ^ UInt64(way)) & (PieceCache.longEntriesCount - 1)
            guard long[slot].load(ordering: .relaxed) == 0 else { continue }
            let place = counters[1].wrappingAdd(size, ordering: .relaxed).oldValue
            guard place >= 0, place + size <= PieceCache.arenaBytes else { break }
            // The record is this thread's alone until the entry is published. If another thread took the entry
            // meanwhile, the record stays unused.
            let record = arena + place
            record.storeBytes(of: UInt64(count) | UInt64(n) << 32, as: UInt64.self)
            memcpy(record + Self.headBytes, ids, n * 4)
            memcpy(record + Self.headBytes + n * 4, text, count)
            let entry = (hash & 0x7FFF_FFFF) << 32 | UInt64(place + 8)
            _ = long[slot].compareExchange(expected: 0, desired: entry, ordering: .acquiringAndReleasing)
            return
        }
        counters[0].wrappingAdd(1, ordering: .relaxed)
    }
}
