import GuardCore
import GuardMatching
import GuardRules
import GuardStreaming

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

    init(rules: [StreamRule], text: [UInt8]) {
        self.rules = rules
        self.text = text
        for end in 0...text.count where end == text.count || text[end] & 0xC0 != 0x80 {
            let state = Self.state(rules, Array(text[..<end]), .partialHard)
            states[end] = state
            if !state.blocking.isEmpty {
                result = Self.result(state, text, provenAt: end)
                return
            }
        }
        let state = Self.state(rules, text, .complete)
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

    static func state(_ rules: [StreamRule], _ text: [UInt8], _ mode: MatchMode) -> State {
        var state = State()
        var scratch = MatchScratch()
        let folded = FoldedView(raw: text)
        var end = text.count
        var masks: [(range: ByteRange, rule: Int, mask: [UInt8])] = []
        var blocking: Set<Int> = []
        for rule in rules {
            let view = rule.isFolded ? folded.text : text
            for detector in rule.detectors {
                var from = 0
                search: while from <= view.count {
                    let outcome = view.withUnsafeBufferPointer { buffer in
                        detector.pattern.firstMatch(in: view.span, from: from, mode: mode, scratch: &scratch) {
                            detector.validate?(buffer, $0) ?? true
                        }
                    }
                    switch outcome {
                    case .none: break search
                    case .failed: break search
                    case .partial(let start):
                        if rule.effect != .report, start < view.count {
                            end = min(end, rule.isFolded ? folded.rawStart(of: start) : start)
                        }
                        break search
                    case .match(let range):
                        let raw = rule.isFolded ? folded.rawRange(of: range) : range
                        state.findings.insert(StreamMatch(rule: rule.rule, range: raw))
                        from = range.upperBound
                        switch rule.effect {
                        case .report: break
                        case .mask:
                            let text = rule.maskText?(view.span, range) { scratch.capture($0) } ?? []
                            masks.append((raw, rule.rule, text))
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

/// Feeds `pieces` to an inspector and tells what came of it; `check` sees the inspector's state after every piece.
func inspect(
    _ plan: StreamPlan, _ pieces: [ArraySlice<UInt8>], check: (Int, ChannelUpdate) -> Void = { _, _ in }
) -> StreamOracle.Result {
    var scratch = MatchScratch()
    var inspector = ChannelInspector(plan: plan)
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

/// A small generator of numbers that is the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

func randomPieces(
    _ text: [UInt8], _ generator: inout SeededGenerator, largest: Int = 7
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
