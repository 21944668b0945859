// One pass over a text that says which of many patterns may match in it, and where: a hash filter over fingerprints of
// the required literals of all patterns.
//
// Why it never misses a match. Take a match of pattern P in text T that begins at byte b.
// 1. `RequiredLiterals` of P were extracted so that the match holds one of them, L, with between `before.min` and
//    `before.max` bytes of the match in front of it (no bound: `max` is nil), and goes on behind it as `after` says.
//    What the extraction does not understand makes P unknown, and P is then not in the filter: its owner always runs
//    it. What a lookbehind asks for is an L too; it ends where the lookbehind stands and may begin in front of b. Then
//    the bounds are of the match's bytes in front of L's end (`lead`).
// 2. The filter reads T through `fold`, which maps bytes to bytes: ASCII letters to lower case, digits to `0`, the
//    rest to itself. It maps L's letters and digits alike, so wherever T holds L in any case (and with any digits where
//    L stands for `\d`), folded T holds folded L. That is more than P asks for, never less. A caseless `s` or `k` that
//    T writes as U+017F or U+212A is another byte sequence: the extraction lists it as a literal of its own.
// 3. Of each L four to eight bytes in a row are its fingerprint (the first two or three where it is shorter, with any
//    bytes behind it where those are wanted). The bits of all fingerprints are set in bitmaps, and at every place of
//    folded T the bits of the bytes there are looked up, so no fingerprint in T is passed over; zeros behind T stand in
//    for the bytes that the last places lack. Places whose bit is set are looked up exactly: the literals that have
//    this fingerprint are compared with the text around it.
// 4. An occurrence that begins at byte p has b in [p - before.max, p - before.min], and all bytes from b to p are of
//    `before.bytes`: going back from p until the first byte that is none of them passes b at the latest where it stops.
//    Just that is the window that is entered, so b lies in some window of P. Where the way back meets a window that the
//    same kind of front made, it need not go on: that window begins where its own way back, over the same bytes and
//    from further left, stopped. Where the bytes behind L cannot be those that follow it in a match, this occurrence is
//    not the one of the match, and no window is entered; nor where a byte stands in front of L that an assertion there
//    refuses, or that is none of `before.bytes` though the match holds a byte there.
// 5. A required run of n bytes of a set lies in a run of bytes that are of any of the sets and at least as long as the
//    shortest that is asked for; those are found in one pass, by bit masks. Every run of at least n bytes of the set
//    itself covers one of any n places in a row, so to look at every n-th byte there finds all of them; the match's
//    begin follows as in 4.
// 6. Where matches in a part of T only are looked for, L lies in it, but for its lead; its surroundings are read as T
//    has them.
// A pattern without a window therefore has no match, and the leftmost match of one with windows is the first that is
// found going through its windows in order. PCRE2 always sees the whole text, so lookbehind and lookahead see what they
// would.
//
// Why hashes and no automaton: each step of an automaton waits for the state before it and reads a table that outgrows
// the caches with the number of literals; fingerprints are independent of one another, and the bitmap stays small.

/// Finds where patterns may match by literals that their matches hold.
package struct LiteralFilter: Sendable {
    /// Number of patterns, known ones or not.
    package let patternCount: Int
    /// Patterns of which nothing is known, ascending: these always run.
    package let unknown: [UInt32]
    package var isEmpty: Bool { literals.isEmpty && runs.isEmpty }

    private struct Output: Sendable, Hashable {
        var pattern: UInt32
        /// Index in `fronts`.
        var front: Int32
        /// In `tails`; -1: none.
        var tail: Int32
        var lead: Int32
        /// Bit in `previous`; -1: any byte may stand in front.
        var previous: Int8
    }

    private struct Literal: Sendable {
        /// In `pool`.
        var start: UInt32
        var count: UInt32
        var outputs: Range<UInt32>
    }

    private let literals: [Literal]
    private let pool: [UInt8]
    private let outputs: [Output]
    /// The kinds of what comes before literals; few, however many literals there are.
    private let fronts: [RequiredLiterals.Front]
    private let tails: TailSet
    /// By byte: of which sets that may stand in front of literals it is.
    private let previous: [UInt64]
    /// The most that literals lie in front of their matches.
    private let leadMax: Int
    private let prints: FingerprintTable

    private let runs: [Run]
    private let runFinder: RunFinder
    /// Bit n of a byte: it is of the n-th kind of run.
    private let runBytes: [UInt64]

    private struct Run: Sendable {
        var pattern: UInt32
        var bit: UInt64
        var length: Int
        var before: LengthRange
    }

    /// Literals of one pattern beyond this many: it runs always.
    private static let literalsMax = 8192
    /// How far the way back goes before it gives up and takes what the lengths say.
    private static let wayBackMax = 512

    /// What bytes of the text and of literals are read as.
    package static func fold(_ byte: UInt8) -> UInt8 {
        if byte &- 0x41 < 26 { return byte | 0x20 }
        return byte &- 0x30 < 10 ? 0x30 : byte
    }

    /// - Parameters:
    ///   - patterns: what is known of each; its place is the pattern's number.
    ///   - usesVectors: off for tests that compare.
    package init(_ patterns: [RequiredLiterals], usesVectors: Bool = true) {
        patternCount = patterns.count
        var unknown: [UInt32] = []
        var runs: [Run] = []
        var kinds: [ByteSet] = []
        var fronts: [RequiredLiterals.Front] = []
        var frontNumbers: [RequiredLiterals.Front: Int32] = [:]
        var tails = TailSet()
        var previous: [ByteSet] = []
        var leadMax = 0
        var places: [[UInt8]: Int] = [:]
        var found: [(bytes: [UInt8], outputs: [Output])] = []
        for (number, pattern) in patterns.enumerated() {
            let number = UInt32(truncatingIfNeeded: number)
            if let run = pattern.run, run.length > 0, kinds.count < 64 || kinds.contains(run.bytes) {
                let kind = kinds.firstIndex(of: run.bytes) ?? kinds.count
                if kind == kinds.count { kinds.append(run.bytes) }
                runs.append(
                    Run(pattern: number, bit: 1 << UInt64(kind), length: run.length, before: run.before.length))
                continue
            }
            guard !pattern.any.isEmpty, pattern.any.count <= Self.literalsMax,
                pattern.any.allSatisfy({ !$0.bytes.isEmpty })
            else {
                unknown.append(number)
                continue
            }
            for literal in pattern.any {
                let front = frontNumbers[literal.before] ?? Int32(truncatingIfNeeded: fronts.count)
                if front == fronts.count {
                    frontNumbers[literal.before] = front
                    fronts.append(literal.before)
                }
                // What stands in front of a literal inside a match is of the match.
                let isInside = literal.lead == 0 && literal.before.length.min > 0
                let own = isInside ? literal.previous.intersection(literal.before.bytes) : literal.previous
                if own != .all, !previous.contains(own), previous.count < UInt64.bitWidth { previous.append(own) }
                leadMax = max(leadMax, literal.lead)
                let output = Output(
                    pattern: number, front: front, tail: tails.add(literal.after),
                    lead: Int32(truncatingIfNeeded: literal.lead),
                    previous: Int8(truncatingIfNeeded: previous.firstIndex(of: own) ?? -1))
                if let place = places[literal.bytes] {
                    found[place].outputs.append(output)
                } else {
                    places[literal.bytes] = found.count
                    found.append((literal.bytes, [output]))
                }
            }
        }
        self.runs = runs
        runFinder = RunFinder(
            runs.map { (bytes: kinds[$0.bit.trailingZeroBitCount], length: $0.length) }, usesVectors: usesVectors)
        runBytes = (0...255).map { byte in
            kinds.enumerated().reduce(0) { $1.element.contains(UInt8(byte)) ? $0 | 1 << UInt64($1.offset) : $0 }
        }
        self.fronts = fronts
        self.tails = tails
        self.previous = (0...255).map { byte in
            previous.enumerated().reduce(0) { $1.element.contains(UInt8(byte)) ? $0 | 1 << UInt64($1.offset) : $0 }
        }
        self.leadMax = leadMax
        self.unknown = unknown

        var literals: [Literal] = []
        var pool: [UInt8] = []
        var outputs: [Output] = []
        for (bytes, own) in found {
            // In the order of patterns, each once.
            let own = Set(own).sorted {
                ($0.pattern, $0.front, $0.tail, $0.previous, $0.lead)
                    < ($1.pattern, $1.front, $1.tail, $1.previous, $1.lead)
            }
            literals.append(
                Literal(
                    start: UInt32(truncatingIfNeeded: pool.count), count: UInt32(truncatingIfNeeded: bytes.count),
                    outputs: UInt32(
                        truncatingIfNeeded: outputs.count)..<UInt32(
                            truncatingIfNeeded: outputs.count + own.count)))
            pool += bytes
            outputs += own
        }
        prints = FingerprintTable(found.map(\.bytes), usesVectors: usesVectors)
        self.literals = literals
        self.pool = pool
        self.outputs = outputs
    }

    /// Enters the windows of all patterns whose literals or runs `text` holds. Patterns of `unknown` are not entered.
    ///
    /// - Parameter range: where in `text` matches lie that are looked for; all of it if `nil`.
    package func scan(_ text: Span<UInt8>, within range: Range<Int>? = nil, into candidates: inout CandidateSet) {
        candidates.reset(patterns: patternCount)
        let range = (range ?? 0..<text.count).clamped(to: 0..<text.count)
        if isEmpty || range.isEmpty { return }
        // Moved out, so that windows can be entered meanwhile.
        var folded = [UInt8]()
        var masks = [UInt64]()
        swap(&folded, &candidates.folded)
        swap(&masks, &candidates.masks)
        text.withUnsafeBufferPointer { text in
            // Literals of lookbehinds may stand in front of the matches.
            let from = max(0, range.lowerBound - leadMax)
            let part = UnsafeBufferPointer(rebasing: text[from..<range.upperBound])
            let isASCII = Self.fold(part, into: &folded)
            candidates.tails.begin(isASCII: isASCII && range.upperBound == text.count)
            folded.withUnsafeBufferPointer { folded in
                let scope = Scope(text: text, range: range, from: from)
                if !runs.isEmpty {
                    runFinder.forEachRun(in: folded, count: part.count, &masks) { found in
                        for run in runs where run.length <= found.count { find(run, found, scope, &candidates) }
                    }
                }
                if !literals.isEmpty { findLiterals(folded, part.count, scope, &masks, &candidates) }
            }
        }
        swap(&folded, &candidates.folded)
        swap(&masks, &candidates.masks)
    }

    /// What a scan reads.
    private struct Scope {
        let text: UnsafeBufferPointer<UInt8>
        /// Where matches lie.
        let range: Range<Int>
        /// Where the folded bytes begin.
        let from: Int
    }

    /// Folded, and zeros behind. Says whether it is ASCII.
    private static func fold(_ text: UnsafeBufferPointer<UInt8>, into folded: inout [UInt8]) -> Bool {
        let wanted = text.count + FingerprintTable.padding
        if folded.count < wanted { folded = [UInt8](repeating: 0, count: max(wanted, 2 * folded.count)) }
        return folded.withUnsafeMutableBufferPointer { folded in
            // Branch-free, so that the loop is vectorised; so is the one below, by itself.
            for index in 0..<text.count {
                let byte = text[index]
                let lower = byte | (byte &- 0x41 < 26 ? 0x20 : 0)
                folded[index] = byte &- 0x30 < 10 ? 0x30 : lower
            }
            for index in text.count..<wanted { folded[index] = 0 }
            var all: UInt8 = 0
            for byte in text { all |= byte }
            return all < 0x80
        }
    }

    /// - Parameter folded: `FingerprintTable.padding` bytes longer than `count`.
    private func findLiterals(
        _ folded: UnsafeBufferPointer<UInt8>, _ count: Int, _ scope: Scope, _ masks: inout [UInt64],
        _ candidates: inout CandidateSet
    ) {
        guard let base = folded.baseAddress, folded.count >= count + FingerprintTable.padding else { return }
        let words = FingerprintTable.partBytes / 64
        if masks.count < 2 * words { masks = [UInt64](repeating: 0, count: 2 * words) }
        masks.withUnsafeMutableBufferPointer { masks in
            guard let long = masks.baseAddress else { return }
            let short = long + words
            // In parts, so that the masks stay in the cache.
            var start = 0
            while start < count {
                let length = min(count - start, FingerprintTable.partBytes)
                prints.places(in: base + start, count: length, long, short)
                for word in 0..<(length + 63) / 64 {
                    var mask = long[word] | short[word]
                    while mask != 0 {
                        let bit = mask & (0 &- mask)
                        let place = start + 64 * word + mask.trailingZeroBitCount
                        mask &= mask &- 1
                        if long[word] & bit != 0 {
                            prints.forEachLong(at: place, in: base) {
                                look($0, $1, base, count, scope, &candidates)
                            }
                        }
                        if short[word] & bit != 0 {
                            prints.forEachShort(at: place, in: base) {
                                look($0, $1, base, count, scope, &candidates)
                            }
                        }
                    }
                }
                start += length
            }
        }
    }

    /// Enters what literal `number` is of, if it begins at byte `start` of the folded bytes. Its fingerprint, and as many
    /// bytes around it as an entry holds, are known to stand there.
    private func look(
        _ number: Int, _ start: Int, _ folded: UnsafePointer<UInt8>, _ count: Int, _ scope: Scope,
        _ candidates: inout CandidateSet
    ) {
        let literal = literals[number]
        let length = Int(literal.count)
        guard start >= 0, start + length <= count else { return }
        if length > FingerprintTable.entryBytes {
            let first = Int(literal.start)
            for index in 0..<length where folded[start + index] != pool[first + index] { return }
        }
        let start = start + scope.from
        let end = start + length
        let previousBits = start > 0 ? previous[Int(scope.text[start - 1])] : .max
        for index in literal.outputs {
            let output = outputs[Int(index)]
            if output.previous >= 0, previousBits >> UInt64(output.previous) & 1 == 0 { continue }
            if output.tail >= 0 {
                if end < scope.text.count, !tails.mayBegin(output.tail, scope.text[end]) { continue }
                guard tails.holds(output.tail, scope.text, at: end, &candidates.tails) else { continue }
            }
            enter(output, start + Int(output.lead), scope, &candidates)
        }
    }

    /// - Parameter place: behind what `Output.front` says.
    private func enter(_ output: Output, _ place: Int, _ scope: Scope, _ candidates: inout CandidateSet) {
        let text = scope.text
        let front = fronts[Int(output.front)]
        let high = min(place - front.length.min, scope.range.upperBound - 1)
        // The text is too short in front of the literal.
        if high < scope.range.lowerBound { return }
        let floor = max(scope.range.lowerBound, front.length.max.map { place - $0 } ?? 0)
        var low = place
        if front.bytes == .all {
            low = floor
        } else {
            let stop = max(floor, place - Self.wayBackMax)
            var window = candidates.lastWindow(of: output.pattern, front: output.front)
            // Made by a literal that begins later: its way back may have been cut further right.
            if let known = window, known.high + front.length.min > place { window = nil }
            while low > stop, front.bytes.contains(text[low - 1]) {
                low -= 1
                if let window, low <= window.high {
                    low = min(low, window.low)
                    break
                }
            }
            if low == stop, low > floor, front.bytes.contains(text[low - 1]) { low = floor }
        }
        if low <= high { candidates.insert(output.pattern, low, high, front: output.front) }
    }

    /// - Parameter found: of the folded bytes; no run of such bytes goes beyond it.
    private func find(_ run: Run, _ found: Range<Int>, _ scope: Scope, _ candidates: inout CandidateSet) {
        let text = scope.text
        let range = found.lowerBound + scope.from..<found.upperBound + scope.from
        var index = range.lowerBound + run.length - 1
        while index < range.upperBound {
            guard runBytes[Int(text[index])] & run.bit != 0 else {
                index += run.length
                continue
            }
            var start = index
            while start > range.lowerBound, runBytes[Int(text[start - 1])] & run.bit != 0 { start -= 1 }
            var end = index + 1
            while end < range.upperBound, runBytes[Int(text[end])] & run.bit != 0 { end += 1 }
            let high = end - run.length - run.before.min
            if end - start >= run.length, high >= scope.range.lowerBound {
                let low = run.before.max.map { start - $0 } ?? 0
                candidates.insert(run.pattern, max(scope.range.lowerBound, low), high)
            }
            // `end` is no such byte.
            index = end + run.length
        }
    }
}
