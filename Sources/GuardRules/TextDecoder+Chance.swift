internal import GuardCore

/// A first look at a text that says of most that nothing in them is encoded, in one pass and without memory. It may say
/// yes for nothing, never no where `decode` finds something.
extension TextDecoder {
    /// By byte: no number has it, with or without a prefix, nor is it between numbers.
    private static let noNumber: [Bool] = (0...255).map { value in
        let byte = UInt8(value)
        return isAlphanumeric(byte) ? hexValue(byte) == nil && !isNumberPrefix(byte) : !isSeparator(byte)
    }

    static func isNumberPrefix(_ byte: UInt8) -> Bool {
        isLetter(byte) && [0x6F, 0x75, 0x78].contains(byte | 0x20)
    }

    /// What `decode` may find.
    struct Chances: OptionSet {
        let rawValue: UInt8
        static let escapes = Chances(rawValue: 1)
        /// Of an alphabet without signs, in one run and in groups of one length.
        static let spans = Chances(rawValue: 2)
        static let groups = Chances(rawValue: 4)
        /// base85
        static let signs = Chances(rawValue: 8)
        static let numbers = Chances(rawValue: 16)
        static let morse = Chances(rawValue: 32)
        static let all = Chances(rawValue: 63)
    }

    static func chances(_ text: Span<UInt8>) -> Chances {
        text.withUnsafeBufferPointer { text in TextPlanes(text).read { chances(text, $0) } }
    }

    static func chances(_ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader) -> Chances {
        var chances: Chances = []
        if planes.contains({ planes.word(.escape, $0) }, where: { isEscape(text, $0) }) { chances.insert(.escapes) }
        // Behind an escape letters begin elsewhere.
        if hasSpan(text, planes, isAny: !chances.isEmpty) { chances.insert(.spans) }
        if hasSigns(text, planes) { chances.insert(.signs) }
        if mayHaveGroups(text, planes), hasGroups(text, planes) { chances.insert(.groups) }
        if mayHaveMorse(planes) { chances.insert(.morse) }
        if mayHaveNumbers(planes), hasNumbers(text) { chances.insert(.numbers) }
        return chances
    }

    /// Four words and what separates numbers, between what no number has. Characters have two digits, all but tab and line
    /// ends.
    private static func mayHaveNumbers(_ planes: TextPlanes.Reader) -> Bool {
        func starts(_ word: Int) -> UInt64 {
            planes.alphanumeric(word) & ~TextPlanes.Reader.before(planes.alphanumeric, word)
        }
        return hasPart(planes, of: 10, { ~planes.word(.noNumber, $0) }) {
            planes.count(planes.alphanumeric, in: $0) >= 7 && planes.count(starts, in: $0) >= 4
        }
    }

    /// Five letters of dots and dashes, with nothing but spaces and bars between.
    private static func mayHaveMorse(_ planes: TextPlanes.Reader) -> Bool {
        func dots(_ word: Int) -> UInt64 { planes.word(.dot, word) }
        func starts(_ word: Int) -> UInt64 { dots(word) & ~TextPlanes.Reader.before(dots, word) }
        return hasPart(planes, of: 9, { dots($0) | planes.word(.bar, $0) | planes.word(.space, $0) }) {
            planes.count(starts, in: $0) >= 5
        }
    }

    /// Whether of the runs of bytes of a set, at least `length` long, one is as `body` says.
    @inline(__always)
    private static func hasPart(
        _ planes: TextPlanes.Reader, of length: Int, _ plane: (Int) -> UInt64, _ body: (ByteRange) -> Bool
    ) -> Bool {
        var known = 0
        return planes.contains({ TextPlanes.Reader.runs(length, plane, $0) }) { at in
            if at < known || at >= planes.count { return false }
            known = planes.firstBeyond(plane, from: at)
            return body(at..<known)
        }
    }

    private static func hasNumbers(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        noNumber.withUnsafeBufferPointer { noNumber in
            var index = 0
            var numbers = NumberCount()
            while index < text.count {
                if isSpace(text[index]) {
                    index += 1
                    continue
                }
                let start = index
                var (hasDigits, isNumber) = (false, true)
                while index < text.count, !isSpace(text[index]) {
                    if isDigit(text[index]) { hasDigits = true }
                    if noNumber[Int(text[index])] { isNumber = false }
                    index += 1
                }
                if hasDigits || isNumber {
                    if numbers.add(text, start, index) { return true }
                } else if numbers.end(text[start], text[index - 1]) {
                    return true
                }
            }
            return false
        }
    }

    /// Whether a group as an encoder makes it, with a digit or sign or with a capital behind its first letter, stands
    /// beside one of the same length, or beside a shorter one if it is long. Groups that all are like words are words.
    private static func mayHaveGroups(_ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader) -> Bool {
        func span(_ word: Int) -> UInt64 { planes.word(.span, word) }
        func plain(_ word: Int) -> UInt64 {
            let letters = planes.word(.letter, word)
            return letters & ~planes.word(.upper, word) | letters & ~TextPlanes.Reader.before(span, word)
        }
        var known = 0
        return planes.contains({ span($0) & ~plain($0) }) { at in
            if at < known { return false }
            let start = planes.start(span, before: at + 1)
            let end = planes.firstBeyond(span, from: at)
            known = end
            let count = end - start
            if count < 4 { return false }
            // Of all that are as long, and of one that is shorter behind them.
            var (sum, equal) = (count, 1)
            var place = end
            while sum < spanMin || equal < 2 {
                // Padding is part of a group.
                let next = planes.firstOf(span, from: place)
                guard next - place <= paddedMax, next < planes.count else { break }
                place = planes.firstBeyond(span, from: next)
                if place - next > count { break }
                sum += place - next
                if place - next < count { break }
                equal += 1
            }
            place = start
            while sum < spanMin || equal < 2 {
                let last = planes.start({ ~span($0) }, before: place)
                guard last > 0, place - last <= paddedMax else { break }
                place = planes.start(span, before: last)
                if last - place < count { break }
                sum += last - place
                if last - place > count {
                    if last - place >= 12, isSpanBegin(text, place, last) { return true }
                    break
                }
                equal += 1
            }
            return sum >= spanMin && (equal > 1 || isSpanBegin(text, start, end))
        }
    }

    /// Bytes between groups: padding and white space.
    private static let paddedMax = 10

    /// Groups of one length, of letters of an alphabet.
    private static func hasGroups(_ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader) -> Bool {
        func signs(_ word: Int) -> UInt64 { ~planes.word(.span, word) & ~planes.word(.space, word) }
        // Letters so far, where the first group begins, the length, where the last ends.
        var letters = 0
        var (first, width, last) = (0, 0, 0)
        var sign = -1
        var start = -1
        for word in 0..<planes.words {
            let spaces = planes.word(.space, word)
            var turns = spaces ^ TextPlanes.Reader.before({ planes.word(.space, $0) }, word)
            if word == 0 {
                // A space in front is no turn.
                turns &= ~1
                if spaces & 1 == 0 { start = 0 }
            }
            while turns != 0 || word == planes.words - 1 && start >= 0 {
                let at = turns == 0 ? planes.count : 64 * word + turns.trailingZeroBitCount
                turns &= turns &- 1
                if start < 0 {
                    start = at
                    continue
                }
                let end = min(at, planes.count)
                let count = end - start
                var (head, tail) = (count, count)
                if sign < start { sign = firstSign(signs, planes, from: start) }
                if sign < end {
                    head = sign - start
                    tail = end - planes.start({ planes.word(.span, $0) }, before: end)
                }
                let follows = start - last <= 4 && head > 0
                if follows, width >= 4, head == width || head < width && (width >= 12 || letters > width) {
                    if letters == 0 { first = start }
                    letters += head
                    while letters >= spanMin, first + width <= end {
                        if isGroupsBegin(text, first, width, letters, end) { return true }
                        // What was tried in vain may end in the first of them.
                        first += width
                        while first < end, !isSpanByte(text[first]) { first += 1 }
                        letters -= width
                    }
                }
                if !follows || head != width || tail != count { (first, width, letters) = (end - tail, tail, tail) }
                last = end
                start = -1
            }
        }
        return false
    }

    /// Whether groups that begin at `first` may be of one of the alphabets: a shorter one at the end may be a word of the
    /// text.
    private static func isGroupsBegin(
        _ text: UnsafeBufferPointer<UInt8>, _ first: Int, _ width: Int, _ letters: Int, _ end: Int
    ) -> Bool {
        if !isSpanBegin(text, first, first + width) { return false }
        let wanted = min(letters < 2 * width ? letters : letters / width * width, beginningMax)
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: beginningMax) { group in
            var count = 0
            var index = first
            while index < end, count < wanted {
                if isSpanByte(text[index]) {
                    group[count] = text[index]
                    count += 1
                }
                index += 1
            }
            return isSpanBegin(UnsafeBufferPointer(rebasing: group[..<count]), 0, count)
        }
    }

    private static func firstSign(_ signs: (Int) -> UInt64, _ planes: TextPlanes.Reader, from start: Int) -> Int {
        planes.firstBeyond({ ~signs($0) }, from: start)
    }

    /// Numbers in a row, one separated from the next by what separates numbers.
    private struct NumberCount {
        private var count = 0

        /// A token that has digits or consists of numbers. Says whether there may be four.
        mutating func add(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
            var index = start
            while index < end {
                guard isAlphanumeric(text[index]) else {
                    if !isSeparator(text[index]) { count = 0 }
                    index += 1
                    continue
                }
                let word = index
                var hasDigits = false
                var isNumber = true
                var isPrefixed = false
                while index < end, isAlphanumeric(text[index]) {
                    if isDigit(text[index]) { hasDigits = true }
                    if isNumberPrefix(text[index]) {
                        isPrefixed = true
                    } else if hexValue(text[index]) == nil {
                        isNumber = false
                    }
                    index += 1
                }
                // A number of one digit is no character, but for tab and line ends; a letter may be a prefix.
                let isSingle = index - word == 1 && !isPrefixed && !Self.isControl(text[word])
                if !isNumber || isSingle {
                    count = 0
                } else if hasDigits || !isPrefixed && index - word > 1 {
                    // No list has single letters.
                    count += 1
                    if count >= 4 { return true }
                }
            }
            return false
        }

        private static func isControl(_ digit: UInt8) -> Bool {
            digit == UInt8(ascii: "9") || digit | 0x20 == UInt8(ascii: "a") || digit | 0x20 == UInt8(ascii: "d")
        }

        /// A token of letters and signs; numbers of letters only may stand at its ends.
        mutating func end(_ first: UInt8, _ last: UInt8) -> Bool {
            if count >= 3, hexValue(first) != nil { return true }
            count = hexValue(last) != nil ? 1 : 0
            return false
        }
    }

    // MARK: escapes

    /// Whether the sign at `index` may begin an escape.
    private static func isEscape(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        func byte(_ index: Int) -> UInt8 { index < text.count ? text[index] : 0 }
        func isHex(_ index: Int) -> Bool { hexValue(byte(index)) != nil }
        switch text[index] {
        case UInt8(ascii: "%"):
            if isHex(index + 1) && isHex(index + 2) { return true }
            return byte(index + 1) | 0x20 == UInt8(ascii: "u") && (isHex(index + 2) || byte(index + 2) == 0x7B)
        case UInt8(ascii: "="):
            return isHex(index + 1) && isHex(index + 2) && byte(index + 3) == UInt8(ascii: "=")
        case UInt8(ascii: "&"):
            if byte(index + 1) == UInt8(ascii: "#") { return true }
            var end = index + 1
            while end < text.count, end - index < 20, isAlphanumeric(text[end]) { end += 1 }
            return byte(end) == UInt8(ascii: ";") && end > index + 1
        case UInt8(ascii: "\\"):
            let next = byte(index + 1)
            if next | 0x20 == UInt8(ascii: "x") || next | 0x20 == UInt8(ascii: "u"),
                isHex(index + 2) || byte(index + 2) == 0x7B
            {
                return true
            }
            if next == UInt8(ascii: "N"), byte(index + 2) == 0x7B { return true }
            guard isHex(index + 1) else { return false }
            // Three octal digits, or three escapes in a row, which may have a space behind.
            if isDigit(next), isDigit(byte(index + 2)), isDigit(byte(index + 3)) { return true }
            var other = index + 2
            while other < text.count, other - index < 9, text[other] != UInt8(ascii: "\\") { other += 1 }
            return other - index < 9 && isHex(other + 1)
        default: return false
        }
    }

    // MARK: alphabets

    /// What a span decodes to begins as text does: no control characters, bytes that can be UTF-8.
    private struct Beginning {
        private var following = 0
        private(set) var isText = true

        mutating func add(_ byte: UInt8) {
            if byte < 0x80 {
                let isControl = byte < 0x20 && byte != 0x09 && byte != 0x0A && byte != 0x0D || byte == 0x7F
                if isControl || following > 0 { isText = false }
            } else if byte < 0xC0 {
                if following == 0 { isText = false }
                following -= 1
            } else {
                if following > 0 || byte < 0xC2 || byte > 0xF4 { isText = false }
                following = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3
            }
        }
    }

    private static let beginningMax = 24

    /// - Parameter isAny: a run of letters that is long enough will do.
    private static func hasSpan(
        _ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader, isAny: Bool
    ) -> Bool {
        hasPart(planes, of: spanMin, { planes.word(.span, $0) }) {
            isAny || isSpanRun(text, $0.lowerBound, $0.upperBound)
        }
    }

    /// Tokens as `decode` has them, with a sign.
    private static func hasSigns(_ text: UnsafeBufferPointer<UInt8>, _ planes: TextPlanes.Reader) -> Bool {
        func graphic(_ word: Int) -> UInt64 { planes.word(.graphic, word) }
        func openers(_ word: Int) -> UInt64 { planes.word(.space, word) | planes.word(.opener, word) }
        func starts(_ word: Int) -> UInt64 {
            let begins = TextPlanes.Reader.before(openers, word) | (word == 0 ? 1 : 0)
            return begins & TextPlanes.Reader.runs(15, graphic, word)
        }
        return planes.contains(starts) { start in
            mayDecode85(text, start)
                && planes.firstBeyond({ planes.word(.span, $0) }, from: start)
                    < planes.firstBeyond(graphic, from: start)
        }
    }

    /// Of a run of letters of alphabets, `start` to `end`.
    private static func isSpanRun(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        // `decode` begins behind dashes.
        var index = start
        while index < end, text[index] == 0x2D { index += 1 }
        let run = index
        var part = index
        while index < end {
            if !isAlphanumeric(text[index]) {
                if index - part >= spanMin, isSpanBegin(text, part, index) { return true }
                part = index + 1
            }
            index += 1
        }
        if end - run >= spanMin, isSpanBegin(text, run, end) { return true }
        return part > run && end - part >= spanMin && isSpanBegin(text, part, end)
    }

    /// Whether letters that begin with those from `start` to `end` may be of one of the alphabets.
    private static func isSpanBegin(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        let isPrefixed = end - start > 2 && text[start] == 0x30 && text[start + 1] | 0x20 == 0x78
        let hex = isPrefixed ? start + 2 : start
        if begins(text, hex, end, bits: 4, value: { hexValue($0) }) { return true }
        if (start..<min(end, start + spanMin)).allSatisfy({ text[$0] | 1 == 0x31 }) { return true }
        func letter(_ byte: UInt8) -> UInt8? { isLetter(byte) ? (byte | 0x20) - 0x61 : nil }
        if begins(text, start, end, bits: 5, value: { letter($0) ?? (0x32...0x37 ~= $0 ? $0 - 0x32 + 26 : nil) }) {
            return true
        }
        let digitsFirst = { (byte: UInt8) -> UInt8? in
            let value = letter(byte).map { $0 + 10 } ?? (isDigit(byte) ? byte - 0x30 : nil)
            return value.flatMap { $0 < 32 ? $0 : nil }
        }
        if begins(text, start, end, bits: 5, value: digitsFirst) { return true }
        return begins(text, start, end, bits: 6, hasZeros: true, value: base64Value)
    }

    @inline(__always)
    private static func begins(
        _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int, bits: UInt32, hasZeros: Bool = false,
        value: (UInt8) -> UInt8?
    ) -> Bool {
        var beginning = Beginning()
        var sum: UInt32 = 0
        var count: UInt32 = 0
        var bytes = 0
        for index in start..<min(end, start + beginningMax) {
            guard let value = value(text[index]) else { return false }
            sum = (sum << bits | UInt32(value)) & 0xFFFF
            count += bits
            guard count >= 8 else { continue }
            count -= 8
            let byte = UInt8(truncatingIfNeeded: sum >> count)
            // UTF-16 of ASCII.
            if hasZeros, byte == 0, bytes < 2 { return true }
            beginning.add(byte)
            if !beginning.isText { return false }
            bytes += 1
        }
        return true
    }

    private static let allTables85 = Array(tables85.joined())

    /// Whether the first fifteen of the characters from `start` on, so many at least, may be of base85.
    private static func mayDecode85(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Bool {
        allTables85.withUnsafeBufferPointer { tables in
            (0..<3).contains { number in
                var beginning = Beginning()
                var value: UInt64 = 0
                for offset in 0..<15 {
                    let digit = tables[number << 8 | Int(text[start + offset])]
                    guard digit != 0xFF else { return false }
                    value = value * 85 + UInt64(digit)
                    guard offset % 5 == 4 else { continue }
                    guard value <= UInt64(UInt32.max) else { return false }
                    beginning.add(UInt8(truncatingIfNeeded: value >> 24))
                    beginning.add(UInt8(truncatingIfNeeded: value >> 16))
                    beginning.add(UInt8(truncatingIfNeeded: value >> 8))
                    beginning.add(UInt8(truncatingIfNeeded: value))
                    guard beginning.isText else { return false }
                    value = 0
                }
                return true
            }
        }
    }
}
