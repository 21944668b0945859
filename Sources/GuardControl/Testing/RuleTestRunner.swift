import GuardCore
import GuardPolicy
import GuardRules
import GuardTokenizers

/// Runs a bundle's inline tests and case files through the code that guardd runs: rules as the proxy evaluates them,
/// cases as exchanges of the engine.
struct RuleTestRunner {
    let bundle: RuleBundle
    let cases: [RuleCase]
    /// Only tests whose name contains it.
    var filter: String?
    /// Random cuts of each text on the output side, beside the cut after every byte; 0: streams are not cut.
    var chunkings = 0

    /// Of `tokens` conditions, by the name in the rule.
    let tokenizers: [String: Tokenizer]

    let pool = ScratchPool()

    init(
        bundle: RuleBundle, cases: [RuleCase], filter: String? = nil, chunkings: Int = 0,
        tokenizers: [String: Tokenizer] = [:]
    ) {
        self.tokenizers = tokenizers
        self.bundle = bundle
        self.cases = cases
        self.filter = filter
        self.chunkings = chunkings
    }

    func run() async -> TestReport {
        var report = TestReport()
        report.chunkings = chunkings
        var coverage: [RuleID: RuleCoverage] = [:]
        for rule in bundle.rules {
            var entry = RuleCoverage(rule: rule.id, place: TestPlace(rule.place))
            (entry.positive, entry.negative) = (rule.tests.match.count, rule.tests.noMatch.count)
            coverage[rule.id] = entry
            await inline(rule, &report)
        }
        for test in cases {
            for rule in test.expect.rules { coverage[rule]?.positive += 1 }
            for rule in test.expect.notRules { coverage[rule]?.negative += 1 }
            await add(test.name, TestPlace(test.place), &report) { await self.failure(of: test) }
        }
        report.coverage = bundle.rules.compactMap { coverage[$0.id] }
        return report
    }

    private func add(
        _ name: String, _ place: TestPlace, _ report: inout TestReport, _ run: () async -> String?
    ) async {
        if let filter, !name.contains(filter) { return }
        let clock = ContinuousClock()
        let start = clock.now
        let failure = await run()
        let parts = start.duration(to: clock.now).components
        report.results.append(
            TestResult(
                name: name, place: place, failure: failure,
                seconds: Double(parts.seconds) + Double(parts.attoseconds) / 1e18))
    }

    // MARK: - inline tests

    private func inline(_ rule: CompiledRule, _ report: inout TestReport) async {
        for (texts, wanted, word) in [
            (rule.tests.match, true, "matches"), (rule.tests.noMatch, false, "does not match"),
        ] {
            for (index, test) in texts.enumerated() {
                var place = TestPlace(rule.place)
                (place.line, place.column) = (test.line, test.column)
                let text = Array(test.text.utf8)
                await add("\(rule.id) \(word) #\(index + 1)", place, &report) {
                    if let failure = self.failure(of: rule, on: text, wanted: wanted) { return failure }
                    guard self.chunkings > 0, rule.phases.contains(.output), rule.roles.contains(.assistant) else {
                        return nil
                    }
                    return await self.failure(ofStreaming: text)
                }
            }
        }
    }

    /// In the phase that the rule reads; in both, what a request is asked.
    func evaluate(_ rule: CompiledRule, of bundle: RuleBundle, on text: [UInt8]) -> Evaluation {
        let phase: Phase = rule.phases.contains(.input) ? .input : .output
        return pool.with {
            bundle.evaluate(text.span, rules: [rule.index], phase: phase, tokens: tokens, scratch: &$0)
        }
    }

    /// A rule that is off or in monitor mode is tested all the same.
    private func failure(of rule: CompiledRule, on text: [UInt8], wanted: Bool) -> String? {
        let evaluation = evaluate(rule, of: bundle, on: text)
        if let failure = evaluation.failures.first { return Self.problem(failure.reason) }
        if wanted, evaluation.matches.isEmpty { return "no match" }
        if !wanted, let match = evaluation.matches.first {
            return "a match at \(match.range.lowerBound)..<\(match.range.upperBound)"
        }
        return nil
    }

    /// The same text as a whole answer and as streams cut in many ways: the same action and, where nothing blocks,
    /// the same delivered text. A blocked stream must have delivered the same prefix however it was cut.
    private func failure(ofStreaming text: [UInt8]) async -> String? {
        guard String(validating: text, as: UTF8.self) != nil else { return nil }
        let runner = runner
        do throws(ExchangeRunner.Failure) {
            let whole = try await runner.answer(text: text, cut: nil)
            var blockedText: [UInt8]?
            for seed in 0...UInt64(chunkings) {
                let streamed = try await runner.answer(text: text, cut: seed)
                if streamed.action != whole.action {
                    return
                        "\(ExchangeRunner.name(of: seed)): \(streamed.action.rawValue), whole: \(whole.action.rawValue)"
                }
                let wanted = whole.action == .block ? blockedText ?? streamed.text : whole.text
                blockedText = streamed.text
                if streamed.text != wanted {
                    return "\(ExchangeRunner.name(of: seed)): delivered text differs"
                }
            }
        } catch {
            return error.message
        }
        return nil
    }

    // MARK: - cases

    func failure(of test: RuleCase) async -> String? {
        do throws(ExchangeRunner.Failure) {
            let outcome = try await outcome(of: test, cut: nil)
            if case .stream = test.subject {
                for seed in 0...UInt64(chunkings) where chunkings > 0 {
                    let again = try await self.outcome(of: test, cut: seed)
                    if again.action != outcome.action || again.text != outcome.text {
                        return "\(ExchangeRunner.name(of: seed)): another outcome than uncut"
                    }
                }
            }
            return Self.difference(outcome, test.expect)
        } catch {
            return error.message
        }
    }

    /// - Parameter cut: how a stream is cut, by seed; nil: not at all.
    func outcome(of test: RuleCase, cut: UInt64?) async throws(ExchangeRunner.Failure) -> ExchangeRunner.Outcome {
        guard case .text(let text, let role) = test.subject else { return try await runner.run(test, cut: cut) }
        let segment = TextSegment(role: role, kind: role.rawValue, text: text, pieces: [], pointer: "/text")
        let selection = bundle.select(phase: test.phase, model: test.model, tenant: test.tenant, route: nil)
        let verdict = pool.with {
            bundle.judge(
                [segment], phase: test.phase, mode: .enforce, selection: selection, tokens: tokens, scratch: &$0)
        }
        if let failure = verdict.failures.first {
            throw ExchangeRunner.Failure(message: "\(failure.rule) \(Self.problem(failure.reason))")
        }
        return ExchangeRunner.Outcome(
            action: verdict.action, rules: Set(verdict.findings.map(\.rule)),
            text: RuleBundle.apply(verdict.masks.map(\.edit), to: text), isClean: verdict.findings.isEmpty)
    }

    /// Counts for `tokens` conditions: no model is served here.
    var tokens: RuleTokens { RuleTokens(nil, named: tokenizers) }

    private var runner: ExchangeRunner { ExchangeRunner(bundle: bundle, tokenizers: tokenizers) }

    private static func problem(_ reason: ScanFailure.Reason) -> String {
        "could not be judged: \(reason.rawValue)"
            + (reason == .noTokenizer ? "; name a tokenizer for tests: 'tokens: {tokenizer: FILE, ...}'" : "")
    }

    private static func difference(_ outcome: ExchangeRunner.Outcome, _ expect: RuleCase.Expectation) -> String? {
        var differences: [String] = []
        if let action = expect.action, action != outcome.action {
            differences.append("action \(outcome.action.rawValue), expected \(action.rawValue)")
        }
        for rule in expect.rules where !outcome.rules.contains(rule) { differences.append("no finding of \(rule)") }
        for rule in expect.notRules where outcome.rules.contains(rule) { differences.append("a finding of \(rule)") }
        if let text = expect.maskedText, !outcome.text.elementsEqual(text.utf8) {
            differences.append("text afterwards is \(String(decoding: outcome.text, as: UTF8.self))")
        }
        return differences.isEmpty ? nil : differences.joined(separator: "; ")
    }
}
