import GuardCore
import GuardMatching
import GuardRules
import GuardStreaming
import GuardTesting
import Testing

/// Conditions beyond patterns: near, context, all, not, allowances, the decoded view.
@Suite struct ConditionStreamTests {
    static func plan(_ yaml: String, holdBytes: Int = 65_536) throws -> StreamPlan {
        StreamPlan(bundle: try bundle(yaml), mode: .enforce, holdBytes: holdBytes)
    }

    static let near = """
          - {id: card, on: output, action: mask, mask: '[C{last1}]', view: raw, match: {pcre: '\\d{3,4}', context: {near: [card, card number, é], within: 6}}}
          - {id: flag, on: output, action: flag, match: {near: {match: {words: [pin]}, to: {pcre: '\\bno\\b'}, within: 3}}}
        """
    static let block = """
          - {id: b, on: output, action: block, match: {near: {match: {pcre: 'x+'}, to: {any: [{pcre: 'a.c'}, {words: [ab]}]}, within: 4}}}
          - {id: m, on: output, action: mask, mask: '[m]', view: raw, match: {pcre: '(y)z', context: {near: {pcre: 'q'}, within: 2}}}
        """
    static let allow = """
          - {id: any, on: output, action: mask, mask: '[d]', view: raw, match: {pcre: '\\d+'}}
          - {id: stop, on: output, action: block, match: {words: [stop, halt]}}
          - {id: note, on: output, action: flag, match: {pcre: 'no+'}}
          - {id: ok, on: output, action: allow, suppresses: [any, note], reason: r, match: {pcre: 'v\\d+\\.\\d+(?: no)?'}}
          - {id: quoted, on: output, action: allow, suppresses: ['s*'], reason: r, match: {pcre: '"[^"]*"'}}
        """
    static let whole = """
          - {id: both, on: output, action: mask, mask: '[b]', stream: hold, match: {all: [{words: [left]}, {pcre: 'r+ight'}]}}
          - {id: alone, on: output, action: block, stream: hold, match: {all: [{words: [bomb]}, {not: {words: [movie]}}]}}
          - {id: plain, on: output, action: mask, mask: '[p]', match: {pcre: 'p+'}}
          - {id: hex, on: output, action: mask, mask: '[h]', view: decoded, stream: hold, match: {words: [secret]}}
        """

    @Test(arguments: [
        (
            near,
            [
                "card 4111", "4111 card", "41112 the card", "a card number 123 x", "123456 é", "123éé",
                "123456789 card", "no pin", "pin  no", "pin nob", "1234", "card 12",
            ]
        ),
        (block, ["xx abc", "abcxx", "xxx a-c", "xx ab", "xx abs ac", "yz q", "q yz", "yzyz  q yz", "x", "ab xx yz"]),
        (
            allow,
            [
                "v1.2", "v12.34 noo 5", "v1", "v1.x 3", "\"stop\"", "\"stop", "stop", "a \"b\" halt \"c",
                "no v1.0 no 7", "\"halt\" v2.3stop stop",
            ]
        ),
        (
            whole,
            ["left and rright p", "left p", "the bomb", "bomb movie", "pp", "73656372657420776f7264 p", "secret", ""]
        ),
    ]) func equalTheOracle(_ yaml: String, _ texts: [String]) throws {
        let plan = try Self.plan(yaml)
        for text in texts {
            ChannelInspectorTests.compare(plan.rules, Array(text.utf8), "conditions", seeds: 0..<4, plan: plan)
        }
    }

    @Test(arguments: 0..<12 as Range<UInt64>) func randomTextsEqualTheOracle(_ seed: UInt64) throws {
        var generator = SeededRandom(seed: seed)
        let words = [
            "card", "number", "123", "4", " ", " ", "é", "x", "ab", "a", "c", "q", "yz", "no", "pin", "v1", ".2", "\"",
            "stop", "left", "right", "bomb", "movie", "p",
        ]
        for yaml in [Self.near, Self.block, Self.allow, Self.whole, Self.near + "\n" + Self.allow] {
            let plan = try Self.plan(yaml)
            for _ in 0..<6 {
                var text = ""
                for _ in 0..<Int.random(in: 1...9, using: &generator) {
                    text += words.randomElement(using: &generator) ?? ""
                }
                ChannelInspectorTests.compare(plan.rules, Array(text.utf8), "random", seeds: 0..<1, plan: plan)
            }
        }
    }

    @Test func contextsBeyondTheLookbehindAreKept() throws {
        let plan = try Self.plan(
            "  - {id: c, on: output, action: mask, mask: '[c]', match: {pcre: '\\d+', context: {near: [card], within: 700}}}"
        )
        let text = Array(
            ("x " + String(repeating: "y ", count: 2000) + "card " + String(repeating: "z ", count: 340) + "12 "
                + String(repeating: "w ", count: 800)).utf8)
        let whole = inspect(plan, [text[...]])
        #expect(whole.edits.count == 1)
        #expect(inspect(plan, text.indices.map { text[$0...$0] }) == whole)
    }

    @Test func nothingIsHeldWithoutAMatch() throws {
        let plan = try Self.plan(Self.near)
        var scratch = MatchScratch()
        var inspector = ChannelInspector(plan: plan)
        #expect(inspector.append(Array("card and ".utf8).span, scratch: &scratch).releasableEnd == 9)
        #expect(inspector.append(Array("123 ".utf8).span, scratch: &scratch).releasableEnd == 9)
        #expect(inspector.append(Array("1234 ".utf8).span, scratch: &scratch).releasableEnd == 13)
        #expect(inspector.append(Array("56".utf8).span, scratch: &scratch).releasableEnd == 13)
        #expect(inspector.append(Array("xyz ".utf8).span, scratch: &scratch).releasableEnd == 24)
    }

    /// A rule that a stream judges when it ends finds what it finds in a complete answer: readings, and which of their
    /// matches count, are the same.
    @Test func wholeRulesFindWhatCompleteAnswersFind() throws {
        let bundle = try bundle(
            """
              - {id: hex, on: output, action: mask, mask: '[h]', view: decoded, stream: hold, match: {words: [secret]}}
              - {id: number, on: output, action: flag, view: decoded, stream: cut, match: {pcre: '(?<!version )\\b\\d{3}-\\d{4}\\b'}}
            """)
        let plan = StreamPlan(bundle: bundle, mode: .enforce)
        let texts = [
            "73656372657420776f7264 p", "frperg", "the frperg of it is what we all have seen in the end",
            "call 0010-555 for the rest of it", "4321-555 llac", "s3cr3t", "version 555-0100 vf guvf grkg va ebg13 sbe lbh naq zr", "NTU1LTAxMDAgaXMgaXQ=",
        ]
        var (found, others) = (0, 0)
        for text in texts.map({ Array($0.utf8) }) {
            var scratch = EvaluationScratch()
            let all = Array(bundle.rules.indices)
            let expected = bundle.evaluate(text.span, rules: all, phase: .output, scratch: &scratch)
            let streamed = inspect(plan, text.indices.map { text[$0...$0] })
            #expect(
                streamed.findings == Set(expected.matches.map { StreamMatch(rule: $0.rule, range: $0.range) }),
                "\(String(decoding: text, as: UTF8.self))")
            found += expected.matches.count
            for rule in bundle.rules {
                let alone = rule.composed?.evaluate(
                    text.span, view: rule.view, mask: rule.mask, scratch: &scratch.match)
                others += alone?.matches.count ?? 0
            }
        }
        // All that any reading shows would be more.
        #expect(found > 3 && others > found)
    }

    @Test func monitorHoldsNothing() throws {
        let plan = StreamPlan(bundle: try bundle(Self.whole + "\n" + Self.allow), mode: .monitor)
        var scratch = MatchScratch()
        var inspector = ChannelInspector(plan: plan)
        let text = Array("the bomb \"stop\" v1".utf8)
        for index in text.indices {
            let update = inspector.append([text[index]].span, scratch: &scratch)
            #expect(update.releasableEnd == index + 1)
        }
        #expect(inspector.finish(scratch: &scratch).findings.count == 2)
    }

    @Test(arguments: [("block", true), ("release", false)])
    func holdOverflows(_ overflow: String, _ blocks: Bool) throws {
        let plan = try Self.plan(
            "  - {id: b, on: output, action: block, stream: hold, onHoldOverflow: \(overflow), match: {not: {words: [please]}}}",
            holdBytes: 20)
        let text = Array("0123456789 0123456789 0123456789 é".utf8)
        let whole = inspect(plan, [text[...]])
        #expect((whole.block != nil) == blocks)
        #expect(whole.provenAt == (blocks ? 21 : nil))
        #expect(whole.delivered == (blocks ? [] : text))
        for seed in 0..<6 as Range<UInt64> {
            var generator = SeededRandom(seed: seed)
            #expect(inspect(plan, randomPieces(text, &generator)) == whole)
        }
        let short = inspect(plan, [Array("if you please".utf8)[...]])
        #expect(short.block == nil && short.delivered == Array("if you please".utf8))
    }

    @Test func windowsDoNotDependOnCuts() throws {
        let yaml = """
              - {id: m, on: output, action: mask, mask: '[m]', stream: cut, match: {all: [{words: [left]}, {words: [right]}]}}
              - {id: b, on: output, action: block, stream: cut, match: {all: [{words: [one]}, {words: [two]}]}}
              - {id: p, on: output, action: mask, mask: '[p]', match: {pcre: 'p[^q]*q'}}
            """
        let plan = try Self.plan(yaml)
        let filler = String(repeating: "é yz ", count: 150)
        for (text, edits, blocked) in [
            (filler + "left right " + filler, 2, false), ("left " + filler + filler + "right", 0, false),
            (filler + filler + "one two " + filler, 0, true), ("left p right q " + filler, 2, false),
            (filler + "p" + filler + "q" + "left " + filler, 1, false), ("one " + filler + filler + " left", 0, false),
        ] {
            let bytes = Array(text.utf8)
            let whole = inspect(plan, [bytes[...]])
            #expect(whole.edits.count == edits)
            #expect((whole.block != nil) == blocked)
            for (seed, largest) in [(1, 5), (2, 60), (3, 700)] as [(UInt64, Int)] {
                var generator = SeededRandom(seed: seed)
                let pieces = inspect(plan, randomPieces(bytes, &generator, largest: largest))
                #expect(pieces == whole)
            }
        }
    }

    @Test func windowsAreNotLeakFree() throws {
        let plan = try Self.plan(
            "  - {id: m, on: output, action: mask, mask: '[m]', stream: cut, match: {all: [{words: [a]}, {words: [b]}]}}"
        )
        var scratch = MatchScratch()
        var inspector = ChannelInspector(plan: plan)
        let half = [UInt8](repeating: UInt8(ascii: "x"), count: 600)
        let first = inspector.append(half.span, scratch: &scratch)
        #expect(first.releasableEnd == 0 && !first.leaked)
        let second = inspector.append(half.span, scratch: &scratch)
        #expect(second.releasableEnd == 512 && second.leaked)
        #expect(inspector.finish(scratch: &scratch).releasableEnd == 1200)
    }
}
