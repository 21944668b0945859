/// What matches go on with behind their literals: one look at the few bytes that follow says of most places that hold a
/// literal that no match can be there.
///
/// A tail is a row of stretches of bytes, unrolled into at most 62 places and read by bit-parallel simulation of the
/// automaton that they make (Navarro and Raffinot, "Fast and simple character classes and bounded gaps pattern
/// matching", 2003): bit j of a state says that j places are behind. A place may be optional (the automaton may pass it
/// without a byte) or repeat. What does not fit is cut off or repeats without end, so that a tail asks for less than its
/// pattern, never for more.
struct TailSet: Sendable {
    private struct Tail: Sendable {
        /// Places that may repeat, places that may be passed, bits in front of each row of the latter and their last
        /// ones.
        var loops: UInt64 = 0
        var optional: UInt64 = 0
        var rowStarts: UInt64 = 0
        var rowEnds: UInt64 = 0
        /// Places that are characters: the bytes behind the first one of a character may be passed over.
        var characters: UInt64 = 0
        /// States in which the text may end.
        var atEnd: UInt64 = 0
        var end: UInt64 = 1
        /// Where its masks begin.
        var masks = 0
    }

    static let placesMax = 62
    /// Further than this no tail looks: then it may hold.
    static let reachMax = 1024

    private var tails: [Tail] = []
    /// 256 classes of each tail.
    private var classes: [UInt8] = []
    /// By class: the places whose bytes are of it.
    private var masks: [UInt64] = []
    /// Of each tail the bytes that it can begin with.
    private var firsts: [ByteSet] = []
    private var numbers: [[RequiredLiterals.Stretch]: Int32] = [:]

    /// The tail's number; -1 where it asks for nothing.
    mutating func add(_ stretches: [RequiredLiterals.Stretch]) -> Int32 {
        if let known = numbers[stretches] { return known }
        var places: [ByteSet] = []
        var tail = Tail()
        unrolling: for stretch in stretches {
            let first = places.count
            for _ in 0..<stretch.length.min {
                // What cannot be told apart from the rest of a long row is not worth its places.
                guard places.count < Self.placesMax else { break unrolling }
                places.append(stretch.bytes)
            }
            if let most = stretch.length.max, most - stretch.length.min <= Self.optionalMax {
                for _ in stretch.length.min..<most {
                    guard places.count < Self.placesMax else { break unrolling }
                    places.append(stretch.bytes)
                    tail.optional |= 1 << UInt64(places.count)
                }
            } else {
                // Anything, but not for ever: PCRE2 knows sooner.
                if stretch.bytes == .all, stretch.length.max != nil { break unrolling }
                if places.count == first {
                    guard places.count < Self.placesMax else { break unrolling }
                    places.append(stretch.bytes)
                    tail.optional |= 1 << UInt64(places.count)
                }
                tail.loops |= 1 << UInt64(places.count)
            }
            let own = Self.bits(first..<places.count)
            if stretch.isCharacters { tail.characters |= own << 1 }
            if stretch.isOrEnd {
                tail.atEnd |= own
                // How the text ends is not known any better than that.
                break
            }
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
        let begin = Self.passed(1, tail)
        let next = begin << 1 | begin & (tail.loops | tail.characters)
        firsts.append(
            ByteSet(
                (0...255 as ClosedRange<UInt8>).filter { byte in
                    masks[tail.masks + Int(classes[Int(number) << 8 | Int(byte)])] & next != 0
                }))
        numbers[stretches] = number
        return number
    }

    /// More optional places than this become one that repeats.
    private static let optionalMax = 40

    private static func bits(_ range: Range<Int>) -> UInt64 {
        (1 << UInt64(range.upperBound)) - (1 << UInt64(range.lowerBound))
    }

    /// Whether `byte` can be the first one of tail `number`: the short answer of `holds`.
    @inline(__always)
    func mayBegin(_ number: Int32, _ byte: UInt8) -> Bool { firsts[Int(number)].contains(byte) }

    /// Whether `text` can go on as tail `number` from `start`.
    func holds(
        _ number: Int32, _ text: UnsafeBufferPointer<UInt8>, at start: Int, _ failures: inout TailFailures
    ) -> Bool {
        let tail = tails[Int(number)]
        var state = Self.passed(1, tail)
        var index = start
        var mark = (start + 2 * TailFailures.step - 1) / TailFailures.step * TailFailures.step
        let firstMark = mark
        while true {
            if let held = run(tail, Int(number) << 8, text, &index, to: min(mark, text.count), &state) {
                if held, mark > firstMark { failures.remove(number, firstMark..<mark) }
                return held
            }
            if index == text.count || index - start >= Self.reachMax {
                let held = index < text.count || state & tail.atEnd != 0
                if held { failures.remove(number, firstMark..<mark + 1) }
                return held
            }
            // Tried from here before, with at least as many ways to go on.
            if failures.covers(number, mark, state) { return false }
            failures.insert(number, mark, state)
            mark += TailFailures.step
        }
    }

    /// Reads up to `limit`; `nil` if it gets there undecided.
    @inline(__always)
    private func run(
        _ tail: Tail, _ row: Int, _ text: UnsafeBufferPointer<UInt8>, _ index: inout Int, to limit: Int,
        _ state: inout UInt64
    ) -> Bool? {
        while state & tail.end == 0 {
            guard index < limit else { return nil }
            let byte = text[index]
            let mask = masks[tail.masks &+ Int(classes[row | Int(byte)])]
            let stays = byte & 0xC0 == 0x80 ? tail.loops | tail.characters : tail.loops
            state = (state &<< 1 | state & stays) & mask
            if state == 0 { return false }
            if tail.optional != 0 { state = Self.passed(state, tail) }
            index &+= 1
        }
        return true
    }

    /// With what optional places lead to: in each row of them, all from the first bit that is set. Subtracting a row's
    /// start borrows up to that bit, and leaves those behind it as they are.
    @inline(__always)
    private static func passed(_ state: UInt64, _ tail: Tail) -> UInt64 {
        let filled = state | tail.rowEnds
        return state | (tail.optional & (~(filled &- tail.rowStarts) ^ filled))
    }
}

/// At which places of a text tails were found not to hold in which states, so that keywords in a row do not make each of
/// them read the same text to its end. A state with fewer bits than one that failed at the same place fails too.
struct TailFailures {
    /// Only places that are a multiple of it are noted.
    static let step = 16

    private struct Failure {
        /// The scan that noted it.
        var scan = 0
        var tail: Int32 = 0
        var place = 0
        var state: UInt64 = 0
    }

    private var failures: [Failure] = []
    private var scan = 0

    mutating func removeAll() { scan &+= 1 }

    func covers(_ tail: Int32, _ place: Int, _ state: UInt64) -> Bool {
        guard let failure = known(tail, place) else { return false }
        return state & ~failure.state == 0
    }

    mutating func insert(_ tail: Int32, _ place: Int, _ state: UInt64) {
        if failures.isEmpty { failures = Array(repeating: Failure(), count: Self.count) }
        failures[Self.index(tail, place)] = Failure(scan: scan, tail: tail, place: place, state: state)
    }

    mutating func remove(_ tail: Int32, _ places: Range<Int>) {
        for place in stride(from: places.lowerBound, to: places.upperBound, by: Self.step)
        where known(tail, place) != nil {
            failures[Self.index(tail, place)].scan = scan - 1
        }
    }

    private func known(_ tail: Int32, _ place: Int) -> Failure? {
        if failures.isEmpty { return nil }
        let failure = failures[Self.index(tail, place)]
        return failure.scan == scan && failure.tail == tail && failure.place == place ? failure : nil
    }

    private static let count = 256
    private static func index(_ tail: Int32, _ place: Int) -> Int { (Int(tail) &* 83 &+ place / step) & (count - 1) }
}
