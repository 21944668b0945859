import GuardCore
import GuardJSON
import GuardPolicy
import GuardRules

/// How often each rule speaks up on ordinary texts: false positives, as far as the corpus holds nothing else.
struct CorpusReport: Sendable {
    struct Count: Sendable, Hashable {
        var findings = 0
        var texts = 0
    }

    var texts = 0
    var bytes = 0
    var flaggedTexts = 0
    /// Only rules with findings.
    var rules: [RuleID: Count] = [:]
    /// Texts that could not be judged to the end, by rule.
    var failures: [RuleID: Int] = [:]
    var baseline: CorpusBaseline?

    func perMillionBytes(_ findings: Int) -> Double { bytes == 0 ? 0 : Double(findings) * 1e6 / Double(bytes) }

    /// A corpus and a rule as a test: failed where the rule has more findings per byte than in the baseline, or could not
    /// be judged.
    func results(_ bundle: RuleBundle) -> [TestResult] {
        bundle.rules.compactMap { rule in
            let count = rules[rule.id]?.findings ?? 0
            var problems: [String] = []
            if let failed = failures[rule.id] { problems.append("\(failed) texts could not be judged") }
            if let baseline {
                let before = baseline.rules[rule.id.name] ?? 0
                // Rates, so that a corpus that has grown can still be compared; by cross products, so that equal ones are.
                if count * baseline.bytes > before * bytes {
                    problems.append(
                        "\(count) findings, \(Self.rate(perMillionBytes(count))) per million bytes; in the baseline \(before), "
                            + Self.rate(baseline.perMillionBytes(before)))
                }
            } else if problems.isEmpty {
                return nil
            }
            return TestResult(
                name: "corpus: \(rule.id)", place: TestPlace(rule.place),
                failure: problems.isEmpty ? nil : problems.joined(separator: "; "), seconds: 0)
        }
    }

    /// Rules by number of findings, then by id.
    var ranking: [(rule: RuleID, count: Count)] {
        rules.map { (rule: $0.key, count: $0.value) }
            .sorted { ($1.count.findings, $0.rule) < ($0.count.findings, $1.rule) }
    }

    /// Two decimals, without Foundation's formats.
    static func rate(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}

/// The `corpus` member of an earlier `guardctl test --corpus … --format json`.
struct CorpusBaseline: Sendable {
    var bytes: Int
    /// Findings by rule id; rules without any need not be there.
    var rules: [String: Int]

    init(path: String) throws {
        let root: JSONNode
        do {
            root = try JSONDocument(try Files.read(path)).root
        } catch let error as JSONError {
            throw Diagnostic(file: path, line: 1, column: error.offset + 1, "\(error)")
        }
        guard let corpus = root["corpus"], let bytes = corpus["bytes"]?.integer.map(Int.init(clamping:)), bytes > 0, let rules = corpus["rules"],
            rules.kind == .array
        else { throw Diagnostic(file: path, "is no report of 'guardctl test --corpus FILE --format json'") }
        self.bytes = bytes
        self.rules = [:]
        for rule in rules.elements {
            guard let name = rule["rule"]?.string, let findings = rule["findings"]?.integer.map(Int.init(clamping:)),
                findings >= 0
            else {
                throw Diagnostic(file: path, "an entry of 'rules' has no 'rule' or no 'findings'")
            }
            self.rules[name] = findings
        }
    }

    func perMillionBytes(_ findings: Int) -> Double { Double(findings) * 1e6 / Double(bytes) }
}

extension RuleTestRunner {
    /// Judges every text of the file as a user's and, for rules that only read output, as a model's.
    ///
    /// - Parameter path: JSON lines with `text`, or plain text, of which every paragraph is a text.
    func corpus(_ path: String) throws -> CorpusReport {
        var report = CorpusReport()
        let input = bundle.select(phase: .input, model: nil, tenant: nil, route: nil)
        let output = bundle.select(phase: .output, model: nil, tenant: nil, route: nil)
        let lines = try JSONLines(path: path)
        guard lines.bytes.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") else {
            for text in Self.paragraphs(lines.bytes) { judge(text, input, output, &report) }
            return report
        }
        try lines.forEach { json in
            guard let text = json["text"]?.stringBytes else {
                throw JSONLines.Problem(message: "'text', a string, is wanted")
            }
            judge(text, input, output, &report)
        }
        return report
    }

    /// Between empty lines. Ill-formed UTF-8 is mended: rules read valid text only.
    private static func paragraphs(_ bytes: [UInt8]) -> [[UInt8]] {
        var paragraphs: [[UInt8]] = []
        var current: [UInt8] = []
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if line.contains(where: { $0 > 0x20 }) {
                current += line + [UInt8(ascii: "\n")]
            } else if !current.isEmpty {
                paragraphs.append(current)
                current = []
            }
        }
        if !current.isEmpty { paragraphs.append(current) }
        return paragraphs.map { Array(String(decoding: $0, as: UTF8.self).utf8) }
    }

    private func judge(_ text: [UInt8], _ input: RuleSelection, _ output: RuleSelection, _ report: inout CorpusReport) {
        report.texts += 1
        report.bytes += text.count
        var found: [RuleID: Int] = [:]
        for (phase, role, selection) in [(Phase.input, Role.user, input), (.output, .assistant, output)] {
            let segment = TextSegment(role: role, kind: role.rawValue, text: text, pieces: [], pointer: "/text")
            let verdict = pool.with {
                bundle.judge([segment], phase: phase, mode: .enforce, selection: selection, scratch: &$0)
            }
            for finding in verdict.findings where phase == .input || !isOnInput(finding.rule) {
                found[finding.rule, default: 0] += 1
            }
            for failure in verdict.failures { report.failures[failure.rule, default: 0] += 1 }
        }
        if !found.isEmpty { report.flaggedTexts += 1 }
        for (rule, findings) in found {
            report.rules[rule, default: .init()].findings += findings
            report.rules[rule, default: .init()].texts += 1
        }
    }

    private func isOnInput(_ id: RuleID) -> Bool {
        bundle.rule(id).map { $0.phases.contains(.input) && $0.roles.contains(.user) } ?? false
    }
}
