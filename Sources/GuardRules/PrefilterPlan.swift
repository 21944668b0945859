internal import GuardCore
internal import GuardMatching

/// The detectors of all rules in flat lists, one list and one filter for each view: one pass over a view's text
/// says which of its detectors run, and rules that cannot match cost nothing.
struct PrefilterPlan: Sendable {
    struct Place: Sendable {
        /// Index in `RuleBundle.rules`.
        var rule: Int
        /// Index in the rule's detectors.
        var detector: Int
    }

    struct View: Sendable {
        /// By rule, then as in the rule: the filter's pattern numbers.
        let detectors: [Place]
        let filter: LiteralFilter
        /// `Pattern.startBytes` of each detector.
        let startBytes: [ByteSet]

        init(_ rules: [CompiledRule], _ view: TextView) {
            var detectors: [Place] = []
            var literals: [RequiredLiterals] = []
            // A flat rule of the decoded view reads the folded text first, and further readings by the same plan.
            for rule in rules where rule.view == view || view == .folded && rule.view == .decoded {
                for (index, detector) in rule.detectors.enumerated() {
                    detectors.append(Place(rule: rule.index, detector: index))
                    literals.append(PrefilterPlan.literals(of: detector))
                }
            }
            self.detectors = detectors
            startBytes = detectors.map { rules[$0.rule].detectors[$0.detector].pattern.startBytes }
            filter = LiteralFilter(literals)
        }
    }

    let raw: View
    let folded: View
    let composed: ComposedPrefilter
    private let views: [Views]
    private let allViews: Views
    private let looksForWords: [Bool]

    /// What some rules read.
    struct Views: OptionSet {
        let rawValue: UInt8
        static let raw = Views(rawValue: 1)
        static let folded = Views(rawValue: 2)
        /// Further readings beside the folded text.
        static let decoded = Views(rawValue: 4)
        /// As composed rules, which have detectors of their own.
        static let composedDecoded = Views(rawValue: 8)
    }

    init(_ rules: [CompiledRule]) {
        views = rules.map { rule -> Views in
            switch (rule.view, rule.composed == nil) {
            case (.raw, true): .raw
            case (.folded, true): .folded
            case (.decoded, true): [.folded, .decoded]
            case (.decoded, false): [.folded, .composedDecoded]
            case (_, false): []
            }
        }
        allViews = views.reduce(Views()) { $0.union($1) }
        looksForWords = rules.map(Self.looksForWords)
        raw = View(rules, .raw)
        folded = View(rules, .folded)
        composed = ComposedPrefilter(rules)
    }

    func views(of selected: [Int]) -> Views {
        var found: Views = []
        for rule in selected {
            found.formUnion(views[rule])
            if found == allViews { break }
        }
        return found
    }

    /// Whether words in disguise (`DecodedView.Reading.isOfWords`) are what a rule looks for: letters in a row of either
    /// case. What digits and signs mean in numbers, addresses and keys is what they are.
    private static func looksForWords(_ rule: CompiledRule) -> Bool {
        if rule.tellsCase { return false }
        return rule.detectors.contains { detector in
            let literals = detector.required.any
            return !literals.isEmpty && literals.allSatisfy { $0.bytes.count { $0 &- 0x61 < 26 } >= 3 }
        }
    }

    /// The rules of the decoded view among `selected`, by their detectors, that a reading of this kind is judged by.
    func readers(_ selected: [Int], ofWords: Bool) -> [Int] {
        selected.filter { views[$0].contains(.decoded) && (!ofWords || looksForWords[$0]) }
    }

    /// What these patterns find depends on where the search began.
    static func literals(of detector: Detector) -> RequiredLiterals {
        detector.pattern.usesBackslashG || detector.pattern.usesSearchVerbs ? .unknown : detector.required
    }

    /// `selected` is ascending.
    func contains(_ selected: [Int], _ rule: Int) -> Bool {
        var low = 0
        var high = selected.count
        while low < high {
            let middle = (low + high) / 2
            if selected[middle] < rule { low = middle + 1 } else { high = middle }
        }
        return low < selected.count && selected[low] == rule
    }
}
