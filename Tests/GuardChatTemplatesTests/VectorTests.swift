import Foundation
import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardTesting
import Testing

/// Conversations rendered by transformers itself.
@Suite(.enabled(if: TestData.hasShared))
struct VectorTests {
    /// The day on which the vectors were made.
    static let now = TemplateTime(year: 2026, month: 11, day: 22, hour: 12)

    @Test func allTemplates() throws {
        let folder = try TestData.sharedFile("tokenizers/templates")
        var templates: [String: ChatTemplate] = [:]
        let tokens: [(String, Value)] = [
            ("bos_token", .string("<s>")), ("eos_token", .string("</s>")), ("unk_token", .string("<unk>")),
            ("pad_token", .string("<pad>")),
        ]
        var count = 0
        var misses: [String] = []
        for row in try rows("tokenizers/vectors/templates.jsonl") {
            let name = try #require(row["template"]?.string)
            let template: ChatTemplate
            if let known = templates[name] {
                template = known
            } else {
                let source = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
                template = try ChatTemplate(source: source)
                templates[name] = template
            }
            count += 1
            if let miss = check(row, template, tokens) { misses.append("\(name) \(miss)") }
        }
        print("templates.jsonl: \(count - misses.count) of \(count) rows, \(templates.count) templates")
        #expect(misses.isEmpty, "\(misses.count) misses: \(misses.prefix(20).joined(separator: "\n"))")
        #expect(count == 970)
    }

    @Test(arguments: [
        "llama-3.1", "gemma-2", "phi-3-mini", "phi-3-mini-rev1", "mistral-nemo", "qwen2.5",
    ])
    func modelTemplates(model: String) throws {
        let json = try Data(contentsOf: try TestData.sharedFile("tokenizers/\(model)/tokenizer_config.json"))
        let config = try TokenizerConfig(json: Array(json))
        let source = try #require(config.chatTemplate(hasTools: false)?.source)
        let template = try ChatTemplate(source: source)
        var count = 0
        var misses: [String] = []
        for row in try rows("tokenizers/vectors/\(model).jsonl") where row["messages"] != nil {
            count += 1
            if let miss = check(row, template, config.templateVariables) { misses.append(miss) }
        }
        print("\(model).jsonl: \(count - misses.count) of \(count) rows")
        #expect(misses.isEmpty, "\(misses.count) misses: \(misses.prefix(20).joined(separator: "\n"))")
        #expect(count > 50)
    }

    private func rows(_ path: String) throws -> [JSONNode] {
        let data = Array(try Data(contentsOf: try TestData.sharedFile(path)))
        return try data.split(separator: UInt8(ascii: "\n")).map { try JSONDocument(Array($0)).root }
    }

    private func check(_ row: JSONNode, _ template: ChatTemplate, _ tokens: [(String, Value)]) -> String? {
        let tools = row["tools"].map { Value(json: $0) }
        let id = row["id"]?.integer ?? -1
        guard let messages = row["messages"] else { return "\(id): no messages" }
        do throws(TemplateError) {
            let text = try template.render(
                messages: Value(json: messages), tools: tools,
                addGenerationPrompt: row["add_generation_prompt"]?.bool ?? false, extra: tokens, now: Self.now)
            if let wanted = row["rendered"]?.stringBytes, wanted == text { return nil }
            let wanted = row["rendered"]?.stringBytes ?? []
            let same = zip(wanted, text).prefix { $0 == $1 }.count
            func part(_ bytes: [UInt8]) -> String {
                String(decoding: bytes.dropFirst(max(0, same - 20)).prefix(80), as: UTF8.self).debugDescription
            }
            return "\(id): wanted \(row["error"]?.string ?? part(wanted)), got \(part(text))"
        } catch {
            if row["error"]?.string == error.description { return nil }
            return "\(id): wanted \(row["error"]?.string ?? "a text"), got \(error) in line \(error.line)"
        }
    }
}
