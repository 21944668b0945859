package import GuardCore
package import GuardMatching
package import GuardRules

/// Judges one channel of a streamed answer while its text arrives (DESIGN section 4 "Streams").
///
/// The semantics are those of a slow oracle: after every byte, match every rule on the whole text so far, with
/// PARTIAL_HARD until the channel ends. A rule's matches are final as soon as they are found (nothing that follows can
/// change them); the earliest start that may still become a match is the rule's *open start*. Text before all open
/// starts of the rules that mask or block is released; an edit leaves as soon as no open start lies inside of it, so
/// its union can no longer grow. A block is proven by the shortest prefix at which its rule's first match is final.
///
/// What this does faster, without changing any of that:
/// - a detector without an open start runs only if a match may begin in the new bytes, by what stands before and behind
///   each (`StartTable`); others run from their open start. Where a match may begin at the last byte only, most are open
///   there without a search. Text before is kept only as far as patterns look behind.
/// - *Release timing.* New text is scanned at once while at most `alwaysScannedBytes` are held; beyond, it waits until
///   what is held has grown by a quarter (or the channel ends). All holding rules wait together, so the result is that
///   of the same text arriving in larger pieces, and that does not depend on the cuts: when a late scan finds a block,
///   the shortest proving prefix is searched for and the channel is put to its state at that prefix.
/// - Rules that only report hold nothing and wait on a schedule of their own.
///
/// A match that its context has not decided about, or that an allowance may still cover, counts as open: it is found
/// again and judged when more text came. Rules for complete texts are in `ChannelInspector+Whole.swift`.
package struct ChannelInspector: Sendable {
    /// Held text up to this length is scanned again at every event.
    package static let alwaysScannedBytes = 1024

    package let plan: StreamPlan
    let selection: StreamPlan.Selection
    /// For `tokens` conditions.
    let tokens: (any TokenCounting)?
    var text: ChannelText

    /// By entry: where its next search begins, an absolute offset in its view. Valid where `open` has its bit.
    var next: [Int]
    /// Entries with an open start.
    var open: [UInt64]
    /// `next` and `open` before the step that is being made.
    var savedNext: [Int]
    var savedOpen: [UInt64]
    /// Entries to run in the search that is being made.
    var candidates: [UInt64]
    /// Entries that may begin a match at its last byte, as far as one byte tells.
    var latest: [UInt64]
    /// Up to where the rules that hold have searched.
    var holding: Front
    /// Up to where the rules that report have searched: never further than `holding`.
    var reporting: Front
    /// Matches of masks that no edit has taken up yet, in the order of `RuleBundle.selectEdits`.
    var masks: [PendingMask] = []
    /// Matches of allowances, raw, as long as they may cover something.
    var allowed = AllowedMatches()
    var wholes: WholeState
    /// Smallest open start of the rules that hold, edits that are not final included; raw.
    package private(set) var releasableEnd = 0
    /// What `releasableEnd` was when the holding rules searched last.
    private var heldAtScan = 0
    /// Smallest open start of the rules that report; raw.
    private var reportHeldAtScan = 0
    package private(set) var isFinished = false
    package private(set) var isBlocked = false
    private var isBroken = false

    struct Front: Sendable {
        var raw = 0
        var folded = 0

        static func least(_ one: Front, _ other: Front) -> Front {
            Front(raw: min(one.raw, other.raw), folded: min(one.folded, other.folded))
        }
    }

    struct PendingMask: Sendable {
        var range: ByteRange
        var rule: Int
        var text: [UInt8]
    }

    package init(plan: StreamPlan, selection: StreamPlan.Selection, tokens: (any TokenCounting)? = nil) {
        self.plan = plan
        self.selection = selection
        self.tokens = tokens
        text = ChannelText(folds: plan.hasFolded)
        next = [Int](repeating: 0, count: plan.entries.count)
        open = [UInt64](repeating: 0, count: plan.words)
        savedNext = next
        savedOpen = open
        candidates = open
        latest = open
        wholes = WholeState(plan: plan, selection: selection)
        holding = Front()
        reporting = Front()
    }

    package init(plan: StreamPlan, tokens: (any TokenCounting)? = nil) {
        self.init(plan: plan, selection: plan.all, tokens: tokens)
    }

    /// Bytes that arrived and may not leave.
    package var heldBytes: Int { text.rawEnd - releasableEnd }

    /// Bytes of the channel so far.
    package var length: Int { text.rawEnd }

    /// The channel's bytes in `range`, which lies at or behind the `releasableEnd` before the last call: read them
    /// before the next `append`.
    package func bytes(in range: ByteRange) -> ArraySlice<UInt8> { text.bytes(range) }

    /// Takes the next piece of text, cut anywhere.
    package mutating func append(_ bytes: Span<UInt8>, scratch: inout MatchScratch) -> ChannelUpdate {
        var update = ChannelUpdate()
        guard !isFinished, !isBlocked, !isBroken else {
            update.releasableEnd = releasableEnd
            return update
        }
        discard()
        let begin = text.end
        if let offset = text.append(bytes) { fail(at: offset, &update) }
        if !wholes.rules.isEmpty { wholes.append(text.bytes(begin..<text.end), holdBytes: plan.holdBytes) }
        advance(final: false, &update, &scratch)
        scratch.endText()
        update.releasableEnd = releasableEnd
        return update
    }

    /// The channel ends here: what is open is decided by one run without PARTIAL_HARD.
    package mutating func finish(scratch: inout MatchScratch) -> ChannelUpdate {
        var update = ChannelUpdate()
        guard !isFinished, !isBlocked else {
            update.releasableEnd = releasableEnd
            return update
        }
        if !isBroken, text.end < text.rawEnd { fail(at: text.end, &update) }
        advance(final: true, &update, &scratch)
        if !isBlocked { complete(&update, &scratch) }
        scratch.endText()
        isFinished = true
        update.releasableEnd = releasableEnd
        return update
    }

    /// Text that is not UTF-8 is not judged; the caller's failure mode decides, and unjudged text never counts as held.
    private mutating func fail(at offset: Int, _ update: inout ChannelUpdate) {
        isBroken = true
        update.failures.append(StreamFailure(reason: .invalidText, rule: nil, offset: offset))
    }

    private mutating func discard() {
        if !allowed.isEmpty, wholes.rules.isEmpty {
            allowed.prune(before: min(releasableEnd, reportHeldStart()))
        }
        let open = Front.least(openStarts(plan.holding), openStarts(plan.reporting))
        text.discard(
            rawBefore: min(releasableEnd, reporting.raw, open.raw), lookbehind: plan.rawLookbehind,
            foldedBefore: min(holding.folded, reporting.folded, open.folded), foldedLookbehind: plan.foldedLookbehind)
    }

    // MARK: steps

    /// Searches as far as the text goes, in steps that end where a hold first exceeds `holdBytes`: so that what happens
    /// then does not depend on the cuts either.
    private mutating func advance(final: Bool, _ update: inout ChannelUpdate, _ scratch: inout MatchScratch) {
        while holding.raw < text.end, !isBlocked {
            let held = text.end - releasableEnd
            if !final, held > Self.alwaysScannedBytes, held < heldAtScan + heldAtScan / 4,
                held <= plan.holdBytes
            {
                break
            }
            let limit = text.boundary(
                atOrAfter: min(max(releasableEnd + plan.holdBytes + 1, holding.raw + 1), wholes.nextWindowEnd))
            step(to: min(text.end, limit), &update, &scratch)
            heldAtScan = holding.raw - releasableEnd
        }
        report(final: final, &update, &scratch)
    }

    /// One step of the rules that hold, to character boundary `end`.
    private mutating func step(to end: Int, _ update: inout ChannelUpdate, _ scratch: inout MatchScratch) {
        let front = holding
        let savedMasks = masks
        let savedAllowed = allowed
        let findingCount = update.findings.count
        let failureCount = update.failures.count
        for word in open.indices {
            savedOpen[word] = open[word]
            var bits = open[word]
            while let entry = takeBit(&bits, word) { savedNext[entry] = next[entry] }
        }

        var blocked = search(.holding, from: front, to: end, mode: .partialHard, &update, &scratch)
        if !blocked.isEmpty {
            // The shortest prefix that proves a block, and the state there.
            let proof = shortestProof(of: blocked.map(\.entry), after: front, until: end, &scratch)
            if proof < end {
                for word in open.indices {
                    open[word] = savedOpen[word]
                    var bits = open[word]
                    while let entry = takeBit(&bits, word) { next[entry] = savedNext[entry] }
                }
                masks = savedMasks
                allowed = savedAllowed
                update.findings.removeSubrange(findingCount...)
                update.failures.removeSubrange(failureCount...)
                holding = front
                blocked = search(.holding, from: front, to: proof, mode: .partialHard, &update, &scratch)
                // Found by then, but whether an allowance covers it is known later.
                while blocked.isEmpty, holding.raw < end {
                    let next = text.boundary(atOrAfter: holding.raw + 1)
                    blocked = search(.holding, from: holding, to: next, mode: .partialHard, &update, &scratch)
                }
            }
            settle(bound: blocked.map(\.range.lowerBound).min(), &update)
            block(.match, blocked.map(\.rule), &update)
            return
        }
        if wholes.nextWindowEnd <= holding.raw {
            let blocked = judgeWindow(final: false, &update, &scratch)
            settle(bound: blocked.map(\.range.lowerBound).min(), &update)
            if !blocked.isEmpty { return block(.match, blocked.map(\.rule), &update) }
        } else {
            settle(bound: nil, &update)
        }
        if holding.raw - releasableEnd > plan.holdBytes { overflow(&update) }
    }

    /// What the channel's end decides.
    private mutating func complete(_ update: inout ChannelUpdate, _ scratch: inout MatchScratch) {
        let front = holding
        var blocked = search(.holding, from: front, to: text.end, mode: .complete, &update, &scratch)
        blocked += judgeWindow(final: true, &update, &scratch)
        settle(bound: blocked.map(\.range.lowerBound).min(), &update)
        if !blocked.isEmpty { block(.match, blocked.map(\.rule), &update) }
        let reportFront = reporting
        _ = search(
            .reporting, from: reportFront, to: isBlocked ? holding.raw : text.end, mode: .complete,
            &update, &scratch)
    }

    /// The rules that report follow, in steps of their own: nothing is held for them, so nothing but `holdBytes` bounds
    /// what they keep.
    private mutating func report(final: Bool, _ update: inout ChannelUpdate, _ scratch: inout MatchScratch) {
        while reporting.raw < holding.raw {
            let start = reportHeldStart()
            let held = holding.raw - start
            if !final, !isBlocked, held > Self.alwaysScannedBytes, held < reportHeldAtScan + reportHeldAtScan / 4,
                held <= plan.holdBytes
            {
                return
            }
            let limit = text.boundary(atOrAfter: max(start + plan.holdBytes + 1, reporting.raw + 1))
            let front = reporting
            _ = search(
                .reporting, from: front, to: min(holding.raw, limit), mode: .partialHard, &update, &scratch)
            dropLongReports(&update)
            reportHeldAtScan = reporting.raw - reportHeldStart()
        }
    }

    private mutating func dropLongReports(_ update: inout ChannelUpdate) {
        let start = reportHeldStart()
        guard reporting.raw - start > plan.holdBytes else { return }
        for entry in openEntries(plan.reporting) where rawStart(entry) == start {
            close(entry)
            update.failures.append(
                StreamFailure(
                    reason: .openMatchDropped, rule: plan.rules[plan.entries[entry].rule].rule, offset: start))
        }
    }

    /// Smallest open start of the rules that report, or where they are.
    private func reportHeldStart() -> Int {
        min(reporting.raw, openStart(plan.reporting))
    }

    private mutating func block(_ cause: StreamBlock.Cause, _ rules: [Int], _ update: inout ChannelUpdate) {
        isBlocked = true
        update.block = StreamBlock(cause: cause, provenAt: holding.raw, rules: Array(Set(rules)).sorted())
    }

    /// A hold is longer than `holdBytes`: the rules whose open starts cause it act as they say.
    private mutating func overflow(_ update: inout ChannelUpdate) {
        while holding.raw - releasableEnd > plan.holdBytes {
            var culprits: [Int] = []
            // An edit that cannot become final is held by whatever is open inside of it.
            let reach = unionEnd(from: releasableEnd)
            for entry in openEntries(plan.holding) {
                let start = rawStart(entry)
                if start <= releasableEnd || start < reach { culprits.append(entry) }
            }
            // Giving up an allowance lets nothing go that is not allowed.
            let allowing = culprits.filter { plan.entries[$0].effect == .allow }
            if !allowing.isEmpty {
                for entry in allowing { close(entry) }
                settle(bound: nil, &update)
                continue
            }
            let wholeCulprits = wholes.holding(upTo: max(releasableEnd, reach - 1), plan)
            let blocking = (culprits.map { plan.entries[$0].rule } + wholeCulprits).map { plan.rules[$0] }
                .filter { $0.onHoldOverflow == .block }
            if culprits.isEmpty && wholeCulprits.isEmpty || !blocking.isEmpty {
                block(.holdOverflow, blocking.map(\.rule), &update)
                return
            }
            for entry in culprits { close(entry) }
            for rule in wholeCulprits { wholes.drop(rule) }
            update.leaked = true
            settle(bound: nil, &update)
        }
    }

    // MARK: edits

    /// Moves `releasableEnd` to the smallest open start (and `bound`), keeps it out of edits, and takes up the edits
    /// that it has passed.
    private mutating func settle(bound: Int?, _ update: inout ChannelUpdate) {
        var end = min(holding.raw, bound ?? Int.max, openStart(plan.holding))
        if !wholes.rules.isEmpty { end = min(end, wholes.floor(plan)) }
        var taken = 0
        while taken < masks.count, masks[taken].range.lowerBound < end {
            var range = masks[taken].range
            var last = taken + 1
            while last < masks.count, masks[last].range.lowerBound < range.upperBound {
                range = range.lowerBound..<max(range.upperBound, masks[last].range.upperBound)
                last += 1
            }
            guard range.upperBound <= end else {
                end = range.lowerBound
                break
            }
            let rules = Set(masks[taken..<last].map(\.rule)).sorted()
            update.edits.append(StreamEdit(range: range, text: masks[taken].text, rules: rules))
            taken = last
        }
        masks.removeSubrange(..<taken)
        releasableEnd = max(releasableEnd, end)
    }

    private func unionEnd(from start: Int) -> Int {
        var end = start
        for mask in masks where mask.range.lowerBound == start || mask.range.lowerBound < end {
            end = max(end, mask.range.upperBound)
        }
        return end
    }

    /// Keeps the order of `RuleBundle.selectEdits`: by start, then longer first, then rule.
    mutating func insert(_ mask: PendingMask) {
        var at = masks.count
        while at > 0, Self.precedes(mask, masks[at - 1]) { at -= 1 }
        masks.insert(mask, at: at)
    }

    private static func precedes(_ left: PendingMask, _ right: PendingMask) -> Bool {
        if left.range.lowerBound != right.range.lowerBound { return left.range.lowerBound < right.range.lowerBound }
        if left.range.upperBound != right.range.upperBound { return left.range.upperBound > right.range.upperBound }
        return left.rule < right.rule
    }

    // MARK: entries

    /// Raw offset of an entry's open start.
    func rawStart(_ entry: Int) -> Int {
        plan.entries[entry].isFolded ? text.rawStart(ofFolded: next[entry]) : next[entry]
    }

    mutating func close(_ entry: Int) { open[entry / 64] &= ~(1 << UInt64(entry % 64)) }

    /// Least open starts of the entries in `members`, absolute offsets in their views; `.max` where none is open.
    private func openStarts(_ members: [UInt64]) -> Front {
        var starts = Front(raw: .max, folded: .max)
        for word in open.indices {
            var bits = open[word] & members[word] & plan.folded[word]
            while let entry = takeBit(&bits, word) { starts.folded = min(starts.folded, next[entry]) }
            bits = open[word] & members[word] & ~plan.folded[word]
            while let entry = takeBit(&bits, word) { starts.raw = min(starts.raw, next[entry]) }
        }
        return starts
    }

    /// The same as one raw offset.
    private func openStart(_ members: [UInt64]) -> Int {
        let starts = openStarts(members)
        return starts.folded == .max ? starts.raw : min(starts.raw, text.rawStart(ofFolded: starts.folded))
    }

    private func openEntries(_ members: [UInt64]) -> [Int] {
        var entries: [Int] = []
        for word in open.indices {
            var bits = open[word] & members[word]
            while let entry = takeBit(&bits, word) { entries.append(entry) }
        }
        return entries
    }
}

/// The lowest set bit of one word of bits, the `word`th, taken away; `nil` where there is none. (Not a loop with a
/// closure, which would copy what it runs in.)
@inline(__always)
func takeBit(_ bits: inout UInt64, _ word: Int) -> Int? {
    if bits == 0 { return nil }
    defer { bits &= bits - 1 }
    return word * 64 + bits.trailingZeroBitCount
}
