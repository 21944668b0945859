import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardTokenizers

/// Texts and ids that come in pieces.
@Suite struct StreamTests {
    private static let own = ["byte-level/tokenizer.json", "byte-level-tiktoken/tokenizer.model",
        "sentencepiece/tokenizer.json", "sentencepiece/tokenizer.model"]
    private static let shared = ["llama-3.1", "gemma-2", "phi-3-mini", "phi-3-mini-v5", "qwen2.5", "gpt-2", "t5-small",
        "bert-base-uncased", "mistral-nemo"].map { $0 + "/tokenizer.json" } + ["o200k/o200k_base.tiktoken"]

    /// Words, spaces, contractions, camel case, marks, ideographs, control strings and noise.
    private static func text(_ random: inout SeededRandom) -> [UInt8] {
        let parts = ["the", " quick", "Brown", "ABCd", "中文ABC", "'s", "'", "'ll", "’re", " ", "  ", "\n", "\r\n", "\t",
            "1", "2345", "!", "...", "/", "//\n", "é", "e\u{301}", "한글", "日本語", "🙂", "👍🏽", "\u{a0}", "▁", "<|end|>", "</s>",
            "<|eot", "_id|>", "ʰ", "ſ", "؟", "𝒳", "\u{200d}", " x", "-", "<s>", "Ⅷ", "naïve "]
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 10...150, using: &random) {
            bytes += Array(parts[Int.random(in: 0..<parts.count, using: &random)].utf8)
            if Int.random(in: 0..<60, using: &random) == 0 { bytes.append(UInt8.random(in: 0x80...0xFF, using: &random)) }
        }
        return bytes
    }

    private func checkCounts(_ tokenizer: Tokenizer, runs: Int, seed: UInt64) -> Int {
        var random = SeededRandom(seed: seed)
        var pendingMax = 0
        for run in 0..<runs {
            let specials: SpecialTokens = run % 2 == 0 ? .parse : .asText
            let text = Self.text(&random)
            var growing = GrowingCount(tokenizer, specials: specials)
            var at = 0
            while at < text.count {
                let next = min(text.count, at + Int.random(in: 1...(run % 3 == 0 ? 4 : 40), using: &random))
                growing.append(Array(text[at..<next]))
                at = next
                pendingMax = max(pendingMax, growing.pendingBytes)
                guard Int.random(in: 0..<4, using: &random) == 0 || at == text.count else { continue }
                let fresh = tokenizer.count(Array(text[..<at]), specials: specials, addSpecialTokens: false)
                let message = String(decoding: text[..<at], as: UTF8.self).debugDescription
                guard growing.count == fresh else {
                    #expect(growing.count == fresh, "\(message)")
                    return pendingMax
                }
            }
        }
        return pendingMax
    }

    @Test(arguments: own) func growingCountIsAFreshCount(_ path: String) throws {
        let pending = checkCounts(try TestFiles.fixtureTokenizer(path), runs: 80, seed: 5)
        #expect(pending < 1200, "nothing was ever settled")
    }

    @Test(.enabled(if: TestData.hasShared), arguments: shared)
    func growingCountOfRealVocabularies(_ path: String) throws {
        _ = checkCounts(try TestFiles.sharedTokenizer(path), runs: 24, seed: 6)
    }

    /// A limit stops the counting of a long text only where it is certain, and else changes nothing.
    @Test(arguments: own) func limitedCount(_ path: String) throws {
        let tokenizer = try TestFiles.fixtureTokenizer(path)
        var random = SeededRandom(seed: 9)
        var text: [UInt8] = []
        while text.count < 400_000 { text += Self.text(&random) }
        for adds in [false, true] {
            let whole = tokenizer.count(text, addSpecialTokens: adds)
            for limit in [0, 1, 5000, whole / 2, whole - 1, whole, whole + 1, .max] {
                switch tokenizer.count(text, addSpecialTokens: adds, limit: limit) {
                case .exact(let count): #expect(count == whole)
                case .over(let least): #expect(least > limit && least <= whole)
                }
            }
            #expect(tokenizer.count(text, addSpecialTokens: adds, limit: whole / 2) != .exact(whole), "never stopped")
        }
    }

    /// Prose of any length leaves little to encode again.
    @Test(arguments: own) func proseIsSettled(_ path: String) throws {
        let text = [UInt8](try Data(contentsOf: TestData.fixtures.appending(path: "tools/corpus.txt"))).prefix(20_000)
        var growing = GrowingCount(try TestFiles.fixtureTokenizer(path))
        var pendingMax = 0
        for start in stride(from: 0, to: text.count, by: 7) {
            growing.append(Array(text[start..<min(start + 7, text.count)]))
            pendingMax = max(pendingMax, growing.pendingBytes)
        }
        let fresh = try TestFiles.fixtureTokenizer(path).count(Array(text), specials: .parse, addSpecialTokens: false)
        #expect(growing.count == fresh)
        #expect(pendingMax < 600)
    }

    @Test(arguments: own) func streamingDecoderEqualsDecode(_ path: String) throws {
        let tokenizer = try TestFiles.fixtureTokenizer(path)
        var random = SeededRandom(seed: 7)
        for run in 0..<150 {
            let ids =
                run % 2 == 0
                ? tokenizer.encode(Self.text(&random), addSpecialTokens: true)
                : (0..<60).map { _ in TokenID(UInt32.random(in: 0..<UInt32(tokenizer.vocabularySize + 5), using: &random)) }
            let whole = Array(String(decoding: tokenizer.decode(ids), as: UTF8.self).utf8)
            var decoder = StreamingDecoder(tokenizer)
            var text: [UInt8] = []
            var at = 0
            while at < ids.count {
                let next = min(ids.count, at + Int.random(in: 1...5, using: &random))
                text += decoder.append(Array(ids[at..<next]))
                #expect(String(validating: text, as: UTF8.self) != nil)
                at = next
            }
            text += decoder.finish()
            #expect(text == whole)
        }
    }

    @Test func repairIsThatOfStrings() {
        var random = SeededRandom(seed: 8)
        let bytes: [UInt8] = [0x41, 0x80, 0xBF, 0xC2, 0xE0, 0xA0, 0xED, 0x9F, 0xF0, 0x90, 0xF4, 0x8F, 0xFF, 0xE2, 0x96, 0x81]
        for _ in 0..<3000 {
            let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in bytes[Int.random(in: 0..<16, using: &random)] }
            var repair = UTF8Repair()
            var result: [UInt8] = []
            for byte in text { result += repair.append([byte]) }
            result += repair.finish()
            #expect(result == Array(String(decoding: text, as: UTF8.self).utf8))
        }
    }
}
