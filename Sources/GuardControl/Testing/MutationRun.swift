import GuardCore
import GuardPolicy
import GuardRules

/// What `--mutate` found.
struct MutationReport: Sendable {
    enum Verdict: Sendable {
        /// A test fails: the change would be noticed.
        case killed
        /// All tests pass, and this text, made of one of the rule's own tests, shows the difference.
        case survived(text: String, wanted: String)
        /// All tests pass, and no probe tells it apart.
        case equivalent
    }

    struct Mutant: Sendable {
        var mutation: RuleMutation
        var verdict: Verdict
    }

    var mutants: [Mutant] = []
    /// The least share of mutants, without the equivalent ones, that must be killed.
    var scoreMin = 1.0

    var killed: Int { mutants.count { if case .killed = $0.verdict { true } else { false } } }
    var equivalent: Int { mutants.count { if case .equivalent = $0.verdict { true } else { false } } }
    var survived: Int { mutants.count - killed - equivalent }
    var score: Double { killed + survived == 0 ? 1 : Double(killed) / Double(killed + survived) }
    var isEnough: Bool { score >= scoreMin }

    /// The survivors as tests, failed where the score is not enough.
    var results: [TestResult] {
        mutants.compactMap { mutant in
            guard case .survived(let text, let wanted) = mutant.verdict else { return nil }
            return TestResult(
                name: "\(mutant.mutation.rule) mutant: \(mutant.mutation.change)", place: TestPlace(mutant.mutation.place),
                failure: "no test notices; this one would: \(wanted): \(Self.quoted(text))", seconds: 0)
        }
    }

    /// A YAML single-quoted scalar where the text allows it, else a double-quoted one.
    private static func quoted(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F || $0.properties.isDefaultIgnorableCodePoint })
        else { return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'" }
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\" + String(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0x7F || scalar.properties.isDefaultIgnorableCodePoint:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension RuleTestRunner {
    /// Runs all tests against each mutant of each rule that the filter names (all without one).
    ///
    /// - Precondition: all tests pass.
    func mutate(_ mutations: RuleMutations, scoreMin: Double) async -> MutationReport {
        var report = MutationReport()
        report.scoreMin = scoreMin
        for rule in bundle.rules where filter.map({ rule.id.name.contains($0) }) ?? true {
            var probes: [[UInt8]]?
            for mutation in mutations.mutations(of: rule) {
                let verdict: MutationReport.Verdict
                if await isKilled(mutation, rule) {
                    verdict = .killed
                } else {
                    let texts = probes ?? MutationProbes.texts(of: rule)
                    probes = texts
                    verdict = difference(mutation, rule, texts)
                }
                report.mutants.append(MutationReport.Mutant(mutation: mutation, verdict: verdict))
            }
        }
        return report
    }

    private func isKilled(_ mutation: RuleMutation, _ rule: CompiledRule) async -> Bool {
        if mutation.kind == .drop {
            if !rule.tests.match.isEmpty { return true }
        } else {
            let alone = mutation.alone
            let fails =
                rule.tests.match.contains { !finds(alone, Array($0.text.utf8)) }
                || rule.tests.noMatch.contains { finds(alone, Array($0.text.utf8)) }
            if fails { return true }
        }
        // Cases that expect nothing of the rule by name can still see it in their action or their text.
        guard !cases.isEmpty else { return false }
        let runner = RuleTestRunner(bundle: mutation.whole, cases: cases, tokenizers: tokenizers)
        for test in cases where await runner.failure(of: test) != nil { return true }
        return false
    }

    /// A failure to judge counts as found: so does guardd treat it.
    private func finds(_ bundle: RuleBundle, _ text: [UInt8]) -> Bool {
        let evaluation = bundle.rules.first.map { evaluate($0, of: bundle, on: text) } ?? Evaluation()
        return !evaluation.matches.isEmpty || !evaluation.failures.isEmpty
    }

    private func difference(
        _ mutation: RuleMutation, _ rule: CompiledRule, _ probes: [[UInt8]]
    ) -> MutationReport.Verdict {
        let mutant = mutation.kind == .drop ? RuleBundle.empty : mutation.alone
        for probe in probes {
            let original = evaluate(rule, of: bundle, on: probe)
            guard original.failures.isEmpty else { continue }
            let isFound = mutation.kind != .drop && finds(mutant, probe)
            if isFound == original.matches.isEmpty {
                return .survived(
                    text: String(decoding: probe, as: UTF8.self), wanted: original.matches.isEmpty ? "noMatch" : "match")
            }
        }
        return .equivalent
    }
}

/// Texts that lie near those of a rule's tests: each with one place changed.
enum MutationProbes {
    private static let textsMax = 8
    private static let placesMax = 120
    private static let characters = ["a", "Z", "0", "7", " ", ".", "-", "_", "\n"].map { Array($0.utf8) }

    static func texts(of rule: CompiledRule) -> [[UInt8]] {
        let tests = rule.tests.match.prefix(textsMax) + rule.tests.noMatch.prefix(textsMax)
        var probes: [[UInt8]] = []
        for test in tests {
            let scalars = test.text.unicodeScalars.map { Array(String($0).utf8) }
            probes.append(Array(test.text.utf8))
            // Both ends of a long text: what a pattern asks for mostly stands there.
            let places =
                scalars.count <= placesMax
                ? Array(0...scalars.count)
                : Array(0..<placesMax / 2) + Array((scalars.count - placesMax / 2)...scalars.count)
            for place in places {
                func changed(_ skipping: Int, _ insert: [UInt8]) -> [UInt8] {
                    Array(scalars[..<place].joined()) + insert + Array(scalars[min(scalars.count, place + skipping)...].joined())
                }
                probes.append(changed(1, []))
                if place < scalars.count {
                    probes.append(changed(0, scalars[place]))
                    let letter = String(decoding: scalars[place], as: UTF8.self)
                    let other = letter.lowercased() == letter ? letter.uppercased() : letter.lowercased()
                    if other != letter { probes.append(changed(1, Array(other.utf8))) }
                }
                for character in characters {
                    probes.append(changed(0, character))
                    probes.append(changed(1, character))
                }
            }
        }
        return probes
    }
}
