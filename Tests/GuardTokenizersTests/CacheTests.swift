import Foundation
import GuardCore
import GuardTesting
import Synchronization
import Testing

@testable import GuardTokenizers

/// What makes encoding fast: each part against what it stands for.
@Suite struct CacheTests {
    // MARK: Keys

    @Test func keyOfAPieceIsItsBytes() {
        var random = SeededRandom(seed: 31)
        for length in 1...PieceKey.lengthMax {
            for _ in 0..<50 {
                let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
                bytes.withUnsafeBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return }
                    let key = PieceKey(base, length, 32)
                    // At the end of the text no more may be read than the piece.
                    let careful = PieceKey(base, length, length)
                    #expect(key.low == careful.low && key.high == careful.high)
                    var words: (UInt64, UInt64) = (0, UInt64(length) << 56)
                    for (index, byte) in bytes[..<length].enumerated() {
                        if index < 8 {
                            words.0 |= UInt64(byte) << UInt64(8 * index)
                        } else {
                            words.1 |= UInt64(byte) << UInt64(8 * index - 64)
                        }
                    }
                    #expect(key.low == words.0 && key.high == words.1, "length \(length)")
                }
            }
        }
    }

    @Test func packedIDsComeBack() {
        let ids: [UInt32] = [0, 0x1F_FFFF, 1, 128_000, 0x10_0001]
        for count in 1...PackedIDs.countMax {
            let packed = PackedIDs(ids, count)
            #expect(packed.count == count)
            #expect((0..<count).map { packed[$0] } == Array(ids[..<count]))
        }
    }

    /// `asciiWord` gives what `next` gives, or leaves it to it; and it does find words.
    @Test(arguments: PieceScanner.known.map(\.pattern))
    func asciiWordEqualsScanner(_ pattern: String) throws {
        let scanner = try #require(PieceScanner.named(by: pattern))
        let alphabet = Array("aabcxyzAZBM  '.,(1_\n\t@`[{éß漢\u{301}".unicodeScalars)
        var random = SeededRandom(seed: 32)
        var decided = 0
        for _ in 0..<6000 {
            var view = String.UnicodeScalarView()
            while view.count < 24 {
                // Runs of letters are what it is for.
                let isRun = Int.random(in: 0...2, using: &random) == 0
                for _ in 0..<(isRun ? Int.random(in: 1...14, using: &random) : 1) {
                    let letters = isRun ? 6 : alphabet.count
                    view.append(alphabet[Int.random(in: 0..<letters, using: &random)])
                }
            }
            let text = Array(String(view).utf8)
            text.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let raw = UnsafeRawPointer(base)
                let length = scanner.asciiWord(
                    raw.loadUnaligned(as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self), .shared)
                if length == 0 { return }
                decided += 1
                #expect(length == scanner.next(base, 0, buffer.count, .shared), "\(String(view).debugDescription)")
            }
        }
        #expect(decided > 1000)
    }

    // MARK: Cache

    @Test func sizeIsBounded() { #expect(PieceCache.bytesCount <= 8 << 20) }

    @Test func findsWhatWasInserted() throws {
        let cache = try #require(PieceCache())
        let view = try #require(cache.begin())
        let piece = Array("hello, this is a long piece".utf8)
        let key = PieceKey(piece, 5, piece.count)
        #expect(view.find(key, key.hash) == nil)
        view.insert(key, key.hash, PackedIDs([7, 8], 2))
        #expect(view.find(key, key.hash)?.count == 2)
        #expect(view.find(PieceKey(piece, 6, piece.count), key.hash) == nil, "equal hash, other piece")
        #expect(view.findLong(piece, piece.count) == nil)
        view.insertLong(piece, piece.count, [1, 2, 3], 3)
        #expect(view.findLong(piece, piece.count).map(Array.init) == [1, 2, 3])
        #expect(view.findLong(Array("hello, this is a long Piece".utf8), piece.count) == nil)
        cache.end()
    }

    /// A cache full of other texts is emptied, but never while somebody reads it.
    @Test func fullCacheIsEmptiedWhenUnused() throws {
        let cache = try #require(PieceCache())
        let first = try #require(cache.begin())
        let kept = PieceKey(Array("kept".utf8), 4, 4)
        first.insert(kept, kept.hash, PackedIDs([1], 1))
        let other = PieceKey(Array("x".utf8), 1, 1)
        for _ in 0..<PieceCache.refusalsMax + PieceCache.ways { first.insert(other, kept.hash, PackedIDs([2], 1)) }
        #expect(cache.begin() == nil, "a call is at work")
        #expect(first.find(kept, kept.hash)?.count == 1)
        cache.end()
        let second = try #require(cache.begin())
        #expect(second.find(kept, kept.hash) == nil)
        cache.end()
    }

    /// Calls of many threads on one tokenizer whose cache they fill together.
    @Test(arguments: ["byte-level/tokenizer.json", "sentencepiece/tokenizer.json"])
    func threadsShareTheCache(_ file: String) throws {
        let corpus = try Data(contentsOf: TestData.fixtures.appending(path: "tools/corpus.txt"))
        let size = 3000
        let texts = (0..<min(40, corpus.count / size)).map { Array(corpus[$0 * size..<($0 + 1) * size]) }
        let alone = try TestFiles.fixtureTokenizer(file)
        let want = texts.map { alone.encode($0, addSpecialTokens: false) }
        let bytes = try TokenizerImage.bytes(of: alone)
        let shared = try Tokenizer.load(bytes: bytes, name: "shared")
        let misses = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for round in 0..<texts.count {
                let index = (round * 7 + thread * 5) % texts.count
                let ids = shared.encode(texts[index], addSpecialTokens: false)
                if ids != want[index] { misses.withLock { $0 += 1 } }
            }
        }
        #expect(misses.withLock { $0 } == 0)
    }

    // MARK: Work

    /// Texts that are one piece, or long pieces, or all of one kind.
    private static let hostile: [(name: String, parts: [String])] = {
        let repeated = ["a", " ", "\n", "ab", "the", "é", "漢", "a ", "<|", "1", ".", "etaoin", "▁", "\t", " \n", "\r\n", "\u{301}",
            "e\u{301}", "👨‍👩‍👧‍👦", "\u{200d}", "中A", "'s", "./"]
        let ranges: [(String, ClosedRange<UInt32>)] = [
            ("ideographs", 0x4E00...0x9FFF), ("kana", 0x3041...0x30FE), ("digits", 0x30...0x39), ("letters", 0x61...0x7A),
            ("letters of both cases", 0x41...0x7A), ("marks", 0x300...0x36F), ("punctuation", 0x21...0x2F),
            ("emoji", 0x1F600...0x1F64F), ("control", 0x1...0x1F),
        ]
        return repeated.map { ($0, [$0]) }
            + ranges.map { ($0.0, $0.1.compactMap { Unicode.Scalar($0).map { String($0) } }) }
    }()

    /// Comparisons and moves of merging grow as n log n, on texts of one piece as on others. Time is not asked.
    @Test(arguments: ["byte-level/tokenizer.json", "sentencepiece/tokenizer.json"])
    func workIsBounded(_ file: String) throws {
        let tokenizer = try TestFiles.fixtureTokenizer(file)
        let length = ProcessInfo.processInfo.environment["GUARD_LONG_TEXT"].flatMap(Int.init) ?? 60_000
        var random = SeededRandom(seed: 33)
        for (name, parts) in Self.hostile {
            var small: [UInt8] = []
            while small.count < length / 2 {
                small += Array(parts[Int.random(in: 0..<parts.count, using: &random)].utf8)
            }
            let large = small + small
            let half = tokenizer.countWithWork(small).work
            let (count, work) = tokenizer.countWithWork(large)
            #expect(count == tokenizer.count(large, addSpecialTokens: false))
            let levels = Int.bitWidth - large.count.leadingZeroBitCount
            #expect(work <= 6 * large.count * levels, "\(name.debugDescription): \(work)")
            // Twice the text is twice the work, and a little for the logarithm.
            #expect(work <= half * 5 / 2 + 1000, "\(name.debugDescription): \(half) then \(work)")
        }
    }
}
