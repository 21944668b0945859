internal import GuardCore

/// Bytes of a text that are read as up to two others: what words in disguise are made of. The text that comes out is
/// there before the way back is, which most texts that are read so never need.
struct TextEdits {
    struct Edit {
        var at: Int
        /// Bytes that are read as others; 0 or more.
        var length: Int
        var first: UInt8 = 0
        var second: UInt8 = 0
        /// Bytes of `first` and `second` that stand for them.
        var count: Int
        /// One byte that is read as another one: what stands behind keeps its place in what it was.
        var isChange: Bool { length == 1 && count == 1 }
    }

    /// Ascending, none of them overlap.
    private(set) var list: [Edit] = []
    var isEmpty: Bool { list.isEmpty }

    mutating func append(_ at: Int, _ length: Int, as first: UInt8, _ second: UInt8? = nil) {
        list.append(Edit(at: at, length: length, first: first, second: second ?? 0, count: second == nil ? 1 : 2))
    }

    mutating func drop(_ range: ByteRange) { list.append(Edit(at: range.lowerBound, length: range.count, count: 0)) }

    /// Of a part of a text that begins at `offset`.
    mutating func append(_ part: TextEdits, at offset: Int) {
        for var edit in part.list {
            edit.at += offset
            list.append(edit)
        }
    }

    /// Of a folded text a folded text comes out: nothing but ASCII is put in, and nothing else stands behind it.
    func keepsFold(of text: [UInt8]) -> Bool {
        list.allSatisfy { edit in
            let end = edit.at + edit.length
            return edit.first < 0x80 && edit.second < 0x80 && (end >= text.count || text[end] < 0x80)
        }
    }

    func derived(of text: Span<UInt8>) -> DerivedText {
        var out = DerivedText()
        var kept = 0
        for edit in list {
            out.keep(text, kept..<edit.at)
            kept = edit.at + edit.length
            if edit.isChange {
                out.change(to: edit.first)
            } else {
                out.replace(edit.length, by: [edit.first, edit.second].prefix(edit.count))
            }
        }
        out.keep(text, kept..<text.count)
        return out
    }

    /// The text and the changes of `derived`.
    func read(_ text: [UInt8]) -> (text: [UInt8], changes: [ByteRange]) {
        var changes: [ByteRange] = []
        changes.reserveCapacity(list.count)
        let grown = list.reduce(text.count) { $0 + $1.count - $1.length }
        let out = [UInt8](unsafeUninitializedCapacity: grown) { out, count in
            var kept = 0
            var made = 0
            func keep(_ end: Int) {
                for index in kept..<end { out[made + index - kept] = text[index] }
                made += end - kept
            }
            for edit in list {
                keep(edit.at)
                kept = edit.at + edit.length
                let start = made
                if edit.count > 0 { out[made] = edit.first }
                if edit.count > 1 { out[made + 1] = edit.second }
                made += edit.count
                if let last = changes.last, last.upperBound == start {
                    changes[changes.count - 1] = last.lowerBound..<made
                } else {
                    changes.append(start..<made)
                }
            }
            keep(text.count)
            count = made
        }
        return (out, changes)
    }

    /// The changes of a text but those that one of `others`, made of the same source before, has alike: what is to be
    /// found there alone is found in that one.
    static func changes(
        of one: (text: [UInt8], changes: [ByteRange]), unlike others: [(text: [UInt8], changes: [ByteRange])]
    ) -> [ByteRange] {
        var best: [ByteRange]?
        for other in others where other.text.count == one.text.count && best?.isEmpty != true {
            var different: [ByteRange] = []
            for ranges in [one.changes, other.changes] {
                for change in ranges {
                    for index in change where one.text[index] != other.text[index] {
                        if let last = different.last, last.upperBound == index {
                            different[different.count - 1] = last.lowerBound..<index + 1
                        } else {
                            different.append(index..<index + 1)
                        }
                    }
                }
            }
            if different.count < best?.count ?? .max { best = different }
        }
        guard var best else { return one.changes }
        best.sort { $0.lowerBound < $1.lowerBound }
        var changes: [ByteRange] = []
        for change in best {
            if let last = changes.last, last.upperBound >= change.lowerBound {
                changes[changes.count - 1] = last.lowerBound..<max(last.upperBound, change.upperBound)
            } else {
                changes.append(change)
            }
        }
        return changes
    }
}
