import Foundation
import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardTesting
import Testing

/// Templates and what Python's jinja2 makes of them (`fixtures/tools/make_template_cases.py`).
struct SemanticsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var id: Int
        var template: String
        var rendered: [UInt8]?
        var error: String?

        var testDescription: String { "\(id): \(template.prefix(60))" }
    }

    static let cases: [Case] = {
        guard let data = try? Data(contentsOf: TestData.fixtures.appending(path: "templates/semantics.jsonl")) else {
            return []
        }
        return Array(data).split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard let row = try? JSONDocument(Array(line)).root else { return nil }
            return Case(
                id: Int(row["id"]?.integer ?? -1), template: row["template"]?.string ?? "",
                rendered: row["rendered"]?.stringBytes, error: row["error"]?.string)
        }
    }()

    static let context: [(String, Value)] = {
        guard let data = try? Data(contentsOf: TestData.fixtures.appending(path: "templates/context.json")),
            let root = try? JSONDocument(Array(data)).root
        else { return [] }
        return root.members.map { ($0.string ?? "", Value(json: $1)) }
    }()

    @Test func fixturesAreThere() {
        #expect(Self.cases.count > 200)
        #expect(Self.context.count > 10)
    }

    @Test(arguments: cases)
    func sameAsJinja(example: Case) throws {
        do throws(TemplateError) {
            let template = try ChatTemplate(source: example.template)
            let text = try template.render(
                Self.context,
                now: TemplateTime(year: 2026, month: 11, day: 22, hour: 12, minute: 34, second: 56))
            #expect(
                example.rendered == text,
                "wanted \(example.rendered.map { String(decoding: $0, as: UTF8.self) } ?? example.error ?? ""), got \(String(decoding: text, as: UTF8.self))")
        } catch {
            #expect(example.error == error.description, "got \(error), wanted \(String(decoding: example.rendered ?? [], as: UTF8.self))")
        }
    }
}
