internal import GuardCore

/// Digits and signs that stand for the letters they look like.
extension TextDecoder {
    private struct Sign {
        var at: Int
        var length: Int
    }

    /// Upright strokes (`1`, `!`, `|`) read as an i, an l, or what English words have there.
    private enum Strokes: CaseIterable { case i, vowels, pairs, l }

    /// Digits and signs inside words read as letters (`1gn0r3`, `p4$$word`), once for each way to read strokes; where words
    /// are written so, then also with those that are nearly or all digits (`4`, `70`, `4551574n7`). Empty: there are none.
    ///
    /// - Parameters:
    ///   - vocabulary: one of the words has to be in it. `nil`: any text.
    ///   - isGated: off only in tests.
    static func leet(
        _ text: Span<UInt8>, vocabulary: RuleVocabulary? = nil, isGated: Bool = true
    ) -> [TextEdits] {
        text.withUnsafeBufferPointer { text in
            let isKnown = isGated ? TextPlanes(text).read { mayHaveLeet(text, $0, vocabulary) } : true
            return isKnown ? leet(text) : []
        }
    }

    /// Whether letters stand beside signs, and a word that they are in may be one of `vocabulary`. In a text in which only
    /// words of digits are such, nothing is disguised.
    static func mayHaveLeet(
        _ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader, _ vocabulary: RuleVocabulary?
    ) -> Bool {
        forEachLeetRun(planes) { run in
            guard let vocabulary else { return true }
            var index = run.lowerBound
            while let word = nextWord(text, &index, run.upperBound) {
                if word.signs > 0, isKnown(text, word.range, vocabulary) { return true }
            }
            return false
        }
    }

    static func leet(_ text: UnsafeBufferPointer<UInt8>) -> [TextEdits] {
        let (inWords, bare) = signs(in: text)
        if inWords.isEmpty { return [] }
        var readings: [TextEdits] = []
        for strokes in ways(text, inWords) { readings.append(leet(text, inWords, strokes)) }
        if !bare.isEmpty {
            let all = (inWords + bare).sorted { $0.at < $1.at }
            for strokes in ways(text, all) { readings.append(leet(text, all, strokes)) }
        }
        return readings
    }

    private static func ways(_ text: UnsafeBufferPointer<UInt8>, _ signs: [Sign]) -> ArraySlice<Strokes> {
        signs.contains { isStroke(text[$0.at]) } ? Strokes.allCases[...] : Strokes.allCases.prefix(1)
    }

    private static func signs(in text: UnsafeBufferPointer<UInt8>) -> (ofWords: [Sign], bare: [Sign]) {
        var signs: [Sign] = []
        var bare: [Sign] = []
        var index = 0
        while let word = nextWord(text, &index, text.count) {
            if word.signs == 0 { continue }
            let isBare = word.letters == 0 || word.signs > word.letters * 2
            if isBare, word.range.count > 16 { continue }
            var at = word.range.lowerBound
            while at < word.range.upperBound {
                let length = signLength(text, at)
                if length > 0 {
                    if isBare {
                        bare.append(Sign(at: at, length: length))
                    } else {
                        signs.append(Sign(at: at, length: length))
                    }
                }
                at += max(1, length)
            }
        }
        return (signs, bare)
    }

    /// The next word of letters and signs from `index` on, which it moves behind it.
    private static func nextWord(
        _ text: UnsafeBufferPointer<UInt8>, _ index: inout Int, _ end: Int
    ) -> (range: ByteRange, letters: Int, signs: Int)? {
        while index < end {
            let start = index
            var (letters, signs) = (0, 0)
            while index < end {
                if isLetter(text[index]) {
                    letters += 1
                    index += 1
                } else if case let length = signLength(text, index), length > 0,
                    index > start || !isMark(text[index]) || beginsWord(text, index)
                {
                    signs += 1
                    index += length
                } else {
                    break
                }
            }
            if index == start {
                index += 1
                continue
            }
            // A mark at the end is punctuation, unless there is nothing else.
            var last = index
            while letters > 0, signs > 0, text[last - 1] == UInt8(ascii: "!") {
                signs -= 1
                last -= 1
            }
            return (start..<last, letters, signs)
        }
        return nil
    }

    /// Whether rules may look for the word in disguise. What has signs only behind its letters (`int32`) is most likely
    /// none, so it has to be a whole word of theirs.
    private static func isKnown(_ text: UnsafeBufferPointer<UInt8>, _ token: ByteRange, _ vocabulary: RuleVocabulary)
        -> Bool
    {
        var word = RuleVocabulary.Word()
        var lastSign = token.lowerBound
        var index = token.lowerBound
        while index < token.upperBound {
            var byte = text[index]
            if isLetter(byte) {
                index += 1
            } else {
                let length = max(1, signLength(text, index))
                byte = isStroke(byte) ? UInt8(ascii: "i") : letter(text, Sign(at: index, length: length), 0, .i)
                index += length
                lastSign = index
            }
            if let letter = RuleVocabulary.letter(byte) { word.append(letter) }
        }
        return vocabulary.contains(word) || lastSign < token.upperBound && vocabulary.containsBegin(of: word)
    }

    private static func leet(_ text: UnsafeBufferPointer<UInt8>, _ signs: [Sign], _ strokes: Strokes) -> TextEdits {
        var edits = TextEdits()
        var kept = 0
        var last: UInt8 = 0
        for sign in signs {
            let before = sign.at == kept && kept > 0 ? last : sign.at > 0 ? text[sign.at - 1] | 0x20 : 0
            last = letter(text, sign, before, strokes)
            edits.append(sign.at, sign.length, as: last)
            kept = sign.at + sign.length
        }
        return edits
    }

    /// Of a mark at the start of a word: what follows is the word.
    private static func beginsWord(_ text: UnsafeBufferPointer<UInt8>, _ mark: Int) -> Bool {
        guard mark + 1 < text.count, !isDigit(text[mark + 1]) else { return false }
        return isLetter(text[mark + 1]) || text[mark + 1] != text[mark] && signLength(text, mark + 1) > 0
    }

    private static func isMark(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "!") || byte == UInt8(ascii: "|") || byte == UInt8(ascii: "+")
    }

    /// Bytes of the sign at `at`: ASCII, or a currency's.
    private static func signLength(_ text: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int {
        switch text[at] {
        case 0x30...0x39, UInt8(ascii: "@"), UInt8(ascii: "$"), UInt8(ascii: "!"), UInt8(ascii: "|"), UInt8(ascii: "+"):
            1
        case 0xC2 where at + 1 < text.count && currencies[text[at + 1]] != nil: 2
        case 0xE2 where at + 2 < text.count && text[at + 1] == 0x82 && currencySigns[text[at + 2]] != nil: 3
        default: 0
        }
    }

    /// ¡ ¢ £ ¥ by their second byte.
    private static let currencies: [UInt8: UInt8] = [
        0xA1: UInt8(ascii: "i"), 0xA2: UInt8(ascii: "c"), 0xA3: UInt8(ascii: "l"), 0xA5: UInt8(ascii: "y"),
    ]
    /// ₡ ₣ ₤ ₥ ₦ ₩ ₭ € ₮ ₱ ₲ ₳ ₴ ₵ by their third byte.
    private static let currencySigns: [UInt8: UInt8] = [
        0xA1: UInt8(ascii: "c"), 0xA3: UInt8(ascii: "f"), 0xA4: UInt8(ascii: "l"), 0xA5: UInt8(ascii: "m"),
        0xA6: UInt8(ascii: "n"), 0xA9: UInt8(ascii: "w"), 0xAD: UInt8(ascii: "k"), 0xAC: UInt8(ascii: "e"),
        0xAE: UInt8(ascii: "t"), 0xB1: UInt8(ascii: "p"), 0xB2: UInt8(ascii: "g"), 0xB3: UInt8(ascii: "a"),
        0xB4: UInt8(ascii: "s"), 0xB5: UInt8(ascii: "c"),
    ]

    private static func letter(_ text: UnsafeBufferPointer<UInt8>, _ sign: Sign, _ before: UInt8, _ strokes: Strokes)
        -> UInt8
    {
        let end = sign.at + sign.length
        let byte = text[sign.at]
        if isStroke(byte) {
            switch strokes {
            case .i: return UInt8(ascii: "i")
            case .l: return byte == UInt8(ascii: "!") ? UInt8(ascii: "i") : UInt8(ascii: "l")
            case .vowels: return besideVowels(before, text, end)
            case .pairs: return asInPairs(before, text, end)
            }
        }
        if case let letter = plainLetter(byte), letter != 0 { return letter }
        let last = text[end - 1]
        return (sign.length == 2 ? currencies : currencySigns)[last] ?? byte
    }

    /// An upright stroke is an `i` or an `l`: by its neighbours, as English words have them.
    private static func besideVowels(_ before: UInt8, _ text: UnsafeBufferPointer<UInt8>, _ end: Int) -> UInt8 {
        let (i, l) = (UInt8(ascii: "i"), UInt8(ascii: "l"))
        let next = end < text.count ? text[end] : 0
        let after = plainLetter(next)
        // -ion
        if after == UInt8(ascii: "o"), end + 1 < text.count, text[end + 1] | 0x20 == UInt8(ascii: "n") { return i }
        if isLetter(before), isStroke(next) || before == l { return l }
        if !isLetter(before) { return isVowel(after) ? l : i }
        if after == 0 { return isVowel(before) ? l : i }
        switch (isVowel(before), isVowel(after)) {
        case (true, true): return l
        case (true, false): return "ncrsz".utf8.contains(after) ? i : l
        case (false, true): return "pbcfgsk".utf8.contains(before) ? l : i
        case (false, false): return i
        }
    }

    private static func isVowel(_ letter: UInt8) -> Bool { "aeiouy".utf8.contains(letter) }

    /// The same by what English has more often between its neighbours, of two strokes in a row between theirs.
    private static func asInPairs(_ before: UInt8, _ text: UnsafeBufferPointer<UInt8>, _ end: Int) -> UInt8 {
        let (i, l) = (UInt8(ascii: "i"), UInt8(ascii: "l"))
        let statistics = LetterStatistics.shared
        func plain(_ at: Int) -> UInt8 { at < text.count ? plainLetter(text[at]) : 0 }
        func score(_ letter: UInt8, _ after: UInt8) -> Int {
            (isLetter(before) ? statistics.pair(before, letter) : 0) + statistics.pair(letter, after)
        }
        guard end < text.count, isStroke(text[end]) else {
            return score(i, plain(end)) >= score(l, plain(end)) ? i : l
        }
        let after = plain(end + 1)
        func both(_ letter: UInt8) -> Int {
            max(score(letter, i) + statistics.pair(i, after), score(letter, l) + statistics.pair(l, after))
        }
        return both(i) > both(l) ? i : l
    }

    private static func isStroke(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "1") || byte == UInt8(ascii: "!") || byte == UInt8(ascii: "|")
    }

    /// The letter that a byte is or, if it is a digit or sign, looks like; 0 for others and strokes.
    private static func plainLetter(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "0"): UInt8(ascii: "o")
        case UInt8(ascii: "2"): UInt8(ascii: "z")
        case UInt8(ascii: "3"): UInt8(ascii: "e")
        case UInt8(ascii: "4"), UInt8(ascii: "@"): UInt8(ascii: "a")
        case UInt8(ascii: "5"), UInt8(ascii: "$"): UInt8(ascii: "s")
        case UInt8(ascii: "6"), UInt8(ascii: "9"): UInt8(ascii: "g")
        case UInt8(ascii: "7"), UInt8(ascii: "+"): UInt8(ascii: "t")
        case UInt8(ascii: "8"): UInt8(ascii: "b")
        default: isLetter(byte) ? byte | 0x20 : 0
        }
    }
}
