import CPCRE2
package import GuardCore

/// The memory that a search works in: match data, match context, JIT stack. Made once per event loop or thread and
/// passed `inout`; a `~Copyable` value cannot be shared by accident.
package struct MatchScratch: ~Copyable {
    package let limits: MatchLimits
    /// Searches that ran in the interpreter because the JIT stack was exhausted or no JIT code could be made.
    package internal(set) var interpreterFallbacks: Int = 0
    /// Off: every search is interpreted. For tests that compare the two engines.
    package var usesJIT = true

    private(set) var data: OpaquePointer
    private(set) var context: OpaquePointer
    private var stack: OpaquePointer?
    private var pairs: Int
    /// Number of groups that the last match set, plus one.
    var captureTop: Int = 0
    /// What hard starts of the text may still cost; `nil`: only PCRE2's own limit holds. Kept and set again where
    /// searches of a rule are interrupted by those of another.
    package var allowance: Allowance?

    package struct Allowance: Sendable {
        /// All that the text has, and what is left of it.
        let total: Int
        var left: Int
    }

    package init(limits: MatchLimits = MatchLimits()) {
        self.limits = limits
        pairs = 16
        guard let data = pcre2_match_data_create_8(UInt32(pairs), nil), let context = pcre2_match_context_create_8(nil)
        else {
            // Not outside data: the process is out of memory before it has begun to work.
            preconditionFailure("out of memory for match data")
        }
        self.data = data
        self.context = context
        stack = pcre2_jit_stack_create_8(32 * 1024, max(32 * 1024, limits.jitStackBytes), nil)
        pcre2_jit_stack_assign_8(context, nil, stack.map { UnsafeMutableRawPointer($0) })
        pcre2_set_match_limit_8(context, MatchLimits.unboundedSteps)
        pcre2_set_heap_limit_8(context, limits.heapKibibytes)
    }

    deinit {
        pcre2_match_data_free_8(data)
        pcre2_match_context_free_8(context)
        pcre2_jit_stack_free_8(stack)
    }

    /// From here on all searches together are the work of one rule on a text of so many bytes, and are bounded as such.
    package mutating func beginText(bytes: Int) {
        let steps = Int(limits.matchLimit) + limits.stepsPerByte * bytes
        allowance = Allowance(total: steps, left: steps)
    }

    package mutating func endText() { allowance = nil }

    func setLimits(steps: Int, lastStart: Int?) {
        pcre2_set_match_limit_8(context, UInt32(clamping: steps))
        // `-1` is PCRE2_UNSET: no limit.
        pcre2_set_offset_limit_8(context, lastStart ?? -1)
    }

    /// Byte range in the subject of group `index` of the last match (0: the whole); `nil` where the group took no part.
    package func capture(_ index: Int) -> ByteRange? {
        guard index >= 0, index < captureTop, let offsets = pcre2_get_ovector_pointer_8(data) else { return nil }
        return Captures.range(UnsafeRawPointer(offsets).assumingMemoryBound(to: Int.self), index)
    }

    /// All groups of the last match.
    package var captures: [ByteRange?] { (0..<captureTop).map { capture($0) } }

    /// The count of `interpreterFallbacks`, which begins anew.
    package mutating func takeInterpreterFallbacks() -> Int {
        defer { interpreterFallbacks = 0 }
        return interpreterFallbacks
    }

    mutating func reserve(pairs wanted: Int) {
        guard wanted > pairs, let larger = pcre2_match_data_create_8(UInt32(clamping: wanted), nil) else { return }
        pcre2_match_data_free_8(data)
        data = larger
        pairs = wanted
    }
}
