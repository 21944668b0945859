/// What matches go on with behind their literals: one look at the few bytes that follow says of most places that hold a
/// literal that no match can be there.
///
/// A tail is a row of stretches of bytes, unrolled into at most 62 places and read by bit-parallel simulation of the
/// automaton that they make (Navarro and Raffinot, "Fast and simple character classes and bounded gaps pattern
/// matching", 2003): bit j of a state says that j places are behind. A place may be optional (the automaton may pass it
/// without a byte) or repeat. What does not fit is cut off, so that a tail asks for less than its pattern, never for
/// more.
struct TailSet: Sendable {
    private struct Tail: Sendable {
        /// Places that may repeat, places that may be passed, bits in front of each row of the latter and their last
        /// ones.
        var loops: UInt64 = 0
        var optional: UInt64 = 0
        var rowStarts: UInt64 = 0
        var rowEnds: UInt64 = 0
        var end: UInt64 = 1
        /// Where its masks begin.
        var masks = 0
    }

    static let placesMax = 62

    private var tails: [Tail] = []
    /// 256 classes of each tail.
    private var classes: [UInt8] = []
    /// By class: the places whose bytes are of it.
    private var masks: [UInt64] = []
    private var numbers: [[RequiredLiterals.Stretch]: Int32] = [:]

    /// The tail's number; -1 where it asks for nothing.
    mutating func add(_ stretches: [RequiredLiterals.Stretch]) -> Int32 {
        if let known = numbers[stretches] { return known }
        var places: [ByteSet] = []
        var tail = Tail()
        unrolling: for stretch in stretches {
            let most = stretch.length.max
            var count = 0
            while count < max(stretch.length.min, most ?? 1) {
                // What cannot be told apart from the rest of a long row is not worth its places.
                guard places.count < Self.placesMax else { break unrolling }
                places.append(stretch.bytes)
                count += 1
                if count > stretch.length.min { tail.optional |= 1 << UInt64(places.count) }
            }
            if most == nil { tail.loops |= 1 << UInt64(places.count) }
        }
        // Optional places at the end say nothing.
        while !places.isEmpty, tail.optional & (1 << UInt64(places.count)) != 0 {
            tail.optional &= ~(1 << UInt64(places.count))
            tail.loops &= ~(1 << UInt64(places.count))
            places.removeLast()
        }
        guard !places.isEmpty else {
            numbers[stretches] = -1
            return -1
        }
        tail.end = 1 << UInt64(places.count)
        tail.rowStarts = (tail.optional >> 1) & ~tail.optional
        tail.rowEnds = tail.optional & ~(tail.optional >> 1)
        tail.masks = masks.count
        var known: [UInt64: UInt8] = [:]
        for byte in 0...255 {
            var mask: UInt64 = 0
            for (index, set) in places.enumerated() where set.contains(UInt8(byte)) { mask |= 2 << UInt64(index) }
            let symbol = known[mask] ?? UInt8(known.count)
            if known[mask] == nil {
                known[mask] = symbol
                masks.append(mask)
            }
            classes.append(symbol)
        }
        let number = Int32(tails.count)
        tails.append(tail)
        numbers[stretches] = number
        return number
    }

    /// Whether `text` can go on as tail `number` from `start`.
    func holds(_ number: Int32, _ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
        let tail = tails[Int(number)]
        let row = Int(number) << 8
        return classes.withUnsafeBufferPointer { classes in
            masks.withUnsafeBufferPointer { masks in
                var state = Self.passed(1, tail)
                var index = start
                while state & tail.end == 0 {
                    guard index < text.count else { return false }
                    let mask = masks[tail.masks &+ Int(classes[row | Int(text[index])])]
                    state = (state &<< 1 | state & tail.loops) & mask
                    if state == 0 { return false }
                    if tail.optional != 0 { state = Self.passed(state, tail) }
                    index &+= 1
                }
                return true
            }
        }
    }

    /// With what optional places lead to: in each row of them, all from the first bit that is set. Subtracting a row's
    /// start borrows up to that bit, and leaves those behind it as they are.
    @inline(__always)
    private static func passed(_ state: UInt64, _ tail: Tail) -> UInt64 {
        let filled = state | tail.rowEnds
        return state | (tail.optional & (~(filled &- tail.rowStarts) ^ filled))
    }
}
