/// Working memory of one call. Made cheaply (one allocation for all that has a fixed size), grown on demand, never
/// shared.
final class Scratch {
    /// `nil` where this call goes without.
    let cache: PieceCache.View?
    private let cacheOwner: PieceCache?
    private let block: UnsafeMutableRawPointer
    /// Room for the ids of one piece that goes into the cache: each byte is at most one id, whatever the model.
    let pieceIDs: UnsafeMutablePointer<UInt32>
    /// Pieces whose ends are known.
    let batch: UnsafeMutablePointer<Piece>
    static let batchMax = 128
    /// The last block of a text, filled up.
    let padded: UnsafeMutablePointer<UInt8>
    /// `priority << 7 | index` of the pair that begins at a symbol, for pieces that merge by scanning.
    let keys: UnsafeMutablePointer<Int32>
    /// What that pair merges into.
    let merged: UnsafeMutablePointer<UInt32>
    static let noKey = Int32.max

    struct Piece {
        /// `PieceKey.none` for a piece that is too long for it.
        var key: PieceKey
        var hash: UInt64
        var end: Int
    }
    /// Symbols of the piece at work.
    private(set) var symbols: UnsafeMutablePointer<UInt32>
    /// Rank of the pair that begins at a symbol, for pieces that merge on a heap.
    private(set) var ranks: UnsafeMutablePointer<UInt32>
    /// The symbols that are left, linked.
    private(set) var next: UnsafeMutablePointer<Int>
    private(set) var previous: UnsafeMutablePointer<Int>
    /// Symbols that these four have room for. They are in `block` until a piece needs more.
    private var capacity = Scratch.capacityMin
    private static let capacityMin = 256
    /// Comparisons and moves of merging so far: what a bound on work is tested by.
    var work = 0
    private var heapEntries: UnsafeMutablePointer<UInt64>?
    private var heapCapacity = 0

    init(_ cache: PieceCache? = nil) {
        self.cache = cache?.begin()
        cacheOwner = cache
        var size = 0
        func place<Element>(_ type: Element.Type, _ count: Int) -> Int {
            defer { size += (count * MemoryLayout<Element>.stride + 15) & ~15 }
            return size
        }
        let scanned = BytePairModel.scanMax
        let offsets = (
            pieceIDs: place(UInt32.self, PieceCache.longLengthMax), batch: place(Piece.self, Self.batchMax),
            padded: place(UInt8.self, PieceScanner.blockBytes), keys: place(Int32.self, scanned),
            merged: place(UInt32.self, scanned), symbols: place(UInt32.self, Self.capacityMin),
            ranks: place(UInt32.self, Self.capacityMin), next: place(Int.self, Self.capacityMin),
            previous: place(Int.self, Self.capacityMin)
        )
        let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        self.block = block
        func room<Element>(_ type: Element.Type, _ offset: Int) -> UnsafeMutablePointer<Element> {
            (block + offset).assumingMemoryBound(to: type)
        }
        pieceIDs = room(UInt32.self, offsets.pieceIDs)
        batch = room(Piece.self, offsets.batch)
        padded = room(UInt8.self, offsets.padded)
        keys = room(Int32.self, offsets.keys)
        merged = room(UInt32.self, offsets.merged)
        symbols = room(UInt32.self, offsets.symbols)
        ranks = room(UInt32.self, offsets.ranks)
        next = room(Int.self, offsets.next)
        previous = room(Int.self, offsets.previous)
    }

    deinit {
        if cache != nil { cacheOwner?.end() }
        release()
        heapEntries?.deallocate()
        block.deallocate()
    }

    private func release() {
        guard capacity > Self.capacityMin else { return }
        symbols.deallocate()
        ranks.deallocate()
        next.deallocate()
        previous.deallocate()
    }

    /// Makes room for `count` symbols; what was there is lost.
    @inline(__always)
    func reserve(_ count: Int) {
        if count > capacity { grow(count) }
    }

    private func grow(_ count: Int) {
        release()
        capacity = max(count, capacity * 2)
        symbols = .allocate(capacity: capacity)
        ranks = .allocate(capacity: capacity)
        next = .allocate(capacity: capacity)
        previous = .allocate(capacity: capacity)
    }

    /// Room for the pairs of so many symbols: each is there once at the start, and each merge makes two.
    func heap(symbols count: Int) -> UnsafeMutablePointer<UInt64> {
        if let heapEntries, heapCapacity >= count * 3 { return heapEntries }
        heapEntries?.deallocate()
        heapCapacity = max(count * 3, heapCapacity * 2)
        let room = UnsafeMutablePointer<UInt64>.allocate(capacity: heapCapacity)
        heapEntries = room
        return room
    }
}
