/// Rewrites a stretch of text before it is cut into pieces.
///
/// `▁` (U+2581), which SentencePiece-style files put in place of spaces, is a space everywhere in this module: the
/// loaders map the vocabulary, and `metaspaceToSpace` maps what little text has a `▁` of its own. A file's
/// `Replace " " -> "▁"` then needs no work at all.
struct Normalizer: Sendable {
    enum Step: Sendable {
        case prepend([UInt8])
        case replace([UInt8], with: [UInt8])
        case replacePattern(SplitPattern, with: [UInt8])
        case form(UnicodeNormalization.Form)
        case metaspaceToSpace
        /// SentencePiece's `remove_extra_whitespaces`: no space at the ends, no two in a row; then the dummy prefix.
        case collapseSpaces(addsPrefix: Bool)
        /// SentencePiece's normalizer where there is a character map.
        case sentencePiece(CharacterMap.Rules)
        /// Hugging Face's reading of such a map.
        case precompiled(CharacterMap)
        case lowercase
        case stripAccents
        /// White space at the ends.
        case strip(left: Bool, right: Bool)
        case nmt
        /// Each byte as its character of `ByteAlphabet`.
        case byteLevel
        case bert(Bert)
        case llamaUnigram(LlamaUnigramNormalizer)
        case llamaWords(LlamaWordNormalizer)
    }

    struct Bert: Sendable, Hashable {
        var cleansText = true
        var spacesIdeographs = true
        var stripsAccents = true
        var lowercases = true
    }

    var steps: [Step] = []

    static let metaspace: [UInt8] = [0xE2, 0x96, 0x81]

    /// Calls `body` with the normalized text, which is the given memory itself where nothing changes.
    @inline(__always)
    func withNormalized(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ body: (UnsafePointer<UInt8>, Int, Int) -> Void
    ) {
        if steps.allSatisfy({ !Self.changes($0, text, begin, end) }) { return body(text, begin, end) }
        let normalized = apply(Array(UnsafeBufferPointer(start: text + begin, count: end - begin)))
        normalized.withUnsafeBufferPointer { buffer in
            if let base = buffer.baseAddress { body(base, 0, buffer.count) }
        }
    }

    func apply(_ text: [UInt8]) -> [UInt8] { apply(AlignedText(text)).bytes }

    func apply(_ text: AlignedText) -> AlignedText {
        var text = text
        for step in steps where text.count > 0 {
            if Self.changes(step, text.bytes) { text = Self.apply(step, text) }
        }
        return text
    }

    private static func apply(_ step: Step, _ text: AlignedText) -> AlignedText {
        switch step {
        case .prepend(let prefix):
            var result = AlignedText(from: text)
            result.append(prefix, for: text.firstCharacter, of: text)
            result.append(copying: 0..<text.count, of: text)
            return result
        case .replace(let pattern, let replacement): return replacing(pattern, replacement, text)
        case .replacePattern(let pattern, let replacement):
            return replacing(pattern.matches(text.bytes), replacement, text)
        case .metaspaceToSpace: return replacing(metaspace, [0x20], text)
        case .form(let form): return UnicodeNormalization.apply(form, text)
        case .collapseSpaces(let addsPrefix): return collapsing(text, addsPrefix)
        case .sentencePiece(let rules): return rules.apply(text)
        case .precompiled(let map): return map.appliedToClusters(text)
        case .lowercase: return lowercasing(text)
        case .stripAccents: return filtering(text) { UnicodeTables.shared.flags[$0] & UnicodeTables.mark == 0 }
        case .strip(let left, let right): return stripping(text, left, right)
        case .nmt: return mapping(text, nmt)
        case .byteLevel: return byteLevel(text)
        case .bert(let options): return bert(text, options)
        case .llamaUnigram(let normalizer): return normalizer.apply(text)
        case .llamaWords(let normalizer): return normalizer.apply(text)
        }
    }

    private static func byteLevel(_ text: AlignedText) -> AlignedText {
        var result = AlignedText(from: text)
        UTF8Scalars.forEach(text.bytes) { _, range in
            for byte in text.bytes[range] { result.append(ByteAlphabet.characterOfByte[Int(byte)], for: range, of: text) }
        }
        return result
    }

    private static func changes(_ step: Step, _ text: [UInt8]) -> Bool {
        text.withUnsafeBufferPointer { $0.baseAddress.map { changes(step, $0, 0, text.count) } ?? false }
    }

    private static func changes(_ step: Step, _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> Bool {
        let text = UnsafeBufferPointer(start: text + begin, count: end - begin)
        switch step {
        case .metaspaceToSpace: return contains(text, metaspace)
        case .replace(let pattern, _): return contains(text, pattern)
        case .form(let form): return UnicodeNormalization.mayChange(text, form)
        case .stripAccents: return text.contains { $0 >= 0x80 }
        default: return true
        }
    }

    /// The text with every `▁` a space.
    static func mappedSpaces(_ text: [UInt8]) -> [UInt8] {
        text.contains(0xE2) ? replacing(metaspace, [0x20], AlignedText(text)).bytes : text
    }

    private static func contains(_ text: UnsafeBufferPointer<UInt8>, _ pattern: [UInt8]) -> Bool {
        guard let first = pattern.first, text.count >= pattern.count else { return false }
        for at in 0...text.count - pattern.count where text[at] == first {
            if pattern.indices.allSatisfy({ text[at + $0] == pattern[$0] }) { return true }
        }
        return false
    }

    private static func replacing(_ pattern: [UInt8], _ replacement: [UInt8], _ text: AlignedText) -> AlignedText {
        guard let first = pattern.first else { return text }
        let bytes = text.bytes
        var matches: [Range<Int>] = []
        var at = 0
        while at + pattern.count <= bytes.count {
            if bytes[at] == first, pattern.indices.allSatisfy({ bytes[at + $0] == pattern[$0] }) {
                matches.append(at..<at + pattern.count)
                at += pattern.count
            } else {
                at += 1
            }
        }
        return replacing(matches, replacement, text)
    }

    private static func replacing(
        _ matches: [Range<Int>], _ replacement: [UInt8], _ text: AlignedText
    ) -> AlignedText {
        guard !matches.isEmpty else { return text }
        var result = AlignedText(from: text)
        var done = 0
        for match in matches {
            result.append(copying: done..<match.lowerBound, of: text)
            result.append(replacement, for: text.lastCharacter(of: match), of: text)
            done = match.upperBound
        }
        result.append(copying: done..<text.count, of: text)
        return result
    }

    private static func collapsing(_ text: AlignedText, _ addsPrefix: Bool) -> AlignedText {
        var result = AlignedText(from: text)
        for at in 0..<text.count {
            if text.bytes[at] == 0x20 && (result.count == 0 || result.bytes.last == 0x20) { continue }
            if result.count == 0 && addsPrefix { result.append([0x20], for: at..<at, of: text) }
            result.append(copying: at..<at + 1, of: text)
        }
        while result.bytes.last == 0x20 { result.removeLast() }
        return result
    }

    // MARK: Scalar by scalar

    private enum Mapped {
        case same
        case none
        case space
    }

    private static func mapping(_ text: AlignedText, _ map: (UInt32) -> Mapped) -> AlignedText {
        var result = AlignedText(from: text)
        UTF8Scalars.forEach(text.bytes) { scalar, range in
            switch map(scalar) {
            case .same: result.append(copying: range, of: text)
            case .none: break
            case .space: result.append([0x20], for: range, of: text)
            }
        }
        return result
    }

    private static func filtering(_ text: AlignedText, _ isKept: (UInt32) -> Bool) -> AlignedText {
        mapping(text) { isKept($0) ? .same : .none }
    }

    private static func nmt(_ scalar: UInt32) -> Mapped {
        switch scalar {
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: .none
        case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: .space
        default: .same
        }
    }

    private static func lowercasing(_ text: AlignedText) -> AlignedText {
        var result = AlignedText(from: text)
        let tables = UnicodeTables.shared
        UTF8Scalars.forEach(text.bytes) { scalar, range in
            guard let parts = tables.lowercase[scalar] else { return result.append(copying: range, of: text) }
            for part in parts { result.append(scalar: part, for: range, of: text) }
        }
        return result
    }

    private static func stripping(_ text: AlignedText, _ left: Bool, _ right: Bool) -> AlignedText {
        var first: Int?
        var end = 0
        UTF8Scalars.forEach(text.bytes) { scalar, range in
            guard !isSpace(scalar) else { return }
            if first == nil { first = range.lowerBound }
            end = range.upperBound
        }
        guard let first else { return AlignedText(from: text) }
        return text.slice((left ? first : 0)..<(right ? end : text.count))
    }

    private static func isSpace(_ scalar: UInt32) -> Bool {
        scalar < 0x110000 && UnicodeClasses.shared[scalar] & UnicodeClasses.space != 0
    }

    // MARK: BERT

    private static func bert(_ text: AlignedText, _ options: Bert) -> AlignedText {
        let tables = UnicodeTables.shared
        var text = text
        if options.cleansText {
            text = mapping(text) { scalar in
                if scalar < 0x110000, tables.flags[scalar] & UnicodeTables.control != 0 { return .none }
                return isSpace(scalar) ? .space : .same
            }
        }
        if options.spacesIdeographs {
            var result = AlignedText(from: text)
            UTF8Scalars.forEach(text.bytes) { scalar, range in
                let isAlone = isIdeograph(scalar)
                if isAlone { result.append([0x20], for: range, of: text) }
                result.append(copying: range, of: text)
                if isAlone { result.append([0x20], for: range, of: text) }
            }
            text = result
        }
        if options.stripsAccents {
            text = filtering(UnicodeNormalization.apply(.nfd, text)) { tables.flags[$0] & UnicodeTables.nonspacing == 0 }
        }
        return options.lowercases ? lowercasing(text) : text
    }

    static func isIdeograph(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}
