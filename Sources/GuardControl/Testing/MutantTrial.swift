import GuardCore
import GuardPolicy
import GuardRules

/// Runs the tests against all mutants of one rule at once. What is found is what running all tests and probes against
/// `RuleMutation.whole`, one mutant after the other, would find.
struct MutantTrial {
    private let runner: RuleTestRunner
    private let rule: CompiledRule
    private let family: MutantFamily
    private let blockedStreams: Set<Int>

    /// - Parameter blockedStreams: cases, by index, whose stream is blocked.
    init(runner: RuleTestRunner, _ rule: CompiledRule, _ mutations: RuleMutations, blockedStreams: Set<Int>) {
        self.runner = runner
        self.rule = rule
        self.blockedStreams = blockedStreams
        family = MutantFamily(rule, of: runner.bundle, mutations.mutations(of: rule))
    }

    func run() async -> [MutationReport.Mutant] {
        var isAlive = [Bool](repeating: true, count: family.mutations.count)
        runInline(&isAlive)
        await runCases(&isAlive)
        let survivors = probe(isAlive)
        return family.mutations.indices.map { index in
            let verdict = survivors[index].map { MutationReport.Verdict.survived(text: $0.text, wanted: $0.wanted) }
            return MutationReport.Mutant(
                mutation: family.mutations[index], verdict: isAlive[index] ? verdict ?? .equivalent : .killed)
        }
    }

    /// A failure to judge counts as found: so does guardd treat it.
    private func runInline(_ isAlive: inout [Bool]) {
        for (texts, isMatch) in [(rule.tests.match, true), (rule.tests.noMatch, false)] {
            for text in texts where isAlive.contains(true) {
                let finds = finders(in: Array(text.text.utf8), among: [false] + isAlive)
                for index in isAlive.indices where finds[index + 1] != isMatch { isAlive[index] = false }
            }
        }
    }

    private func finders(in text: [UInt8], among isWanted: [Bool]) -> [Bool] {
        runner.pool.with { family.finders(in: text, among: isWanted, tokens: runner.tokens, scratch: &$0) }
    }

    // MARK: - case files

    /// Cases that expect nothing of the rule by name can still see it in their action or their text. A rule that finds
    /// nothing in a case by itself, unchanged and changed, does nothing to it.
    private func runCases(_ isAlive: inout [Bool]) async {
        var before: [[Int]?] = []
        for number in runner.cases.indices { before.append(await effect(of: family.original, onCase: number)) }
        for (index, mutation) in family.mutations.enumerated() where isAlive[index] {
            let alone = mutation.alone
            var whole: RuleTestRunner?
            for (number, test) in runner.cases.enumerated() {
                // Where the readings change, so may what other rules find.
                if mutation.leavesReadings {
                    guard rule.phases.contains(test.phase) else { continue }
                    if let known = before[number], await effect(of: alone, onCase: number) == known { continue }
                }
                let mutant =
                    whole
                    ?? RuleTestRunner(bundle: mutation.whole(isLight: true), cases: [], tokenizers: runner.tokenizers)
                whole = mutant
                if await mutant.failure(of: test) == nil { continue }
                isAlive[index] = false
                break
            }
        }
    }

    /// What a rule by itself does to a case that it finds nothing in: how much it lets go of a stream after every byte
    /// where that can matter, else nothing. `nil`: it finds something, or the case could not be run or read.
    private func effect(of alone: RuleBundle, onCase number: Int) async -> [Int]? {
        let test = runner.cases[number]
        // Text that outgrows what may be held is let go or blocked.
        let isLong = if case .stream(let body) = test.subject { body.count >= PolicyOptions().holdBytes } else { false }
        let isStepwise = isLong || blockedStreams.contains(number)
        let single = RuleTestRunner(bundle: alone, cases: [], tokenizers: runner.tokenizers)
        guard let outcome = try? await single.outcome(of: test, cut: isStepwise ? 0 : nil), outcome.isClean else {
            return nil
        }
        return isStepwise ? outcome.released : []
    }

    // MARK: - probes

    private struct Survivor {
        var text: String
        var wanted: String
    }

    /// By mutation: the first probe that tells it from the original, of those alive. Texts that the original cannot judge
    /// tell nothing.
    private func probe(_ isAlive: [Bool]) -> [Survivor?] {
        var survivors = [Survivor?](repeating: nil, count: isAlive.count)
        var isWanted = [true] + isAlive
        for text in MutationProbes.texts(of: rule) where isWanted.dropFirst().contains(true) {
            let finds = finders(in: text, among: isWanted)
            let found = isAlive.indices.filter { isWanted[$0 + 1] && finds[$0 + 1] != finds[0] }
            guard !found.isEmpty, runner.evaluate(rule, of: runner.bundle, on: text).failures.isEmpty else { continue }
            let survivor = Survivor(
                text: String(decoding: text, as: UTF8.self), wanted: finds[0] ? "match" : "noMatch")
            for index in found {
                survivors[index] = survivor
                isWanted[index + 1] = false
            }
        }
        return survivors
    }
}
