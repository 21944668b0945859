internal import GuardMatching

/// Finds literals of which every match of a pattern must hold at least one, and how far behind its start.
///
/// Why it never says a false "no": it walks the pattern's syntax and keeps only what it knows. A literal character, a
/// small class or a group of such is *exact* (the strings it can match are listed, digits of any kind as `0`);
/// everything else ends the run of literals before it. What may be skipped (`?`, `*`, `{0,n}`) requires nothing; of
/// alternatives each must require something. Lengths are bounds in bytes, wide where a character's are not known. Any
/// construct that is not understood makes the whole answer "unknown", and then the pattern always runs. Zero-width
/// assertions match no text, so the literals on both sides of one stay neighbours.
///
/// What follows a literal is a row of stretches, each an over-approximation of one part behind it: its bytes and how
/// many of them. Nothing of a row may be left out but its end.
struct LiteralExtraction {
    typealias Literal = RequiredLiterals.Literal
    typealias Front = RequiredLiterals.Front
    typealias Stretch = RequiredLiterals.Stretch

    /// What is known of a part of a pattern.
    struct Known {
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
        /// What its matches are made of, one after the other; where nothing better is known, `front` in one.
        var row: [Stretch]
        /// Of alternatives that are long: what they are made of, each by itself.
        var rows: [[Stretch]]?
        /// What stands in front of its matches.
        var guarded = Guard()
        /// Of a lookbehind: the text in front of it ends with one of these.
        var behind: [[UInt8]]?

        init(
            exact: [[UInt8]]? = nil, required: [Literal]? = nil, run: RequiredLiterals.Run? = nil, front: Front,
            single: ByteSet? = nil, row: [Stretch]? = nil
        ) {
            (self.exact, self.required, self.run, self.front, self.single) = (exact, required, run, front, single)
            self.row = row ?? (front.length.max == 0 ? [] : [Stretch(front.bytes, front.length)])
        }

        static let empty = Known(exact: [[]], front: .none)
        static func guarded(_ guarded: Guard) -> Known {
            var known = Known.empty
            known.guarded = guarded
            return known
        }
        /// Anything of so many bytes.
        static func opaque(_ min: Int, _ max: Int?, _ bytes: ByteSet = .all) -> Known {
            Known(front: Front(length: LengthRange(min, max), bytes: bytes))
        }
        /// One character of a set.
        static func one(of bytes: ByteSet, longest: Int) -> Known {
            Known(
                front: Front(length: LengthRange(1, longest), bytes: bytes), single: bytes,
                row: [Stretch(bytes, LengthRange(1, 1), isCharacters: longest > 1)])
        }
        /// Where the text or a line ends: of the line break the first byte is read.
        static let end = Known(
            exact: [[]], front: .none,
            row: [Stretch(ByteSet([0x0A, 0x0D]), LengthRange(1, 1), isOrEnd: true)])
    }

    /// What assertions say about the byte in front of a place.
    struct Guard {
        /// It is none of these, all of them ASCII.
        var refused = ByteSet()
        /// `\b`: it is a word's byte or not as the next one is not or is.
        var isBoundary = false

        mutating func add(_ other: Guard) {
            refused.formUnion(other.refused)
            isBoundary = isBoundary || other.isBoundary
        }

        /// What both say.
        func common(_ other: Guard) -> Guard {
            Guard(refused: refused.intersection(other.refused), isBoundary: isBoundary && other.isBoundary)
        }

        /// What may stand in front of a literal. Without UCP, which is not understood, only ASCII is of words.
        func previous(of literal: [UInt8]) -> ByteSet {
            let allowed = refused.complement
            guard isBoundary, let first = literal.first else { return allowed }
            return allowed.intersection(word.contains(first) ? word.complement : word)
        }
    }

    struct NotUnderstood: Error {}

    private static let exactMax = 64
    static let literalBytesMax = 10

    let source: [UInt8]
    var index = 0
    var isCaseless: Bool
    /// In a lookbehind, of which all strings are wanted.
    var isBehind = false
    let isRaw: Bool

    static func required(_ source: String, caseless: Bool, isRaw: Bool) -> RequiredLiterals {
        var walker = LiteralExtraction(source: Array(source.utf8), isCaseless: caseless, isRaw: isRaw)
        guard let known = try? walker.alternation(), walker.index == walker.source.count else { return .unknown }
        let literals = (walker.candidate(known) ?? []).flatMap(walker.finished).flatMap(walker.lengthened)
        let rarity = literals.isEmpty ? 0 : LiteralFrequency.rarity(literals)
        // Long runs are rarer than short literals, and found by looking at few bytes.
        if let run = known.run, run.length >= 12, rarity < LiteralFrequency.rarity(run) {
            return RequiredLiterals(run: run)
        }
        guard rarity >= LiteralFrequency.useful, literals.allSatisfy({ !$0.bytes.isEmpty }) else { return .unknown }
        return RequiredLiterals(any: literals)
    }

    private init(source: [UInt8], isCaseless: Bool, isRaw: Bool) {
        self.source = source
        self.isCaseless = isCaseless
        self.isRaw = isRaw
    }

    /// In raw text a caseless `s` may be U+017F and a caseless `k` U+212A, which are longer. The folded view has
    /// neither.
    var hasLongCases: Bool { isRaw && isCaseless }

    func longestLength(_ literal: [UInt8]) -> Int {
        guard hasLongCases else { return literal.count }
        return literal.reduce(0) { $0 + ($1 == UInt8(ascii: "s") ? 2 : $1 == UInt8(ascii: "k") ? 3 : 1) }
    }

    func front(_ exact: [[UInt8]]) -> Front {
        var bytes = ByteSet()
        for string in exact { for byte in string { bytes.formUnion(unfolded(byte)) } }
        return Front(
            length: LengthRange(exact.lazy.map(\.count).min() ?? 0, exact.lazy.map(longestLength).max() ?? 0),
            bytes: bytes)
    }

    /// Every byte of what a folded byte may stand for.
    func unfolded(_ byte: UInt8) -> ByteSet {
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

    func candidate(_ exact: [[UInt8]]?, before: Front, _ guarded: Guard) -> [Literal]? {
        guard let exact, !exact.isEmpty, exact.allSatisfy({ !$0.isEmpty }) else { return nil }
        return exact.map { Literal(bytes: $0, before: before, previous: guarded.previous(of: $0)) }
    }

    /// The literals of all that a part matches.
    func candidate(_ part: Known) -> [Literal]? {
        candidate(part.exact, before: .none, part.guarded) ?? part.required
    }

    func at(_ offset: Int) -> UInt8? { index + offset < source.count ? source[index + offset] : nil }

    // MARK: structure

    mutating func alternation() throws(NotUnderstood) -> Known {
        var result = try sequence()
        var rows = [result.row]
        while at(0) == UInt8(ascii: "|") {
            index += 1
            let next = try sequence()
            rows.append(next.row)
            let left = candidate(result)
            let right = candidate(next)
            var both = Known(
                front: result.front.union(next.front), row: Self.union(result.row, next.row))
            both.guarded = result.guarded.common(next.guarded)
            if let one = result.behind, let other = next.behind, one.count + other.count <= Self.behindMax {
                both.behind = one + other
            }
            if let one = result.run, let other = next.run {
                both.run = RequiredLiterals.Run(
                    bytes: one.bytes.union(other.bytes), length: min(one.length, other.length),
                    before: one.before.union(other.before))
            }
            if let one = result.exact, let other = next.exact, one.count + other.count <= Self.exactMax {
                // Lookbehinds in a row of alternatives are many, and nothing but places.
                both.exact = one == [[]] && other == [[]] ? one : one + other
            } else if let left, let right, left.count + right.count <= 4096 {
                both.required = left + right
            }
            result = both
        }
        // Of short ones the first character and a length say enough.
        let isLong = rows.contains { $0.contains { $0.length.max ?? .max > Self.shortMost } }
        if isLong, 2...Self.rowsMax ~= rows.count { result.rows = rows }
        return result
    }

    private static let rowsMax = 4
    private static let shortMost = 40

    /// A sequence's literals: the run that ends where the reader stands, and the best one before it.
    struct Run {
        var strings: [[UInt8]] = [[]]
        /// What the sequence matches before the run, and what stands in front of the run.
        var before = Front.none
        var guarded = Guard()
        /// In front of the sequence.
        var first = Guard()
        /// Nothing but the run was seen.
        var isWhole = true
        var best: [Literal]?
        /// What follows the best: one of these.
        var after: [[Stretch]] = [[]]
        /// The longest run of bytes of one kind.
        var longest: RequiredLiterals.Run?
        /// All that the sequence matches so far.
        var row: [Stretch] = []

        mutating func offer(_ run: RequiredLiterals.Run?) {
            guard let run, run.length > longest?.length ?? 0 else { return }
            longest = run
        }

        /// The literals end where `row` ends, but for what follows them in their own part.
        mutating func offer(_ literals: [Literal]?) {
            guard let literals else { return }
            if let best, LiteralFrequency.score(literals) <= LiteralFrequency.score(best) { return }
            (best, after) = (literals, [[]])
        }

        /// From a certain length on, anything may follow.
        mutating func append(_ stretches: [Stretch], _ rows: [[Stretch]]? = nil) {
            func appended(_ row: [Stretch], _ stretches: [Stretch]) -> [Stretch] {
                guard row.count < LiteralExtraction.rowMax else { return row }
                let row = row + stretches
                return row.count < LiteralExtraction.rowMax ? row : row + [Stretch(.all, LengthRange(0, nil))]
            }
            row = appended(row, stretches)
            let rows = rows.flatMap { $0.count * after.count <= LiteralExtraction.rowsMax ? $0 : nil } ?? [stretches]
            after = after.flatMap { row in rows.map { appended(row, $0) } }
        }

        var required: [Literal]? {
            guard let best else { return nil }
            // Of very many literals the first row would be as many times as many.
            let after = best.count * after.count <= LiteralExtraction.afterMax ? after : [[]]
            return best.flatMap { literal in
                after.map { row in
                    var literal = literal
                    literal.after += row
                    return literal
                }
            }
        }
    }

    static let rowMax = 64
    private static let afterMax = 4096
    private static let behindMax = 512

    private func isRare(_ strings: [[UInt8]]) -> Bool {
        strings.allSatisfy { $0.count >= Self.rareBytes && LiteralFrequency.rarity($0) >= Self.rareBits }
    }

    private static let rareBytes = 5
    /// In half bits.
    private static let rareBits = 48

    /// Ends the run; `gap` is what comes before the next one.
    func cut(_ run: inout Run, gap: Front) {
        run.offer(candidate(run.strings, before: run.before, run.guarded))
        run.before = run.before + front(run.strings) + gap
        run.strings = [[]]
        run.guarded = Guard()
        run.isWhole = false
    }

    mutating func sequence() throws(NotUnderstood) -> Known {
        var run = Run()
        while let byte = at(0), byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            let part = try atom()
            let (low, high) = try quantifier()
            let front = run.before + front(run.strings)
            if low > 0, run.strings == [[]] {
                run.guarded.add(part.guarded)
                if run.isWhole { run.first = run.guarded }
            }
            if low > 0, let behind = part.behind {
                run.offer(behind.map { Literal(bytes: $0, lead: $0.count, before: front) })
            }
            if low > 0, var inner = part.run {
                inner.before = front + inner.before
                run.offer(inner)
            }
            if low > 1, let bytes = part.single {
                run.offer(RequiredLiterals.Run(bytes: bytes, length: low, before: front))
            }
            guard let some = part.exact else {
                let guarded = run.strings == [[]] ? run.guarded : Guard()
                cut(&run, gap: gap(part, low, high))
                run.append(row(part, low, high), low == 1 && high == 1 ? part.rows : nil)
                if low > 0, let required = part.required {
                    // The first time; what the part is repeated by comes behind it.
                    let more = row(part, low - 1, high.map { $0 - 1 })
                    run.offer(
                        required.map { literal in
                            var literal = literal
                            if literal.lead == 0, literal.before.length.max == 0 {
                                let previous = guarded.previous(of: literal.bytes)
                                literal.previous = literal.previous.intersection(previous)
                            }
                            literal.before = front + literal.before
                            literal.after += more
                            return literal
                        })
                }
                continue
            }
            // What is rare enough is not told apart any further.
            if low == 0 || some.count > 1, !isBehind, isRare(run.strings) { cut(&run, gap: .none) }
            if low == 0 {
                if high == 1, (some.count + 1) * run.strings.count <= Self.exactMax {
                    run.strings = Self.product(run.strings, some + [[]])
                } else {
                    cut(&run, gap: gap(part, 0, high))
                }
                run.append(row(part, 0, high))
                continue
            }
            // At least once: as many copies as can be listed stand next to what came before.
            var copies = 0
            if some == [[]] { run.append(part.row) }
            while copies < min(low, 8) {
                if some.count * run.strings.count > Self.exactMax {
                    guard copies == 0, some.count <= Self.exactMax else { break }
                    cut(&run, gap: .none)
                }
                run.strings = Self.product(run.strings, some)
                run.append(row(some))
                copies += 1
            }
            if low > copies || high != low {
                cut(&run, gap: gap(part, low - copies, high.map { $0 - copies }))
                run.append(row(part, low - copies, high.map { $0 - copies }))
            }
        }
        let whole = run.before + front(run.strings)
        var known = Known(run: run.longest, front: whole, row: run.row)
        known.guarded = run.first
        if run.isWhole {
            known.exact = run.strings
            if run.strings == [[]] { known.behind = run.best?.map(\.bytes) }
            // What a lookbehind asks for is not in the strings.
            if run.best != nil, run.strings != [[]] {
                run.offer(candidate(run.strings, before: run.before, run.guarded))
                known.exact = nil
                known.required = run.required
            }
            return known
        }
        run.offer(candidate(run.strings, before: run.before, run.guarded))
        known.required = run.required
        return known
    }

    func gap(_ part: Known, _ low: Int, _ high: Int?) -> Front {
        Front(length: part.front.length.repeated(low, high), bytes: part.front.bytes)
    }

    static func product(_ left: [[UInt8]], _ right: [[UInt8]]) -> [[UInt8]] {
        left.flatMap { head in right.map { head + $0 } }
    }

    /// Lower and upper bound of repeats; `nil`: no upper bound.
    mutating func quantifier() throws(NotUnderstood) -> (Int, Int?) {
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

    func braces() -> (Int, Int?, Int)? {
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
}
