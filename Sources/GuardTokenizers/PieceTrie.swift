import Glibc

/// Vocabulary entries by their bytes, for all that begin at a place: a trie whose siblings lie side by side.
struct PieceTrie: Sendable {
    private var firstChild: [UInt32] = []
    private var childrenCount: [UInt16] = []
    private var labels: [UInt8] = []
    /// Index of the entry that ends at the node, -1 if none does.
    private var values: [Int32] = []

    /// - Parameter entries: bytes and value; of equal ones the last counts, empty ones are left out.
    init(_ entries: [(bytes: [UInt8], value: Int32)]) {
        let order = entries.indices.filter { !entries[$0].bytes.isEmpty }.sorted {
            let compared = Self.compare(entries[$0].bytes, entries[$1].bytes)
            return compared != 0 ? compared < 0 : $0 < $1
        }
        append(0, -1)
        // Breadth first, so that a node's children are numbered in one go.
        var queue: [(node: Int, range: Range<Int>, depth: Int)] = [(0, 0..<order.count, 0)]
        var head = 0
        while head < queue.count {
            let (node, range, depth) = queue[head]
            head += 1
            var at = range.lowerBound
            while at < range.upperBound, entries[order[at]].bytes.count == depth {
                values[node] = entries[order[at]].value
                at += 1
            }
            firstChild[node] = UInt32(labels.count)
            while at < range.upperBound {
                let byte = entries[order[at]].bytes[depth]
                let start = at
                while at < range.upperBound, entries[order[at]].bytes[depth] == byte { at += 1 }
                queue.append((labels.count, start..<at, depth + 1))
                append(byte, -1)
                childrenCount[node] += 1
            }
        }
    }

    var bytesCount: Int { labels.count * (4 + 2 + 1 + 4) }

    private mutating func append(_ label: UInt8, _ value: Int32) {
        firstChild.append(0)
        childrenCount.append(0)
        labels.append(label)
        values.append(value)
    }

    private static func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
        let common = Int(memcmp(left, right, min(left.count, right.count)))
        return common != 0 ? common : left.count - right.count
    }

    /// Values and ends of the entries that begin at `at`, the shortest first.
    @inline(__always)
    func forEachMatch(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ body: (Int32, Int) -> Void) {
        var node = 0
        var next = at
        while next < end {
            var low = Int(firstChild[node])
            var high = low + Int(childrenCount[node])
            let stop = high
            while low < high {
                let middle = (low + high) / 2
                if labels[middle] < text[next] { low = middle + 1 } else { high = middle }
            }
            guard low < stop, labels[low] == text[next] else { return }
            node = low
            next += 1
            if values[node] >= 0 { body(values[node], next) }
        }
    }
}
