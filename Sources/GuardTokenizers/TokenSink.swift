import GuardCore

/// Where ids go. Encoding is generic over it, so that counting builds no array.
protocol TokenSink {
    mutating func append(_ id: UInt32)
}

struct IDSink: TokenSink {
    var ids: [TokenID] = []

    @inline(__always)
    mutating func append(_ id: UInt32) { ids.append(TokenID(id)) }
}

struct CountSink: TokenSink {
    var count = 0

    @inline(__always)
    mutating func append(_ id: UInt32) { count += 1 }
}

/// Working memory of one call. Made cheaply, grown on demand, never shared.
final class Scratch {
    /// Symbols of the piece at work.
    private(set) var symbols: UnsafeMutablePointer<UInt32>
    /// Rank of the pair that begins at a symbol.
    private(set) var ranks: UnsafeMutablePointer<UInt32>
    private(set) var capacity = 256
    /// Working memory for pieces that merge on a heap.
    var heap: [UInt64] = []
    var next: [Int] = []
    var previous: [Int] = []

    init() {
        symbols = .allocate(capacity: capacity)
        ranks = .allocate(capacity: capacity)
    }

    deinit {
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
