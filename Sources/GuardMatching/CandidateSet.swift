package import GuardCore

/// Which patterns of a `LiteralFilter` may match in the text that was scanned last, and where such matches begin.
/// Scratch memory: one per thread, reused.
package struct CandidateSet: ~Copyable {
    struct Window {
        /// First and last byte at which a match may begin.
        var low: Int
        var high: Int
        /// The window before it of the same pattern, or -1.
        var previous: Int32
        /// Which kind of front made it; -1: several.
        var front: Int32
    }

    /// Patterns with at least one window, in no order.
    package private(set) var touched: [UInt32] = []
    private var windows: [Window] = []
    /// Last window of each pattern, or -1.
    private var last: [Int32] = []
    /// The text as `LiteralFilter` reads it.
    var folded: [UInt8] = []
    /// Where literals or runs may be: bits of `FingerprintTable` and `RunFinder`.
    var masks: [UInt64] = []
    var tails = TailMemory()

    package init() {}

    /// Forgets all; `count` patterns from now on.
    package mutating func reset(patterns count: Int) {
        for pattern in touched where Int(pattern) < last.count { last[Int(pattern)] = -1 }
        touched.removeAll(keepingCapacity: true)
        windows.removeAll(keepingCapacity: true)
        if last.count < count { last += repeatElement(-1, count: count - last.count) }
    }

    /// A match of `pattern` may begin between `low` and `high`. Windows that touch become one, so the windows of a
    /// pattern are always apart and ascending, and there are never more of them than bytes in the text.
    mutating func insert(_ pattern: UInt32, _ low: Int, _ high: Int, front: Int32 = -1) {
        var (low, high, front) = (low, high, front)
        let top = last[Int(pattern)]
        var at = top
        while at >= 0, windows[Int(at)].high + 1 >= low {
            low = min(low, windows[Int(at)].low)
            high = max(high, windows[Int(at)].high)
            if windows[Int(at)].front != front { front = -1 }
            at = windows[Int(at)].previous
        }
        if at != top {
            windows[Int(top)] = Window(low: low, high: high, previous: at, front: front)
            return
        }
        if top < 0 { touched.append(pattern) }
        last[Int(pattern)] = Int32(truncatingIfNeeded: windows.count)
        windows.append(Window(low: low, high: high, previous: top, front: front))
    }

    /// The last window of `pattern`, if that kind of front alone made it.
    func lastWindow(of pattern: UInt32, front: Int32) -> (low: Int, high: Int)? {
        let top = last[Int(pattern)]
        guard top >= 0, windows[Int(top)].front == front else { return nil }
        return (windows[Int(top)].low, windows[Int(top)].high)
    }

    package func contains(_ pattern: Int) -> Bool { pattern < last.count && last[pattern] >= 0 }

    /// Puts the windows of `pattern` into `list`, ascending and apart from one another.
    package func windows(of pattern: Int, into list: inout [ByteRange]) {
        list.removeAll(keepingCapacity: true)
        var at = pattern < last.count ? last[pattern] : -1
        while at >= 0 {
            list.append(windows[Int(at)].low..<windows[Int(at)].high + 1)
            at = windows[Int(at)].previous
        }
        if list.count > 1 { list.reverse() }
    }
}
