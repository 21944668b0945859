package import GuardCore

extension RuleBundle {
    private struct Place: Hashable {
        var rule: Int
        var range: ByteRange
    }

    /// The readings of the decoded view beside the folded one that rules may be asked about.
    package func furtherReadings(than folded: FoldedView, of raw: Span<UInt8>) -> [DecodedView.Reading] {
        DecodedView.further(
            than: folded, of: raw, keepsDistant: prefilter.readings.keepsDistant,
            vocabulary: prefilter.readings.vocabulary
        ) { _ in true }
    }

    /// Those of them in which one of the selected rules matches.
    package func furtherReadings(
        than folded: FoldedView, of raw: Span<UInt8>, _ selected: [Int], _ phase: Phase,
        _ scratch: inout EvaluationScratch
    ) -> [DecodedView.Reading] {
        if !scratch.usesPrefilter || !scratch.asksForReadings { return furtherReadings(than: folded, of: raw) }
        scratch.readingWork = .init(bytes: DecodedView.bytesMax(of: raw))
        defer { scratch.readingWork = nil }
        return DecodedView.further(
            than: folded, of: raw, keepsDistant: prefilter.readings.keepsDistant,
            vocabulary: prefilter.readings.vocabulary
        ) { isWanted($0, selected, phase, &scratch) }
    }

    /// Whether a rule matches where the reading is judged. What it then says of the match may still be no.
    private func isWanted(
        _ reading: DecodedView.Reading, _ selected: [Int], _ phase: Phase, _ scratch: inout EvaluationScratch
    ) -> Bool {
        let plan = plan(of: reading, phase)
        for stretch in reading.stretches where !plan.detectors.isEmpty {
            var found = Evaluation()
            evaluate(
                reading.text.span, reading.text.span, nil, plan, selected, within: (reading, stretch), &scratch, &found)
            if !found.matches.isEmpty || !found.failures.isEmpty { return true }
        }
        return prefilter.composed.mayHoldDecoded(reading.text.span, &scratch)
    }

    private func plan(of reading: DecodedView.Reading, _ phase: Phase) -> PrefilterPlan.View {
        phase == .input
            ? reading.isOfWords ? prefilter.words : prefilter.decoded
            : reading.isOfWords ? prefilter.wordsOutput : prefilter.decodedOutput
    }

    /// Judges the readings of the decoded view beside the folded one, which has been judged: around what they changed,
    /// and only matches count that have or border it. What a reading shows at the very place where the rule has matched
    /// already, an address in rot13 say, counts once. What the rule would find in the folded text of that place alone
    /// does not count: it has been judged there, with the words around it that a reading in another alphabet loses
    /// (`version 1.2.3.4`). Neither does what a text that is plain English there shows in another alphabet or order.
    func evaluateReadings(
        _ readings: [DecodedView.Reading], of raw: Span<UInt8>, _ selected: [Int], _ phase: Phase,
        _ scratch: inout EvaluationScratch, _ evaluation: inout Evaluation
    ) {
        var known: Set<Place>?
        scratch.readingWork = .init(bytes: readings.reduce(0) { $0 + $1.text.count })
        defer { scratch.readingWork = nil }
        for reading in readings {
            let plan = plan(of: reading, phase)
            for stretch in reading.stretches {
                var found = Evaluation()
                // Masks are written from what the reading shows: the text itself is encoded there.
                evaluate(
                    reading.text.span, reading.text.span, nil, plan, selected, within: (reading, stretch), &scratch,
                    &found)
                for failure in found.failures where !evaluation.failures.contains(failure) {
                    evaluation.failures.append(failure)
                }
                for match in found.matches {
                    if known == nil {
                        known = Set(evaluation.matches.map { Place(rule: $0.rule, range: $0.range) })
                    }
                    let range = reading.rawRange(of: match.range)
                    guard !range.isEmpty,
                        !reading.isTurned
                            || LetterStatistics.shared.isMeant(
                                match.range, in: reading.text.span, as: range, in: raw,
                                isKey: prefilter.tellsCase[match.rule]),
                        known?.insert(Place(rule: match.rule, range: range)).inserted == true,
                        !matchesAlone(match.rule, raw.extracting(range), &scratch)
                    else { continue }
                    // As in one text: a bound of all matches, and a failure beyond it.
                    guard evaluation.matches.count < scratch.matchesMax else {
                        evaluation.failures.append(ScanFailure(rule: match.rule, reason: .tooManyMatches))
                        return
                    }
                    evaluation.matches.append(RuleMatch(rule: match.rule, range: range, mask: match.mask))
                }
            }
        }
    }

    private func matchesAlone(_ rule: Int, _ raw: Span<UInt8>, _ scratch: inout EvaluationScratch) -> Bool {
        let folded = FoldedView(raw: raw)
        var found = Evaluation()
        evaluate(folded.text.span, raw, folded, prefilter.folded, [rule], &scratch, &found)
        return !found.matches.isEmpty
    }
}
