import Foundation

/// How many inputs tests compare that judge the same text in two ways: prefilter on and off, JIT and interpreter, whole
/// and streamed, cache on and off. 20,000 for each pair; `GUARD_ROUNDS=1000000 swift test -c release` by hand.
package enum Comparisons {
    package static let wanted = ProcessInfo.processInfo.environment["GUARD_ROUNDS"].flatMap(Int.init) ?? 20_000

    /// The part of one test where several share a pair: those of random patterns cost least and have most.
    package static func share(_ part: Double) -> Int { Int((Double(wanted) * part).rounded(.up)) }
}

/// Texts to compare on: of those given and of the shared corpus, whole and cut, put together, with bytes of interest
/// between.
package struct MutatedTexts {
    /// What mutations are made of.
    package private(set) var seeds: [[UInt8]]

    private static let odd = [
        "ſ", "\u{212A}", "é", "-", "0", "@", "\r\n", "ﬁ", "Ａ", "\u{200B}", "=", "\"", "\u{E0041}", " ", ":", "\n",
    ].map { Array($0.utf8) }

    package init(_ texts: [[UInt8]], withCorpus: Bool = true) throws {
        seeds = texts
        guard withCorpus, TestData.hasShared else { return }
        let corpus = try Data(contentsOf: TestData.sharedFile("tokenizers/corpus.txt")).prefix(400_000)
        for start in stride(from: 0, to: corpus.count - 200, by: 2000) {
            let piece = corpus[corpus.startIndex + start..<corpus.startIndex + start + 200]
            seeds.append(Array(String(decoding: piece, as: UTF8.self).utf8))
        }
    }

    /// Valid UTF-8, of up to `largest` bytes for each of its pieces.
    package func next(_ random: inout SeededRandom, pieces: ClosedRange<Int> = 1...3, largest: Int = .max) -> [UInt8] {
        var text: [UInt8] = []
        for _ in 0..<Int.random(in: pieces, using: &random) {
            guard let seed = seeds.randomElement(using: &random), !seed.isEmpty else { continue }
            var range = 0..<seed.count
            if Bool.random(using: &random) {
                let start = Int.random(in: range, using: &random)
                range =
                    start..<(Bool.random(using: &random)
                    ? seed.count : Int.random(in: start...seed.count, using: &random))
            }
            text += seed[range].prefix(largest)
            if Bool.random(using: &random) { text += Self.odd.randomElement(using: &random) ?? [] }
        }
        return Array(String(decoding: text, as: UTF8.self).utf8)
    }
}
