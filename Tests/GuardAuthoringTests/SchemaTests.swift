import Foundation
import GuardConfiguration
import GuardCore
import GuardRules
import GuardTesting
import GuardYAML
import Testing

@testable import GuardAuthoring

/// The tables against the readers: an object with a key that nobody knows makes the reader list the keys that it does.
@Suite struct SchemaTests {
    private static let wrong = "qqqqqqqqqqqq"

    /// Every object of a table: where it is, as YAML around a hole, and its keys.
    static func objects(
        _ node: SchemaNode, _ name: SchemaName, around: @escaping (String) -> String, _ seen: inout Set<String>
    ) -> [(yaml: String, keys: [String])] {
        switch node {
        case .object(let object):
            guard !object.isOpen else { return [] }
            var found = [(around("{\(wrong): 1}"), object.properties.map(\.name))]
            for property in object.properties {
                // What a reader wants to see beside it before it looks there.
                let beside = ["context": "pcre: x, ", "expect": "text: x, ", "deprecation": "match: x, "][property.name] ?? ""
                found += objects(
                    property.node, name, around: { around("{\(beside)\(property.name): \($0)}") }, &seen)
            }
            return found
        case .list(let item, _): return objects(item, name, around: { around("[\($0)]") }, &seen)
        case .oneOrMore(let item): return objects(item, name, around: around, &seen)
        case .anyOf(let nodes): return nodes.flatMap { objects($0, name, around: around, &seen) }
        case .reference(let target):
            guard seen.insert(target).inserted, let node = name.table.definitions.first(where: { $0.0 == target })?.1
            else { return [] }
            return objects(node, name, around: around, &seen)
        default: return []
        }
    }

    private static func messages(_ yaml: String, _ name: SchemaName) -> [String] {
        let bytes = Array(yaml.utf8)
        do throws(Diagnostics) {
            switch name {
            case .rules: _ = try RuleBundle(files: [.init(path: "t.yaml", content: bytes)])
            case .cases: _ = try RuleCase.parse(files: [.init(path: "t.yaml", content: bytes)])
            case .config:
                _ = try Configuration.parse(bytes, file: "t.yaml", folder: "/", environment: [:], overlay: [])
            }
            return []
        } catch {
            return error.list.map(\.message)
        }
    }

    @Test(arguments: SchemaName.allCases) func keysAreTheReaders(_ name: SchemaName) throws {
        var seen: Set<String> = []
        let objects = Self.objects(name.table.node, name, around: { $0 }, &seen)
        #expect(objects.count >= (name == .cases ? 3 : 8))
        for (yaml, keys) in objects {
            let messages = Self.messages(yaml, name)
            let prefix = "unknown key '\(Self.wrong)'; known here: "
            let message = try #require(messages.first { $0.hasPrefix(prefix) }, "\(yaml): \(messages)")
            let known = message.dropFirst(prefix.count).split(separator: ", ").map(String.init)
            #expect(Set(known) == Set(keys), "\(yaml)")
        }
    }

    @Test(arguments: SchemaName.allCases) func isJSON(_ name: SchemaName) throws {
        let object = try JSONSerialization.jsonObject(with: Data(name.json.utf8)) as? [String: Any]
        #expect(object?["$schema"] as? String == "https://json-schema.org/draft/2020-12/schema")
    }
}
