import CPCRE2

/// How a pattern is compiled, beyond what holds for all: UTF, not UCP (`(*UCP)` opts in), no `\C`, newline ANYCRLF.
package struct PatternOptions: Sendable, Hashable {
    package var caseless = false
    package var multiline = false
    package var dotMatchesNewline = false
    package var extended = false
    /// A match may be empty: for patterns that only say yes or no, as those of JSON Schema do. Never for rules.
    package var allowsEmpty = false
    /// Off only in tests that compare the two engines.
    package var jit = true

    package init(caseless: Bool = false) { self.caseless = caseless }
}

/// A compiled PCRE2 pattern.
///
/// Unchecked `Sendable`: `pcre2_code` is written by compile and JIT compile only, both in `init`; matching reads it.
package final class Pattern: @unchecked Sendable {
    package let source: String
    package let options: PatternOptions
    /// Whether a callout stands at the pattern's end, so that `firstMatch(…, validate:)` can refuse a candidate.
    package let isValidated: Bool

    /// Upper bound of how many characters before the place where a match begins are inspected, lookbehinds that are
    /// nested in lookbehinds included (PCRE2_INFO_MAXLOOKBEHIND alone is not one). `\b`, `\B` and `\A` count as 1.
    package let maxLookbehind: Int
    /// Characters of earlier text that a subject must begin with when it is a window of a longer text: what
    /// lookbehinds, `\b` and multiline `^` may inspect, and one more so that `\A` and `^` cannot match at the window's
    /// start.
    package var windowLookbehind: Int { max(1, maxLookbehind) + 1 }
    /// Over-approximation of the first byte of any match, whole or partial; all bytes where nothing is known.
    package let startBytes: ByteSet
    /// Lower bound of a match's length in characters.
    package let minLength: Int
    /// Number of capturing groups.
    package let captureCount: Int
    package let captureNames: [String: Int]
    /// Matches cannot leave this pattern's first line or place: `\A` or `^` at every alternative's start.
    package let isAnchored: Bool
    /// `\K`: does not load on output.
    package let usesBackslashK: Bool
    /// `\G`: does not load on output.
    package let usesBackslashG: Bool
    /// `(*COMMIT)`, `(*PRUNE)`, `(*SKIP)`, `(*THEN)`: what is found depends on where a search began, so a stream and
    /// the whole text could differ. Should not load on output.
    package let usesSearchVerbs: Bool
    /// Whether machine code was made; otherwise (no executable memory, `(*NO_JIT)`) every search is interpreted.
    package let usesJIT: Bool

    let code: OpaquePointer
    /// Begins with a multiline `^` or with `.*`: the engine tries line starts only.
    let isLineSearched: Bool
    /// The engine itself skips to where a match may begin.
    let isStartOptimized: Bool

    /// Compiles `source`. `validated`: every candidate is offered to the validator given to `firstMatch`, and where
    /// that refuses, matching backtracks to the other ends of this start and then to later starts.
    package init(_ source: String, options: PatternOptions = PatternOptions(), validated: Bool = false)
        throws(PatternError)
    {
        let bytes = Array(source.utf8)
        let syntax = PatternSyntax(bytes, extended: options.extended)
        guard !syntax.usesBackslashC else {
            throw PatternError(message: "\\C matches a part of a character and cannot be used", offset: 0)
        }
        if validated && syntax.usesAccept {
            throw PatternError(message: "(*ACCEPT) would end the match before it is validated", offset: 0)
        }
        // First as written, so that errors name places of the source and an unbalanced pattern cannot borrow the
        // brackets that are put around it below.
        let plain = try Self.compile(bytes, options, extra: 0)
        var hasCallouts = false
        withUnsafeMutablePointer(to: &hasCallouts) { pointer in
            _ = pcre2_callout_enumerate_8(
                plain,
                { _, data in
                    data?.assumingMemoryBound(to: Bool.self).pointee = true
                    return 0
                }, pointer)
        }
        startBytes = Self.startBytes(plain)
        minLength = max(1, Int(Self.info(plain, UInt32(PCRE2_INFO_MINLENGTH))))
        let losesMatches = Self.losesMatches(plain, bytes)
        pcre2_code_free_8(plain)
        guard !hasCallouts else { throw PatternError(message: "callouts cannot be used", offset: 0) }

        // Two optimisations do not see what a callout may refuse. Auto-possessification looks through it: `\d+` would
        // become `\d++` and give the validator one end only. JIT code for a leading repeat skips the starts inside a
        // run that failed (a start optimisation): `\d+` on 12345678 would never be tried at the 7.
        let extra =
            (validated ? PCRE2_NO_AUTO_POSSESS : 0) | (validated || losesMatches ? PCRE2_NO_START_OPTIMIZE : 0)
        let code: OpaquePointer
        do {
            code = try Self.compile(Self.wrapped(bytes, syntax, validated, newline: false), options, extra: extra)
        } catch {
            // A comment of extended mode at the end swallowed the closing bracket.
            code = try Self.compile(Self.wrapped(bytes, syntax, validated, newline: true), options, extra: extra)
        }
        self.code = code
        self.source = source
        self.options = options
        isValidated = validated

        usesBackslashK = syntax.usesBackslashK
        usesBackslashG = syntax.usesBackslashG
        usesSearchVerbs = syntax.usesSearchVerbs
        let lookbehind = Int(Self.info(code, UInt32(PCRE2_INFO_MAXLOOKBEHIND)))
        let (product, overflow) = lookbehind.multipliedReportingOverflow(by: max(1, syntax.lookbehinds))
        maxLookbehind = overflow ? Int(UInt32.max) : product
        captureCount = Int(Self.info(code, UInt32(PCRE2_INFO_CAPTURECOUNT)))
        captureNames = Self.names(code)
        isAnchored = Self.info(code, UInt32(PCRE2_INFO_ALLOPTIONS)) & PCRE2_ANCHORED != 0
        isStartOptimized = Self.info(code, UInt32(PCRE2_INFO_ALLOPTIONS)) & PCRE2_NO_START_OPTIMIZE == 0
        isLineSearched = isStartOptimized && Self.info(code, UInt32(PCRE2_INFO_FIRSTCODETYPE)) == 2
        usesJIT =
            options.jit && pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) == 0
            && Self.jitSize(code) > 0
    }

    deinit { pcre2_code_free_8(code) }

    /// `(?:…)(?C255)` with the settings kept in front, and a DEFINE group that never runs but names a newline:
    /// otherwise PCRE2 would not try to begin a match between CR and LF when the search came past the CR, and what is
    /// found would depend on where a search began. `\E` ends a quotation that is still open and is nothing elsewhere.
    private static func wrapped(
        _ source: [UInt8], _ syntax: PatternSyntax, _ validated: Bool, newline: Bool
    ) -> [UInt8] {
        let end = "\\E" + (newline ? "\n" : "") + ")" + (validated ? "(?C255)" : "") + "(?(DEFINE)\\n)"
        return source[..<syntax.leadingVerbsEnd] + Array("(?:".utf8) + source[syntax.leadingVerbsEnd...]
            + Array(end.utf8)
    }

    static func compile(
        _ source: [UInt8], _ options: PatternOptions, extra: UInt32
    ) throws(PatternError) -> OpaquePointer {
        // By default a multiline `^` looks whether it stands at the very end of the subject and fails there without
        // reporting a partial match: `(?m)foo\n^bar` would let `foo` go. ALT_CIRCUMFLEX takes the look away: `^` holds
        // behind every newline, the last one too.
        var flags =
            PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_ALT_CIRCUMFLEX | PCRE2_USE_OFFSET_LIMIT | extra
        if options.caseless { flags |= PCRE2_CASELESS }
        if options.multiline { flags |= PCRE2_MULTILINE }
        if options.dotMatchesNewline { flags |= PCRE2_DOTALL }
        if options.extended { flags |= PCRE2_EXTENDED }
        let context = pcre2_compile_context_create_8(nil)
        defer { pcre2_compile_context_free_8(context) }
        pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_ANYCRLF))
        var error: Int32 = 0
        var offset = 0
        let code = source.withUnsafeBufferPointer { buffer in
            // A pattern of no bytes still needs an address.
            buffer.isEmpty
                ? pcre2_compile_8([0], 0, flags, &error, &offset, context)
                : pcre2_compile_8(buffer.baseAddress, buffer.count, flags, &error, &offset, context)
        }
        guard let code else {
            var text = [UInt8](repeating: 0, count: 256)
            let length = max(0, pcre2_get_error_message_8(error, &text, text.count))
            let scalars = source.prefix(max(0, offset)).count { $0 & 0xC0 != 0x80 }
            throw PatternError(message: String(decoding: text.prefix(Int(length)), as: UTF8.self), offset: scalars)
        }
        return code
    }

    private static func info(_ code: OpaquePointer, _ what: UInt32) -> UInt32 {
        var value: UInt32 = 0
        guard pcre2_pattern_info_8(code, what, &value) == 0 else { return 0 }
        return value
    }

    private static func jitSize(_ code: OpaquePointer) -> Int {
        var value = 0
        guard pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_JITSIZE), &value) == 0 else { return 0 }
        return value
    }

    private static func names(_ code: OpaquePointer) -> [String: Int] {
        let count = Int(info(code, UInt32(PCRE2_INFO_NAMECOUNT)))
        let size = Int(info(code, UInt32(PCRE2_INFO_NAMEENTRYSIZE)))
        var table: UnsafePointer<UInt8>?
        guard count > 0, size > 2, pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMETABLE), &table) == 0, let table
        else { return [:] }
        var names: [String: Int] = [:]
        for entry in 0..<count {
            let start = table + entry * size
            let name = (2..<size).map { start[$0] }.prefix { $0 != 0 }
            // With (?J) a name may stand for several groups; the first keeps it.
            let key = String(decoding: name, as: UTF8.self)
            if names[key] == nil { names[key] = Int(start[0]) << 8 | Int(start[1]) }
        }
        return names
    }

    /// In complete texts PCRE2 10.42 wants the last byte that a match must have behind its first, also where the first is
    /// known from a lookahead and the two are one: `(?=b)a?b` would not match `b`.
    private static func losesMatches(_ code: OpaquePointer, _ source: [UInt8]) -> Bool {
        guard info(code, UInt32(PCRE2_INFO_FIRSTCODETYPE)) == 1, info(code, UInt32(PCRE2_INFO_LASTCODETYPE)) == 1,
            let first = UInt8(exactly: info(code, UInt32(PCRE2_INFO_FIRSTCODEUNIT))),
            let last = UInt8(exactly: info(code, UInt32(PCRE2_INFO_LASTCODEUNIT))),
            first == last || first == otherCase(last)
        else { return false }
        // `(?=`, `(?*` and `(*` with a name.
        return source.indices.dropLast(2).contains { index in
            source[index] == UInt8(ascii: "(")
                && (source[index + 1] == UInt8(ascii: "*")
                    || source[index + 1] == UInt8(ascii: "?")
                        && (source[index + 2] == UInt8(ascii: "=") || source[index + 2] == UInt8(ascii: "*")))
        }
    }

    /// What PCRE2's own start optimisation knows: a match does not begin at a byte outside of this set. `search` holds
    /// partial matches to it too, whatever the engine does.
    private static func startBytes(_ code: OpaquePointer) -> ByteSet {
        switch info(code, UInt32(PCRE2_INFO_FIRSTCODETYPE)) {
        case 1:
            let unit = info(code, UInt32(PCRE2_INFO_FIRSTCODEUNIT))
            guard let byte = UInt8(exactly: unit) else { return .all }
            var set = ByteSet()
            set.insert(byte)
            // Whether the unit is caseless is not told; only single-byte characters may be.
            if let other = otherCase(byte) { set.insert(other) }
            return set
        case 0:
            var map: UnsafePointer<UInt8>?
            guard pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_FIRSTBITMAP), &map) == 0, let map else { return .all }
            var set = ByteSet()
            for byte in 0...255 where map[byte / 8] & (1 << UInt8(byte % 8)) != 0 { set.insert(UInt8(byte)) }
            return set
        default:
            // 2: begins at a line's start, or with `.*`.
            return .all
        }
    }

    private static func otherCase(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): byte ^ 0x20
        default: nil
        }
    }
}
