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
    /// By byte: 1 to 26 for letters of either case, else 0.
    private let letters: [UInt8]

    // Measured on the corpus of docs/benchmarks/rules.md: 6 % and 10 % of its 1 KB texts fall below.
    private static let shiftedBelow = -12 * 16
    private static let reversedBelow = -7 * 16
    /// In so few bytes less is needed: they cost little to be read in any way.
    private static let shortBytes = 160
    private static let shortBelow = -3 * 16
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
        order = pairs.indices.map { pairs[$0] - pairs[($0 & 31) << 5 | $0 >> 5] }
        letters = (0..<256).map { byte in
            let letter = UInt8(byte) | 0x20
            return byte < 0x80 && letter &- 0x61 < 26 ? letter - 0x60 : 0
        }
    }

    /// One pass; the sums forget by a sixteenth with each pair, so about 16 pairs count.
    func suspicion(_ text: Span<UInt8>) -> Suspicion {
        var suspicion = Suspicion()
        pairs.withUnsafeBufferPointer { pairs in
            order.withUnsafeBufferPointer { order in
                letters.withUnsafeBufferPointer { letters in
                    text.withUnsafeBufferPointer { text in
                        var last = 0
                        var score = 0
                        var turned = 0
                        var scoreMin = 0
                        var turnedMin = 0
                        var scoreSum = 0
                        var turnedSum = 0
                        var count = 0
                        var bits: UInt8 = 0
                        for byte in text {
                            bits |= byte
                            let letter = Int(letters[Int(byte)])
                            if last != 0, letter != 0 {
                                let pair = last << 5 | letter
                                score += Int(pairs[pair]) - score >> 4
                                turned += Int(order[pair]) - turned >> 4
                                scoreSum += Int(pairs[pair])
                                turnedSum += Int(order[pair])
                                scoreMin = min(scoreMin, score)
                                turnedMin = min(turnedMin, turned)
                                count += 1
                            }
                            last = letter
                        }
                        suspicion.isShifted = scoreMin < Self.shiftedBelow
                        suspicion.isReversed = turnedMin < Self.reversedBelow
                        // Of other scripts nothing is known.
                        if text.count <= Self.shortBytes, count == 0 { suspicion.isReversed = bits >= 0x80 }
                        if text.count <= Self.shortBytes, count > 0 {
                            let english = Self.englishFrom * count
                            suspicion.isShifted = scoreSum < english || scoreMin < Self.shortBelow
                            suspicion.isReversed = turnedSum < english || turnedMin < Self.shortBelow
                        }
                    }
                }
            }
        }
        return suspicion
    }

    /// 16ths of bits above chance of `second` behind `first`, ASCII bytes; 0 unless both are letters.
    func pair(_ first: UInt8, _ second: UInt8) -> Int {
        Int(pairs[Int(letters[Int(first)]) << 5 | Int(letters[Int(second)])])
    }

    /// 16ths of bits a pair above chance, of the letters `map` makes of a text's; 0 without pairs.
    func score(_ text: Span<UInt8>, _ map: (UInt8) -> UInt8 = { $0 }) -> Int { score(text, in: pairs, map) }

    private func score(_ text: Span<UInt8>, in pairs: [Int16], _ map: (UInt8) -> UInt8 = { $0 }) -> Int {
        var last: UInt8 = 0
        var sum = 0
        var count = 0
        for index in text.indices {
            let letter = letters[Int(text[index])]
            let mapped = letter == 0 ? 0 : map(letter)
            if last != 0, mapped != 0 {
                sum += Int(pairs[Int(last) << 5 | Int(mapped)])
                count += 1
            }
            last = mapped
        }
        return count == 0 ? 0 : sum / count
    }

    /// Whether what a reading in another alphabet or order shows at `range` is surely none: around it the text itself is
    /// written as English is, more than the reading is by a bit a pair.
    func isPlain(_ text: Span<UInt8>, _ range: ByteRange, besides reading: Span<UInt8>, _ shown: ByteRange) -> Bool {
        func around(_ text: Span<UInt8>, _ range: ByteRange) -> (score: Int, order: Int) {
            let part = text.extracting(max(0, range.lowerBound - 64)..<min(text.count, range.upperBound + 64))
            return (score(part), score(part, in: order))
        }
        let plain = around(text, range)
        let read = around(reading, shown)
        return plain.score > read.score + 16 || plain.order > read.order + 16
    }

    /// The alphabets that make the text look most like English, better than it does as it stands: shifts (1 to 25) and
    /// the reversed alphabet (26), best first, three at most.
    func alphabets(_ text: Span<UInt8>) -> [Int] {
        // A few hundred letters tell.
        let sample = text.extracting(0..<min(text.count, 2048))
        let plain = score(sample) { $0 }
        var found: [(score: Int, alphabet: Int)] = []
        for alphabet in 1...26 {
            let score = score(sample) { Self.letter($0, alphabet) }
            if score > plain { found.append((score, alphabet)) }
        }
        return found.sorted { ($0.score, $1.alphabet) > ($1.score, $0.alphabet) }.prefix(3).map(\.alphabet)
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
