import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardRules

/// The packs against labelled texts of `shared/safety`, a part of the rows in every run (`GUARD_QUALITY_ALL=1`: all).
@Suite(.enabled(if: TestData.hasShared)) struct QualityTests {
    private struct Row: Decodable {
        struct Span: Decodable {
            var start: Int
            var end: Int
            var type: String
            var subtype: String?
        }
        var text: String
        var label: String?
        var spans: [Span]?
    }

    private static let step = ProcessInfo.processInfo.environment["GUARD_QUALITY_ALL"] == nil ? 12 : 1

    private func rows(_ file: String, where wanted: (Row) -> Bool = { _ in true }) throws -> [Row] {
        let data = try Data(contentsOf: TestData.sharedFile("safety/\(file)"))
        let decoder = JSONDecoder()
        var rows: [Row] = []
        for (number, line) in data.split(separator: UInt8(ascii: "\n")).enumerated() where number % Self.step == 0 {
            let row = try decoder.decode(Row.self, from: line)
            if wanted(row) { rows.append(row) }
        }
        return rows
    }

    @Test func personalDataAndSecrets() throws {
        let bundle = try RuleBundle.load(directory: PackTests.directory)
        let rules = bundle.rules.indices.filter { index in
            ["pii.", "secrets."].contains { bundle.rules[index].id.name.hasPrefix($0) }
        }
        var scratch = EvaluationScratch()
        var found: [String: (hit: Int, all: Int)] = [:]
        var wrong: [String: Int] = [:]
        var clean = (flagged: 0, all: 0)
        var examples: [String] = []
        for row in try rows("pii_public.jsonl") {
            let bytes = Array(row.text.utf8)
            let evaluation = bundle.evaluate(bytes.span, rules: Array(rules), scratch: &scratch)
            #expect(evaluation.failures == [])
            var offsets: [Int] = []
            var position = 0
            for scalar in row.text.unicodeScalars {
                offsets.append(position)
                position += UTF8.width(scalar)
            }
            offsets.append(position)
            let spans = (row.spans ?? []).map { ($0, offsets[$0.start]..<offsets[$0.end]) }
            for (span, range) in spans {
                let key = span.type == "SECRET" ? "SECRET.\(span.subtype ?? "")" : span.type
                let hit = evaluation.matches.contains { $0.range.overlaps(range) }
                found[key, default: (0, 0)].all += 1
                if hit {
                    found[key, default: (0, 0)].hit += 1
                } else if examples.count < 12 {
                    examples.append("missed \(key)")
                }
            }
            for match in evaluation.matches where !spans.contains(where: { $0.1.overlaps(match.range) }) {
                wrong[bundle.rules[match.rule].id.name, default: 0] += 1
            }
            if spans.isEmpty {
                clean.all += 1
                if !evaluation.matches.isEmpty { clean.flagged += 1 }
            }
        }
        let secrets = found.filter { $0.key.hasPrefix("SECRET") }.values
            .reduce((0, 0)) { ($0.0 + $1.hit, $0.1 + $1.all) }
        let others = found.filter { !$0.key.hasPrefix("SECRET") }.values
            .reduce((0, 0)) { ($0.0 + $1.hit, $0.1 + $1.all) }
        print(
            "secrets found \(secrets.0)/\(secrets.1), personal data found \(others.0)/\(others.1), "
                + "clean documents flagged \(clean.flagged)/\(clean.all), wrong \(wrong)")
        for (key, value) in found.sorted(by: { $0.key < $1.key }) where value.hit < value.all {
            print("  \(key): \(value.hit)/\(value.all)")
        }
        #expect(Double(secrets.0) >= 0.97 * Double(secrets.1))
        #expect(Double(others.0) >= 0.95 * Double(others.1))
        #expect(Double(clean.flagged) <= 0.01 * Double(clean.all))
    }

    @Test func benignTextsAreNotBlocked() throws {
        let bundle = try RuleBundle.load(directory: PackTests.directory)
        let rules = bundle.rules.indices.filter { index in
            bundle.rules[index].phases.contains(.input)
                && !["pii.", "secrets."].contains { bundle.rules[index].id.name.hasPrefix($0) }
        }
        var scratch = EvaluationScratch()
        var attacks = (hit: 0, all: 0)
        var benign = (hit: 0, all: 0)
        var by: [String: Int] = [:]
        for row in try rows("train.jsonl", where: { $0.label == "benign" || $0.label == "attack" }) {
            let evaluation = bundle.evaluate(Array(row.text.utf8).span, rules: Array(rules), scratch: &scratch)
            let blocks = evaluation.matches.filter { bundle.rules[$0.rule].action == .block }
            if row.label == "attack" {
                attacks.all += 1
                attacks.hit += blocks.isEmpty ? 0 : 1
            } else {
                benign.all += 1
                benign.hit += blocks.isEmpty ? 0 : 1
                if let first = blocks.first { by[bundle.rules[first.rule].id.name, default: 0] += 1 }
            }
        }
        print("attacks blocked \(attacks.hit)/\(attacks.all), benign blocked \(benign.hit)/\(benign.all) \(by)")
        #expect(Double(benign.hit) <= 0.002 * Double(benign.all))
        #expect(attacks.hit > 0)
    }
}
