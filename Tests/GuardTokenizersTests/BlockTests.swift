import Foundation
import GuardTesting
import Testing

@testable import GuardTokenizers

/// Pieces found 64 bytes at a time against pieces found one by one.
@Suite struct BlockTests {
    private static let patterns = PieceScanner.known.filter { $0.scanner.family != .gpt2 }.map(\.pattern)

    /// What `BytePairModel` does: blocks where they are certain, single pieces where not.
    private func blockwise(_ scanner: PieceScanner, _ text: [UInt8]) -> (ends: [Int], ofBlocks: Int) {
        var ends: [Int] = []
        var ofBlocks = 0
        var padded = [UInt8](repeating: 0, count: PieceScanner.blockBytes)
        text.withUnsafeBufferPointer { buffer in
            padded.withUnsafeMutableBufferPointer { padded in
                guard let base = buffer.baseAddress, let room = padded.baseAddress else { return }
                var at = 0
                while at < buffer.count {
                    var bits =
                        scanner.family == .cased
                        ? scanner.boundaries(base, at, buffer.count, isCased: true, .shared, room)
                        : scanner.boundaries(base, at, buffer.count, isCased: false, .shared, room)
                    if bits == 0 {
                        at = scanner.next(base, at, buffer.count, .shared)
                        ends.append(at)
                        continue
                    }
                    let start = at
                    while bits != 0 {
                        at = start + bits.trailingZeroBitCount
                        bits &= bits - 1
                        ends.append(at)
                        ofBlocks += 1
                    }
                }
            }
        }
        return (ends, ofBlocks)
    }

    private func oneByOne(_ scanner: PieceScanner, _ text: [UInt8]) -> [Int] {
        var ends: [Int] = []
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var at = 0
            while at < buffer.count {
                at = scanner.next(base, at, buffer.count, .shared)
                ends.append(at)
            }
        }
        return ends
    }

    private static let parts = [
        "the", " quick", "Brown", "ABCd", "ABC", "a", "Z", "中文", "中文ABC", "'s", "'", "''", "'ll", "'LL", "'ſ", "x's's", "x'sS",
        "o'clock", "’re", " ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "\n  \n", "\n\t\tx", ".\n", ".\n\n  ",
        ".\n/", "//\n\n/", "/", "1", "22", "333", "4444", "55555", "1234567", "²", "Ⅷ", "٣", "!", "...", "(", " (", "(foo", "\tfoo",
        " -", "--", "“", "“x", "—", "é", "É", "eÉa", "e\u{301}", "\u{301}", "한글", "日本語、", "。", "🙂", "👍🏽", "\u{a0}", "\u{3000}",
        "\u{2028}", "▁", "ʰ", "ſ", "ǅ", "؟", "हिन्दी", "ไทย", "𝒳", "\u{200d}", "-", "Ä", "ß", "Привет", "МИР", "naïve ", "_x", "\u{0}",
        "\u{b}", "\u{1c}x", "{\"a\": \"b\"}",
    ]

    @Test(arguments: patterns) func blocksEqualPieces(_ pattern: String) throws {
        let scanner = try #require(PieceScanner.named(by: pattern))
        var random = SeededRandom(seed: 41)
        var ofBlocks = 0
        var all = 0
        let rounds = ProcessInfo.processInfo.environment["GUARD_BLOCK_ROUNDS"].flatMap(Int.init) ?? 4000
        for round in 0..<rounds {
            var text: [UInt8] = []
            let isNoisy = round % 4 == 0
            for _ in 0..<Int.random(in: 1...(round % 2 == 0 ? 60 : 12), using: &random) {
                text += Array(Self.parts[Int.random(in: 0..<Self.parts.count, using: &random)].utf8)
                if isNoisy && Int.random(in: 0..<8, using: &random) == 0 {
                    text.append(UInt8.random(in: 0...255, using: &random))
                }
            }
            let (ends, found) = blockwise(scanner, text)
            let want = oneByOne(scanner, text)
            ofBlocks += found
            all += want.count
            guard ends == want else {
                #expect(ends == want, "\(String(decoding: text, as: UTF8.self).debugDescription)")
                return
            }
        }
        #expect(ofBlocks * 2 > all, "blocks decide most pieces")
    }

    /// ASCII only, where every byte is a class of its own: all texts of few characters around the end of a block.
    @Test(arguments: patterns) func shortTextsEverywhere(_ pattern: String) throws {
        let scanner = try #require(PieceScanner.named(by: pattern))
        let alphabet = Array("aA1 \n\t.'/s".utf8)
        var random = SeededRandom(seed: 42)
        for length in 1...4 {
            var digits = [Int](repeating: 0, count: length)
            repeat {
                let core = digits.map { alphabet[$0] }
                for front in [0, 61, 62, 63] where front == 0 || Int.random(in: 0..<8, using: &random) == 0 {
                    let text = [UInt8](repeating: UInt8(ascii: "."), count: front > 0 ? front - 1 : 0)
                        + (front > 0 ? [UInt8(ascii: "b")] : []) + core
                    #expect(blockwise(scanner, text).ends == oneByOne(scanner, text), "\(text)")
                }
                var place = 0
                while place < length {
                    digits[place] += 1
                    if digits[place] < alphabet.count { break }
                    digits[place] = 0
                    place += 1
                }
                if place == length { break }
            } while true
        }
    }

    @Test(.enabled(if: TestData.hasShared), arguments: patterns) func corpusInBlocks(_ pattern: String) throws {
        let scanner = try #require(PieceScanner.named(by: pattern))
        let corpus = try FileHandle(forReadingFrom: TestData.sharedFile("tokenizers/corpus.txt"))
        let size = ProcessInfo.processInfo.environment["GUARD_BLOCK_ROUNDS"] == nil ? 600_000 : 8_000_000
        let text = [UInt8](try corpus.read(upToCount: size) ?? Data())
        let (ends, ofBlocks) = blockwise(scanner, text)
        #expect(ends == oneByOne(scanner, text))
        #expect(ofBlocks * 10 > ends.count * 8)
    }
}
