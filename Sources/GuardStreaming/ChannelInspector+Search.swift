import GuardCore
import GuardMatching
import GuardRules

/// Running the patterns.
extension ChannelInspector {
    enum Group { case holding, reporting }

    /// A match of a rule that blocks.
    struct BlockMatch {
        var entry: Int
        /// Index in the bundle.
        var rule: Int
        var range: ByteRange
    }

    /// Searches with the entries of `group` from where they are (their open start, or `front`) to character boundary
    /// `end` (raw), records what is decided, and moves the group's front there.
    mutating func search(
        _ group: Group, from front: Front, to end: Int, mode: MatchMode, _ update: inout ChannelUpdate,
        _ scratch: inout MatchScratch
    ) -> [BlockMatch] {
        let reached = Front(raw: end, folded: plan.hasFolded ? text.foldedEnd(ofRawPrefix: end) : 0)
        // At the end of the channel only an open start can become a match: a search that ended without one has proven
        // that no text that follows, so neither none, makes a match of what was searched.
        if mode == .partialHard { addStarts(group, from: front, to: reached) } else { clearCandidates() }
        let members = group == .holding ? plan.holding : plan.reporting
        for word in candidates.indices {
            let wanted = members[word] & selection.bits[word]
            candidates[word] = (candidates[word] | open[word]) & wanted
            // All others that may begin at the last byte are open there, and no search needs to say so.
            let opened = latest[word] & ~candidates[word] & wanted
            open[word] |= opened
            var bits = opened & plan.folded[word]
            while let entry = takeBit(&bits, word) { next[entry] = reached.folded - 1 }
            bits = opened & ~plan.folded[word]
            while let entry = takeBit(&bits, word) { next[entry] = reached.raw - 1 }
        }
        var blocked: [BlockMatch] = []
        for word in candidates.indices {
            var bits = candidates[word]
            while let entry = takeBit(&bits, word) {
                if let match = run(entry, from: front, to: reached, mode, &update, &scratch) { blocked.append(match) }
            }
        }
        if group == .holding { holding = reached } else { reporting = reached }
        return blocked
    }

    private mutating func clearCandidates() {
        for word in candidates.indices { (candidates[word], latest[word]) = (0, 0) }
    }

    /// The entries that may begin a match in the text between two fronts. Those that were open at the byte before the
    /// first of them and cannot go on with that are closed.
    private mutating func addStarts(_ group: Group, from front: Front, to end: Front) {
        clearCandidates()
        if plan.hasRaw { addStarts(group, isFolded: false, from: front.raw, to: end.raw) }
        if plan.hasFolded { addStarts(group, isFolded: true, from: front.folded, to: end.folded) }
    }

    private mutating func addStarts(_ group: Group, isFolded: Bool, from: Int, to end: Int) {
        guard from < end else { return }
        let base = isFolded ? text.foldedBase : text.rawBase
        if from > base { closeEnded(group, isFolded: isFolded, at: from - base, base: base) }
        let table = plan.starts
        let words = plan.words
        for index in (from - base)..<(end - base) {
            let isLast = index == end - base - 1
            let first = Int(byte(index, isFolded)) * words
            guard let one = kind(index, isFolded), let other = kind(before: index, isFolded, base) else {
                for word in 0..<words {
                    candidates[word] |= table.first[first + word] & (isFolded ? plan.folded[word] : ~plan.folded[word])
                }
                continue
            }
            let before = (other * table.classCount + one) * words
            let second = isLast ? nil : kind(index + 1, isFolded).map { (one * table.classCount + $0) * words }
            for word in 0..<words {
                var bits = table.before[before + word]
                if let second { bits &= table.second[second + word] }
                bits = (bits | table.untested[word]) & table.first[first + word]
                bits &= isFolded ? plan.folded[word] : ~plan.folded[word]
                if isLast {
                    latest[word] |= bits & table.openAtOnce[word]
                    bits &= ~table.openAtOnce[word]
                }
                candidates[word] |= bits
            }
        }
    }

    /// Of the entries that are open at the byte before `index` of a view's kept text, closes those that cannot go on with
    /// the byte there.
    private mutating func closeEnded(_ group: Group, isFolded: Bool, at index: Int, base: Int) {
        guard kind(before: index - 1, isFolded, base) != nil, let first = kind(index - 1, isFolded),
            let second = kind(index, isFolded)
        else { return }
        let row = (first * plan.starts.classCount + second) * plan.words
        let members = group == .holding ? plan.holding : plan.reporting
        for word in open.indices {
            var bits = open[word] & ~plan.starts.second[row + word] & ~plan.starts.untested[word] & members[word]
            bits &= isFolded ? plan.folded[word] : ~plan.folded[word]
            while let entry = takeBit(&bits, word) {
                if next[entry] == index + base - 1 { close(entry) }
            }
        }
    }

    private func byte(_ index: Int, _ isFolded: Bool) -> UInt8 { isFolded ? text.folded[index] : text.raw[index] }

    /// Class of the byte at `index` of a view's kept text, if it is ASCII.
    private func kind(_ index: Int, _ isFolded: Bool) -> Int? {
        let byte = byte(index, isFolded)
        return byte < 0x80 ? Int(plan.starts.classes[Int(byte)]) : nil
    }

    /// Class of what stands before `index`.
    private func kind(before index: Int, _ isFolded: Bool, _ base: Int) -> Int? {
        index > 0 ? kind(index - 1, isFolded) : base == 0 ? plan.starts.classCount : nil
    }

    /// Runs one entry. Returns the first match of a rule that blocks; it is the last thing that entry has to tell.
    private mutating func run(
        _ index: Int, from front: Front, to end: Front, _ mode: MatchMode, _ update: inout ChannelUpdate,
        _ scratch: inout MatchScratch
    ) -> BlockMatch? {
        let entry = plan.entries[index]
        let base = entry.isFolded ? text.foldedBase : text.rawBase
        let viewEnd = (entry.isFolded ? end.folded : end.raw) - base
        let isOpen = open[index / 64] & (1 << UInt64(index % 64)) != 0
        var from = (isOpen ? next[index] : entry.isFolded ? front.folded : front.raw) - base
        close(index)
        // What is kept of the channel is the text that this search may work on.
        scratch.beginText(bytes: viewEnd)
        while from < viewEnd {
            switch find(entry, from, viewEnd, mode, &scratch) {
            case .none: return nil
            case .failed(let failure):
                update.failures.append(
                    StreamFailure(
                        reason: .match(failure), rule: plan.rules[entry.rule].rule,
                        offset: rawOffset(entry, from + base)))
                return nil
            case .partial(let start):
                if start < viewEnd {
                    next[index] = start + base
                    open[index / 64] |= 1 << UInt64(index % 64)
                }
                return nil
            case .match(let range):
                let absolute = (range.lowerBound + base)..<(range.upperBound + base)
                let raw = entry.isFolded ? text.rawRange(ofFolded: absolute) : absolute
                let rule = plan.rules[entry.rule]
                if rule.effect == .allow { allowed.append(raw, of: index) }
                update.findings.append(StreamMatch(rule: rule.rule, range: raw))
                if rule.effect == .block { return BlockMatch(entry: index, rule: rule.rule, range: raw) }
                if rule.effect == .mask {
                    let mask = maskText(rule, entry, range, viewEnd, scratch)
                    insert(PendingMask(range: raw, rule: rule.rule, text: mask))
                }
                from = range.upperBound
            }
        }
        return nil
    }

    private func rawOffset(_ entry: StreamPlan.Entry, _ offset: Int) -> Int {
        entry.isFolded ? text.rawStart(ofFolded: offset) : offset
    }

    private func maskText(
        _ rule: StreamRule, _ entry: StreamPlan.Entry, _ range: ByteRange, _ viewEnd: Int,
        _ scratch: borrowing MatchScratch
    ) -> [UInt8] {
        guard let mask = rule.maskText else { return [] }
        // A closure cannot capture the borrowed scratch.
        let captures = scratch.captures
        let capture = { (index: Int) in captures.indices.contains(index) ? captures[index] : nil }
        let raw = text.raw.span.extracting(0..<(text.end - text.rawBase))
        guard entry.isFolded else { return mask(raw.extracting(0..<viewEnd), range, capture, raw) { $0 } }
        let (text, foldedBase, rawBase) = (text, text.foldedBase, text.rawBase)
        return mask(text.folded.span.extracting(0..<viewEnd), range, capture, raw) { range in
            let raw = text.rawRange(ofFolded: (range.lowerBound + foldedBase)..<(range.upperBound + foldedBase))
            return (raw.lowerBound - rawBase)..<(raw.upperBound - rawBase)
        }
    }

    /// The next match that counts. One that its contexts or allowances have not decided about is `partial`.
    private func find(
        _ entry: StreamPlan.Entry, _ from: Int, _ viewEnd: Int, _ mode: MatchMode, _ scratch: inout MatchScratch
    ) -> MatchOutcome {
        if entry.isPlain { return candidate(entry, from, viewEnd, mode, &scratch) }
        var from = from
        while true {
            let outcome = candidate(entry, from, viewEnd, mode, &scratch)
            guard case .match(let range) = outcome else { return outcome }
            let subject =
                entry.isFolded
                ? text.folded.span.extracting(0..<viewEnd) : text.raw.span.extracting(0..<viewEnd)
            var verdict = entry.contexts.verdict(of: range, in: subject, mode: mode, scratch: &scratch)
            if verdict == .accepted { verdict = allowance(entry, range, mode) }
            switch verdict {
            case .accepted:
                // The groups are those of the contexts now.
                return entry.contexts.isEmpty ? outcome : candidate(entry, from, viewEnd, mode, &scratch)
            case .rejected:
                guard range.upperBound < viewEnd else { return .none }
                from = range.upperBound
            case .open: return .partial(start: range.lowerBound)
            case .failed(let failure): return .failed(failure)
            }
        }
    }

    /// Whether an allowance covers a match; `range` in the kept text of the entry's view.
    private func allowance(_ entry: StreamPlan.Entry, _ range: ByteRange, _ mode: MatchMode) -> ContextCondition.Verdict
    {
        if entry.allowances.isEmpty { return .accepted }
        let base = entry.isFolded ? text.foldedBase : text.rawBase
        let absolute = (range.lowerBound + base)..<(range.upperBound + base)
        let raw = entry.isFolded ? text.rawRange(ofFolded: absolute) : absolute
        if entry.allowances.contains(where: { allowed.covers(raw, by: $0) }) { return .rejected }
        let mayCome = entry.allowances.contains { index in
            open[index / 64] & (1 << UInt64(index % 64)) != 0 && rawStart(index) <= raw.lowerBound
        }
        return mayCome ? .open : .accepted
    }

    private func candidate(
        _ entry: StreamPlan.Entry, _ from: Int, _ viewEnd: Int, _ mode: MatchMode, _ scratch: inout MatchScratch
    ) -> MatchOutcome {
        let subject =
            entry.isFolded
            ? text.folded.span.extracting(0..<viewEnd) : text.raw.span.extracting(0..<viewEnd)
        guard let validate = entry.validate else {
            return entry.pattern.firstMatch(in: subject, from: from, mode: mode, scratch: &scratch)
        }
        var work = ValidatorWork()
        let outcome = subject.withUnsafeBufferPointer { buffer in
            // The closure may not capture a span; the buffer lives as long as the call.
            entry.pattern.firstMatch(in: subject, from: from, mode: mode, scratch: &scratch) {
                validate(buffer, $0, &work)
            }
        }
        return work.isExhausted ? .failed(.matchLimit) : outcome
    }

    /// Length of the shortest prefix, longer than `front` and at most `end`, at which one of `entries` has a match. The
    /// state before the step is in `savedOpen` and `savedNext`. A final match stays one when text follows, so the
    /// prefixes can be bisected.
    func shortestProof(of entries: [Int], after front: Front, until end: Int, _ scratch: inout MatchScratch) -> Int {
        var best = end
        for index in entries {
            let entry = plan.entries[index]
            let base = entry.isFolded ? text.foldedBase : text.rawBase
            let wasOpen = savedOpen[index / 64] & (1 << UInt64(index % 64)) != 0
            let from = (wasOpen ? savedNext[index] : entry.isFolded ? front.folded : front.raw) - base
            // Not proven at `low`, proven at `best` or not better than it.
            var low = front.raw
            while true {
                var middle = text.boundary(atOrAfter: low + (best - low) / 2)
                if middle <= low { middle = text.boundary(atOrAfter: low + 1) }
                if middle >= best { middle = text.boundary(atOrAfter: low + 1) }
                guard middle < best else {
                    break
                }
                let viewEnd = (entry.isFolded ? text.foldedEnd(ofRawPrefix: middle) : middle) - base
                scratch.beginText(bytes: viewEnd)
                if from < viewEnd, case .match = find(entry, from, viewEnd, .partialHard, &scratch) {
                    best = middle
                } else {
                    low = middle
                }
            }
        }
        return best
    }
}
