import GuardMatching
import GuardTesting
import Testing

@testable import GuardAuthoring

@Suite struct CostTests {
    static func cost(_ source: String, seeds: [String] = []) throws -> PatternCost {
        var proof = CostProof()
        proof.limit = 4_000_000
        return try #require(proof.cost(try Pattern(source), seeds: seeds.map { Array($0.utf8) }))
    }

    @Test(arguments: [
        "(a+)+b", "(a*)*b", "(?:a|a)*b", "(?:a|aa)+$x", "(\\w+\\s?)*:", "(?:x+x+)+y", "([a-z]+)*\\d", "(?:.*a)*b", "(a|b|ab)*c",
        "^(?:\\s*\\w*)*$q",
    ]) func exponentialIsProven(_ source: String) throws {
        let cost = try Self.cost(source)
        #expect(cost.growth == .exponential, "\(source): \(cost.samples)")
        #expect(cost.mayBeExponential)
        // The proof is in the samples: twice the pumps, the square of the steps.
        let steps = cost.samples.map { Double($0.steps) }
        #expect(steps.count == 3 && steps[2] / steps[1] >= 60)
    }

    /// Pattern and the power of the text's length that its steps grow with, counted.
    @Test(arguments: [
        ("\\d{3}-\\d{4}", 1.0), ("\\bkey=[a-z]{8}\\b", 1), ("[a-z]++x", 2), ("\\w+@", 2), ("\\s*=\\s*x", 2),
        ("\\w+\\d+@", 3), ("\\s*\\s*\\s*=", 4), ("(?:[a-z]+\\.)+@", 2), ("(?>a*)b", 2), ("a*?b", 2),
        ("(?=a*b)\\w", 2),
    ]) func powerIsMeasured(_ source: String, _ power: Double) throws {
        let cost = try Self.cost(source)
        guard case .power(let found) = cost.growth else {
            Issue.record("\(source): exponential")
            return
        }
        #expect(abs(found - power) < 0.35, "\(source): \(found), \(cost.samples), \(cost.witness)")
    }

    /// The bounded repeats of a gitleaks rule: no growth with the length, but thousands of steps at every byte.
    @Test func boundedRepeatsAddUp() throws {
        let cost = try Self.cost(#"[\w.-]{0,50}?(?i:[\w.-]{0,50}?(?:(?-i:[Ss]umo|SUMO))(?:[ \t\w.-]{0,20})[\s'"]{0,3})(?:=|>|:)x"#)
        #expect(cost.stepsPerKilobyte == 4_000_000 && cost.isCut)
        let small = try Self.cost(#"sumo[\w.-]{0,20}=x"#)
        #expect(small.stepsPerKilobyte < 100_000)
    }

    @Test func whatIsNotAnalysedIsSaidAndTried() throws {
        let cost = try Self.cost("(a|(?R))+b", seeds: ["ab"])
        #expect(cost.notAnalysed != nil && cost.degree == nil)
        #expect(cost.stepsPerKilobyte > 0)
    }

    @Test func stepsAreTheSameEveryTime() throws {
        let meter = try WorkMeter(try Pattern("(?:a|b)+c"))
        let text = Array(repeatElement(UInt8(ascii: "a"), count: 300)) + Array("!c".utf8)
        let first = meter.steps(on: text, limit: 1_000_000)
        #expect(first > 300 && first == meter.steps(on: text, limit: 1_000_000))
        #expect(meter.steps(on: text, limit: 100) == 100)
        #expect(meter.steps(on: [], limit: 100) == 0)
        // A validator that refuses everything makes the engine try every end.
        let plain = try WorkMeter(try Pattern("\\d+"))
        let validated = try WorkMeter(try Pattern("\\d+", validated: true))
        let digits = Array(repeatElement(UInt8(ascii: "7"), count: 100))
        #expect(validated.steps(on: digits, limit: 1_000_000) > 10 * plain.steps(on: digits, limit: 1_000_000))
    }
}

/// The parser and the automata against PCRE2 itself.
@Suite struct PatternAutomatonTests {
    /// A random regular pattern over a few letters.
    static func pattern(_ depth: Int, _ random: inout SeededRandom) -> String {
        let leaf = ["a", "b", "c", "[ab]", "[^a]", "\\w", "\\d", ".", "é", "[a-c\\d]", "(?i)B", "\\x{61}", "[[:alpha:]]"]
        guard depth > 0 else { return leaf.randomElement(using: &random) ?? "a" }
        func inner() -> String { pattern(depth - 1, &random) }
        switch Int.random(in: 0..<7, using: &random) {
        case 0: return inner() + inner()
        case 1: return "(?:" + inner() + "|" + inner() + ")"
        case 2: return "(?:" + inner() + ")" + (["*", "+", "?", "{2}", "{0,3}", "{1,}", "*?"].randomElement(using: &random) ?? "*")
        case 3: return "(" + inner() + ")"
        case 4: return inner() + inner() + inner()
        case 5: return "(?i:" + inner() + ")"
        default: return leaf.randomElement(using: &random) ?? "a"
        }
    }

    static func accepts(_ automaton: PatternAutomaton, _ text: [UInt32]) -> Bool {
        var current = Set(automaton.start.map(\.to))
        var isLast = false
        for scalar in text {
            isLast = false
            var next: Set<Int> = []
            for state in current where automaton.states[state].set.contains(scalar) {
                isLast = isLast || automaton.states[state].isLast
                for edge in automaton.states[state].edges { next.insert(edge.to) }
            }
            current = next
        }
        return isLast
    }

    static func text(_ random: inout SeededRandom) -> String {
        String((0..<Int.random(in: 1...6, using: &random)).map { _ in "abcABk1é \n".randomElement(using: &random) ?? "a" })
    }

    @Test func languageEqualsTheEngines() throws {
        var random = SeededRandom(seed: 3)
        var scratch = MatchScratch()
        var accepted = 0
        for _ in 0..<3000 {
            let source = Self.pattern(3, &random)
            let engine = try Pattern("\\A(?:" + source + ")\\z")
            let parsed = try PatternParser.parse(source)
            #expect(parsed.isRegular)
            let automaton = try #require(PatternAutomaton(parsed.root, .language))
            for _ in 0..<8 {
                let text = Self.text(&random)
                var expected = false
                if case .match = engine.firstMatch(in: Array(text.utf8).span, scratch: &scratch) { expected = true }
                let found = Self.accepts(automaton, text.unicodeScalars.map(\.value))
                #expect(found == expected, "\(source) on \(text.debugDescription)")
                accepted += found ? 1 : 0
            }
        }
        #expect(accepted > 1000)
    }

    /// What is said to be included is in every text tried; a counterexample is one for the engine too.
    @Test func inclusionHoldsForTheEngine() throws {
        var random = SeededRandom(seed: 4)
        var scratch = MatchScratch()
        var counts = (included: 0, refuted: 0)
        for _ in 0..<1500 {
            let (inner, outer) = (Self.pattern(3, &random), Self.pattern(2, &random))
            let (a, b) = (try Pattern(outer), try Pattern(inner))
            func matches(_ pattern: Pattern, _ text: String) -> Bool {
                if case .match = pattern.firstMatch(in: Array(text.utf8).span, scratch: &scratch) { true } else { false }
            }
            switch Inclusion.decide(try PatternParser.parse(inner), within: try PatternParser.parse(outer)) {
            case .included:
                counts.included += 1
                for _ in 0..<20 {
                    let text = Self.text(&random)
                    #expect(!matches(b, text) || matches(a, text), "\(inner) in \(outer): \(text.debugDescription)")
                }
            case .counterexample(let scalars):
                counts.refuted += 1
                var text = String.UnicodeScalarView()
                for value in scalars { if let scalar = Unicode.Scalar(value) { text.append(scalar) } }
                #expect(matches(b, String(text)) && !matches(a, String(text)), "\(inner) in \(outer): \(scalars)")
            case .undecided: break
            }
        }
        #expect(counts.included > 100 && counts.refuted > 100)
    }

    /// Any text is a pattern that is read or an error, and what PCRE2 compiles never makes the analysis crash.
    @Test func mutatedPatternsNeverCrash() throws {
        let seeds = [
            #"(?i)\b(?<n>[a-z\d_-]{2,20})\s*[:=]\s*(?:"([^"]*)"|'[^']*')(?!\w)"#, #"[\w.-]{0,50}?(?:a|b+)*\Qx.y\E(?>\R)\p{L}[[:alpha:]^-]"#,
            #"(?x) a # c"#, #"(?<=ab)\k<n>|\x{1F600}\o{101}\cA$"#,
        ]
        var random = SeededRandom(seed: 5)
        var (read, compiled) = (0, 0)
        for round in 0..<6000 {
            var scalars = Array(seeds[round % seeds.count].unicodeScalars)
            for _ in 0..<Int.random(in: 1...5, using: &random) where !scalars.isEmpty {
                let at = Int.random(in: 0..<scalars.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: scalars.remove(at: at)
                case 1: scalars.insert("()[]{}\\|*+?^$.-:<>=!iaQE0é".unicodeScalars.randomElement(using: &random) ?? "(", at: at)
                default: scalars[at] = scalars.randomElement(using: &random) ?? "a"
                }
            }
            let source = String(String.UnicodeScalarView(scalars))
            guard let parsed = try? PatternParser.parse(source) else { continue }
            read += 1
            _ = parsed.root.isImpossible
            _ = parsed.root.bytesMax
            guard round % 10 == 0, let pattern = try? Pattern(source) else { continue }
            compiled += 1
            var proof = CostProof()
            proof.limit = 20_000
            _ = proof.cost(pattern, seeds: [])
        }
        #expect(read > 1000 && compiled > 50)
    }

    @Test(arguments: [
        ("[^\\s\\S]", true), ("a^b", true), ("a\\Ab", true), ("a$b", true), ("(?!a)a", true), ("(?!a)[ab]", false),
        ("a|b^c", false), ("x(?:a^|b)", false), ("(?m)a$b", false), ("a$\\nb?", false), ("a{0}b^", true), ("(?:a^)?b", false),
        ("\\d+(?=[^\\d\\D])", true),
    ]) func impossible(_ source: String, _ expected: Bool) throws {
        #expect(try PatternParser.parse(source).root.isImpossible == expected)
    }

    @Test(arguments: [
        ("abc", 3), ("a{2,5}", 5), ("\\d{4}(?!\\d)", 5), ("é|abc", 3), ("[\\x{1F600}]x", 5), ("a\\b", 5), ("(?<=abc)x", 1),
        ("(?=abcdef)x", 6), ("([ -])a\\1", 3), ("(?<s>ab)\\k<s>", 4),
    ]) func bytesHeld(_ source: String, _ expected: Int) throws {
        #expect(try PatternParser.parse(source).root.bytesMax == expected)
    }

    @Test(arguments: ["a+", "(a+)\\1", "\\1(a)", "x{2,}"]) func unboundedHold(_ source: String) throws {
        #expect(try PatternParser.parse(source).root.bytesMax == nil)
    }
}
