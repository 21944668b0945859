/// Finds literals of which every match of a pattern must hold at least one.
///
/// Why it never says a false "no": it walks the pattern's syntax and keeps only what it knows. A literal character, a
/// small class or a group of such is *exact* (the strings it can match are listed); everything else ends the run of
/// literals before it. What may be skipped (`?`, `*`, `{0,n}`) requires nothing; of alternatives each must require
/// something. Any construct that is not understood makes the whole answer "unknown", and then the pattern always runs.
/// Zero-width assertions match no text, so the literals on both sides of one stay neighbours.
struct LiteralExtraction {
    /// What is known of a part of a pattern.
    private struct Known {
        /// All the strings it can match, where they are few.
        var exact: [[UInt8]]?
        /// One of these occurs in whatever it matches.
        var required: [[UInt8]]?

        static let opaque = Known(exact: nil, required: nil)
        static let empty = Known(exact: [[]], required: nil)
    }

    private struct NotUnderstood: Error {}

    private static let exactMax = 48
    private static let lengthMin = 1

    private let source: [UInt8]
    private var index = 0
    private var isCaseless: Bool

    static func required(_ source: String, caseless: Bool, isRaw: Bool) -> RequiredLiterals {
        var walker = LiteralExtraction(source: Array(source.utf8), isCaseless: caseless)
        guard let known = try? walker.alternation(), walker.index == walker.source.count,
            let literals = Self.candidate(known.exact) ?? known.required
        else { return .unknown }
        // A caseless s or k in raw text may be U+017F or U+212A.
        let avoiding: Set<UInt8> = isRaw && walker.isCaseless ? [UInt8(ascii: "s"), UInt8(ascii: "k")] : []
        return RequiredLiterals(any: literals, avoiding: avoiding)
    }

    private init(source: [UInt8], isCaseless: Bool) {
        self.source = source
        self.isCaseless = isCaseless
    }

    private static func candidate(_ exact: [[UInt8]]?) -> [[UInt8]]? {
        guard let exact, !exact.isEmpty, exact.allSatisfy({ $0.count >= lengthMin }) else { return nil }
        return exact
    }

    private static func score(_ literals: [[UInt8]]) -> Int {
        let length = literals.map(\.count).min() ?? 0
        // Of single bytes, one that words and numbers do not hold says more.
        let isRare = literals.allSatisfy { literal in
            literal.contains { $0 &- 0x30 >= 10 && ($0 | 0x20) &- 0x61 >= 26 && !" .,-'".utf8.contains($0) }
        }
        return min(8, length) * 8 - literals.count + (length < 3 && isRare ? 4 : 0)
    }

    private func at(_ offset: Int) -> UInt8? { index + offset < source.count ? source[index + offset] : nil }

    // MARK: structure

    private mutating func alternation() throws(NotUnderstood) -> Known {
        var result = try sequence()
        while at(0) == UInt8(ascii: "|") {
            index += 1
            let next = try sequence()
            let left = Self.candidate(result.exact) ?? result.required
            let right = Self.candidate(next.exact) ?? next.required
            if let one = result.exact, let other = next.exact, one.count + other.count <= Self.exactMax {
                result = Known(exact: one + other, required: nil)
            } else if let left, let right, left.count + right.count <= Self.exactMax * 4 {
                result = Known(exact: nil, required: left + right)
            } else {
                result = .opaque
            }
        }
        return result
    }

    private mutating func sequence() throws(NotUnderstood) -> Known {
        var run: [[UInt8]] = [[]]
        var isExact = true
        var best: [[UInt8]]?
        func better(_ literals: [[UInt8]]?) {
            guard let literals, Self.score(literals) > best.map(Self.score) ?? .min else { return }
            best = literals
        }
        while let byte = at(0), byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            let part = try atom()
            let (low, high) = try quantifier()
            var exact = part.exact
            if low == 0 {
                if high == 1, let some = exact, some.count < Self.exactMax { exact = some + [[]] } else { exact = nil }
            } else {
                better(part.required)
                if let some = exact, high != low || low > 4 {
                    // At least once: the first one stands next to what came before.
                    if some.count * run.count <= Self.exactMax {
                        run = Self.product(run, some)
                    } else {
                        better(Self.candidate(run))
                        run = some
                    }
                    exact = nil
                } else if let some = exact, low > 1 {
                    var repeated = some
                    for _ in 1..<low where repeated.count * some.count <= Self.exactMax {
                        repeated = Self.product(repeated, some)
                    }
                    exact = some.count == 1 ? repeated : nil
                }
            }
            if let some = exact, some.count * run.count <= Self.exactMax {
                run = Self.product(run, some)
            } else {
                better(Self.candidate(run))
                isExact = false
                run = exact ?? [[]]
            }
        }
        if isExact { return Known(exact: run, required: nil) }
        better(Self.candidate(run))
        return Known(exact: nil, required: best)
    }

    private static func product(_ left: [[UInt8]], _ right: [[UInt8]]) -> [[UInt8]] {
        left.flatMap { head in right.map { head + $0 } }
    }

    /// Lower and upper bound of repeats; `Int.max`: no upper bound.
    private mutating func quantifier() throws(NotUnderstood) -> (Int, Int) {
        var bounds = (1, 1)
        switch at(0) {
        case UInt8(ascii: "?"): (bounds, index) = ((0, 1), index + 1)
        case UInt8(ascii: "*"): (bounds, index) = ((0, .max), index + 1)
        case UInt8(ascii: "+"): (bounds, index) = ((1, .max), index + 1)
        case UInt8(ascii: "{"):
            guard let (low, high, end) = braces() else { return bounds }
            (bounds, index) = ((low, high), end)
        default: return bounds
        }
        if at(0) == UInt8(ascii: "?") || at(0) == UInt8(ascii: "+") { index += 1 }
        // `a{2}{3}`: a quantifier of a quantifier is legal and rare.
        switch at(0) {
        case UInt8(ascii: "?"), UInt8(ascii: "*"), UInt8(ascii: "+"): throw NotUnderstood()
        case UInt8(ascii: "{") where braces() != nil: throw NotUnderstood()
        default: return bounds
        }
    }

    private func braces() -> (Int, Int, Int)? {
        var position = index + 1
        func number() -> Int? {
            var value: Int?
            while position < source.count, source[position] &- 0x30 < 10, (value ?? 0) < 100_000 {
                value = (value ?? 0) * 10 + Int(source[position] - 0x30)
                position += 1
            }
            return value
        }
        guard let low = number(), position < source.count else { return nil }
        if source[position] == UInt8(ascii: "}") { return (low, low, position + 1) }
        guard source[position] == UInt8(ascii: ",") else { return nil }
        position += 1
        let high = number() ?? .max
        guard position < source.count, source[position] == UInt8(ascii: "}") else { return nil }
        return (low, high, position + 1)
    }

    // MARK: atoms

    private mutating func atom() throws(NotUnderstood) -> Known {
        guard let byte = at(0) else { return .empty }
        switch byte {
        case UInt8(ascii: "("): return try group()
        case UInt8(ascii: "["): return try characterClass()
        case UInt8(ascii: "\\"): return try escape()
        case UInt8(ascii: "."):
            index += 1
            return .opaque
        case UInt8(ascii: "^"), UInt8(ascii: "$"):
            index += 1
            return .empty
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"): throw NotUnderstood()
        case 0x80...:
            // A whole character, so that a quantifier behind it applies to all its bytes.
            index += 1
            while let next = at(0), next & 0xC0 == 0x80 { index += 1 }
            return .opaque
        default:
            index += 1
            return Known(exact: [[lower(byte)]], required: nil)
        }
    }

    private func lower(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte + 0x20 : byte }

    private mutating func escape() throws(NotUnderstood) -> Known {
        guard let next = at(1) else { throw NotUnderstood() }
        index += 2
        switch next {
        case UInt8(ascii: "b"), UInt8(ascii: "B"), UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "Z"):
            return .empty
        case UInt8(ascii: "d"), UInt8(ascii: "D"), UInt8(ascii: "w"), UInt8(ascii: "W"), UInt8(ascii: "s"),
            UInt8(ascii: "S"), UInt8(ascii: "h"), UInt8(ascii: "H"), UInt8(ascii: "v"), UInt8(ascii: "V"),
            UInt8(ascii: "R"), UInt8(ascii: "X"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"),
            UInt8(ascii: "f"), UInt8(ascii: "e"), UInt8(ascii: "a"):
            return .opaque
        case UInt8(ascii: "1")...UInt8(ascii: "9"):
            while let digit = at(0), digit &- 0x30 < 10 { index += 1 }
            return .opaque
        case UInt8(ascii: "x"), UInt8(ascii: "p"), UInt8(ascii: "P"), UInt8(ascii: "k"):
            guard at(0) == UInt8(ascii: "{") else { throw NotUnderstood() }
            while let byte = at(0) {
                index += 1
                if byte == UInt8(ascii: "}") { return .opaque }
            }
            throw NotUnderstood()
        case UInt8(ascii: "0"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x80...:
            throw NotUnderstood()
        default: return Known(exact: [[next]], required: nil)
        }
    }

    private mutating func characterClass() throws(NotUnderstood) -> Known {
        var position = index + 1
        var members: [[UInt8]]? = []
        if position < source.count, source[position] == UInt8(ascii: "^") {
            members = nil
            position += 1
        }
        var isFirst = true
        while position < source.count {
            let byte = source[position]
            if byte == UInt8(ascii: "]"), !isFirst {
                index = position + 1
                guard let members, members.count <= 8, !members.isEmpty else { return .opaque }
                return Known(exact: members, required: nil)
            }
            isFirst = false
            switch byte {
            case UInt8(ascii: "\\"):
                guard position + 1 < source.count, source[position + 1] != UInt8(ascii: "Q"),
                    source[position + 1] != UInt8(ascii: "E"), source[position + 1] != UInt8(ascii: "c")
                else { throw NotUnderstood() }
                members = nil
                position += 2
            case UInt8(ascii: "["):
                guard position + 1 < source.count,
                    [UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: "=")].contains(source[position + 1])
                else {
                    members?.append([byte])
                    position += 1
                    continue
                }
                // `[:name:]` or the two characters themselves: not worth telling apart.
                throw NotUnderstood()
            case UInt8(ascii: "-"), 0x80...:
                members = nil
                position += 1
            default:
                if !(members ?? []).contains([lower(byte)]) { members?.append([lower(byte)]) }
                position += 1
            }
        }
        throw NotUnderstood()
    }

    private mutating func group() throws(NotUnderstood) -> Known {
        index += 1
        if at(0) == UInt8(ascii: "*") { throw NotUnderstood() }
        guard at(0) == UInt8(ascii: "?") else { return try body() }
        index += 1
        guard let kind = at(0) else { throw NotUnderstood() }
        switch kind {
        case UInt8(ascii: ":"), UInt8(ascii: ">"), UInt8(ascii: "|"):
            index += 1
            return try body()
        case UInt8(ascii: "="), UInt8(ascii: "!"):
            index += 1
            _ = try body()
            return .empty
        case UInt8(ascii: "<") where at(1) == UInt8(ascii: "=") || at(1) == UInt8(ascii: "!"):
            index += 2
            _ = try body()
            return .empty
        case UInt8(ascii: "<"):
            try skip(to: UInt8(ascii: ">"))
            return try body()
        case UInt8(ascii: "P") where at(1) == UInt8(ascii: "<"):
            try skip(to: UInt8(ascii: ">"))
            return try body()
        default: return try settings()
        }
    }

    /// `(?i)`, `(?s:…)` and the like.
    private mutating func settings() throws(NotUnderstood) -> Known {
        while let letter = at(0) {
            index += 1
            switch letter {
            case UInt8(ascii: "i"): isCaseless = true
            case UInt8(ascii: "m"), UInt8(ascii: "s"), UInt8(ascii: "U"), UInt8(ascii: "J"), UInt8(ascii: "-"): break
            case UInt8(ascii: ")"): return .empty
            case UInt8(ascii: ":"): return try body()
            default: throw NotUnderstood()
            }
        }
        throw NotUnderstood()
    }

    private mutating func body() throws(NotUnderstood) -> Known {
        let known = try alternation()
        guard at(0) == UInt8(ascii: ")") else { throw NotUnderstood() }
        index += 1
        return known
    }

    private mutating func skip(to end: UInt8) throws(NotUnderstood) {
        while let byte = at(0) {
            index += 1
            if byte == end { return }
        }
        throw NotUnderstood()
    }
}
