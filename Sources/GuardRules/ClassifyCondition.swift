internal import GuardClassifiers
internal import GuardCore
internal import GuardYAML

/// `classify: {model: models/injection.gclf, label: injection, threshold: 0.91}`: holds where a window of the text scores at
/// least the threshold for the label. Windows that do and touch are one match, with the highest score of them.
///
/// The model reads the folded view, whatever the rule's view is: it was trained on it.
package struct ClassifyCondition: Sendable {
    let model: LinearClassifier
    let label: Int
    let threshold: Double

    func matches(in raw: Span<UInt8>, _ run: inout ComposedRule.Run) -> [ComposedRule.Match] {
        let folded = FoldedView(raw: raw)
        var matches: [ComposedRule.Match] = []
        // The fold leaves ASCII its case; the features are of lower-case text.
        let lower = folded.text.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }
        for window in model.windows(lower.span) where window.scores[label] >= threshold {
            let range = folded.rawRange(of: window.range)
            guard !range.isEmpty else { continue }
            let score = window.scores[label]
            if let last = matches.indices.last, range.lowerBound <= matches[last].range.upperBound {
                matches[last].range = matches[last].range.lowerBound..<range.upperBound
                matches[last].score = max(matches[last].score ?? 0, score)
            } else {
                matches.append(ComposedRule.Match(range: range, score: score))
            }
        }
        guard let mask = run.mask else { return matches }
        for index in matches.indices {
            matches[index].mask = mask.render(raw, range: matches[index].range) { _ in nil }
        }
        return matches
    }
}

extension ConditionCompiler {
    func classify(_ reader: YAMLReader) -> ClassifyCondition? {
        guard let map = reader.mapping(keys: ["model", "label", "threshold"]) else { return nil }
        let model = map.required("model", in: "'classify'").flatMap { name in
            path(name).flatMap { resources.file($0, for: name) }.flatMap { resources.model($0, for: name) }
        }
        let threshold = map.required("threshold", in: "'classify'")?.double(in: 0...1)
        guard let label = map.required("label", in: "'classify'"), let name = label.nonEmptyString(), let model
        else { return nil }
        guard let index = model.index(ofLabel: name) else {
            let names = model.labels.map(\.name)
            label.report("the model has no label '\(name)'" + LikelyMeant.suffix(name, among: names, all: names))
            return nil
        }
        return threshold.map { ClassifyCondition(model: model, label: index, threshold: $0) }
    }
}
