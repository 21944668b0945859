import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardTokenizers

@Suite struct LoadingTests {
    @Test func formatIsChosenByContent() throws {
        #expect(try SmallFiles.load(SmallFiles.json()).format == .tokenizerJSON)
        #expect(try SmallFiles.load(SmallFiles.model(SmallFiles.modelPieces)).format == .sentencePiece)
        #expect(try SmallFiles.load(SmallFiles.tiktoken).format == .tiktoken)
        #expect(try SmallFiles.load(SmallFiles.tekken).format == .tekken)
    }

    @Test func folderPrefersTokenizerJSON() throws {
        let folder = TestFiles.fixture("sentencepiece").path
        let tokenizer = try Tokenizer.load(path: folder)
        #expect(tokenizer.format == .tokenizerJSON)
        #expect(tokenizer.source == folder + "/tokenizer.json")
        #expect(tokenizer.bosToken == "<s>" && tokenizer.eosToken == "</s>")
        #expect(tokenizer.vocabularySize == 1600 && tokenizer.estimatedWhy == nil)
        #expect(try Tokenizer.load(path: TestFiles.fixture("byte-level-tiktoken").path).format == .tiktoken)
    }

    @Test func hashIsOfTheFile() throws {
        // Of `sha256sum`.
        let tokenizer = try SmallFiles.load(SmallFiles.tiktoken)
        #expect(tokenizer.hash == "efa66a1f402dc42b6fd0fee4fc3dd0d4affa38c7283efff42b70d0317bd281a1")
    }

    @Test func unknownRankFileIsAnEstimate() throws {
        #expect(try SmallFiles.load(SmallFiles.tiktoken).estimatedWhy != nil)
    }

    static let broken: [Broken] = {
        var list: [Broken] = []
        list.append(Broken(bytes: [], code: .unknownFormat))
        list.append(Broken(bytes: Array("hello".utf8), code: .unknownFormat))
        list.append(Broken(bytes: Array("{".utf8), code: .malformed))
        list.append(Broken(bytes: Array("{}".utf8), code: .malformed))
        list.append(Broken(bytes: Array("GGUF\u{3}".utf8), code: .unsupported))
        list.append(Broken(bytes: SmallFiles.json(merges: ["a x"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(merges: ["a 1"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(merges: ["ab"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(merges: ["a b c"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(model: #""dropout": 0.1"#), code: .unsupported))
        list.append(Broken(bytes: SmallFiles.json(model: #""end_of_word_suffix": "</w>""#), code: .unsupported))
        list.append(Broken(bytes: SmallFiles.json(normalizer: #"{"type": "Uppercase"}"#), code: .unsupported))
        list.append(Broken(bytes: SmallFiles.json(preTokenizer: #"{"type": "OddPreTokenizer"}"#), code: .unsupported))
        list.append(
            Broken(
                bytes: SmallFiles.json(
                    preTokenizer: #"{"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"}"#),
                code: .unsupported))
        list.append(
            Broken(
                bytes: SmallFiles.json(
                    preTokenizer: #"{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Odd"}"#), code: .malformed
            ))
        list.append(
            Broken(
                bytes: SmallFiles.json(postProcessor: #"{"type": "TemplateProcessing", "single": []}"#),
                code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(added: #"{"id": 4294967296, "content": "x"}"#), code: .malformed))
        list.append(
            Broken(
                bytes: SmallFiles.json(added: SmallFiles.added(9, String(repeating: "x", count: 2000))),
                code: .limitExceeded))
        list.append(Broken(bytes: Array(#"{"model": {"type": "Unigram"}}"#.utf8), code: .malformed))
        list.append(
            Broken(
                bytes: Array(#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}}"#.utf8),
                code: .malformed))
        list.append(
            Broken(
                bytes: Array(#"{"model": {"type": "BPE", "vocab": {"a": 2000000}, "merges": []}}"#.utf8),
                code: .malformed))
        list.append(
            Broken(
                bytes: Array(#"{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}"#.utf8), code: .malformed))
        list.append(Broken(bytes: SmallFiles.model(SmallFiles.modelPieces, type: 3), code: .unsupported))
        list.append(Broken(bytes: SmallFiles.model(SmallFiles.modelPieces, charsmap: [1, 2, 3]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.model([SmallFiles.Piece(text: "x", kind: 9)]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.model([SmallFiles.Piece(text: "<0xZZ>", kind: 6)]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.model([SmallFiles.Piece(text: "x", score: .nan)]), code: .malformed))
        list.append(
            Broken(
                bytes: SmallFiles.field(1, SmallFiles.field(1, [0x61])) + [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07],
                code: .malformed))
        list.append(
            Broken(
                bytes: SmallFiles.model(SmallFiles.modelPieces, charsmap: [0xFF, 0xFF, 0xFF, 0x7F, 1, 2, 3, 4]),
                code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(normalizer: #"{"type": "Precompiled", "precompiled_charsmap": "////fw=="}"#), code: .malformed))
        list.append(Broken(bytes: Array(#"{"model": {"type": "Unigram", "vocab": [["a"]]}}"#.utf8), code: .malformed))
        list.append(Broken(bytes: Array(#"{"model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", 0]]}}"#.utf8), code: .malformed))
        list.append(Broken(bytes: Array(#"{"model": {"type": "WordPiece", "vocab": {"a": 0}}}"#.utf8), code: .malformed))
        list.append(Broken(bytes: Array("YQ== 0\nYg== 0\n".utf8), code: .malformed))
        list.append(Broken(bytes: Array("YQ== 0\nYg==\n".utf8), code: .malformed))
        list.append(Broken(bytes: Array("YQ== 0\nYg== 99999999\n".utf8), code: .limitExceeded))
        return list
    }()

    struct Broken {
        var bytes: [UInt8]
        var code: TokenizerError.Code
    }

    @Test(arguments: broken)
    func brokenFileIsAClearError(_ file: Broken) {
        do {
            _ = try SmallFiles.load(file.bytes)
            Issue.record("loaded")
        } catch let error as TokenizerError {
            #expect(error.code == file.code, "\(error)")
            #expect(error.file == "small" && !error.message.isEmpty)
        } catch {
            Issue.record(error)
        }
    }

    @Test func missingFileNamesItself() {
        #expect(throws: TokenizerError(.unreadable, file: "/nowhere/x.json", "No such file or directory")) {
            try Tokenizer.load(path: "/nowhere/x.json")
        }
    }

    /// Seeded mutations of one valid file of each format: an error or a tokenizer that encodes, never a crash.
    @Test(arguments: ["json", "sentencepiece", "tiktoken", "tekken", "unigram", "unigram-model", "wordpiece"])
    func mutatedFilesDoNotCrash(_ format: String) throws {
        let valid =
            switch format {
            case "json":
                SmallFiles.json(
                    added: SmallFiles.added(9, "<x>", "special", "rstrip"),
                    normalizer: #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#,
                    postProcessor: SmallFiles.template(prefix: [9]))
            case "sentencepiece": SmallFiles.model(SmallFiles.modelPieces, byteFallback: true, dummyPrefix: true)
            case "tiktoken": SmallFiles.tiktoken
            case "unigram-model":
                SmallFiles.model(
                    SmallFiles.modelPieces, dummyPrefix: true, removesExtraSpaces: true, type: 1,
                    charsmap: SmallFiles.charsmap)
            case "unigram":
                Array(
                    """
                    {"added_tokens": [\(SmallFiles.added(5, "<x>", "special"))], "normalizer": {"type": "Sequence", "normalizers": [
                    {"type": "Precompiled", "precompiled_charsmap": "\(SmallFiles.charsmapBase64)"}, {"type": "NFKC"}]},
                    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
                    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["▁a", -1], ["b", -2], ["ab", -2.5], ["▁", -3]]}}
                    """.utf8)
            case "wordpiece":
                Array(
                    """
                    {"added_tokens": [], "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
                    "post_processor": {"type": "BertProcessing", "sep": ["c", 3], "cls": ["ab", 2]},
                    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
                    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab":
                    {"[UNK]": 0, "a": 1, "ab": 2, "c": 3, "##b": 4, "##bc": 5}}}
                    """.utf8)
            default: SmallFiles.tekken
            }
        let text = Array("ab abc<x>[x] cab 12é🙂".utf8)
        var random = SeededRandom(seed: 21)
        var loadedCount = 0
        for _ in 0..<1500 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2: bytes.remove(at: at)
                case 3: bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &random)], at: at)
                default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<8, using: &random)))
                }
            }
            guard let tokenizer = try? SmallFiles.load(bytes) else { continue }
            loadedCount += 1
            let ids = tokenizer.encode(text, specials: .parseControl, addSpecialTokens: true)
            #expect(tokenizer.count(text, specials: .parseControl, addSpecialTokens: true) == ids.count)
            _ = tokenizer.decode(ids)
        }
        #expect(loadedCount > 50, "mutations that all fail to load test little")
    }

    @Test func randomBytesDoNotCrash() {
        var random = SeededRandom(seed: 22)
        for _ in 0..<2000 {
            let head: [[UInt8]] = [[], [0x0A], Array("{".utf8), Array("YQ== ".utf8), [0x0A, 0x03, 0x0A, 0x01, 0x61]]
            let bytes =
                head[Int.random(in: 0..<head.count, using: &random)]
                + (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = try? SmallFiles.load(bytes)
        }
    }
}
