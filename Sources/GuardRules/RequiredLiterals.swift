internal import GuardCore

/// Literals of which a text must hold at least one if a pattern matches in it.
///
/// The seam of the literal prefilter. Today a literal is tested by all its trigrams against a sketch of the text (a set
/// of hashed trigrams and one of bytes, made in one pass); an automaton over the literals of all rules can take its
/// place without a rule noticing. Never a false "no": what is not understood gives no literals, and then the pattern
/// runs.
package struct RequiredLiterals: Sendable, Hashable {
    /// Lower-case ASCII. Empty: nothing is known.
    package let any: [[UInt8]]
    /// Slots of the sketch, those of one literal after the other: the text holds the literal only if it holds all.
    fileprivate let probes: [UInt16]
    /// End in `probes` of each literal's slots.
    fileprivate let ends: [Int]

    package static let unknown = RequiredLiterals(any: [], avoiding: [])

    /// - Parameter avoiding: letters that a caseless match may find in other than ASCII form (`s` as U+017F, `k` as
    ///   U+212A, in raw text); what holds one of them proves nothing.
    init(any literals: [[UInt8]], avoiding: Set<UInt8>) {
        var probes: [UInt16] = []
        var ends: [Int] = []
        for literal in literals {
            let before = probes.count
            for start in literal.indices.dropLast(2) {
                let (first, second, third) = (literal[start], literal[start + 1], literal[start + 2])
                guard !avoiding.contains(first), !avoiding.contains(second), !avoiding.contains(third) else { continue }
                probes.append(TextSketch.slot(first, second, third))
            }
            if probes.count == before {
                for byte in literal where !avoiding.contains(byte) { probes.append(TextSketch.slot(byte)) }
            }
            guard probes.count > before else {
                (any, self.probes, self.ends) = ([], [], [])
                return
            }
            ends.append(probes.count)
        }
        (any, self.probes, self.ends) = (literals, probes, ends)
    }

    package func mayOccur(in sketch: borrowing TextSketch) -> Bool {
        if ends.isEmpty { return true }
        var index = 0
        for end in ends {
            var isPossible = true
            while index < end, isPossible {
                isPossible = sketch.contains(probes[index])
                index += 1
            }
            if isPossible { return true }
            index = end
        }
        return false
    }
}

/// Which trigrams and bytes a text holds, ASCII case folded: 32,768 hash slots and 256 of bytes.
package struct TextSketch: ~Copyable {
    private var words = [UInt64](repeating: 0, count: 516)

    package init() {}

    static func slot(_ first: UInt8, _ second: UInt8, _ third: UInt8) -> UInt16 {
        let value = UInt32(first) << 16 | UInt32(second) << 8 | UInt32(third)
        return UInt16(truncatingIfNeeded: (value &* 0x9E37_79B1) >> 17)
    }

    static func slot(_ byte: UInt8) -> UInt16 { 32_768 + UInt16(byte) }

    /// Makes this the sketch of `text`.
    package mutating func reset(to text: Span<UInt8>) {
        words.withUnsafeMutableBufferPointer { words in
            words.update(repeating: 0)
            var window: UInt32 = 0
            for index in 0..<text.count {
                let byte = text[index]
                let lower = byte &+ ((byte &- 0x41) < 26 ? 0x20 : 0)
                words[512 + Int(lower >> 6)] |= 1 << UInt64(lower & 63)
                window = (window << 8 | UInt32(lower)) & 0xFF_FFFF
                let slot = Int((window &* 0x9E37_79B1) >> 17)
                words[slot >> 6] |= 1 << UInt64(slot & 63)
            }
        }
    }

    func contains(_ slot: UInt16) -> Bool {
        words[Int(slot) >> 6] & (1 << UInt64(slot & 63)) != 0
    }
}

/// The literals of all rules in flat arrays: most rules are passed over for most texts, and to look at one should not
/// cost the reference counts of its parts.
struct PrefilterPlan: Sendable {
    let isFolded: [Bool]
    /// End in `literalEnds` of each rule's detectors.
    private let detectorEnds: [Int]
    /// End in `slotEnds` of each detector's literals; a detector without any always runs.
    private let literalEnds: [Int]
    /// End in `slots` of each literal.
    private let slotEnds: [Int]
    private let slots: [UInt16]

    init(_ rules: [CompiledRule]) {
        isFolded = rules.map { $0.view == .folded }
        var detectorEnds: [Int] = []
        var literalEnds: [Int] = []
        var slotEnds: [Int] = []
        var slots: [UInt16] = []
        for rule in rules {
            for detector in rule.detectors {
                slotEnds += detector.required.ends.map { $0 + slots.count }
                slots += detector.required.probes
                literalEnds.append(slotEnds.count)
            }
            detectorEnds.append(literalEnds.count)
        }
        (self.detectorEnds, self.literalEnds) = (detectorEnds, literalEnds)
        (self.slotEnds, self.slots) = (slotEnds, slots)
    }

    /// Whether any detector of the rule may match a text with this sketch.
    func mayMatch(_ rule: Int, _ sketch: borrowing TextSketch) -> Bool {
        let first = rule == 0 ? 0 : detectorEnds[rule - 1]
        var literal = first == 0 ? 0 : literalEnds[first - 1]
        for detector in first..<detectorEnds[rule] {
            let end = literalEnds[detector]
            if literal == end { return true }
            while literal < end {
                var slot = literal == 0 ? 0 : slotEnds[literal - 1]
                let last = slotEnds[literal]
                while slot < last, sketch.contains(slots[slot]) { slot += 1 }
                if slot == last { return true }
                literal += 1
            }
        }
        return false
    }
}
