import CPCRE2

/// How a match of a pattern can begin, as the engine itself says when it is asked for every short text of ASCII: which
/// first byte behind which byte, and which second byte behind which first.
///
/// Why it never says a false "no": a search with PARTIAL_HARD that ends at a start without a match and without a partial
/// match has looked at nothing behind the text's end, so whatever follows it ends there alike. Nor did it look further
/// back than the pattern can; where that is more than one character there is no test. Only ASCII is tested.
///
/// Texts are not asked for one by one but by classes of bytes that the pattern does not tell apart: bytes that its
/// source does not name, by themselves or by the ends of a range, and that are of one kind to every class escape and
/// POSIX class. Where the source holds anything else (back references, properties) each byte is a class.
package struct StartTest: Sendable {
    /// Class of each ASCII byte.
    package let classes: [UInt8]
    package let classCount: Int
    /// By class of the byte before (`classCount`: the text begins) and class of the first byte.
    private var begins: [Bool]
    /// By class of the first and of the second byte, whatever stands before.
    private var goesOn: [Bool]
    /// A text that ends with the first byte of what may be a match is a partial match there, never a match: no search
    /// has to say so.
    package private(set) var isOpenAtOnce = true

    /// Texts to ask for at most; beyond, second bytes are not tested.
    private static let probesMax = 20_000

    /// `nil` where nothing can be tested.
    package init?(_ pattern: Pattern, scratch: inout MatchScratch) {
        guard pattern.maxLookbehind <= 1, !pattern.usesBackslashG, !pattern.usesBackslashK, !pattern.usesSearchVerbs,
            !pattern.isLineSearched, !pattern.options.allowsEmpty
        else { return nil }
        var bytes = ByteClasses(pattern)
        bytes.split { pattern.startBytes.contains($0) }
        classes = bytes.ids
        let count = bytes.count
        classCount = count
        let members = bytes.members
        begins = [Bool](repeating: false, count: (count + 1) * count)
        goesOn = [Bool](repeating: false, count: count * count)

        func outcome(_ text: [UInt8], from: Int, _ scratch: inout MatchScratch) -> Outcome {
            switch pattern.firstMatch(in: text.span, from: from, mode: .partialHard, scratch: &scratch) {
            case .none: return .none
            case .match(let range): return range.lowerBound == from ? .match : .none
            case .partial(let start): return start == from ? .partial : .none
            case .failed: return .match
            }
        }
        // Otherwise what stands before is all one. A multiline `^` is no lookbehind to PCRE2.
        let looksBack = pattern.maxLookbehind > 0 || pattern.source.utf8.contains(UInt8(ascii: "^"))
        var probes = 0
        for first in 0..<count where pattern.startBytes.contains(members[first]) {
            let all = looksBack ? Array(0...count) : [count]
            var befores: [Int] = []
            for before in all {
                let text = before < count ? [members[before], members[first]] : [members[first]]
                let outcome = outcome(text, from: text.count - 1, &scratch)
                if outcome == .none { continue }
                if outcome == .match { isOpenAtOnce = false }
                befores.append(before)
            }
            for before in looksBack || befores.isEmpty ? befores : Array(0...count) {
                begins[before * count + first] = true
            }
            probes += all.count
            guard probes + count * befores.count <= Self.probesMax else {
                for second in 0..<count { goesOn[first * count + second] = true }
                continue
            }
            for second in 0..<count {
                goesOn[first * count + second] = befores.contains { before in
                    probes += 1
                    let text =
                        before < count
                        ? [members[before], members[first], members[second]] : [members[first], members[second]]
                    return outcome(text, from: text.count - 2, &scratch) != .none
                }
            }
        }
    }

    private enum Outcome { case none, match, partial }

    /// Whether a match may begin at a byte of class `first` behind one of class `before` (`classCount`: at the text's
    /// begin).
    package func begins(_ first: Int, behind before: Int) -> Bool { begins[before * classCount + first] }

    /// Whether what begins with a byte of class `first` may go on with one of class `second`.
    package func goesOn(_ first: Int, _ second: Int) -> Bool { goesOn[first * classCount + second] }
}

/// ASCII in classes.
package struct ByteClasses {
    package private(set) var ids: [UInt8]
    package private(set) var count: Int

    /// One class.
    package init() {
        ids = [UInt8](repeating: 0, count: 128)
        count = 1
    }

    /// One byte of each class.
    package var members: [UInt8] {
        var members = [UInt8](repeating: 0, count: count)
        for byte in ids.indices.reversed() { members[Int(ids[byte])] = UInt8(byte) }
        return members
    }

    /// Bytes for which `key` differs are apart.
    package mutating func split(_ key: (UInt8) -> Bool) {
        refine { byte in key(byte) ? 1 : 0 }
    }

    /// Bytes of different `keys` are apart; `keys` are below 128.
    package mutating func refine(_ key: (UInt8) -> UInt8) {
        var names = [UInt8](repeating: .max, count: 128 * 128)
        var next: UInt8 = 0
        for byte in ids.indices {
            let pair = Int(ids[byte]) << 7 | Int(key(UInt8(byte)) & 0x7F)
            if names[pair] == .max { (names[pair], next) = (next, next + 1) }
            ids[byte] = names[pair]
        }
        count = Int(next)
    }

    private mutating func separate(_ byte: UInt8) {
        guard byte < 0x80, ids.contains(where: { $0 == ids[Int(byte)] }) else { return }
        let id = ids[Int(byte)]
        guard ids.lazy.filter({ $0 == id }).count > 1 else { return }
        ids[Int(byte)] = UInt8(count)
        count += 1
    }
}

extension ByteClasses {
    /// Bytes that `pattern` does not tell apart.
    init(_ pattern: Pattern) {
        self.init()
        guard !pattern.hasBackReferences, read(Array(pattern.source.utf8)) else {
            ids = (0..<128).map { UInt8($0) }
            count = 128
            return
        }
        refine(Self.kind)
    }

    /// What class escapes and POSIX classes tell apart.
    private static func kind(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x09...0x0D, 0x20: byte
        case 0x7F: 1
        case ..<0x20: 0
        case UInt8(ascii: "0")...UInt8(ascii: "9"): 2
        case UInt8(ascii: "A")...UInt8(ascii: "F"): 3
        case UInt8(ascii: "G")...UInt8(ascii: "Z"): 4
        case UInt8(ascii: "a")...UInt8(ascii: "f"): 5
        case UInt8(ascii: "g")...UInt8(ascii: "z"): 6
        case UInt8(ascii: "_"): 7
        default: 8
        }
    }

    private static func otherCase(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 || byte &- 0x61 < 26 ? byte ^ 0x20 : byte
    }

    /// Separates what `source` names: every byte in it, also where it is syntax, and the ends of whatever may be a range.
    /// False where it holds something else.
    private mutating func read(_ source: [UInt8]) -> Bool {
        guard let characters = Self.characters(source) else { return false }
        var named = ByteSet()
        for case let character? in characters { named.insert(character) }
        for index in characters.indices.dropFirst().dropLast() where characters[index] == UInt8(ascii: "-") {
            guard let first = characters[index - 1], let last = characters[index + 1], first <= last else { continue }
            split { first <= $0 && $0 <= last }
            split { first <= Self.otherCase($0) && Self.otherCase($0) <= last }
        }
        // The only letters of ASCII that are the other case of something beyond it.
        if named.contains(0x80) { for byte in Array("sk".utf8) { named.insert(byte) } }
        for byte in UInt8(0)..<0x80 where named.contains(byte) || named.contains(Self.otherCase(byte)) {
            separate(byte)
        }
        return true
    }

    /// The characters that `source` is written in, escapes read, each byte of one beyond ASCII as 0x80, `nil` for what
    /// stands for no single character.
    private static func characters(_ source: [UInt8]) -> [UInt8?]? {
        var characters: [UInt8?] = []
        var index = 0
        while index < source.count {
            let byte = source[index]
            let next = index + 1 < source.count ? source[index + 1] : nil
            index += 1
            // Verbs; `(?xx)`, which lets spaces stand inside of ranges.
            if byte == UInt8(ascii: "("), next == UInt8(ascii: "*") { return nil }
            if byte == UInt8(ascii: "x"), next == UInt8(ascii: "x") { return nil }
            guard byte == UInt8(ascii: "\\") else {
                characters.append(min(byte, 0x80))
                continue
            }
            guard let next else { return nil }
            index += 1
            switch next {
            case UInt8(ascii: "n"): characters.append(0x0A)
            case UInt8(ascii: "r"): characters.append(0x0D)
            case UInt8(ascii: "t"): characters.append(0x09)
            case UInt8(ascii: "f"): characters.append(0x0C)
            // In a class; elsewhere no character.
            case UInt8(ascii: "b"): characters.append(0x08)
            case UInt8(ascii: "x"):
                guard let value = hexadecimal(source, &index) else { return nil }
                characters.append(UInt8(min(value, 0x80)))
            case UInt8(ascii: "d"), UInt8(ascii: "D"), UInt8(ascii: "w"), UInt8(ascii: "W"), UInt8(ascii: "s"),
                UInt8(ascii: "S"), UInt8(ascii: "h"), UInt8(ascii: "H"), UInt8(ascii: "v"), UInt8(ascii: "V"),
                UInt8(ascii: "B"), UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "Z"),
                UInt8(ascii: "R"):
                characters.append(nil)
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: return nil
            default: characters.append(min(next, 0x80))
            }
        }
        return characters
    }

    /// `\xHH` or `\x{H…}`, behind the `x`.
    private static func hexadecimal(_ source: [UInt8], _ index: inout Int) -> UInt32? {
        let isBraced = index < source.count && source[index] == UInt8(ascii: "{")
        if isBraced { index += 1 }
        var value: UInt32 = 0
        var count = 0
        while index < source.count, isBraced || count < 2,
            let digit = Character(Unicode.Scalar(source[index])).hexDigitValue
        {
            value = min(value << 4 | UInt32(digit), 0x80_0000)
            (index, count) = (index + 1, count + 1)
        }
        guard count > 0, isBraced || count == 2 else { return nil }
        if isBraced {
            guard index < source.count, source[index] == UInt8(ascii: "}") else { return nil }
            index += 1
        }
        return value
    }
}

extension Pattern {
    fileprivate var hasBackReferences: Bool {
        var highest: UInt32 = 0
        return pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_BACKREFMAX), &highest) != 0 || highest > 0
    }
}
