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
