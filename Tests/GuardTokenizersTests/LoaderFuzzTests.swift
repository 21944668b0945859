import Foundation
import GuardCore
import GuardJSON
import GuardTesting
import Testing

@testable import GuardTokenizers

/// Seeded mutations of valid files of every format: an error with a message, or a tokenizer that encodes; never a crash, a
/// hang or gigabytes. `GUARD_FUZZ_ROUNDS=30000` for a thorough run, in a release build.
@Suite struct LoaderFuzzTests {
    private static let rounds = ProcessInfo.processInfo.environment["GUARD_FUZZ_ROUNDS"].flatMap(Int.init) ?? 1000
    private static let text = Array("ab abc<x>[x] cab 12é🙂 <s>word</w>\n".utf8)
    /// What one file may take; measured are milliseconds.
    private static let slowest = Duration.seconds(10)

    private static let formats = [
        "json", "sentencepiece", "tiktoken", "tekken", "unigram", "unigram-model", "wordpiece", "gguf-llama", "gguf-gpt2",
        "gguf-bert", "gguf-t5", "configuration", "pieces",
    ]

    private func files(_ format: String) throws -> [[UInt8]] {
        switch format {
        case "pieces":
            let lines = [UInt8](try Data(contentsOf: TestFiles.fixture("pieces.jsonl"))).split(separator: 0x0A).dropFirst()
            return try lines.map { line in
                let node = try JSONDocument(Array(line)).root["tokenizer"]
                return Array(try #require(node).rawBytes)
            }
        default: return [try file(format)]
        }
    }

    private func file(_ format: String) throws -> [UInt8] {
        switch format {
        case "json":
            return SmallFiles.json(
                added: SmallFiles.added(9, "<x>", "special", "rstrip"),
                normalizer: #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#,
                postProcessor: SmallFiles.template(prefix: [9]))
        case "sentencepiece": return SmallFiles.model(SmallFiles.modelPieces, byteFallback: true, dummyPrefix: true)
        case "tiktoken": return SmallFiles.tiktoken
        case "unigram-model":
            return SmallFiles.model(
                SmallFiles.modelPieces, dummyPrefix: true, removesExtraSpaces: true, type: 1,
                charsmap: SmallFiles.charsmap)
        case "unigram":
            return Array(
                """
                {"added_tokens": [\(SmallFiles.added(5, "<x>", "special"))], "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": "\(SmallFiles.charsmapBase64)"}, {"type": "NFKC"}]},
                "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
                "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["▁a", -1], ["b", -2], ["ab", -2.5], ["▁", -3]]}}
                """.utf8)
        case "wordpiece":
            return Array(
                """
                {"added_tokens": [], "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
                "post_processor": {"type": "BertProcessing", "sep": ["c", 3], "cls": ["ab", 2]},
                "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
                "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab":
                {"[UNK]": 0, "a": 1, "ab": 2, "c": 3, "##b": 4, "##bc": 5}}}
                """.utf8)
        case "gguf-llama": return try GGUFWriter.sentencePiece(SmallFiles.model(SmallFiles.modelPieces))
        case "gguf-gpt2":
            let json = SmallFiles.json(
                vocabulary: ["<unk>", "a", "b", "c", "Ġ", "ab", "abc", "1", "2"], added: SmallFiles.added(9, "<x>", "special"))
            return try GGUFWriter.byteLevel(json, pre: "llama-bpe")
        case "gguf-bert":
            let vocab = ###"{"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "ab": 4, "##b": 5, "##bc": 6}"###
            return try GGUFWriter.wordPiece(Array(#"{"model": {"vocab": \#(vocab)}}"#.utf8))
        case "gguf-t5":
            return try GGUFWriter.sentencePiece(SmallFiles.model(SmallFiles.modelPieces, type: 1, charsmap: SmallFiles.charsmap))
        case "configuration":
            return Array(
                #"{"bos_token": {"content": "<x>"}, "add_bos_token": true, "added_tokens_decoder": {"7": {"content": "<x>"}}}"#.utf8)
        default: return SmallFiles.tekken
        }
    }

    private static func mutated(_ valid: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = valid
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<7, using: &random) {
            case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: at)
            case 3: bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &random)], at: at)
            case 4:
                // A length that is far too large, or negative.
                let count = min([1, 4, 8].randomElement(using: &random) ?? 1, bytes.count - at)
                bytes.replaceSubrange(at..<at + count, with: repeatElement(Bool.random(using: &random) ? 0xFF : 0x7F, count: count))
            case 5:
                let end = min(bytes.count, at + Int.random(in: 1...40, using: &random))
                bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &random))
            default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<8, using: &random)))
            }
        }
        return bytes
    }

    @Test(arguments: formats) func mutatedFilesDoNotCrash(_ format: String) throws {
        let valid = try files(format)
        var random = SeededRandom(seed: 21)
        var loadedCount = 0
        var longest = Duration.zero
        let clock = ContinuousClock()
        for round in 0..<Self.rounds {
            let bytes = Self.mutated(valid[round % valid.count], &random)
            let elapsed = clock.measure {
                do throws(TokenizerError) {
                    let tokenizer = try Self.load(bytes, format)
                    loadedCount += 1
                    check(tokenizer)
                } catch {
                    #expect(!error.message.isEmpty && error.file == "x")
                }
            }
            longest = max(longest, elapsed)
        }
        print("\(format): \(Self.rounds) executions, \(loadedCount) loaded, longest \(longest)")
        #expect(longest < Self.slowest)
        #expect(loadedCount > Self.rounds / 50, "mutations that all fail to load test little")
    }

    private static func load(_ bytes: [UInt8], _ format: String) throws(TokenizerError) -> Tokenizer {
        if format == "configuration" {
            return try Tokenizer.load(bytes: SmallFiles.tiktoken, name: "x", configuration: bytes)
        }
        return try Tokenizer.load(bytes: bytes, name: "x")
    }

    private func check(_ tokenizer: Tokenizer) {
        for specials in [SpecialTokens.parseControl, .asText] {
            let ids = tokenizer.encode(Self.text, specials: specials, addSpecialTokens: true)
            #expect(tokenizer.count(Self.text, specials: specials, addSpecialTokens: true) == ids.count)
            let places = tokenizer.encodeWithOffsets(Self.text, specials: specials, addSpecialTokens: true)
            #expect(places.map(\.id) == ids)
            #expect(places.allSatisfy { $0.range.lowerBound >= 0 && $0.range.upperBound <= Self.text.count })
            _ = tokenizer.decode(ids)
        }
    }
}
