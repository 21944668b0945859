internal import GuardMatching

/// How rare literals are in ordinary text, so that of several that a pattern requires the rarest is looked for. Only
/// speed depends on it.
enum LiteralFrequency {
    /// Below this (in half bits) a literal turns up so often that its pattern might as well always run.
    static let useful = 9

    /// Half bits of one literal.
    static func rarity(_ literal: some Sequence<UInt8>) -> Int {
        ByteRarity.halfBits(of: literal)
    }

    /// Half bits of "one of these occurs here".
    static func rarity(_ literals: [RequiredLiterals.Literal]) -> Int {
        let rarest = literals.lazy.map { rarity($0.bytes) }.min() ?? 0
        let alike = literals.count { rarity($0.bytes) <= rarest + 4 }
        return rarest - 2 * (Int.bitWidth - alike.leadingZeroBitCount - 1)
    }

    /// Half bits of "such a run begins here": counted in prose and code, of letters and digits; words are long there.
    static func rarity(_ run: RequiredLiterals.Run) -> Int {
        let length =
            switch run.length {
            case ..<16: 10
            case ..<22: 18
            case ..<32: 20
            default: 24
            }
        return length + (run.bytes.count <= 24 ? 6 : 0)
    }

    /// Which literals to take: rare ones, and of those that are rare enough the ones whose place is known best.
    static func score(_ literals: [RequiredLiterals.Literal]) -> Int {
        let isBounded = literals.allSatisfy {
            $0.before.bytes != .all || ($0.before.length.max ?? .max) - $0.before.length.min <= 256
        }
        return min(rarity(literals), 60) + (isBounded ? 6 : 0)
    }
}
