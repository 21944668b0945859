/// Rewrites a pattern's literals for the folded view.
///
/// Folded text holds only scalars that the fold leaves alone, so a literal `É`, `Ⅷ` or Cyrillic `а` in a pattern would
/// never match as written. Each non-ASCII literal becomes what it folds to: itself, other scalars, or a choice where its
/// cases fold apart. ASCII needs nothing: the view leaves it as it is, and patterns of folded rules are compiled caseless
/// unless they say `(?-i)`.
///
/// In a class, the folds of the members are added; of ranges up to 1,024 scalars too, larger ones stay as they are.
struct FoldedPattern {
    struct Problem: Error {
        var message: String
        /// In Unicode scalars of the source.
        var offset: Int
    }

    private let source: [Unicode.Scalar]
    private let table = FoldTable.shared
    private var index = 0
    private var out = String.UnicodeScalarView()

    static func rewrite(_ source: String) throws(Problem) -> String {
        var rewriter = FoldedPattern(source: Array(source.unicodeScalars))
        try rewriter.run()
        return String(rewriter.out)
    }

    private init(source: [Unicode.Scalar]) { self.source = source }

    private mutating func run() throws(Problem) {
        while index < source.count {
            switch source[index] {
            case "\\": try escape(inClass: nil)
            case "[": try characterClass()
            case "(": group()
            case let scalar:
                try literal(scalar, at: index)
                index += 1
            }
        }
    }

    private func at(_ offset: Int) -> Unicode.Scalar? {
        index + offset < source.count ? source[index + offset] : nil
    }

    private mutating func copy(_ count: Int) {
        for _ in 0..<count where index < source.count {
            out.append(source[index])
            index += 1
        }
    }

    /// Copies up to and including `end`.
    private mutating func copy(through end: Unicode.Scalar) {
        while index < source.count {
            let scalar = source[index]
            copy(1)
            if scalar == end { return }
        }
    }

    // MARK: literals

    /// The folds of a scalar and of its case variants, which a caseless match takes for the same letter.
    private func folds(_ scalar: Unicode.Scalar) -> [[Unicode.Scalar]] {
        var result: [[Unicode.Scalar]] = []
        let properties = scalar.properties
        for variant in [String(scalar), properties.lowercaseMapping, properties.uppercaseMapping] {
            let scalars = Array(variant.unicodeScalars)
            // Mappings to several letters (ß -> SS) are not what PCRE2 means by caseless.
            guard scalars.count == 1, let only = scalars.first else { continue }
            let fold = table.fold(only)
            if !fold.isEmpty, !result.contains(where: { Self.isSameCaseless($0, fold) }) { result.append(fold) }
        }
        return result
    }

    /// ASCII differs at most in case.
    private static func isSameCaseless(_ one: [Unicode.Scalar], _ other: [Unicode.Scalar]) -> Bool {
        one.count == other.count
            && zip(one, other).allSatisfy {
                $0 == $1 || $0.isASCII && $1.isASCII && $0.value | 0x20 == $1.value | 0x20
                    && $0.properties.isAlphabetic
            }
    }

    private mutating func literal(_ scalar: Unicode.Scalar, at offset: Int) throws(Problem) {
        guard !scalar.isASCII else {
            out.append(scalar)
            return
        }
        let folds = folds(scalar)
        guard let first = folds.first else {
            // An accent that is written out: the text has lost it as well.
            if scalar.properties.generalCategory == .nonspacingMark { return }
            throw never(scalar, offset)
        }
        if folds.count == 1, first == [scalar] {
            out.append(scalar)
        } else if folds.count == 1, first.count == 1 {
            append(first)
        } else {
            out.append(contentsOf: "(?:".unicodeScalars)
            for (number, fold) in folds.enumerated() {
                if number > 0 { out.append("|") }
                append(fold)
            }
            out.append(")")
        }
    }

    private mutating func append(_ scalars: [Unicode.Scalar]) {
        for scalar in scalars {
            // Folds may be ASCII punctuation or spaces: （ is ( in folded text.
            if scalar.isASCII, !scalar.properties.isAlphabetic, scalar.properties.numericType == nil {
                out.append(contentsOf: "\\x{\(String(scalar.value, radix: 16))}".unicodeScalars)
            } else {
                out.append(scalar)
            }
        }
    }

    private func never(_ scalar: Unicode.Scalar, _ offset: Int) -> Problem {
        Problem(
            message:
                "U+\(String(scalar.value, radix: 16, uppercase: true)) never occurs in the folded view, which drops it; "
                + "leave it out, or use 'view: raw'", offset: offset)
    }

    // MARK: escapes

    /// At a backslash. `inClass` collects the members that a class gets in addition.
    private mutating func escape(inClass members: UnsafeMutablePointer<[Unicode.Scalar]>?) throws(Problem) {
        guard let next = at(1) else { return copy(1) }
        switch next {
        case "Q":
            copy(2)
            while index < source.count, !(source[index] == "\\" && at(1) == "E") {
                if members == nil, !source[index].isASCII {
                    // Leave the quotation for what is not the literal itself.
                    out.append(contentsOf: "\\E".unicodeScalars)
                    try literal(source[index], at: index)
                    out.append(contentsOf: "\\Q".unicodeScalars)
                    index += 1
                } else {
                    if let members { members.pointee.append(source[index]) }
                    copy(1)
                }
            }
            copy(2)
        case "x" where at(2) == "{":
            let start = index
            guard let end = source[index...].firstIndex(of: "}") else { return copy(2) }
            var digits = ""
            digits.unicodeScalars.append(contentsOf: source[(index + 3)..<end])
            guard let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value), !scalar.isASCII else {
                return copy(end + 1 - index)
            }
            if let members {
                members.pointee.append(scalar)
                copy(end + 1 - index)
            } else {
                try literal(scalar, at: start)
                index = end + 1
            }
        case "p", "P", "N", "o", "k", "g":
            copy(2)
            if at(0) == "{" { copy(through: "}") } else if at(0) == "<" { copy(through: ">") }
        case _ where !next.isASCII:
            if let members {
                members.pointee.append(next)
                copy(2)
            } else {
                try literal(next, at: index + 1)
                index += 2
            }
        default: copy(2)
        }
    }

    // MARK: classes

    private mutating func characterClass() throws(Problem) {
        copy(1)
        if at(0) == "^" { copy(1) }
        if at(0) == "]" { copy(1) }
        var members: [Unicode.Scalar] = []
        /// The member before a `-`, if a range can begin with it.
        var low: Unicode.Scalar?
        while index < source.count, source[index] != "]" {
            if source[index] == "[", let kind = at(1), kind == ":" || kind == "." || kind == "=" {
                copy(2)
                while index < source.count, !(source[index] == kind && at(1) == "]") { copy(1) }
                copy(2)
                low = nil
                continue
            }
            if source[index] == "-", let from = low, let next = at(1), next != "]" {
                copy(1)
                let before = members.count
                let to: Unicode.Scalar?
                if next == "\\" {
                    try escape(inClass: &members)
                    to = members.count == before + 1 ? members.popLast() : nil
                } else {
                    copy(1)
                    to = next
                }
                low = nil
                guard let to, to.value > from.value, to.value >= 0x80, to.value - from.value <= 1024 else { continue }
                for value in max(from.value, 0x80)...to.value {
                    if let scalar = Unicode.Scalar(value) { members.append(scalar) }
                }
                continue
            }
            if source[index] == "\\" {
                let before = members.count
                try escape(inClass: &members)
                low = members.count == before + 1 ? members.last : nil
                continue
            }
            low = source[index]
            members.append(source[index])
            copy(1)
        }
        var added: Set<Unicode.Scalar> = []
        for member in members where !member.isASCII {
            for fold in folds(member) where fold.count == 1 && fold[0] != member { added.insert(fold[0]) }
        }
        append(added.sorted { $0.value < $1.value })
        copy(1)
    }

    // MARK: groups

    /// Copies what may hold names and comments.
    private mutating func group() {
        if at(1) == "*" { return copy(through: ")") }
        guard at(1) == "?" else { return copy(1) }
        switch at(2) {
        case "#": copy(through: ")")
        case "<" where at(3) != "=" && at(3) != "!": copy(through: ">")
        case "P" where at(3) == "<": copy(through: ">")
        case "P" where at(3) == "=" || at(3) == ">": copy(through: ")")
        case "'":
            copy(3)
            copy(through: "'")
        case let letter? where letter == "^" || letter == "-" || letter.properties.isAlphabetic:
            copy(2)
            while let letter = at(0), letter == "^" || letter == "-" || letter.properties.isAlphabetic { copy(1) }
        default: copy(2)
        }
    }
}
