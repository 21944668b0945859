/// Rewrites a stretch of text before it is cut into pieces.
///
/// `▁` (U+2581), which SentencePiece-style files put in place of spaces, is a space everywhere in this module: the
/// loaders map the vocabulary, and `metaspaceToSpace` maps what little text has a `▁` of its own. A file's
/// `Replace " " -> "▁"` then needs no work at all.
struct Normalizer: Sendable {
    enum Step: Sendable, Hashable {
        case prepend([UInt8])
        case replace([UInt8], with: [UInt8])
        /// Unicode normalization form C.
        case nfc
        case metaspaceToSpace
        /// SentencePiece's `remove_extra_whitespaces`: no space at the ends, no two in a row; then the dummy prefix.
        case collapseSpaces(addsPrefix: Bool)
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

    func apply(_ text: [UInt8]) -> [UInt8] {
        var text = text
        for step in steps where !text.isEmpty {
            switch step {
            case .prepend(let prefix): text = prefix + text
            case .replace(let pattern, let replacement): text = Self.replacing(pattern, replacement, text)
            case .metaspaceToSpace: text = Self.replacing(Self.metaspace, [0x20], text)
            case .nfc: text = UnicodeNormalization.nfc(text)
            case .collapseSpaces(let addsPrefix): text = Self.collapsing(text, addsPrefix)
            }
        }
        return text
    }

    private static func changes(_ step: Step, _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> Bool {
        let text = UnsafeBufferPointer(start: text + begin, count: end - begin)
        switch step {
        case .metaspaceToSpace: return contains(text, metaspace)
        case .replace(let pattern, _): return contains(text, pattern)
        case .nfc: return UnicodeNormalization.mayChange(text)
        case .prepend, .collapseSpaces: return true
        }
    }

    private static func contains(_ text: UnsafeBufferPointer<UInt8>, _ pattern: [UInt8]) -> Bool {
        guard let first = pattern.first, text.count >= pattern.count else { return false }
        for at in 0...text.count - pattern.count where text[at] == first {
            if pattern.indices.allSatisfy({ text[at + $0] == pattern[$0] }) { return true }
        }
        return false
    }

    private static func replacing(_ pattern: [UInt8], _ replacement: [UInt8], _ text: [UInt8]) -> [UInt8] {
        guard let first = pattern.first else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var at = 0
        while at < text.count {
            if text[at] == first, text.count - at >= pattern.count,
                pattern.indices.allSatisfy({ text[at + $0] == pattern[$0] })
            {
                result += replacement
                at += pattern.count
            } else {
                result.append(text[at])
                at += 1
            }
        }
        return result
    }

    private static func collapsing(_ text: [UInt8], _ addsPrefix: Bool) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count + 1)
        for byte in text {
            if byte == 0x20 && (result.isEmpty || result.last == 0x20) { continue }
            result.append(byte)
        }
        while result.last == 0x20 { result.removeLast() }
        return addsPrefix && !result.isEmpty ? [0x20] + result : result
    }
}
