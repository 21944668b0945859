internal import Glibc
internal import GuardMatching

/// A text that makes a pattern work hard: `prefix`, `pump` as often as wanted, `suffix`.
package struct Witness: Sendable, Hashable {
    package var prefix: [UInt8]
    package var pump: [UInt8]
    package var suffix: [UInt8]

    package func text(pumps: Int) -> [UInt8] {
        var text = prefix
        text.reserveCapacity(prefix.count + pumps * pump.count + suffix.count)
        for _ in 0..<pumps { text += pump }
        return text + suffix
    }

    /// Pumps for a text of about `bytes` bytes, at least one.
    package func pumps(bytes: Int) -> Int { max(1, (bytes - prefix.count - suffix.count) / max(1, pump.count)) }
}

/// What a pattern costs on the worst text found for it, counted by `WorkMeter`.
package struct PatternCost: Sendable {
    package enum Growth: Sendable, Hashable {
        /// Steps as a power of the length, measured; about 1 is linear.
        case power(Double)
        case exponential
    }

    package struct Sample: Sendable, Hashable {
        package var pumps: Int
        package var bytes: Int
        package var steps: Int
    }

    package var witness: Witness
    /// On about 1 KiB of the witness. A bound where `isCut`.
    package var stepsPerKilobyte: Int
    package var isCut: Bool
    package var growth: Growth
    package var samples: [Sample]
    /// What the automaton says: the power it may grow with; `nil` where it was not analysed.
    package var degree: Int?
    package var mayBeExponential = false
    package var notAnalysed: String?
}

/// Tries the strings that may be expensive and counts what they cost.
struct CostProof {
    /// Steps after which a count is cut off.
    var limit = 20_000_000
    private static let firstBytes = 96
    private static let firstLimit = 60_000
    /// What may stand where the match would have to go on. The pattern's shortest match behind it keeps the engine from
    /// giving up at once because a character that every match has is nowhere in the text.
    private static let breaks: [[UInt8]] = [[], [0x00], [0x0A], [0x20], [0x21]]

    /// - Parameter seeds: texts that match, which are tried besides what the analysis gives.
    /// - Returns: `nil` where the pattern cannot be counted (it does not compile with callouts).
    func cost(_ pattern: Pattern, seeds: [[UInt8]]) -> PatternCost? {
        guard let meter = try? WorkMeter(pattern) else { return nil }
        var candidates: [Witness] = []
        var degree: Int?
        var mayBeExponential = false
        var notAnalysed: String?
        var suffixes = Self.breaks
        do {
            let parsed = try PatternParser.parse(pattern.source, options: pattern.options)
            if let ambiguity = Ambiguity(parsed.root) {
                degree = ambiguity.degree
                mayBeExponential = ambiguity.hasExponential
                if let match = ambiguity.shortestMatch {
                    suffixes += Self.breaks.dropFirst().map { $0 + Self.utf8(match) }
                }
                for candidate in ambiguity.candidates {
                    let (prefix, pump) = (Self.utf8(candidate.prefix), Self.utf8(candidate.pump))
                    candidates.append(Witness(prefix: prefix, pump: pump, suffix: []))
                    if !prefix.isEmpty { candidates.append(Witness(prefix: [], pump: prefix + pump, suffix: [])) }
                }
            } else {
                notAnalysed = "the automaton is too large"
            }
        } catch {
            notAnalysed = error.reason
        }
        if let seed = seeds.first, seed.count <= 128, notAnalysed != nil {
            suffixes += Self.breaks.dropFirst().map { $0 + seed }
        }
        for seed in seeds.prefix(4) where !seed.isEmpty && seed.count <= 512 {
            // Whole, and without its last character, so that the end fails.
            var end = seed.count - 1
            while end > 0, seed[end] & 0xC0 == 0x80 { end -= 1 }
            candidates.append(Witness(prefix: [], pump: seed, suffix: []))
            if end > 0 { candidates.append(Witness(prefix: [], pump: Array(seed[..<end]), suffix: [])) }
        }
        candidates.append(Witness(prefix: [], pump: [0x61], suffix: []))
        candidates.append(Witness(prefix: [], pump: [0x31], suffix: []))
        var best: [(density: Double, witness: Witness)] = []
        for candidate in candidates {
            var top: (density: Double, witness: Witness)?
            for suffix in suffixes {
                var witness = candidate
                witness.suffix = suffix
                let text = witness.text(pumps: witness.pumps(bytes: Self.firstBytes))
                let density = Double(meter.steps(on: text, limit: Self.firstLimit)) / Double(max(1, text.count))
                if density > top?.density ?? -1 { top = (density, witness) }
            }
            if let top { best.append(top) }
        }
        best.sort { $0.density > $1.density }
        var worst: PatternCost?
        for (_, witness) in best.prefix(3) {
            var cost = measure(witness, meter, mayBeExponential: mayBeExponential || notAnalysed != nil)
            (cost.degree, cost.mayBeExponential, cost.notAnalysed) = (degree, mayBeExponential, notAnalysed)
            if let known = worst, Self.rank(known) >= Self.rank(cost) { continue }
            worst = cost
        }
        return worst
    }

    private static func rank(_ cost: PatternCost) -> Double {
        cost.growth == .exponential ? .infinity : Double(cost.stepsPerKilobyte)
    }

    private func measure(_ witness: Witness, _ meter: WorkMeter, mayBeExponential: Bool) -> PatternCost {
        var samples: [PatternCost.Sample] = []
        func sample(_ pumps: Int) -> PatternCost.Sample {
            let text = witness.text(pumps: pumps)
            let sample = PatternCost.Sample(
                pumps: pumps, bytes: text.count, steps: meter.steps(on: text, limit: limit))
            samples.append(sample)
            return sample
        }
        if mayBeExponential {
            // A power multiplies the steps by the same factor at every doubling of the pumps; what is exponential squares
            // the factor.
            for pumps in [1, 2, 3, 4, 5, 6, 8, 10] {
                samples = []
                let counts = [pumps, 2 * pumps, 4 * pumps].map { Double(max(1, sample($0).steps)) }
                let (first, second) = (log2(counts[1] / counts[0]), log2(counts[2] / counts[1]))
                if counts[0] >= 20, first >= 2, second >= 6, second >= 1.6 * first {
                    return PatternCost(
                        witness: witness, stepsPerKilobyte: limit, isCut: true, growth: .exponential, samples: samples)
                }
                if counts[1] >= Double(limit) { break }
            }
        }
        samples = []
        // Doubled until it is cut off; the growth is that of the last two that are not.
        for bytes in [32, 64, 128, 256, 512, 1024, 2048, 4096] {
            let pumps = witness.pumps(bytes: bytes)
            if pumps == samples.last?.pumps { continue }
            if sample(pumps).steps >= limit { break }
        }
        let counted = samples.filter { $0.steps < limit }
        var power = 1.0
        if let last = counted.last, let before = counted.dropLast().last, before.steps >= 50 {
            power =
                log2(Double(last.steps) / Double(before.steps)) / log2(Double(last.bytes) / Double(before.bytes))
        }
        // The sample nearest to 1 KiB from above, or the last.
        let kilobyte = samples.first { $0.bytes >= 900 } ?? samples.last
        let isCut = samples.contains { $0.steps >= limit && $0.bytes <= 1500 }
        let perKilobyte = Double(kilobyte?.steps ?? 0) * 1024 / Double(max(1024, kilobyte?.bytes ?? 0))
        return PatternCost(
            witness: witness, stepsPerKilobyte: isCut ? limit : Int(perKilobyte), isCut: isCut,
            growth: .power(max(0, power)), samples: Array(samples.suffix(4)))
    }

    private static func utf8(_ scalars: [UInt32]) -> [UInt8] {
        var text = String.UnicodeScalarView()
        for value in scalars { if let scalar = Unicode.Scalar(value) { text.append(scalar) } }
        return Array(String(text).utf8)
    }
}
