// One pass over a text that says which of many patterns may match in it, and where: an Aho-Corasick automaton over the
// required literals of all patterns.
//
// Why it never misses a match. Take a match of pattern P in text T that begins at byte b.
// 1. `RequiredLiterals` of P were extracted so that the match holds one of them, L, with between `before.min` and
//    `before.max` bytes of the match in front of it (no bound: `max` is nil). What the extraction does not understand
//    makes P unknown, and P is then not in the automaton: its owner always runs it.
// 2. The automaton reads T through `fold`, which maps bytes to bytes: ASCII letters to lower case, digits to `0`, the
//    rest to itself. It maps L's letters and digits alike, so wherever T holds L in any case (and with any digits where L
//    stands for `\d`), folded T holds folded L. That is more than P asks for, never less. A caseless `s` or `k` that T
//    writes as U+017F or U+212A is another byte sequence: the extraction lists it as a literal of its own.
// 3. An Aho-Corasick automaton reports every occurrence of every literal: after each byte its state is the longest suffix
//    of what was read that is a prefix of a literal, and `outputs` of a state holds the literals that end there, those of
//    its failure chain included.
//    The lanes of a long text each begin a literal's length before their part, so no occurrence is cut.
// 4. An occurrence that ends at byte e began at p = e - |L|, so b lies in [p - before.max, p - before.min], and all bytes
//    from b to p are of `before.bytes`: going back from p until the first byte that is none of them passes b at the latest
//    where it stops. Just that is the window that is entered, so b lies in some window of P. Where the way back meets a
//    window that the same kind of front made, it need not go on: that window begins where its own way back, over the same
//    bytes and from further left, stopped.
// 5. A required run of n bytes of a set: every run of at least n such bytes covers one of any n places in a row, so to look
//    at every n-th byte finds all of them; the match's begin follows as in 4.
// A pattern without a window therefore has no match, and the leftmost match of one with windows is the first that is found
// going through its windows in order. PCRE2 always sees the whole text, so lookbehind and lookahead see what they would.

/// An Aho-Corasick automaton in one table: bytes are mapped to classes, states to rows.
package struct LiteralAutomaton: Sendable {
    /// Number of patterns, known ones or not.
    package let patternCount: Int
    /// Patterns of which nothing is known, ascending: these always run.
    package let unknown: [UInt32]
    package var stateCount: Int { table.count >> shift }
    package var isEmpty: Bool { outputs.isEmpty && runs.isEmpty }

    /// Class of each byte; 0: in no literal.
    private let classes: [UInt8]
    /// Next state by `state << shift | class`.
    private let table: [UInt16]
    private let shift: Int
    /// States from here on end a literal.
    private let firstMatching: UInt16
    /// End in `outputs` for each state from `firstMatching` on.
    private let outputEnds: [UInt32]
    private let outputs: [Output]

    private struct Output: Sendable, Hashable {
        var pattern: UInt32
        /// Bytes of the literal.
        var length: UInt32
        /// Index in `fronts`.
        var front: Int32
    }

    /// The kinds of what comes before literals; few, however many literals there are.
    private let fronts: [RequiredLiterals.Front]
    private let runs: [Run]
    /// Bit n of a byte: it is of the n-th kind of run.
    private let runBytes: [UInt64]
    private let literalBytesMax: Int

    private struct Run: Sendable {
        var pattern: UInt32
        var bit: UInt64
        var length: Int
        var before: LengthRange
    }

    private static let statesMax = 60_000
    /// How far the way back goes before it gives up and takes what the lengths say.
    private static let wayBackMax = 512

    /// What bytes of the text and of literals are read as.
    package static func fold(_ byte: UInt8) -> UInt8 {
        if byte &- 0x41 < 26 { return byte | 0x20 }
        return byte &- 0x30 < 10 ? 0x30 : byte
    }

    /// - Parameter patterns: what is known of each; its place is the pattern's number.
    package init(_ patterns: [RequiredLiterals]) {
        patternCount = patterns.count
        var unknown: [UInt32] = []
        var runs: [Run] = []
        var kinds: [ByteSet] = []
        var fronts: [RequiredLiterals.Front] = []
        var frontNumbers: [RequiredLiterals.Front: Int32] = [:]
        var literalBytesMax = 0
        var classes = [UInt8](repeating: 0, count: 256)
        var classCount = 1
        for pattern in patterns {
            for literal in pattern.any {
                for byte in literal.bytes where classes[Int(byte)] == 0 {
                    classes[Int(byte)] = UInt8(truncatingIfNeeded: classCount)
                    classCount += 1
                }
            }
        }
        // 255 classes at most: folding leaves 221 distinct bytes.
        for byte in 0...255 { classes[byte] = classes[Int(Self.fold(UInt8(byte)))] }
        var shift = 0
        while 1 << shift < classCount { shift += 1 }
        let width = 1 << shift

        // The trie; 0 is the root and "no child".
        var trie = [UInt16](repeating: 0, count: width)
        var ends: [Int: [Output]] = [:]
        for (number, pattern) in patterns.enumerated() {
            if let run = pattern.run, run.length > 0, kinds.count < 64 || kinds.contains(run.bytes) {
                let kind = kinds.firstIndex(of: run.bytes) ?? kinds.count
                if kind == kinds.count { kinds.append(run.bytes) }
                runs.append(
                    Run(
                        pattern: UInt32(truncatingIfNeeded: number), bit: 1 << UInt64(kind), length: run.length,
                        before: run.before.length))
                continue
            }
            let bytes = pattern.any.reduce(0) { $0 + $1.bytes.count }
            guard !pattern.any.isEmpty, pattern.any.allSatisfy({ !$0.bytes.isEmpty }),
                trie.count / width + bytes < Self.statesMax
            else {
                unknown.append(UInt32(truncatingIfNeeded: number))
                continue
            }
            for literal in pattern.any {
                var state = 0
                for byte in literal.bytes {
                    let slot = state << shift | Int(classes[Int(byte)])
                    if trie[slot] == 0 {
                        trie[slot] = UInt16(trie.count >> shift)
                        trie += repeatElement(0, count: width)
                    }
                    state = Int(trie[slot])
                }
                let front: Int32
                if let known = frontNumbers[literal.before] {
                    front = known
                } else {
                    front = Int32(truncatingIfNeeded: fronts.count)
                    frontNumbers[literal.before] = front
                    fronts.append(literal.before)
                }
                literalBytesMax = max(literalBytesMax, literal.bytes.count)
                ends[state, default: []].append(
                    Output(
                        pattern: UInt32(truncatingIfNeeded: number),
                        length: UInt32(truncatingIfNeeded: literal.bytes.count), front: front))
            }
        }
        self.runs = runs
        runBytes = (0...255).map { byte in
            kinds.enumerated().reduce(0) { $1.element.contains(UInt8(byte)) ? $0 | 1 << UInt64($1.offset) : $0 }
        }
        self.fronts = fronts
        self.literalBytesMax = literalBytesMax
        self.unknown = unknown

        // Breadth first: a state's failure state is complete before the state itself.
        let count = trie.count >> shift
        var failure = [UInt16](repeating: 0, count: count)
        var queue: [Int] = []
        queue.reserveCapacity(count)
        for symbol in 0..<width where trie[symbol] != 0 { queue.append(Int(trie[symbol])) }
        var head = 0
        while head < queue.count {
            let state = queue[head]
            head += 1
            let back = Int(failure[state])
            if let inherited = ends[back] { ends[state, default: []] += inherited }
            for symbol in 0..<width {
                let slot = state << shift | symbol
                let other = trie[back << shift | symbol]
                if trie[slot] == 0 {
                    trie[slot] = other
                } else {
                    failure[Int(trie[slot])] = other
                    queue.append(Int(trie[slot]))
                }
            }
        }

        // Numbers in breadth-first order, states that end a literal behind all others: one comparison tells them, and
        // the rows near the root, which most bytes stay in, lie together.
        let order = [0] + queue.filter { ends[$0] == nil } + queue.filter { ends[$0] != nil }
        var number = [UInt16](repeating: 0, count: count)
        for (new, old) in order.enumerated() { number[old] = UInt16(new) }
        var table = [UInt16](repeating: 0, count: trie.count)
        for (new, old) in order.enumerated() {
            for symbol in 0..<width { table[new << shift | symbol] = number[Int(trie[old << shift | symbol])] }
        }
        var outputs: [Output] = []
        var outputEnds: [UInt32] = []
        for old in order {
            guard let own = ends[old] else { continue }
            outputs += Self.merged(own)
            outputEnds.append(UInt32(outputs.count))
        }
        firstMatching = UInt16(count - outputEnds.count)
        self.classes = classes
        self.table = table
        self.shift = shift
        self.outputs = outputs
        self.outputEnds = outputEnds
    }

    /// In the order of patterns, each once.
    private static func merged(_ outputs: [Output]) -> [Output] {
        Set(outputs).sorted { ($0.pattern, $0.length, $0.front) < ($1.pattern, $1.length, $1.front) }
    }

    /// Enters the windows of all patterns whose literals or runs `text` holds. Patterns of `unknown` are not entered.
    package func scan(_ text: Span<UInt8>, into candidates: inout CandidateSet) {
        candidates.reset(patterns: patternCount)
        text.withUnsafeBufferPointer { text in
            if !runs.isEmpty {
                runBytes.withUnsafeBufferPointer { kinds in
                    for run in runs { find(run, in: text, kinds, &candidates) }
                }
            }
            guard !outputs.isEmpty else { return }
            var hits = [[UInt64]]()
            swap(&hits, &candidates.hits)
            table.withUnsafeBufferPointer { table in
                classes.withUnsafeBufferPointer { classes in
                    guard let table = table.baseAddress, let classes = classes.baseAddress else { return }
                    let reader = Reader(
                        text: text, table: table, classes: classes, shift: UInt(shift),
                        firstMatching: UInt(firstMatching))
                    reader.read(overlap: literalBytesMax, &hits)
                }
            }
            for lane in hits.indices {
                for hit in hits[lane] { enter(Int(hit >> 48), end: Int(hit & 0xFFFF_FFFF_FFFF), text, &candidates) }
                hits[lane].removeAll(keepingCapacity: true)
            }
            swap(&hits, &candidates.hits)
        }
    }

    private func enter(
        _ matching: Int, end: Int, _ text: UnsafeBufferPointer<UInt8>, _ candidates: inout CandidateSet
    ) {
        let first = matching == 0 ? 0 : Int(outputEnds[matching - 1])
        for index in first..<Int(outputEnds[matching]) {
            let output = outputs[index]
            let front = fronts[Int(output.front)]
            let start = end - Int(output.length)
            let high = start - front.length.min
            // The text is too short in front of the literal.
            if high < 0 { continue }
            let floor = front.length.max.map { max(0, start - $0) } ?? 0
            var low = start
            if front.bytes == .all {
                low = floor
            } else {
                let stop = max(floor, start - Self.wayBackMax)
                var window = candidates.lastWindow(of: output.pattern, front: output.front)
                // Made by a literal that ends earlier but begins later: its way back may have been cut further right.
                if let known = window, known.high + front.length.min > start { window = nil }
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
    }

    /// - Parameter kinds: 256 of them.
    private func find(
        _ run: Run, in text: UnsafeBufferPointer<UInt8>, _ kinds: UnsafeBufferPointer<UInt64>,
        _ candidates: inout CandidateSet
    ) {
        var index = run.length - 1
        while index < text.count {
            guard kinds[Int(text[index])] & run.bit != 0 else {
                index += run.length
                continue
            }
            var start = index
            while start > 0, kinds[Int(text[start - 1])] & run.bit != 0 { start -= 1 }
            var end = index + 1
            while end < text.count, kinds[Int(text[end])] & run.bit != 0 { end += 1 }
            let high = end - run.length - run.before.min
            if end - start >= run.length, high >= 0 {
                candidates.insert(run.pattern, run.before.max.map { max(0, start - $0) } ?? 0, high)
            }
            // `end` is no such byte.
            index = end + run.length
        }
    }
}

/// The inner loop. Unchecked: every byte has a class below `1 << shift`, and every entry of the table is a state's number.
private struct Reader {
    let text: UnsafeBufferPointer<UInt8>
    let table: UnsafePointer<UInt16>
    let classes: UnsafePointer<UInt8>
    let shift: UInt
    let firstMatching: UInt

    private static let lanes = 4

    /// Each state waits for the one before it; four parts of the text read in turn fill that time.
    func read(overlap: Int, _ hits: inout [[UInt64]]) {
        guard let bytes = text.baseAddress else { return }
        let part = text.count / Self.lanes
        guard part >= 64, part > overlap, hits.count == Self.lanes else {
            _ = read(bytes, 0, text.count, 0, &hits[0])
            return
        }
        var one: UInt = 0
        var two = warm(bytes, part, overlap)
        var three = warm(bytes, 2 * part, overlap)
        var four = warm(bytes, 3 * part, overlap)
        for index in 0..<part {
            one = step(one, bytes[index])
            two = step(two, bytes[index &+ part])
            three = step(three, bytes[index &+ 2 &* part])
            four = step(four, bytes[index &+ 3 &* part])
            if max(max(one, two), max(three, four)) >= firstMatching {
                note(one, index &+ 1, &hits[0])
                note(two, index &+ part &+ 1, &hits[1])
                note(three, index &+ 2 &* part &+ 1, &hits[2])
                note(four, index &+ 3 &* part &+ 1, &hits[3])
            }
        }
        _ = read(bytes, 4 * part, text.count, four, &hits[3])
    }

    @inline(__always)
    private func step(_ state: UInt, _ byte: UInt8) -> UInt {
        UInt(table[Int(bitPattern: state &<< shift | UInt(classes[Int(byte)]))])
    }

    @inline(__always)
    private func note(_ state: UInt, _ end: Int, _ hits: inout [UInt64]) {
        if state >= firstMatching { hits.append(UInt64(state &- firstMatching) << 48 | UInt64(end)) }
    }

    private func warm(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ overlap: Int) -> UInt {
        var state: UInt = 0
        for index in max(0, start - overlap)..<start { state = step(state, bytes[index]) }
        return state
    }

    private func read(
        _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ from: UInt, _ hits: inout [UInt64]
    ) -> UInt {
        var state = from
        for index in start..<end {
            state = step(state, bytes[index])
            note(state, index &+ 1, &hits)
        }
        return state
    }
}
