internal import GuardCore

/// Lists of numbers that stand for characters, and Morse code.
extension TextDecoder {
    private struct Number {
        var start: Int
        var end: Int
        var digits: [UInt8]
        var isHex: Bool
        var isCode: Bool
    }

    /// Four or more numbers with the same kind of separators between, each a byte or a code point: `69 67 6e`, `0x69,0x67`,
    /// `105 103 110`, `01101001 01100111`, `151 147 156`, `U+0069 U+0067`.
    /// The longest part of the list that is text counts.
    static func numbers(_ text: Span<UInt8>, _ start: Int, _ tried: inout Tried) -> (start: Int, unit: Unit)? {
        guard hexValue(text[start]) != nil || text[start] | 0x20 == UInt8(ascii: "u") else { return nil }
        if start > 0, isAlphanumeric(text[start - 1]) { return nil }
        // Most words end here.
        guard let first = number(text, start) else { return nil }
        var list = [first]
        var index = first.end
        while index < text.count, list.count < spanMax {
            var next = index
            while next < text.count, next - index < 4, isSeparator(text[next]) { next += 1 }
            guard next > index, next < text.count, let more = number(text, next), more.isHex == first.isHex,
                more.isCode == first.isCode
            else { break }
            list.append(more)
            index = more.end
        }
        tried.numbers = index
        tried.steps += index - start
        guard list.count >= 4 else { return nil }
        var found: [(start: Int, unit: Unit)] = []
        for values in readings(list) {
            guard let part = printablePart(values), let bytes = text8(Array(values[part])), isWordy(bytes, 3, of: 5) else { continue }
            let from = list[part.lowerBound].start
            found.append((from, Unit(length: list[part.upperBound - 1].end - from, bytes: bytes)))
        }
        found.sort { $0.unit.bytes.count > $1.unit.bytes.count }
        if found.count > 1 { tried.isAmbiguous = true }
        return tried.isSecond && found.count > 1 ? found[1] : found.first
    }

    /// The longest run of four or more values that are no control characters.
    private static func printablePart(_ values: [UInt32]) -> Range<Int>? {
        var best = 0..<0
        var start = 0
        for index in 0...values.count {
            let isText =
                index < values.count
                && (values[index] >= 0x20 && values[index] != 0x7F || [0x09, 0x0A, 0x0D].contains(values[index]))
            if isText { continue }
            if index - start > best.count { best = start..<index }
            start = index + 1
        }
        return best.count >= 4 ? best : nil
    }

    static func isSeparator(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: ";"), UInt8(ascii: "-"),
            UInt8(ascii: "_"), UInt8(ascii: "|"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "+"),
            UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: "#"):
            true
        default: false
        }
    }

    private static func number(_ text: Span<UInt8>, _ start: Int) -> Number? {
        var index = start
        var isHex = false
        var isCode = false
        if index + 2 < text.count {
            let second = text[index + 1] | 0x20
            if text[index] == UInt8(ascii: "0"), second == UInt8(ascii: "x") { (isHex, index) = (true, index + 2) }
            if text[index] | 0x20 == UInt8(ascii: "u"), text[index + 1] == UInt8(ascii: "+") {
                (isHex, isCode, index) = (true, true, index + 2)
            }
            if text[index] == UInt8(ascii: "0"), second == UInt8(ascii: "b") || second == UInt8(ascii: "o"),
                hexValue(text[index + 2]) != nil, second == UInt8(ascii: "o") || text[index + 2] | 1 == 0x31
            {
                let isBinary = index + 9 < text.count && (2..<9).allSatisfy { text[index + $0] | 1 == 0x31 }
                if second == UInt8(ascii: "o") || isBinary { index += 2 }
            }
        }
        var digits: [UInt8] = []
        while index < text.count, digits.count < 9, let digit = hexValue(text[index]) {
            digits.append(digit)
            index += 1
        }
        guard !digits.isEmpty, digits.count < 9 else { return nil }
        if index < text.count, isAlphanumeric(text[index]) { return nil }
        return Number(start: start, end: index, digits: digits, isHex: isHex, isCode: isCode)
    }

    /// What the list may mean, the likeliest first.
    private static func readings(_ list: [Number]) -> [[UInt32]] {
        func values(_ base: UInt32) -> [UInt32] {
            list.map { $0.digits.reduce(0) { $0 &* base &+ UInt32($1) } }
        }
        let counts = list.map(\.digits.count)
        let top = list.reduce(0) { max($0, $1.digits.max() ?? 0) }
        if list[0].isHex { return [values(16)] }
        var found: [[UInt32]] = []
        if top <= 1, counts.allSatisfy({ $0 == 7 || $0 == 8 }) { found.append(values(2)) }
        if counts.allSatisfy({ $0 == 2 }) { found.append(values(16)) }
        if top <= 9, counts.allSatisfy({ $0 <= 3 }) { found.append(values(10)) }
        if top <= 7, counts.allSatisfy({ (2...4).contains($0) }) { found.append(values(8)) }
        if counts.allSatisfy({ $0 == 4 }) { found.append(values(16)) }
        return found
    }

    /// Bytes of UTF-8, else code points.
    private static func text8(_ values: [UInt32]) -> [UInt8]? {
        if values.allSatisfy({ $0 < 0x100 }) {
            let bytes = values.map { UInt8(truncatingIfNeeded: $0) }
            if isPrintable(bytes) { return bytes }
        }
        var bytes: [UInt8] = []
        for value in values {
            guard let scalar = Unicode.Scalar(value), let utf8 = UTF8.encode(scalar) else { return nil }
            bytes.append(contentsOf: utf8)
        }
        return bytes
    }

    // MARK: Morse code

    private static let morseLetters: [[UInt8]: UInt8] = {
        let codes = """
            a.- b-... c-.-. d-.. e. f..-. g--. h.... i.. j.--- k-.- l.-.. m-- n-. o--- p.--. q--.- r.-. s... t- u..- v...- \
            w.-- x-..- y-.-- z--.. 0----- 1.---- 2..--- 3...-- 4....- 5..... 6-.... 7--... 8---.. 9----. ..-.-.- ,--..-- \
            ?..--.. '.----. !-.-.-- /-..-. (-.--. )-.--.- &.-... :---... ;-.-.-. =-...- +.-.-. --....- _..--.- ".-..-. \
            $...-..- @.--.-.
            """
        var table: [[UInt8]: UInt8] = [:]
        for code in codes.split(separator: " ") {
            let bytes = Array(code.utf8)
            table[Array(bytes[1...])] = bytes[0]
        }
        return table
    }()

    /// Five or more letters in dots and dashes, one space between, `/`, `|` or more spaces between words.
    static func morse(_ text: Span<UInt8>, _ start: Int, _ tried: inout Tried) -> Unit? {
        guard start >= tried.morse else { return nil }
        var out: [UInt8] = []
        var letters = 0
        var index = start
        var end = start
        while index < text.count, letters < 1 << 16 {
            var code: [UInt8] = []
            while index < text.count, code.count < 8, text[index] == UInt8(ascii: ".") || text[index] == UInt8(ascii: "-")
            {
                code.append(text[index])
                index += 1
            }
            guard let letter = morseLetters[code] else { break }
            out.append(letter)
            letters += 1
            end = index
            var gap = 0
            var isWord = false
            while index < text.count, isSpace(text[index]) || text[index] == UInt8(ascii: "/") || text[index] == 0x7C {
                isWord = isWord || text[index] != 0x20
                gap += 1
                index += 1
            }
            if gap == 0 { break }
            if isWord || gap > 1 { out.append(0x20) }
        }
        while out.last == 0x20 { out.removeLast() }
        tried.morse = index
        tried.steps += index - start
        guard letters >= 5 else { return nil }
        return Unit(length: end - start, bytes: out)
    }
}
