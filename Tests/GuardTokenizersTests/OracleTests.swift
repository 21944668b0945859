import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardTokenizers

/// The fast paths against slow and obvious ones.
@Suite struct OracleTests {
    // MARK: Scanners

    @Test(arguments: PieceScanner.known.map(\.pattern))
    func scannerEqualsPattern(_ pattern: String) throws {
        let scanner = try #require(PieceScanner.named(by: pattern))
        let oracle = try SplitPattern(pattern)
        var random = SeededRandom(seed: 11)
        var texts = (0..<4000).map { _ in Array(random.text(24).utf8) }
        let edges = [
            "'S'T'Re'vE'M'lL'D'ſ'ſs'x'", "ǅab ǅAB ʰA ʰʰ Aʰb ÅʰÅ", "\u{301}A\u{301}a \u{301}\u{301}", "a//\r\n/b",
            "x'sS'sé's",
        ]
        texts += edges.map { Array($0.utf8) }
        for text in texts {
            let got = scan(scanner, text)
            #expect(got == oracle.matches(text), "\(String(decoding: text, as: UTF8.self).debugDescription)")
        }
    }

    /// Pieces cover the text, whatever the bytes.
    @Test(arguments: PieceScanner.known.map(\.pattern))
    func scannerCoversIllFormedText(_ pattern: String) throws {
        let scanner = try #require(PieceScanner.named(by: pattern))
        var random = SeededRandom(seed: 12)
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                [UInt8.random(in: 0...255, using: &random), 0x20, 0xE2, 0xF0, 0x80, 0x41][
                    Int.random(in: 0..<6, using: &random)]
            }
            let pieces = scan(scanner, text)
            #expect(pieces.first?.lowerBound == 0 && pieces.last?.upperBound == text.count)
            #expect(zip(pieces, pieces.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        }
    }

    @Test func patternThatDiffersIsNotScannedByHand() {
        #expect(PieceScanner.named(by: PieceScanner.llama3Pattern + " ") == nil)
        #expect(PieceScanner.named(by: PieceScanner.qwen2Pattern)?.digitsMax == 1)
    }

    private func scan(_ scanner: PieceScanner, _ text: [UInt8]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var at = 0
            while at < buffer.count {
                let next = scanner.next(base, at, buffer.count, .shared)
                ranges.append(at..<next)
                at = next
            }
        }
        return ranges
    }

    // MARK: Merging

    /// Random texts for each model, in a release build for a thorough run: `GUARD_ORACLE_ROUNDS=1000000`. That can be
    /// done in slices: `GUARD_ORACLE_MODELS=llama-3.1,gemma-2`, and `GUARD_ORACLE_SEED=2` for other texts.
    private static let environment = ProcessInfo.processInfo.environment
    private static let rounds = environment["GUARD_ORACLE_ROUNDS"].flatMap(Int.init)
    private static let seed = environment["GUARD_ORACLE_SEED"].flatMap(UInt64.init) ?? 13
    private static let models =
        environment["GUARD_ORACLE_MODELS"].map { $0.split(separator: ",").map(String.init) }
        ?? ["gpt-2", "qwen2.5", "llama-3.1", "mistral-nemo", "gemma-2", "phi-3-mini"]

    /// Random texts and pieces of the corpus with random edits, whole pipeline.
    @Test(arguments: ["byte-level", "sentencepiece"])
    func ownTokenizersEqualNaive(_ name: String) throws {
        let file = [UInt8](try Data(contentsOf: TestFiles.fixture(name + "/tokenizer.json")))
        let corpus = try String(contentsOf: TestData.fixtures.appending(path: "tools/corpus.txt"), encoding: .utf8)
        try compare(file, try TestFiles.fixtureTokenizer(name + "/tokenizer.json"), corpus, count: Self.rounds ?? 1500)
    }

    @Test(.enabled(if: TestData.hasShared), arguments: models)
    func sharedTokenizersEqualNaive(_ name: String) throws {
        let corpus = try FileHandle(forReadingFrom: TestData.sharedFile("tokenizers/corpus.txt"))
        let start = String(decoding: try corpus.read(upToCount: Self.rounds == nil ? 400_000 : 8_000_000) ?? Data(), as: UTF8.self)
        let path = name + "/tokenizer.json"
        try compare(TestFiles.shared(path), TestFiles.sharedTokenizer(path), start, count: Self.rounds ?? 2900)
    }

    private func compare(_ file: [UInt8], _ tokenizer: Tokenizer, _ corpus: String, count: Int) throws {
        let naive = try NaiveBytePair(file)
        let pattern = NaiveBytePair.splitPattern(file)
        let splitter = try pattern.map { try SplitPattern($0) }
        let scalars = Array(corpus.unicodeScalars)
        var random = SeededRandom(seed: Self.seed)
        for round in 0..<count {
            var text = random.text(40)
            if round % 2 == 0 {
                let start = Int.random(in: 0..<scalars.count, using: &random)
                var piece = Array(scalars[start..<min(scalars.count, start + Int.random(in: 1...150, using: &random))])
                for _ in 0..<3 {
                    piece[Int.random(in: 0..<piece.count, using: &random)] =
                        SeededRandom.alphabet[
                            Int.random(in: 0..<SeededRandom.alphabet.count, using: &random)]
                }
                var view = String.UnicodeScalarView()
                view.append(contentsOf: piece)
                text = String(view)
            }
            if text.utf8.contains(UInt8(ascii: "<")) { text.unicodeScalars.removeAll { $0 == "<" } }
            let want = naive.encode(text, splitter)
            let bytes = Array(text.utf8)
            let got = tokenizer.encode(bytes, specials: .asText, addSpecialTokens: false).map(\.value)
            // Without the macro where all is well: a million of them would keep a million records.
            guard got != want || tokenizer.count(bytes, specials: .asText, addSpecialTokens: false) != want.count else {
                continue
            }
            #expect(got == want, "\(text.debugDescription)")
            #expect(tokenizer.count(bytes, specials: .asText, addSpecialTokens: false) == want.count)
        }
    }

    /// The scan of short pieces and the heap of long ones, on the same symbols.
    @Test func heapEqualsScan() throws {
        let tokenizer = try TestFiles.fixtureTokenizer("sentencepiece/tokenizer.json")
        let naive = try NaiveBytePair([UInt8](Data(contentsOf: TestFiles.fixture("sentencepiece/tokenizer.json"))))
        var random = SeededRandom(seed: 14)
        for length in [BytePairModel.scanMax - 1, BytePairModel.scanMax, BytePairModel.scanMax + 1, 200] {
            for _ in 0..<20 {
                // Letters only: one segment that cannot be cut at spaces.
                let text = String((0..<length).map { _ in "etaoinshrd".randomElement(using: &random) ?? "e" })
                let got = tokenizer.encode(Array(text.utf8), addSpecialTokens: false).map(\.value)
                #expect(got == naive.encode("▁" + text))
            }
        }
    }

    /// Would take minutes if merging were quadratic.
    @Test(arguments: ["byte-level", "sentencepiece"])
    func longPiecesAreNotQuadratic(_ name: String) throws {
        let tokenizer = try TestFiles.fixtureTokenizer(name + "/tokenizer.json")
        let clock = ContinuousClock()
        for unit in ["a", "ab", "abc", " ", "\n", "é", "🙂", "'", "1"] {
            let text = Array(String(repeating: unit, count: 100_000 / unit.utf8.count).utf8)
            let elapsed = clock.measure {
                #expect(tokenizer.count(text, addSpecialTokens: false) > 0)
            }
            #expect(elapsed < .seconds(5), "\(unit.debugDescription)")
        }
    }
}

extension NaiveBytePair {
    static func splitPattern(_ file: [UInt8]) -> String? {
        for (pattern, _) in PieceScanner.known {
            let json = (try? JSONEncoder().encode(pattern)).map { [UInt8]($0) } ?? []
            let text = String(decoding: json, as: UTF8.self).replacingOccurrences(of: "\\/", with: "/")
            if Data(file).range(of: Data(text.utf8)) != nil { return pattern }
        }
        return Data(file).range(of: Data("ByteLevel".utf8)) == nil ? nil : PieceScanner.gpt2Pattern
    }

    /// The whole way of the files in the tests: byte-level with a split, or spaces as `▁`.
    func encode(_ text: String, _ splitter: SplitPattern?) -> [UInt32] {
        guard !text.isEmpty else { return [] }
        guard let splitter else {
            // Only Gemma's vocabulary has no prefix.
            let isGemma = vocabulary[Array("<start_of_turn>".utf8)] != nil
            if isGemma { return encodeBetweenAdded(Array(text.unicodeScalars)) }
            return encode("▁" + Self.metaspaced(text.unicodeScalars))
        }
        let isQwen = vocabulary.count == 151_643
        let bytes = Array((isQwen ? text.precomposedStringWithCanonicalMapping : text).utf8)
        let alphabet = Self.byteAlphabet
        return splitter.matches(bytes).flatMap { range in encode(bytes[range].map { alphabet[Int($0)] }.joined()) }
    }

    private static func metaspaced(_ text: some Sequence<Unicode.Scalar>) -> String {
        text.map { $0 == " " ? "▁" : String($0) }.joined()
    }

    /// Added tokens first, leftmost and of these the longest; each stretch between them on its own.
    private func encodeBetweenAdded(_ text: [Unicode.Scalar]) -> [UInt32] {
        var ids: [UInt32] = []
        var stretch: [Unicode.Scalar] = []
        var at = 0
        while at < text.count {
            if let token = added.first(where: { text[at...].starts(with: $0.text) }) {
                ids += encode(Self.metaspaced(stretch)) + [token.id]
                stretch = []
                at += token.text.count
            } else {
                stretch.append(text[at])
                at += 1
            }
        }
        return ids + encode(Self.metaspaced(stretch))
    }

    /// GPT-2's `bytes_to_unicode`, as its authors wrote it.
    private static let byteAlphabet: [String] = {
        let plain = Array(33...126) + Array(161...172) + Array(174...255)
        var table = [String](repeating: "", count: 256)
        var shifted: UInt32 = 0
        for byte in 0..<256 {
            if plain.contains(byte) {
                table[byte] = String(Unicode.Scalar(UInt8(byte)))
            } else {
                table[byte] = Unicode.Scalar(256 + shifted).map { String($0) } ?? ""
                shifted += 1
            }
        }
        return table
    }()
}
