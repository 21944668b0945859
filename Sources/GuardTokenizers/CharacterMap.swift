/// SentencePiece's precompiled character map: a darts-clone double array whose values are places in a list of
/// zero-terminated replacements. Every index from the file is checked.
struct CharacterMap: Sendable {
    private var units: [UInt32]
    private var replacements: [UInt8]

    /// - Parameter blob: little-endian byte count of the double array, the array, then the replacements.
    init(_ blob: some RandomAccessCollection<UInt8>) throws(TokenizerError) {
        let bytes = Array(blob)
        func word(_ at: Int) -> UInt32 {
            UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16 | UInt32(bytes[at + 3]) << 24
        }
        guard bytes.count >= 4 else { throw TokenizerError(.malformed, "a character map of \(bytes.count) bytes") }
        let size = Int(word(0))
        guard size % 4 == 0, size >= 4, size <= bytes.count - 4 else {
            throw TokenizerError(.malformed, "a character map whose array has \(size) of \(bytes.count) bytes")
        }
        units = (0..<size / 4).map { word(4 + $0 * 4) }
        replacements = Array(bytes[(4 + size)...])
    }

    /// Replacement of the shortest or the longest key that `text` begins with at `at`, and the key's length.
    func replacement(
        _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, longest: Bool
    ) -> (range: Range<Int>, length: Int)? {
        var best: (value: Int, length: Int)?
        var node = Self.offset(units[0])
        var next = at
        // A key that is longer than 32 bytes is not one of the real maps.
        while next < end, next - at < 32, text[next] != 0 {
            node ^= Int(text[next])
            guard node < units.count else { break }
            let unit = units[node]
            guard unit & 0x8000_00FF == UInt32(text[next]) else { break }
            node ^= Self.offset(unit)
            next += 1
            if unit >> 8 & 1 == 1 {
                guard node < units.count else { break }
                best = (Int(units[node] & 0x7FFF_FFFF), next - at)
                if !longest { break }
            }
        }
        guard let best, best.value < replacements.count else { return nil }
        let stop = replacements[best.value...].firstIndex(of: 0) ?? replacements.count
        return (best.value..<stop, best.length)
    }

    subscript(range: Range<Int>) -> ArraySlice<UInt8> { replacements[range] }

    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 0x200) >> 6) }

    // MARK: Hugging Face

    /// `Precompiled` of `tokenizer.json`: short grapheme clusters as a whole by the shortest key that they begin with,
    /// else each character of theirs.
    func appliedToClusters(_ text: AlignedText) -> AlignedText {
        var result = AlignedText(from: text)
        let bytes = UTF8Scalars.wellFormed(text.bytes)
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            func map(_ start: Int, _ end: Int) -> Bool {
                guard let found = replacement(base, start, end, longest: false) else { return false }
                result.append(replacements[found.range], characterByCharacterFor: start..<end, of: text)
                return true
            }
            func cluster(_ start: Int, _ end: Int) {
                if end - start < 6, map(start, end) { return }
                var at = start
                while at < end {
                    let next = at + UTF8Scalars.next(base, at, end).length
                    if !map(at, next) { result.append(copying: at..<next, of: text) }
                    at = next
                }
            }
            var at = 0
            while at < buffer.count {
                // Two ASCII characters are one cluster only where they end a line.
                if base[at] < 0x80, at + 1 == buffer.count || base[at + 1] < 0x80 {
                    let isLineEnd = base[at] == 0x0D && at + 1 < buffer.count && base[at + 1] == 0x0A
                    cluster(at, at + (isLineEnd ? 2 : 1))
                    at += isLineEnd ? 2 : 1
                    continue
                }
                var end = at + 1
                while end < buffer.count, base[end] >= 0x80 || base[end - 1] >= 0x80 { end += 1 }
                // The last character is ASCII and begins a cluster of its own, maybe with the next one.
                if end < buffer.count || base[end - 1] < 0x80 { end -= 1 }
                var start = at
                let part = UnsafeBufferPointer(rebasing: buffer[at..<end])
                for character in String(decoding: part, as: UTF8.self) {
                    cluster(start, start + character.utf8.count)
                    start += character.utf8.count
                }
                at = end
            }
        }
        return result
    }

    // MARK: SentencePiece

    /// SentencePiece's own normalizer with this map: longest keys, spaces collapsed, the dummy prefix; `▁` is a space.
    struct Rules: Sendable {
        var map: CharacterMap?
        /// Texts that stay as they are (user-defined pieces).
        var frozen = ByteTrie([])
        var removesExtraSpaces = true
        var addsPrefix = true

        func apply(_ text: AlignedText) -> AlignedText {
            var result = AlignedText(from: text)
            text.bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                var at = 0
                if removesExtraSpaces {
                    while at < buffer.count {
                        let (piece, length) = piece(base, at, buffer.count)
                        guard piece.elementsEqual([0x20]) else { break }
                        at += length
                    }
                }
                guard at < buffer.count else { return }
                if addsPrefix { result.append([0x20], for: at..<at, of: text) }
                var isAfterSpace = removesExtraSpaces
                while at < buffer.count {
                    let (piece, length) = piece(base, at, buffer.count)
                    let kept = isAfterSpace ? piece.drop { $0 == 0x20 } : piece
                    if let last = kept.last {
                        result.append(
                            Normalizer.mappedSpaces(Array(kept)), for: at..<at + length, of: text)
                        isAfterSpace = last == 0x20
                    }
                    if !removesExtraSpaces { isAfterSpace = false }
                    at += length
                }
                if removesExtraSpaces { while result.bytes.last == 0x20 { result.removeLast() } }
            }
            return result
        }

        private func piece(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> (ArraySlice<UInt8>, length: Int) {
            func copy(_ length: Int) -> ArraySlice<UInt8> {
                UnsafeBufferPointer(start: text + at, count: length).map { $0 }[...]
            }
            if let match = frozen.longestMatch(text, at, end) { return (copy(match.end - at), match.end - at) }
            if let map, let found = map.replacement(text, at, end, longest: true) {
                return (map[found.range], found.length)
            }
            let (scalar, length) = UTF8Scalars.next(text, at, end)
            if scalar == UTF8Scalars.illFormed { return ([0xEF, 0xBF, 0xBD], 1) }
            return (copy(length), length)
        }
    }
}
