import GuardCore

// The bound on the work of one rule on one text: counted in steps, not timed, so that what is found and what fails is
// the same on every machine and under any load.
//
// A step is what PCRE2's `match_limit` counts. JIT code counts each time it goes on behind a repeat or a bracket, first
// or after backtracking; the interpreter counts each place that it may come back to, three to five times as often for
// the same pattern. Neither counts the bytes that a repeat of one character runs over, and both count anew at each
// start, so `match_limit` alone bounds neither a pattern that is slow at every start nor one that runs to the text's
// end from every start (`\b[\w.]+@` on `a.a.a.…@`).
//
// So a search goes in parts:
// - *Easy starts.* Up to `startsMax` starts in one call, each with `easySteps` steps. In a long text the subject is cut
//   `reachBytes` behind the last of them and searched with PARTIAL_HARD, whose matches and non-matches are final
//   whatever follows: what is not decided within that reach comes back as a partial match at its start.
// - *Hard starts.* A start that needs more steps, found by narrowing the part, or more reach runs alone, with four
//   times the steps or reach until it is decided. Each try is paid in full, steps and reach, from the text's allowance:
//   `matchLimit` steps and `stepsPerByte` for each byte. What the allowance cannot pay is `.failed(.matchLimit)`.
//
// A search therefore costs at most easySteps steps and startsMax + reachBytes bytes for each start, twice (narrowing),
// and the allowance; a rule on a text, however many matches it has, likewise: its searches cover each start once. Where
// nothing fails the outcome is that of one search of the whole subject: the parts cover the starts in order, and each
// says what the whole search would say about its starts.
//
// What asks where a search began or moves a match's start (`\G`, `(*SKIP)`, `\K`) has no parts: each start has the same
// share of the allowance. Nor has what begins with a multiline `^` or `.*`, of which the engine tries line starts only:
// there each line of what is searched has its share.
extension Pattern {
    /// Starts of the call behind a hard start.
    private static let startsMin = 16

    /// As `run`, but within the scratch's allowance; a match begins at or before `through`.
    func runBounded(
        _ subject: Span<UInt8>, _ from: Int, _ through: Int?, _ mode: MatchMode, _ scratch: inout MatchScratch
    ) -> MatchOutcome {
        if usesBackslashG || usesBackslashK || usesSearchVerbs || isLineSearched {
            let total = scratch.allowance?.total ?? 0
            var share = total / (subject.count + 1)
            if isLineSearched {
                let end = min(through.map { $0 + 1 } ?? subject.count, subject.count)
                share = share * max(1, end - from) / Self.lines(subject, from, end)
            }
            scratch.setLimits(steps: max(1, share), lastStart: through)
            return run(subject, from, mode, &scratch)
        }
        // No match is empty, so none begins at the end; a search from there is one all the same.
        let last = min(through ?? subject.count, max(from, subject.count - 1))
        var from = from
        let (startsMax, reachBytes) = (scratch.limits.startsMax, scratch.limits.reachBytes)
        /// Starts of the next call, near a hard one.
        var narrow: Int?
        while from <= last {
            var end = last
            if let narrow {
                end = min(last, from + narrow - 1)
            } else if last - from >= startsMax + reachBytes {
                end = from + startsMax - 1
            }
            let cut = Self.boundary(subject, min(end, subject.count - 1) + 1 + reachBytes)
            let isCut = cut < subject.count
            scratch.setLimits(steps: scratch.limits.easySteps, lastStart: end)
            let outcome =
                isCut
                ? run(subject.extracting(0..<cut), from, .partialHard, &scratch)
                : run(subject, from, mode, &scratch)
            switch outcome {
            case .match: return outcome
            case .none:
                from = Self.boundary(subject, end + 1)
                if from == subject.count { return .none }
                narrow = narrow.flatMap { $0 < startsMax ? 2 * $0 : nil }
            case .partial(let start):
                guard isCut else { return outcome }
                // JIT code reports the start behind the last one too, if the subject ends in a match that begins there.
                if start > end {
                    from = Self.boundary(subject, end + 1)
                    continue
                }
                // Only what can begin a match is one (`search` says why).
                if startBytes.contains(subject[start]) {
                    let outcome = runAlone(subject, start, mode, &scratch)
                    guard outcome == .none else { return outcome }
                }
                from = Self.boundary(subject, start + 1)
            case .failed(.matchLimit):
                if end > from {
                    narrow = max(1, (end - from + 1) / 8)
                    continue
                }
                let outcome = runAlone(subject, from, mode, &scratch)
                guard outcome == .none else { return outcome }
                from = Self.boundary(subject, from + 1)
                if from == subject.count { return .none }
                narrow = Self.startsMin
            case .failed: return outcome
            }
        }
        return .none
    }

    /// One hard start.
    private func runAlone(
        _ subject: Span<UInt8>, _ start: Int, _ mode: MatchMode, _ scratch: inout MatchScratch
    ) -> MatchOutcome {
        var steps = 4 * scratch.limits.easySteps
        var reach = max(4, 4 * scratch.limits.reachBytes)
        while true {
            let cut = Self.boundary(subject, start + reach)
            let cost = steps + (cut - start)
            guard let left = scratch.allowance?.left, cost <= left else {
                scratch.allowance?.left = 0
                return .failed(.matchLimit)
            }
            scratch.allowance?.left = left - cost
            scratch.setLimits(steps: steps, lastStart: start)
            let isCut = cut < subject.count
            let outcome =
                isCut
                ? run(subject.extracting(0..<cut), start, .partialHard, &scratch)
                : run(subject, start, mode, &scratch)
            switch outcome {
            case .partial(let other) where other != start: return .none
            case .partial where isCut: reach *= 4
            case .failed(.matchLimit): steps *= 4
            default: return outcome
            }
        }
    }

    /// Of the stretch that is searched: what lies behind is not read for each of many stretches.
    private static func lines(_ subject: Span<UInt8>, _ from: Int, _ end: Int) -> Int {
        var lines = 1
        for index in from..<max(from, end) where subject[index] == 0x0A || subject[index] == 0x0D { lines += 1 }
        return lines
    }

    /// The first character boundary at or behind `offset`, or the end.
    private static func boundary(_ subject: Span<UInt8>, _ offset: Int) -> Int {
        var at = min(offset, subject.count)
        while at < subject.count, subject[at] & 0xC0 == 0x80 { at += 1 }
        return at
    }
}
