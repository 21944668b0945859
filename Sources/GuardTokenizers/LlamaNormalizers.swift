/// What llama.cpp does to text before its Unigram model (`llm_tokenizer_ugm_session::normalize`); `▁` is a space.
struct LlamaUnigramNormalizer: Sendable {
    var map: CharacterMap?
    /// User-defined tokens. Whatever one of them begins with stays as it is.
    var frozen = ByteTrie([])
    var addsPrefix = false
    var removesExtraSpaces = false

    func apply(_ text: AlignedText) -> AlignedText {
        var result = AlignedText(from: text)
        var hasPrefix = false
        var isInWord = false
        text.bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var at = 0
            while at < buffer.count {
                let (piece, length) = piece(base, at, buffer.count)
                let place = at..<at + length
                for byte in piece {
                    if byte == 0x20 {
                        isInWord = false
                        if !removesExtraSpaces { result.append([0x20], for: place, of: text) }
                        continue
                    }
                    if !isInWord {
                        isInWord = true
                        if addsPrefix && !hasPrefix || removesExtraSpaces {
                            result.append([0x20], for: place, of: text)
                            hasPrefix = true
                        }
                    }
                    result.append([byte], for: place, of: text)
                }
                at += length
            }
        }
        return Normalizer(steps: [.metaspaceToSpace]).apply(result)
    }

    private func piece(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> (ArraySlice<UInt8>, length: Int) {
        func copy(_ length: Int) -> ArraySlice<UInt8> { Array(UnsafeBufferPointer(start: text + at, count: length))[...] }
        let kept = frozen.beginningLength(text, at, end)
        if kept > 0 { return (copy(kept), kept) }
        if let map, let found = map.replacement(text, at, end, longest: true) { return (map[found.range], found.length) }
        let (scalar, length) = UTF8Scalars.next(text, at, end)
        return scalar == UTF8Scalars.illFormed ? ([0xEF, 0xBF, 0xBD], 1) : (copy(length), length)
    }
}

/// What llama.cpp does to text before its WordPiece model (`llm_tokenizer_wpm_session::preprocess`): a space stands
/// between words, which are cut at it afterwards. Unlike BERT's own it keeps only the first scalar of a decomposition.
struct LlamaWordNormalizer: Sendable, Hashable {
    var lowercases = true
    var stripsAccents = true

    func apply(_ text: AlignedText) -> AlignedText {
        var result = AlignedText(from: text)
        let tables = UnicodeTables.shared
        UTF8Scalars.forEach(text.bytes) { raw, range in
            guard raw != UTF8Scalars.illFormed else { return }
            var scalar = raw
            if stripsAccents {
                if (0xAC00...0xD7A3).contains(raw) {
                    scalar = 0x1100 + (raw - 0xAC00) / 588
                } else {
                    scalar = tables.canonical[raw]?.first ?? raw
                }
            }
            if UnicodeClasses.shared[scalar] & UnicodeClasses.space != 0 {
                return result.append([0x20], for: range, of: text)
            }
            let flags = tables.flags[scalar]
            // Unassigned scalars are control characters for BERT, but not here.
            if scalar == 0 || scalar == 0xFFFD || flags & UnicodeTables.control != 0 && Self.isAssigned(scalar) { return }
            if stripsAccents, flags & UnicodeTables.mark != 0 { return }
            let isAlone = flags & UnicodeTables.punctuation != 0 || Normalizer.isIdeograph(scalar)
            if isAlone { result.append([0x20], for: range, of: text) }
            let written = lowercases ? tables.lowercase[scalar]?.first ?? scalar : scalar
            result.append(scalar: written, for: range, of: text)
            if isAlone { result.append([0x20], for: range, of: text) }
        }
        return result
    }

    private static func isAssigned(_ scalar: UInt32) -> Bool {
        Unicode.Scalar(scalar)?.properties.generalCategory != .unassigned
    }
}
