import Foundation
import GuardCore
import GuardMatching
import GuardRules
import GuardTesting
import Testing

@testable import GuardStreaming

/// Start tests, made of what the engine says of short texts in classes of bytes, against what it says of longer ones.
@Suite struct StartTableTests {
    private static let parts = [
        "a", "b", "k", "S", "é", "9", "-", ".", "\\.", "[a-f]", "[^a-y]", "[--/]", "[ -~]", "[\\x20-\\x2F]",
        "\\x{212A}",
        "[\\x{2000}-\\x{2200}]", "[[:punct:]]", "[[:xdigit:]]", "\\w", "\\W", "\\d", "\\s", "\\h", "\\v", "\\R", "\\X",
        ".",
        "\\b", "\\B", "^", "(?m:^)", "$", "(?m:$)", "\\A", "\\z", "(?<=a)", "(?<![\\w.-])", "(?<=[^k])", "(?=.*9)",
        "(?!b)",
        "(?i:k)", "(?-i:S)", "(\\w)\\1", "\\Qa-z\\E", "\\p{Lu}", "(?:ab|cd|[e-g]{2})", "(?>a+|b)", "a*", "[k-m]+?",
        "(?:b|)",
        "\\n", "\\t-", "[\\t-\\r]", "[\\b-\\n]", "\\$", "_",
    ]

    private static func pattern(_ random: inout SeededRandom) -> Pattern? {
        let source = (0..<Int.random(in: 1...4, using: &random)).map { _ in
            (parts.randomElement(using: &random) ?? "")
                + (["", "", "", "?", "{2,3}", "*"].randomElement(using: &random) ?? "")
        }.joined()
        var options = PatternOptions(caseless: Bool.random(using: &random))
        options.multiline = Int.random(in: 0..<4, using: &random) == 0
        return try? Pattern(source, options: options, validated: Int.random(in: 0..<4, using: &random) == 0)
    }

    /// ASCII, bytes that the parts name more often.
    private static func byte(_ random: inout SeededRandom) -> UInt8 {
        let named = Array("aabbkKsScdefgz9-./ _\n\r\t".utf8)
        return Bool.random(using: &random)
            ? named.randomElement(using: &random) ?? 0 : UInt8.random(in: 0..<128, using: &random)
    }

    private static func check(_ pattern: Pattern, _ test: StartTest, _ random: inout SeededRandom) -> Bool {
        var scratch = MatchScratch()
        var text = (0..<Int.random(in: 0...3, using: &random)).map { _ in byte(&random) }
        let at = text.count
        text += (0..<Int.random(in: 1...5, using: &random)).map { _ in byte(&random) }
        if Int.random(in: 0..<4, using: &random) == 0 { text += Array("é".utf8) }
        let outcome = pattern.firstMatch(in: text.span, from: at, mode: .partialHard, scratch: &scratch)
        let begins =
            switch outcome {
            case .match(let range): range.lowerBound == at
            case .partial(let start): start == at
            case .none: false
            case .failed: true
            }
        let before = at > 0 ? Int(test.classes[Int(text[at - 1])]) : test.classCount
        let first = Int(test.classes[Int(text[at])])
        var mayBegin = test.begins(first, behind: before)
        if text.count == at + 1, test.isOpenAtOnce {
            #expect(mayBegin == (outcome == .partial(start: at)), "\(pattern.source) on \(text) from \(at)")
        }
        if text.count > at + 1, text[at + 1] < 0x80 {
            mayBegin = mayBegin && test.goesOn(first, Int(test.classes[Int(text[at + 1])]))
        }
        #expect(mayBegin || !begins, "\(pattern.source) on \(text) from \(at): \(outcome)")
        return begins
    }

    @Test func neverSayAFalseNo() {
        var random = SeededRandom(seed: 9)
        var scratch = MatchScratch()
        var (tested, begun, refused) = (0, 0, 0)
        let rounds = Comparisons.share(0.02)
        for _ in 0..<rounds {
            guard let pattern = Self.pattern(&random), let test = StartTest(pattern, scratch: &scratch) else {
                continue
            }
            tested += 1
            for _ in 0..<60 { if Self.check(pattern, test, &random) { begun += 1 } else { refused += 1 } }
        }
        #expect(tested > rounds / 3 && begun > tested && refused > tested)
    }

    /// Nearly all patterns of the packs have a test, and it is right.
    @Test func packs() throws {
        let bundle = try RuleBundle.load(directory: TestData.root.appending(path: "rules").path)
        var random = SeededRandom(seed: 10)
        var scratch = MatchScratch()
        let patterns = bundle.rules.flatMap { $0.detectors.map(\.pattern) }
        var tested = 0
        for pattern in patterns {
            guard let test = StartTest(pattern, scratch: &scratch) else { continue }
            tested += 1
            for _ in 0..<60 { _ = Self.check(pattern, test, &random) }
        }
        #expect(tested * 10 > patterns.count * 9)
    }

    /// A plan with rules added judges as one that was made with them.
    @Test func addedRulesAreJudged() throws {
        var random = SeededRandom(seed: 12)
        for count in [0, 1, 63, 64] {
            let rules = try (0..<count).map { try rule($0, .mask, ["a\($0)", "\\bb", "[bc]\\b"][$0 % 3]) }
            let further = [try rule(count, .mask, "ab+"), try rule(count + 1, .mask, "(?<=b)c1", folded: true)]
            let added = StreamPlan(rules: rules).adding(further)
            for _ in 0..<40 {
                let text = randomText(&random)
                let pieces = randomPieces(text, &random, largest: 3)
                #expect(inspect(added, pieces) == inspect(StreamPlan(rules: rules + further), pieces))
            }
        }
    }
}
