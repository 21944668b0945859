package import GuardCore
package import GuardMatching

/// One match of one rule in a text.
package struct RuleMatch: Sendable, Hashable {
    /// Index in `RuleBundle.rules`.
    package var rule: Int
    /// Raw bytes of the text, never empty, on scalar boundaries.
    package var range: ByteRange
    /// What replaces it, if the rule masks.
    package var mask: [UInt8]?
    /// A classifier's score, 0...1.
    package var score: Double?
    /// Why, content-free: what the rule's author needs beside the span (`required at /items/0`).
    package var explanation: String?

    package init(
        rule: Int, range: ByteRange, mask: [UInt8]?, score: Double? = nil, explanation: String? = nil
    ) {
        self.rule = rule
        self.range = range
        self.mask = mask
        self.score = score
        self.explanation = explanation
    }
}

/// A rule could not be judged on a text: the scan is not complete, and never "clean".
package struct ScanFailure: Sendable, Hashable {
    package enum Reason: String, Sendable, Hashable, CaseIterable {
        case matchLimit = "match_limit"
        case heapLimit = "heap_limit"
        case tooManyMatches = "too_many_matches"
        /// A JSON text or schema that needs more steps than a rule may take.
        case stepLimit = "step_limit"
        /// A `tokens` condition where neither the served model nor the rule names a tokenizer.
        case noTokenizer = "no_tokenizer"
        case `internal`

        package init(_ failure: MatchFailure) {
            switch failure {
            case .matchLimit: self = .matchLimit
            case .heapLimit: self = .heapLimit
            case .internal: self = .internal
            }
        }
    }

    /// Index in `RuleBundle.rules`.
    package var rule: Int
    package var reason: Reason

    package init(rule: Int, reason: Reason) {
        self.rule = rule
        self.reason = reason
    }
}

/// What the rules found in one complete text, before modes and selection.
package struct Evaluation: Sendable, Hashable {
    /// By start, then longer first, then rule; no two equal ranges of one rule.
    package var matches: [RuleMatch] = []
    package var failures: [ScanFailure] = []

    package init() {}
}

/// The memory that evaluation works in: one per event loop or thread.
package struct EvaluationScratch: ~Copyable {
    package var match: MatchScratch
    /// Upper bound of matches in one text; beyond it the scan is a failure, not a truncation.
    package let matchesMax: Int
    /// Off: every pattern runs on every text. For tests that compare.
    package var usesPrefilter = true
    /// Off: readings of the decoded view are made whether a rule matches in them or not. For tests that compare.
    package var asksForReadings = true
    var folded = FoldedView()
    var candidates = CandidateSet()
    /// By rule: whether it is composed and may hold in the text that is judged.
    var mayHold: [Bool] = []
    /// Detectors to run on one view.
    var wanted: [UInt32] = []
    var windows: [ByteRange] = []
    var spent: [(rule: Int, nanoseconds: UInt64)] = []
    /// Time that classifiers took since whoever wants to know set it to 0; part of what evaluation takes.
    package var classifyNanoseconds: UInt64 = 0
    /// Set while further readings are judged.
    var readingWork: ReadingWork?

    /// What patterns may still do on further readings: a rule's work is bounded for all of them together, however many
    /// stretches they have.
    struct ReadingWork {
        /// Of all readings.
        var bytes: Int
        /// By pattern, of those that have been run.
        var left: [ObjectIdentifier: MatchScratch.Allowance] = [:]
    }

    package init(limits: MatchLimits = MatchLimits(), matchesMax: Int = 100_000) {
        match = MatchScratch(limits: limits)
        self.matchesMax = matchesMax
    }
}

extension RuleBundle {
    /// A reading of the decoded view and where it is judged.
    typealias Part = (reading: DecodedView.Reading, stretch: ByteRange)

    /// Judges a complete text by some of the rules (`RuleSelection.rules(for:)`), each on its own view of the text.
    ///
    /// - Parameters:
    ///   - text: valid UTF-8.
    ///   - selected: indices in `rules`, ascending.
    ///   - phase: on output a rule of the decoded view reads the folded text, unless it says `stream:`.
    ///   - tokens: what counts for `tokens` conditions; without it they fail.
    package func evaluate(
        _ text: Span<UInt8>, rules selected: [Int], phase: Phase = .input, tokens: (any TokenCounting)? = nil,
        scratch: inout EvaluationScratch
    ) -> Evaluation {
        var evaluation = Evaluation()
        if selected.isEmpty || text.isEmpty { return evaluation }
        let views = prefilter.views(of: selected)
        scratch.spent.removeAll(keepingCapacity: true)
        var readings: [DecodedView.Reading]?
        if views.contains(.raw) { evaluate(text, text, nil, prefilter.raw, selected, &scratch, &evaluation) }
        if views.contains(.folded) {
            // Moved out, so that the scratch stays free to be passed on while a span of the view is alive.
            var folded = FoldedView()
            swap(&folded, &scratch.folded)
            folded.removeAll()
            folded.append(text)
            folded.finish()
            evaluate(folded.text.span, text, folded, prefilter.folded, selected, &scratch, &evaluation)
            let readsDecoded = views.contains(phase == .input ? .decoded : .decodedOutput)
            if readsDecoded || views.contains(.composedDecoded) {
                let further = furtherReadings(than: folded, of: text, selected, phase, &scratch)
                if readsDecoded { evaluateReadings(further, of: text, selected, phase, &scratch, &evaluation) }
                if views.contains(.composedDecoded) { readings = [DecodedView.first(folded)] + further }
            }
            swap(&folded, &scratch.folded)
        }
        if hasComposed { evaluateComposed(text, readings, selected, tokens, &scratch, &evaluation) }
        scratch.match.endText()
        if evaluation.matches.count > 1 { Self.sort(&evaluation.matches) }
        if !scratch.spent.isEmpty { timeAccount.add(scratch.spent) }
        return evaluation
    }

    /// Runs the detectors of one view that may match, in the order of their rules, so that what is found and what fails
    /// is the same in the same order with prefilter and without.
    ///
    /// - Parameter part: the reading that `text` is, and the stretch of it that is judged.
    func evaluate(
        _ text: Span<UInt8>, _ raw: Span<UInt8>, _ view: FoldedView?, _ plan: PrefilterPlan.View, _ selected: [Int],
        within part: Part? = nil, _ scratch: inout EvaluationScratch, _ evaluation: inout Evaluation
    ) {
        scratch.wanted.removeAll(keepingCapacity: true)
        if scratch.usesPrefilter {
            // A match that counts lies in the stretch.
            plan.filter.scan(text, within: part?.stretch, into: &scratch.candidates)
            scratch.wanted.append(contentsOf: scratch.candidates.touched)
            scratch.wanted.append(contentsOf: plan.filter.unknown)
            scratch.wanted.sort()
        } else {
            scratch.wanted.append(contentsOf: 0..<UInt32(plan.detectors.count))
        }
        let isAll = selected.count == rules.count
        var before: UInt64 = 0
        for number in 0..<scratch.wanted.count {
            let detector = Int(scratch.wanted[number])
            let rule = plan.detectors[detector].rule
            guard isAll || prefilter.contains(selected, rule) else { continue }
            var isKnown = scratch.usesPrefilter && scratch.candidates.contains(detector)
            if isKnown {
                scratch.candidates.windows(of: detector, into: &scratch.windows)
                // Most candidates end here, before anything of the rule is touched.
                var first = 0
                guard Self.nextWindow(text, plan.startBytes[detector], 0, &first, scratch.windows) != nil else {
                    continue
                }
            } else if let part {
                scratch.windows.removeAll(keepingCapacity: true)
                scratch.windows.append(part.stretch)
                isKnown = true
            }
            if before == 0 { before = RuleTimeAccount.now() }
            collect(plan.detectors[detector], text, raw, view, isKnown, part, &scratch, &evaluation)
            let after = RuleTimeAccount.now()
            scratch.spent.append((rule, after &- before))
            before = after
        }
    }

    /// All matches of one detector, from left to right without overlap. `isKnown`: they begin in `scratch.windows`.
    private func collect(
        _ place: PrefilterPlan.Place, _ text: Span<UInt8>, _ raw: Span<UInt8>, _ view: FoldedView?, _ isKnown: Bool,
        _ part: Part?, _ scratch: inout EvaluationScratch, _ evaluation: inout Evaluation
    ) {
        let detector = place.detector
        let pattern = ObjectIdentifier(detector.pattern)
        if let left = scratch.readingWork?.left[pattern] {
            scratch.match.allowance = left
        } else {
            scratch.match.beginText(bytes: scratch.readingWork?.bytes ?? text.count)
        }
        defer { scratch.readingWork?.left[pattern] = scratch.match.allowance }
        let startBytes = detector.pattern.startBytes
        var from = 0
        var window = 0
        /// Where a search of windows ends, and the last of them.
        var end = 0
        var last = -1
        var isKnown = isKnown
        if isKnown, !detector.contexts.isEmpty {
            // Where a context refuses a match the search goes on behind it, perhaps behind windows to come.
            (from, isKnown) = (scratch.windows.first?.lowerBound ?? 0, false)
            while from < text.count, text[from] & 0xC0 == 0x80 { from += 1 }
        }
        while from < text.count {
            // A reading is searched where it is judged, and no further.
            var through = part.map { $0.stretch.upperBound - 1 }
            if let through, from > through { return }
            if isKnown {
                guard let next = Self.nextWindow(text, startBytes, from, &window, scratch.windows) else { return }
                if window > last {
                    (end, last) = Self.joined(text, startBytes, window, next.upperBound, scratch.windows)
                }
                (from, through) = (next.lowerBound, end - 1)
            }
            switch detector.firstMatch(
                in: text, from: from, through: through, mode: .complete, scratch: &scratch.match)
            {
            case .none, .partial:
                guard isKnown else { return }
                window = last + 1
            case .failed(let failure):
                evaluation.failures.append(ScanFailure(rule: place.rule, reason: .init(failure)))
                return
            case .match(let range):
                if let part {
                    guard range.lowerBound < part.stretch.upperBound else { return }
                    guard range.upperBound <= part.stretch.upperBound,
                        !detector.contexts.isEmpty || part.reading.isChanged(range)
                    else {
                        from = range.upperBound
                        continue
                    }
                }
                guard evaluation.matches.count < scratch.matchesMax else {
                    let failure = ScanFailure(rule: place.rule, reason: .tooManyMatches)
                    if evaluation.failures.last != failure { evaluation.failures.append(failure) }
                    return
                }
                let mask = rules[place.rule].mask?.render(
                    text, range: range, raw: raw, rawRange: { view?.rawRange(of: $0) ?? $0 },
                    group: { scratch.match.capture($0) })
                evaluation.matches.append(
                    RuleMatch(rule: place.rule, range: view?.rawRange(of: range) ?? range, mask: mask))
                // A match is never empty, so this moves on.
                from = range.upperBound
            }
        }
    }

    /// The rest of the first window at or behind `from` in which the pattern can begin, on character boundaries.
    private static func nextWindow(
        _ text: Span<UInt8>, _ startBytes: ByteSet, _ from: Int, _ window: inout Int, _ windows: [ByteRange]
    ) -> ByteRange? {
        while window < windows.count {
            var low = max(from, windows[window].lowerBound)
            let end = min(windows[window].upperBound, text.count)
            // Inside a character nothing begins.
            while low < end, text[low] & 0xC0 == 0x80 { low += 1 }
            if low < end, let start = startBytes.firstIndex(in: text, from: low, to: end) { return start..<end }
            window += 1
        }
        return nil
    }

    /// Windows that follow with nothing between them that a match can begin with are searched by one call: its end and its
    /// last window.
    private static func joined(
        _ text: Span<UInt8>, _ startBytes: ByteSet, _ window: Int, _ end: Int, _ windows: [ByteRange]
    ) -> (end: Int, window: Int) {
        var (end, last) = (end, window)
        while last + 1 < windows.count, windows[last + 1].lowerBound - end <= gapMax,
            windows[last + 1].upperBound <= text.count,
            startBytes.firstIndex(in: text, from: end, to: windows[last + 1].lowerBound) == nil
        {
            last += 1
            end = windows[last].upperBound
        }
        return (end, last)
    }

    private static let gapMax = 64

    /// Brings matches into their order and drops what several detectors of a rule found alike.
    package static func sort(_ matches: inout [RuleMatch]) {
        matches.sort {
            if $0.range.lowerBound != $1.range.lowerBound { return $0.range.lowerBound < $1.range.lowerBound }
            if $0.range.upperBound != $1.range.upperBound { return $0.range.upperBound > $1.range.upperBound }
            return $0.rule < $1.rule
        }
        var kept = 0
        for index in matches.indices {
            if kept > 0, matches[kept - 1].rule == matches[index].rule,
                matches[kept - 1].range == matches[index].range
            {
                continue
            }
            matches[kept] = matches[index]
            kept += 1
        }
        matches.removeSubrange(kept...)
    }
}
