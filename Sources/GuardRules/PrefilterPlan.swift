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
            // A flat rule of the decoded view reads the folded text first, and further readings by the same plan.
            for rule in rules where rule.view == view || view == .folded && rule.view == .decoded {
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
    private let views: [TextView]
    private let isComposed: [Bool]

    init(_ rules: [CompiledRule]) {
        views = rules.map(\.view)
        isComposed = rules.map { $0.composed != nil }
        raw = View(rules, .raw)
        folded = View(rules, .folded)
    }

    /// Which views the rules read; rules of the decoded view read the folded one as well.
    func views(of selected: [Int]) -> (raw: Bool, folded: Bool, decoded: Bool) {
        var found = (raw: false, folded: false, decoded: false)
        for rule in selected {
            switch views[rule] {
            case .raw: found.raw = true
            case .folded: found.folded = true
            case .decoded: found.decoded = true
            }
        }
        found.folded = found.folded || found.decoded
        return found
    }

    /// By its detectors, not as a composed rule.
    func readsDecoded(_ rule: Int) -> Bool { views[rule] == .decoded && !isComposed[rule] }

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
