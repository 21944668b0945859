import GuardCore

/// Where ids go. Encoding is generic over it, so that counting builds no array.
protocol TokenSink {
    mutating func append(_ id: UInt32)
    mutating func append(_ ids: PackedIDs)
}

extension TokenSink {
    @inline(__always)
    mutating func append(_ ids: PackedIDs) {
        for index in 0..<ids.count { append(ids[index]) }
    }
}

struct IDSink: TokenSink {
    var ids: [TokenID] = []

    @inline(__always)
    mutating func append(_ id: UInt32) { ids.append(TokenID(id)) }
}

/// Ids of a whole text: into a small chunk first, which costs less than growing an array id by id.
struct ChunkSink: TokenSink {
    static let capacity = 2048

    private(set) var ids: [TokenID] = []
    private let chunk: UnsafeMutablePointer<TokenID>
    private var count = 0

    /// - Parameter chunk: room for `capacity` ids.
    init(_ chunk: UnsafeMutablePointer<TokenID>, expected: Int) {
        self.chunk = chunk
        ids.reserveCapacity(expected)
    }

    /// As the bytes that a `TokenID` consists of: its initialiser is a call into another module.
    @inline(__always)
    private func store(_ id: UInt32, _ index: Int) {
        UnsafeMutableRawPointer(chunk + index).storeBytes(of: id, as: UInt32.self)
    }

    @inline(__always)
    mutating func append(_ id: UInt32) {
        store(id, count)
        count &+= 1
        if count > Self.capacity - PackedIDs.countMax { flush() }
    }

    /// Writes all five whatever their number, without a branch; there is always room for them.
    @inline(__always)
    mutating func append(_ packed: PackedIDs) {
        store(packed[0], count)
        store(packed[1], count &+ 1)
        store(packed[2], count &+ 2)
        store(packed[3], count &+ 3)
        store(packed[4], count &+ 4)
        count &+= packed.count
        if count > Self.capacity - PackedIDs.countMax { flush() }
    }

    @inline(never)
    mutating func flush() {
        ids.append(contentsOf: UnsafeBufferPointer(start: chunk, count: count))
        count = 0
    }
}

struct CountSink: TokenSink {
    var count = 0

    @inline(__always)
    mutating func append(_ id: UInt32) { count &+= 1 }

    @inline(__always)
    mutating func append(_ ids: PackedIDs) { count &+= ids.count }
}

/// The ids of one piece, on their way into the cache. Those that do not fit are counted.
struct PieceSink: TokenSink {
    let ids: UnsafeMutablePointer<UInt32>
    let capacity: Int
    var count = 0

    @inline(__always)
    mutating func append(_ id: UInt32) {
        if count < capacity { ids[count] = id }
        count &+= 1
    }
}

/// Working memory of one call. Made cheaply, grown on demand, never shared.
final class Scratch {
    /// `nil` where this call goes without.
    let cache: PieceCache.View?
    private let cacheOwner: PieceCache?
    /// Room for the ids of one piece that goes into the cache: each byte is at most one id, whatever the model.
    let pieceIDs: UnsafeMutablePointer<UInt32>
    /// Pieces whose ends are known.
    let batch: UnsafeMutablePointer<Piece>
    static let batchMax = 32

    struct Piece {
        /// `PieceKey.none` for a piece that is too long for it.
        var key: PieceKey
        var hash: UInt64
        var end: Int
        var touched: UInt64 = 0
    }
    /// Symbols of the piece at work.
    private(set) var symbols: UnsafeMutablePointer<UInt32>
    /// Rank of the pair that begins at a symbol.
    private(set) var ranks: UnsafeMutablePointer<UInt32>
    private(set) var capacity = 256
    /// Comparisons and moves of merging so far: what a bound on work is tested by.
    var work = 0
    /// Working memory for pieces that merge on a heap.
    var heap: [UInt64] = []
    var next: [Int] = []
    var previous: [Int] = []

    init(_ cache: PieceCache? = nil) {
        self.cache = cache?.begin()
        cacheOwner = cache
        pieceIDs = .allocate(capacity: PieceCache.longLengthMax)
        batch = .allocate(capacity: Self.batchMax)
        symbols = .allocate(capacity: capacity)
        ranks = .allocate(capacity: capacity)
    }

    deinit {
        batch.deallocate()
        if cache != nil { cacheOwner?.end() }
        pieceIDs.deallocate()
        symbols.deallocate()
        ranks.deallocate()
    }

    /// Makes room for `count` symbols; what was there is lost.
    @inline(__always)
    func reserve(_ count: Int) {
        if count > capacity { grow(count) }
    }

    private func grow(_ count: Int) {
        symbols.deallocate()
        ranks.deallocate()
        capacity = max(count, capacity * 2)
        symbols = .allocate(capacity: capacity)
        ranks = .allocate(capacity: capacity)
    }
}
