import GuardCore
import GuardMatching
import Testing

/// All matches of `pattern` in `text`, as texts; the first failure ends the list.
func matches(
    _ pattern: Pattern, _ text: String, validate: (Captures, [UInt8]) -> Bool = { _, _ in true }
) -> [String] {
    var scratch = MatchScratch()
    let bytes = Array(text.utf8)
    var found: [String] = []
    var from = 0
    while true {
        let outcome =
            pattern.isValidated
            ? pattern.firstMatch(in: bytes.span, from: from, mode: .complete, scratch: &scratch) { validate($0, bytes) }
            : pattern.firstMatch(in: bytes.span, from: from, scratch: &scratch)
        guard case .match(let range) = outcome else {
            if case .failed(let failure) = outcome { found.append("failed: \(failure)") }
            return found
        }
        found.append(String(decoding: bytes[range], as: UTF8.self))
        from = range.upperBound
    }
}

func outcome(_ pattern: Pattern, _ text: String, from: Int = 0, mode: MatchMode = .partialHard) -> MatchOutcome {
    var scratch = MatchScratch()
    return pattern.firstMatch(in: Array(text.utf8).span, from: from, mode: mode, scratch: &scratch)
}

@Suite struct PatternTests {
    @Test func findsLeftmostMatchesAndNeverEmptyOnes() throws {
        #expect(matches(try Pattern("a*"), "baab a") == ["aa", "a"])
        #expect(matches(try Pattern("|ab"), "xab") == ["ab"])
        #expect(matches(try Pattern(""), "xab") == [])
        #expect(matches(try Pattern("ä+"), "xäää") == ["äää"])
        // Not UCP unless asked for.
        #expect(matches(try Pattern(#"\w+"#), "aé") == ["a"])
        #expect(matches(try Pattern(#"(*UCP)\w+"#), "aé") == ["aé"])
        #expect(matches(try Pattern(#"\bcat\b"#, options: PatternOptions(caseless: true)), "a CAT cats") == ["CAT"])
    }

    @Test func groupsAreByteRanges() throws {
        var scratch = MatchScratch()
        let pattern = try Pattern(#"(?<user>é+)(x)?@"#)
        let outcome = pattern.firstMatch(in: Array("aéé@".utf8).span, scratch: &scratch)
        #expect(outcome == .match(1..<6))
        #expect(scratch.captures == [1..<6, 1..<5])
        #expect(scratch.capture(2) == nil)
        #expect(pattern.captureNames == ["user": 1])
        #expect(pattern.captureCount == 2)
    }

    @Test func matchMayBeginBetweenCRAndLF() throws {
        // Else the result would depend on where the search came from.
        #expect(matches(try Pattern(#"\sX"#), "\r\nX") == ["\nX"])
    }

    /// PCRE2's start optimisations lose these in complete texts.
    @Test(arguments: [
        ("(?=b)a?b", "b"), ("(?=b)(?:a|)b", "xb"), ("(?=b)(?m:^)b", "\nb"), ("(?=[b])(?:^|\\s)b", "b"),
        ("(?i)(?=b)a?b", "B"),
        ("(?i)(?=B)a?b", "xb"), ("(*pla:b)a?b", "b"), ("(?*b)a?b", "b"), ("(?=b)(?i:a?b)", "b"),
    ]) func whatALookaheadBeginsWithIsFound(_ source: String, _ text: String) throws {
        let pattern = try Pattern(source)
        let start = text.utf8.count - 1
        for mode in [MatchMode.complete, .partialHard] {
            #expect(outcome(pattern, text, mode: mode) == .match(start..<start + 1))
        }
    }

    /// A search for line starts passes it over, in every engine and mode and wherever the search came from.
    @Test func linesDoNotBeginBetweenCRAndLF() throws {
        for source in [
            #"(?m:^)\sa"#, #"(?m:^)\s(?<!b)[ab]"#, #"(?:(?m:^)\s(?:[ab])+)+"#, #"(?m)^\s+a"#, #"(?m)^[^x]a"#,
        ] {
            let pattern = try Pattern(source)
            for text in ["\r\na", "x\r\na", "b \r\r\na\n", "\n\r\naa"] {
                let bytes = Array(text.utf8)
                for from in bytes.indices {
                    for mode in [MatchMode.complete, .partialHard] {
                        var scratch = MatchScratch()
                        let found = pattern.firstMatch(in: bytes.span, from: from, mode: mode, scratch: &scratch)
                        if case .match(let range) = found, range.lowerBound > 0, bytes[range.lowerBound] == 0x0A {
                            #expect(bytes[range.lowerBound - 1] != 0x0D, "\(source) \(bytes) from \(from)")
                        }
                        scratch.usesJIT = false
                        let other = pattern.firstMatch(in: bytes.span, from: from, mode: mode, scratch: &scratch)
                        #expect(found == other, "\(source) \(bytes) from \(from)")
                    }
                }
            }
        }
    }

    @Test(arguments: [
        ("foobar", "xxfoo", MatchOutcome.partial(start: 2)), ("foobar", "xxfox", .none),
        ("foo|foobar", "xfoo", .match(1..<4)), ("foobar|foo", "xfoo", .partial(start: 1)),
        (#"foo\b"#, "xfoo", .partial(start: 1)), (#"foo$"#, "xfoo", .partial(start: 1)),
        (#"foo$"#, "xfoo\n", .partial(start: 1)), (#"foo$"#, "xfoo\na", .none),
        (#"(?<=ab)c"#, "xab", .none), (#"(?<=ab)cd"#, "xabc", .partial(start: 3)),
        (#"\d+x"#, "a12", .partial(start: 1)),
        (#"a\R"#, "a\r", .partial(start: 0)), (#"[^a]"#, "a", .none), ("a*", "b", .none),
        (#"foo(?!bar)"#, "foob", .partial(start: 0)), (#"foo(?!bar)"#, "fooc", .match(0..<3)),
        ("aé", "xa", .partial(start: 1)), (#"(?m)foo\n^bar"#, "foo\n", .partial(start: 0)),
    ])
    func partialIsWhatMayStillMatch(_ source: String, _ text: String, _ expected: MatchOutcome) throws {
        #expect(outcome(try Pattern(source), text) == expected)
        var options = PatternOptions()
        options.jit = false
        #expect(outcome(try Pattern(source, options: options), text) == expected)
    }

    @Test func windowKeepsAnchorsAndLookbehindsTrue() throws {
        // "xabc" cut to a window: `\A` and `^` must not match at the window's start.
        for source in [#"\Ac"#, "^c", #"(?<=\Ab)c"#, #"(?<=^b)c"#, #"(?<=\Aab)c"#] {
            let pattern = try Pattern(source)
            let text = Array("xabc".utf8)
            let from = 3
            let start = UTF8Scan.offset(in: text.span, before: from, characters: pattern.windowLookbehind)
            var scratch = MatchScratch()
            let window = Array(text[start...])
            #expect(pattern.firstMatch(in: window.span, from: from - start, scratch: &scratch) == .none, "\(source)")
        }
        // A lookbehind inside a lookbehind reaches further back than PCRE2 reports.
        let nested = try Pattern(#"(?<=a(?<=ba)c)x"#)
        #expect(nested.maxLookbehind >= 3)
        #expect(try Pattern(#"\bfoo"#).windowLookbehind == 2)
    }

    @Test func validatedPatternsBacktrackToOtherEndsAndStarts() throws {
        let digits = try Pattern(#"\d+"#, validated: true)
        let isThree: (Captures, [UInt8]) -> Bool = { captures, _ in captures.range.count == 3 }
        #expect(matches(digits, "12345678", validate: isThree) == ["123", "456"])
        let sevenFirst: (Captures, [UInt8]) -> Bool = { captures, text in text[captures.range.lowerBound] == 0x37 }
        #expect(matches(digits, "12345678", validate: sevenFirst) == ["78"])
        // Settings stay in front, comments and quotations at the end do not swallow the callout.
        #expect(matches(try Pattern(#"(*UCP)\w+"#, validated: true), "é", validate: { _, _ in false }) == [])
        var extended = PatternOptions()
        extended.extended = true
        let commented = try Pattern("a+ # the letter", options: extended, validated: true)
        #expect(matches(commented, "aa", validate: { c, _ in c.range.count == 1 }) == ["a", "a"])
        #expect(matches(try Pattern(#"\Qa+"#, validated: true), "a+", validate: { _, _ in false }) == [])
    }

    @Test func validatorSeesGroups() throws {
        let pattern = try Pattern(#"(\w)(\d)?(\w)"#, validated: true)
        var seen: [ByteRange?] = []
        _ = matches(
            pattern, "ab",
            validate: { captures, _ in
                seen = [captures[0], captures[1], captures[2], captures[3], captures[4]]
                return true
            })
        #expect(seen == [0..<2, 0..<1, nil, 1..<2, nil])
    }

    @Test func limitIsAFailureAndNotACleanScan() throws {
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 40)
        var limits = MatchLimits()
        limits.matchLimit = 10_000
        for jit in [true, false] {
            var options = PatternOptions()
            options.jit = jit
            var scratch = MatchScratch(limits: limits)
            let pattern = try Pattern("(a+)+$b|(a|a)+c", options: options)
            #expect(pattern.firstMatch(in: text.span, scratch: &scratch) == .failed(.matchLimit))
        }
    }

    @Test func jitStackOverflowFallsBackToTheInterpreter() throws {
        var limits = MatchLimits()
        limits.jitStackBytes = 32 * 1024
        var scratch = MatchScratch(limits: limits)
        let pattern = try Pattern("(?:(a)|b)*c")
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 50_000) + [UInt8(ascii: "c")]
        #expect(pattern.firstMatch(in: text.span, scratch: &scratch) == .match(0..<50_001))
        if pattern.usesJIT { #expect(scratch.interpreterFallbacks == 1) }
    }

    @Test(arguments: [
        ("a", "a"), ("[abc]x", "abc"), ("(?i)k", "kK\u{E2}"), ("(?i)s", "sS\u{C5}"), ("(?i)ab", "aA"),
        (#"\bfoo"#, "f"), ("foo|bar", "fb"),
    ])
    func startBytesOverApproximate(_ source: String, _ wanted: String) throws {
        let set = try Pattern(source).startBytes
        for scalar in wanted.unicodeScalars {
            #expect(set.contains(UInt8(scalar.value)), "\(source) \(scalar)")
        }
        #expect(set.count < 20)
    }

    @Test func unknownStartBytesAreAll() throws {
        for source in ["a*", "^a*", "(?m)^a", ".*a", "(?=a)|b*"] {
            #expect(try Pattern(source).startBytes == .all, "\(source)")
        }
    }

    @Test(arguments: [
        (#"a\Kb"#, true), (#"a\\Kb"#, false), (#"\Qa\Kb\E"#, false), (#"\Qa\E\K"#, true), (#"(?#\K)a"#, false),
        (#"(?#\)\Ka"#, true), (#"[\\]\K"#, true), (#"(?x)a # \K"#, true), (#"\\\Ka"#, true), (#"[]\]]\Ka"#, true),
    ])
    func backslashKIsSeen(_ source: String, _ expected: Bool) throws {
        #expect(try Pattern(source).usesBackslashK == expected)
    }

    @Test func otherConstructsAreSeen() throws {
        #expect(try Pattern(#"\Ga"#).usesBackslashG)
        #expect(try Pattern(#"a(*SKIP)b"#).usesSearchVerbs)
        #expect(throws: PatternError.self) { try Pattern(#"\C"#) }
        #expect(throws: PatternError.self) { try Pattern("a(*ACCEPT)b", validated: true) }
        #expect(throws: PatternError.self) { try Pattern("a(?C1)b") }
        #expect(throws: PatternError.self) { try Pattern("a)(?:b") }
    }

    @Test func errorsNameTheCharacter() throws {
        let error = #expect(throws: PatternError.self) { try Pattern("éé(a") }
        #expect(error?.offset == 4)
        #expect(error?.message == "missing closing parenthesis")
    }
}
