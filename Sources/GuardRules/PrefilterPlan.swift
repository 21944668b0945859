internal import GuardCore
internal import GuardMatching

/// The detectors of all rules in flat lists, one list and one automaton for each view: one pass over a view's text
/// says which of its detectors run, and rules that cannot match cost nothing.
struct PrefilterPlan: Sendable {
    struct Place: Sendable {
        /// Index in `RuleBundle.rules`.
        var rule: Int
        /// Index in the rule's detectors.
        var detector: Int
    }

    struct View: Sendable {
        /// By rule, then as in the rule: the automaton's pattern numbers.
        let detectors: [Place]
        let automaton: LiteralAutomaton
        /// `Pattern.startBytes` of each detector.
        let startBytes: [ByteSet]

        init(_ rules: [CompiledRule], _ view: TextView) {
            var detectors: [Place] = []
            var literals: [RequiredLiterals] = []
            for rule in rules where rule.view == view {
                for (index, detector) in rule.detectors.enumerated() {
                    detectors.append(Place(rule: rule.index, detector: index))
                    // What these find depends on where the search began.
                    let isPlaceBound = detector.pattern.usesBackslashG || detector.pattern.usesSearchVerbs
                    literals.append(isPlaceBound ? .unknown : detector.required)
                }
            }
            self.detectors = detectors
            startBytes = detectors.map { rules[$0.rule].detectors[$0.detector].pattern.startBytes }
            automaton = LiteralAutomaton(literals)
        }
    }

    let raw: View
    let folded: View
    private let isFolded: [Bool]

    init(_ rules: [CompiledRule]) {
        isFolded = rules.map { $0.view == .folded }
        raw = View(rules, .raw)
        folded = View(rules, .folded)
    }

    /// Which views the rules read.
    func views(of selected: [Int]) -> (raw: Bool, folded: Bool) {
        var views = (raw: false, folded: false)
        for rule in selected {
            if isFolded[rule] { views.folded = true } else { views.raw = true }
            if views.raw, views.folded { break }
        }
        return views
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
