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
        list.append(Broken(bytes: Array("GGUF\u{3}".utf8), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(merges: ["a x"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(merges: ["a 1"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(merges: ["ab"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(merges: ["a b c"]), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(model: #""dropout": 0.1"#), code: .unsupported))
        list.append(Broken(bytes: SmallFiles.json(model: #""unk_token": "<none>""#), code: .malformed))
        list.append(Broken(bytes: SmallFiles.json(decoder: #"{"type": "OddDecoder"}"#), code: .unsupported))
        list.append(Broken(bytes: Array(#"{"model": {"type": "WordLevel", "vocab": {"a": 0}}}"#.utf8), code: .malformed))
        list.append(Broken(bytes: Array(#"{"model": {"type": "Unigram", "vocab": [["a", 0]]}}"#.utf8), code: .unsupported))
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

    @Test func randomBytesDoNotCrash() {
        var random = SeededRandom(seed: 22)
        for _ in 0..<2000 {
            let head: [[UInt8]] = [[], [0x0A], Array("{".utf8), Array("YQ== ".utf8), Array("GGUF\u{3}\0\0\0".utf8), [0x0A, 0x03, 0x0A, 0x01, 0x61]]
            let bytes =
                head[Int.random(in: 0..<head.count, using: &random)]
                + (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = try? SmallFiles.load(bytes)
        }
    }
}
