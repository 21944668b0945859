internal import GuardCore

/// Where a further reading of a text is judged: around what it changed. All else has been judged in the folded text.
enum ChangedStretches {
    /// A match that has or borders a change lies within so many bytes before it and behind it (or behind changes that
    /// are no further apart), or does not count.
    static let leadBytes = 256
    static let trailBytes = 512
    /// Of words in disguise.
    static let wordLeadBytes = 128
    static let wordTrailBytes = 256

    /// What is near a change of every set; all of `text` if there is no set.
    ///
    /// - Parameter isOfWords: only words in disguise were changed.
    /// - Returns: ranges of `text` on character boundaries, ascending and apart.
    static func of(_ changes: [[ByteRange]], in text: [UInt8], isOfWords: Bool) -> [ByteRange] {
        let (leadBytes, trailBytes) = isOfWords ? (wordLeadBytes, wordTrailBytes) : (leadBytes, trailBytes)
        guard let first = changes.first else { return text.isEmpty ? [] : [0..<text.count] }
        var stretches = around(first, text.count, leadBytes, trailBytes)
        for set in changes.dropFirst() where !stretches.isEmpty {
            stretches = common(stretches, around(set, text.count, leadBytes, trailBytes))
        }
        var found: [ByteRange] = []
        found.reserveCapacity(stretches.count)
        for stretch in stretches {
            var (low, high) = (stretch.lowerBound, stretch.upperBound)
            while low > 0, low < text.count, text[low] & 0xC0 == 0x80 { low -= 1 }
            while high < text.count, text[high] & 0xC0 == 0x80 { high += 1 }
            if let last = found.last, low <= last.upperBound {
                found[found.count - 1] = last.lowerBound..<high
            } else if low < high {
                found.append(low..<high)
            }
        }
        return found
    }

    /// What a reading of a reading is made of: what the last step changed, so many bytes on both sides and the rest of
    /// the words there.
    static let nearBytes = 64
    private static let wordBytes = 1024

    /// Ranges of `text`, ascending and apart; all of it if nothing was changed yet.
    static func near(_ changes: [ByteRange]?, in text: [UInt8]) -> [ByteRange] {
        guard let changes else { return [0..<text.count] }
        var found: [ByteRange] = []
        for change in around(changes, text.count, nearBytes, nearBytes) {
            var (low, high) = (change.lowerBound, change.upperBound)
            let (floor, top) = (max(found.last?.upperBound ?? 0, low - wordBytes), min(text.count, high + wordBytes))
            if high <= floor { continue }
            low = max(low, floor)
            while low > floor, !TextDecoder.isSpace(text[low - 1]) { low -= 1 }
            while high < top, !TextDecoder.isSpace(text[high]) { high += 1 }
            while low > floor, low < text.count, text[low] & 0xC0 == 0x80 { low -= 1 }
            while high < text.count, text[high] & 0xC0 == 0x80 { high += 1 }
            if let last = found.last, low <= last.upperBound {
                found[found.count - 1] = last.lowerBound..<high
            } else {
                found.append(low..<high)
            }
        }
        return found
    }

    private static func around(_ changes: [ByteRange], _ count: Int, _ lead: Int, _ trail: Int) -> [ByteRange] {
        var found: [ByteRange] = []
        for change in changes {
            let low = max(0, change.lowerBound - lead)
            let high = min(count, change.upperBound + trail)
            if let last = found.last, low <= last.upperBound {
                found[found.count - 1] = last.lowerBound..<max(high, last.upperBound)
            } else if low < high {
                found.append(low..<high)
            }
        }
        return found
    }

    private static func common(_ left: [ByteRange], _ right: [ByteRange]) -> [ByteRange] {
        var found: [ByteRange] = []
        var (one, other) = (0, 0)
        while one < left.count, other < right.count {
            let low = max(left[one].lowerBound, right[other].lowerBound)
            let high = min(left[one].upperBound, right[other].upperBound)
            if low < high { found.append(low..<high) }
            if left[one].upperBound < right[other].upperBound { one += 1 } else { other += 1 }
        }
        return found
    }

    /// Whether one of `changes`, ascending and apart, has a byte of `range` or borders it.
    static func touch(_ changes: [ByteRange], _ range: ByteRange) -> Bool { !touched(changes, range).isEmpty }

    /// Those of `ranges`, ascending and apart, that have a byte of `range` or border it.
    static func touched(_ ranges: [ByteRange], _ range: ByteRange) -> ArraySlice<ByteRange> {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < range.lowerBound { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < ranges.count, ranges[end].lowerBound <= range.upperBound { end += 1 }
        return ranges[low..<end]
    }
}
