import Foundation
import GuardTesting
import Testing

@testable import GuardClassifiers

@Suite struct LinearClassifierTests {
    private static func small(_ calibration: LinearClassifier.Calibration = .platt(a: 2, b: -1)) -> LinearClassifier {
        var features = FeatureOptions()
        features.bucketsLog2 = 6
        features.windowCharacters = 64
        features.charactersMin = 1
        features.charactersMax = 3
        var random = SeededRandom(seed: 3)
        let labels = ["one", "zwei"].map { LinearClassifier.Label(name: $0, bias: 0.25, calibration: calibration) }
        return LinearClassifier(
            features: features, labels: labels,
            weights: (0..<128).map { _ in Float(Int.random(in: -100...100, using: &random)) / 64 })
    }

    /// The slow, obvious meaning: all n-grams of a window by their strings.
    private static func oracle(_ model: LinearClassifier, _ text: [UInt8]) -> [[Double]] {
        let blocks = TextFeatures.blocks(text.span, model.features)
        var grams: [[Int]] = Array(repeating: [], count: blocks.ranges.count)
        TextFeatures.forEach(text.span, blocks, model.features) { grams[$0].append($1) }
        return (0..<max(1, grams.count - 1)).map { first in
            let all = grams[first..<min(first + 2, grams.count)].flatMap { $0 }
            return model.labels.indices.map { label in
                let sum = all.reduce(0.0) { $0 + Double(model.weights[$1 * model.labels.count + label]) }
                return 0.25 + sum / Double(max(1, all.count)).squareRoot()
            }
        }
    }

    @Test func windowsAreSumsOfTheirNGrams() {
        let model = Self.small()
        for text in ["a", "hello  wörld", String(repeating: "abc défg ", count: 40), String(repeating: "x", count: 32), String(repeating: "x", count: 33), " "] {
            let windows = model.windows(Array(text.utf8).span)
            let wanted = Self.oracle(model, Array(text.utf8))
            #expect(windows.count == wanted.count)
            for (window, logits) in zip(windows, wanted) {
                for (left, right) in zip(window.logits, logits) { #expect(abs(left - right) < 1e-9) }
            }
            #expect(windows.first?.range.lowerBound == 0 && windows.last?.range.upperBound == text.utf8.count)
        }
        #expect(model.windows([UInt8]().span).isEmpty)
        #expect(model.scores([UInt8]().span) == [0, 0])
    }

    @Test func countsOfNGrams() {
        var options = FeatureOptions()
        options.charactersMin = 2
        options.charactersMax = 3
        options.wordsMax = 2
        func count(_ text: String) -> Int {
            var count = 0
            let bytes = Array(text.utf8)
            TextFeatures.forEach(bytes.span, TextFeatures.blocks(bytes.span, options), options) { _, bucket in
                #expect(bucket >= 0 && bucket < options.buckets)
                count += 1
            }
            return count
        }
        // 3 pairs and 2 triples of 4 characters, one word.
        #expect(count("abcd") == 6)
        #expect(count("é😀bc") == 6)
        // White space in a row is one: `a b` has 2 pairs, 1 triple, 2 words, 1 pair of words.
        #expect(count("a b") == 6 && count("a \n\t b") == 6)
    }

    @Test func longTextsHaveOverlappingWindows() {
        let model = Self.small()
        let text = Array(String(repeating: "é", count: 100).utf8)
        #expect(model.windows(text.span).map(\.range) == [0..<128, 64..<192, 128..<200])
        #expect(model.scores(text.span) == (0..<2).map { label in model.windows(text.span).map { $0.scores[label] }.max() ?? 0 })
    }

    @Test func calibrations() {
        #expect(LinearClassifier.Calibration.logistic.probability(0) == 0.5)
        #expect(abs(LinearClassifier.Calibration.platt(a: 2, b: -1).probability(0.5) - 0.5) < 1e-9)
        let points = [(-1, 0.1), (0, 0.2), (2, 0.8)].map { LinearClassifier.Calibration.Point(x: Float($0.0), y: Float($0.1)) }
        let isotonic = LinearClassifier.Calibration.isotonic(points)
        for (z, wanted) in [(-5, 0.1), (-1, 0.1), (-0.5, 0.15), (0, 0.2), (1, 0.5), (2, 0.8), (9, 0.8)] {
            #expect(abs(isotonic.probability(z) - wanted) < 1e-6)
        }
        // Scores that separate badly are pulled towards the middle.
        guard case .platt(let a, _) = LinearClassifier.platt([3, 2, 1, -1, 1, -2], [true, true, false, false, true, false]) else {
            Issue.record("no calibration")
            return
        }
        #expect(a > 0)
    }

    @Test(arguments: [0, 1, 2]) func filesGoRoundAndDamageIsSeen(_ kind: Int) throws {
        let model = Self.small(
            [.logistic, .platt(a: 2, b: -1), .isotonic([.init(x: -1, y: 0), .init(x: 1, y: 1)])][kind])
        let bytes = model.encoded()
        let read = try LinearClassifier(bytes)
        #expect(read.encoded() == bytes)
        let text = Array("some text of forty and more letters, twice over and again".utf8)
        #expect(read.windows(text.span) == model.windows(text.span))
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 1 << UInt8(index % 8)
            #expect(throws: ClassifierError.self) { _ = try LinearClassifier(damaged) }
            #expect(throws: ClassifierError.self) { _ = try LinearClassifier(Array(bytes[..<index])) }
        }
        #expect(throws: ClassifierError.self) { _ = try LinearClassifier(bytes + [0]) }
    }

    /// Mutations with a checksum that fits: the reader itself is tried.
    @Test func mutatedFilesEndInAnError() throws {
        let rounds = ProcessInfo.processInfo.environment["GUARD_FUZZ_ROUNDS"].flatMap(Int.init) ?? 20_000
        let seed = Self.small(.isotonic([.init(x: -1, y: 0), .init(x: 1, y: 1)])).encoded().dropLast(32)
        var random = SeededRandom(seed: 5)
        let text = Array("any text".utf8)
        var loaded = 0
        for _ in 0..<rounds {
            var bytes = Array(seed)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                // Mostly in the head, where the structure is.
                let index = Int.random(in: 0..<(Bool.random(using: &random) ? min(80, bytes.count) : bytes.count), using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = .random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                default: bytes.insert([0, 1, 2, 0x7F, 0xFF].randomElement(using: &random) ?? 0, at: index)
                }
            }
            do {
                let model = try LinearClassifier(ClassifierChecksum.added(to: bytes))
                loaded += 1
                for window in model.windows(text.span) { #expect(window.scores.allSatisfy { (0...1).contains($0) }) }
            } catch { #expect(error.offset >= 0 && error.offset <= bytes.count + 32) }
        }
        #expect(loaded > rounds / 100)
    }

    @Test func trainingSeparatesAndIsRepeatable() {
        var samples: [LinearClassifier.Sample] = []
        for index in 0..<30 {
            samples.append(.init(text: Array("please ignore what was said \(index)".utf8), labels: ["a"]))
            samples.append(.init(text: Array("a recipe for soup with \(index) beans".utf8), labels: ["b"]))
            samples.append(.init(text: Array("meeting at \(index) o'clock".utf8), labels: []))
        }
        var options = LinearClassifier.TrainingOptions()
        options.features.bucketsLog2 = 10
        let model = LinearClassifier.train(samples, labels: ["a", "b"], options: options)
        #expect(model.encoded() == LinearClassifier.train(samples, labels: ["a", "b"], options: options).encoded())
        #expect(model.scores(Array("ignore what i said".utf8).span)[0] > 0.8)
        #expect(model.scores(Array("soup with beans".utf8).span)[1] > 0.8)
        #expect(model.scores(Array("meeting at noon".utf8).span).allSatisfy { $0 < 0.3 })
    }
}
