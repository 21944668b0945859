import Foundation
import GuardCore
import GuardJSON
import GuardTesting
import Testing

@testable import GuardTokenizers

@Suite struct GGUFVectorTests {
    /// Ids of llama.cpp itself (`fixtures/tools/make_gguf.py`).
    @Test(arguments: ["gpt2", "llama", "t5", "bert"])
    func ownVocabularies(_ name: String) throws {
        let tokenizer = try TestFiles.fixtureTokenizer("gguf/\(name).gguf")
        #expect(tokenizer.format == .gguf && tokenizer.estimatedWhy == nil)
        var comparison = VectorComparison()
        for row in try VectorRow.read(TestFiles.fixture("gguf/\(name).jsonl")) { comparison.run(tokenizer, row) }
        print("\(name).gguf: \(comparison.compared) comparisons, \(comparison.misses.count) misses")
        #expect(comparison.compared > 500)
        #expect(comparison.misses.isEmpty, "\(comparison.misses.prefix(40).joined(separator: "\n"))")
    }

    /// The same vocabulary under each name of a split.
    @Test func namedSplits() throws {
        let json = [UInt8](try Data(contentsOf: TestFiles.fixture("byte-level/tokenizer.json")))
        var tokenizers: [String: Tokenizer] = [:]
        var compared = 0
        for line in [UInt8](try Data(contentsOf: TestFiles.fixture("gguf/pre.jsonl"))).split(separator: 0x0A) {
            let row = try JSONDocument(Array(line)).root
            let text = try #require(row["text"]?.stringBytes)
            for split in try #require(row["splits"]).elements {
                let want = split["ids"]?.elements.map { UInt32($0.integer ?? -1) }
                for name in split["pre"]?.elements.compactMap(\.string) ?? [] {
                    if tokenizers[name] == nil {
                        let file = try GGUFWriter.byteLevel(json, pre: name)
                        tokenizers[name] = try Tokenizer.load(bytes: file, name: name)
                    }
                    let got = tokenizers[name]?.encode(text, addSpecialTokens: false).map(\.value)
                    #expect(got == want, "\(name) \(String(decoding: text, as: UTF8.self).debugDescription)")
                    compared += 1
                }
            }
        }
        #expect(tokenizers.count == 18 && compared > 2000)
    }

    /// Vectors of Hugging Face, which llama.cpp equals but for what is stated.
    @Test(
        .enabled(if: TestData.hasShared),
        arguments: [
            ("llama-3.1", 0), ("gpt-2", 0), ("gemma-2", 0), ("llama-2", 0),
            // Hugging Face composes the text first.
            ("qwen2.5", 55),
            // llama.cpp knows no case beyond ASCII.
            ("mistral-nemo", 58),
            // Hugging Face swallows white space behind `</s>` read as text.
            ("phi-3-mini", 2),
            // Vertical tabs, marks, Hangul, words of more than 100 characters.
            ("bert-base-uncased", 108),
            // Spaces before control characters.
            ("t5-small", 25),
        ])
    func vectorsOfHuggingFace(_ name: String, _ different: Int) throws {
        let tokenizer = try Tokenizer.load(bytes: Self.converted(name), name: name)
        let rows = try VectorRow.read(TestData.sharedFile("tokenizers/vectors/\(name).jsonl"))
        var comparison = VectorComparison()
        for var row in rows {
            row.decoded = nil
            comparison.run(tokenizer, row)
        }
        print("\(name) as GGUF: \(comparison.compared) comparisons, \(comparison.misses.count) differ")
        #expect(comparison.compared >= rows.count)
        #expect(comparison.misses.count == different, "\(comparison.misses.prefix(10).joined(separator: "\n"))")
    }

    static func converted(_ name: String) throws -> [UInt8] {
        func json() throws -> [UInt8] { try TestFiles.shared(name + "/tokenizer.json") }
        switch name {
        case "bert-base-uncased": return try GGUFWriter.wordPiece(json())
        case "t5-small": return try GGUFWriter.unigram(json())
        case "phi-3-mini":
            let model = try TestFiles.shared("llama-2/tokenizer.model")
            return try GGUFWriter.sentencePiece(model, adding: json(), name: "Phi-3")
        case "gemma-2", "llama-2":
            return try GGUFWriter.sentencePiece(TestFiles.shared(name + "/tokenizer.model"), adding: json())
        default:
            let pre = ["llama-3.1": "llama-bpe", "gpt-2": "gpt-2", "qwen2.5": "qwen2", "mistral-nemo": "tekken"]
            return try GGUFWriter.byteLevel(json(), pre: pre[name] ?? "")
        }
    }

    /// By hand: `make_gguf.py SHARED OUT` with llama.cpp, then `GUARD_LLAMA_VECTORS=OUT`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["GUARD_LLAMA_VECTORS"] != nil))
    func realVocabularies() throws {
        let folder = URL(filePath: ProcessInfo.processInfo.environment["GUARD_LLAMA_VECTORS"] ?? "")
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        where file.pathExtension == "gguf" {
            let tokenizer = try Tokenizer.load(path: file.path)
            let rows = try VectorRow.read(file.deletingPathExtension().appendingPathExtension("jsonl"))
            var comparison = VectorComparison()
            for row in rows { comparison.run(tokenizer, row) }
            let name = file.lastPathComponent
            print("\(name): \(rows.count) rows, \(comparison.compared) comparisons, \(comparison.misses.count) misses")
            #expect(comparison.misses.isEmpty, "\(name)\n\(comparison.misses.prefix(20).joined(separator: "\n"))")
        }
    }
}

@Suite struct GGUFLoadingTests {
    private static let tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab", "\u{2581}", "\u{2581}a"]

    private static func small(_ change: (inout GGUFWriter) -> Void = { _ in }) -> GGUFWriter {
        var writer = GGUFWriter()
        writer.set("tokenizer.ggml.model", "llama")
        writer.set("tokenizer.ggml.tokens", tokens.map { Array($0.utf8) })
        writer.set("tokenizer.ggml.scores", [0, 0, 0, -1, -2, -3, -4, -5] as [Float])
        writer.set("tokenizer.ggml.token_type", [2, 3, 3, 1, 1, 1, 1, 1] as [Int32])
        change(&writer)
        return writer
    }

    @Test func chatTemplatesAndSpecialTokens() throws {
        let bytes = Self.small {
            $0.set("tokenizer.chat_template", "{{ messages }}")
            $0.set("tokenizer.chat_templates", ["default", "tool_use"].map { Array($0.utf8) })
            $0.set("tokenizer.chat_template.tool_use", "{{ tools }}")
            $0.set("tokenizer.ggml.padding_token_id", id: 0)
        }.bytes
        let tokenizer = try Tokenizer.load(bytes: bytes, name: "small")
        #expect(tokenizer.bosToken == "<s>" && tokenizer.eosToken == "</s>" && tokenizer.vocabularySize == 8)
        let root = try JSONDocument(try #require(tokenizer.embeddedConfiguration)).root
        #expect(root["bos_token"]?.string == "<s>" && root["pad_token"]?.string == "<unk>")
        #expect(root["chat_template"]?.elements.map { $0["name"]?.string } == ["default", "tool_use"])
        #expect(root["chat_template"]?[1]?["template"]?.string == "{{ tools }}")
    }

    /// Tensors are neither read nor hashed; a file of any size loads from its head.
    @Test func onlyTheMetadataIsRead() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gguf-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "model.gguf")
        var writer = Self.small()
        writer.tensorsCount = .max
        try Data(writer.bytes + [UInt8](repeating: 0xFF, count: 1000)).write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        try handle.truncate(atOffset: 40 << 30)
        try handle.close()
        let tokenizer = try Tokenizer.load(path: folder.path)
        #expect(tokenizer.source == file.path)
        #expect(tokenizer.hash == (try Tokenizer.load(bytes: writer.bytes, name: "x")).hash)
        #expect(tokenizer.ids("ab") == [6, 5])
    }

    @Test func longestSpecialTokenWinsWhereverItIs() throws {
        var writer = GGUFWriter()
        writer.set("tokenizer.ggml.model", "llama")
        let texts = ["<unk>", "<s>", "</s>", "xy", "yzz", "\u{2581}", "x", "z"]
        writer.set("tokenizer.ggml.tokens", texts.map { Array($0.utf8) })
        writer.set("tokenizer.ggml.token_type", [2, 3, 3, 4, 3, 1, 1, 1] as [Int32])
        let tokenizer = try Tokenizer.load(bytes: writer.bytes, name: "small")
        #expect(tokenizer.ids("xyzz") == [5, 6, 4], "the leftmost one is shorter")
        #expect(tokenizer.ids("xyzz", .asText) == [3, 5, 7, 7])
        #expect(tokenizer.ids("yzzxy") == [4, 3])
    }

    struct Broken: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var code: TokenizerError.Code
        var place: String?
        var testDescription: String { name }
    }

    private static let broken: [Broken] = {
        let long = GGUFWriter.long
        func raw(_ type: GGUFMetadata.ValueType, _ value: [UInt8]) -> [UInt8] {
            small { $0.raw("x", type, value) }.bytes
        }
        func without(_ key: String, _ add: (inout GGUFWriter) -> Void) -> [UInt8] {
            var writer = GGUFWriter()
            if key != "model" { writer.set("tokenizer.ggml.model", "llama") }
            add(&writer)
            return writer.bytes
        }
        let whole = small().bytes
        var huge = Array("GGUF".utf8) + GGUFWriter.word(3) + long(0)
        huge += long(1 << 63)
        var versionOne = whole
        versionOne[4] = 1
        var bigEndian = whole
        bigEndian.replaceSubrange(4..<8, with: [0, 0, 0, 3])
        let deep = (0..<10).reduce([UInt8]()) { nested, _ in GGUFWriter.word(9) + long(1) + nested }
        return [
            Broken(name: "magic only", bytes: Array("GGUF".utf8), code: .malformed, place: "byte 4"),
            Broken(name: "version 1", bytes: versionOne, code: .unsupported, place: "byte 4"),
            Broken(name: "big-endian", bytes: bigEndian, code: .unsupported, place: "byte 4"),
            Broken(name: "2^63 keys", bytes: huge, code: .limitExceeded, place: "byte 16"),
            Broken(name: "cut off", bytes: Array(whole.dropLast(3)), code: .malformed),
            Broken(name: "value type 13", bytes: small { $0.raw("x", .bool, []) }.bytes.dropLast(4) + [13, 0, 0, 0, 0], code: .malformed),
            Broken(name: "string of 2^63 bytes", bytes: raw(.string, long(1 << 63)), code: .limitExceeded),
            Broken(name: "array of 2^61 numbers", bytes: raw(.array, GGUFWriter.word(11) + long(1 << 61)), code: .limitExceeded),
            Broken(name: "array of 2^24 strings", bytes: raw(.array, GGUFWriter.word(8) + long(1 << 24)), code: .malformed),
            Broken(name: "nested arrays", bytes: raw(.array, deep), code: .limitExceeded),
            Broken(name: "key twice", bytes: small { $0.set("tokenizer.ggml.model", "llama") }.bytes, code: .malformed),
            Broken(name: "no model", bytes: without("model") { _ in }, code: .malformed),
            Broken(name: "no tokens", bytes: without("") { _ in }, code: .malformed),
            Broken(name: "tokens are numbers", bytes: without("") { $0.set("tokenizer.ggml.tokens", [1, 2] as [Int32]) }, code: .malformed),
            Broken(name: "same token twice", bytes: without("") { $0.set("tokenizer.ggml.tokens", [[0x61], [0x61]]) }, code: .malformed),
            Broken(
                name: "too few scores",
                bytes: without("") {
                    $0.set("tokenizer.ggml.tokens", [[0x61], [0x62], [0x63]])
                    $0.set("tokenizer.ggml.scores", [1, 2] as [Float])
                }, code: .malformed),
            Broken(name: "start token beyond the last", bytes: small { $0.set("tokenizer.ggml.bos_token_id", id: 8) }.bytes, code: .malformed),
            Broken(
                name: "kind",
                bytes: { () -> [UInt8] in
                    var writer = GGUFWriter()
                    writer.set("tokenizer.ggml.model", "rwkv")
                    return writer.bytes
                }(), code: .unsupported),
        ]
    }()

    @Test(arguments: broken) func brokenFileIsAClearError(_ file: Broken) {
        do {
            _ = try Tokenizer.load(bytes: file.bytes, name: "small")
            Issue.record("loaded")
        } catch {
            #expect(error.code == file.code, "\(error)")
            #expect(error.place.hasPrefix("byte ") && error.file == "small" && !error.message.isEmpty, "\(error)")
            if let place = file.place { #expect(error.place == place) }
        }
    }

    @Test func unknownSplitIsNamed() throws {
        let json = [UInt8](try Data(contentsOf: TestFiles.fixture("byte-level/tokenizer.json")))
        let file = try GGUFWriter.byteLevel(json, pre: "some-new-split")
        let error = #expect(throws: TokenizerError.self) { try Tokenizer.load(bytes: file, name: "x") }
        #expect(error?.code == .unsupported && error?.message.contains("'some-new-split'") == true)
    }
}
