internal import CByteClasses

/// Which of 64 bytes begin pieces, found for all of them at once: each rule of the split patterns is a line of
/// arithmetic on masks (bit i speaks of byte i), so that text is cut without a branch for each character. Runs are
/// followed by carries: adding a run's first bit to the run sets the bit behind it (Cameron, "Parallel bit streams";
/// Langdale and Lemire, "Parsing gigabytes of JSON per second").
///
/// `PieceScanner.next` decides all cases; this decides the common ones, and tests compare the two.
extension PieceScanner {
    /// Bytes looked at by one call of `boundaries`.
    static let blockBytes = 64

    /// Ends of pieces behind `at`: bit i is set if a piece ends before the byte `at + i`. Bit 0 is never set. Below
    /// the highest bit no end is missing; 0 where none is certain, and then `next` finds one.
    /// - Parameters:
    ///   - isCased: whether the family is `.cased`; otherwise it is `.cl100k`. Constant where it is called.
    ///   - padded: room for `blockBytes`, used at the end of the text.
    /// - Precondition: `at < end`, and a piece begins at `at`.
    @inline(__always)
    func boundaries(
        _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, isCased: Bool, _ classes: UnicodeClasses,
        _ padded: UnsafeMutablePointer<UInt8>
    ) -> UInt64 {
        let isLast = end &- at < Self.blockBytes
        let bytes: guard_byte_classes
        if isLast {
            // White space behind the end leaves the end of the text as it is: a run there is one piece.
            padded.update(repeating: 0x20, count: Self.blockBytes)
            padded.update(from: text + at, count: end &- at)
            bytes = guard_classify(padded)
        } else {
            bytes = guard_classify(text + at)
        }
        // Bytes from here on are not known.
        var known = isLast ? end &- at : Self.blockBytes
        var kinds = Kinds(bytes)
        let high = bytes.high
        if high != 0 { known = addMultibyte(text, at, end, high, known, isCased: isCased, classes, &kinds) }
        let isWholeText = isLast && known == end &- at
        if !isWholeText { known = undecidedSpaces(kinds.spaces, known) }
        var starts = isCased ? casedStarts(kinds) : starts(kinds, isCased: false)
        if !isCased || takesContraction {
            // Behind cased words, before the letters otherwise.
            let candidates = kinds.apostrophes & (isCased ? kinds.letters &<< 1 : kinds.letters &>> 1)
            if candidates != 0 { contract(text, at, end, kinds, candidates, isCased: isCased, &starts) }
        }
        if known <= 0 { return 0 }
        if known >= 64 { return starts & ~1 }
        let below = (1 as UInt64) &<< UInt64(truncatingIfNeeded: known)
        return (isWholeText ? starts & (below &- 1) | below : starts & (below &- 1 | below)) & ~1
    }

    /// Classes of bytes, those of characters of several bytes filled in.
    struct Kinds {
        var letters: UInt64
        /// Letters that the cased patterns' upper-case runs have and their lower-case runs have not.
        var upper: UInt64
        var digits: UInt64
        /// White space, line ends included.
        var spaces: UInt64
        var newlines: UInt64
        var blanks: UInt64
        /// Neither letter nor number nor white space.
        var others: UInt64
        /// Bytes of `others` that are not the first of their character.
        var tails: UInt64 = 0
        var apostrophes: UInt64
        var slashes: UInt64

        @inline(__always)
        init(_ bytes: guard_byte_classes) {
            letters = bytes.letters
            upper = bytes.upper
            digits = bytes.digits
            spaces = bytes.spaces
            newlines = bytes.newlines
            blanks = bytes.blanks
            others = ~(bytes.letters | bytes.digits | bytes.spaces | bytes.high)
            apostrophes = bytes.apostrophes
            slashes = bytes.slashes
        }
    }
}

extension PieceScanner {
    /// Fills in the classes of characters that are not ASCII.
    /// - Returns: up to where the bytes are known: before a number or white space (rare, and they count or end runs
    ///   in their own ways), and in cased patterns before what is upper and lower case at once.
    @inline(never)
    private func addMultibyte(
        _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ high: UInt64, _ known: Int, isCased: Bool,
        _ classes: UnicodeClasses, _ kinds: inout Kinds
    ) -> Int {
        var rest = known < 64 ? high & (1 &<< UInt64(known) &- 1) : high
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            let (kind, length) = classes.character(text, at &+ index, end)
            if index &+ length > Self.blockBytes { return index }
            let mask = ((1 as UInt64) &<< UInt64(length) &- 1) &<< UInt64(index)
            rest &= ~mask
            if kind & (UnicodeClasses.number | UnicodeClasses.space) != 0 { return index }
            if isCased {
                let cases = kind & (UnicodeClasses.upper | UnicodeClasses.lower)
                if cases == UnicodeClasses.upper | UnicodeClasses.lower { return index }
                if cases == UnicodeClasses.upper { kinds.upper |= mask }
            }
            if kind & UnicodeClasses.letter != 0 {
                kinds.letters |= mask
            } else {
                kinds.others |= mask
                kinds.tails |= mask & mask &<< 1
            }
        }
        return known
    }

    /// Where white space reaches the end of what is known, what follows decides how it is cut: only its beginning is
    /// known then.
    @inline(__always)
    private func undecidedSpaces(_ spaces: UInt64, _ known: Int) -> Int {
        if known <= 0 { return 0 }
        let top = spaces &<< UInt64(truncatingIfNeeded: 64 &- known)
        return known &- (~top).leadingZeroBitCount
    }

    @inline(__always)
    private func casedStarts(_ kinds: Kinds) -> UInt64 {
        // A lower-case run ends where a capital follows.
        let lower = kinds.letters & ~kinds.upper
        return starts(kinds, isCased: true) | kinds.upper & lower &<< 1
    }

    /// Starts of pieces, as if there were no contractions.
    @inline(__always)
    private func starts(_ kinds: Kinds, isCased: Bool) -> UInt64 {
        // `[\r\n]*` behind punctuation, `[\r\n/]*` in cased patterns.
        let consumed: UInt64
        let newlineStarts = kinds.newlines & kinds.others &<< 1
        if isCased {
            let line = kinds.newlines | kinds.slashes
            consumed = line & (~(line &+ newlineStarts) | newlineStarts)
        } else {
            consumed = kinds.newlines & ~(kinds.newlines &+ newlineStarts)
        }
        let others = isCased ? kinds.others & ~consumed : kinds.others
        let spaces = kinds.spaces & ~consumed

        // `\s*[\r\n]+`, then the rest of the white space, of which the last character goes with what follows it.
        let inLine = kinds.spaces & ~kinds.newlines
        var starts = spaces & ~(spaces &<< 1) | inLine & ~(kinds.spaces &>> 1)
        let inLineStarts = inLine & ~(inLine &<< 1)
        let behindNewline = inLineStarts & (spaces & kinds.newlines) &<< 1
        let endsAtNewline = (inLine &+ inLineStarts) & ~inLine & kinds.newlines
        starts |= endsAtNewline == 0 ? behindNewline : Self.notBefore(endsAtNewline, inLine, behindNewline)

        // Punctuation begins at the blank before it, if there is one.
        let otherStarts = others & ~(others &<< 1) & ~(kinds.blanks &<< 1)
        starts |= otherStarts

        // Letters begin at the one character before them that is no line end, if it is not part of something else:
        // white space always is free, punctuation if it is one character without a blank before it.
        let laterStarts = others & others &<< 1 & ~kinds.tails
        let heads = (others &+ otherStarts) & ~others & ~(others &+ laterStarts)
        starts |= kinds.letters & ~(kinds.letters &<< 1) & ~(inLine &<< 1) & ~heads

        if digitsMax == 1 { return starts | kinds.digits }
        var digits = kinds.digits & ~(kinds.digits &<< 1)
        let third = kinds.digits & kinds.digits &<< 1 & kinds.digits &<< 2
        while digits != 0 {
            starts |= digits
            digits = digits &<< 3 & third
        }
        return starts
    }

    /// Those of `starts` whose runs do not end at one of `ends`.
    @inline(never)
    private static func notBefore(_ ends: UInt64, _ runs: UInt64, _ starts: UInt64) -> UInt64 {
        var result = starts
        var rest = starts
        while rest != 0 {
            let start = rest & (~rest &+ 1)
            rest ^= start
            // The carry of this run alone.
            if (runs &+ start) & ~runs & ends != 0 { result ^= start }
        }
        return result
    }

    /// Applies `(?i:'s|'t|'re|'ve|'m|'ll|'d)`: a piece of its own, or the end of a cased word.
    @inline(never)
    private func contract(
        _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ kinds: Kinds, _ candidates: UInt64, isCased: Bool,
        _ starts: inout UInt64
    ) {
        var rest = isCased ? candidates : candidates & starts
        var behind = 0
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            // A word has one contraction; the next one is a word of its own.
            if at &+ index >= end || isCased && index == behind { continue }
            let length = Self.contraction(text, at &+ index, end, ignoringCase: true)
            if length == 0 { continue }
            let inside = ((1 as UInt64) &<< UInt64(length) &- 1) &<< UInt64(index)
            starts &= isCased ? ~inside : ~inside | 1 &<< UInt64(index)
            behind = index &+ length
            if behind < 64 { starts |= kinds.letters & 1 &<< UInt64(behind) }
        }
    }
}
