import GuardCore
import GuardRules
import NIOCore

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

    /// By rule file, sorted.
    var perFile: [(file: String, part: MutationReport)] {
        var files: [(file: String, part: MutationReport)] = []
        for mutant in mutants {
            let file = mutant.mutation.place.file
            let index = files.firstIndex { $0.file == file } ?? files.count
            if index == files.count { files.append((file, MutationReport())) }
            files[index].part.mutants.append(mutant)
        }
        return files.sorted { $0.file < $1.file }
    }

    /// The survivors as tests, failed where the score is not enough.
    var results: [TestResult] {
        mutants.compactMap { mutant in
            guard case .survived(let text, let wanted) = mutant.verdict else { return nil }
            return TestResult(
                name: "\(mutant.mutation.rule) mutant: \(mutant.mutation.change)",
                place: TestPlace(mutant.mutation.place),
                failure: "no test notices; this one would: \(wanted): \(Self.quoted(text))", seconds: 0)
        }
    }

    /// A YAML single-quoted scalar where the text allows it, else a double-quoted one.
    private static func quoted(_ text: String) -> String {
        guard
            text.unicodeScalars.contains(where: {
                $0.value < 0x20 || $0.value == 0x7F || $0.properties.isDefaultIgnorableCodePoint
            })
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
    /// Runs all tests against each mutant of each rule that the filter names (all without one), on all cores.
    ///
    /// - Precondition: all tests pass.
    func mutate(_ mutations: RuleMutations, scoreMin: Double) async -> MutationReport {
        let rules = bundle.rules.filter { rule in filter.map { rule.id.name.contains($0) } ?? true }
        var mutants = [[MutationReport.Mutant]](repeating: [], count: rules.count)
        let blocked = await blockedStreams()
        await withTaskGroup(of: (Int, [MutationReport.Mutant]).self) { group in
            var next = 0
            func start() {
                guard next < rules.count else { return }
                group.addTask { [next] in
                    let trial = MutantTrial(runner: self, rules[next], mutations, blockedStreams: blocked)
                    return (next, await trial.run())
                }
                next += 1
            }
            // A few more than cores would only take memory.
            for _ in 0..<System.coreCount { start() }
            for await (index, found) in group {
                mutants[index] = found
                start()
            }
        }
        return MutationReport(mutants: Array(mutants.joined()), scoreMin: scoreMin)
    }

    /// The cases, by index, of streams that are blocked, which no rule sees for itself: what had left before depends on
    /// what all rules held back.
    private func blockedStreams() async -> Set<Int> {
        var blocked: Set<Int> = []
        for (index, test) in cases.enumerated() {
            guard case .stream = test.subject else { continue }
            if let outcome = try? await outcome(of: test, cut: nil), outcome.action != .block { continue }
            blocked.insert(index)
        }
        return blocked
    }
}

/// Texts that lie near those of a rule's tests: each with one place changed.
enum MutationProbes {
    private static let textsMax = 8
    private static let placesMax = 120
    private static let characters = ["a", "Z", "0", "7", " ", ".", "-", "_", "\n"].map { Array($0.utf8) }

    /// Each once.
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
                    Array(scalars[..<place].joined()) + insert
                        + Array(scalars[min(scalars.count, place + skipping)...].joined())
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
        var known: Set<[UInt8]> = []
        return probes.filter { known.insert($0).inserted }
    }
}
