internal import GuardMatching

/// Characters, escapes, classes, groups.
extension LiteralExtraction {
    static let anyCharacter = Known(
        front: Front(length: LengthRange(1, 4), bytes: .all),
        row: [Stretch(.all, LengthRange(1, 1), isCharacters: true)])
    static let word = ByteSet(
        (0x30...0x39).map { UInt8($0) } + (0x41...0x5A).map { UInt8($0) } + [0x5F] + (0x61...0x7A).map { UInt8($0) })
    static let space = ByteSet([0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20])

    func literal(_ byte: UInt8) -> Known {
        let folded = [LiteralFilter.fold(byte)]
        return Known(exact: [folded], front: front([folded]))
    }

    mutating func atom() throws(NotUnderstood) -> Known {
        guard let byte = at(0) else { return .empty }
        switch byte {
        case UInt8(ascii: "("): return try group()
        case UInt8(ascii: "["): return try characterClass()
        case UInt8(ascii: "\\"): return try escape()
        case UInt8(ascii: "."):
            index += 1
            return Self.anyCharacter
        case UInt8(ascii: "^"):
            index += 1
            return .empty
        case UInt8(ascii: "$"):
            index += 1
            return .end
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"): throw NotUnderstood()
        case 0x80...: return nonASCII()
        default:
            index += 1
            return literal(byte)
        }
    }

    /// A whole character, so that a quantifier behind it applies to all its bytes. What has no case is exact, and so are
    /// letters that have just one other case.
    mutating func nonASCII() -> Known {
        let start = index
        index += 1
        while let next = at(0), next & 0xC0 == 0x80 { index += 1 }
        let bytes = Array(source[start..<index])
        guard let scalar = String(decoding: bytes, as: UTF8.self).unicodeScalars.first else {
            return Self.anyCharacter
        }
        if isCaseless, let other = Self.otherCase(scalar.value).flatMap(Unicode.Scalar.init) {
            let both = [bytes, Array(String(other).utf8)]
            return Known(exact: both, front: front(both))
        }
        guard !isCaseless || scalar.properties.generalCategory == .otherLetter else { return Self.anyCharacter }
        return Known(exact: [bytes], front: front([bytes]))
    }

    /// Of letters of Latin-1 and of Russian that fold with one other character (Unicode's CaseFolding.txt): not of `å`
    /// (U+212B too), `ß`, `ÿ`, nor of those that have a form in U+1C80–1C86.
    private static func otherCase(_ scalar: UInt32) -> UInt32? {
        switch scalar {
        case 0xC5, 0xD7, 0xDF, 0xE5, 0xF7: nil
        case 0xC0...0xFE: scalar ^ 0x20
        case 0x412, 0x414, 0x41E, 0x421, 0x422, 0x42A, 0x432, 0x434, 0x43E, 0x441, 0x442, 0x44A: nil
        case 0x410...0x42F: scalar + 0x20
        case 0x430...0x44F: scalar - 0x20
        default: nil
        }
    }

    mutating func escape() throws(NotUnderstood) -> Known {
        guard let next = at(1) else { throw NotUnderstood() }
        index += 2
        switch next {
        case UInt8(ascii: "b"): return .guarded(Guard(isBoundary: true))
        case UInt8(ascii: "B"), UInt8(ascii: "A"): return .empty
        case UInt8(ascii: "z"), UInt8(ascii: "Z"): return .end
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

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46, 0x61...0x66: (byte | 0x20) - 0x57
        default: nil
        }
    }

    /// The members of a class as far as they are a few ASCII characters.
    struct Members {
        var known: [[UInt8]]? = []
        /// Bytes of all members.
        var bytes = ByteSet()
        var isASCII = true
        /// Members beyond ASCII, by number, and ranges of them; worth something if there are no others.
        var scalars: [UInt32] = []
        var ranges: [ClosedRange<UInt32>] = []
        var others = 0
        /// Not all of `bytes` need be members.
        var isVague = false

        mutating func add(_ byte: UInt8) {
            others += 1
            bytes.insert(byte)
            let folded = [LiteralFilter.fold(byte)]
            if known?.contains(folded) == false { known?.append(folded) }
        }

        mutating func add(from low: UInt8, to high: UInt8) {
            // A long range, but digits are one symbol.
            if high &- low > 8, !(low &- 0x30 < 10 && high &- 0x30 < 10) { known = nil }
            for byte in low...max(low, high) { add(byte) }
        }
    }

    mutating func characterClass() throws(NotUnderstood) -> Known {
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
                if isNegated { return Self.others(than: members) }
                if !members.isASCII { return beyondASCII(members) }
                if let known = members.known, known.count <= 8, !known.isEmpty {
                    return Known(exact: known, front: front(known), single: front(known).bytes)
                }
                var bytes = members.bytes
                for byte in UInt8(0)...0x7F where members.bytes.contains(byte) { bytes.formUnion(unfolded(byte)) }
                return .one(of: bytes, longest: hasLongCases ? 3 : 1)
            }
            isFirst = false
            if byte == UInt8(ascii: "["), let kind = at(1),
                kind == UInt8(ascii: ":") || kind == UInt8(ascii: ".")
                    || kind == UInt8(ascii: "=")
            {
                // `[:name:]` or the characters themselves: only the first is worth knowing.
                try posixName()
                members.known = nil
                members.isVague = true
                members.others += 1
                for byte in UInt8(0)...0x7F { members.bytes.insert(byte) }
                continue
            }
            let scalarCount = members.scalars.count
            guard let low = try member(&members) else {
                if members.scalars.count > scalarCount, at(0) == UInt8(ascii: "-"), at(1) == UInt8(ascii: "\\") {
                    index += 1
                    let other = try member(&members)
                    if other == nil, members.scalars.count == scalarCount + 2,
                        let low = members.scalars.dropLast().last,
                        let high = members.scalars.last, low <= high
                    {
                        members.ranges.append(low...high)
                    } else {
                        members.others += 1
                    }
                }
                continue
            }
            guard at(0) == UInt8(ascii: "-"), let next = at(1), next != UInt8(ascii: "]") else {
                members.add(low)
                continue
            }
            index += 1
            if next == UInt8(ascii: "["), let kind = at(1),
                kind == UInt8(ascii: ":") || kind == UInt8(ascii: ".")
                    || kind == UInt8(ascii: "=")
            {
                throw NotUnderstood()
            }
            if let high = try member(&members), high >= low {
                members.add(from: low, to: high)
            } else {
                // `a-\d`: the hyphen is itself; or the range ends beyond ASCII.
                members.known = nil
                members.isVague = true
                members.add(low)
                members.add(UInt8(ascii: "-"))
            }
        }
        throw NotUnderstood()
    }

    /// A negated class: any character but ASCII ones that are surely members. (`[:alpha:]` counts all ASCII as members;
    /// what is a member in either case counts in the case it is written in.)
    private static func others(than members: Members) -> Known {
        guard !members.isVague else { return anyCharacter }
        var bytes = members.bytes.complement
        for byte in UInt8(0x80)...0xFF { bytes.insert(byte) }
        return Known(
            front: Front(length: LengthRange(1, 4), bytes: bytes),
            row: [Stretch(bytes, LengthRange(1, 1), isCharacters: true)])
    }

    /// A class of `\x{…}` members: one of them, or of what they begin with where they are many.
    func beyondASCII(_ members: Members) -> Known {
        let count = members.ranges.reduce(members.scalars.count) { $0 + $1.count }
        guard members.others == 0, !isCaseless, count > 0, count <= Self.scalarsMax else { return Self.anyCharacter }
        let scalars = members.ranges.flatMap { Array($0) } + members.scalars
        let strings = scalars.compactMap { Unicode.Scalar($0).map { Array(String($0).utf8) } }
        for length in [4, 3, 2] {
            let starts = Set(strings.map { Array($0.prefix(length)) }).sorted { $0.lexicographicallyPrecedes($1) }
            guard !starts.isEmpty, starts.count <= Self.startsMax else { continue }
            let front = Front(
                length: LengthRange(strings.lazy.map(\.count).min() ?? 1, strings.lazy.map(\.count).max() ?? 4),
                bytes: ByteSet(strings.joined()))
            if strings.allSatisfy({ $0.count <= length }) {
                return Known(exact: starts, front: front, single: front.bytes)
            }
            let rest = Stretch(front.bytes, LengthRange(0, 4 - length))
            return Known(
                required: starts.map { Literal(bytes: $0, before: .none, after: [rest]) }, front: front,
                single: front.bytes)
        }
        return Self.anyCharacter
    }

    private static let scalarsMax = 2048
    private static let startsMax = 64

    mutating func posixName() throws(NotUnderstood) {
        guard at(1) == UInt8(ascii: ":") else { throw NotUnderstood() }
        var end = index + 2
        while end < source.count, source[end] &- 0x61 < 26 || source[end] == UInt8(ascii: "^") { end += 1 }
        guard end > index + 2, end + 1 < source.count, source[end] == UInt8(ascii: ":"),
            source[end + 1] == UInt8(ascii: "]"), source[index + 2] != UInt8(ascii: "^")
        else { throw NotUnderstood() }
        index = end + 2
    }

    /// One member of a class, if it is one ASCII character; what else it is goes into `members`.
    mutating func member(_ members: inout Members) throws(NotUnderstood) -> UInt8? {
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
            if next == UInt8(ascii: "x"), at(0) != UInt8(ascii: "{") {
                var value: UInt8 = 0
                for _ in 0..<2 {
                    guard let digit = at(0).flatMap(Self.hexDigit) else { break }
                    value = value << 4 | digit
                    index += 1
                }
                if value < 0x80 { return value }
            }
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

    mutating func group() throws(NotUnderstood) -> Known {
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
        case UInt8(ascii: "<") where at(1) == UInt8(ascii: "="):
            index += 2
            let isInside = isBehind
            isBehind = true
            defer { isBehind = isInside }
            var known = Known.empty
            known.behind = try body().exact.flatMap { $0.contains([]) ? nil : $0 }
            return known
        case UInt8(ascii: "<") where at(1) == UInt8(ascii: "!"):
            index += 2
            let refused = refusedByte()
            _ = try body()
            return .guarded(Guard(refused: refused))
        case UInt8(ascii: "<"):
            try skip(to: UInt8(ascii: ">"))
            return try body()
        case UInt8(ascii: "P") where at(1) == UInt8(ascii: "<"):
            try skip(to: UInt8(ascii: ">"))
            return try body()
        default: return try settings()
        }
    }

    /// Of a negative lookbehind that is one character or a class, and written in the plainest way: the ASCII characters
    /// that it refuses, as they stand there. Nothing of any other.
    private func refusedByte() -> ByteSet {
        var place = index
        func next() -> UInt8? {
            defer { place += 1 }
            return place < source.count ? source[place] : nil
        }
        /// One character, or a class such as `\w`.
        func one() -> (byte: UInt8?, set: ByteSet)? {
            guard let byte = next(), byte < 0x80 else { return nil }
            guard byte == UInt8(ascii: "\\") else { return (byte, ByteSet([byte])) }
            guard let escaped = next() else { return nil }
            switch escaped {
            case UInt8(ascii: "w"): return (nil, Self.word)
            case UInt8(ascii: "d"): return (nil, ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9")))
            case UInt8(ascii: "s"): return (nil, Self.space)
            case UInt8(ascii: "!")...UInt8(ascii: "/"), UInt8(ascii: ":")...UInt8(ascii: "@"),
                UInt8(ascii: "[")...UInt8(ascii: "`"), UInt8(ascii: "{")...UInt8(ascii: "~"):
                return (escaped, ByteSet([escaped]))
            default: return nil
            }
        }
        var refused = ByteSet()
        if at(0) == UInt8(ascii: "[") {
            place += 1
            if at(1) == UInt8(ascii: "^") || at(1) == UInt8(ascii: "]") { return ByteSet() }
            while place < source.count, source[place] != UInt8(ascii: "]") {
                guard source[place] != UInt8(ascii: "["), let member = one() else { return ByteSet() }
                refused.formUnion(member.set)
                guard place + 1 < source.count, source[place] == UInt8(ascii: "-"),
                    source[place + 1] != UInt8(ascii: "]")
                else { continue }
                place += 1
                guard let low = member.byte, let high = one()?.byte, low <= high else { return ByteSet() }
                refused.formUnion(ByteSet(low...high))
            }
            place += 1
        } else {
            guard let first = at(0), !Array(".^$*+?()[{|".utf8).contains(first), let member = one() else {
                return ByteSet()
            }
            refused = member.set
        }
        return place < source.count && source[place] == UInt8(ascii: ")") ? refused : ByteSet()
    }

    /// `(?i)`, `(?s:…)` and the like.
    mutating func settings() throws(NotUnderstood) -> Known {
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

    mutating func body() throws(NotUnderstood) -> Known {
        let known = try alternation()
        guard at(0) == UInt8(ascii: ")") else { throw NotUnderstood() }
        index += 1
        return known
    }

    mutating func skip(to end: UInt8) throws(NotUnderstood) {
        while let byte = at(0) {
            index += 1
            if byte == end { return }
        }
        throw NotUnderstood()
    }
}
