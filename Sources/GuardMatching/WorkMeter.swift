import CPCRE2

/// What searching a text costs, counted and not timed: the same number on every machine and under any load.
///
/// The interpreter runs the pattern with a callout in front of every item (PCRE2_AUTO_CALLOUT). A step is one item tried;
/// bytes that an item such as a repeat ran over since the callout before it count one each. JIT code tries the same items
/// in the same order, so the count is proportional to its time up to what its own shortcuts save.
package final class WorkMeter {
    private let code: OpaquePointer
    private let data: OpaquePointer
    private let context: OpaquePointer

    /// Of a validated pattern the worst validator is assumed: one that refuses every candidate.
    package init(_ pattern: Pattern) throws(PatternError) {
        let source = Array(pattern.source.utf8)
        let syntax = PatternSyntax(source, extended: pattern.options.extended)
        func wrapped(newline: Bool) -> [UInt8] {
            let end = "\\E" + (newline ? "\n" : "") + ")" + (pattern.isValidated ? "(?C1)" : "") + "(?(DEFINE)\\n)"
            return source[..<syntax.leadingVerbsEnd] + Array("(?:".utf8) + source[syntax.leadingVerbsEnd...]
                + Array(end.utf8)
        }
        let extra =
            PCRE2_AUTO_CALLOUT | (pattern.isValidated ? PCRE2_NO_AUTO_POSSESS | PCRE2_NO_START_OPTIMIZE : 0)
        let code: OpaquePointer
        do {
            code = try Pattern.compile(wrapped(newline: false), pattern.options, extra: extra)
        } catch {
            code = try Pattern.compile(wrapped(newline: true), pattern.options, extra: extra)
        }
        guard let data = pcre2_match_data_create_8(1, nil), let context = pcre2_match_context_create_8(nil) else {
            pcre2_code_free_8(code)
            throw PatternError(message: "out of memory", offset: 0)
        }
        (self.code, self.data, self.context) = (code, data, context)
        pcre2_set_match_limit_8(context, .max)
        pcre2_set_heap_limit_8(context, 65_536)
    }

    deinit {
        pcre2_match_context_free_8(context)
        pcre2_match_data_free_8(data)
        pcre2_code_free_8(code)
    }

    /// Steps of finding every match of `subject` (valid UTF-8) from left to right, but not more than `limit`: a search
    /// that would take more, or more memory for backtracking than a scan may, counts as `limit`.
    package func steps(on subject: [UInt8], limit: Int) -> Int {
        var count = StepCount(limit: limit)
        return subject.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            return withUnsafeMutablePointer(to: &count) { pointer in
                pcre2_set_callout_8(context, stepCallout, pointer)
                var from = 0
                while from < buffer.count {
                    pointer.pointee.last = from
                    let result = pcre2_match_8(
                        code, base, buffer.count, from, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY | PCRE2_NO_JIT, data,
                        context)
                    if result == PCRE2_ERROR_NOMATCH { break }
                    guard result >= 0, let offsets = pcre2_get_ovector_pointer_8(data), Int(offsets[1]) > from else {
                        return limit
                    }
                    from = Int(offsets[1])
                }
                return min(limit, pointer.pointee.steps)
            }
        }
    }
}

private struct StepCount {
    var steps = 0
    var limit: Int
    /// Where the callout before stood, or the search began.
    var last = 0
}

/// Number 255 stands in front of every item, 1 at the end of a validated pattern.
private let stepCallout:
    @convention(c) (UnsafeMutablePointer<pcre2_callout_block_8>?, UnsafeMutableRawPointer?) -> Int32 = { block, data in
        guard let block, let count = data?.assumingMemoryBound(to: StepCount.self) else { return 0 }
        let position = Int(block.pointee.current_position)
        count.pointee.steps += 1 + max(0, position - count.pointee.last)
        count.pointee.last = position
        if count.pointee.steps >= count.pointee.limit { return PCRE2_ERROR_CALLOUT }
        return block.pointee.callout_number == 1 ? 1 : 0
    }
