import Foundation
import GuardAssembly
import GuardConfiguration
import GuardCore
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
