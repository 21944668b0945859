/// What tails have found in a text, so that keywords in a row do not make each of them read the same bytes to the end.
/// Forgets where places collide.
struct TailMemory {
    /// Only places that are a multiple of it are noted.
    static let step = 16

    /// In which state a tail came to a place, and whether it held from there. With fewer bits than one that failed it fails
    /// too, with more than one that held it holds.
    private struct Visit {
        /// The scan that noted it.
        var scan = 0
        var tail: Int32 = 0
        var holds = false
        var place = 0
        var state: UInt128 = 0
    }

    /// No byte of a stop stands between `from` and `place`; one stands there if `isFound`.
    private struct Stop {
        var scan = 0
        var number: Int32 = 0
        var from = 0
        var place = 0
        var isFound = false
    }

    private var visits: [Visit] = []
    private var stops: [Stop] = []
    private var scan = 0
    private var isASCII = false
    /// How many tails read further than a few bytes.
    private var farCount = 0

    /// Forgets all, for another text.
    mutating func begin(isASCII: Bool) {
        scan &+= 1
        self.isASCII = isASCII
        farCount = 0
    }

    /// Counts a tail that reads far at `place`; whether those are more than there are in ordinary text.
    mutating func isBusy(at place: Int) -> Bool {
        farCount += 1
        return farCount > 16 && farCount > place / 32
    }

    func known(_ tail: Int32, _ place: Int, _ state: UInt128) -> Bool? {
        guard let visit = visit(tail, place) else { return nil }
        if visit.holds { return visit.state & ~state == 0 ? true : nil }
        return state & ~visit.state == 0 ? false : nil
    }

    /// That `tail` fails from here in this state, if nothing else is said by `hold`.
    mutating func insert(_ tail: Int32, _ place: Int, _ state: UInt128) {
        if visits.isEmpty { visits = Array(repeating: Visit(), count: Self.visitCount) }
        visits[Self.index(tail, place)] = Visit(scan: scan, tail: tail, place: place, state: state)
    }

    /// What was noted at these places on the way holds.
    mutating func hold(_ tail: Int32, _ places: Range<Int>) {
        for place in stride(from: places.lowerBound, to: places.upperBound, by: Self.step)
        where visit(tail, place) != nil {
            visits[Self.index(tail, place)].holds = true
        }
    }

    /// Whether a stop stands where it can be of a tail that begins at `start`. What has been read is not read again.
    mutating func finds(
        _ number: Int32, _ stop: TailSet.Stop, in text: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> Bool {
        if stops.isEmpty { stops = Array(repeating: Stop(), count: Self.stopCount) }
        // The end of the text counts as a place.
        let first = min(start + stop.least, text.count)
        let last = min(start + (isASCII ? stop.mostASCII : stop.most), text.count)
        let index = Int(number) & (Self.stopCount - 1)
        var known = stops[index]
        if known.scan != scan || known.number != number || first < known.from || first > known.place {
            known = Stop(scan: scan, number: number, from: first, place: first)
        }
        while !known.isFound, known.place <= last {
            known.isFound = known.place < text.count ? stop.bytes.contains(text[known.place]) : stop.isOrEnd
            if known.isFound || known.place == text.count { break }
            known.place += 1
        }
        stops[index] = known
        return known.isFound && known.place <= last
    }

    private func visit(_ tail: Int32, _ place: Int) -> Visit? {
        if visits.isEmpty { return nil }
        let visit = visits[Self.index(tail, place)]
        return visit.scan == scan && visit.tail == tail && visit.place == place ? visit : nil
    }

    private static let visitCount = 256
    private static let stopCount = 64
    private static func index(_ tail: Int32, _ place: Int) -> Int {
        (Int(tail) &* 83 &+ place / step) & (visitCount - 1)
    }
}
