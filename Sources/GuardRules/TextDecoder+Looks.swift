internal import GuardCore

/// First looks at a text: whether words in disguise may be in it. They may say yes for nothing, never no where the
/// decoder finds something, but where it says so.
extension TextDecoder {
    // MARK: spaced out

    /// Whether `join` may find characters that are spaced out: words of one character each follow one another, three
    /// letters or six characters, and the same may stand between them. A chain of `join` has as many; one that is
    /// mostly signs, a ruler of dashes, is no disguise. What separates begins and ends what stands between two of them:
    /// signs may be spaced out as well, or it is wider between words.
    static func maySpaceOut(_ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader) -> Bool {
        if hasSingles(text, planes, { planes.alphanumeric($0) }, isSingle: nil) { return true }
        if (0..<planes.words).allSatisfy({ planes.word(.high, $0) == 0 }) { return false }
        // A letter, beyond ASCII too, or a sign from there between letters from there.
        func isWord(_ word: Int) -> UInt64 { planes.alphanumeric(word) | planes.word(.high, word) }
        func isSingle(_ start: Int, _ end: Int) -> Bool { width(text[start]) == end - start }
        if hasSingles(text, planes, isWord, isSingle: isSingle) { return true }
        return (0..<planes.words).contains { TextPlanes.Reader.runs(12, { planes.word(.high, $0) }, $0) != 0 }
    }

    /// - Parameter isSingle: of longer words, whether they are one character.
    @inline(__always)
    private static func hasSingles(
        _ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader, _ plane: (Int) -> UInt64,
        isSingle: ((Int, Int) -> Bool)?
    ) -> Bool {
        var gap: ByteRange?
        var last = -1
        // Of those in a row with the same between them.
        var (letters, count) = (0, 0)
        for word in 0..<planes.words {
            let starts = plane(word) & ~TextPlanes.Reader.before(plane, word)
            if starts == 0 { continue }
            let singles = starts & ~TextPlanes.Reader.behind(plane, word)
            if singles == 0, isSingle == nil {
                (gap, last) = (nil, -1)
                continue
            }
            var rest = starts
            while rest != 0 {
                let bit = rest & (0 &- rest)
                let at = 64 * word + rest.trailingZeroBitCount
                rest &= rest &- 1
                var end = at + 1
                if singles & bit == 0 {
                    guard let isSingle else {
                        (gap, last) = (nil, -1)
                        continue
                    }
                    end = planes.firstBeyond(plane, from: at)
                    if !isSingle(at, end) {
                        (gap, last) = (nil, -1)
                        continue
                    }
                }
                let letter = isDigit(text[at]) ? 0 : 1
                if last >= 0, at - last <= gapMax {
                    let between = last..<at
                    if let gap, !mayBeLike(text, gap, between) {
                        // A row may begin with the one before.
                        letters = isDigit(text[gap.upperBound]) ? 0 : 1
                        count = 1
                    }
                    letters += letter
                    // Signs that are spaced out as well stand between.
                    let separator = min(between.count, gap?.count ?? between.count)
                    count += 1 + (between.count - separator) / (separator + 1)
                    if count >= 3, letters >= 3 || count >= 6 { return true }
                    gap = between
                } else {
                    gap = nil
                    (letters, count) = (letter, 1)
                }
                last = end
            }
        }
        return false
    }

    /// Two separators of three characters each with a sign between.
    private static let gapMax = 28

    private static func mayBeLike(_ text: UnsafeBufferPointer<UInt8>, _ one: ByteRange, _ other: ByteRange) -> Bool {
        if text[one.lowerBound] == text[other.lowerBound], text[one.upperBound - 1] == text[other.upperBound - 1] {
            return true
        }
        return one.allSatisfy { isSpace(text[$0]) } || other.allSatisfy { isSpace(text[$0]) }
    }

    // MARK: words without spaces

    /// The tokens that `words` may read: two signs in the same token that it may take for spaces.
    static func forEachWordsToken(_ planes: TextPlanes.Reader, _ body: (ByteRange) -> Void) {
        func isWord(_ word: Int) -> UInt64 { planes.alphanumeric(word) | planes.word(.high, word) }
        func joints(_ word: Int) -> UInt64 {
            planes.word(.joint, word) & TextPlanes.Reader.before(isWord, word) & TextPlanes.Reader.behind(isWord, word)
        }
        func humps(_ word: Int) -> UInt64 {
            let small = { planes.word(.letter, $0) & ~planes.word(.upper, $0) }
            return planes.word(.upper, word) & TextPlanes.Reader.before(small, word)
        }
        func signs(_ word: Int) -> UInt64 {
            planes.word(.high, word) & TextPlanes.Reader.before(planes.alphanumeric, word)
        }
        var known = 0
        for word in 0..<planes.words {
            var events = joints(word) | humps(word) | signs(word)
            while events != 0 {
                let at = 64 * word + events.trailingZeroBitCount
                events &= events &- 1
                if at < known { continue }
                let start = planes.start({ ~planes.word(.space, $0) }, before: at)
                let end = planes.first(.space, from: at)
                known = end
                let token = start..<end
                if planes.count(joints, in: token) >= 2 || planes.count(humps, in: token) >= 2
                    || planes.count(signs, in: token) >= 2
                {
                    body(token)
                }
            }
        }
    }

    // MARK: leet

    /// The runs of letters and of what may stand for letters in which a letter stands beside such a sign.
    static func forEachLeetRun(_ planes: TextPlanes.Reader, untilTrue body: (ByteRange) -> Bool) -> Bool {
        func signs(_ word: Int) -> UInt64 {
            planes.word(.digit, word) | planes.word(.leet, word) | planes.word(.high, word)
        }
        func runs(_ word: Int) -> UInt64 { signs(word) | planes.word(.letter, word) }
        var known = 0
        for word in 0..<planes.words {
            let letters = planes.word(.letter, word)
            var events = letters & (TextPlanes.Reader.before(signs, word) | TextPlanes.Reader.behind(signs, word))
            while events != 0 {
                let at = 64 * word + events.trailingZeroBitCount
                events &= events &- 1
                if at < known { continue }
                known = planes.firstBeyond(runs, from: at)
                if body(planes.start(runs, before: at)..<known) { return true }
            }
        }
        return false
    }

    // MARK: broken lines

    /// Whether so many lines end before something that is no space that `brokenLines` may join them.
    static func mayBreakLines(_ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader) -> Bool {
        var breaks = 0
        for word in 0..<planes.words {
            var ends = planes.word(.newline, word)
            if ends != 0 { ends &= ~TextPlanes.Reader.behind({ planes.word(.edge, $0) }, word) }
            let open = TextPlanes.Reader.before({ ~planes.word(.edge, $0) }, word)
            breaks += (ends & open).nonzeroBitCount
            ends &= ~open
            while ends != 0 {
                let at = 64 * word + ends.trailingZeroBitCount
                ends &= ends &- 1
                if at > 0, text[at - 1] == 0x0D { breaks += 1 }
            }
        }
        return breaks > 0 && planes.count / breaks <= lineMax
    }
}
