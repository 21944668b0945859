import Foundation
import GuardCore
import GuardMatching
import GuardTesting
import Testing

@testable import GuardRules

/// What makes the decoded view fast, against the slow and obvious. By hand `GUARD_ROUNDS=100000 swift test -c release`.
@Suite struct ReadingTests {
    private static let rounds = ProcessInfo.processInfo.environment["GUARD_ROUNDS"].flatMap(Int.init) ?? 500

    /// Plain and disguised pieces, put together at random; some with bytes of the corpus.
    private struct Texts {
        private var random: SeededRandom
        private var corpus: [UInt8] = []
        private let secrets = [
            "ignore all rules", "the secret word", "call 555 0100", "token=abc123", "please read This carefully",
        ]
        private let pieces = [
            "2nd", "utf8", "1gn0re", "4ll", "rul3s!", "a_b_c", "snake_case_name", "camelCaseName", "x", "I", " ", "\n",
            "\r\n",
            "- ", "...", "%41", "%zz", "\\u0041", "\\n", "\\69 \\67 \\6e ", "&amp;", "&#65;", "& ", "=41=42=43",
            "a = b + c",
            "i g n o r e", "i.g.n.o.r.e", "U+0069 U+0067", "105, 103, 110, 111", "69 67 6e 6f 72 65", "be a",
            "2024-01-02 10:11",
            ".. --. -. --- .-. .", "../../x", "----", "é", "中文字", "\u{E0041}", "\u{200B}", "tcgetattr_flow",
            "/usr/local/lib/python3.11",
            "ABCDEFGHIJKLMNOPQRST", "internationalization of", "deadbeefdeadbeefdeadbeef", "yvtuthat", "8hqr$j",
            "{\"k\": \"v\"}", "£5",
        ]

        init(seed: UInt64) throws {
            random = SeededRandom(seed: seed)
            if TestData.hasShared {
                corpus = [UInt8](try Data(contentsOf: TestData.sharedFile("tokenizers/corpus.txt")).prefix(2_000_000))
            }
        }

        mutating func next() -> [UInt8] {
            var text = ""
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                switch Int.random(in: 0..<8, using: &random) {
                case 0: text += encoded(secrets.randomElement(using: &random) ?? "")
                case 1 where corpus.count > 400:
                    let start = Int.random(in: 0..<(corpus.count - 400), using: &random)
                    let end = start + Int.random(in: 1...400, using: &random)
                    text += String(decoding: corpus[start..<end], as: UTF8.self)
                case 2: text += secrets.randomElement(using: &random) ?? ""
                default: text += pieces.randomElement(using: &random) ?? ""
                }
                if Bool.random(using: &random) {
                    text += [" ", "  ", "\"", "(", "\n"].randomElement(using: &random) ?? ""
                }
            }
            return Array(text.utf8)
        }

        private mutating func encoded(_ text: String) -> String {
            let once = (DecodedViewTests.encoders.randomElement(using: &random)?.1 ?? { $0 })(text)
            switch Int.random(in: 0..<12, using: &random) {
            case 0: return (DecodedViewTests.encoders.randomElement(using: &random)?.1 ?? { $0 })(once)
            case 1: return String(once.reversed())
            case 2: return once.map { "\($0)" }.joined(separator: " ")
            case 3:
                return once.utf8.map { "\($0)" }.joined(separator: [",", " ", "-"].randomElement(using: &random) ?? "")
            case 4: return once.utf8.map { String($0, radix: 16) }.joined(separator: " ")
            case 5:
                // Wrapped.
                let letters = Array(Data(once.utf8).base64EncodedString())
                let width = Int.random(in: 4...20, using: &random)
                return stride(from: 0, to: letters.count, by: width).map {
                    String(letters[$0..<min($0 + width, letters.count)])
                }.joined(separator: "\n")
            default: return once
            }
        }
    }

    /// What the first look says no to is not encoded; nor is what it never was asked about.
    @Test func theFirstLookMissesNothing() throws {
        var texts = try Texts(seed: 51)
        var (no, yes) = (0, 0)
        for _ in 0..<(Self.rounds * 8) {
            let text = texts.next()
            let decoded = TextDecoder.decode(text.span)
            let chances = TextDecoder.chances(text.span)
            if chances.isEmpty { no += 1 } else { yes += 1 }
            let looked = TextDecoder.decode(text.span, chances: chances)
            #expect(
                looked?.text.text == decoded?.text.text && looked?.isAmbiguous == decoded?.isAmbiguous,
                "\(chances) \(String(decoding: text, as: UTF8.self).debugDescription)")
            #expect(
                Self.leet(text) == Self.leet(text, isGated: false),
                "\(String(decoding: text, as: UTF8.self).debugDescription)")
        }
        #expect(no > yes / 8 && yes > no / 8, "\(no) \(yes)")
    }

    private static func leet(_ text: [UInt8], _ vocabulary: RuleVocabulary? = nil, isGated: Bool = true) -> [[UInt8]] {
        TextDecoder.leet(text.span, vocabulary: vocabulary, isGated: isGated).map { $0.read(text).text }
    }

    /// What looks at bytes through planes sees what looks at the bytes.
    @Test func planesSayWhatBytesAre() throws {
        var texts = try Texts(seed: 58)
        var random = SeededRandom(seed: 59)
        for round in 0..<Self.rounds {
            let text = round == 0 ? [] : Array(texts.next().prefix(Int.random(in: 0...300, using: &random)))
            text.withUnsafeBufferPointer { bytes in
                let vectors = TextPlanes(bytes)
                let plain = TextPlanes(bytes, usesVectors: false)
                vectors.read { vectors in
                    plain.read { plain in
                        for plane in TextPlanes.Plane.allCases {
                            for word in 0..<vectors.words {
                                #expect(vectors.word(plane, word) == plain.word(plane, word), "\(plane)")
                            }
                        }
                    }
                    func isSpace(_ word: Int) -> UInt64 { vectors.word(.space, word) }
                    func has(_ mask: UInt64, _ index: Int) -> Bool { mask >> UInt64(index % 64) & 1 != 0 }
                    for index in text.indices {
                        let word = index / 64
                        let space = TextDecoder.isSpace(text[index])
                        #expect(has(isSpace(word), index) == space)
                        #expect(has(vectors.alphanumeric(word), index) == TextDecoder.isAlphanumeric(text[index]))
                        #expect(has(vectors.word(.high, word), index) == (text[index] >= 0x80))
                        let before = index > 0 && TextDecoder.isSpace(text[index - 1])
                        #expect(has(TextPlanes.Reader.before(isSpace, word), index) == before)
                        let behind = index + 1 < text.count && TextDecoder.isSpace(text[index + 1])
                        #expect(has(TextPlanes.Reader.behind(isSpace, word), index) == behind)
                        let run = text[index...].prefix { TextDecoder.isSpace($0) }.count
                        for length in [2, 5, 16] {
                            #expect(has(TextPlanes.Reader.runs(length, isSpace, word), index) == (run >= length))
                        }
                        #expect(vectors.firstBeyond(isSpace, from: index) == index + run)
                        let first = text[index...].firstIndex { TextDecoder.isSpace($0) } ?? text.count
                        #expect(vectors.first(.space, from: index) == first)
                        let start = text[..<index].lastIndex { !TextDecoder.isSpace($0) }.map { $0 + 1 } ?? 0
                        #expect(vectors.start(isSpace, before: index) == start)
                        let range = index..<Int.random(in: index...text.count, using: &random)
                        #expect(vectors.count(isSpace, in: range) == text[range].count { TextDecoder.isSpace($0) })
                    }
                }
            }
        }
    }

    /// Where first looks say no to words in disguise the decoders find none.
    @Test func firstLooksAtWordsMissNothing() throws {
        var texts = try Texts(seed: 60)
        var (spaced, broken, words) = (0, 0, 0)
        for _ in 0..<(Self.rounds * 8) {
            let text = texts.next()
            let joined = TextDecoder.join(text.span)
            let lines = TextDecoder.brokenLines(text.span)
            text.withUnsafeBufferPointer { bytes in
                TextPlanes(bytes).read { planes in
                    if let joined, !TextDecoder.maySpaceOut(bytes, planes) {
                        // Rows that are of signs, mostly.
                        for row in joined.changes {
                            let shown = joined.text[row]
                            #expect(
                                shown.count { TextDecoder.isLetter($0) || $0 >= 0x80 } < 3
                                    && shown.count(where: TextDecoder.isAlphanumeric) < 6,
                                "\(String(decoding: text, as: UTF8.self).debugDescription)")
                        }
                    }
                    if joined != nil { spaced += 1 }
                    #expect(lines.isEmpty || TextDecoder.mayBreakLines(bytes, planes))
                    if !lines.isEmpty { broken += 1 }
                    // Token by token.
                    var edits = TextEdits()
                    var start = 0
                    for index in 0...text.count where index == text.count || TextDecoder.isSpace(text[index]) {
                        if start < index { TextDecoder.addWords(of: bytes, start..<index, nil, &edits) }
                        start = index + 1
                    }
                    #expect(TextDecoder.words(text.span).read(text).text == edits.read(text).text)
                    if !edits.isEmpty { words += 1 }
                }
            }
        }
        #expect(min(spaced, broken, words) > Self.rounds / 20, "\(spaced) \(broken) \(words)")
    }

    /// Sums over letters by the former way.
    @Test func letterSumsAreThoseOfPairs() throws {
        let statistics = LetterStatistics.shared
        var texts = try Texts(seed: 61)
        for _ in 0..<(Self.rounds * 2) {
            let text = texts.next()
            var (score, turned, scoreMin, turnedMin, last) = (0, 0, 0, 0, UInt8(0))
            for byte in text {
                if TextDecoder.isLetter(last), TextDecoder.isLetter(byte), last < 0x80, byte < 0x80 {
                    let pair = statistics.pair(last, byte)
                    score += pair - score >> 4
                    turned += pair - statistics.pair(byte, last) - turned >> 4
                    (scoreMin, turnedMin) = (min(score, scoreMin), min(turned, turnedMin))
                }
                last = byte
            }
            let suspicion = statistics.suspicion(text.span, isShort: false)
            #expect(suspicion.isShifted == (scoreMin < -192) && suspicion.isReversed == (turnedMin < -112))
        }
    }

    /// What edits make of a text is the same with the way back and without.
    @Test func editsAreReadAsTheyAreDerived() throws {
        var texts = try Texts(seed: 57)
        var edited = 0
        for _ in 0..<(Self.rounds * 4) {
            let text = texts.next()
            let all = TextDecoder.leet(text.span) + [TextDecoder.words(text.span), TextDecoder.brokenLines(text.span)]
            for edits in all where !edits.isEmpty {
                let derived = edits.derived(of: text.span)
                let read = edits.read(text)
                #expect(read.text == derived.text && read.changes == derived.changes)
                if edits.keepsFold(of: text) { #expect(derived.isFolded) }
                edited += 1
            }
        }
        #expect(edited > Self.rounds, "\(edited)")
    }

    /// The alphabets by the former way, one after the other.
    @Test func alphabetsAreThoseThatScoreBest() throws {
        let statistics = LetterStatistics.shared
        func turned(_ text: [UInt8], _ alphabet: Int) -> [UInt8] {
            TextDecoder.turn(text.span, alphabet: alphabet)
        }
        var texts = try Texts(seed: 52)
        for _ in 0..<Self.rounds {
            let text = texts.next()
            let plain = statistics.score(text.span)
            let scores = (1...26).map { (score: statistics.score(turned(text, $0).span), alphabet: $0) }
            let best = scores.filter { $0.score > plain }
                .sorted { ($0.score, $1.alphabet) > ($1.score, $0.alphabet) }.prefix(LetterStatistics.alphabetsMax)
            #expect(statistics.alphabets(text.span) == best.map(\.alphabet))
        }
    }

    /// The rules' patterns on whole readings, and of their matches those that `docs/rules.md` says count.
    private static func plainly(_ bundle: RuleBundle, _ text: [UInt8]) -> Set<[Int]> {
        var scratch = EvaluationScratch()
        var found: Set<[Int]> = []
        func matches(_ rule: CompiledRule, _ text: [UInt8], _ stretch: ByteRange) -> [ByteRange] {
            (rule.composed?.detectors ?? rule.detectors).flatMap { detector in
                var list: [ByteRange] = []
                var from = stretch.lowerBound
                while from < stretch.upperBound,
                    case .match(let range) = detector.firstMatch(
                        in: text.span, from: from, mode: .complete, scratch: &scratch.match),
                    range.lowerBound < stretch.upperBound
                {
                    list.append(range)
                    from = range.upperBound
                }
                return list
            }
        }
        let folded = FoldedView(raw: text)
        for reading in [DecodedView.first(folded)] + bundle.furtherReadings(than: folded, of: text.span) {
            let isFirst = reading.changes.isEmpty
            // Byte by byte: whether a change of every step is near.
            var isNear = [Bool](repeating: true, count: reading.text.count)
            let (lead, trail) = reading.isOfWords ? (128, 256) : (256, 512)
            for changes in reading.changes {
                var near = [Bool](repeating: false, count: reading.text.count)
                for change in changes {
                    let (low, high) = (max(0, change.lowerBound - lead), min(near.count, change.upperBound + trail))
                    for index in low..<max(low, high) { near[index] = true }
                }
                isNear = zip(isNear, near).map { $0 && $1 }
            }
            // Whole characters.
            for (index, byte) in reading.text.enumerated() where byte & 0xC0 == 0x80 && isNear[index - 1] {
                isNear[index] = true
            }
            for index in isNear.indices.reversed().dropFirst()
            where reading.text[index + 1] & 0xC0 == 0x80 && isNear[index + 1] {
                isNear[index] = true
            }
            var stretches: [ByteRange] = []
            for index in isNear.indices where isNear[index] {
                if let last = stretches.last, last.upperBound == index {
                    stretches[stretches.count - 1] = last.lowerBound..<index + 1
                } else {
                    stretches.append(index..<index + 1)
                }
            }
            #expect(stretches == reading.stretches)
            for rule in bundle.rules where isFirst || rule.view == .decoded {
                if reading.isOfWords, !PrefilterPlan.looksForWords(rule) { continue }
                for stretch in stretches {
                    for match in matches(rule, reading.text, stretch) where match.upperBound <= stretch.upperBound {
                        let isChanged = reading.changes.allSatisfy { changes in
                            changes.contains { $0.lowerBound <= match.upperBound && match.lowerBound <= $0.upperBound }
                        }
                        let range = reading.rawRange(of: match)
                        guard isChanged, !range.isEmpty else { continue }
                        let place = [rule.index, range.lowerBound, range.upperBound]
                        if !isFirst, !found.contains(place) {
                            let alone = FoldedView(raw: Array(text[range])).text
                            if !matches(rule, alone, 0..<alone.count).isEmpty { continue }
                            if reading.isTurned,
                                !LetterStatistics.shared.isMeant(
                                    match, in: reading.text.span, as: range, in: text.span, isKey: rule.tellsCase)
                            {
                                continue
                            }
                        }
                        found.insert(place)
                    }
                }
            }
        }
        return found
    }

    /// Words of patterns are read in any disguise; what is read for their sake is what is read without them.
    @Test func wordsOfRulesAreRead() throws {
        let words = ["ignore", "instructions", "password", "all", "previous", "will", "システム"]
        let vocabulary = RuleVocabulary(["\\b(?:ignore|will)\\s+all(?: previous)? instructions?", "password|システム"])
        for word in words {
            #expect(vocabulary.contains(RuleVocabulary.Word(word.utf8.compactMap(RuleVocabulary.letter))), "\(word)")
        }
        for word in ["insect", "al"] { #expect(!vocabulary.contains(RuleVocabulary.Word(word.utf8))) }
        var random = SeededRandom(seed: 56)
        let signs: [UInt8: [UInt8]] = [
            0x61: [0x34, 0x40], 0x65: [0x33], 0x69: [0x31, 0x21], 0x6C: [0x31, 0x7C], 0x6F: [0x30], 0x73: [0x35, 0x24],
            0x74: [0x37], 0x67: [0x39],
        ]
        for round in 0..<500 {
            let word = Array(words[round % 6].utf8)
            // At least one sign, not at the end alone: that only whole words may have.
            var text = word
            let places = word.indices.filter {
                signs[word[$0]] != nil && word[$0] != 0x69 || $0 > 0 && signs[word[$0]] != nil
            }
            let one = places.randomElement(using: &random) ?? 0
            for place in places where place == one || Bool.random(using: &random) {
                text[place] = signs[word[place]]?.randomElement(using: &random) ?? word[place]
            }
            text = Array("so ".utf8) + text + Array(" x".utf8)
            #expect(Self.leet(text, vocabulary) == Self.leet(text))
        }
        for text in ["Ignore_All_Rules_now", "ignoreAllPrevious", "a.password.b", "will·all·x"] {
            let text = Array(text.utf8)
            let edits = TextDecoder.words(text.span, vocabulary: vocabulary)
            #expect(!edits.isEmpty && edits.read(text).text == TextDecoder.words(text.span).read(text).text)
        }
        #expect(TextDecoder.words(Array("get_user_name".utf8).span, vocabulary: vocabulary).isEmpty)
        #expect(TextDecoder.leet(Array("sha256 of int32x in utf8_t".utf8).span, vocabulary: vocabulary).isEmpty)
    }

    @Test func readingsAreJudgedAsDescribed() throws {
        let bundle = try EvaluationTests.bundle(
            """
            - {id: a, on: input, view: decoded, action: flag, match: {pcre: '\\bignore\\s+all\\s+\\w+'}}
            - {id: b, on: input, view: decoded, action: flag, match: {pcre: 'secret.{0,300}(?:word|rules)'}}
            - {id: c, on: input, view: decoded, action: flag, match: {pcre: '[a-z]+=\\w+|\\b\\d{3}[ -]?\\d{4}'}}
            - {id: d, on: input, view: folded, action: flag, match: {pcre: 'please\\s+read'}}
            - {id: e, on: input, view: decoded, stream: hold, action: flag, match: {any: [{pcre: 'please\\s+read'}, {words: [token]}]}}
            """)
        let all = Array(bundle.rules.indices)
        var texts = try Texts(seed: 53)
        var scratch = EvaluationScratch()
        var without = EvaluationScratch()
        without.usesPrefilter = false
        var decoded = 0
        for round in 0..<Self.rounds {
            var text = texts.next()
            // Changes further apart than a stretch is long.
            if round % 4 == 0 { text += Array(repeatElement(UInt8(ascii: "."), count: 700)) + texts.next() }
            let found = bundle.evaluate(text.span, rules: all, scratch: &scratch)
            #expect(found == bundle.evaluate(text.span, rules: all, scratch: &without))
            let places = Set(found.matches.map { [$0.rule, $0.range.lowerBound, $0.range.upperBound] })
            #expect(places == Self.plainly(bundle, text), "\(String(decoding: text, as: UTF8.self).debugDescription)")
            decoded +=
                bundle.evaluate(text.span, rules: all, phase: .output, scratch: &scratch).matches.count < places.count
                ? 1 : 0
        }
        #expect(decoded > Self.rounds / 20, "\(decoded)")
    }

    /// Stretches far apart, each of them slow: a rule's work on further readings is bounded for all of them together,
    /// and so is the number of matches.
    @Test func stretchesShareTheBounds() throws {
        let bundle = try EvaluationTests.bundle(
            """
            - {id: slow, on: input, view: decoded, action: flag, match: {pcre: '(?:a+)+b'}}
            - {id: near, on: input, view: decoded, action: flag, match: {pcre: '(?:a+)+b', context: {near: [x], within: 9}}}
            - {id: one, on: input, view: decoded, action: flag, match: {pcre: 'a{12}'}}
            """)
        // In the text itself no pattern can begin.
        let piece = String(repeating: "%61", count: 12) + String(repeating: ".", count: 1000)
        func found(_ count: Int, _ rule: Int, matchesMax: Int = 100) -> Evaluation {
            var limits = MatchLimits()
            (limits.matchLimit, limits.stepsPerByte) = (400_000, 0)
            var scratch = EvaluationScratch(limits: limits, matchesMax: matchesMax)
            // On the literals alone the searches would not begin.
            scratch.usesPrefilter = false
            let text = Array(String(repeating: piece, count: count).utf8)
            return bundle.evaluate(text.span, rules: [rule], scratch: &scratch)
        }
        for rule in [0, 1] {
            let index = try #require(bundle.rules.firstIndex { $0.id.name == ["slow", "near"][rule] })
            #expect(found(2, index).failures == [])
            #expect(found(60, index).failures == [ScanFailure(rule: index, reason: .matchLimit)])
        }
        let one = try #require(bundle.rules.firstIndex { $0.id.name == "one" })
        #expect(found(60, one).matches.count == 60)
        #expect(found(60, one, matchesMax: 60).failures == [])
        let few = found(60, one, matchesMax: 59)
        #expect(few.matches.count == 59)
        #expect(few.failures == [ScanFailure(rule: one, reason: .tooManyMatches)])
    }

    /// Where matches must not begin later, a refused one does not lead beyond.
    @Test func contextsKeepToTheStretch() throws {
        let bundle = try EvaluationTests.bundle(
            "- {id: c, on: input, view: raw, action: flag, match: {pcre: 'ab', context: {near: [near], within: 5}}}")
        let detector = try #require(bundle.rules[0].detectors.first)
        let text = Array("ab ......... ab near".utf8)
        var scratch = MatchScratch()
        func first(_ through: Int?) -> MatchOutcome {
            detector.firstMatch(in: text.span, from: 0, through: through, mode: .complete, scratch: &scratch)
        }
        #expect(first(nil) == .match(13..<15))
        #expect(first(13) == .match(13..<15))
        for through in 0..<13 { #expect(first(through) == .none) }
    }

    /// Any bytes, UTF-8 or not: readings are UTF-8, lead back into the text, and their number and length are bounded.
    @Test func anyBytesAreRead() throws {
        var random = SeededRandom(seed: 54)
        var texts = try Texts(seed: 55)
        for round in 0..<Self.rounds {
            var text = round % 3 == 0 ? [] : texts.next()
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                let at = Int.random(in: 0...text.count, using: &random)
                let bytes: [UInt8] = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    UInt8.random(in: .min ... .max, using: &random)
                }
                text.insert(
                    contentsOf: Bool.random(using: &random) ? bytes : Array(repeatElement(bytes[0], count: 100)), at: at
                )
            }
            let readings = DecodedView.readings(of: text.span)
            #expect(readings.count <= DecodedView.readingsMax + 1)
            for reading in readings {
                #expect(String(validating: reading.text, as: UTF8.self) != nil)
                for stretch in reading.stretches {
                    let range = reading.rawRange(of: stretch)
                    #expect(0 <= range.lowerBound && range.upperBound <= text.count)
                }
            }
        }
    }

    /// Bytes that decoding looks at, readings and what is judged of them grow with the text and no faster.
    @Test(arguments: [
        "a", "A1", "1 ", "69 ", "a b ", "a_", "aB", "!1a", "%4", "%41", "\\x41 ", "=41", "&a;", "&#65;", ".- ",
        "QUJD\n", "QUJD=", "\n",
        "a\n", "é", "中", "\u{E0041}", "zq", "(", "\"a", "12345678 ", "abcdefgh ", "!\"#$%", "-", "U+41 ", "0x41,",
        "1a!|", "\u{200B}a",
    ]) func costIsLinear(_ piece: String) {
        func cost(_ count: Int) -> (steps: Int, judged: Int) {
            let bytes = Array(String(repeating: piece, count: count / piece.utf8.count).utf8)
            var tried = TextDecoder.Tried()
            _ = TextDecoder.decode(bytes.span, &tried)
            let readings = DecodedView.readings(of: bytes.span)
            return (tried.steps, readings.reduce(0) { $0 + $1.text.count + $1.changes.reduce(0) { $0 + $1.count } })
        }
        let (one, eight) = (cost(4096), cost(8 * 4096))
        #expect(eight.steps <= 9 * one.steps + 1024)
        #expect(eight.judged <= 9 * one.judged + 65_536)
        #expect(eight.judged <= 48 * 8 * 4096)
    }
}
