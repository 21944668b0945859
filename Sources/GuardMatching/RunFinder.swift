internal import CTextScan

/// Finds where runs of bytes of many kinds may be, in one pass: the runs of bytes that are of any kind, if they are long
/// enough for the shortest.
struct RunFinder: Sendable {
    /// At least so many bytes in a row are found; a power of two, or zero if there is nothing to find.
    private let length: Int
    /// By folded byte: whether it is of some kind.
    private let isMember: [UInt8]
    /// As `guard_members_avx2` says.
    private let rows: [UInt8]
    private let usesVectors: Bool

    /// - Parameter runs: the bytes of each kind and how many in a row are looked for.
    init(_ runs: [(bytes: ByteSet, length: Int)], usesVectors: Bool = true) {
        self.usesVectors = usesVectors && guard_has_avx2() != 0
        let least = runs.lazy.map(\.length).min() ?? 0
        var length = 0
        for power in [1, 2, 4, 8, 16, 32, 64] where power <= least { length = power }
        self.length = length
        var isMember = [UInt8](repeating: 0, count: 256)
        var rows = [UInt8](repeating: 0, count: 32)
        for byte in UInt8(0)...255 where runs.contains(where: { $0.bytes.contains(byte) }) {
            let byte = LiteralFilter.fold(byte)
            isMember[Int(byte)] = 1
            rows[Int(byte >> 7) << 4 | Int(byte & 15)] |= 1 << (byte >> 4 & 7)
        }
        self.isMember = isMember
        self.rows = rows
    }

    /// Calls `body` with what may be runs, ascending and apart; each run that is long enough lies wholly in one.
    ///
    /// - Parameters:
    ///   - text: folded, with `FingerprintTable.padding` readable bytes behind it.
    ///   - masks: scratch memory.
    func forEachRun(
        in text: UnsafeBufferPointer<UInt8>, count: Int, _ masks: inout [UInt64], _ body: (Range<Int>) -> Void
    ) {
        let words = (count + 63) / 64
        guard length > 0, count >= length, text.count >= count + FingerprintTable.padding, let base = text.baseAddress
        else { return }
        // And a word of zeros behind.
        if masks.count < words + 1 { masks = [UInt64](repeating: 0, count: 2 * words + 1) }
        masks.withUnsafeMutableBufferPointer { masks in
            guard let first = masks.baseAddress else { return }
            if usesVectors {
                rows.withUnsafeBufferPointer { guard_members_avx2($0.baseAddress, base, count, first) }
            } else {
                isMember.withUnsafeBufferPointer { guard_members($0.baseAddress, base, count, first) }
            }
            masks[words] = 0
            var end = 0
            for word in 0..<words {
                // Bits whose byte and the next `length - 1` are members.
                var starts = masks[word]
                var behind = masks[word + 1]
                var step = 1
                while step < length, starts != 0 {
                    starts &= starts &>> step | behind &<< (64 &- step)
                    behind &= behind &>> step
                    step *= 2
                }
                while starts != 0 {
                    let start = 64 * word + starts.trailingZeroBitCount
                    if start >= end {
                        end = Self.end(masks, from: start)
                        body(start..<end)
                    }
                    // None begins before the end of one that was found.
                    let next = end - 64 * word
                    starts = next < 64 ? starts & (UInt64.max &<< UInt64(next)) : 0
                }
            }
        }
    }

    /// Where the members from `start` on end; a word of zeros is the last.
    private static func end(_ masks: UnsafeMutableBufferPointer<UInt64>, from start: Int) -> Int {
        var word = start >> 6
        var others = ~masks[word] & (UInt64.max &<< UInt64(start & 63))
        while others == 0, word + 1 < masks.count {
            word += 1
            others = ~masks[word]
        }
        return 64 * word + others.trailingZeroBitCount
    }
}
