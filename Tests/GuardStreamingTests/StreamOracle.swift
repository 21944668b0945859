import GuardCore
import GuardMatching
import GuardRules
import GuardStreaming
import GuardTesting

/// The slow, obvious meaning of a stream: every rule with PARTIAL_HARD over the whole text so far, after every
/// character, nothing kept from one prefix to the next.
struct StreamOracle {
    struct State: Equatable {
        var released = 0
        var edits: [StreamEdit] = []
        var findings: Set<StreamMatch> = []
        /// Rules that block at this prefix.
        var blocking: [Int] = []
    }

    struct Result: Equatable {
        var released = 0
        var edits: [StreamEdit] = []
        var findings: Set<StreamMatch> = []
        var block: [Int]?
        var provenAt: Int?
        var delivered: [UInt8] = []
    }

    let rules: [StreamRule]
    let text: [UInt8]
    /// State at each character boundary up to the one that proves a block, by prefix length.
    private(set) var states: [Int: State] = [:]
    private(set) var result = Result()

    init(_ plan: StreamPlan, text: [UInt8], tokens: (any TokenCounting)? = nil) {
        rules = plan.rules
        self.text = text
        var scratch = MatchScratch()
        for end in 0...text.count where end == text.count || text[end] & 0xC0 != 0x80 {
            let state = Self.state(plan, Array(text[..<end]), .partialHard, tokens, &scratch)
            states[end] = state
            if !state.blocking.isEmpty {
                result = Self.result(state, text, provenAt: end)
                return
            }
        }
        let state = Self.state(plan, text, .complete, tokens, &scratch)
        result = Self.result(state, text, provenAt: state.blocking.isEmpty ? nil : text.count)
    }

    private static func result(_ state: State, _ text: [UInt8], provenAt: Int?) -> Result {
        Result(
            released: state.released, edits: state.edits, findings: state.findings,
            block: provenAt == nil ? nil : state.blocking, provenAt: provenAt,
            delivered: apply(state.edits, to: text, until: state.released))
    }

    static func apply(_ edits: [StreamEdit], to text: [UInt8], until end: Int) -> [UInt8] {
        var out: [UInt8] = []
        var at = 0
        for edit in edits {
            out += text[at..<edit.range.lowerBound] + edit.text
            at = edit.range.upperBound
        }
        return out + text[at..<end]
    }

    static func state(
        _ plan: StreamPlan, _ text: [UInt8], _ mode: MatchMode, _ tokens: (any TokenCounting)?,
        _ scratch: inout MatchScratch
    ) -> State {
        let rules = plan.rules
        var state = State()
        var nanoseconds: UInt64 = 0
        let folded = FoldedView(raw: text)
        var end = text.count
        var masks: [(range: ByteRange, rule: Int, mask: [UInt8])] = []
        var blocking: Set<Int> = []
        // Allowances first: what they may still cover is open.
        var allowed: [(range: ByteRange, suppresses: [Int])] = []
        var mayAllow: [(start: Int, suppresses: [Int])] = []
        let acting = Set(rules.filter { $0.effect == .mask || $0.effect == .block }.map(\.rule))
        for rule in rules.filter({ $0.effect == .allow }) + rules.filter({ $0.effect != .allow }) {
            let holds =
                rule.effect == .allow ? rule.suppresses.contains { acting.contains($0) } : rule.effect != .report
            if rule.whole != nil {
                if mode == .partialHard {
                    if holds { end = 0 }
                } else {
                    for match in plan.judgeWhole(text.span, [rule.rule], tokens, &scratch, &nanoseconds).matches {
                        state.findings.insert(
                            StreamMatch(
                                rule: rule.rule, range: match.range, score: match.score, explanation: match.explanation)
                        )
                        if rule.effect == .mask { masks.append((match.range, rule.rule, match.mask ?? [])) }
                        if rule.effect == .block {
                            blocking.insert(rule.rule)
                            end = min(end, match.range.lowerBound)
                        }
                    }
                }
                continue
            }
            let view = rule.isFolded ? folded.text : text
            for detector in rule.detectors {
                var from = 0
                search: while from <= view.count {
                    var work = ValidatorWork()
                    let outcome = view.withUnsafeBufferPointer { buffer in
                        detector.pattern.firstMatch(in: view.span, from: from, mode: mode, scratch: &scratch) {
                            detector.validate?(buffer, $0, &work) ?? true
                        }
                    }
                    switch outcome {
                    case .none: break search
                    case .failed: break search
                    case .partial(let start):
                        if rule.effect == .allow, start < view.count {
                            mayAllow.append((rule.isFolded ? folded.rawStart(of: start) : start, rule.suppresses))
                        }
                        if holds, start < view.count {
                            end = min(end, rule.isFolded ? folded.rawStart(of: start) : start)
                        }
                        break search
                    case .match(let range):
                        let raw = rule.isFolded ? folded.rawRange(of: range) : range
                        var verdicts = detector.contexts.map { verdict($0, range, view, mode) }
                        if allowed.contains(where: {
                            $0.suppresses.contains(rule.rule) && $0.range.lowerBound <= raw.lowerBound
                                && raw.upperBound <= $0.range.upperBound
                        }) {
                            verdicts.append(.rejected)
                        } else if mayAllow.contains(where: {
                            $0.suppresses.contains(rule.rule) && $0.start <= raw.lowerBound
                        }) {
                            verdicts.append(.open)
                        }
                        if verdicts.contains(.rejected) {
                            from = range.upperBound
                            continue search
                        }
                        if verdicts.contains(.open) {
                            if rule.effect == .allow { mayAllow.append((raw.lowerBound, rule.suppresses)) }
                            if holds { end = min(end, raw.lowerBound) }
                            break search
                        }
                        if !detector.contexts.isEmpty {
                            // The groups again.
                            _ = view.withUnsafeBufferPointer { buffer in
                                detector.pattern.firstMatch(in: view.span, from: from, mode: mode, scratch: &scratch) {
                                    detector.validate?(buffer, $0, &work) ?? true
                                }
                            }
                        }
                        if rule.effect == .allow { allowed.append((raw, rule.suppresses)) }
                        state.findings.insert(StreamMatch(rule: rule.rule, range: raw))
                        from = range.upperBound
                        switch rule.effect {
                        case .report, .allow: break
                        case .mask:
                            let mask = rule.maskText?(view.span, range, { scratch.capture($0) }, text.span) {
                                rule.isFolded ? folded.rawRange(of: $0) : $0
                            }
                            masks.append((raw, rule.rule, mask ?? []))
                        case .block:
                            blocking.insert(rule.rule)
                            end = min(end, raw.lowerBound)
                            // Nothing behind the first match of a rule that blocks is of interest.
                            break search
                        }
                    }
                }
            }
        }
        masks.sort {
            ($0.range.lowerBound, -$0.range.upperBound, $0.rule) < ($1.range.lowerBound, -$1.range.upperBound, $1.rule)
        }
        var unions: [StreamEdit] = []
        for mask in masks {
            if let last = unions.indices.last, mask.range.lowerBound < unions[last].range.upperBound {
                let range = unions[last].range
                unions[last].range = range.lowerBound..<max(range.upperBound, mask.range.upperBound)
                unions[last].rules = Array(Set(unions[last].rules + [mask.rule])).sorted()
            } else {
                unions.append(StreamEdit(range: mask.range, text: mask.mask, rules: [mask.rule]))
            }
        }
        for union in unions where union.range.lowerBound < end && union.range.upperBound > end {
            end = union.range.lowerBound
        }
        state.edits = unions.filter { $0.range.upperBound <= end }
        state.released = end
        state.blocking = blocking.sorted()
        return state
    }
}

/// Every character around the match as a start, over the whole text.
private func verdict(
    _ context: ContextCondition, _ match: ByteRange, _ text: [UInt8], _ mode: MatchMode
) -> ContextCondition.Verdict {
    var scratch = MatchScratch()
    let starts = text.indices.filter { text[$0] & 0xC0 != 0x80 }
    let before = starts.filter { $0 < match.lowerBound }.suffix(context.within)
    let behind = starts.filter { $0 >= match.upperBound }
    let end = behind.count > context.within ? behind[context.within] : text.count
    var isOpen = mode == .partialHard && behind.count < context.within
    for alternative in context.alternatives {
        for start in before + behind where start < end {
            let outcome = alternative.pattern.firstMatch(in: text.span, from: start, mode: mode, scratch: &scratch) {
                ($0.range.upperBound <= match.lowerBound)
                    || ($0.range.lowerBound >= match.upperBound && $0.range.upperBound <= end)
            }
            if case .match = outcome { return .accepted }
            if case .partial(let at) = outcome, at < end { isOpen = true }
        }
    }
    return isOpen ? .open : .rejected
}

/// Feeds `pieces` to an inspector and tells what came of it; `check` sees the inspector's state after every piece.
func inspect(
    _ plan: StreamPlan, _ pieces: [ArraySlice<UInt8>], tokens: (any TokenCounting)? = nil,
    check: (Int, ChannelUpdate) -> Void = { _, _ in }
) -> StreamOracle.Result {
    var scratch = MatchScratch()
    var inspector = ChannelInspector(plan: plan, tokens: tokens)
    var result = StreamOracle.Result()
    var released = 0
    func take(_ update: ChannelUpdate) {
        for edit in update.edits {
            result.delivered += inspector.bytes(in: released..<edit.range.lowerBound) + edit.text
            released = edit.range.upperBound
        }
        result.delivered += inspector.bytes(in: released..<update.releasableEnd)
        released = update.releasableEnd
        result.edits += update.edits
        result.findings.formUnion(update.findings)
        result.released = update.releasableEnd
        if let block = update.block {
            result.block = block.rules
            result.provenAt = block.provenAt
        }
    }
    var fed = 0
    for piece in pieces {
        let update = inspector.append(Array(piece).span, scratch: &scratch)
        fed += piece.count
        take(update)
        check(fed, update)
        if update.block != nil { return result }
    }
    take(inspector.finish(scratch: &scratch))
    return result
}

func randomPieces(
    _ text: [UInt8], _ generator: inout SeededRandom, largest: Int = 7
) -> [ArraySlice<UInt8>] {
    var pieces: [ArraySlice<UInt8>] = []
    var at = 0
    while at < text.count {
        let end = min(text.count, at + Int.random(in: 1...largest, using: &generator))
        pieces.append(text[at..<end])
        at = end
    }
    return pieces
}
