package import GuardCore

/// How far the subject of a search is the whole truth.
package enum MatchMode: Sendable {
    /// The subject ends where the text ends.
    case complete
    /// More text may follow. What inspects the end of the subject is `partial` at once (PCRE2_PARTIAL_HARD), so a
    /// `match` is final: no text that may follow can change or undo it.
    case partialHard
}

/// What one search found. Offsets are bytes of the subject.
package enum MatchOutcome: Sendable, Hashable {
    /// The leftmost match at or after the start offset, never empty. Its groups: `MatchScratch.capture(_:)`.
    case match(ByteRange)
    /// Only with `.partialHard`: a match may begin at `start`, none begins at or after the start offset and before
    /// it. There is at least one byte of it: `start` is before the end of the subject.
    case partial(start: Int)
    /// No match begins at or after the start offset. With `.partialHard`: nor can text that follows make one that
    /// begins before the subject's end.
    case none
    /// The search gave up. Never a clean scan.
    case failed(MatchFailure)
}

/// Why a search gave up. The raw value is a metric label.
package enum MatchFailure: String, Sendable, Hashable, CaseIterable {
    case matchLimit = "match_limit"
    case heapLimit = "heap_limit"
    /// An error of PCRE2 that no valid text should cause.
    case `internal`
}

/// The groups of a match candidate, handed to a validator; valid only during that call.
package struct Captures {
    /// The whole candidate, byte range of the subject.
    package let range: ByteRange
    let offsets: UnsafePointer<Int>
    /// Number of groups set so far plus one (group 0 is the whole candidate).
    package let count: Int

    /// Byte range of group `index` in the subject; `nil` where the group took no part in the match.
    package subscript(_ index: Int) -> ByteRange? {
        if index == 0 { return range }
        guard index > 0, index < count else { return nil }
        return Self.range(offsets, index)
    }

    static func range(_ offsets: UnsafePointer<Int>, _ index: Int) -> ByteRange? {
        let start = offsets[2 * index]
        let end = offsets[2 * index + 1]
        // PCRE2_UNSET is the largest PCRE2_SIZE, which reads as -1 here.
        guard start >= 0, end >= start else { return nil }
        return start..<end
    }
}

/// Limits of searches. `Pattern+Limits.swift` says what a step is and how they bound the work of a rule on a text.
package struct MatchLimits: Sendable, Hashable {
    /// Steps that the starts of one text which are no easy ones may take together, however short the text is.
    package var matchLimit: UInt32 = 1_048_576
    /// And so many more for each byte of the text.
    package var stepsPerByte = 256
    /// Memory for backtracking in the interpreter, in KiB.
    package var heapKibibytes: UInt32 = 65_536
    /// Upper bound of the JIT stack in bytes; above it the search is run again by the interpreter.
    package var jitStackBytes: Int = 1 << 20

    /// Steps that every start may take for itself.
    package var easySteps = 256
    /// Starts of one call in a text that is longer.
    package var startsMax = 4096
    /// Bytes behind the last start that its call sees.
    package var reachBytes = 1024
    /// PCRE2's `match_limit` of a search that no text's allowance bounds: a limit for each start, of the engine's own
    /// patterns on texts of its own.
    static let unboundedSteps: UInt32 = 1_000_000

    package init() {}
}

/// What kind of a problem a pattern has.
package struct PatternError: Error, Sendable, Hashable, CustomStringConvertible {
    package var message: String
    /// Where in the pattern's source, counted in Unicode scalars from 0.
    package var offset: Int

    package init(message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    package var description: String { "\(message) (at character \(offset))" }
}
