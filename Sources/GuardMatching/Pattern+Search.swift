import CPCRE2
import GuardCore

/// Searching.
///
/// The contract that makes PCRE2_NO_UTF_CHECK right: `subject` is valid UTF-8 and `from` is a character boundary in
/// it. Every text that reaches a pattern was decoded by the strict JSON reader or checked by `UTF8Scan`; a channel cuts
/// its subject in front of an incomplete sequence.
extension Pattern {
    /// The leftmost match that begins at or after byte `from` of `subject`, inside the whole text that `subject` is,
    /// or as a window of a longer one (`windowLookbehind` says how much earlier text must come along). Empty matches
    /// do not count: where the pattern could match nothing, its longer ways to match are tried, then later starts.
    ///
    /// A validated pattern without a validator takes every candidate.
    ///
    /// - Parameter through: the last byte at which a match may begin; what the match inspects and how far it goes is
    ///   not bounded by it. For complete text only.
    package func firstMatch(
        in subject: Span<UInt8>, from: Int = 0, through: Int? = nil, mode: MatchMode = .complete,
        scratch: inout MatchScratch
    ) -> MatchOutcome {
        guard isValidated else { return search(subject, from, through, mode, &scratch) }
        return firstMatch(in: subject, from: from, through: through, mode: mode, scratch: &scratch) { _ in true }
    }

    /// As above. `validate` is asked at the end of every candidate whether it is a match; the answer must depend on
    /// the candidate's bytes only, since a candidate may be offered more than once. Only of use with `isValidated`.
    package func firstMatch(
        in subject: Span<UInt8>, from: Int, through: Int? = nil, mode: MatchMode, scratch: inout MatchScratch,
        validate: (Captures) -> Bool
    ) -> MatchOutcome {
        withoutActuallyEscaping(validate) { validate in
            var callout = Callout(validate: validate)
            return withUnsafeMutablePointer(to: &callout) { pointer in
                pcre2_set_callout_8(scratch.context, calloutFunction, pointer)
                defer { pcre2_set_callout_8(scratch.context, nil, nil) }
                return search(subject, from, through, mode, &scratch)
            }
        }
    }

    /// A partial match at a byte that begins no match is none, in every engine and with every optimisation: so a
    /// stream that skips ahead to the next start byte sees what a search of the whole text sees.
    private func search(
        _ subject: Span<UInt8>, _ from: Int, _ through: Int?, _ mode: MatchMode, _ scratch: inout MatchScratch
    ) -> MatchOutcome {
        guard from >= 0, from <= subject.count else { return .none }
        var from = lineStart(subject, from)
        let through = mode == .complete ? through : nil
        // The engine skips faster, but does not where its start optimisations are off.
        if !isStartOptimized, startBytes != .all {
            guard let start = startBytes.firstIndex(in: subject, from: from) else { return .none }
            from = start
        }
        if let through, from > through { return .none }
        let isBounded = scratch.allowance != nil
        if !isBounded, through != nil {
            scratch.setLimits(steps: Int(MatchLimits.unboundedSteps), lastStart: through)
        }
        defer {
            if isBounded || through != nil {
                scratch.setLimits(steps: Int(MatchLimits.unboundedSteps), lastStart: nil)
            }
        }
        while true {
            let outcome =
                isBounded
                ? runBounded(subject, from, through, mode, &scratch) : run(subject, from, mode, &scratch)
            if let inside = startInNewline(subject, outcome) {
                from = inside + 1
                if from > through ?? from { return .none }
                continue
            }
            guard case .partial(let start) = outcome else { return outcome }
            // A match that would begin with text to come; the engines differ in whether they report it.
            guard start < subject.count else { return .none }
            guard !startBytes.contains(subject[start]) else { return outcome }
            guard let next = startBytes.firstIndex(in: subject, from: start) else { return .none }
            from = next
        }
    }

    /// Where `outcome` begins, if that is between CR and LF in a search for line starts. JIT code for complete texts
    /// searches for the bytes of a match instead, where it knows them, and finds what the interpreter, and JIT code for
    /// partial matches, pass over.
    private func startInNewline(_ subject: Span<UInt8>, _ outcome: MatchOutcome) -> Int? {
        guard isLineSearched, case .match(let range) = outcome, range.lowerBound > 0,
            subject[range.lowerBound] == 0x0A, subject[range.lowerBound - 1] == 0x0D
        else { return nil }
        return range.lowerBound
    }

    /// The engine's search for line starts never stops between CR and LF, unless it begins there.
    func lineStart(_ subject: Span<UInt8>, _ from: Int) -> Int {
        isLineSearched && from > 0 && from < subject.count && subject[from] == 0x0A && subject[from - 1] == 0x0D
            ? from + 1 : from
    }

    func run(
        _ subject: Span<UInt8>, _ from: Int, _ mode: MatchMode, _ scratch: inout MatchScratch
    ) -> MatchOutcome {
        scratch.reserve(pairs: captureCount + 1)
        scratch.captureTop = 0
        var options = PCRE2_NO_UTF_CHECK | (self.options.allowsEmpty ? 0 : PCRE2_NOTEMPTY)
        if mode == .partialHard { options |= PCRE2_PARTIAL_HARD }

        var result = subject.withUnsafeBufferPointer { buffer in
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { empty in
                let base = buffer.baseAddress ?? UnsafePointer(empty.baseAddress)
                if usesJIT, scratch.usesJIT {
                    let result = pcre2_jit_match_8(
                        code, base, buffer.count, from, options, scratch.data, scratch.context)
                    if result != PCRE2_ERROR_JIT_STACKLIMIT && result != PCRE2_ERROR_JIT_BADOPTION { return result }
                }
                if self.options.jit { scratch.interpreterFallbacks += 1 }
                return pcre2_match_8(
                    code, base, buffer.count, from, options | PCRE2_NO_JIT, scratch.data, scratch.context)
            }
        }
        if result == PCRE2_ERROR_NOMATCH { return .none }
        if result == 0 {
            // More groups than pairs; `reserve` had no memory. The whole match is there all the same.
            result = 1
        }
        guard result > 0 || result == PCRE2_ERROR_PARTIAL, let offsets = pcre2_get_ovector_pointer_8(scratch.data)
        else { return .failed(Self.failure(result)) }
        let start = Int(offsets[0])
        let end = Int(offsets[1])
        if result == PCRE2_ERROR_PARTIAL { return .partial(start: start) }
        scratch.captureTop = Int(result)
        // `\K` in odd places can put the start behind the end.
        return start < end || start == end && options & PCRE2_NOTEMPTY == 0 ? .match(start..<end) : .failed(.internal)
    }

    private static func failure(_ code: Int32) -> MatchFailure {
        switch code {
        case PCRE2_ERROR_MATCHLIMIT, PCRE2_ERROR_DEPTHLIMIT: .matchLimit
        case PCRE2_ERROR_HEAPLIMIT, PCRE2_ERROR_NOMEMORY: .heapLimit
        default: .internal
        }
    }
}

private struct Callout {
    var validate: (Captures) -> Bool
}

/// 0: go on, the candidate is a match; 1: fail here, so that matching backtracks.
private let calloutFunction:
    @convention(c) (UnsafeMutablePointer<pcre2_callout_block_8>?, UnsafeMutableRawPointer?) -> Int32 = { block, data in
        guard let block, let data else { return 0 }
        let start = Int(block.pointee.start_match)
        let end = Int(block.pointee.current_position)
        guard start < end, let offsets = block.pointee.offset_vector else { return 1 }
        let captures = Captures(
            range: start..<end, offsets: UnsafeRawPointer(offsets).assumingMemoryBound(to: Int.self),
            count: Int(block.pointee.capture_top))
        return data.assumingMemoryBound(to: Callout.self).pointee.validate(captures) ? 0 : 1
    }
