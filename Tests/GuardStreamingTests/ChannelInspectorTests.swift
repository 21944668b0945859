import Foundation
import GuardCore
import GuardMatching
import GuardRules
import GuardStreaming
import GuardTesting
import Testing

private func isLuhn(
    _ text: UnsafeBufferPointer<UInt8>, _ captures: Captures, _ work: inout ValidatorWork
) -> Bool {
    var sum = 0
    var count = 0
    for byte in text[captures.range].reversed() where byte >= 0x30 && byte <= 0x39 {
        let digit = Int(byte - 0x30)
        sum += count % 2 == 0 ? digit : (digit > 4 ? digit * 2 - 9 : digit * 2)
        count += 1
    }
    return sum % 10 == 0
}

func rule(
    _ index: Int, _ effect: StreamRule.Effect, _ sources: String..., folded: Bool = false, luhn: Bool = false,
    overflow: StreamRule.Overflow = .block
) throws -> StreamRule {
    let validate: StreamRule.Detector.Validate? = luhn ? isLuhn : nil
    var detectors: [StreamRule.Detector] = []
    for source in sources {
        let pattern = try Pattern(source, options: PatternOptions(caseless: folded), validated: luhn)
        detectors.append(StreamRule.Detector(pattern: pattern, validate: validate))
    }
    return StreamRule(
        rule: index, effect: effect, onHoldOverflow: overflow, isFolded: folded, detectors: detectors,
        maskText: effect == .mask ? maskText(index) : nil)
}

private func maskText(_ index: Int) -> StreamRule.MaskText {
    { _, _, _, _, _ in Array("[\(index)]".utf8) }
}

private func sumIsNoMultipleOfThree(
    _ text: UnsafeBufferPointer<UInt8>, _ captures: Captures, _ work: inout ValidatorWork
) -> Bool {
    var sum = 0
    for byte in text[captures.range] { sum += Int(byte) }
    return sum % 3 != 0
}

private let card = #"\b(?:\d[ -]?){12,18}\d\b"#

/// Name, rules, texts.
private let nasty: [(String, @Sendable () throws -> [StreamRule], [String])] = [
    (
        "lookbehind", { [try rule(0, .mask, "(?<=ab)c+"), try rule(1, .block, "(?<!x)yz")] },
        ["abccabc", "xyz yz", "abcxyzyz", "ababcab"]
    ),
    ("nested lookbehind", { [try rule(0, .mask, "(?<=a(?<=ba)c)x")] }, ["bacx acx", "bacxbacx"]),
    (
        "word boundaries", { [try rule(0, .mask, #"\bcat\b"#), try rule(1, .block, #"\bdog\b"#)] },
        ["cat cats concat cat", "a dogs dog x", "dog", "cat dog"]
    ),
    ("not a word boundary", { [try rule(0, .mask, #"\Bat\B"#)] }, ["cats at bath", "at"]),
    (
        "alternatives of different lengths",
        { [try rule(0, .mask, "foo|foobar|o+b"), try rule(1, .block, "barbaz|rb")] },
        ["foobarbaz", "foofoobaz", "xoobar", "fooba"]
    ),
    ("longest first", { [try rule(0, .mask, "foobar|foo")] }, ["foobar", "fooba", "foofoo", "foobafoobar"]),
    (
        "overlapping masks", { [try rule(0, .mask, "abc"), try rule(1, .mask, "bcd+e"), try rule(2, .mask, "ef?g")] },
        ["abcdefg", "abcdddd", "abcddde", "abcdeeg abcdefgabc", "abcbcdeefg"]
    ),
    (
        "mask and block overlap", { [try rule(0, .mask, "abc"), try rule(1, .block, "cdx"), try rule(2, .mask, "b")] },
        ["abcd", "abcdx", "zzabcdxabc"]
    ),
    (
        "luhn", { [try rule(0, .mask, card, luhn: true)] },
        ["pay 4111 1111 1111 1111", "card 4111 1111 1111 1111 12/27", "12 4111 1111 1111 1111", "4111111111111112 "]
    ),
    (
        "luhn blocks", { [try rule(0, .block, card, luhn: true), try rule(1, .mask, "1{4}")] },
        ["pay 4111 1111 1111 1111 x", "4111 1111 1111 1112 4111111111111111."]
    ),
    (
        "can be empty", { [try rule(0, .mask, "a*"), try rule(1, .mask, "(?:bc)*"), try rule(2, .report, "|b?")] },
        ["aabcbca", "bcb", "caa"]
    ),
    (
        "multi-byte", { [try rule(0, .mask, "é+ü"), try rule(1, .block, "(?<=€)😀"), try rule(2, .report, "ü.")] },
        ["éééü é", "€😀", "😀 €é😀€😀x", "üé"]
    ),
    (
        "anchors",
        {
            [
                try rule(0, .mask, "^ab"), try rule(1, .mask, #"\Acd"#), try rule(2, .mask, "(?m)^x"),
                try rule(3, .mask, "b$"), try rule(4, .block, #"z\z"#),
            ]
        },
        ["abab", "cdcd\nx\r\nx\rx b", "ab\n", "b\nb", "zz", "cz\n"]
    ),
    (
        "lookahead",
        { [try rule(0, .mask, "a(?=bc)"), try rule(1, .block, "x(?!yz)"), try rule(2, .mask, "(?=cd)c")] },
        ["abc abd", "xyzxyzxya", "xyzx", "cecd"]
    ),
    (
        "newlines", { [try rule(0, .mask, #"\sX"#), try rule(1, .mask, #"a\Rb"#), try rule(2, .mask, "a.b")] },
        ["\r\nX", "a\r\nba\nba\rb", "a\r", "axba\r\nX"]
    ),
    (
        "folded", { [try rule(0, .mask, "secret", folded: true), try rule(1, .block, #"\bfi\b"#, folded: true)] },
        ["a SEC\u{200B}RET b", "ｓｅｃｒｅｔ", "s\u{AD}e\u{200D}cretx", "xﬁ ﬁx ﬁ", "secre\u{200B}", "\u{200B}\u{200B}fi"]
    ),
    (
        "folded halves", { [try rule(0, .mask, "f", folded: true), try rule(1, .mask, "i.", folded: true)] },
        ["aﬁb", "ﬁ", "ﬁﬁﬁ"]
    ),
    (
        "views together",
        {
            [
                try rule(0, .mask, "Key", folded: true), try rule(1, .block, "K\u{200B}?e"),
                try rule(2, .report, "ey+"),
            ]
        }, ["xKEYkey", "k\u{200B}ey", "\u{212A}eyy", "K\u{200B}ey"]
    ),
    (
        "atomic and possessive",
        { [try rule(0, .mask, "a++b"), try rule(1, .mask, "(?>c|cd)e"), try rule(2, .mask, "d+?e")] },
        ["aaab", "aaac", "cdece", "ddde"]
    ),
    (
        "backreference", { [try rule(0, .mask, #"(a|b)c\1"#), try rule(1, .block, #"(x+)y\1z"#)] },
        ["acaacbbcb", "xxyxxz", "xxyxz", "xxyx"]
    ),
    (
        "several detectors", { [try rule(0, .mask, "one", "two", "onetwo"), try rule(1, .block, "three", "thirty")] },
        ["onetwo", "one two three", "thirtee", "twonetw"]
    ),
    ("report only", { [try rule(0, .report, "a[^b]*b"), try rule(1, .report, #"\w+"#)] }, ["axxb aab", "a"]),
]

@Suite struct ChannelInspectorTests {
    /// How a text is cut beside byte by byte and at seeded places.
    enum Cuts { case everywhere, atRandom }

    /// Cut in two, byte by byte, and in seeded random pieces: the same as the oracle at every prefix.
    @discardableResult static func compare(
        _ rules: [StreamRule], _ text: [UInt8], _ name: String, seeds: Range<UInt64>, cuts: Cuts = .everywhere,
        plan: StreamPlan? = nil, tokens: (any TokenCounting)? = nil
    ) -> StreamOracle.Result {
        let plan = plan ?? StreamPlan(rules: rules)
        let oracle = StreamOracle(plan, text: text, tokens: tokens)
        func run(_ pieces: [ArraySlice<UInt8>], _ how: String) {
            let result = inspect(plan, pieces, tokens: tokens) { fed, update in
                var whole = fed
                while whole < text.count, text[whole] & 0xC0 == 0x80 { whole -= 1 }
                guard let state = oracle.states[whole], state.blocking.isEmpty else { return }
                if update.releasableEnd != state.released {
                    Issue.record(
                        "\(name): \(String(decoding: text, as: UTF8.self).debugDescription) \(how): after \(fed) released \(update.releasableEnd), not \(state.released)"
                    )
                }
            }
            if result != oracle.result {
                Issue.record(
                    "\(name): \(String(decoding: text, as: UTF8.self).debugDescription) \(how): \(result) instead of \(oracle.result)"
                )
            }
        }
        if cuts == .everywhere { for cut in 0...text.count { run([text[..<cut], text[cut...]], "cut at \(cut)") } }
        run(text.indices.map { text[$0...$0] }, "byte by byte")
        for seed in seeds {
            var generator = SeededRandom(seed: seed)
            run(randomPieces(text, &generator), "seed \(seed)")
        }
        return oracle.result
    }

    @Test(arguments: nasty.indices)
    func nastyRulesEqualTheOracle(_ index: Int) throws {
        let (name, rules, texts) = nasty[index]
        for text in texts { Self.compare(try rules(), Array(text.utf8), name, seeds: 0..<4) }
    }

    /// The inputs of a pair are shared out among tests that run side by side.
    private static let parts = 8

    @Test(arguments: 0..<UInt64(parts))
    func randomRulesEqualTheOracle(_ seed: UInt64) throws {
        var generator = SeededRandom(seed: seed)
        let wanted = Comparisons.share(0.97 / Double(Self.parts))
        var compared = 0
        while compared < wanted {
            let count = Int.random(in: 1...4, using: &generator)
            var rules: [StreamRule] = []
            var name = ""
            for index in 0..<count {
                let source = randomPattern(depth: 3, &generator)
                let effect: StreamRule.Effect =
                    [.mask, .mask, .block, .report].randomElement(using: &generator) ?? .mask
                let folded = Int.random(in: 0..<4, using: &generator) == 0
                let validated = Int.random(in: 0..<5, using: &generator) == 0
                guard
                    let pattern = try? Pattern(source, options: PatternOptions(caseless: folded), validated: validated)
                else { continue }
                let validate: StreamRule.Detector.Validate? = validated ? sumIsNoMultipleOfThree : nil
                let detector = StreamRule.Detector(pattern: pattern, validate: validate)
                let mask = effect == .mask ? maskText(index) : nil
                rules.append(
                    StreamRule(rule: index, effect: effect, isFolded: folded, detectors: [detector], maskText: mask))
                name += " \(effect)\(folded ? " folded" : "")\(validated ? " validated" : "") /\(source)/"
            }
            guard !rules.isEmpty else { continue }
            let plan = StreamPlan(rules: rules)
            for number in 0..<12 as Range<UInt64> {
                let text = randomText(&generator)
                let seeds = UInt64(compared)..<UInt64(compared + 1)
                Self.compare(
                    rules, text, name, seeds: seeds, cuts: number == 0 ? .everywhere : .atRandom, plan: plan)
                compared += 1
            }
        }
        #expect(compared >= wanted)
    }

    private static let packs = Result {
        let bundle = try RuleBundle.load(directory: TestData.root.appending(path: "rules").path)
        return (bundle, StreamPlan(bundle: bundle, mode: .enforce).rules)
    }

    /// Rules of the packs, a few at a time, on their own tests' texts and those of the corpus, cut and put together.
    @Test(.enabled(if: TestData.hasShared), arguments: 0..<UInt64(parts))
    func packsEqualTheOracle(_ seed: UInt64) throws {
        let (bundle, all) = try Self.packs.get()
        var generator = SeededRandom(seed: 100 + seed)
        let corpus = try MutatedTexts([])
        let wanted = Comparisons.share(0.03 / Double(Self.parts))
        var compared = 0
        var found = 0
        while compared < wanted {
            let rules = (0..<3).compactMap { _ in all.randomElement(using: &generator) }
            let tests = rules.map { bundle.rules[$0.rule] }.flatMap { $0.tests.match + $0.tests.noMatch }
            let texts = try MutatedTexts(tests.map { Array($0.text.utf8) }, withCorpus: false)
            let name = rules.map { bundle.rules[$0.rule].id.name }.joined(separator: " ")
            let own = StreamPlan(rules: rules)
            for _ in 0..<20 {
                var text = texts.next(&generator, pieces: 1...2, largest: 90)
                if Bool.random(using: &generator) {
                    text = corpus.next(&generator, pieces: 1...1, largest: 30) + text
                }
                let seeds = UInt64(compared)..<UInt64(compared + 1)
                found += Self.compare(rules, text, name, seeds: seeds, cuts: .atRandom, plan: own).findings.count
                compared += 1
            }
        }
        #expect(compared >= wanted && found > wanted / 8)
    }

    @Test(arguments: 0..<UInt64(parts))
    func machineCodeAndInterpreterFindTheSame(_ seed: UInt64) throws {
        var generator = SeededRandom(seed: 77 + seed)
        let wanted = Comparisons.share(0.9 / Double(Self.parts))
        var compared = 0
        var scratch = MatchScratch()
        while compared < wanted {
            let source = randomPattern(depth: 3, &generator)
            guard let pattern = try? Pattern(source) else { continue }
            for _ in 0..<6 {
                let text = randomText(&generator)
                for mode in [MatchMode.complete, .partialHard] {
                    var from = 0
                    while from <= text.count {
                        scratch.usesJIT = true
                        let left = pattern.firstMatch(in: text.span, from: from, mode: mode, scratch: &scratch)
                        let leftGroups = scratch.captures
                        scratch.usesJIT = false
                        let right = pattern.firstMatch(in: text.span, from: from, mode: mode, scratch: &scratch)
                        #expect(
                            left == right,
                            "/\(source)/ from \(from) of \(String(decoding: text, as: UTF8.self).debugDescription)")
                        guard case .match(let range) = left else { break }
                        #expect(leftGroups == scratch.captures)
                        from = range.upperBound
                    }
                }
                compared += 1
            }
        }
        #expect(compared >= wanted)
    }

    @Test func longHoldsAreScannedRarelyAndGiveTheSame() throws {
        // Held from the first letter on, beyond the length that is always scanned.
        let rules = [try rule(0, .mask, "a[^b]*b"), try rule(1, .block, "xxc"), try rule(2, .mask, "zz")]
        for tail in ["b zz", "xxc zz", "", "zz", "b xxc b"] {
            let text = Array(("zz " + String(repeating: "a ", count: 1200) + tail).utf8)
            let plan = StreamPlan(rules: rules)
            let whole = inspect(plan, [text[...]])
            var generator = SeededRandom(seed: 5)
            for largest in [1, 4, 30, 900] {
                var result = inspect(plan, randomPieces(text, &generator, largest: largest))
                #expect(result.delivered == whole.delivered)
                #expect(result.block == whole.block)
                #expect(result.provenAt == whole.provenAt)
                result.delivered = whole.delivered
                #expect(result == whole)
            }
        }
    }

    @Test(arguments: [StreamRule.Overflow.block, .release])
    func overflowActsAtTheSamePrefixHoweverCut(_ overflow: StreamRule.Overflow) throws {
        let rules = [
            try rule(0, .mask, "a[^b]*b", overflow: overflow), try rule(1, .mask, "zz"),
            try rule(2, .report, "q[^b]*b"),
        ]
        let plan = StreamPlan(rules: rules, holdBytes: 20)
        let text = Array("zz q a123456789éééé0123456789zz a12b zz".utf8)
        let whole = inspect(plan, [text[...]])
        #expect((whole.block != nil) == (overflow == .block))
        if overflow == .block {
            #expect(whole.provenAt == 26)
            #expect(whole.delivered == Array("[1] q ".utf8))
        } else {
            #expect(whole.delivered == Array("[1] q a123456789éééé0123456789[1] [0] [1]".utf8))
        }
        for seed in 0..<20 as Range<UInt64> {
            var generator = SeededRandom(seed: seed)
            let result = inspect(plan, randomPieces(text, &generator))
            #expect(result == whole)
        }
    }

    @Test func invalidTextIsAFailure() throws {
        var scratch = MatchScratch()
        var inspector = ChannelInspector(plan: StreamPlan(rules: [try rule(0, .mask, "ab")]))
        let update = inspector.append([0x63, 0xFF, 0x61].span, scratch: &scratch)
        #expect(update.failures == [StreamFailure(reason: .invalidText, rule: nil, offset: 1)])
        #expect(update.releasableEnd == 1)
        var incomplete = ChannelInspector(plan: StreamPlan(rules: [try rule(0, .mask, "ab")]))
        #expect(incomplete.append([0x63, 0xE2, 0x82].span, scratch: &scratch).releasableEnd == 1)
        #expect(incomplete.heldBytes == 2)
        #expect(incomplete.finish(scratch: &scratch).failures.count == 1)
    }

    @Test func limitsAreFailures() throws {
        var limits = MatchLimits()
        limits.matchLimit = 1000
        var scratch = MatchScratch(limits: limits)
        var inspector = ChannelInspector(plan: StreamPlan(rules: [try rule(3, .mask, "(?:a|a)+(?:a|a)+$|(a+)+c")]))
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 40) + [UInt8(ascii: "x")]
        let failures = inspector.append(text.span, scratch: &scratch).failures
        #expect(failures.map(\.rule) == [3])
        #expect(failures.first?.reason == .match(.matchLimit))
    }
}

/// A small pattern over a tiny alphabet; not every one compiles.
func randomPattern(depth: Int, _ generator: inout SeededRandom) -> String {
    let atoms = [
        "a", "b", "c", "é", ".", "[ab]", "[^a]", #"\b"#, #"\B"#, "^", "$", #"\w"#, #"\s"#, "ab", "bc", #"\d"#,
        "(?<=a)", "(?<!b)", "(?=b)", "(?!a)", "(?<=ab)", "(?<=é)", #"\z"#, #"\A"#, "(?m:^)", "(?m:$)", #"\R"#,
    ]
    guard depth > 0 else { return atoms.randomElement(using: &generator) ?? "a" }
    switch Int.random(in: 0..<7, using: &generator) {
    case 0, 1, 2:
        return randomPattern(depth: depth - 1, &generator) + randomPattern(depth: depth - 1, &generator)
    case 3:
        return "(?:" + randomPattern(depth: depth - 1, &generator) + "|" + randomPattern(depth: depth - 1, &generator)
            + ")"
    case 4, 5:
        let repeats = ["?", "*", "+", "{2}", "{1,3}", "*?", "+?", "++", "??"]
        return "(?:" + randomPattern(depth: depth - 1, &generator) + ")"
            + (repeats.randomElement(using: &generator) ?? "+")
    default: return atoms.randomElement(using: &generator) ?? "a"
    }
}

func randomText(_ generator: inout SeededRandom) -> [UInt8] {
    let letters = ["a", "a", "b", "b", "c", "é", " ", "1", "\n", "\r", "A", "\u{200B}", "ﬁ", "\r\n"]
    var text: [UInt8] = []
    for _ in 0..<Int.random(in: 0...14, using: &generator) {
        text += Array((letters.randomElement(using: &generator) ?? "a").utf8)
    }
    return text
}
