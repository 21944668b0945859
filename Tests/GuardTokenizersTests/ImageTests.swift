import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardTokenizers

/// Compiled images: the same tokenizer, or a clear error.
@Suite struct ImageTests {
    @Test(
        arguments: [
            ("byte-level/tokenizer.json", "byte-level/vectors.jsonl"),
            ("byte-level-tiktoken/tokenizer.model", "byte-level-tiktoken/vectors.jsonl"),
            ("sentencepiece/tokenizer.json", "sentencepiece/vectors.jsonl"),
            ("sentencepiece/tokenizer.model", "sentencepiece/vectors-model.jsonl"),
        ])
    func ownTokenizers(_ file: String, _ vectors: String) throws {
        try compare(try TestFiles.fixtureTokenizer(file), try VectorRow.read(TestFiles.fixture(vectors)))
    }

    @Test(
        .enabled(if: TestData.hasShared),
        arguments: [
            ("llama-3.1/tokenizer.json", "llama-3.1"), ("llama-3.1/tokenizer.model", "llama-3.1"),
            ("gemma-2/tokenizer.json", "gemma-2"), ("phi-3-mini/tokenizer.json", "phi-3-mini"),
            ("qwen2.5/tokenizer.json", "qwen2.5"), ("mistral-nemo/tekken.json", ""),
        ])
    func sharedTokenizers(_ file: String, _ vectors: String) throws {
        let rows =
            vectors.isEmpty ? [] : try VectorRow.read(TestData.sharedFile("tokenizers/vectors/\(vectors).jsonl"))
        try compare(try TestFiles.sharedTokenizer(file), rows)
    }

    private func compare(_ original: Tokenizer, _ rows: [VectorRow]) throws {
        let image = try Tokenizer.load(bytes: try TokenizerImage.bytes(of: original), name: "image")
        try compare(image, with: original, rows)
    }

    private func compare(_ image: Tokenizer, with original: Tokenizer, _ rows: [VectorRow]) throws {
        #expect(image.hash == original.hash && image.format == original.format)
        #expect(image.vocabularySize == original.vocabularySize && image.estimatedWhy == original.estimatedWhy)
        #expect(image.bosToken == original.bosToken && image.eosToken == original.eosToken)
        // A long text is the same for the whole pipeline, and most rows are short.
        for row in rows where row.text.count < 4000 {
            for specials in [SpecialTokens.parse, .asText, .parseControl] {
                let got = image.encode(row.text, specials: specials, addSpecialTokens: true)
                #expect(got == original.encode(row.text, specials: specials, addSpecialTokens: true), "row \(row.id)")
                #expect(image.count(row.text, specials: specials, addSpecialTokens: true) == got.count)
                #expect(image.decode(got) == original.decode(got))
            }
        }
    }

    @Test func fileIsMapped() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString).image").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let original = try TestFiles.fixtureTokenizer("byte-level/tokenizer.json")
        try TokenizerImage.write(original, to: path)
        // Writing again replaces the file; what is mapped stays valid.
        let first = try Tokenizer.load(path: path)
        try TokenizerImage.write(first, to: path)
        let text = Array("The quick brown fox, 42 times.\n".utf8)
        let want = original.encode(text, addSpecialTokens: true)
        #expect(first.encode(text, addSpecialTokens: true) == want)
        #expect(try Tokenizer.load(path: path).encode(text, addSpecialTokens: true) == want)
        #expect(first.source == path && first.hash == original.hash)
    }

    // MARK: Images of the source file

    /// Kinds of models whose tables have no form in an image are kept as the file that they came from.
    @Test(
        arguments: [
            ("unigram/tokenizer.json", "unigram/vectors.jsonl"), ("unigram/tokenizer.model", "unigram/vectors-model.jsonl"),
        ])
    func otherModels(_ file: String, _ vectors: String) throws {
        let path = TestFiles.fixture(file).path
        let source = try ModelSource.load(path: path, keepsVocabulary: true)
        let bytes = try TokenizerImage.bytes(of: source)
        let image = try Tokenizer.load(bytes: bytes, name: "image")
        try compare(image, with: source.tokenizer, try VectorRow.read(TestFiles.fixture(vectors)))
        #expect(bytes.count < source.files[0].bytesCount + 4096)
    }

    @Test func filesAreKept() throws {
        let folder = TestFiles.fixture("byte-level").path
        let source = try ModelSource.load(path: folder, keepsVocabulary: true)
        #expect(source.files.map(\.role) == [.vocabulary, .configuration])
        let memory = try ImageMemory(try TokenizerImage.bytes(of: source))
        let image = try TokenizerImage.source(memory, name: "x.gtok")
        #expect(image.container == .image(version: TokenizerImage.version) && image.hasTemplates && image.isMapped)
        // The vocabulary is named, not kept: its tables are.
        #expect(image.files.map(\.sha256) == source.files.map(\.sha256))
        #expect(image.file(.vocabulary)?.content == nil && image.file(.vocabulary)?.bytesCount == source.files[0].bytesCount)
        #expect(image.file(.configuration)?.content == source.file(.configuration)?.content)
        #expect(image.tokenizer.hash == source.files[0].sha256)
    }

    // MARK: Bad images

    /// A whole image in a few hundred bytes: WordPiece, kept as its source.
    private func smallImage() throws -> [UInt8] {
        let json = Array(
            """
            {"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "vocab": {"[UNK]": 0, "a": 1, "##b": 2, "c": 3}}}
            """.utf8)
        let folder = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(json).write(to: folder.appending(path: "tokenizer.json"))
        try Data("{{ bos_token }}{{ messages }}".utf8).write(to: folder.appending(path: "chat_template.jinja"))
        let source = try ModelSource.load(path: folder.path, keepsVocabulary: true)
        #expect(source.files.map(\.role) == [.vocabulary, .template])
        return try TokenizerImage.bytes(of: source)
    }

    @Test func everyFlippedByteOfASmallImageIsFound() throws {
        var bytes = try smallImage()
        #expect(bytes.count < 4096)
        #expect(try Tokenizer.load(bytes: bytes, name: "x.gtok").encode(Array("ab c".utf8), addSpecialTokens: false).count == 3)
        for at in bytes.indices {
            for mask in [UInt8(1), 0x80, 0xFF] {
                bytes[at] ^= mask
                let error = #expect(throws: TokenizerError.self, "byte \(at)") {
                    try Tokenizer.load(bytes: bytes, name: "x.gtok")
                }
                // Without the magic it is another format; else the place is named.
                #expect(at < 8 || error?.place.hasPrefix("byte ") == true, "byte \(at): \(error?.description ?? "")")
                bytes[at] ^= mask
            }
        }
        for count in 8..<bytes.count {
            #expect(throws: TokenizerError.self) { try Tokenizer.load(bytes: Array(bytes[..<count]), name: "x.gtok") }
        }
    }

    /// The same with a checksum that is right: what an image says of its files is checked besides.
    @Test func forgedSmallImageIsSafe() throws {
        let original = try smallImage()
        var random = SeededRandom(seed: 23)
        var refused = 0
        for _ in 0..<4000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 64..<bytes.count, using: &random)
                bytes[at] = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &random)][
                    Int.random(in: 0...5, using: &random)]
            }
            Self.seal(&bytes)
            do {
                _ = try Tokenizer.load(bytes: bytes, name: "x.gtok").encode(Array("ab c".utf8), addSpecialTokens: true)
            } catch {
                refused += 1
                #expect(!error.place.isEmpty, "\(error)")
            }
        }
        #expect(refused > 2000)
    }

    private static func seal(_ bytes: inout [UInt8]) {
        let sum = bytes.withUnsafeBytes {
            TokenizerImage.checksum(UnsafeRawBufferPointer(rebasing: $0[ImageMemory.headBytes...]))
        }
        for index in 0..<8 { bytes[24 + index] = UInt8(truncatingIfNeeded: sum >> UInt64(8 * index)) }
    }

    private func image() throws -> [UInt8] {
        try TokenizerImage.bytes(of: try TestFiles.fixtureTokenizer("byte-level/tokenizer.json"))
    }

    @Test func otherVersionIsNamed() throws {
        var bytes = try image()
        bytes[8] = 9
        let error = #expect(throws: TokenizerError.self) { try Tokenizer.load(bytes: bytes, name: "x.image") }
        #expect(error?.code == .unsupported)
        #expect(error?.description.contains("x.image: byte 8: tokenizer image of version 9") == true)
    }

    @Test func cutImageIsAnError() throws {
        let bytes = try image()
        for count in [8, 9, 31, 63, 64, 200, 4096, bytes.count / 2, bytes.count - 1] {
            let error = #expect(throws: TokenizerError.self) {
                try Tokenizer.load(bytes: Array(bytes[..<count]), name: "x.image")
            }
            #expect(error?.code == .malformed, "\(count) bytes")
        }
        #expect(throws: TokenizerError.self) { try Tokenizer.load(bytes: bytes + [0], name: "x.image") }
    }

    /// Any flipped bit is found by the checksum, or in the head that it does not cover.
    @Test func corruptImageIsAnError() throws {
        var bytes = try image()
        var random = SeededRandom(seed: 21)
        for _ in 0..<60 {
            let at = [Int.random(in: 0..<64, using: &random), Int.random(in: 64..<bytes.count, using: &random)][
                Int.random(in: 0...1, using: &random)]
            let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &random)
            bytes[at] ^= bit
            #expect(throws: TokenizerError.self, "byte \(at)") { try Tokenizer.load(bytes: bytes, name: "x.image") }
            bytes[at] ^= bit
        }
        _ = try Tokenizer.load(bytes: bytes, name: "x.image")
    }

    /// With a checksum that is right, whatever is in the image: an error, or a tokenizer that stays in its memory.
    @Test func forgedImageIsSafe() throws {
        let original = try image()
        var random = SeededRandom(seed: 22)
        let text = Array(
            "Hello  wörld, 12345 \n\n tabs\t<|im_start|> 漢字 🙂 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".utf8)
        var loaded = 0
        for round in 0..<150 {
            var bytes = original
            // The small pipeline is where most fields are; the tables are the rest.
            let end = round % 2 == 0 ? min(bytes.count, 6000) : bytes.count
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 64..<end, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            Self.seal(&bytes)
            guard let tokenizer = try? Tokenizer.load(bytes: bytes, name: "x.image") else { continue }
            loaded += 1
            let ids = tokenizer.encode(text, addSpecialTokens: true)
            #expect(tokenizer.count(text, addSpecialTokens: true) == ids.count)
            _ = tokenizer.decode(ids)
        }
        #expect(loaded > 0 && loaded < 150)
    }
}
