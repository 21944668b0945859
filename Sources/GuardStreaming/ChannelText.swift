import GuardCore
import GuardMatching
import GuardRules

/// The part of a channel's text that is still needed, raw and folded: what is held, and as much before it as a pattern
/// may look behind. All offsets are absolute (from the channel's begin), so dropping earlier text moves nothing.
struct ChannelText {
    private(set) var raw: [UInt8] = []
    /// Absolute offset of `raw[0]`.
    private(set) var rawBase = 0
    /// Absolute end of whole characters; at most three bytes of an incomplete one lie behind.
    private(set) var end = 0

    private(set) var folded: [UInt8] = []
    private(set) var foldedBase = 0
    private var sources: [Source] = []
    private var folder = FoldedView()
    private let folds: Bool

    /// The raw character that a folded byte came from.
    private struct Source {
        var start: Int
        var length: Int
    }

    init(folds: Bool) { self.folds = folds }

    var foldedEnd: Int { foldedBase + folded.count }
    /// Absolute end of all bytes, the incomplete character included.
    var rawEnd: Int { rawBase + raw.count }

    /// Returns the offset of the first byte that cannot be UTF-8, or `nil`. Text from there on is not read.
    mutating func append(_ bytes: Span<UInt8>) -> Int? {
        let start = end
        bytes.withUnsafeBufferPointer { raw.append(contentsOf: $0) }
        var broken: Int?
        switch UTF8Scan.validate(raw.span, from: start - rawBase) {
        case .valid(let validEnd): end = rawBase + validEnd
        case .invalid(let offset):
            broken = rawBase + offset
            end = rawBase + offset
        }
        if folds, end > start { fold(start..<end) }
        return broken
    }

    private mutating func fold(_ range: ByteRange) {
        // Moved out, so that `raw` can be read meanwhile.
        var folder = FoldedView()
        swap(&folder, &self.folder)
        defer { swap(&folder, &self.folder) }
        folder.removeAll(keepingPlace: true)
        folder.append(raw.span.extracting((range.lowerBound - rawBase)..<(range.upperBound - rawBase)))
        let text = folder.text
        folded.append(contentsOf: text)
        let isASCII =
            text.count == range.count && text.allSatisfy { $0 < 0x80 }
            && raw[(range.lowerBound - rawBase)..<(range.upperBound - rawBase)].allSatisfy { $0 < 0x80 }
        for index in text.indices {
            if isASCII {
                sources.append(Source(start: range.lowerBound + index, length: 1))
            } else {
                let start = folder.rawStart(of: index)
                sources.append(
                    Source(start: range.lowerBound + start, length: max(1, folder.rawEnd(of: index + 1) - start)))
            }
        }
    }

    /// Raw offset of the character that folded offset `offset` lies in; the raw end at the folded end.
    func rawStart(ofFolded offset: Int) -> Int {
        let index = offset - foldedBase
        return index < sources.count ? sources[index].start : end
    }

    /// The raw characters that a folded match covers.
    func rawRange(ofFolded range: ByteRange) -> ByteRange {
        let start = rawStart(ofFolded: range.lowerBound)
        let last = range.upperBound - 1 - foldedBase
        guard last >= 0, last < sources.count else { return start..<max(start, end) }
        return start..<max(start, sources[last].start + sources[last].length)
    }

    /// Folded length of the raw prefix that ends at character boundary `offset`.
    func foldedEnd(ofRawPrefix offset: Int) -> Int {
        guard offset < end else { return foldedEnd }
        var low = 0
        var high = sources.count
        while low < high {
            let middle = (low + high) / 2
            if sources[middle].start < offset { low = middle + 1 } else { high = middle }
        }
        return foldedBase + low
    }

    /// The first character boundary at or behind `offset`, at most `end`.
    func boundary(atOrAfter offset: Int) -> Int {
        var at = min(max(offset, rawBase), end)
        while at < end, raw[at - rawBase] & 0xC0 == 0x80 { at += 1 }
        return at
    }

    func bytes(_ range: ByteRange) -> ArraySlice<UInt8> {
        let low = min(max(range.lowerBound - rawBase, 0), raw.count)
        let high = min(max(range.upperBound - rawBase, low), raw.count)
        return raw[low..<high]
    }

    /// Drops text that lies further than the given numbers of characters before the given offsets, once what lies before
    /// them is more than half of what is kept and much more than those characters: amortised, each byte is moved, and
    /// looked at for them, a constant number of times.
    mutating func discard(rawBefore: Int, lookbehind: Int, foldedBefore: Int, foldedLookbehind: Int) {
        // What a mask of a folded rule writes is raw text, of groups in what its pattern looked behind at, too.
        let needed = folds ? min(rawBefore, sources.first?.start ?? end) : rawBefore
        let rawIndex = min(max(needed - rawBase, 0), raw.count)
        if rawIndex >= 512 + 4 * lookbehind, rawIndex > raw.count / 2 {
            let keep = UTF8Scan.offset(in: raw.span, before: rawIndex, characters: lookbehind)
            raw.removeFirst(keep)
            rawBase += keep
        }
        let foldedIndex = min(max(foldedBefore - foldedBase, 0), folded.count)
        if foldedIndex >= 512 + 4 * foldedLookbehind, foldedIndex > folded.count / 2 {
            let keep = UTF8Scan.offset(in: folded.span, before: foldedIndex, characters: foldedLookbehind)
            folded.removeFirst(keep)
            sources.removeFirst(keep)
            foldedBase += keep
        }
    }
}
