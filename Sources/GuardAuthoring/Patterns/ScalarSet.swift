/// A set of Unicode scalars: ascending ranges that do not touch. Surrogates are never in it.
struct ScalarSet: Sendable, Hashable {
    private(set) var ranges: [ClosedRange<UInt32>] = []

    static let empty = ScalarSet()
    static let all = ScalarSet([0...0xD7FF, 0xE000...0x10FFFF])

    init() {}

    init(_ ranges: [ClosedRange<UInt32>]) {
        guard ranges.count > 1 else {
            self.ranges = ranges
            return
        }
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound &+ 1 {
                self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    init(_ scalar: UInt32) { ranges = [scalar...scalar] }

    init(_ text: String) { self.init(text.unicodeScalars.map { $0.value...$0.value }) }

    var isEmpty: Bool { ranges.isEmpty }

    /// Scalars in it.
    var count: Int { ranges.reduce(0) { $0 + Int($1.upperBound - $1.lowerBound) + 1 } }

    func contains(_ scalar: UInt32) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(scalar)
    }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    func complement() -> ScalarSet {
        var out: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { out.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { out.append(next...0x10FFFF) }
        var set = ScalarSet()
        set.ranges = out
        return set.intersection(.all)
    }

    func intersection(_ other: ScalarSet) -> ScalarSet {
        var out: [ClosedRange<UInt32>] = []
        var left = 0
        var right = 0
        while left < ranges.count, right < other.ranges.count {
            let low = max(ranges[left].lowerBound, other.ranges[right].lowerBound)
            let high = min(ranges[left].upperBound, other.ranges[right].upperBound)
            if low <= high { out.append(low...high) }
            if ranges[left].upperBound < other.ranges[right].upperBound { left += 1 } else { right += 1 }
        }
        var set = ScalarSet()
        set.ranges = out
        return set
    }

    /// With the other cases of its members, as PCRE2's caseless matching takes them (one scalar to one scalar). `nil`
    /// where the set is too large to go through: then only its ASCII part got its other cases.
    func addingCases() -> (set: ScalarSet, isExact: Bool) {
        var added: [ClosedRange<UInt32>] = []
        var isExact = true
        for range in ranges {
            guard range.upperBound - range.lowerBound <= 4096 else {
                isExact = false
                continue
            }
            for value in range {
                guard let scalar = Unicode.Scalar(value) else { continue }
                if value >= 0x41, value <= 0x5A || value >= 0x61 && value <= 0x7A {
                    added.append((value ^ 0x20)...(value ^ 0x20))
                }
                // The two letters outside of ASCII whose other case is in it: U+017F (s) and U+212A (k).
                if value | 0x20 == 0x73 { added.append(0x17F...0x17F) }
                if value | 0x20 == 0x6B { added.append(0x212A...0x212A) }
                if value < 0x80 { continue }
                let properties = scalar.properties
                for mapping in [properties.lowercaseMapping, properties.uppercaseMapping] {
                    let scalars = mapping.unicodeScalars
                    if scalars.count == 1, let only = scalars.first { added.append(only.value...only.value) }
                }
            }
        }
        return (ScalarSet(ranges + added), isExact)
    }

    /// Bytes of the longest member in UTF-8.
    var bytesMax: Int {
        switch ranges.last?.upperBound ?? 0 {
        case ...0x7F: 1
        case ...0x7FF: 2
        case ...0xFFFF: 3
        default: 4
        }
    }

    /// A member that reads well in a message: a letter, a digit, visible ASCII, else the first.
    var sample: UInt32? {
        for range in Self.readable {
            for own in ranges where own.lowerBound <= range.upperBound && own.upperBound >= range.lowerBound {
                return max(own.lowerBound, range.lowerBound)
            }
        }
        return ranges.first?.lowerBound
    }

    private static let readable: [ClosedRange<UInt32>] = [0x61...0x7A, 0x30...0x39, 0x41...0x5A, 0x21...0x7E, 0x20...0x20]

    // MARK: what PCRE2's escapes mean without UCP

    static let digits = ScalarSet([0x30...0x39])
    static let word = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let space = ScalarSet([0x09...0x0D, 0x20...0x20])
    static let horizontal = ScalarSet([
        0x09...0x09, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x180E...0x180E, 0x2000...0x200A, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000,
    ])
    static let vertical = ScalarSet([0x0A...0x0D, 0x85...0x85, 0x2028...0x2029])
    /// Newline is ANYCRLF.
    static let notNewline = ScalarSet([0x0A...0x0A, 0x0D...0x0D]).complement()

    static let posix: [String: ScalarSet] = [
        "alpha": ScalarSet([0x41...0x5A, 0x61...0x7A]), "digit": digits, "word": word,
        "alnum": ScalarSet([0x30...0x39, 0x41...0x5A, 0x61...0x7A]), "upper": ScalarSet([0x41...0x5A]),
        "lower": ScalarSet([0x61...0x7A]), "space": space, "blank": ScalarSet([0x09...0x09, 0x20...0x20]),
        "cntrl": ScalarSet([0...0x1F, 0x7F...0x7F]), "graph": ScalarSet([0x21...0x7E]),
        "print": ScalarSet([0x20...0x7E]), "ascii": ScalarSet([0...0x7F]),
        "punct": ScalarSet([0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E]),
        "xdigit": ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66]),
    ]
}

/// Sets of general categories (`\p{L}`, `\p{Nd}` …).
enum CategorySets {
    /// `nil`: a property that is no general category (a script, a binary property).
    static func set(_ name: String) -> ScalarSet? {
        if name == "Any" { return .all }
        guard let wanted = names[name] else { return nil }
        return ScalarSet(runs.filter { wanted.contains($0.category) }.map(\.range))
    }

    private static let names: [String: Set<Unicode.GeneralCategory>] = {
        var names: [String: Set<Unicode.GeneralCategory>] = [
            "Lu": [.uppercaseLetter], "Ll": [.lowercaseLetter], "Lt": [.titlecaseLetter], "Lm": [.modifierLetter],
            "Lo": [.otherLetter], "Mn": [.nonspacingMark], "Mc": [.spacingMark], "Me": [.enclosingMark],
            "Nd": [.decimalNumber], "Nl": [.letterNumber], "No": [.otherNumber], "Pc": [.connectorPunctuation],
            "Pd": [.dashPunctuation], "Ps": [.openPunctuation], "Pe": [.closePunctuation],
            "Pi": [.initialPunctuation], "Pf": [.finalPunctuation], "Po": [.otherPunctuation], "Sm": [.mathSymbol],
            "Sc": [.currencySymbol], "Sk": [.modifierSymbol], "So": [.otherSymbol], "Zs": [.spaceSeparator],
            "Zl": [.lineSeparator], "Zp": [.paragraphSeparator], "Cc": [.control], "Cf": [.format],
            "Co": [.privateUse], "Cn": [.unassigned],
        ]
        for (name, set) in names { names[String(name.prefix(1)), default: []].formUnion(set) }
        names["L&"] = [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter]
        names["Xan"] = (names["L"] ?? []).union(names["N"] ?? [])
        return names
    }()

    /// One pass over all scalars, on first use.
    private static let runs: [(range: ClosedRange<UInt32>, category: Unicode.GeneralCategory)] = {
        var runs: [(range: ClosedRange<UInt32>, category: Unicode.GeneralCategory)] = []
        for range in ScalarSet.all.ranges {
            var start = range.lowerBound
            var current: Unicode.GeneralCategory?
            for value in range {
                let category = Unicode.Scalar(value)?.properties.generalCategory
                if category != current {
                    if let current { runs.append((start...(value - 1), current)) }
                    (start, current) = (value, category)
                }
            }
            if let current { runs.append((start...range.upperBound, current)) }
        }
        return runs
    }()
}
