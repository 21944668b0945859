import GuardCore
package import GuardMatching
package import GuardRules

/// Judges a complete text by some rules: their indexes in the bundle, ascending. Adds the nanoseconds that classifiers
/// take.
package typealias WholeJudge =
    @Sendable (Span<UInt8>, [Int], (any TokenCounting)?, inout MatchScratch, inout UInt64) -> Evaluation

/// Matches of allowances; raw.
struct AllowedMatches: Sendable {
    /// By entry of the plan. Those of one entry are ascending, in starts and in ends.
    private var ranges: [Int: [ByteRange]] = [:]

    var isEmpty: Bool { ranges.isEmpty }

    mutating func append(_ range: ByteRange, of entry: Int) { ranges[entry, default: []].append(range) }

    /// Forgets what ends at or before `offset`.
    mutating func prune(before offset: Int) {
        for (entry, list) in ranges where (list.first?.upperBound ?? .max) <= offset {
            let kept = list.filter { $0.upperBound > offset }
            ranges[entry] = kept.isEmpty ? nil : kept
        }
    }

    func covers(_ range: ByteRange, by entry: Int) -> Bool {
        guard let list = ranges[entry] else { return false }
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].lowerBound <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        return low > 0 && list[low - 1].upperBound >= range.upperBound
    }
}

/// The rules of a channel that judge complete texts, and the text that they still need.
///
/// With `stream: hold` nothing leaves before the channel's end. With `stream: cut` windows of `WholeStream.windowBytes`
/// begin at every half window and end with the character that fills them, whatever the cuts of the stream; text leaves
/// when the window that begins behind it is the next to be judged.
struct WholeState: Sendable {
    struct Rule: Sendable {
        /// Index in the plan's rules.
        var rule: Int
        var stream: WholeStream
        /// What the window before found: windows overlap.
        var found: Set<ByteRange> = []
        /// The channel is longer than `holdBytes`: a rule that only reports gives up.
        var isTooLong = false
    }

    private(set) var rules: [Rule] = []
    /// Whole characters from `base` on.
    private(set) var text: [UInt8] = []
    private(set) var base = 0
    /// Where the windows of `stream: cut` are.
    private(set) var windowStart = 0
    private var hasWindows = false

    init(plan: StreamPlan, selection: StreamPlan.Selection) {
        for rule in selection.wholes {
            guard let stream = plan.rules[rule].whole else { continue }
            rules.append(Rule(rule: rule, stream: stream))
        }
        hasWindows = rules.contains { $0.stream == .cut }
    }

    mutating func append(_ bytes: ArraySlice<UInt8>, holdBytes: Int) {
        text += bytes
        guard base + text.count > holdBytes else { return }
        for index in rules.indices where rules[index].stream == .hold { rules[index].isTooLong = true }
        if !hasWindows, text.count > 2 * holdBytes { (base, text) = (base + text.count, []) }
    }

    mutating func removeAll() { (rules, text, hasWindows) = ([], [], false) }

    /// Where the next window is full, an offset that may lie inside a character.
    var nextWindowEnd: Int { hasWindows ? windowStart + WholeStream.windowBytes : .max }

    /// Raw offset that nothing behind may leave.
    func floor(_ plan: StreamPlan) -> Int {
        var floor = Int.max
        for rule in rules where Self.holds(plan.rules[rule.rule]) {
            floor = min(floor, rule.stream == .hold ? 0 : windowStart)
        }
        return floor
    }

    /// The rules that hold from `offset` or before: indexes in the plan's rules.
    func holding(upTo offset: Int, _ plan: StreamPlan) -> [Int] {
        rules.filter { rule in
            Self.holds(plan.rules[rule.rule]) && (rule.stream == .hold ? 0 : windowStart) <= offset
        }.map(\.rule)
    }

    private static func holds(_ rule: StreamRule) -> Bool { rule.effect == .mask || rule.effect == .block }

    mutating func drop(_ rule: Int) {
        rules.removeAll { $0.rule == rule }
        hasWindows = rules.contains { $0.stream == .cut }
        if rules.isEmpty { text = [] }
    }

    mutating func note(_ range: ByteRange, at index: Int) -> Bool { rules[index].found.insert(range).inserted }

    /// The text from `start` on.
    func span(from start: Int, to end: Int) -> ArraySlice<UInt8> {
        let low = min(max(start - base, 0), text.count)
        return text[low..<min(max(end - base, low), text.count)]
    }

    /// The next window; forgets what no rule needs.
    mutating func slide() {
        var start = windowStart + WholeStream.windowBytes / 2
        while start - base < text.count, start > base, text[start - base] & 0xC0 == 0x80 { start += 1 }
        windowStart = start
        for index in rules.indices { rules[index].found = rules[index].found.filter { $0.upperBound > start } }
        guard rules.allSatisfy({ $0.stream == .cut || $0.isTooLong }) else { return }
        text.removeFirst(min(start - base, text.count))
        base = start
    }
}

extension ChannelInspector {
    /// Judges what is due: a full window of the rules with `stream: cut`, or, at the end, everything that is left.
    /// Returns the matches of rules that block.
    mutating func judgeWindow(
        final: Bool, _ update: inout ChannelUpdate, _ scratch: inout MatchScratch
    ) -> [BlockMatch] {
        var blocked: [BlockMatch] = []
        // Rules that read the same text are judged together.
        let held = final ? judge(.hold, from: 0, &update, &scratch) : nil
        let cut = judge(.cut, from: wholes.windowStart, &update, &scratch)
        for index in wholes.rules.indices {
            let rule = wholes.rules[index]
            guard let found = rule.stream == .cut ? cut : held else { continue }
            let streamRule = plan.rules[rule.rule]
            let start = rule.stream == .cut ? wholes.windowStart : 0
            if rule.isTooLong {
                // Only of rules that report: nothing was held for them.
                update.failures.append(
                    StreamFailure(reason: .openMatchDropped, rule: streamRule.rule, offset: start))
                continue
            }
            for failure in found.failures where failure.rule == streamRule.rule {
                update.failures.append(
                    StreamFailure(reason: .whole(failure.reason), rule: streamRule.rule, offset: start))
            }
            for match in found.matches where match.rule == streamRule.rule {
                let range = (match.range.lowerBound + start)..<(match.range.upperBound + start)
                guard !isAllowed(range, streamRule.rule), wholes.note(range, at: index) else { continue }
                update.findings.append(
                    StreamMatch(
                        rule: streamRule.rule, range: range, score: match.score, explanation: match.explanation))
                switch streamRule.effect {
                case .mask: insert(PendingMask(range: range, rule: streamRule.rule, text: match.mask ?? []))
                case .block: blocked.append(BlockMatch(entry: -1, rule: streamRule.rule, range: range))
                case .report, .allow: break
                }
            }
        }
        if final {
            wholes.removeAll()
        } else {
            wholes.slide()
            let isActing = wholes.rules.contains { rule in
                rule.stream == .cut && [.mask, .block].contains(plan.rules[rule.rule].effect)
            }
            if isActing { update.leaked = true }
        }
        return blocked
    }

    /// `nil`: no rule of this kind.
    private func judge(
        _ stream: WholeStream, from start: Int, _ update: inout ChannelUpdate, _ scratch: inout MatchScratch
    ) -> Evaluation? {
        let due = wholes.rules.filter { $0.stream == stream }
        if due.isEmpty { return nil }
        let rules = due.filter { !$0.isTooLong }.map { plan.rules[$0.rule].rule }.sorted()
        if rules.isEmpty { return Evaluation() }
        return plan.judgeWhole(
            Array(wholes.span(from: start, to: holding.raw)).span, rules, tokens, &scratch, &update.classifyNanoseconds)
    }

    private func isAllowed(_ range: ByteRange, _ rule: Int) -> Bool {
        if allowed.isEmpty { return false }
        return plan.entries.indices.contains { entry in
            plan.entries[entry].effect == .allow && allowed.covers(range, by: entry)
                && plan.rules[plan.entries[entry].rule].suppresses.contains(rule)
        }
    }
}
