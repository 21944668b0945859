import GuardTesting
import Foundation
import GuardCore
import Testing

@testable import GuardTokenizers

@Suite struct PipelineTests {
    // Vocabulary of `SmallFiles.json`: <unk> 0, a 1, b 2, c 3, space 4, ab 5, abc 6, 1 7, 2 8.

    @Test func mergesLowestRankLeftmost() throws {
        let tokenizer = try SmallFiles.load(SmallFiles.json())
        #expect(tokenizer.ids("abcab") == [6, 5])
        #expect(tokenizer.ids("aab") == [1, 5])
        #expect(tokenizer.ids("xyab?") == [0, 5, 0])
        #expect(tokenizer.ids("") == [])
    }

    @Test func unknownTokensFuseOnlyIfTheFileSaysSo() throws {
        let single = try SmallFiles.load(SmallFiles.json(model: #""unk_token": "<unk>", "fuse_unk": false"#))
        #expect(single.ids("xya") == [0, 0, 1])
        let none = try SmallFiles.load(SmallFiles.json(model: #""unk_token": null"#))
        #expect(none.ids("xya") == [1])
    }

    @Test func addedTokenFlags() throws {
        let tokenizer = try SmallFiles.load(
            SmallFiles.json(
                added: [
                    SmallFiles.added(10, "<l>", "lstrip", "special"), SmallFiles.added(11, "<r>", "rstrip"),
                    SmallFiles.added(12, "word", "single_word"), SmallFiles.added(13, "<r><r>"),
                ].joined(separator: ", ")))
        #expect(tokenizer.ids("a \u{2003}\n<l> b") == [1, 10, 4, 2])
        #expect(tokenizer.ids("a<r> \u{A0}\t b") == [1, 11, 2])
        #expect(tokenizer.ids("word a word.aword") == [12, 4, 1, 4, 12, 0, 1, 0])
        #expect(tokenizer.ids("<r><r><r>") == [13, 11], "the longest one wins")
        #expect(tokenizer.ids("<l><r>", .asText) == [0, 11], "only special tokens become text")
        #expect(tokenizer.vocabularySize == 14)
    }

    @Test func postProcessorAddsItsTokens() throws {
        let tokenizer = try SmallFiles.load(
            SmallFiles.json(
                postProcessor: """
                    {"type": "Sequence", "processors": [
                        {"type": "ByteLevel"}, \(SmallFiles.template(prefix: [7, 8], suffix: [3]))]}
                    """))
        #expect(tokenizer.ids("a", adding: true) == [7, 8, 1, 3])
        #expect(tokenizer.ids("a") == [1])
        #expect(tokenizer.count([], addSpecialTokens: true) == 3)
    }

    @Test(
        arguments: [
            ("Removed", [1, 2]), ("Isolated", [1, 4, 4, 2]), ("MergedWithPrevious", [1, 4, 4, 2]),
            ("Contiguous", [1, 4, 4, 2]),
        ] as [(String, [UInt32])])
    func splitBehaviours(_ behavior: String, _ want: [UInt32]) throws {
        let tokenizer = try SmallFiles.load(
            SmallFiles.json(
                preTokenizer: #"{"type": "Split", "pattern": {"String": " "}, "behavior": "\#(behavior)"}"#))
        #expect(tokenizer.ids("a  b") == want)
    }

    /// Where the split falls decides what can merge.
    @Test func splitsDecideMerges() throws {
        func ids(_ behavior: String, _ inverted: Bool, _ text: String) throws -> [UInt32] {
            try SmallFiles.load(
                SmallFiles.json(
                    vocabulary: ["a", "-", "a-", "-a", "--"], merges: ["a -", "- a", "- -"],
                    preTokenizer:
                        #"{"type": "Split", "pattern": {"Regex": "-"}, "behavior": "\#(behavior)", "invert": \#(inverted)}"#
                )
            ).ids(text)
        }
        #expect(try ids("MergedWithPrevious", false, "a--a") == [2, 1, 0])
        #expect(try ids("MergedWithNext", false, "a--a") == [0, 1, 3])
        #expect(try ids("Contiguous", false, "a--a") == [0, 4, 0])
        #expect(try ids("Isolated", false, "a--a") == [0, 1, 1, 0])
        #expect(try ids("Removed", true, "a--a") == [1, 1])
    }

    @Test func unusualPatternRunsInTheGeneralEngine() throws {
        let tokenizer = try SmallFiles.load(
            SmallFiles.json(
                preTokenizer: #"{"type": "Split", "pattern": {"Regex": "ab(?=c)"}, "behavior": "Isolated"}"#))
        #expect(tokenizer.ids("abcab") == [5, 3, 5])
        #expect(tokenizer.encode([0x61, 0xFF, 0x62], addSpecialTokens: false).map(\.value) == [1, 0, 2])
    }

    @Test func metaspacePrependsOnceOrAlways() throws {
        func load(_ scheme: String) throws -> Tokenizer {
            try SmallFiles.load(
                SmallFiles.json(
                    vocabulary: ["▁", "a", "▁a"], merges: ["▁ a"], added: SmallFiles.added(3, "<x>"),
                    preTokenizer:
                        #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "\#(scheme)", "split": true}"#,
                    decoder: #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "\#(scheme)"}"#))
        }
        #expect(try load("always").ids("a a<x>a") == [2, 2, 3, 2])
        #expect(try load("first").ids("a a<x>a") == [2, 2, 3, 1])
        #expect(try load("never").ids("a a<x>a") == [1, 2, 3, 1])
        #expect(try load("always").ids("▁a a") == [2, 2], "a space that is there already is not doubled")
        let ids = try load("always").encode(Array("a a".utf8), addSpecialTokens: false)
        #expect(try load("always").decode(ids) == Array("a a".utf8))
    }

    @Test func normalizationFormC() throws {
        let tokenizer = try SmallFiles.load(
            SmallFiles.json(vocabulary: ["é", "e", "\u{301}"], merges: [], normalizer: #"{"type": "NFC"}"#))
        #expect(tokenizer.ids("e\u{301}é") == [0, 0])
    }

    // MARK: SentencePiece

    // Pieces of `SmallFiles.modelPieces`: <unk> 0, <s> 1, </s> 2, [x] 3, ▁a 4, bc 5, ▁abc 6, ▁ 7, a 8, b 9, c 10.

    @Test func sentencePieceMergesByScore() throws {
        let tokenizer = try SmallFiles.load(SmallFiles.model(SmallFiles.modelPieces, dummyPrefix: true))
        #expect(tokenizer.ids("abc") == [6])
        #expect(tokenizer.ids("ab[x]a") == [4, 9, 3, 8], "user-defined pieces are cut out, without a new prefix")
        #expect(tokenizer.ids("a??") == [4, 0], "unknown characters are one piece")
        #expect(tokenizer.ids("<s>a").first == 7, "control pieces are text")
        #expect(tokenizer.ids("<s>a", .parseControl) == [1, 4])
        #expect(tokenizer.ids("a", adding: true) == [1, 4])
        #expect(tokenizer.bosToken == "<s>" && tokenizer.eosToken == "</s>")
        #expect(tokenizer.decode([1, 6, 0].map { TokenID($0) }) == Array("abc \u{2047} ".utf8))
    }

    @Test func sentencePieceEqualScoresMergeLeftmost() throws {
        let pieces = [
            SmallFiles.Piece(text: "<unk>", kind: 2), SmallFiles.Piece(text: "bc", score: -1),
            SmallFiles.Piece(text: "ab", score: -1), SmallFiles.Piece(text: "a", score: -2),
            SmallFiles.Piece(text: "b", score: -2), SmallFiles.Piece(text: "c", score: -2),
        ]
        #expect(try SmallFiles.load(SmallFiles.model(pieces)).ids("abc") == [2, 5])
    }

    @Test func sentencePieceMergesCharactersThatAreNoPieces() throws {
        let pieces = [
            SmallFiles.Piece(text: "<unk>", kind: 2), SmallFiles.Piece(text: "xy", score: -1),
            SmallFiles.Piece(text: "a", score: -2),
        ]
        let tokenizer = try SmallFiles.load(SmallFiles.model(pieces))
        #expect(tokenizer.ids("axya") == [2, 1, 2])
        #expect(tokenizer.ids("axxzya") == [2, 0, 2])
        #expect(tokenizer.vocabularySize == 3)
    }

    @Test func sentencePieceByteFallback() throws {
        let bytes = (0..<256).map { SmallFiles.Piece(text: String(format: "<0x%02X>", $0), kind: 6) }
        let pieces = [SmallFiles.Piece(text: "<unk>", kind: 2), SmallFiles.Piece(text: "ab", score: -1)] + bytes
        let tokenizer = try SmallFiles.load(SmallFiles.model(pieces, byteFallback: true))
        #expect(tokenizer.ids("abé") == [1, 2 + 0xC3, 2 + 0xA9])
        #expect(tokenizer.ids("ba") == [2 + 0x62, 2 + 0x61], "parts of pieces that are no pieces themselves")
        #expect(tokenizer.decode([TokenID(2 + 0xC3), TokenID(2 + 0xA9)]) == Array("é".utf8))
    }

    @Test func sentencePieceRemovesExtraSpaces() throws {
        let tokenizer = try SmallFiles.load(
            SmallFiles.model(SmallFiles.modelPieces, dummyPrefix: true, removesExtraSpaces: true))
        #expect(tokenizer.ids("  a   a  ") == [4, 4])
        #expect(tokenizer.ids("   ") == [])
    }

    // MARK: All

    @Test func decodeSkipsSpecialTokensIfAsked() throws {
        let tokenizer = try TestFiles.fixtureTokenizer("byte-level/tokenizer.json")
        let text = Array("<|start|>user\nh\u{e9}llo 🙂<|end|>".utf8)
        let ids = tokenizer.encode(text, addSpecialTokens: true)
        #expect(tokenizer.decode(ids) == Array("<|bos|>".utf8) + text)
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == Array("user\nh\u{e9}llo 🙂".utf8))
        #expect(tokenizer.decode([TokenID(4_000_000_000)]) == [])
        #expect(tokenizer.isSpecial(ids[0]) && !tokenizer.isSpecial(ids[2]))
    }

    /// Ill-formed text is not refused: a count must exist for whatever a byte-level prompt holds.
    @Test(arguments: ["byte-level/tokenizer.json", "sentencepiece/tokenizer.json", "sentencepiece/tokenizer.model"])
    func illFormedTextRoundTrips(_ name: String) throws {
        let tokenizer = try TestFiles.fixtureTokenizer(name)
        var random = SeededRandom(seed: 31)
        for _ in 0..<300 {
            let text = (0..<Int.random(in: 1...50, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let ids = tokenizer.encode(text, specials: .asText, addSpecialTokens: false)
            #expect(tokenizer.decode(ids) == text)
            #expect(tokenizer.count(text, specials: .asText, addSpecialTokens: false) == ids.count)
        }
    }

    @Test func isSharedByThreads() async throws {
        let tokenizer = try Tokenizer.load(path: TestFiles.fixture("sentencepiece").path)
        let text = Array("Counting is done with the tokenizer of the served model.".utf8)
        let counts = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<50).reduce(0) { sum, _ in sum + tokenizer.count(text, addSpecialTokens: true) } }
            }
            return await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(counts == [tokenizer.encode(text, addSpecialTokens: true).count * 50])
    }
}
