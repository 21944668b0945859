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

    package init(rule: Int, range: ByteRange, mask: [UInt8]?) {
        self.rule = rule
        self.range = range
        self.mask = mask
    }
}

/// A rule could not be judged on a text: the scan is not complete, and never "clean".
package struct ScanFailure: Sendable, Hashable {
    package enum Reason: String, Sendable, Hashable, CaseIterable {
        case matchLimit = "match_limit"
        case heapLimit = "heap_limit"
        case tooManyMatches = "too_many_matches"
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
    var folded = FoldedView()
    var rawSketch = TextSketch()
    var foldedSketch = TextSketch()

    package init(limits: MatchLimits = MatchLimits(), matchesMax: Int = 100_000) {
        match = MatchScratch(limits: limits)
        self.matchesMax = matchesMax
    }
}

extension RuleBundle {
    /// Judges a complete text by some of the rules (`RuleSelection.rules(for:)`), each on its own view of the text.
    ///
    /// - Parameter text: valid UTF-8.
    package func evaluate(_ text: Span<UInt8>, rules selected: [Int], scratch: inout EvaluationScratch) -> Evaluation {
        var evaluation = Evaluation()
        if selected.isEmpty || text.isEmpty { return evaluation }
        var hasRaw = false
        var hasFolded = false
        // Moved out, so that the scratch stays free to be passed on while a span of the view is alive.
        var folded = FoldedView()
        swap(&folded, &scratch.folded)
        for index in selected {
            if prefilter.isFolded[index] {
                if !hasFolded {
                    hasFolded = true
                    folded.removeAll()
                    folded.append(text)
                    folded.finish()
                    scratch.foldedSketch.reset(to: folded.text.span)
                }
                if scratch.usesPrefilter, !prefilter.mayMatch(index, scratch.foldedSketch) { continue }
                collect(rules[index], folded.text.span, folded, &scratch, &evaluation)
            } else {
                if !hasRaw {
                    hasRaw = true
                    scratch.rawSketch.reset(to: text)
                }
                if scratch.usesPrefilter, !prefilter.mayMatch(index, scratch.rawSketch) { continue }
                collect(rules[index], text, nil, &scratch, &evaluation)
            }
        }
        swap(&folded, &scratch.folded)
        if hasComposed { evaluateComposed(text, rules: selected, scratch: &scratch, &evaluation) }
        if evaluation.matches.count > 1 { Self.sort(&evaluation.matches) }
        return evaluation
    }

    private func collect(
        _ rule: CompiledRule, _ text: Span<UInt8>, _ view: FoldedView?, _ scratch: inout EvaluationScratch,
        _ evaluation: inout Evaluation
    ) {
        detectors: for detector in rule.detectors {
            if scratch.usesPrefilter {
                let possible =
                    view == nil
                    ? detector.required.mayOccur(in: scratch.rawSketch)
                    : detector.required.mayOccur(in: scratch.foldedSketch)
                if !possible { continue }
            }
            var from = 0
            while from < text.count {
                switch detector.firstMatch(in: text, from: from, mode: .complete, scratch: &scratch.match) {
                case .none, .partial: continue detectors
                case .failed(let failure):
                    evaluation.failures.append(ScanFailure(rule: rule.index, reason: .init(failure)))
                    continue detectors
                case .match(let range):
                    guard evaluation.matches.count < scratch.matchesMax else {
                        evaluation.failures.append(ScanFailure(rule: rule.index, reason: .tooManyMatches))
                        return
                    }
                    let mask = rule.mask?.render(text, range: range) { scratch.match.capture($0) }
                    evaluation.matches.append(
                        RuleMatch(rule: rule.index, range: view?.rawRange(of: range) ?? range, mask: mask))
                    // A match is never empty, so this moves on.
                    from = range.upperBound
                }
            }
        }
    }

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
