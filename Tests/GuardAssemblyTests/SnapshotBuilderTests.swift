import Foundation
import GuardAssembly
import GuardConfiguration
import GuardCore
import GuardJSON
import GuardPolicy
import GuardRules
import GuardTesting
import GuardTokenizers
import Testing

@Suite struct SnapshotBuilderTests {
    private func configuration(_ yaml: String) throws -> Configuration {
        let yaml = "upstream: {url: http://127.0.0.1:8000}\n\(yaml)"
        return try Configuration.parse(Array(yaml.utf8), file: "guard.yaml", folder: TestData.root.path).configuration
    }

    private static let model = "models: [{match: 'demo*', tokenizer: fixtures/tokenizers/byte-level}]"

    @Test func buildsOurOwnRulesAndTokenizer() throws {
        let configuration = try configuration("\(Self.model)\npolicy: {path: rules, mode: monitor, blockStatus: 403}\n")
        let snapshot = try SnapshotBuilder().build(configuration).snapshot
        #expect(snapshot.bundle.rules.count > 20)
        #expect(snapshot.options.blockStatus == 403 && snapshot.rulesMode == .monitor)
        let entry = try #require(snapshot.catalog.entry(named: "demo-1"))
        #expect(entry.tokenizer?.format == .tokenizerJSON)
        #expect(entry.templates.standard != nil)
        #expect(snapshot.catalog.entry(named: "other") == nil)
        let posture = Posture.lines(configuration, snapshot)
        #expect(posture.contains { $0.hasPrefix("rules on output:") })
    }

    @Test func aSecondBuildTakesTheSameTokenizer() throws {
        let builder = SnapshotBuilder()
        let configuration = try configuration(Self.model)
        let first = try builder.build(configuration).snapshot.catalog.entries.first?.tokenizer
        let second = try builder.build(configuration).snapshot.catalog.entries.first?.tokenizer
        #expect(first != nil && first === second)
    }

    /// A GGUF file brings its own chat template and start token.
    @Test func aFileWithItsOwnTemplate() throws {
        let result = try SnapshotBuilder().build(
            try configuration("models: [{match: 'demo*', tokenizer: fixtures/tokenizers/gguf/gpt2.gguf}]"))
        let entry = try #require(result.snapshot.catalog.entries.first)
        #expect(entry.templates.standard != nil && entry.tokenizer?.format == .gguf)
        let whole = try SnapshotBuilder().build(try configuration(Self.model)).snapshot.catalog.entries.first
        var counts: [JSONNode?] = []
        for entry in [entry, try #require(whole)] {
            let operation = try #require(TokenizeOperation(entry))
            let line = try operation.run(
                JSONDocument(Array(#"{"messages": [{"role": "user", "content": "Where is my order?"}]}"#.utf8)).root)
            counts.append(try JSONDocument(line).root["rendered"])
        }
        #expect(counts[0]?.string != nil && counts[0]?.string == counts[1]?.string)
    }

    /// Places of tokens in a text, and in a conversation as it was rendered.
    @Test func tokensHaveOffsets() throws {
        let entry = try #require(try SnapshotBuilder().build(try configuration(Self.model)).snapshot.catalog.entries.first)
        var operation = try #require(TokenizeOperation(entry))
        operation.writesOffsets = true
        for line in [#"{"text": "naïve 🙂<|end|>"}"#, #"{"messages": [{"role": "user", "content": "naïve"}]}"#] {
            let input = try JSONDocument(Array(line.utf8)).root
            let output = try JSONDocument(try operation.run(input)).root
            let text = try #require((output["rendered"] ?? input["text"])?.stringBytes)
            let offsets = try #require(output["offsets"]).elements.map { Int($0[0]?.integer ?? -1)..<Int($0[1]?.integer ?? -1) }
            #expect(offsets.count == Int(output["count"]?.integer ?? -1))
            #expect(offsets.last?.upperBound == text.count || output["rendered"] != nil)
            #expect(zip(offsets, offsets.dropFirst()).allSatisfy { $0.lowerBound <= $1.lowerBound })
        }
    }

    @Test func allProblemsOfARunAreReported() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "guard-assembly-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let rules = folder.appending(path: "rules")
        let broken = folder.appending(path: "model")
        try FileManager.default.createDirectory(at: rules, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(at: broken, withIntermediateDirectories: true)
        try "ruleset: a\nrules: [{id: x, on: [input], match: {pcre: '('}, action: block}]\n"
            .write(to: rules.appending(path: "a.yaml"), atomically: true, encoding: .utf8)
        let tokenizer = TestData.fixtures.appending(path: "tokenizers/byte-level/tokenizer.json")
        try FileManager.default.copyItem(at: tokenizer, to: broken.appending(path: "tokenizer.json"))
        try #"{"chat_template": "{% for m in messages %}"}"#
            .write(to: broken.appending(path: "tokenizer_config.json"), atomically: true, encoding: .utf8)
        let configuration = try configuration(
            """
            models:
              - {match: a, tokenizer: '\(broken.path)'}
              - {match: b, tokenizer: '\(folder.path)/absent'}
            policy: {path: '\(rules.path)'}
            """)
        do {
            _ = try SnapshotBuilder().build(configuration)
            Issue.record("a broken configuration was built")
        } catch {
            let files = Set(error.list.filter { $0.level == .error }.map { URL(fileURLWithPath: $0.file).lastPathComponent })
            #expect(files == ["a.yaml", "tokenizer_config.json", "absent"], "\(error)")
        }
    }
}
