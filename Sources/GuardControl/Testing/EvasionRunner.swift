import GuardCore
import GuardJSON
import GuardPolicy
import GuardRules

/// Puts every text that a rule must find, in every transformation, through the code that judges requests and answers.
struct EvasionRunner {
    let bundle: RuleBundle
    let cases: [RuleCase]
    let evasions: [Evasion]
    /// Only tests whose name contains it.
    var filter: String?

    private let pool = ScratchPool()

    init(bundle: RuleBundle, cases: [RuleCase], evasions: [Evasion], filter: String? = nil) {
        self.bundle = bundle
        self.cases = cases
        self.evasions = evasions
        self.filter = filter
    }

    private struct Positive {
        var rule: RuleID
        var name: String
        var place: TestPlace
        var text: String
        var phase: Phase
        var role: Role
        var subject: Evasion.Subject
    }

    /// - Parameter benign: texts that no transformation may make look worse.
    func run(benign: [String]) -> EvasionReport {
        var report = EvasionReport()
        let positives = positives(&report)
        for evasion in evasions {
            var result = EvasionReport.Row(name: evasion.name, isLegible: evasion.isLegible)
            for positive in positives where evasion.applies.contains(positive.subject) {
                let isFound = rules(in: evasion.apply(to: positive.text), positive.phase, positive.role).contains(
                    positive.rule)
                let pack = String(positive.rule.name.prefix { $0 != "." })
                result.packs[pack, default: .init()].add(isFound)
                result.total.add(isFound)
                if !isFound { result.misses.append("\(positive.place): \(positive.name): missed by \(evasion.name)") }
            }
            for text in benign where isFlagged(evasion.apply(to: text)) { result.benignFlagged += 1 }
            report.rows.append(result)
        }
        report.benign = benign.count
        report.benignFlagged = benign.count { isFlagged($0) }
        return report
    }

    /// The texts that rules find as they stand. Rules of the raw view judge characters as they are: no transformation
    /// leaves them what they are looked for.
    private func positives(_ report: inout EvasionReport) -> [Positive] {
        var found: [Positive] = []
        func add(_ positive: Positive) {
            if let filter, !positive.name.contains(filter) { return }
            if rules(in: positive.text, positive.phase, positive.role).contains(positive.rule) {
                found.append(positive)
            } else {
                report.notClean += 1
            }
        }
        for rule in bundle.rules {
            guard rule.view != .raw else {
                report.raw += rule.tests.match.count
                continue
            }
            let phase: Phase = rule.phases.contains(.input) ? .input : .output
            let usual: Role = phase == .input ? .user : .assistant
            let role = rule.roles.contains(usual) ? usual : Role.allCases.first { rule.roles.contains($0) } ?? usual
            for (index, test) in rule.tests.match.enumerated() {
                var place = TestPlace(rule.place)
                (place.line, place.column) = (test.line, test.column)
                add(
                    Positive(
                        rule: rule.id, name: "\(rule.id) matches #\(index + 1)", place: place, text: test.text, phase: phase,
                        role: role, subject: Self.subject(rule, test.text)))
            }
        }
        for test in cases {
            guard case .text(let bytes, let role) = test.subject else { continue }
            for id in test.expect.rules {
                guard let rule = bundle.rule(id), rule.view != .raw else { continue }
                let text = String(decoding: bytes, as: UTF8.self)
                add(
                    Positive(
                        rule: id, name: test.name, place: TestPlace(test.place), text: text, phase: test.phase, role: role,
                        subject: Self.subject(rule, text)))
            }
        }
        return found
    }

    /// A rule that tells case looks for keys; texts with several digits hold numbers.
    private static func subject(_ rule: CompiledRule, _ text: String) -> Evasion.Subject {
        if rule.tellsCase { return .exact }
        return text.utf8.count { $0 &- 0x30 < 10 } >= 3 || text.contains("@") ? .data : .words
    }

    private func rules(in text: String, _ phase: Phase, _ role: Role) -> Set<RuleID> {
        let segment = TextSegment(role: role, kind: role.rawValue, text: Array(text.utf8), pieces: [], pointer: "/text")
        let selection = bundle.select(phase: phase, model: nil, tenant: nil, route: nil)
        let verdict = pool.with {
            bundle.judge([segment], phase: phase, mode: .enforce, selection: selection, scratch: &$0)
        }
        return Set(verdict.findings.map(\.rule))
    }

    /// By a rule that reads words: the others judge the characters, which a transformation may bring in.
    private func isFlagged(_ text: String) -> Bool {
        rules(in: text, .input, .user).contains { bundle.rule($0)?.view != .raw }
    }
}

struct EvasionReport: Sendable {
    struct Count: Sendable {
        var found = 0
        var all = 0
        var recall: Double { all == 0 ? 1 : Double(found) / Double(all) }

        mutating func add(_ isFound: Bool) {
            all += 1
            if isFound { found += 1 }
        }
    }

    struct Row: Sendable {
        var name: String
        var isLegible: Bool
        var total = Count()
        var packs: [String: Count] = [:]
        var misses: [String] = []
        var benignFlagged = 0
    }

    var rows: [Row] = []
    /// Texts of rules of the raw view.
    var raw = 0
    /// Texts that are not found as they stand in a selection without model, tenant and route.
    var notClean = 0
    var benign = 0
    var benignFlagged = 0

    var total: Count {
        rows.reduce(into: Count()) { total, row in
            total.found += row.total.found
            total.all += row.total.all
        }
    }

    /// Transformations that make more benign texts flagged than there are as they stand.
    var noisy: [Row] { rows.filter { $0.benignFlagged > benignFlagged } }

    /// Three digits, cut and not rounded: a miss is never 1.000.
    static func shown(_ value: Double) -> String {
        let thousandths = Int(value * 1000)
        let digits = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - digits.utf8.count) + digits
    }

    func lines(showsMisses: Bool) -> [String] {
        var lines: [String] = []
        let width = rows.map { $0.name.utf8.count }.max() ?? 0
        for row in rows {
            let name = row.name + String(repeating: " ", count: width - row.name.utf8.count)
            let packs = row.packs.sorted { $0.key < $1.key }.map { "\($0.key) \(Self.shown($0.value.recall))" }
            var line = "\(name)  \(Self.shown(row.total.recall))  \(row.total.found)/\(row.total.all)"
            if benign > 0 { line += "  benign \(row.benignFlagged)" }
            line += "  " + packs.joined(separator: ", ") + (row.isLegible ? "" : "  (to be decoded)")
            lines.append(line)
            if showsMisses { lines += row.misses.map { "  " + $0 } }
        }
        lines.append(
            "\(rows.count) transformations: recall \(Self.shown(total.recall)), \(total.found) of \(total.all); not "
                + "transformed: \(raw) texts of the raw view" + (notClean > 0 ? ", \(notClean) not found as they stand" : ""))
        if benign > 0 {
            lines.append(
                "benign: \(benignFlagged) of \(benign) texts flagged as they stand; more in "
                    + (noisy.isEmpty ? "no transformation" : noisy.map(\.name).joined(separator: ", ")))
        }
        return lines
    }

    var json: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("recall", Self.shown(total.recall))
            writer.member("found", total.found)
            writer.member("all", total.all)
            writer.member("rawView", raw)
            writer.member("benign", benign)
            writer.member("benignFlagged", benignFlagged)
            writer.key("transformations")
            writer.array { writer in
                for row in rows {
                    writer.object { writer in
                        writer.member("name", row.name)
                        writer.member("legible", row.isLegible)
                        writer.member("found", row.total.found)
                        writer.member("all", row.total.all)
                        writer.member("benignFlagged", row.benignFlagged)
                        writer.key("misses")
                        writer.array { for miss in row.misses { $0.string(miss) } }
                    }
                }
            }
        }
        return writer.bytes
    }
}
