package import GuardCore
import GuardJSON
import GuardMatching
package import GuardRules
import Synchronization

/// What the rules said of all segments of a request.
package struct InputVerdict: Sendable {
    package var action: Action = .allow
    package var wouldAction: Action = .allow
    package var findings: [Finding] = []
    /// Enforced rules that block, in order of their first finding.
    package var blocking: [RuleID] = []
    /// Rules that would block in `enforce`.
    package var wouldBlock: [RuleID] = []
    package var masks: [(segment: Int, edit: TextEdit)] = []
    package var failures: [(segment: Int, rule: RuleID, reason: ScanFailure.Reason)] = []
    package var bytes = 0
    /// Time that classifiers took.
    package var classifyNanoseconds: UInt64 = 0
    /// What reversible masks have taken out.
    package var placeholders = PlaceholderTable()
}

extension RuleBundle {
    /// Judges every segment; none is skipped, whatever was found before, so that the record names all findings.
    ///
    /// - Parameters:
    ///   - cache: may answer for texts that were judged before.
    ///   - tenant: whose texts they are: what one tenant sent is not looked up for another.
    ///   - tokens: what counts for `tokens` conditions.
    package func judge(
        _ segments: [TextSegment], phase: Phase, mode: Mode, selection: RuleSelection, cache: VerdictCache? = nil,
        tenant: String? = nil, tokens: (any TokenCounting)? = nil, scratch: inout EvaluationScratch
    ) -> InputVerdict {
        var verdict = InputVerdict()
        scratch.classifyNanoseconds = 0
        for (index, segment) in segments.enumerated() {
            verdict.bytes += segment.text.count
            let evaluation = evaluate(
                segment, phase: phase, selection: selection, cache: cache, tenant: tenant, tokens: tokens,
                scratch: &scratch)
            if evaluation.matches.isEmpty, evaluation.failures.isEmpty { continue }
            let text = self.verdict(
                evaluation, mode: mode, phase: phase, segment: index, role: segment.role, kind: segment.kind)
            verdict.action = max(verdict.action, text.action)
            verdict.wouldAction = max(verdict.wouldAction, text.wouldAction)
            verdict.findings += text.findings
            var edits = text.edits.map { edit in
                guard let template = edit.textRule.flatMap({ rules[$0].placeholder }) else { return edit }
                var edit = edit
                edit.replacement = verdict.placeholders.placeholder(
                    for: Array(segment.text[edit.range]), template, in: segments)
                return edit
            }
            if segment.role == .toolCall, !edits.isEmpty, !Self.keepJSON(&edits, segment.text) {
                verdict.action = max(verdict.action, .block)
                verdict.wouldAction = max(verdict.wouldAction, .block)
                for rule in edits.flatMap(\.rules).map({ rules[$0].id }) where !verdict.blocking.contains(rule) {
                    verdict.blocking.append(rule)
                }
            }
            verdict.masks += edits.map { (index, $0) }
            verdict.failures += text.failures.map { (index, rules[$0.rule].id, $0.reason) }
            for finding in text.findings {
                if finding.action == .block, !verdict.blocking.contains(finding.rule) {
                    verdict.blocking.append(finding.rule)
                }
                if finding.wouldAction == .block, !verdict.wouldBlock.contains(finding.rule) {
                    verdict.wouldBlock.append(finding.rule)
                }
            }
        }
        verdict.classifyNanoseconds = scratch.classifyNanoseconds
        return verdict
    }

    /// The text of a tool call is JSON as a rule: what was JSON is so afterwards, with masks in strings escaped where they
    /// have to be. False: it is not, so the edits may not be made. Streams do the same (`ChannelTrack`).
    ///
    /// - Parameter edits: ascending.
    private static func keepJSON(_ edits: inout [TextEdit], _ text: [UInt8]) -> Bool {
        func isJSON(_ text: [UInt8]) -> Bool { (try? JSONDocument(text)) != nil }
        guard isJSON(text) else { return true }
        var scan = JSONStringScan()
        var at = 0
        for index in edits.indices {
            let start = edits[index].range.lowerBound
            scan.read(text[at..<max(at, start)])
            edits[index].replacement = scan.fitting(edits[index].replacement)
            at = max(at, start)
        }
        return isJSON(apply(edits, to: text))
    }
}

/// Lends the memory that rules are evaluated in. A request takes one and gives it back, so there are as many as
/// requests are judged at the same time: one per thread.
package final class ScratchPool: Sendable {
    private final class Box: @unchecked Sendable {
        var scratch = EvaluationScratch()
    }

    // A box is in the list or with exactly one borrower, never both.
    private let free = Mutex<[Box]>([])
    private let fallbacks = Atomic<Int>(0)

    package init() {}

    package func with<Result>(_ body: (inout EvaluationScratch) throws -> Result) rethrows -> Result {
        let box = free.withLock { $0.popLast() } ?? Box()
        defer {
            let interpreted = box.scratch.match.takeInterpreterFallbacks()
            if interpreted > 0 { fallbacks.add(interpreted, ordering: .relaxed) }
            free.withLock { if $0.count < 64 { $0.append(box) } }
        }
        return try body(&box.scratch)
    }

    /// Searches that ran in the interpreter instead of JIT code since the last call.
    package func takeInterpreterFallbacks() -> Int { fallbacks.exchange(0, ordering: .relaxed) }
}
