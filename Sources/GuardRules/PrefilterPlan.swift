internal import GuardCore
internal import GuardMatching

/// The detectors of all rules in flat lists, one list and one filter for each view: one pass over a view's text
/// says which of its detectors run, and rules that cannot match cost nothing.
struct PrefilterPlan: Sendable {
    struct Place: Sendable {
        /// Index in `RuleBundle.rules`.
        var rule: Int
        var detector: Detector
    }

    /// A class, because one is picked for each reading.
    final class View: Sendable {
        /// By rule, then as in the rule: the filter's pattern numbers.
        let detectors: [Place]
        let filter: LiteralFilter
        /// `Pattern.startBytes` of each detector.
        let startBytes: [ByteSet]

        /// - Parameters:
        ///   - rules: of all, ascending.
        ///   - filters: false: no literals are looked for, all detectors run on every text.
        init(_ rules: [CompiledRule], filters: Bool, where isWanted: (CompiledRule) -> Bool) {
            var detectors: [Place] = []
            var literals: [RequiredLiterals] = []
            for rule in rules where rule.isFlat && isWanted(rule) {
                for detector in rule.composed?.detectors ?? rule.detectors {
                    detectors.append(Place(rule: rule.index, detector: detector))
                    literals.append(filters ? PrefilterPlan.literals(of: detector) : .unknown)
                }
            }
            self.detectors = detectors
            startBytes = detectors.map { $0.detector.pattern.startBytes }
            filter = LiteralFilter(literals)
        }
    }

    let raw: View
    /// A flat rule of the decoded view reads the folded text first.
    let folded: View
    /// Of further readings on input, and of those that show only words in disguise.
    let decoded: View
    let words: View
    /// On output only rules that say `stream:` are asked about them.
    let decodedOutput: View
    let wordsOutput: View
    /// By rule: `CompiledRule.tellsCase`.
    let tellsCase: [Bool]
    let readings: ReadingNeeds
    let composed: ComposedPrefilter
    private let views: [Views]
    private let allViews: Views

    /// What some rules read.
    struct Views: OptionSet {
        let rawValue: UInt8
        static let raw = Views(rawValue: 1)
        static let folded = Views(rawValue: 2)
        /// Further readings beside the folded text, on input.
        static let decoded = Views(rawValue: 4)
        /// And on output.
        static let decodedOutput = Views(rawValue: 8)
        /// As rules that hold by what stands in several places of a reading.
        static let composedDecoded = Views(rawValue: 16)
    }

    /// - Parameters:
    ///   - readings: absent: what these rules need.
    ///   - filters: false: for a few texts, where making the filters costs more than they save.
    init(_ rules: [CompiledRule], readings: ReadingNeeds? = nil, filters: Bool = true) {
        views = rules.map { rule -> Views in
            switch (rule.view, rule.isFlat) {
            case (.raw, true): .raw
            case (.folded, true): .folded
            case (.decoded, true):
                rule.composed == nil ? [.folded, .decoded] : [.folded, .decoded, .decodedOutput]
            case (.decoded, false): [.folded, .composedDecoded]
            case (_, false): []
            }
        }
        allViews = views.reduce(Views()) { $0.union($1) }
        tellsCase = rules.map(\.tellsCase)
        raw = View(rules, filters: filters) { $0.view == .raw }
        folded = View(rules, filters: filters) { $0.view != .raw }
        decoded = View(rules, filters: filters) { $0.view == .decoded }
        words = View(rules, filters: filters) { $0.view == .decoded && Self.looksForWords($0) }
        decodedOutput = View(rules, filters: filters) { $0.view == .decoded && $0.composed != nil }
        wordsOutput = View(rules, filters: filters) {
            $0.view == .decoded && $0.composed != nil && Self.looksForWords($0)
        }
        self.readings = readings ?? ReadingNeeds(rules)
        composed = ComposedPrefilter(rules, filters: filters)
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
    static func looksForWords(_ rule: CompiledRule) -> Bool {
        if rule.tellsCase { return false }
        return (rule.composed?.detectors ?? rule.detectors).contains { detector in
            let literals = detector.required.any
            return !literals.isEmpty
                && literals.allSatisfy { $0.lead == 0 && $0.bytes.count { $0 &- 0x61 < 26 } >= 3 }
        }
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

/// What rules ask of the readings of a text. All rules of a bundle read the same ones.
struct ReadingNeeds: Sendable, Equatable {
    /// Of the rules of the decoded view that look for words.
    var vocabulary: RuleVocabulary
    /// Whether a rule holds by what stands in several places of a reading.
    var keepsDistant: Bool

    init(_ rules: [CompiledRule]) {
        let readers = rules.filter {
            $0.view == .decoded && ($0.isFlat ? PrefilterPlan.looksForWords($0) : !$0.tellsCase)
        }
        vocabulary = RuleVocabulary(
            readers.flatMap { ($0.detectors + ($0.composed?.detectors ?? [])).map(\.pattern.source) })
        keepsDistant = rules.contains { $0.view == .decoded && !$0.isFlat }
    }

    /// Of two sets of rules together.
    func union(_ other: ReadingNeeds) -> ReadingNeeds {
        var union = self
        union.vocabulary = vocabulary.union(other.vocabulary)
        union.keepsDistant = keepsDistant || other.keepsDistant
        return union
    }
}
