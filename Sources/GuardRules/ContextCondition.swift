package import GuardCore
package import GuardMatching

/// `context:` of a condition and `near:` nodes: what must stand near a match for it to count.
///
/// A match counts if one of the alternatives has a match that lies wholly inside the `within` characters before it or
/// wholly inside the `within` characters behind it. Which way an alternative can match is not the engine's first choice
/// but any: `credit card number` and `credit card` both count where only the shorter one fits.
///
/// It filters matches, it does not make others: where it refuses one, the search goes on behind that match (unlike
/// `validate`, which is part of the match).
package struct ContextCondition: Sendable {
    package struct Alternative: Sendable {
        /// Compiled with `validated: true`, so that it can be told where it has to lie.
        package let pattern: Pattern
        package let validator: Validator?

        package init(pattern: Pattern, validator: Validator? = nil) {
            self.pattern = pattern
            self.validator = validator
        }
    }

    package enum Verdict: Sendable, Hashable {
        case accepted
        case rejected
        /// Text that follows decides: fewer than `within` characters came, or a context word is half there.
        case open
        case failed(MatchFailure)
    }

    package let alternatives: [Alternative]
    /// Unicode scalars of the view.
    package let within: Int

    package init(alternatives: [Alternative], within: Int) {
        self.alternatives = alternatives
        self.within = within
    }

    /// Characters before a match that must still be there when it is judged.
    package var windowLookbehind: Int { within + (alternatives.map(\.pattern.windowLookbehind).max() ?? 2) }

    /// Bytes behind the window that a first look takes in: enough for word boundaries, so that one match costs no scan
    /// of all the text that follows.
    private static let marginBytes = 64

    /// Whether `match` counts. With `.partialHard`, `accepted` and `rejected` are final whatever follows.
    ///
    /// Overwrites the groups of the last match in `scratch`.
    package func verdict(
        of match: ByteRange, in text: Span<UInt8>, mode: MatchMode, scratch: inout MatchScratch
    ) -> Verdict {
        let start = UTF8Scan.offset(in: text, before: match.lowerBound, characters: within)
        let (end, isWhole) = Self.offset(in: text, after: match.upperBound, characters: within)
        var near = min(text.count, end + Self.marginBytes)
        while near < text.count, text[near] & 0xC0 == 0x80 { near += 1 }
        var isOpen = mode == .partialHard && !isWhole
        var failure: MatchFailure?
        for alternative in alternatives {
            var outcome = Self.search(
                alternative, text.extracting(0..<near), from: start, match, end,
                near < text.count ? .partialHard : mode, &scratch)
            if near < text.count, case .partial(let at) = outcome, at < end {
                outcome = Self.search(alternative, text, from: start, match, end, mode, &scratch)
            }
            switch outcome {
            case .match: return .accepted
            case .none: break
            case .partial(let at): if at < end { isOpen = true }
            case .failed(let reason): failure = reason
            }
        }
        if let failure { return .failed(failure) }
        return isOpen ? .open : .rejected
    }

    private static func search(
        _ alternative: Alternative, _ text: Span<UInt8>, from start: Int, _ match: ByteRange, _ end: Int,
        _ mode: MatchMode, _ scratch: inout MatchScratch
    ) -> MatchOutcome {
        var work = ValidatorWork()
        let outcome = text.withUnsafeBufferPointer { buffer in
            alternative.pattern.firstMatch(in: text, from: start, mode: mode, scratch: &scratch) { captures in
                let range = captures.range
                let isBefore = range.upperBound <= match.lowerBound
                let isBehind = range.lowerBound >= match.upperBound && range.upperBound <= end
                return (isBefore || isBehind) && alternative.validator?.accepts(buffer, captures, &work) ?? true
            }
        }
        return work.isExhausted ? .failed(.matchLimit) : outcome
    }

    /// The offset `characters` characters behind `from`, and whether the text has so many.
    private static func offset(in text: Span<UInt8>, after from: Int, characters: Int) -> (Int, Bool) {
        var at = from
        var left = characters
        while left > 0, at < text.count {
            at += 1
            while at < text.count, text[at] & 0xC0 == 0x80 { at += 1 }
            left -= 1
        }
        return (at, left == 0)
    }
}

extension [ContextCondition] {
    /// All must accept.
    package func verdict(
        of match: ByteRange, in text: Span<UInt8>, mode: MatchMode, scratch: inout MatchScratch
    ) -> ContextCondition.Verdict {
        var isOpen = false
        for context in self {
            switch context.verdict(of: match, in: text, mode: mode, scratch: &scratch) {
            case .accepted: break
            case .rejected: return .rejected
            case .open: isOpen = true
            case .failed(let failure): return .failed(failure)
            }
        }
        return isOpen ? .open : .accepted
    }
}
