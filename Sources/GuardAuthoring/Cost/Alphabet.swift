/// Up to 256 classes of scalars that a set of patterns cannot tell apart, and sets of them as bits.
struct Alphabet: Sendable {
    struct ClassSet: Sendable, Hashable {
        private var a: UInt64 = 0
        private var b: UInt64 = 0
        private var c: UInt64 = 0
        private var d: UInt64 = 0

        mutating func insert(_ index: Int) {
            let bit: UInt64 = 1 << UInt64(index & 63)
            switch index >> 6 {
            case 0: a |= bit
            case 1: b |= bit
            case 2: c |= bit
            default: d |= bit
            }
        }

        func contains(_ index: Int) -> Bool {
            let word = index >> 6 == 0 ? a : index >> 6 == 1 ? b : index >> 6 == 2 ? c : d
            return word >> UInt64(index & 63) & 1 == 1
        }

        func meets(_ other: ClassSet) -> Bool {
            a & other.a | b & other.b | c & other.c | d & other.d != 0
        }

        func intersection(_ other: ClassSet) -> ClassSet {
            var out = self
            (out.a, out.b, out.c, out.d) = (a & other.a, b & other.b, c & other.c, d & other.d)
            return out
        }

        var isEmpty: Bool { a | b | c | d == 0 }
    }

    /// A scalar of each class that reads well.
    private(set) var samples: [UInt32] = []
    private var sets: [ScalarSet: ClassSet] = [:]

    static let classesMax = 256

    /// `nil` where the sets make more classes than there are bits.
    init?(_ wanted: some Collection<ScalarSet>) {
        let distinct = Array(Set(wanted))
        // Every place where the membership of some set changes begins a piece.
        var edges: Set<UInt32> = [0]
        for set in distinct {
            for range in set.ranges {
                edges.insert(range.lowerBound)
                edges.insert(range.upperBound + 1)
            }
        }
        let starts = edges.filter { $0 <= 0x10FFFF }.sorted()
        guard starts.count <= 20_000, distinct.count <= 2000 else { return nil }
        var numbers: [[UInt64]: Int] = [:]
        var pieces: [[ClosedRange<UInt32>]] = []
        var members: [[Int]] = []
        var membership = [[UInt64]](
            repeating: [UInt64](repeating: 0, count: (distinct.count + 63) / 64), count: starts.count)
        for (index, set) in distinct.enumerated() {
            var piece = 0
            for range in set.ranges {
                while piece < starts.count, starts[piece] < range.lowerBound { piece += 1 }
                while piece < starts.count, starts[piece] <= range.upperBound {
                    membership[piece][index / 64] |= 1 << UInt64(index % 64)
                    piece += 1
                }
            }
        }
        for (piece, vector) in membership.enumerated() where vector.contains(where: { $0 != 0 }) {
            let end = piece + 1 < starts.count ? starts[piece + 1] - 1 : 0x10FFFF
            let number: Int
            if let known = numbers[vector] {
                number = known
            } else {
                number = pieces.count
                guard number < Self.classesMax else { return nil }
                numbers[vector] = number
                pieces.append([])
                members.append(distinct.indices.filter { vector[$0 / 64] >> UInt64($0 % 64) & 1 == 1 })
            }
            pieces[number].append(starts[piece]...end)
        }
        samples = pieces.map { ScalarSet($0).sample ?? 0x61 }
        for set in distinct { sets[set] = ClassSet() }
        for (number, sets) in members.enumerated() {
            for index in sets { self.sets[distinct[index]]?.insert(number) }
        }
    }

    func classes(of set: ScalarSet) -> ClassSet { sets[set] ?? ClassSet() }

    /// The best to read of the samples.
    func sample(of set: ClassSet) -> UInt32 {
        let chosen = samples.indices.lazy.filter { set.contains($0) }.map { samples[$0] }
        return ScalarSet(chosen.map { $0...$0 }).sample ?? 0x61
    }
}
