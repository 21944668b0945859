internal import GuardMatching

/// Finds literals of which every match of a pattern must hold at least one, and how far behind its start.
///
/// Why it never says a false "no": it walks the pattern's syntax and keeps only what it knows. A literal character, a
/// small class or a group of such is *exact* (the strings it can match are listed, digits of any kind as `0`); everything
/// else ends the run of literals before it. What may be skipped (`?`, `*`, `{0,n}`) requires nothing; of alternatives each
/// must require something. Lengths are bounds in bytes, wide where a character's are not known. Any construct that is not
/// understood makes the whole answer "unknown", and then the pattern always runs. Zero-width assertions match no text, so
/// the literals on both sides of one stay neighbours.
struct LiteralExtraction {
    private typealias Literal = RequiredLiterals.Literal
    private typealias Front = RequiredLiterals.Front

    /// What is known of a part of a pattern.
    private struct Known {
        /// All the strings it can match, where they are few.
        var exact: [[UInt8]]?
        /// One of these occurs in whatever it matches.
        var required: [Literal]?
        /// A run that whatever it matches holds.
        var run: RequiredLiterals.Run?
        /// What its matches are made of.
        var front: Front
        /// One character of these bytes and no others.
        var single: ByteSet?

        init(
            exact: [[UInt8]]? = nil, required: [Literal]? = nil, run: RequiredLiterals.Run? = nil, front: Front,
            single: ByteSet? = nil
        ) {
            (self.exact, self.required, self.run, self.front, self.single) = (exact, required, run, front, single)
        }

        static let empty = Known(exact: [[]], front: .none)
        /// Anything of so many bytes.
        static func opaque(_ min: Int, _ max: Int?, _ bytes: ByteSet = .all) -> Known {
            Known(front: Front(length: LengthRange(min, max), bytes: bytes))
        }
        /// One character of a set.
        static func one(of bytes: ByteSet, longest: Int) -> Known {
            Known(front: Front(length: LengthRange(1, longest), bytes: bytes), single: bytes)
        }
    }

    private struct NotUnderstood: Error {}

    private static let exactMax = 64
    private static let literalBytesMax = 10

    private let source: [UInt8]
    private var index = 0
    private var isCaseless: Bool
    private let isRaw: Bool

    static func required(_ source: String, caseless: Bool, isRaw: Bool) -> RequiredLiterals {
        var walker = LiteralExtraction(source: Array(source.utf8), isCaseless: caseless, isRaw: isRaw)
        guard let known = try? walker.alternation(), walker.index == walker.source.count else { return .unknown }
        let literals = (walker.candidate(known.exact, before: .none) ?? known.required ?? []).flatMap(walker.finished)
        let rarity = literals.isEmpty ? 0 : LiteralFrequency.rarity(literals)
        // Long runs are rarer than short literals, and found by looking at few bytes.
        if let run = known.run, run.length >= 12, rarity < 30 { return RequiredLiterals(run: run) }
        guard rarity >= LiteralFrequency.useful, literals.allSatisfy({ !$0.bytes.isEmpty }) else { return .unknown }
        return RequiredLiterals(any: literals)
    }

    private init(source: [UInt8], isCaseless: Bool, isRaw: Bool) {
        self.source = source
        self.isCaseless = isCaseless
        self.isRaw = isRaw
    }

    /// In raw text a caseless `s` may be U+017F and a caseless `k` U+212A, which are longer. The folded view has neither.
    private var hasLongCases: Bool { isRaw && isCaseless }

    private func longestLength(_ literal: [UInt8]) -> Int {
        guard hasLongCases else { return literal.count }
        return literal.reduce(0) { $0 + ($1 == UInt8(ascii: "s") ? 2 : $1 == UInt8(ascii: "k") ? 3 : 1) }
    }

    private func front(_ exact: [[UInt8]]) -> Front {
        var bytes = ByteSet()
        for string in exact { for byte in string { bytes.formUnion(unfolded(byte)) } }
        return Front(
            length: LengthRange(exact.lazy.map(\.count).min() ?? 0, exact.lazy.map(longestLength).max() ?? 0),
            bytes: bytes)
    }

    /// Every byte of what a folded byte may stand for.
    private func unfolded(_ byte: UInt8) -> ByteSet {
        var set = ByteSet([byte])
        if byte &- 0x61 < 26 || byte &- 0x41 < 26 {
            set.insert(byte ^ 0x20)
            if hasLongCases { for byte in Self.longCases { set.insert(byte) } }
        } else if byte &- 0x30 < 10 {
            for digit in UInt8(ascii: "0")...UInt8(ascii: "9") { set.insert(digit) }
        }
        return set
    }

    /// The bytes of U+017F and U+212A.
    private static let longCases: [UInt8] = [0xC5, 0xBF, 0xE2, 0x84, 0xAA]

    private func candidate(_ exact: [[UInt8]]?, before: Front) -> [Literal]? {
        guard let exact, !exact.isEmpty, exact.allSatisfy({ !$0.isEmpty }) else { return nil }
        return exact.map { Literal(bytes: $0, before: before) }
    }

    /// Cut to a length that keeps the automaton small, at the rarest place, and with all cases of `s` and `k`.
    private func finished(_ literal: Literal) -> [Literal] {
        var best: (rarity: Int, range: Range<Int>)?
        for start in literal.bytes.indices {
            var end = start
            var long = 0
            while end < literal.bytes.count, end - start < Self.literalBytesMax {
                if hasLongCases, literal.bytes[end] == UInt8(ascii: "s") || literal.bytes[end] == UInt8(ascii: "k") {
                    if long == 3 { break }
                    long += 1
                }
                end += 1
            }
            let rarity = LiteralFrequency.rarity(literal.bytes[start..<end])
            if rarity > best?.rarity ?? -1 { best = (rarity, start..<end) }
        }
        guard let range = best?.range else { return [literal] }
        let before = literal.before + front([Array(literal.bytes[..<range.lowerBound])])
        var variants: [[UInt8]] = [[]]
        for byte in literal.bytes[range] {
            switch byte {
            case UInt8(ascii: "s") where hasLongCases: variants = variants.flatMap { [$0 + [byte], $0 + [0xC5, 0xBF]] }
            case UInt8(ascii: "k") where hasLongCases:
                variants = variants.flatMap { [$0 + [byte], $0 + [0xE2, 0x84, 0xAA]] }
            default: for index in variants.indices { variants[index].append(byte) }
            }
        }
        return variants.map { Literal(bytes: $0, before: before) }
    }

    private func at(_ offset: Int) -> UInt8? { index + offset < source.count ? source[index + offset] : nil }

    // MARK: structure

    private mutating func alternation() throws(NotUnderstood) -> Known {
        var result = try sequence()
        while at(0) == UInt8(ascii: "|") {
            index += 1
            let next = try sequence()
            let left = candidate(result.exact, before: .none) ?? result.required
            let right = candidate(next.exact, before: .none) ?? next.required
            var both = Known(front: result.front.union(next.front))
            if let one = result.run, let other = next.run {
                both.run = RequiredLiterals.Run(
                    bytes: one.bytes.union(other.bytes), length: min(one.length, other.length),
                    before: one.before.union(other.before))
            }
            if let one = result.exact, let other = next.exact, one.count + other.count <= Self.exactMax {
                both.exact = one + other
            } else if let left, let right, left.count + right.count <= 4096 {
                both.required = left + right
            }
            result = both
        }
        return result
    }

    /// A sequence's literals: the run that ends where the reader stands, and the best one before it.
    private struct Run {
        var strings: [[UInt8]] = [[]]
        /// What the sequence matches before the run.
        var before = Front.none
        /// Nothing but the run was seen.
        var isWhole = true
        var best: [Literal]?
        /// The longest run of bytes of one kind.
        var longest: RequiredLiterals.Run?

        mutating func offer(_ run: RequiredLiterals.Run?) {
            guard let run, run.length > longest?.length ?? 0 else { return }
            longest = run
        }

        mutating func offer(_ literals: [Literal]?) {
            guard let literals else { return }
            if let best, LiteralFrequency.score(literals) <= LiteralFrequency.score(best) { return }
            best = literals
        }
    }

    /// Ends the run; `gap` is what comes before the next one.
    private func cut(_ run: inout Run, gap: Front) {
        run.offer(candidate(run.strings, before: run.before))
        run.before = run.before + front(run.strings) + gap
        run.strings = [[]]
        run.isWhole = false
    }

    private mutating func sequence() throws(NotUnderstood) -> Known {
        var run = Run()
        while let byte = at(0), byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            let part = try atom()
            let (low, high) = try quantifier()
            let front = run.before + front(run.strings)
            if low > 0, let required = part.required {
                run.offer(required.map { Literal(bytes: $0.bytes, before: front + $0.before) })
            }
            if low > 0, var inner = part.run {
                inner.before = front + inner.before
                run.offer(inner)
            }
            if low > 1, let bytes = part.single {
                run.offer(RequiredLiterals.Run(bytes: bytes, length: low, before: front))
            }
            guard let some = part.exact else {
                cut(&run, gap: gap(part, low, high))
                continue
            }
            if low == 0 {
                if high == 1, (some.count + 1) * run.strings.count <= Self.exactMax {
                    run.strings = Self.product(run.strings, some + [[]])
                } else {
                    cut(&run, gap: gap(part, 0, high))
                }
                continue
            }
            // At least once: as many copies as can be listed stand next to what came before.
            var copies = 0
            while copies < min(low, 8) {
                if some.count * run.strings.count > Self.exactMax {
                    guard copies == 0, some.count <= Self.exactMax else { break }
                    cut(&run, gap: .none)
                }
                run.strings = Self.product(run.strings, some)
                copies += 1
            }
            if low > copies || high != low {
                cut(&run, gap: gap(part, low - copies, high.map { $0 - copies }))
            }
        }
        let whole = run.before + front(run.strings)
        if run.isWhole { return Known(exact: run.strings, run: run.longest, front: whole) }
        run.offer(candidate(run.strings, before: run.before))
        return Known(required: run.best, run: run.longest, front: whole)
    }

    private func gap(_ part: Known, _ low: Int, _ high: Int?) -> Front {
        Front(length: part.front.length.repeated(low, high), bytes: part.front.bytes)
    }

    private static func product(_ left: [[UInt8]], _ right: [[UInt8]]) -> [[UInt8]] {
        left.flatMap { head in right.map { head + $0 } }
    }

    /// Lower and upper bound of repeats; `nil`: no upper bound.
    private mutating func quantifier() throws(NotUnderstood) -> (Int, Int?) {
        var bounds: (Int, Int?) = (1, 1)
        switch at(0) {
        case UInt8(ascii: "?"): (bounds, index) = ((0, 1), index + 1)
        case UInt8(ascii: "*"): (bounds, index) = ((0, nil), index + 1)
        case UInt8(ascii: "+"): (bounds, index) = ((1, nil), index + 1)
        case UInt8(ascii: "{"):
            guard let (low, high, end) = braces() else {
                // Newer PCRE2 reads `{,3}` and `{ 1 }` as repeats, this one as text.
                if let next = at(1), next == UInt8(ascii: ",") || next == 0x20 || next == 0x09 { throw NotUnderstood() }
                return bounds
            }
            (bounds, index) = ((low, high), end)
        default: return bounds
        }
        if at(0) == UInt8(ascii: "?") || at(0) == UInt8(ascii: "+") { index += 1 }
        // `a{2}{3}`: a quantifier of a quantifier is legal and rare.
        switch at(0) {
        case UInt8(ascii: "?"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "{"): throw NotUnderstood()
        default: return bounds
        }
    }

    private func braces() -> (Int, Int?, Int)? {
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
        let high = number()
        guard position < source.count, source[position] == UInt8(ascii: "}"), high ?? low >= low else { return nil }
        return (low, high, position + 1)
    }

    // MARK: atoms

    private static let anyCharacter = Known.opaque(1, 4)
    private static let word = ByteSet(
        (0x30...0x39).map { UInt8($0) } + (0x41...0x5A).map { UInt8($0) } + [0x5F] + (0x61...0x7A).map { UInt8($0) })
    private static let space = ByteSet([0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20])

    private func literal(_ byte: UInt8) -> Known {
        let folded = [LiteralAutomaton.fold(byte)]
        return Known(exact: [folded], front: front([folded]))
    }

    private mutating func atom() throws(NotUnderstood) -> Known {
        guard let byte = at(0) else { return .empty }
        switch byte {
        case UInt8(ascii: "("): return try group()
        case UInt8(ascii: "["): return try characterClass()
        case UInt8(ascii: "\\"): return try escape()
        case UInt8(ascii: "."):
            index += 1
            return Self.anyCharacter
        case UInt8(ascii: "^"), UInt8(ascii: "$"):
            index += 1
            return .empty
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"): throw NotUnderstood()
        case 0x80...: return nonASCII()
        default:
            index += 1
            return literal(byte)
        }
    }

    /// A whole character, so that a quantifier behind it applies to all its bytes. What has no case is exact.
    private mutating func nonASCII() -> Known {
        let start = index
        index += 1
        while let next = at(0), next & 0xC0 == 0x80 { index += 1 }
        let bytes = Array(source[start..<index])
        guard let scalar = String(decoding: bytes, as: UTF8.self).unicodeScalars.first,
            !isCaseless || scalar.properties.generalCategory == .otherLetter
        else { return Self.anyCharacter }
        return Known(exact: [bytes], front: front([bytes]))
    }

    private mutating func escape() throws(NotUnderstood) -> Known {
        guard let next = at(1) else { throw NotUnderstood() }
        index += 2
        switch next {
        case UInt8(ascii: "b"), UInt8(ascii: "B"), UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "Z"):
            return .empty
        // Without UCP, which is not understood, these have ASCII members only.
        case UInt8(ascii: "d"): return literal(UInt8(ascii: "0"))
        case UInt8(ascii: "w"): return .one(of: Self.word, longest: 1)
        case UInt8(ascii: "s"): return .one(of: Self.space, longest: 1)
        case UInt8(ascii: "D"), UInt8(ascii: "W"), UInt8(ascii: "S"), UInt8(ascii: "h"), UInt8(ascii: "H"),
            UInt8(ascii: "v"), UInt8(ascii: "V"):
            return Self.anyCharacter
        case UInt8(ascii: "R"): return .opaque(1, 3)
        case UInt8(ascii: "X"): return .opaque(1, nil)
        case UInt8(ascii: "n"): return literal(0x0A)
        case UInt8(ascii: "r"): return literal(0x0D)
        case UInt8(ascii: "t"): return literal(0x09)
        case UInt8(ascii: "f"): return literal(0x0C)
        case UInt8(ascii: "e"): return literal(0x1B)
        case UInt8(ascii: "a"): return literal(0x07)
        case UInt8(ascii: "1")...UInt8(ascii: "9"):
            while let digit = at(0), digit &- 0x30 < 10 { index += 1 }
            // A reference back, or an octal character.
            return .opaque(0, nil)
        case UInt8(ascii: "x"):
            if at(0) == UInt8(ascii: "{") {
                try skip(to: UInt8(ascii: "}"))
                return Self.anyCharacter
            }
            var value: UInt8 = 0
            for _ in 0..<2 {
                guard let digit = at(0).flatMap(Self.hexDigit) else { break }
                value = value << 4 | digit
                index += 1
            }
            return value < 0x80 ? literal(value) : Self.anyCharacter
        case UInt8(ascii: "p"), UInt8(ascii: "P"), UInt8(ascii: "k"):
            guard at(0) == UInt8(ascii: "{") else { throw NotUnderstood() }
            try skip(to: UInt8(ascii: "}"))
            return next == UInt8(ascii: "k") ? .opaque(0, nil) : Self.anyCharacter
        case UInt8(ascii: "0"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x80...:
            throw NotUnderstood()
        default: return literal(next)
        }
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46, 0x61...0x66: (byte | 0x20) - 0x57
        default: nil
        }
    }

    /// The members of a class as far as they are a few ASCII characters.
    private struct Members {
        var known: [[UInt8]]? = []
        /// Bytes of all members.
        var bytes = ByteSet()
        var isASCII = true
        /// First members and ends of ranges beyond ASCII, by number; worth something if there are no others.
        var scalars: [UInt32] = []
        var others = 0

        mutating func add(_ byte: UInt8) {
            others += 1
            bytes.insert(byte)
            let folded = [LiteralAutomaton.fold(byte)]
            if known?.contains(folded) == false { known?.append(folded) }
        }

        mutating func add(from low: UInt8, to high: UInt8) {
            // A long range, but digits are one symbol.
            if high &- low > 8, !(low &- 0x30 < 10 && high &- 0x30 < 10) { known = nil }
            for byte in low...max(low, high) { add(byte) }
        }
    }

    private mutating func characterClass() throws(NotUnderstood) -> Known {
        index += 1
        var members = Members()
        var isNegated = false
        if at(0) == UInt8(ascii: "^") {
            isNegated = true
            index += 1
        }
        var isFirst = true
        while let byte = at(0) {
            if byte == UInt8(ascii: "]"), !isFirst {
                index += 1
                if isNegated || !members.isASCII { return isNegated ? Self.anyCharacter : beyondASCII(members) }
                if let known = members.known, known.count <= 8, !known.isEmpty {
                    return Known(exact: known, front: front(known), single: front(known).bytes)
                }
                var bytes = members.bytes
                for byte in UInt8(0)...0x7F where members.bytes.contains(byte) { bytes.formUnion(unfolded(byte)) }
                return .one(of: bytes, longest: hasLongCases ? 3 : 1)
            }
            isFirst = false
            if byte == UInt8(ascii: "["), let kind = at(1), kind == UInt8(ascii: ":") || kind == UInt8(ascii: ".")
                || kind == UInt8(ascii: "=")
            {
                // `[:name:]` or the characters themselves: only the first is worth knowing.
                try posixName()
                members.known = nil
                members.others += 1
                for byte in UInt8(0)...0x7F { members.bytes.insert(byte) }
                continue
            }
            let scalarCount = members.scalars.count
            guard let low = try member(&members) else {
                // A range between two of them: what lies between has the bytes that both begin with.
                if members.scalars.count > scalarCount, at(0) == UInt8(ascii: "-"), at(1) == UInt8(ascii: "\\") {
                    index += 1
                }
                continue
            }
            guard at(0) == UInt8(ascii: "-"), let next = at(1), next != UInt8(ascii: "]") else {
                members.add(low)
                continue
            }
            index += 1
            if next == UInt8(ascii: "["), let kind = at(1), kind == UInt8(ascii: ":") || kind == UInt8(ascii: ".")
                || kind == UInt8(ascii: "=")
            {
                throw NotUnderstood()
            }
            if let high = try member(&members), high >= low {
                members.add(from: low, to: high)
            } else {
                // `a-\d`: the hyphen is itself; or the range ends beyond ASCII.
                members.known = nil
                members.add(low)
                members.add(UInt8(ascii: "-"))
            }
        }
        throw NotUnderstood()
    }

    /// A class of `\x{…}` members whose UTF-8 begins alike requires those bytes.
    private func beyondASCII(_ members: Members) -> Known {
        guard members.others == 0, !isCaseless, !members.scalars.isEmpty else { return Self.anyCharacter }
        var common: [UInt8]?
        var length = 0
        for value in members.scalars {
            guard let scalar = Unicode.Scalar(value) else { return Self.anyCharacter }
            let bytes = Array(String(scalar).utf8)
            guard let prefix = common else {
                (common, length) = (bytes, bytes.count)
                continue
            }
            guard bytes.count == length else { return Self.anyCharacter }
            common = Array(zip(prefix, bytes).prefix { $0 == $1 }.map(\.0))
        }
        guard let common, !common.isEmpty else { return Self.anyCharacter }
        return Known(
            required: [Literal(bytes: common, before: .none)],
            front: Front(length: LengthRange(length, length), bytes: .all))
    }

    private mutating func posixName() throws(NotUnderstood) {
        guard at(1) == UInt8(ascii: ":") else { throw NotUnderstood() }
        var end = index + 2
        while end < source.count, source[end] &- 0x61 < 26 || source[end] == UInt8(ascii: "^") { end += 1 }
        guard end > index + 2, end + 1 < source.count, source[end] == UInt8(ascii: ":"),
            source[end + 1] == UInt8(ascii: "]"), source[index + 2] != UInt8(ascii: "^")
        else { throw NotUnderstood() }
        index = end + 2
    }

    /// One member of a class, if it is one ASCII character; what else it is goes into `members`.
    private mutating func member(_ members: inout Members) throws(NotUnderstood) -> UInt8? {
        guard let byte = at(0) else { throw NotUnderstood() }
        if byte >= 0x80 {
            index += 1
            while let next = at(0), next & 0xC0 == 0x80 { index += 1 }
            members.known = nil
            members.isASCII = false
            members.others += 1
            return nil
        }
        index += 1
        guard byte == UInt8(ascii: "\\") else { return byte }
        guard let next = at(0) else { throw NotUnderstood() }
        index += 1
        switch next {
        case UInt8(ascii: "d"):
            members.add(UInt8(ascii: "0"))
            return nil
        case UInt8(ascii: "w"), UInt8(ascii: "s"):
            members.known = nil
            members.others += 1
            members.bytes.formUnion(next == UInt8(ascii: "w") ? Self.word : Self.space)
            return nil
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "Q"), UInt8(ascii: "E"), UInt8(ascii: "c"), UInt8(ascii: "N"), UInt8(ascii: "o"), 0x80...:
            throw NotUnderstood()
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            members.known = nil
            members.isASCII = false
            if at(0) == UInt8(ascii: "{") {
                let digits = index + 1
                try skip(to: UInt8(ascii: "}"))
                if next == UInt8(ascii: "x"),
                    let value = UInt32(String(decoding: source[digits..<index - 1], as: UTF8.self), radix: 16),
                    value >= 0x80
                {
                    members.scalars.append(value)
                    return nil
                }
            }
            members.others += 1
            return nil
        default: return next
        }
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
