/// Heap of four children a node, smallest first, in memory that it is given.
struct MinHeap {
    private let entries: UnsafeMutablePointer<UInt64>
    private(set) var count = 0
    /// Comparisons and moves so far.
    private(set) var work = 0

    /// - Parameter entries: room for all entries that will ever be in it at once.
    init(_ entries: UnsafeMutablePointer<UInt64>) { self.entries = entries }

    /// Adds without ordering; `build` afterwards.
    @inline(__always)
    mutating func append(_ entry: UInt64) {
        entries[count] = entry
        count &+= 1
    }

    mutating func build() {
        var index = count / 4
        while index >= 0 {
            if index < count { sink(entries[index], index) }
            index &-= 1
        }
    }

    @inline(__always)
    mutating func push(_ entry: UInt64) {
        var at = count
        count &+= 1
        while at > 0 {
            let parent = (at &- 1) &>> 2
            work &+= 1
            if entries[parent] <= entry { break }
            entries[at] = entries[parent]
            at = parent
        }
        entries[at] = entry
    }

    @inline(__always)
    mutating func pop() -> UInt64? {
        if count == 0 { return nil }
        let first = entries[0]
        count &-= 1
        if count > 0 { sink(entries[count], 0) }
        return first
    }

    /// Puts an entry where `index` is, or below.
    private mutating func sink(_ entry: UInt64, _ index: Int) {
        var at = index
        while true {
            var child = at &<< 2 &+ 1
            if child >= count { break }
            let stop = min(child &+ 4, count)
            var lowest = entries[child]
            var place = child
            child &+= 1
            while child < stop {
                // Without a branch: which one is lowest cannot be guessed.
                let isLower = entries[child] < lowest
                lowest = isLower ? entries[child] : lowest
                place = isLower ? child : place
                child &+= 1
            }
            work &+= stop &- (at &<< 2)
            if lowest >= entry { break }
            entries[at] = lowest
            at = place
        }
        entries[at] = entry
    }
}
