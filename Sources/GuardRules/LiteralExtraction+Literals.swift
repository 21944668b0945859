internal import GuardMatching

/// What becomes of literals when they are chosen, and rows of what follows them.
extension LiteralExtraction {
    /// Cut to a length that keeps comparing short, at the rarest place, and with all cases of `s` and `k`.
    func finished(_ literal: Literal) -> [Literal] {
        if literal.lead > 0 { return finishedBehind(literal) }
        var best: (rarity: Int, range: Range<Int>)?
        for start in literal.bytes.indices {
            var end = start
            var long = 0
            while end < literal.bytes.count, end - start < Self.literalBytesMax {
                if hasLongCases, literal.bytes[end] == UInt8(ascii: "s") || literal.bytes[end] == UInt8(ascii: "k") {
                    if long == 3 { break }
                    long += 1
                }
                end += 1
            }
            let rarity = LiteralFrequency.rarity(literal.bytes[start..<end])
            if rarity > best?.rarity ?? -1 { best = (rarity, start..<end) }
        }
        guard let range = best?.range else { return [literal] }
        let before = literal.before + front([Array(literal.bytes[..<range.lowerBound])])
        let after = row([Array(literal.bytes[range.upperBound...])]) + literal.after
        return variants(literal.bytes[range]).map { bytes in
            // What stands in front of a long case form is not of words.
            let isFirst = range.lowerBound == 0 && bytes.first == literal.bytes.first
            return Literal(bytes: bytes, before: before, previous: isFirst ? literal.previous : .all, after: after)
        }
    }

    /// A short literal that stands behind other bytes of the match: with each of those in front, where they are not many.
    func lengthened(_ literal: Literal) -> [Literal] {
        let previous = Set(
            (0...255 as ClosedRange<UInt8>).filter {
                literal.before.bytes.contains($0) && literal.previous.contains($0)
            }
            .map(LiteralFilter.fold))
        guard literal.bytes.count <= Self.shortMax, literal.lead == 0, literal.before.length.min > 0,
            previous.count <= Self.previousMax
        else { return [literal] }
        let length = literal.before.length
        let before = Front(
            length: LengthRange(length.min - 1, length.max.map { $0 - 1 }), bytes: literal.before.bytes)
        return previous.sorted().map {
            Literal(bytes: [$0] + literal.bytes, before: before, after: literal.after)
        }
    }

    private static let shortMax = 2
    private static let previousMax = 40

    /// Of a literal that a lookbehind asks for, its end.
    private func finishedBehind(_ literal: Literal) -> [Literal] {
        var start = literal.bytes.count
        var long = 0
        while start > 0, literal.bytes.count - start < Self.literalBytesMax {
            let byte = literal.bytes[start - 1]
            if hasLongCases, byte == UInt8(ascii: "s") || byte == UInt8(ascii: "k") {
                if long == 3 { break }
                long += 1
            }
            start -= 1
        }
        return variants(literal.bytes[start...]).map {
            Literal(bytes: $0, lead: $0.count, before: literal.before, after: literal.after)
        }
    }

    /// With all cases of `s` and `k`.
    private func variants(_ bytes: ArraySlice<UInt8>) -> [[UInt8]] {
        var variants: [[UInt8]] = [[]]
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "s") where hasLongCases:
                variants = variants.flatMap { [$0 + [byte], $0 + [0xC5, 0xBF]] }
            case UInt8(ascii: "k") where hasLongCases:
                variants = variants.flatMap { [$0 + [byte], $0 + [0xE2, 0x84, 0xAA]] }
            default: for index in variants.indices { variants[index].append(byte) }
            }
        }
        return variants
    }

    /// What some strings are, character for character, or byte for byte of longer ones, where all are of one length.
    func row(_ exact: [[UInt8]]) -> [Stretch] {
        let low = exact.lazy.map(\.count).min() ?? 0
        let high = exact.lazy.map(\.count).max() ?? 0
        guard low == high, high <= Self.rowMax else {
            return [Stretch(front(exact).bytes, LengthRange(low, high), isCharacters: hasLongCases)]
        }
        return (0..<high).map { place in
            let front = front(exact.map { [$0[place]] })
            return Stretch(front.bytes, LengthRange(1, 1), isCharacters: front.length.max ?? 2 > 1)
        }
    }

    /// What two alternatives are: one character of either, then the rest of either as one stretch.
    static func union(_ one: [Stretch], _ other: [Stretch]) -> [Stretch] {
        let rows = [one, other]
        let isCharacters = rows.joined().contains(where: \.isCharacters)
        func joined(_ stretches: some Sequence<Stretch>, _ lengths: [LengthRange]) -> Stretch {
            Stretch(
                stretches.reduce(ByteSet()) { $0.union($1.bytes) },
                lengths.dropFirst().reduce(lengths[0]) { $0.union($1) },
                isCharacters: isCharacters)
        }
        func total(_ row: some Sequence<Stretch>) -> LengthRange { row.reduce(.zero) { $0 + $1.length } }
        let isEnd = rows.contains { $0.first?.isOrEnd == true }
        // An end that is not the first thing is not followed up.
        let hasEnd = rows.joined().contains(where: \.isOrEnd)
        guard rows.allSatisfy({ $0.first.map { $0.length.min > 0 } ?? false }) else {
            if hasEnd { return [Stretch(.all, LengthRange(0, nil))] }
            let whole = joined(rows.joined(), rows.map(total))
            return whole.length.max == 0 ? [] : [whole]
        }
        var head = joined(rows.compactMap(\.first), [LengthRange(1, 1)])
        head.isOrEnd = isEnd
        if isEnd { return [head] }
        if hasEnd { return [head, Stretch(.all, LengthRange(0, nil))] }
        let rests = rows.map { row in
            let whole = total(row)
            return LengthRange(whole.min - 1, whole.max.map { $0 - 1 })
        }
        let rest = joined(rows.joined(), rests)
        return rest.length.max == 0 ? [head] : [head, rest]
    }

    /// What a part is, so many times.
    func row(_ part: Known, _ low: Int, _ high: Int?) -> [Stretch] {
        if high == 0 || part.front.length.max == 0 { return [] }
        if part.row.count == 1, let all = part.row.first, !all.isOrEnd {
            return [Stretch(all.bytes, all.length.repeated(low, high), isCharacters: all.isCharacters)]
        }
        guard low > 0, low <= 8 else { return [Stretch(part.front.bytes, part.front.length.repeated(low, high))] }
        var row = Array(repeatElement(part.row, count: low).joined())
        if high != low {
            let more = part.front.length.repeated(0, high.map { $0 - low })
            row.append(Stretch(part.front.bytes, more))
        }
        return row
    }
}
