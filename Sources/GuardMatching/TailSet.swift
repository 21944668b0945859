/// What matches go on with behind their literals: one look at the few bytes that follow says of most places that hold a
/// literal that no match can be there.
///
/// A tail is a row of stretches of bytes, unrolled into places (`TailRows`). A row that is too long for 62 places gets
/// 126. What does not fit even there is cut off or repeats without end, so that a tail asks for less than its pattern,
/// never for more. Of a tail that reads far it is asked first whether the rarest of its parts stands where it can be
/// (`Stop`): bounds that a row has lost, `{10,150}` read as `{10,}`, count there.
struct TailSet: Sendable {
    /// What must stand behind others: one of `bytes`, or else the end of the text if `isOrEnd`, with at least `least` and
    /// at most `most` bytes in front.
    struct Stop: Sendable {
        var bytes: ByteSet
        var isOrEnd: Bool
        var least: Int
        var most: Int
        /// In a text of ASCII, where a character is a byte.
        var mostASCII: Int
    }

    private struct Tail: Sendable {
        /// In `narrow`, or `-1 - number` in `wide`.
        var row: Int32
        /// In `stops`; -1: none.
        var stop: Int32 = -1
    }

    private var tails: [Tail] = []
    private var narrow = TailRows<UInt64>()
    private var wide = TailRows<UInt128>()
    private var stops: [Stop] = []
    /// Of each tail the bytes that it can begin with.
    private var firsts: [ByteSet] = []
    private var numbers: [[RequiredLiterals.Stretch]: Int32] = [:]

    /// The tail's number; -1 where it asks for nothing.
    mutating func add(_ stretches: [RequiredLiterals.Stretch]) -> Int32 {
        if let known = numbers[stretches] { return known }
        var number: Int32 = -1
        var tail: Tail?
        var first = ByteSet.all
        if TailRows<UInt64>.fits(stretches) {
            if let row = narrow.add(stretches) {
                tail = Tail(row: Int32(truncatingIfNeeded: row))
                first = narrow.firstBytes(of: row)
            }
        } else if let row = wide.add(stretches) {
            tail = Tail(row: -1 - Int32(truncatingIfNeeded: row))
            first = wide.firstBytes(of: row)
        }
        if var tail {
            if let stop = Self.stop(stretches) {
                tail.stop = Int32(truncatingIfNeeded: stops.count)
                stops.append(stop)
            }
            number = Int32(truncatingIfNeeded: tails.count)
            tails.append(tail)
            firsts.append(first)
        }
        numbers[stretches] = number
        return number
    }

    /// Of what cannot be missing and is not the first, the part with the fewest bytes to choose from; behind a stretch
    /// whose bound the row loses, if there is one.
    private static func stop(_ stretches: [RequiredLiterals.Stretch]) -> Stop? {
        var (least, most, mostASCII) = (0, 0, 0)
        var best: Stop?
        var isLost = false
        for (index, stretch) in stretches.enumerated() {
            if index > 0, stretch.length.min > 0, stretch.bytes.count < best?.bytes.count ?? 128 {
                best = Stop(
                    bytes: stretch.bytes, isOrEnd: stretch.isOrEnd, least: least, most: most, mostASCII: mostASCII)
            }
            guard !stretch.isOrEnd, let length = stretch.length.max else { break }
            if !isLost, length - stretch.length.min > TailRows<UInt64>.optionalMax { (isLost, best) = (true, nil) }
            least += stretch.length.min
            mostASCII += length
            // A character has up to four bytes.
            most += stretch.isCharacters ? 4 * length : length
        }
        return best
    }

    /// Whether `byte` can be the first one of tail `number`: the short answer of `holds`.
    @inline(__always)
    func mayBegin(_ number: Int32, _ byte: UInt8) -> Bool { firsts[Int(number)].contains(byte) }

    /// Whether `text` can go on as tail `number` from `start`.
    func holds(
        _ number: Int32, _ text: UnsafeBufferPointer<UInt8>, at start: Int, _ memory: inout TailMemory
    ) -> Bool {
        let tail = tails[Int(number)]
        return tail.row >= 0
            ? narrow.holds(Int(tail.row), tail.stop, stops, number, text, at: start, &memory)
            : wide.holds(Int(-1 - tail.row), tail.stop, stops, number, text, at: start, &memory)
    }
}

/// Rows of stretches as places in the bits of a word, read by bit-parallel simulation of the automaton that they make
/// (Navarro and Raffinot, "Fast and simple character classes and bounded gaps pattern matching", 2003): bit j of a state
/// says that j places are behind. A place may be optional (the automaton may pass it without a byte) or repeat.
struct TailRows<Word: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    private struct Row: Sendable {
        /// Places that may repeat, places that may be passed, bits in front of each row of the latter and their last
        /// ones.
        var loops: Word = 0
        var optional: Word = 0
        var rowStarts: Word = 0
        var rowEnds: Word = 0
        /// Places that are characters: the bytes behind the first one of a character may be passed over.
        var characters: Word = 0
        /// States in which the text may end.
        var atEnd: Word = 0
        var end: Word = 1
        /// Where its masks begin.
        var masks = 0
    }

    private static var placesMax: Int { Word.bitWidth - 2 }
    /// More optional places than this become one that repeats.
    static var optionalMax: Int { 40 }
    /// Further than this no tail looks: then it may hold.
    private static var reachMax: Int { 1024 }
    /// So far before its stop is looked for.
    private static var firstLook: Int { 8 }

    private var rows: [Row] = []
    /// 256 classes of each row.
    private var classes: [UInt8] = []
    /// By class: the places whose bytes are of it.
    private var masks: [Word] = []

    private static func isBounded(_ length: LengthRange) -> Bool {
        length.max.map { $0 - length.min <= optionalMax } ?? false
    }

    /// Whether a row needs no more places than there are.
    static func fits(_ stretches: [RequiredLiterals.Stretch]) -> Bool {
        var places = 0
        for stretch in stretches {
            let length = stretch.length
            places += isBounded(length) ? length.max ?? 0 : max(1, length.min)
            if stretch.isOrEnd { break }
        }
        return places <= placesMax
    }

    /// The row's number; `nil` where it asks for nothing.
    mutating func add(_ stretches: [RequiredLiterals.Stretch]) -> Int? {
        var places: [ByteSet] = []
        var row = Row()
        unrolling: for stretch in stretches {
            let first = places.count
            for _ in 0..<stretch.length.min {
                // What cannot be told apart from the rest of a long row is not worth its places.
                guard places.count < Self.placesMax else { break unrolling }
                places.append(stretch.bytes)
            }
            if let most = stretch.length.max, Self.isBounded(stretch.length) {
                for _ in stretch.length.min..<most {
                    guard places.count < Self.placesMax else { break unrolling }
                    places.append(stretch.bytes)
                    row.optional |= 1 << Word(places.count)
                }
            } else {
                // Anything, but not for ever: PCRE2 knows sooner.
                if stretch.bytes == .all, stretch.length.max != nil { break unrolling }
                if places.count == first {
                    guard places.count < Self.placesMax else { break unrolling }
                    places.append(stretch.bytes)
                    row.optional |= 1 << Word(places.count)
                }
                row.loops |= 1 << Word(places.count)
            }
            let own = Self.bits(first..<places.count)
            if stretch.isCharacters { row.characters |= own << 1 }
            if stretch.isOrEnd {
                row.atEnd |= own
                // How the text ends is not known any better than that.
                break
            }
        }
        // Optional places at the end say nothing.
        while !places.isEmpty, row.optional & (1 << Word(places.count)) != 0 {
            row.optional &= ~(1 << Word(places.count))
            row.loops &= ~(1 << Word(places.count))
            places.removeLast()
        }
        if places.isEmpty { return nil }
        row.end = 1 << Word(places.count)
        row.rowStarts = (row.optional >> 1) & ~row.optional
        row.rowEnds = row.optional & ~(row.optional >> 1)
        row.masks = masks.count
        var known: [Word: UInt8] = [:]
        for byte in 0...255 {
            var mask: Word = 0
            for (index, set) in places.enumerated() where set.contains(UInt8(byte)) { mask |= 2 << Word(index) }
            let symbol = known[mask] ?? UInt8(known.count)
            if known[mask] == nil {
                known[mask] = symbol
                masks.append(mask)
            }
            classes.append(symbol)
        }
        rows.append(row)
        return rows.count - 1
    }

    private static func bits(_ range: Range<Int>) -> Word {
        (1 << Word(range.upperBound)) - (1 << Word(range.lowerBound))
    }

    /// Bytes that row `number` can begin with.
    func firstBytes(of number: Int) -> ByteSet {
        let row = rows[number]
        let begin = Self.passed(1, row)
        let next = begin << 1 | begin & (row.loops | row.characters)
        return ByteSet(
            (0...255 as ClosedRange<UInt8>).filter { byte in
                masks[row.masks + Int(classes[number << 8 | Int(byte)])] & next != 0
            })
    }

    /// Whether `text` can go on as row `number`, which is that of `tail`, from `start`. If it reads far and there is a stop
    /// (one of `stops`, or -1), that is looked for first.
    func holds(
        _ number: Int, _ stop: Int32, _ stops: [TailSet.Stop], _ tail: Int32, _ text: UnsafeBufferPointer<UInt8>,
        at start: Int, _ memory: inout TailMemory
    ) -> Bool {
        let row = rows[number]
        var state = Self.passed(1, row)
        var index = start
        if stop >= 0 {
            // Most fail in a few bytes.
            let limit = min(start + Self.firstLook, text.count)
            if let held = run(row, number << 8, text, &index, to: limit, &state) { return held }
            if memory.isBusy(at: start), !memory.finds(stop, stops[Int(stop)], in: text, from: start) {
                return false
            }
        }
        let firstMark = (start + 2 * TailMemory.step - 1) / TailMemory.step * TailMemory.step
        var mark = firstMark
        while true {
            if let held = run(row, number << 8, text, &index, to: min(mark, text.count), &state) {
                if held, mark > firstMark { memory.hold(tail, firstMark..<mark) }
                return held
            }
            if index == text.count || index - start >= Self.reachMax {
                let held = index < text.count || state & row.atEnd != 0
                if held { memory.hold(tail, firstMark..<mark) }
                return held
            }
            // Tried from here before, with at least as many ways to go on, or with no more of them.
            if let held = memory.known(tail, mark, UInt128(truncatingIfNeeded: state)) {
                if held { memory.hold(tail, firstMark..<mark) }
                return held
            }
            memory.insert(tail, mark, UInt128(truncatingIfNeeded: state))
            mark += TailMemory.step
        }
    }

    /// Reads up to `limit`; `nil` if it gets there undecided.
    @inline(__always)
    private func run(
        _ row: Row, _ classRow: Int, _ text: UnsafeBufferPointer<UInt8>, _ index: inout Int, to limit: Int,
        _ state: inout Word
    ) -> Bool? {
        while state & row.end == 0 {
            guard index < limit else { return nil }
            let byte = text[index]
            let mask = masks[row.masks &+ Int(classes[classRow | Int(byte)])]
            let stays = byte & 0xC0 == 0x80 ? row.loops | row.characters : row.loops
            state = (state &<< 1 | state & stays) & mask
            if state == 0 { return false }
            if row.optional != 0 { state = Self.passed(state, row) }
            index &+= 1
        }
        return true
    }

    /// With what optional places lead to: in each row of them, all from the first bit that is set. Subtracting a row's
    /// start borrows up to that bit, and leaves those behind it as they are.
    @inline(__always)
    private static func passed(_ state: Word, _ row: Row) -> Word {
        let filled = state | row.rowEnds
        return state | (row.optional & (~(filled &- row.rowStarts) ^ filled))
    }
}
