import Foundation
import GuardAssembly
import GuardConfiguration
import GuardCore
import GuardJSON
import GuardPolicy
import GuardTesting
import GuardTokenizers
import Testing

/// A compiled image counts texts and conversations exactly as the folder it was made of.
@Suite struct ServedImageTests {
    /// The image of a model at a path, and what both give for rows of vectors.
    private func compare(_ path: String, _ rows: [ArraySlice<UInt8>]) throws {
        let image = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString).gtok").path
        defer { try? FileManager.default.removeItem(atPath: image) }
        let original = try ServedModel.load(path: path, keepsVocabulary: true)
        let bytes = try TokenizerImage.bytes(of: original.source)
        try TokenizerImage.write(bytes, to: image)
        let compiled = try ServedModel.load(path: image)
        #expect(compiled.tokenizer.hash == original.tokenizer.hash)
        #expect(compiled.source.hasTemplates == original.source.hasTemplates)
        #expect(compiled.source.files.map(\.sha256) == original.source.files.map(\.sha256))
        #expect(compiled.source.files.map(\.name) == original.source.files.map(\.name))
        #expect((compiled.templates.standard == nil) == (original.templates.standard == nil))
        #expect(compiled.templates.variables.map(\.0) == original.templates.variables.map(\.0))
        // The same input, the same bytes; and an image compiles to itself.
        let again = try ModelSource.load(path: image, keepsVocabulary: true)
        #expect(try TokenizerImage.bytes(of: again) == bytes)

        var outcomes = 0
        for isLibrary in [true, false] {
            let first = operation(original, isLibrary)
            let second = operation(compiled, isLibrary)
            for row in rows where row.count < 6000 {
                let json = try JSONDocument(Array(row)).root
                guard json["messages"] != nil || isLibrary else { continue }
                let want = try first.run(json)
                #expect(try second.run(json) == want, "\(path) \(String(decoding: row.prefix(80), as: UTF8.self))")
                outcomes += 1
                guard isLibrary, let text = json["text"]?.stringBytes else { continue }
                for specials in [SpecialTokens.asText, .parseControl] {
                    #expect(
                        compiled.tokenizer.encode(text, specials: specials, addSpecialTokens: true)
                            == original.tokenizer.encode(text, specials: specials, addSpecialTokens: true))
                }
            }
        }
        #expect(outcomes > 0)
        // Every way of counting, with the pipeline that it chooses by the model's files.
        for counting in ModelEntry.Counting.allCases {
            let first = TokenizeOperation(original.promptBuilder(counting))
            let second = TokenizeOperation(compiled.promptBuilder(counting))
            for line in Self.conversations + [ArraySlice(Array(#"{"text": "<s> a  b</s>"}"#.utf8))] {
                let json = try JSONDocument(Array(line)).root
                #expect(try second.run(json) == (try first.run(json)), "\(path) \(counting)")
            }
        }
    }

    private func operation(_ model: ServedModel, _ isLibrary: Bool) -> TokenizeOperation {
        var operation = TokenizeOperation(model.promptBuilder(.hf))
        operation.rendersAsLibrary = isLibrary
        return operation
    }

    private func lines(_ url: URL) throws -> [ArraySlice<UInt8>] {
        try [UInt8](Data(contentsOf: url)).split(separator: 0x0A)
    }

    private static let conversations = [
        #"{"messages": [{"role": "user", "content": "Hello  there"}]}"#,
        #"{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "<|end|> ü"}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "add_generation_prompt": true}"#,
    ].map { ArraySlice(Array($0.utf8)) }

    @Test(arguments: ["byte-level", "byte-level-tiktoken", "sentencepiece", "unigram"])
    func ownFolders(_ name: String) throws {
        let folder = TestData.fixtures.appending(path: "tokenizers/" + name)
        try compare(folder.path, try lines(folder.appending(path: "vectors.jsonl")) + Self.conversations)
    }

    /// A lone file has no chat template, and neither has its image.
    /// A GGUF file brings its template along.
    @Test(arguments: ["gpt2", "llama", "bert", "t5"]) func ownGGUFFiles(_ name: String) throws {
        let folder = TestData.fixtures.appending(path: "tokenizers/gguf")
        try compare(
            folder.appending(path: name + ".gguf").path,
            try lines(folder.appending(path: name + ".jsonl")) + Self.conversations)
    }

    @Test(arguments: ["byte-level/tokenizer.json", "sentencepiece/tokenizer.model", "unigram/tokenizer.model"])
    func ownFiles(_ name: String) throws {
        let file = TestData.fixtures.appending(path: "tokenizers/" + name)
        try compare(file.path, Self.conversations + [ArraySlice(Array(#"{"text": "Hello <s> there"}"#.utf8))])
    }

    @Test(
        .enabled(if: TestData.hasShared),
        arguments: [
            "bert-base-uncased", "gemma-2", "gpt-2", "llama-2", "llama-3.1", "mistral-nemo", "mistral-v3-spm", "o200k",
            "phi-3-mini", "phi-3-mini-rev1", "phi-3-mini-v5", "qwen2.5", "t5-small",
        ])
    func sharedFolders(_ name: String) throws {
        let folder = try TestData.unpackedFolder("tokenizers/" + name)
        defer { try? FileManager.default.removeItem(at: folder) }
        let rows = try lines(try TestData.sharedFile("tokenizers/vectors/\(name).jsonl"))
        try compare(folder.path, rows + Self.conversations)
        if name == "mistral-nemo" {
            try compare(folder.path + "/tekken.json", rows)
        }
    }

    /// Every template of the shared set in a folder of its own and in the image of that folder.
    @Test(.enabled(if: TestData.hasShared))
    func sharedTemplates() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let fixture = TestData.fixtures.appending(path: "tokenizers/unigram/tokenizer.model")
        try FileManager.default.copyItem(at: fixture, to: folder.appending(path: "tokenizer.model"))
        let templates = try TestData.sharedFile("tokenizers/templates")
        var rows: [String: [ArraySlice<UInt8>]] = [:]
        for line in try lines(try TestData.sharedFile("tokenizers/vectors/templates.jsonl")) {
            let name = try #require(try JSONDocument(Array(line)).root["template"]?.string)
            if rows[name, default: []].count < 3 { rows[name, default: []].append(line) }
        }
        for (name, rows) in rows {
            let target = folder.appending(path: "chat_template.jinja")
            try? FileManager.default.removeItem(at: target)
            try FileManager.default.copyItem(at: templates.appending(path: name), to: target)
            try compare(folder.path, rows + Self.conversations)
        }
        #expect(rows.count == 97)
    }

    /// guard.yaml with an image: the same counts as with the folder, chats included.
    @Test func guardYAML() throws {
        let image = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString).gtok").path
        defer { try? FileManager.default.removeItem(atPath: image) }
        let folder = TestData.fixtures.appending(path: "tokenizers/byte-level").path
        let source = try ModelSource.load(path: folder, keepsVocabulary: true)
        try TokenizerImage.write(try TokenizerImage.bytes(of: source), to: image)
        let yaml = "upstream: {url: http://127.0.0.1:8000}\nmodels: [{match: a, tokenizer: '\(image)'}, {match: b, tokenizer: '\(folder)'}]\n"
        let configuration = try Configuration.parse(Array(yaml.utf8), file: "guard.yaml", folder: "/").configuration
        let catalog = try SnapshotBuilder().build(configuration).snapshot.catalog
        let entries = try #require(catalog.entry(named: "a"))
        let folderEntry = try #require(catalog.entry(named: "b"))
        #expect(entries.templates.standard != nil)
        for line in Self.conversations {
            let json = try JSONDocument(Array(line)).root
            let first = try #require(TokenizeOperation(entries)).run(json)
            #expect(try #require(TokenizeOperation(folderEntry)).run(json) == first)
        }
    }
}
