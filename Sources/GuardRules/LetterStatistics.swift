internal import CTextScan
internal import GuardCore

/// How English a text's letters look, pair by pair: what tells that a text is written in a shifted alphabet or backwards
/// without trying either. Only a gate: what it opens is read and judged by the rules, what it leaves shut reads as plain.
struct LetterStatistics: Sendable {
    static let shared = LetterStatistics()

    /// Some stretch of about 16 letters that is not written as English is.
    struct Suspicion {
        /// Unlikely pairs: another alphabet, or no words.
        var isShifted = false
        /// Pairs that are likelier the other way round.
        var isReversed = false
    }

    /// By `first << 5 | second`, letters 1 to 26, 0 for anything else: 16ths of bits above chance.
    private let pairs: [Int16]
    /// The same less that of the pair the other way round.
    private let order: [Int16]
    /// `pairs` and `order` as `guard_letter_sums` takes them.
    private let steps: [guard_step]
    /// As `pairs`, of the pair in each of the alphabets 1 to 26 (`letter`), and as it stands (0).
    private let turned: [SIMD32<Int16>]
    /// By byte: 1 to 26 for letters of either case, else 0.
    private let letters: [UInt8]

    // Measured on the corpus of docs/benchmarks/rules.md: 6 % and 10 % of its 1 KB texts fall below.
    private static let shiftedBelow: Int16 = -12 * 16
    private static let reversedBelow: Int16 = -7 * 16
    /// In so few bytes less is needed: they cost little to be read in any way.
    static let shortBytes = 160
    private static let shortBelow: Int16 = -3 * 16
    /// Alphabets that are tried, at most.
    static let alphabetsMax = 3
    /// As many 16ths of bits a pair are English, the right way round.
    private static let englishFrom = 8

    private init() {
        var pairs = [Int16](repeating: 0, count: 32 * 32)
        var row = 1
        var column = 1
        for byte in Self.table.utf8 {
            guard byte &- 0x61 < 26 else { continue }
            pairs[row << 5 | column] = (Int16(byte) - 0x61) * 8 - 64
            column += 1
            if column > 26 { (row, column) = (row + 1, 1) }
        }
        self.pairs = pairs
        turned = pairs.indices.map { pair in
            var row = SIMD32<Int16>()
            let (first, second) = (UInt8(pair >> 5), UInt8(pair & 31))
            guard (1...26).contains(first), (1...26).contains(second) else { return row }
            row[0] = pairs[pair]
            for alphabet in 1...26 {
                row[alphabet] = pairs[Int(Self.letter(first, alphabet)) << 5 | Int(Self.letter(second, alphabet))]
            }
            return row
        }
        order = pairs.indices.map { pairs[$0] - pairs[($0 & 31) << 5 | $0 >> 5] }
        let order = self.order
        steps = pairs.indices.map { pair in
            let kept: Int16 = (1...26).contains(pair >> 5) && (1...26).contains(pair & 31) ? -1 : 0
            return guard_step(values: (pairs[pair], order[pair], 0, 0, kept, kept, 0, 0))
        }
        letters = (0..<256).map { byte in
            let letter = UInt8(byte) | 0x20
            return byte < 0x80 && letter &- 0x61 < 26 ? letter - 0x60 : 0
        }
    }

    /// One pass; the sums forget by a sixteenth with each pair, so about 16 pairs count.
    ///
    /// - Parameter isShort: `text` is of one of few bytes.
    func suspicion(_ text: Span<UInt8>, isShort: Bool) -> Suspicion {
        text.withUnsafeBufferPointer { text in
            var suspicion = Suspicion()
            guard let start = text.baseAddress else { return suspicion }
            let least = guard_letter_sums(steps, letters, start, text.count)
            suspicion.isShifted = least.first < Self.shiftedBelow
            suspicion.isReversed = least.second < Self.reversedBelow
            if isShort { judge(short: text, least, &suspicion) }
            return suspicion
        }
    }

    private func judge(short text: UnsafeBufferPointer<UInt8>, _ least: guard_least, _ suspicion: inout Suspicion) {
        var (last, score, turned, count) = (0, 0, 0, 0)
        var bits: UInt8 = 0
        for byte in text {
            bits |= byte
            let letter = Int(letters[Int(byte)])
            if last != 0, letter != 0 {
                score += Int(pairs[last << 5 | letter])
                turned += Int(order[last << 5 | letter])
                count += 1
            }
            last = letter
        }
        // Of other scripts nothing is known.
        if count == 0 {
            suspicion.isReversed = bits >= 0x80
            return
        }
        let english = Self.englishFrom * count
        suspicion.isShifted = score < english || least.first < Self.shortBelow
        suspicion.isReversed = turned < english || least.second < Self.shortBelow
    }

    /// What is around a match, on both sides.
    private static let aroundBytes = 64

    /// 16ths of bits above chance of `second` behind `first`, ASCII bytes; 0 unless both are letters.
    func pair(_ first: UInt8, _ second: UInt8) -> Int {
        Int(pairs[Int(letters[Int(first)]) << 5 | Int(letters[Int(second)])])
    }

    /// 16ths of bits a pair above chance, of a text's letters; 0 without pairs.
    func score(_ text: Span<UInt8>) -> Int { score(text, in: pairs) }

    private func score(_ text: Span<UInt8>, in pairs: [Int16]) -> Int {
        var last: UInt8 = 0
        var sum = 0
        var count = 0
        for index in text.indices {
            let letter = letters[Int(text[index])]
            if last != 0, letter != 0 {
                sum += Int(pairs[Int(last) << 5 | Int(letter)])
                count += 1
            }
            last = letter
        }
        return count == 0 ? 0 : sum / count
    }

    /// Whether four letters in a row stand near `range`.
    private func hasWord(_ text: Span<UInt8>, _ range: ByteRange) -> Bool {
        var run = 0
        for index in max(0, range.lowerBound - Self.aroundBytes)..<min(text.count, range.upperBound + Self.aroundBytes)
        {
            run = letters[Int(text[index])] == 0 ? 0 : run + 1
            if run == 4 { return true }
        }
        return false
    }

    /// Whether what a reading in another alphabet or order shows at `shown` may be meant: around it the reading looks no
    /// less like English, by a bit a pair, than the text at `range` does, and no less than chance. Keys may look like less.
    /// Digits and signs have no other alphabet by themselves: around a match without letters the reading has to be English.
    func isMeant(
        _ shown: ByteRange, in reading: Span<UInt8>, as range: ByteRange, in text: Span<UInt8>, isKey: Bool
    ) -> Bool {
        func around(_ text: Span<UInt8>, _ range: ByteRange) -> (score: Int, order: Int) {
            let part = text.extracting(
                max(0, range.lowerBound - Self.aroundBytes)..<min(text.count, range.upperBound + Self.aroundBytes))
            return (score(part), score(part, in: order))
        }
        let plain = around(text, range)
        let read = around(reading, shown)
        let hasLetters = shown.contains { letters[Int(reading[$0])] != 0 || reading[$0] >= 0x80 }
        if !hasLetters {
            return hasWord(reading, shown) && read.score >= Self.englishFrom
                && (read.score > plain.score + 4 || read.order > plain.order + 4)
        }
        return (isKey || read.score >= 0) && read.score + 16 >= plain.score && read.order + 16 >= plain.order
    }

    /// The alphabets that make the text look most like English, better than it does as it stands: shifts (1 to 25) and
    /// the reversed alphabet (26), best first, `alphabetsMax` at most.
    func alphabets(_ text: Span<UInt8>) -> [Int] {
        // A few hundred letters tell.
        let sample = text.extracting(0..<min(text.count, 2048))
        var sums = SIMD32<Int32>()
        var count: Int32 = 0
        sample.withUnsafeBufferPointer { sample in
            var last = 0
            var part = SIMD32<Int16>()
            for byte in sample {
                let letter = Int(letters[Int(byte)])
                if last != 0, letter != 0 {
                    part &+= turned[last << 5 | letter]
                    count += 1
                    // Before 16 bits overflow.
                    if count & 255 == 0 {
                        sums &+= SIMD32<Int32>(truncatingIfNeeded: part)
                        part = SIMD32()
                    }
                }
                last = letter
            }
            sums &+= SIMD32<Int32>(truncatingIfNeeded: part)
        }
        guard count > 0 else { return [] }
        let plain = sums[0] / count
        var found: [(score: Int32, alphabet: Int)] = []
        for alphabet in 1...26 where sums[alphabet] / count > plain {
            found.append((sums[alphabet] / count, alphabet))
        }
        return found.sorted { ($0.score, $1.alphabet) > ($1.score, $0.alphabet) }.prefix(Self.alphabetsMax).map(
            \.alphabet)
    }

    /// A letter (1 to 26) moved on by `alphabet`, or, for 26, counted from the end.
    static func letter(_ letter: UInt8, _ alphabet: Int) -> UInt8 {
        if alphabet == 26 { return 27 - letter }
        let moved = letter + UInt8(truncatingIfNeeded: alphabet)
        return moved > 26 ? moved - 26 : moved
    }

    /// Made by fixtures/rules/tools/letter_pairs.py.
    private static let table = """
        ahjjachaiadmjmagalkmgfbbfa kahcoaaaikalbajdahhdlaaala lafalaaljajjaanaaidmiaaaba kcfjoaganaaiabkaahjejaaaea \
        jbklgheadaaihmbgemmlafdjea lafbjibaoaahaaoaakchkaaaea haaaoaijmaaidigaajkelaaaab maaaoaaalaacaakaafagcaaaaa \
        ggihhjgaaackiokfahmlagaeae haaaoaaaaabaaaiaaajalaaaaa kbadoagalaahahbgaalafahaaa ldbiofaamaalaakeabijjabaja \
        niaaoaaaiaafibllaagchaaaba kakmlfmahadebekdaakmgfaaea dhijckfadaehjngianhjjghcaa maddmaadiaalaaljalflidaaia \
        aaabaaaaaaadaeabadeaoaaaaa laggoehaladdhkkcaijjhedaha iahaocahkacdccjjaalnjaaaga jaeamaaolaafbaldajigjadaga \
        ghgeleeahaalkldjanllaaaaaa oabaoaaalaaaaagaaaaaaaaaaa laaakaanoaaeahkaakibaacaaa kblaldackaadiabkadcoaaaeea \
        aefeicdajaahhjknaemnaaiaba jaaaocaamaabgaiaaaadaaaacb
        """
}
