/// Split patterns of known tokenizers, written out by hand: each finds the next match of its regular expression as a
/// backtracking engine with Unicode classes would, in one pass over the text.
///
/// Chosen by the exact source of the pattern, so that a pattern that differs in one character takes the general engine.
/// The patterns match every character, so pieces are adjacent and cover the text. Tests compare each with PCRE2.
struct PieceScanner: Sendable, Hashable {
    enum Family: Sendable, Hashable {
        /// `'s|'t|... ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
        case gpt2
        /// `(?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
        case cl100k
        /// Words with their case: an upper-case run, then a lower-case run.
        case cased
    }

    var family: Family
    /// Length of `\p{N}{1,n}`; unused by gpt2.
    var digitsMax = 1
    /// Whether a cased word takes a contraction (`'s`) at its end (o200k) or not (tekken).
    var takesContraction = false

    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let spaces = #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
    private static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
    private static let head = #"[^\r\n\p{L}\p{N}]?"#

    private static func cased(_ suffix: String, _ digits: String) -> String {
        head + upper + "*" + lower + "+" + suffix + "|" + head + upper + "+" + lower + "*" + suffix + "|" + digits
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*"# + spaces
    }

    static let gpt2Pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    static let llama3Pattern =
        contractions + "|" + head + #"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"# + spaces
    static let qwen2Pattern = contractions + "|" + head + #"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"# + spaces
    static let tekkenPattern = cased("", #"\p{N}"#)
    static let o200kPattern = cased(contractions + "?", #"\p{N}{1,3}"#)

    static let known: [(pattern: String, scanner: PieceScanner)] = [
        (gpt2Pattern, PieceScanner(family: .gpt2)),
        (llama3Pattern, PieceScanner(family: .cl100k, digitsMax: 3)),
        (qwen2Pattern, PieceScanner(family: .cl100k, digitsMax: 1)),
        (tekkenPattern, PieceScanner(family: .cased, digitsMax: 1)),
        (o200kPattern, PieceScanner(family: .cased, digitsMax: 3, takesContraction: true)),
    ]

    /// `nil` for a pattern that is not written out here.
    static func named(by pattern: String) -> PieceScanner? {
        known.first { $0.pattern.utf8.elementsEqual(pattern.utf8) }?.scanner
    }

    /// End of the piece that begins at `at`; above `at`.
    /// - Precondition: `at < end`, and pieces before `at` were found by this scanner.
    @inline(__always)
    func next(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ classes: UnicodeClasses) -> Int {
        switch family {
        case .cl100k: nextCL100K(text, at, end, classes)
        case .cased: nextCased(text, at, end, classes)
        case .gpt2: nextGPT2(text, at, end, classes)
        }
    }

    // MARK: Families

    private func nextGPT2(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ classes: UnicodeClasses) -> Int {
        if text[at] == UInt8(ascii: "'") {
            let length = Self.contraction(text, at, end, ignoringCase: false)
            if length > 0 { return at + length }
        }
        var (kind, length) = classes.character(text, at, end)
        var from = at
        if text[at] == UInt8(ascii: " "), at + 1 < end {
            from = at + 1
            (kind, length) = classes.character(text, from, end)
        }
        if kind & UnicodeClasses.letter != 0 {
            return Self.run(text, from + length, end, classes) { $0 & UnicodeClasses.letter != 0 }
        }
        if kind & UnicodeClasses.number != 0 {
            return Self.run(text, from + length, end, classes) { $0 & UnicodeClasses.number != 0 }
        }
        if kind & UnicodeClasses.space == 0 {
            return Self.run(text, from + length, end, classes, while: Self.isOther)
        }
        return Self.spaces(text, at, end, classes, breaksAtNewline: false)
    }

    private func nextCL100K(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ classes: UnicodeClasses) -> Int {
        let first = text[at]
        if first == UInt8(ascii: "'") {
            let length = Self.contraction(text, at, end, ignoringCase: true)
            if length > 0 { return at + length }
        }
        let (kind, length) = classes.character(text, at, end)
        if kind & UnicodeClasses.letter != 0 {
            return Self.run(text, at + length, end, classes) { $0 & UnicodeClasses.letter != 0 }
        }
        if kind & UnicodeClasses.number != 0 { return digits(text, at + length, end, classes) }
        if kind & UnicodeClasses.newline == 0, at + length < end {
            let (second, secondLength) = classes.character(text, at + length, end)
            if second & UnicodeClasses.letter != 0 {
                return Self.run(text, at + length + secondLength, end, classes) { $0 & UnicodeClasses.letter != 0 }
            }
            if first == UInt8(ascii: " "), Self.isOther(second) {
                return Self.punctuation(text, at + length + secondLength, end, classes, slash: false)
            }
        }
        if kind & UnicodeClasses.space == 0 {
            return Self.punctuation(text, at + length, end, classes, slash: false)
        }
        return Self.spaces(text, at, end, classes, breaksAtNewline: true)
    }

    private func nextCased(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ classes: UnicodeClasses) -> Int {
        let first = text[at]
        let (kind, length) = classes.character(text, at, end)
        // The optional head takes any character that is no letter, number or line end: marks too, which are also
        // members of both runs. So a mark is tried as head first, and then as part of the word.
        let canLead = kind & (UnicodeClasses.letter | UnicodeClasses.number | UnicodeClasses.newline) == 0
        var upperEnd = at + length
        if canLead {
            let word = Self.casedWord(text, at + length, end, classes)
            if let wordEnd = word.endsLower { return suffixed(text, wordEnd, end) }
            upperEnd = word.upperEnd
        }
        if kind & (UnicodeClasses.upper | UnicodeClasses.lower) != 0 {
            let word = Self.casedWord(text, at, end, classes)
            if let wordEnd = word.endsLower { return suffixed(text, wordEnd, end) }
            // Only letters come here: a mark is a lower-case run by itself.
            if word.upperEnd > at { return suffixed(text, word.upperEnd, end) }
        }
        if canLead, upperEnd > at + length { return suffixed(text, upperEnd, end) }
        if kind & UnicodeClasses.number != 0 { return digits(text, at + length, end, classes) }
        if first == UInt8(ascii: " "), at + 1 < end {
            let (second, secondLength) = classes.character(text, at + 1, end)
            if Self.isOther(second) {
                return Self.punctuation(text, at + 1 + secondLength, end, classes, slash: true)
            }
        }
        if kind & UnicodeClasses.space == 0 { return Self.punctuation(text, at + length, end, classes, slash: true) }
        return Self.spaces(text, at, end, classes, breaksAtNewline: true)
    }

    /// `upper*lower+` and `upper+` from `from` on, with the backtracking of the first: where no lower-case letter
    /// follows the upper run, it gives characters back up to its last one that counts as lower case too.
    @inline(__always)
    private static func casedWord(
        _ text: UnsafePointer<UInt8>, _ from: Int, _ end: Int, _ classes: UnicodeClasses
    ) -> (endsLower: Int?, upperEnd: Int) {
        var at = from
        var lastLower: Int?
        while at < end {
            let (kind, length) = classes.character(text, at, end)
            if kind & UnicodeClasses.upper == 0 {
                guard kind & UnicodeClasses.lower != 0 else { break }
                return (run(text, at + length, end, classes) { $0 & UnicodeClasses.lower != 0 }, at)
            }
            at += length
            if kind & UnicodeClasses.lower != 0 { lastLower = at }
        }
        return (lastLower, at)
    }

    // MARK: Parts

    /// Neither space nor letter nor number: `[^\s\p{L}\p{N}]`.
    @inline(__always)
    private static func isOther(_ kind: UInt8) -> Bool {
        kind & (UnicodeClasses.space | UnicodeClasses.letter | UnicodeClasses.number) == 0
    }

    @inline(__always)
    private static func run(
        _ text: UnsafePointer<UInt8>, _ from: Int, _ end: Int, _ classes: UnicodeClasses, while holds: (UInt8) -> Bool
    ) -> Int {
        var at = from
        while at < end {
            let (kind, length) = classes.character(text, at, end)
            if !holds(kind) { break }
            at += length
        }
        return at
    }

    /// The rest of `\p{N}{1,n}` after its first character.
    @inline(__always)
    private func digits(
        _ text: UnsafePointer<UInt8>, _ from: Int, _ end: Int, _ classes: UnicodeClasses
    ) -> Int {
        var at = from
        var count = 1
        while count < digitsMax, at < end {
            let (kind, length) = classes.character(text, at, end)
            if kind & UnicodeClasses.number == 0 { break }
            at += length
            count += 1
        }
        return at
    }

    /// The rest of `[^\s\p{L}\p{N}]+[\r\n]*` (or `[\r\n/]*`) after its first character.
    private static func punctuation(
        _ text: UnsafePointer<UInt8>, _ from: Int, _ end: Int, _ classes: UnicodeClasses, slash: Bool
    ) -> Int {
        var at = run(text, from, end, classes, while: isOther)
        while at < end {
            let byte = text[at]
            guard byte == 10 || byte == 13 || slash && byte == UInt8(ascii: "/") else { break }
            at += 1
        }
        return at
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+` (or without the first alternative) where a white space character stands at `at`.
    private static func spaces(
        _ text: UnsafePointer<UInt8>, _ from: Int, _ end: Int, _ classes: UnicodeClasses, breaksAtNewline: Bool
    ) -> Int {
        var at = from
        var lastStart = from
        var newlineEnd = from
        while at < end {
            let (kind, length) = classes.character(text, at, end)
            if kind & UnicodeClasses.space == 0 { break }
            lastStart = at
            at += length
            if kind & UnicodeClasses.newline != 0 { newlineEnd = at }
        }
        if breaksAtNewline && newlineEnd > from { return newlineEnd }
        // Before other text the last space is left to it, unless it is the only one.
        return at == end || lastStart == from ? at : lastStart
    }

    @inline(__always)
    private func suffixed(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
        guard takesContraction, at < end, text[at] == UInt8(ascii: "'") else { return at }
        return at + Self.contraction(text, at, end, ignoringCase: true)
    }

    /// Byte length of `'s|'t|'re|'ve|'m|'ll|'d` at the apostrophe `at`, 0 if it is none.
    static func contraction(
        _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, ignoringCase: Bool
    ) -> Int {
        guard at + 1 < end else { return 0 }
        let fold: UInt8 = ignoringCase ? 0x20 : 0
        let first = text[at + 1]
        switch first | fold {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 2
        default: break
        }
        guard at + 2 < end else { return 0 }
        let second = text[at + 2]
        // U+017F LATIN SMALL LETTER LONG S folds to s.
        if ignoringCase && first == 0xC5 && second == 0xBF { return 3 }
        switch (first | fold, second | fold) {
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return 3
        default: return 0
        }
    }
}
