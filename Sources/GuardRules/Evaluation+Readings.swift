internal import GuardCore

extension RuleBundle {
    private struct Place: Hashable {
        var rule: Int
        var range: ByteRange
    }

    /// Judges the readings of the decoded view beside the folded one, which has been judged. What a reading shows at the
    /// very place where the rule has matched already, an address in rot13 say, counts once.
    func evaluateReadings(
        _ readings: [DecodedView.Reading], _ selected: [Int], _ scratch: inout EvaluationScratch,
        _ evaluation: inout Evaluation
    ) {
        if readings.isEmpty { return }
        let decoded = selected.filter { prefilter.readsDecoded($0) }
        var known: Set<Place>?
        for reading in readings {
            var found = Evaluation()
            // Masks are written from what the reading shows: the text itself is encoded there.
            evaluate(reading.text.span, reading.text.span, nil, prefilter.folded, decoded, &scratch, &found)
            for failure in found.failures where !evaluation.failures.contains(failure) {
                evaluation.failures.append(failure)
            }
            for match in found.matches {
                if known == nil {
                    known = Set(evaluation.matches.map { Place(rule: $0.rule, range: $0.range) })
                }
                let range = reading.rawRange(of: match.range)
                guard !range.isEmpty, known?.insert(Place(rule: match.rule, range: range)).inserted == true else {
                    continue
                }
                evaluation.matches.append(RuleMatch(rule: match.rule, range: range, mask: match.mask))
            }
        }
    }
}
