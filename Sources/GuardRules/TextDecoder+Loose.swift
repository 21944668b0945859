internal import GuardCore

/// Readings of letters in disguise: they are no encodings, and no reader would take the plain text for them, so they are
/// readings of their own and change nothing in the others.
extension TextDecoder {
    /// What may stand between letters that are spaced out.
    private static func isSpacer(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "*"), UInt8(ascii: "/"),
            UInt8(ascii: "|"), UInt8(ascii: ","), UInt8(ascii: "~"), UInt8(ascii: "+"):
            true
        default: false
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// Letters that are spaced out (`i g n o r e`, `s.t.o.p`: three or more, one and the same character between) joined,
    /// and combining marks over ASCII letters (U+0300–036F, U+20D0–20FF) dropped. `nil`: there are none.
    static func join(_ text: Span<UInt8>) -> DerivedText? {
        var out = DerivedText()
        var kept = 0
        var index = 0
        while index < text.count {
            if isLetter(text[index]) {
                let mark = markLength(text, index + 1)
                if mark > 0 {
                    out.keep(text, kept..<(index + 1))
                    out.replace(mark, by: [])
                    index += 1 + mark
                    kept = index
                    continue
                }
                let end = spacedEnd(text, index)
                if end > index {
                    out.keep(text, kept..<index)
                    while index < end {
                        // A letter and the spacer behind it.
                        out.replace(min(2, end - index), by: [text[index]])
                        index += 2
                    }
                    index = end
                    kept = end
                    continue
                }
            }
            index += 1
        }
        guard kept > 0 else { return nil }
        out.keep(text, kept..<text.count)
        return out
    }

    /// The end of the spaced-out word that begins at `start`, or `start`.
    private static func spacedEnd(_ text: Span<UInt8>, _ start: Int) -> Int {
        guard start + 4 < text.count, isSpacer(text[start + 1]) else { return start }
        if start > 0, isLetter(text[start - 1]) || isDigit(text[start - 1]) || text[start - 1] >= 0x80 { return start }
        let spacer = text[start + 1]
        var end = start + 1
        while end + 1 < text.count, text[end] == spacer, isLetter(text[end + 1]) {
            // Only letters that stand alone.
            if end + 2 < text.count, isLetter(text[end + 2]) || isDigit(text[end + 2]) || text[end + 2] >= 0x80 {
                break
            }
            end += 2
        }
        return end - start >= 5 ? end : start
    }

    /// Bytes of the combining marks at `start`.
    private static func markLength(_ text: Span<UInt8>, _ start: Int) -> Int {
        var index = start
        while index + 1 < text.count {
            if text[index] == 0xCC || text[index] == 0xCD && text[index + 1] <= 0xAF {
                index += 2
            } else if text[index] == 0xE2, index + 2 < text.count, text[index + 1] == 0x83, text[index + 2] >= 0x90 {
                index += 3
            } else {
                break
            }
        }
        return index - start
    }

    /// Digits and signs inside words read as the letters they look like (`1gn0r3`, `p4$$word`), in words that have at
    /// least as many letters. `nil`: there are none.
    static func leet(_ text: Span<UInt8>) -> DerivedText? {
        var out = DerivedText()
        var kept = 0
        var index = 0
        while index < text.count {
            guard isLetter(text[index]) || leetLetter(text[index]) != nil else {
                index += 1
                continue
            }
            var end = index
            var letters = 0
            var signs = 0
            while end < text.count, isLetter(text[end]) || leetLetter(text[end]) != nil {
                if isLetter(text[end]) { letters += 1 } else { signs += 1 }
                end += 1
            }
            // A mark at the end is punctuation.
            var last = end
            while last > index, text[last - 1] == UInt8(ascii: "!") || text[last - 1] == UInt8(ascii: "|") {
                last -= 1
                signs -= 1
            }
            if signs > 0, letters >= 2, letters >= signs {
                for place in index..<last {
                    guard let letter = leetLetter(text[place]) else { continue }
                    out.keep(text, kept..<place)
                    out.replace(1, by: [letter])
                    kept = place + 1
                }
            }
            index = end
        }
        guard kept > 0 else { return nil }
        out.keep(text, kept..<text.count)
        return out
    }

    private static func leetLetter(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0"): UInt8(ascii: "o")
        case UInt8(ascii: "1"), UInt8(ascii: "!"): UInt8(ascii: "i")
        case UInt8(ascii: "|"): UInt8(ascii: "l")
        case UInt8(ascii: "3"): UInt8(ascii: "e")
        case UInt8(ascii: "4"), UInt8(ascii: "@"): UInt8(ascii: "a")
        case UInt8(ascii: "5"), UInt8(ascii: "$"): UInt8(ascii: "s")
        case UInt8(ascii: "7"): UInt8(ascii: "t")
        case UInt8(ascii: "8"): UInt8(ascii: "b")
        default: nil
        }
    }
}
