/// Binary heap, smallest first.
struct MinHeap {
    private(set) var entries: [UInt64]
    /// Comparisons and moves so far.
    private(set) var work = 0

    init(_ storage: [UInt64]) { entries = storage }

    /// Adds without ordering; `build` afterwards.
    mutating func append(_ entry: UInt64) { entries.append(entry) }

    mutating func build() {
        for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(index) }
    }

    mutating func push(_ entry: UInt64) {
        entries.append(entry)
        var steps = 1
        defer { work &+= steps }
        entries.withUnsafeMutableBufferPointer { heap in
            var at = heap.count - 1
            while at > 0 {
                steps &+= 1
                let parent = (at - 1) / 2
                if heap[parent] <= entry { break }
                heap[at] = heap[parent]
                at = parent
            }
            heap[at] = entry
        }
    }

    mutating func pop() -> UInt64? {
        guard let last = entries.popLast() else { return nil }
        guard let first = entries.first else { return last }
        entries[0] = last
        sink(0)
        return first
    }

    private mutating func sink(_ index: Int) {
        var steps = 1
        defer { work &+= steps }
        entries.withUnsafeMutableBufferPointer { heap in
            let entry = heap[index]
            var at = index
            while true {
                steps &+= 1
                var child = 2 * at + 1
                if child >= heap.count { break }
                if child + 1 < heap.count && heap[child + 1] < heap[child] { child += 1 }
                if heap[child] >= entry { break }
                heap[at] = heap[child]
                at = child
            }
            heap[at] = entry
        }
    }
}
