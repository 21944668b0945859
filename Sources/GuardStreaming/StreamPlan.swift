package import GuardCore
package import GuardMatching
package import GuardRules

/// One rule as a stream runs it: what it does with a match, and how long it may hold text.
package struct StreamRule: Sendable {
    /// After modes: in monitor mode every rule only reports, so nothing is held and nothing is edited.
    package enum Effect: Sendable, Hashable {
        case report, mask, block
        /// What lies wholly inside a match is no match of the rules in `suppresses`.
        case allow
    }
    package enum Overflow: Sendable, Hashable { case block, release }

    package struct Detector: Sendable {
        package var pattern: Pattern
        /// Asked at the end of each candidate; the text is that of the rule's view. Depends on the candidate only.
        package var validate: Validate?
        /// All must accept a match for it to count; what they wait for is held.
        package var contexts: [ContextCondition] = []

        package typealias Validate =
            @Sendable (UnsafeBufferPointer<UInt8>, Captures, inout ValidatorWork) -> Bool

        package init(pattern: Pattern, validate: Validate? = nil) {
            self.pattern = pattern
            self.validate = validate
        }
    }

    /// The rule's index in its bundle, as matches report it.
    package var rule: Int
    package var effect: Effect
    /// What happens when a match that is open outgrows the channel's `holdBytes`.
    package var onHoldOverflow: Overflow
    /// Matched against the folded view; otherwise the raw text.
    package var isFolded: Bool
    package var detectors: [Detector]
    /// The text that stands in for a match: from the view's text, the match's range in it, the pattern's groups, the raw
    /// text, and what a range of the view stands for in that. Only for `mask`.
    package var maskText: MaskText?
    /// Of `effect: .allow`: rules by their index in the bundle.
    package var suppresses: [Int] = []
    /// Set where the rule judges complete texts only (`StreamPlan.judgeWhole`); it has no detectors then. `hold`: judged
    /// when the channel ends. `cut`: judged in windows. What only reports holds nothing either way.
    package var whole: WholeStream?

    package typealias MaskText =
        @Sendable (Span<UInt8>, ByteRange, (Int) -> ByteRange?, Span<UInt8>, (ByteRange) -> ByteRange) -> [UInt8]

    package init(
        rule: Int, effect: Effect, onHoldOverflow: Overflow = .block, isFolded: Bool = false, detectors: [Detector],
        maskText: MaskText? = nil
    ) {
        self.rule = rule
        self.effect = effect
        self.onHoldOverflow = onHoldOverflow
        self.isFolded = isFolded
        self.detectors = detectors
        self.maskText = maskText
    }
}

/// The output rules of one snapshot, laid out for streams: made once, shared by all answers.
///
/// `StartTable` says for the new bytes which detectors may have a new start; all others without an open start are skipped.
package final class StreamPlan: Sendable {
    package let rules: [StreamRule]
    package let judgeWhole: WholeJudge
    /// Largest number of bytes of one channel that are held before `onHoldOverflow` acts.
    package let holdBytes: Int

    /// A class, so that running one costs one reference and not one for each of its parts.
    final class Entry: Sendable {
        /// Index into `rules`.
        let rule: Int
        let pattern: Pattern
        let validate: StreamRule.Detector.Validate?
        let isFolded: Bool
        let effect: StreamRule.Effect
        let contexts: [ContextCondition]
        /// Entries of the allowances that can suppress its matches.
        let allowances: [Int]
        /// Nothing but its pattern decides about a match.
        let isPlain: Bool

        init(_ rule: Int, _ streamRule: StreamRule, _ detector: StreamRule.Detector, allowances: [Int]) {
            self.rule = rule
            pattern = detector.pattern
            validate = detector.validate
            isFolded = streamRule.isFolded
            effect = streamRule.effect
            contexts = detector.contexts
            self.allowances = allowances
            isPlain = detector.contexts.isEmpty && allowances.isEmpty
        }
    }

    let entries: [Entry]
    let starts: StartTable
    let words: Int
    /// Entries of the folded view.
    let folded: [UInt64]
    /// Entries whose open starts hold text.
    let holding: [UInt64]
    /// The others.
    let reporting: [UInt64]
    let hasFolded: Bool
    let hasRaw: Bool
    /// Indexes in `rules` of those that judge complete texts.
    let wholes: [Int]
    let rawLookbehind: Int
    let foldedLookbehind: Int

    /// - Parameters:
    ///   - isLight: for a few answers: starts are not tested, which takes long to prepare.
    ///   - judgeWhole: of the rules that judge complete texts.
    package convenience init(
        rules: [StreamRule], holdBytes: Int = 65_536, isLight: Bool = false, judgeWhole: @escaping WholeJudge = nobody
    ) {
        self.init(rules: rules, holdBytes: holdBytes, judgeWhole) {
            StartTable($0.map(\.pattern), testedMax: isLight ? 0 : StartTable.testedMax)
        }
    }

    /// A plan of patterns alone has nobody to judge complete texts: a failure, if it is asked to.
    package static let nobody: WholeJudge = { _, rules, _, _, _ in
        var evaluation = Evaluation()
        evaluation.failures = rules.map { ScanFailure(rule: $0, reason: .internal) }
        return evaluation
    }

    /// This plan and further rules that are no allowances. Its entries keep their places.
    package func adding(_ further: [StreamRule]) -> StreamPlan {
        StreamPlan(rules: rules + further, holdBytes: holdBytes, judgeWhole) { [starts, entries] all in
            StartTable(starts, adding: all[entries.count...].map(\.pattern), count: entries.count)
        }
    }

    private init(
        rules: [StreamRule], holdBytes: Int, _ judgeWhole: @escaping WholeJudge, starts: ([Entry]) -> StartTable
    ) {
        self.rules = rules
        self.judgeWhole = judgeWhole
        self.holdBytes = max(1, holdBytes)
        var entries: [Entry] = []
        // Allowances first, so that in each step they are ahead of what they suppress.
        let ordered = rules.indices.sorted { Self.precedes(rules[$0], rules[$1], $0, $1) }
        for index in ordered {
            let rule = rules[index]
            let allowances =
                rule.effect == .allow
                ? []
                : entries.indices.filter {
                    entries[$0].effect == .allow && rules[entries[$0].rule].suppresses.contains(rule.rule)
                }
            for detector in rule.detectors { entries.append(Entry(index, rule, detector, allowances: allowances)) }
        }
        // An allowance holds text if it can suppress what changes the answer.
        let acting = Set(rules.lazy.filter { $0.effect == .mask || $0.effect == .block }.map(\.rule))
        self.entries = entries
        self.starts = starts(entries)
        wholes = rules.indices.filter { rules[$0].whole != nil }
        words = (entries.count + 63) / 64
        var holding = [UInt64](repeating: 0, count: words)
        var folded = holding
        for (index, entry) in entries.enumerated() {
            let bit: UInt64 = 1 << UInt64(index % 64)
            let isHolding =
                switch entry.effect {
                case .report: false
                case .mask, .block: true
                case .allow: rules[entry.rule].suppresses.contains { acting.contains($0) }
                }
            if isHolding { holding[index / 64] |= bit }
            if entry.isFolded { folded[index / 64] |= bit }
        }
        self.folded = folded
        self.holding = holding
        reporting = holding.map { ~$0 }
        hasFolded = entries.contains { $0.isFolded }
        hasRaw = entries.contains { !$0.isFolded }
        rawLookbehind = entries.lazy.filter { !$0.isFolded }.map(\.lookbehind).max() ?? 0
        foldedLookbehind = entries.lazy.filter(\.isFolded).map(\.lookbehind).max() ?? 0
    }

    private static func precedes(_ left: StreamRule, _ right: StreamRule, _ leftIndex: Int, _ rightIndex: Int) -> Bool {
        if (left.effect == .allow) != (right.effect == .allow) { return left.effect == .allow }
        return leftIndex < rightIndex
    }

    /// What the rule with this index in its bundle does.
    func effect(ofRule rule: Int) -> StreamRule.Effect { rules.first { $0.rule == rule }?.effect ?? .report }

    /// The rules that judge one channel: `select` gets the index in `rules`.
    package func selection(where select: (Int) -> Bool) -> Selection {
        var bits = [UInt64](repeating: 0, count: words)
        for (index, entry) in entries.enumerated() where select(entry.rule) {
            bits[index / 64] |= 1 << UInt64(index % 64)
        }
        return Selection(bits: bits, wholes: wholes.filter(select))
    }

    package var all: Selection { selection { _ in true } }

    /// Which rules of a plan judge a channel.
    package struct Selection: Sendable, Hashable {
        var bits: [UInt64]
        var wholes: [Int]
        package var isEmpty: Bool { bits.allSatisfy { $0 == 0 } && wholes.isEmpty }
    }
}

extension StreamPlan.Entry {
    /// Characters before an open start that must still be there when it is searched again.
    var lookbehind: Int { max(pattern.windowLookbehind, contexts.map(\.windowLookbehind).max() ?? 0) }
}
