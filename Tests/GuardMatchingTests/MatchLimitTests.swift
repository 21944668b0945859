import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardMatching

/// The bound on the work of one rule on one text, and that a search in parts is the search of the whole.
@Suite struct MatchLimitTests {
    /// A pattern of an imported set that backtracks over two lazy repeats of fifty at every start.
    static let slow =
        #"[\w.-]{0,50}?(?i:[\w.-]{0,50}?(?:(?-i:[Ss]umo|SUMO))(?:[ \t\w.-]{0,20})[\s'"]{0,3})(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}(su[a-zA-Z0-9]{12})(?:[\x60'"\s;]|\\[nr]|$)"#

    private static func outcome(
        _ pattern: Pattern, _ text: [UInt8], from: Int = 0, through: Int? = nil, mode: MatchMode = .complete,
        limits: MatchLimits = MatchLimits(), bytes: Int? = nil
    ) -> MatchOutcome {
        var scratch = MatchScratch(limits: limits)
        scratch.beginText(bytes: bytes ?? text.count)
        return pattern.firstMatch(in: text.span, from: from, through: through, mode: mode, scratch: &scratch)
    }

    @Test(arguments: [true, false]) func slowAtEveryStartIsAFailure(_ jit: Bool) throws {
        var options = PatternOptions()
        options.jit = jit
        let pattern = try Pattern(Self.slow, options: options)
        let text = Array(String(repeating: "sumo", count: 256).utf8)
        #expect(Self.outcome(pattern, text) == .failed(.matchLimit))
        #expect(Self.outcome(pattern, text, mode: .partialHard) == .failed(.matchLimit))
        // One such place in a text is no reason to fail.
        let some = Array(("see sumologic docs " + String(repeating: "and so on ", count: 100)).utf8)
        #expect(Self.outcome(pattern, some) == .none)
        let key = some + Array("sumo_id = 'suAbCdEfGhIjKl' ".utf8)
        #expect(Self.outcome(pattern, key) == .match(1019..<1045))
    }

    /// What the engine does is counted where it asks a validator: at each candidate.
    @Test(arguments: [true, false]) func workIsBoundedByTheLength(_ jit: Bool) throws {
        var options = PatternOptions()
        options.jit = jit
        for (source, piece) in [
            ("(?:a|aa)+", "a"), ("(?:[ab]+,?)+", "ab,"), (#"(?:\w+\s?)+"#, "word "), ("a*a*a*", "a"),
        ] {
            let pattern = try Pattern(source, options: options, validated: true)
            for count in [64, 1024, 8192] {
                let text = Array(String(repeating: piece, count: count / piece.utf8.count).utf8)
                var limits = MatchLimits()
                (limits.matchLimit, limits.stepsPerByte, limits.easySteps) = (50_000, 32, 16)
                var scratch = MatchScratch(limits: limits)
                scratch.beginText(bytes: text.count)
                var asked = 0
                let outcome = pattern.firstMatch(in: text.span, from: 0, mode: .complete, scratch: &scratch) { _ in
                    asked += 1
                    return false
                }
                #expect(outcome == .failed(.matchLimit))
                #expect(asked > 10)
                // Two easy rounds for each start, and the allowance.
                let most = Int(limits.matchLimit) + text.count * (limits.stepsPerByte + 2 * limits.easySteps)
                #expect(asked <= most, "\(source) on \(count) bytes: \(asked)")
            }
        }
    }

    /// One step a start, but each start runs to the text's end.
    @Test func reachIsBoundedToo() throws {
        let pattern = try Pattern(#"\b[\w.+-]+@[\w-]+\."#)
        let long = Array((String(repeating: "a.", count: 200_000) + "@").utf8)
        #expect(Self.outcome(pattern, long) == .failed(.matchLimit))
        // Few of them are nothing to fail for, however long they are.
        let quoted = try Pattern(#""[^"]*;"#)
        let text = Array(("\"" + String(repeating: "a b ", count: 100_000) + "; \" x").utf8)
        #expect(Self.outcome(quoted, text) == .match(0..<400_002))
        #expect(Self.outcome(quoted, Array(text.dropLast(5))) == .none)
    }

    /// A text's searches share what hard starts may cost: as many matches as may be do not multiply it.
    @Test func searchesOfATextShareItsAllowance() throws {
        let pattern = try Pattern("(?:a+)+b|x")
        let text = Array(String(repeating: String(repeating: "a", count: 10) + "x", count: 400).utf8)
        var limits = MatchLimits()
        (limits.matchLimit, limits.stepsPerByte) = (131_072, 128)
        var scratch = MatchScratch(limits: limits)
        scratch.beginText(bytes: text.count)
        var from = 0
        var found = 0
        while case .match(let range) = pattern.firstMatch(in: text.span, from: from, scratch: &scratch) {
            found += 1
            from = range.upperBound
        }
        #expect(pattern.firstMatch(in: text.span, from: from, scratch: &scratch) == .failed(.matchLimit))
        #expect(found > 0 && found < 400)
        // Each of the next texts has its own.
        scratch.beginText(bytes: 11)
        #expect(pattern.firstMatch(in: text.span, from: 0, scratch: &scratch) == .match(10..<11))
    }

    @Test func whatHasNoPartsIsBoundedByShares() throws {
        for source in [#"(?:a|aa)+\Kb"#, #"\G(?:a|aa)+b"#] {
            let pattern = try Pattern(source)
            let text = Array((String(repeating: "a", count: 60) + "cb").utf8)
            #expect(Self.outcome(pattern, text) == .failed(.matchLimit), "\(source)")
        }
    }

    /// Random patterns and texts, in parts of a few bytes: the same outcome as one search of the whole, with JIT and
    /// without, complete and partial, validated or not, wherever nothing fails. `GUARD_ROUNDS` for the long run.
    @Test func partsAreTheWhole() throws {
        var random = SeededRandom(seed: 31)
        let rounds = ProcessInfo.processInfo.environment["GUARD_ROUNDS"].flatMap(Int.init) ?? 1000
        var matched = 0
        var compared = 0
        for round in 0..<rounds {
            let source = randomPattern(depth: 2, &random)
            var options = PatternOptions(caseless: Bool.random(using: &random))
            options.multiline = Bool.random(using: &random)
            let isValidated = Int.random(in: 0..<4, using: &random) == 0
            guard let compiled = try? Pattern(source, options: options, validated: isValidated) else { continue }
            options.jit = false
            let interpreted = try Pattern(source, options: options, validated: isValidated)
            var limits = MatchLimits()
            limits.matchLimit = 20_000
            limits.easySteps = Int.random(in: 1...40, using: &random)
            limits.startsMax = Int.random(in: 1...9, using: &random)
            limits.reachBytes = Int.random(in: 0...6, using: &random)
            var parts = MatchScratch(limits: limits)
            var whole = MatchScratch()
            for _ in 0..<6 {
                let text = randomText(Int.random(in: 0...(round % 16 == 0 ? 60 : 20), using: &random), &random)
                let mode: MatchMode = Bool.random(using: &random) ? .complete : .partialHard
                let accept: (Captures) -> Bool = { $0.range.count % 3 != 0 }
                var from = 0
                while from <= text.count {
                    let expected = interpreted.firstMatch(
                        in: text.span, from: from, mode: mode, scratch: &whole, validate: accept)
                    let jit = compiled.firstMatch(
                        in: text.span, from: from, mode: mode, scratch: &whole, validate: accept)
                    for pattern in [compiled, interpreted] {
                        parts.beginText(bytes: text.count)
                        let outcome = pattern.firstMatch(
                            in: text.span, from: from, mode: mode, scratch: &parts, validate: accept)
                        if case .failed = outcome { continue }
                        #expect(
                            outcome == jit,
                            "\(source) on \(String(decoding: text, as: UTF8.self).debugDescription) from \(from)")
                        compared += 1
                    }
                    if case .failed = expected { break }
                    #expect(expected == jit, "\(source)")
                    guard case .match(let range) = expected else { break }
                    matched += 1
                    from = range.upperBound
                }
            }
        }
        #expect(matched > rounds / 2)
        #expect(compared > rounds * 4)
    }

    private func randomText(_ count: Int, _ random: inout SeededRandom) -> [UInt8] {
        let pieces = ["a", "a", "b", "ab", "B", "1", "é", "\r\n", "\n", " ", "😀", "c"]
        return Array((0..<count).map { _ in pieces.randomElement(using: &random) ?? "a" }.joined().utf8)
    }

    private func randomPattern(depth: Int, _ random: inout SeededRandom) -> String {
        func piece(_ random: inout SeededRandom) -> String {
            switch Int.random(in: 0..<(depth > 0 ? 14 : 9), using: &random) {
            case 0, 1: return ["a", "b", "ab", "é", "1", "B"].randomElement(using: &random) ?? "a"
            case 2:
                return ["[ab]", "[^a]", #"\w"#, #"\d"#, ".", #"\s"#, #"\R"#, "[é1]"].randomElement(using: &random)
                    ?? "."
            case 3: return [#"\b"#, #"\B"#, "^", "$", #"\A"#, #"\z"#].randomElement(using: &random) ?? "^"
            case 4:
                return ["(?<=a)", "(?<!b)", "(?<=ab|b)", "(?=a)", "(?!ab)", "(?<=^a)"].randomElement(using: &random)
                    ?? ""
            case 5...8:
                let atom = ["a", "b", "[ab]", ".", #"\w"#, "é", "[^b]"].randomElement(using: &random) ?? "a"
                return atom
                    + (["*", "+", "?", "*?", "+?", "++", "{2}", "{1,3}", "{0,9}?"].randomElement(using: &random) ?? "")
            case 9, 10:
                return "(" + randomPattern(depth: depth - 1, &random) + ")"
                    + (["", "?", "*", "{1,2}"].randomElement(using: &random) ?? "")
            // No atomic groups: JIT code of PCRE2 10.42 skips starts behind one that failed (`(?>\w+?b)b` on `baabb`).
            case 11: return "(?=" + randomPattern(depth: depth - 1, &random) + ")"
            default:
                return "(?:" + randomPattern(depth: depth - 1, &random) + "|" + randomPattern(depth: depth - 1, &random)
                    + ")"
            }
        }
        return (0..<Int.random(in: 1...3, using: &random)).map { _ in piece(&random) }.joined()
    }
}
