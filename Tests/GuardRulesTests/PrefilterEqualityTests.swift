import Foundation
import GuardCore
import GuardMatching
import GuardTesting
import Testing

@testable import GuardRules

/// With prefilter and without: the same findings, of random rules on random texts; of the packs in `PackTests`.
@Suite struct PrefilterEqualityTests {
    private static let wanted = Comparisons.share(0.4)

    private struct Counts {
        var compared = 0
        var matched = 0
    }

    private static func compare(
        _ bundle: RuleBundle, _ text: String, _ with: inout EvaluationScratch, _ without: inout EvaluationScratch,
        _ counts: inout Counts
    ) {
        let bytes = Array(text.utf8)
        let all = Array(bundle.rules.indices)
        let found = bundle.evaluate(bytes.span, rules: all, scratch: &without)
        let filtered = bundle.evaluate(bytes.span, rules: all, scratch: &with)
        guard found.failures.isEmpty, filtered.failures.isEmpty else { return }
        #expect(
            filtered.matches == found.matches,
            "\(bundle.rules.flatMap { ($0.composed?.detectors ?? $0.detectors).map(\.pattern.source) }) on \(text.debugDescription)"
        )
        counts.compared += 1
        if !found.matches.isEmpty { counts.matched += 1 }
    }

    /// Trees of `any`, `all` and `not` over patterns and words, in all views, on plain and encoded texts.
    @Test func composedRules() throws {
        var random = SeededRandom(seed: 41)
        let words = ["secret", "ignore", "bomb", "movie", "left", "key"]
        func condition(_ depth: Int, _ random: inout SeededRandom) -> String {
            func list(_ random: inout SeededRandom) -> String {
                (0..<Int.random(in: 1...3, using: &random)).map { _ in condition(depth - 1, &random) }
                    .joined(separator: ", ")
            }
            let word = words.randomElement(using: &random) ?? ""
            switch Int.random(in: 0..<(depth > 0 ? 8 : 4), using: &random) {
            case 0: return "{words: [\(word)]}"
            case 1: return "{pcre: '\(word)\\s+\\w+'}"
            case 2:
                return
                    "{pcre: '\\w*\(word.prefix(2))', context: {near: [\(words.randomElement(using: &random) ?? "")], within: 20}}"
            case 3: return "{pcre: '[0-9a-f]{2}[xyz]'}"
            case 4: return "{any: [\(list(&random))]}"
            case 5, 6: return "{all: [\(list(&random))]}"
            default: return "{not: \(condition(depth - 1, &random))}"
            }
        }
        var with = EvaluationScratch()
        var without = EvaluationScratch()
        without.usesPrefilter = false
        var counts = Counts()
        while counts.compared < Self.wanted {
            var file = ""
            for number in 0..<4 {
                let view = ["raw", "folded", "decoded"].randomElement(using: &random) ?? "raw"
                file += "- {id: r\(number), on: input, view: \(view), action: flag, match: \(condition(2, &random))}\n"
            }
            let bundle = try EvaluationTests.bundle(file)
            for _ in 0..<4 {
                var text = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                    let word =
                        [words.randomElement(using: &random) ?? "", "of", "x1", "SECRET", "0fz"]
                        .randomElement(using: &random) ?? ""
                    return Int.random(in: 0..<4, using: &random) == 0
                        ? word.map { "\($0)" }.joined(separator: " ") : word
                }.joined(separator: " ")
                if Int.random(in: 0..<3, using: &random) == 0 { text = Data(text.utf8).base64EncodedString() }
                if Int.random(in: 0..<4, using: &random) == 0 { text = "read %69gnore this " + text }
                Self.compare(bundle, text, &with, &without, &counts)
            }
        }
        #expect(counts.compared >= Self.wanted && counts.matched > Self.wanted / 8)
    }

    /// What stands behind a literal decides whether PCRE2 is asked: patterns of literals and gaps of every kind.
    @Test func literalsAndWhatFollowsThem() throws {
        var random = SeededRandom(seed: 42)
        let literals = [
            "sumo", "key", "ab", "token", "x-", "é", "\\x{200B}", "[Kk]ey", "(?:api|auth)", "s?k", "(?i:Sk)",
        ]
        let gaps = [
            "", "\\s*", "[ \\t\\w.-]{0,20}", "[\\s'\"]{0,3}", "(?:=|>|:{1,3}=|\\|\\||:|=>|,)", "[\\x60'\"\\s=]{0,5}",
            "(?:ab|cde)+", "[a-f0-9]{4}", "\\d{2,}", "(?:[a-z]{2}-){2}",
            "[\\x{200B}-\\x{200F}\\x{FE00}-\\x{FE0F}]{1,2}", ".*?",
            "[^=]{1,9}=", "(\\w)\\1", "\\b", "(?=a)", "(?!b)", "$", "(?:a|b)?", "[[:digit:]]?", "\\R?", "(?>a+|b)",
            "[é-ü]?", "(?<=key|x-)", "(?<![\\w-])", "(?:\\d|(?<=ab))", "[^=]{0,60}:",
            "(?:[a-z]{10,150}|[0-9=]{3,})[ ;']",
            "[a-z]{20,90}=", "[\\w-]{41}",
        ]
        let pieces = [
            "sumo", "key", "KEY", "\u{212A}ey", "ab", "token", "x-", "é", "\u{200B}", "\u{FE01}", "=", ":", " ", "'",
            "a1f0",
            "12", "aa-bb-", "\n", "cde", "ſk", "aa", "api", "\"",
        ]
        var with = EvaluationScratch()
        var without = EvaluationScratch()
        without.usesPrefilter = false
        var counts = Counts()
        var round = 0
        while counts.compared < Self.wanted, round < Self.wanted {
            round += 1
            var file = ""
            for number in 0..<4 {
                var pattern = gaps.randomElement(using: &random) ?? ""
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    pattern += literals.randomElement(using: &random) ?? ""
                    for _ in 0..<Int.random(in: 0...2, using: &random) {
                        pattern += gaps.randomElement(using: &random) ?? ""
                    }
                    if Int.random(in: 0..<8, using: &random) == 0 {
                        pattern = "(?:\(pattern))\(["?", "{1,2}", "|x"].randomElement(using: &random) ?? "")"
                    }
                }
                let view = Bool.random(using: &random) ? "raw" : "folded"
                let flag = view == "raw" && Bool.random(using: &random) ? "(?i)" : ""
                file += "- {id: r\(number), on: input, view: \(view), action: flag, "
                file += "match: {pcre: '\((flag + pattern).replacingOccurrences(of: "'", with: "''"))'}}\n"
            }
            guard let bundle = try? EvaluationTests.bundle(file) else { continue }
            for _ in 0..<4 {
                let count = Int.random(in: 1...(round % 50 == 0 ? 3000 : 12), using: &random)
                let text = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
                Self.compare(bundle, text, &with, &without, &counts)
            }
        }
        #expect(counts.compared >= Self.wanted && counts.matched > Self.wanted / 8)
    }

    /// Keywords without a value behind them do not make PCRE2 run, with long case forms (raw view) and without.
    @Test(arguments: [
        ("twitter", false), (String(repeating: "twitter", count: 100), false),
        (String(repeating: "twitter=", count: 100), false), ("twitter key is secret", false),
        ("twitter_key = '0123456789abcdefghijklmno", true), ("twitter: 0123456789abcdefghijklmno;", true),
        ("TWITTER=\u{17F}123456789abcdefghij\u{212A}lmno\n", true), ("twitter: 0123456789abcdefghijklmno+", false),
        ("twitter aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false), (String(repeating: "a", count: 1000), false),
    ]) func whatFollowsAKeywordDecides(text: String, isCandidate: Bool) throws {
        let pattern =
            "(?i)[\\w.-]{0,50}?(?:twitter)(?:[ \\t\\w.-]{0,20})[\\s''\"]{0,3}(?:=|>|:{1,3}=|\\|\\||:|=>|\\?=|,)"
            + "[\\x60''\"\\s=]{0,5}([a-z0-9]{25})(?:[\\x60''\"\\s;]|\\\\[nr]|$)"
        for view in ["raw", "folded"] {
            let bundle = try EvaluationTests.bundle(
                "- {id: r, on: input, view: \(view), action: flag, match: {pcre: '\(pattern)'}}\n")
            let plan = view == "raw" ? bundle.prefilter.raw : bundle.prefilter.folded
            var candidates = CandidateSet()
            let bytes = view == "raw" ? Array(text.utf8) : FoldedView(raw: Array(text.utf8)).text
            plan.filter.scan(bytes.span, into: &candidates)
            #expect(candidates.contains(0) == isCandidate)
        }
    }
}
