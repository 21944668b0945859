import GuardMatching

/// The start tests of all entries of a plan, as rows of bits, one bit for each entry: one pass over new bytes says which
/// entries may have a new start.
///
/// A byte is looked up behind the byte before it and, where it is there, with the byte behind it, as long as all are
/// ASCII; otherwise, and for entries that have no `StartTest`, only by itself (`Pattern.startBytes`).
struct StartTable: Sendable {
    /// Of a row.
    let words: Int
    /// By byte.
    let first: [UInt64]
    /// Class of each ASCII byte: bytes that no entry's test tells apart are one.
    let classes: [UInt8]
    let classCount: Int
    /// By class of the byte before (`classCount`: the text begins) and of the first.
    let before: [UInt64]
    /// By class of the first byte and of the second.
    let second: [UInt64]
    /// Entries that have no test: for these only `first` holds.
    let untested: [UInt64]
    /// Entries for which a text that ends with a first byte is open there without a search.
    let openAtOnce: [UInt64]

    /// Entries behind these have no test: it keeps the tables small.
    static let testedMax = 512

    /// - Parameter testedMax: entries behind so many have no test.
    init(_ patterns: [Pattern], testedMax: Int = Self.testedMax) {
        let words = (patterns.count + 63) / 64
        self.words = words
        first = Self.firstRows(patterns, from: 0, words: words, into: [UInt64](repeating: 0, count: 256 * words))
        var scratch = MatchScratch()
        var tests: [StartTest?] = []
        for pattern in patterns {
            tests.append(tests.count < testedMax ? StartTest(pattern, scratch: &scratch) : nil)
        }

        var bytes = ByteClasses()
        for test in tests { if let test { bytes.refine { test.classes[Int($0)] } } }
        for pattern in patterns { bytes.split { pattern.startBytes.contains($0) } }
        classes = bytes.ids
        let count = bytes.count
        classCount = count
        let members = bytes.members
        var before = [UInt64](repeating: 0, count: (count + 1) * count * words)
        var second = [UInt64](repeating: 0, count: count * count * words)
        var openAtOnce = [UInt64](repeating: 0, count: words)
        var untested = openAtOnce
        for (index, pattern) in patterns.enumerated() {
            let word = index / 64
            let bit: UInt64 = 1 << UInt64(index % 64)
            guard let test = tests[index] else {
                untested[word] |= bit
                continue
            }
            if test.isOpenAtOnce { openAtOnce[word] |= bit }
            // The test's own classes of the plan's.
            let own = members.map { Int(test.classes[Int($0)]) } + [test.classCount]
            for one in 0..<count where pattern.startBytes.contains(members[one]) {
                for other in 0...count {
                    if test.begins(own[one], behind: own[other]) { before[(other * count + one) * words + word] |= bit }
                    if other < count, test.goesOn(own[one], own[other]) {
                        second[(one * count + other) * words + word] |= bit
                    }
                }
            }
        }
        (self.before, self.second, self.openAtOnce, self.untested) = (before, second, openAtOnce, untested)
    }

    /// With further entries, which have no test.
    init(_ table: StartTable, adding patterns: [Pattern], count: Int) {
        let words = (count + patterns.count + 63) / 64
        func widened(_ rows: [UInt64], count: Int) -> [UInt64] {
            guard words != table.words else { return rows }
            var wide = [UInt64](repeating: 0, count: count * words)
            for index in rows.indices { wide[index / table.words * words + index % table.words] = rows[index] }
            return wide
        }
        self.words = words
        (classes, classCount) = (table.classes, table.classCount)
        openAtOnce = widened(table.openAtOnce, count: 1)
        first = Self.firstRows(patterns, from: count, words: words, into: widened(table.first, count: 256))
        before = widened(table.before, count: (classCount + 1) * classCount)
        second = widened(table.second, count: classCount * classCount)
        var untested = widened(table.untested, count: 1)
        for index in count..<count + patterns.count { untested[index / 64] |= 1 << UInt64(index % 64) }
        self.untested = untested
    }

    private static func firstRows(_ patterns: [Pattern], from: Int, words: Int, into rows: [UInt64]) -> [UInt64] {
        var rows = rows
        for (index, pattern) in patterns.enumerated() {
            let entry = from + index
            for byte in 0..<256 where pattern.startBytes.contains(UInt8(byte)) {
                rows[byte * words + entry / 64] |= 1 << UInt64(entry % 64)
            }
        }
        return rows
    }
}
