/// Literals of which a text must hold at least one if a pattern matches in it.
///
/// The seam of the literal prefilter. Today each literal is tested by one of its trigrams against a sketch of the text
/// (a set of hashed trigrams made in one pass); an automaton over the literals of all rules can take its place without
/// a rule noticing. Never a false "no": what is not understood gives no literals, and then the pattern runs.
package struct RequiredLiterals: Sendable, Hashable {
    /// Lower-case ASCII, three bytes or more each. Empty: nothing is known.
    package let any: [[UInt8]]
    private let probes: [UInt16]

    package static let unknown = RequiredLiterals(any: [], avoiding: [])

    /// - Parameter avoiding: letters that a caseless match may find in other than ASCII form (`s` as U+017F, `k` as
    ///   U+212A, in raw text); a trigram with one of them proves nothing.
    init(any literals: [[UInt8]], avoiding: Set<UInt8>) {
        var probes: [UInt16] = []
        for literal in literals {
            var best: (rarity: Int, slot: UInt16)?
            if literal.count >= 3 {
                for start in 0...(literal.count - 3) {
                    let trigram = literal[start..<(start + 3)]
                    guard !trigram.contains(where: { avoiding.contains($0) || $0 >= 0x80 }) else { continue }
                    let rarity = trigram.reduce(0) { $0 + Self.rarity($1) }
                    if rarity > (best?.rarity ?? -1) {
                        best = (rarity, TextSketch.slot(trigram[start], trigram[start + 1], trigram[start + 2]))
                    }
                }
            }
            guard let best else {
                (any, self.probes) = ([], [])
                return
            }
            probes.append(best.slot)
        }
        (any, self.probes) = (literals, probes)
    }

    package func mayOccur(in sketch: borrowing TextSketch) -> Bool {
        if probes.isEmpty { return true }
        for probe in probes where sketch.contains(probe) { return true }
        return false
    }

    /// How rare a byte is in ordinary text, roughly.
    private static func rarity(_ byte: UInt8) -> Int {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "e"), UInt8(ascii: "t"), UInt8(ascii: "a"), UInt8(ascii: "o"),
            UInt8(ascii: "i"), UInt8(ascii: "n"):
            0
        case UInt8(ascii: "s"), UInt8(ascii: "h"), UInt8(ascii: "r"), UInt8(ascii: "d"), UInt8(ascii: "l"),
            UInt8(ascii: "u"), UInt8(ascii: "c"), UInt8(ascii: "m"):
            1
        case UInt8(ascii: "a")...UInt8(ascii: "z"): 2
        default: 3
        }
    }
}

/// Which trigrams a text holds, ASCII case folded: a set of 32,768 hash slots.
package struct TextSketch: ~Copyable {
    private var words = [UInt64](repeating: 0, count: 512)

    package init() {}

    static func slot(_ first: UInt8, _ second: UInt8, _ third: UInt8) -> UInt16 {
        let value = UInt32(first) << 16 | UInt32(second) << 8 | UInt32(third)
        return UInt16(truncatingIfNeeded: (value &* 0x9E37_79B1) >> 17)
    }

    /// Makes this the sketch of `text`.
    package mutating func reset(to text: Span<UInt8>) {
        words.withUnsafeMutableBufferPointer { words in
            words.update(repeating: 0)
            var window: UInt32 = 0
            for index in 0..<text.count {
                let byte = text[index]
                let lower = byte &+ ((byte &- 0x41) < 26 ? 0x20 : 0)
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
