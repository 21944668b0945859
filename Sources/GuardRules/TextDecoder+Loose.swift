internal import GuardCore

/// Readings of words in disguise: they are no encodings, and no reader would take the plain text for them, so they are
/// readings of their own and change nothing in the others. All read folded text.
extension TextDecoder {
    /// Bytes of the scalar that begins with `byte`.
    static func width(_ byte: UInt8) -> Int { byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4 }

    private static func isWordByte(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte >= 0x80 }

    // MARK: spaced out

    private struct Chain {
        /// The bytes of each character and of what separates it from the next.
        var characters: [(at: Int, length: Int, separator: Int, endsWord: Bool)] = []
        var end = 0
    }

    /// Characters that are spaced out (`i g n o r e`, `s.t.o.p`, `4--1--1--1`: four or more, or three letters, with the
    /// same separator between) joined; wider gaps are the spaces between words. Where signs separate, they do so in
    /// words of two letters as well. `nil`: there are none.
    static func join(_ text: Span<UInt8>) -> DerivedText? {
        text.withUnsafeBufferPointer { text in
            var separators: Set<[UInt8]> = []
            guard let joined = join(text, &separators) else { return nil }
            return separators.isEmpty ? joined : join(text, &separators)
        }
    }

    /// - Parameter separators: signs that separate characters; those of chains are added.
    private static func join(_ text: UnsafeBufferPointer<UInt8>, _ separators: inout Set<[UInt8]>) -> DerivedText? {
        var out = DerivedText()
        var kept = 0
        var index = 0
        while index + 2 < text.count {
            let byte = text[index]
            // A character that stands alone; quick to tell, because it is looked for everywhere.
            let next = index + width(byte)
            let isSign = !isWordByte(byte) || byte & 0xC0 == 0x80
            if next >= text.count || isSign {
                // Signs are spaced out too, at the begin of what is.
                guard next + 1 < text.count, byte != 0x20, byte < 0x80, !isAlphanumeric(text[next]),
                    text[next + 1] != text[next] || text[next] != 0x20, index == 0 || isSpace(text[index - 1])
                else {
                    index += 1
                    continue
                }
            } else if isAlphanumeric(text[next]) {
                index = next
                while index < text.count, isWordByte(text[index]) { index += 1 }
                continue
            }
            // A word of one letter, or a sign, before a longer word.
            if next + 2 < text.count, !isWordByte(text[next]), isAlphanumeric(text[next + 1]),
                isAlphanumeric(text[next + 2])
            {
                index = next
                continue
            }
            let words = Self.chain(text, index, separators)
            let even = evenChain(text, index)
            guard let found = (even?.end ?? 0) >= (words?.end ?? 0) ? even : words else {
                index = next
                continue
            }
            if let sign = found.characters.first(where: { $0.separator > 0 && !$0.endsWord }) {
                let start = sign.at + sign.length
                let separator = (start..<(start + sign.separator)).map { text[$0] }
                if !separator.contains(where: isSpace) { separators.insert(separator) }
            }
            out.keep(text.span, kept..<index)
            for character in found.characters {
                var bytes = (character.at..<(character.at + character.length)).map { text[$0] }
                if character.endsWord { bytes.append(0x20) }
                out.replace(character.length + character.separator, by: bytes)
            }
            index = found.end
            kept = index
        }
        guard kept > 0 else { return nil }
        out.keep(text.span, kept..<text.count)
        return out
    }

    /// Behind every character the same separator of one to three signs: whatever stands between is meant, signs and
    /// spaces too.
    private static func evenChain(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Chain? {
        let first = start + width(text[start])
        var best: Chain?
        var end = first
        for _ in 0..<3 {
            guard end < text.count, !isAlphanumeric(text[end]) else { break }
            end += width(text[end])
            // The longer of two that reach as far: `a...b...c` holds no dots.
            if let chain = evenChain(text, start, first..<end), chain.end >= (best?.end ?? 0) { best = chain }
        }
        return best
    }

    private static func evenChain(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ separator: ByteRange) -> Chain? {
        func isSeparator(_ at: Int) -> Bool {
            guard at + separator.count <= text.count else { return false }
            for offset in 0..<separator.count where text[at + offset] != text[separator.lowerBound + offset] {
                return false
            }
            return true
        }
        guard separator.upperBound < text.count,
            isSeparator(separator.upperBound + width(text[separator.upperBound]))
        else { return nil }
        var chain = Chain()
        var at = start
        var letters = 0
        while at < text.count {
            let end = at + width(text[at])
            guard end <= text.count else { break }
            if isLetter(text[at]) || text[at] >= 0x80 { letters += 1 }
            let isNext = end + separator.count < text.count && isSeparator(end)
            chain.characters.append((at, end - at, isNext ? separator.count : 0, false))
            chain.end = end
            guard isNext else { break }
            at = end + separator.count
        }
        // The last one may be the begin of a word.
        if chain.end < text.count, isAlphanumeric(text[chain.end]) {
            chain.characters.removeLast()
            guard let last = chain.characters.last else { return nil }
            chain.characters[chain.characters.count - 1].separator = 0
            chain.end = last.at + last.length
        }
        return chain.characters.count >= 6 && letters >= 3 || chain.characters.count >= 10 ? chain : nil
    }

    private static func chain(
        _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ separators: Set<[UInt8]>
    ) -> Chain? {
        let first = width(text[start])
        var separatorEnd = start + first
        if text[separatorEnd] >= 0x80 {
            // A sign between ASCII letters; other scripts' letters are words.
            guard first == 1 else { return nil }
            separatorEnd += width(text[separatorEnd])
        } else {
            while separatorEnd < text.count, separatorEnd - start - first < 3, !isWordByte(text[separatorEnd]) {
                separatorEnd += 1
            }
        }
        guard separatorEnd < text.count else { return nil }
        let separator = (start + first)..<separatorEnd
        let isSpaced = separator.allSatisfy { isSpace(text[$0]) }
        // A word of one letter, and what comes behind it spaced out less widely.
        if isSpaced, separator.count > 1, separatorEnd + 1 < text.count, isSpace(text[separatorEnd + 1]),
            separatorEnd + 2 < text.count, !isSpace(text[separatorEnd + 2])
        {
            return nil
        }
        func isSeparator(_ at: Int) -> Bool {
            guard at + separator.count <= text.count else { return false }
            for offset in 0..<separator.count where text[at + offset] != text[separator.lowerBound + offset] {
                return false
            }
            return true
        }
        /// The length of a character that stands alone at `at`, or 0.
        func character(_ at: Int) -> Int {
            guard at < text.count, !isSpace(text[at]), !separator.contains(where: { text[$0] == text[at] }) else {
                return 0
            }
            let length = width(text[at])
            guard at + length < text.count else { return length }
            let after = text[at + length]
            if isAlphanumeric(after) { return 0 }
            if !isSpaced, !isWordByte(text[at]), !isSeparator(at + length), !isSpace(after) { return 0 }
            if isSpaced, !isSpace(after) { return 0 }
            if after >= 0x80, text[separator.lowerBound] < 0x80 { return 0 }
            return length
        }
        var chain = Chain()
        var at = start
        var length = first
        var letters = 0
        while true {
            if isLetter(text[at]) || text[at] >= 0x80 { letters += 1 }
            let end = at + length
            chain.characters.append((at, length, 0, false))
            chain.end = end
            guard end < text.count else { break }
            if isSeparator(end), case let next = character(end + separator.count), next > 0 {
                chain.characters[chain.characters.count - 1].separator = separator.count
                (at, length) = (end + separator.count, next)
                continue
            }
            var gap = end
            while gap < text.count, gap - end < 12,
                isSpace(text[gap]) || separator.contains(where: { text[$0] == text[gap] })
            {
                gap += 1
            }
            guard gap > end, case let next = character(gap), next > 0 else { break }
            // What is separated by another sign is a chain of its own.
            let after = gap + next
            guard after >= text.count || isSpace(text[after]) || isSeparator(after) else { break }
            chain.characters[chain.characters.count - 1].separator = gap - end
            chain.characters[chain.characters.count - 1].endsWord = true
            (at, length) = (gap, next)
        }
        let joined = chain.characters.count { $0.separator == separator.count && !$0.endsWord }
        if joined >= 2, letters >= 3 || chain.characters.count >= 6 { return chain }
        return joined == 1 && letters == 2 && separators.contains(separator.map { text[$0] }) ? chain : nil
    }

    // MARK: broken lines

    /// Bytes of a line, on average, where words are broken.
    static let lineMax = 40

    /// Line ends (and the hyphen before one) inside words taken away, where lines are short.
    static func brokenLines(_ text: Span<UInt8>) -> TextEdits {
        var edits = TextEdits()
        var breaks = 0
        var kept = 0
        for index in text.indices where text[index] == 0x0A {
            guard let range = breakLength(text, index) else { continue }
            breaks += 1
            guard range.lowerBound >= kept else { continue }
            edits.drop(range)
            kept = range.upperBound
        }
        return breaks > 0 && text.count / breaks <= lineMax ? edits : TextEdits()
    }

    /// What may stand beside a line end inside of a word; these end and begin lines of code.
    static func isBrokenByte(_ byte: UInt8) -> Bool {
        !isSpace(byte) && !";{}()[],<>\"'".utf8.contains(byte)
    }

    /// The line end at `index` with its hyphen and carriage return, if parts of a word stand beside.
    private static func breakLength(_ text: Span<UInt8>, _ index: Int) -> ByteRange? {
        var start = index
        if start > 0, text[start - 1] == 0x0D { start -= 1 }
        let end = index + 1
        guard start > 0, end < text.count, isBrokenByte(text[start - 1]), isBrokenByte(text[end]) else { return nil }
        if start > 1, text[start - 1] == UInt8(ascii: "-") || text[start - 1] == UInt8(ascii: "\\"),
            isLetter(text[start - 2]), isLetter(text[end])
        {
            start -= 1
        }
        return start..<end
    }

    // MARK: words without spaces

    /// Three or more words with a sign instead of the space between (`ignore_all_rules`, `IgnoreAllRules`) with spaces.
    ///
    /// - Parameter vocabulary: two of the words have to be in it, or one beside a shorter one. `nil`: any words.
    static func words(_ text: Span<UInt8>, vocabulary: RuleVocabulary? = nil) -> TextEdits {
        text.withUnsafeBufferPointer { text in TextPlanes(text).read { words(text, $0, vocabulary) } }
    }

    static func words(
        _ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader, _ vocabulary: RuleVocabulary?
    ) -> TextEdits {
        var edits = TextEdits()
        forEachWordsToken(planes) { addWords(of: text, $0, vocabulary, &edits) }
        return edits
    }

    /// - Parameter token: without spaces.
    static func addWords(
        of text: UnsafeBufferPointer<UInt8>, _ token: ByteRange, _ vocabulary: RuleVocabulary?,
        _ edits: inout TextEdits
    ) {
        let start = token.lowerBound
        var signs = 0
        var index = start
        while index < token.upperBound {
            if text[index] < 0x80 {
                index += 1
            } else if sign(text, &index, from: start) != nil {
                signs += 1
            }
        }
        // Most end here.
        guard isKnown(text, token, hasSigns: signs > 0, vocabulary) else { return }
        var joints: [Int] = []
        var humps = 0
        for index in token.dropFirst() where text[index] < 0x80 && isWordByte(text[index - 1]) {
            if isHump(text, index) { humps += 1 }
            if isJoint(text[index]), index + 1 < text.count, isWordByte(text[index + 1]) { joints.append(index) }
        }
        let common = commonSign(text, joints)
        if let common {
            // Where the sign stands for spaces, it does so beside other signs too.
            for joint in token where text[joint] == common { edits.append(joint, 1, as: 0x20) }
        } else if signs >= 2 {
            index = start
            while index < token.upperBound {
                if text[index] < 0x80 {
                    index += 1
                } else if let sign = sign(text, &index, from: start) {
                    edits.append(sign.lowerBound, sign.count, as: 0x20)
                }
            }
        } else if humps >= 2, joints.isEmpty {
            for hump in token.dropFirst() where isHump(text, hump) { edits.append(hump, 1, as: 0x20, text[hump]) }
        }
    }

    /// Where a word begins with a capital behind a small letter. `index` is not the first byte.
    private static func isHump(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        text[index] &- 0x41 < 26 && text[index - 1] &- 0x61 < 26
    }

    /// What is beyond ASCII from `index` on, which it moves behind it, if words stand on both sides: letters of Latin
    /// words are ASCII in folded text, so it is a sign.
    private static func sign(_ text: UnsafeBufferPointer<UInt8>, _ index: inout Int, from start: Int) -> ByteRange? {
        let sign = index
        while index < text.count, text[index] >= 0x80 { index += 1 }
        guard sign > start, isAlphanumeric(text[sign - 1]), index - sign <= 12, index < text.count,
            isAlphanumeric(text[index])
        else { return nil }
        return sign..<index
    }

    /// Whether two of the words in a token are ones that rules look for, or one of them and a word too short to tell.
    ///
    /// - Parameter hasSigns: what is beyond ASCII stands between words.
    private static func isKnown(
        _ text: UnsafeBufferPointer<UInt8>, _ token: ByteRange, hasSigns: Bool, _ vocabulary: RuleVocabulary?
    ) -> Bool {
        guard let vocabulary else { return true }
        var known = 0
        var short = 0
        var word = RuleVocabulary.Word()
        func endWord() {
            if word.count == 0 { return }
            if word.count < RuleVocabulary.lettersMin {
                short += 1
            } else if vocabulary.contains(word) {
                known += 1
            }
            word = RuleVocabulary.Word()
        }
        for index in token {
            let byte = text[index]
            if index > token.lowerBound, isHump(text, index) { endWord() }
            if let letter = RuleVocabulary.letter(byte), byte < 0x80 || !hasSigns {
                word.append(letter)
            } else {
                endWord()
            }
            if known > 1 { return true }
        }
        endWord()
        return known > 1 || known > 0 && short > 0
    }

    /// The sign that most joints are, the first of several; at least two.
    private static func commonSign(_ text: UnsafeBufferPointer<UInt8>, _ joints: [Int]) -> UInt8? {
        guard joints.count >= 2 else { return nil }
        var best: (sign: UInt8, count: Int) = (0, 1)
        for joint in joints.prefix(64) where text[joint] != best.sign {
            let count = joints.count { text[$0] == text[joint] }
            if count > best.count { best = (text[joint], count) }
        }
        return best.count > 1 ? best.sign : nil
    }

    /// Of ASCII.
    static func isJoint(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "/"),
            UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: "|"), UInt8(ascii: ","), UInt8(ascii: ":"),
            UInt8(ascii: ";"), UInt8(ascii: "="), UInt8(ascii: "#"), UInt8(ascii: "^"), UInt8(ascii: "\\"):
            true
        default: false
        }
    }

    // MARK: other alphabets and directions

    /// Letters moved on by `alphabet` (`LetterStatistics.letter`), in their case.
    static func turn(_ text: Span<UInt8>, alphabet: Int) -> [UInt8] {
        mapped(text) { byte in
            guard isLetter(byte) else { return byte }
            let letter = LetterStatistics.letter((byte | 0x20) - 0x60, alphabet)
            return letter + 0x60 - (byte < 0x60 ? 0x20 : 0)
        }
    }

    /// rot18: 13 for letters and 5 for digits. `nil`: there are no digits.
    static func turnDigits(_ text: Span<UInt8>) -> [UInt8]? {
        guard text.indices.contains(where: { isDigit(text[$0]) }) else { return nil }
        return mapped(text) { byte in
            if isDigit(byte) { return 0x30 + (byte - 0x30 + 5) % 10 }
            guard isLetter(byte) else { return byte }
            return LetterStatistics.letter((byte | 0x20) - 0x60, 13) + 0x60 - (byte < 0x60 ? 0x20 : 0)
        }
    }

    /// Byte by byte.
    private static func mapped(_ text: Span<UInt8>, _ read: (UInt8) -> UInt8) -> [UInt8] {
        let table = (0...255).map { read(UInt8($0)) }
        return text.withUnsafeBufferPointer { text in
            table.withUnsafeBufferPointer { table in
                [UInt8](unsafeUninitializedCapacity: text.count) { out, count in
                    for index in 0..<text.count { out[index] = table[Int(text[index])] }
                    count = text.count
                }
            }
        }
    }

    /// rot47: all 94 printable characters moved on by half. `nil`: that looks no more like English than the text does.
    static func turnSigns(_ text: Span<UInt8>) -> [UInt8]? {
        let out = mapped(text) { $0 &- 0x21 < 94 ? 0x21 + ($0 - 0x21 + 47) % 94 : $0 }
        let statistics = LetterStatistics.shared
        let score = statistics.score(out.span)
        return score > 0 && score > statistics.score(text) ? out : nil
    }

    /// The scalars in the other order.
    static func backwards(_ text: Span<UInt8>) -> [UInt8] {
        text.withUnsafeBufferPointer { text in
            [UInt8](unsafeUninitializedCapacity: text.count) { out, count in
                reverse(text, 0..<text.count, into: out)
                count = text.count
            }
        }
    }

    /// Writes the scalars of a range of `text` in the other order to where they stand.
    private static func reverse(
        _ text: UnsafeBufferPointer<UInt8>, _ range: ByteRange, into out: UnsafeMutableBufferPointer<UInt8>
    ) {
        var made = range.lowerBound
        var end = range.upperBound
        while end > range.lowerBound {
            var start = end - 1
            while start > range.lowerBound, text[start] & 0xC0 == 0x80 { start -= 1 }
            for index in start..<end {
                out[made] = text[index]
                made += 1
            }
            end = start
        }
    }

    /// The characters of each word in the other order; a word of which a part is meant is edited whole. `nil`: none of
    /// the words is in `vocabulary`.
    ///
    /// - Parameter vocabulary: `nil`: any words.
    static func wordsBackwards(
        _ text: Span<UInt8>, vocabulary: RuleVocabulary? = nil
    ) -> (text: [UInt8], words: [ByteRange])? {
        text.withUnsafeBufferPointer { text in
            var words: [ByteRange] = []
            var index = 0
            var isKnown = vocabulary == nil
            while index < text.count {
                var end = index
                while end < text.count, !isSpace(text[end]) { end += 1 }
                if end - index > 1 {
                    if !isKnown, let vocabulary { isKnown = vocabulary.contains(reversedWord(text, index..<end)) }
                    words.append(index..<end)
                }
                index = max(end, index + 1)
            }
            guard isKnown, !words.isEmpty else { return nil }
            let out = [UInt8](unsafeUninitializedCapacity: text.count) { out, count in
                for index in 0..<text.count { out[index] = text[index] }
                for word in words { reverse(text, word, into: out) }
                count = text.count
            }
            return (out, words)
        }
    }

    private static func reversedWord(_ text: UnsafeBufferPointer<UInt8>, _ range: ByteRange) -> RuleVocabulary.Word {
        var word = RuleVocabulary.Word()
        var end = range.upperBound
        while end > range.lowerBound {
            var start = end - 1
            while start > range.lowerBound, text[start] & 0xC0 == 0x80 { start -= 1 }
            for index in start..<end { if let letter = RuleVocabulary.letter(text[index]) { word.append(letter) } }
            end = start
        }
        return word
    }
}
