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
// 4. An occurrence that ends at byte e began at e - |L|, so b lies in [e - |L| - before.max, e - |L| - before.min]: just
//    the window that is entered (from 0 if there is no bound). So b lies in some window of P.
// A pattern without a window therefore has no match, and the leftmost match of one with windows is the first that is found
// going through its windows in order. PCRE2 always sees the whole text, so lookbehind and lookahead see what they would.

/// An Aho-Corasick automaton in one table: bytes are mapped to classes, states to rows.
package struct LiteralAutomaton: Sendable {
    /// Number of patterns, known ones or not.
    package let patternCount: Int
    /// Patterns of which nothing is known, ascending: these always run.
    package let unknown: [UInt32]
    package var stateCount: Int { table.count >> shift }
    package var isEmpty: Bool { outputs.isEmpty }

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

    /// A match of `pattern` begins `low` to `high` bytes before the end of the literal.
    private struct Output: Sendable, Hashable {
        var pattern: UInt32
        var high: UInt32
        var low: UInt32
    }

    private static let statesMax = 60_000
    private static let unbounded = UInt32.max

    /// What bytes of the text and of literals are read as.
    package static func fold(_ byte: UInt8) -> UInt8 {
        if byte &- 0x41 < 26 { return byte | 0x20 }
        return byte &- 0x30 < 10 ? 0x30 : byte
    }

    /// - Parameter patterns: what is known of each; its place is the pattern's number.
    package init(_ patterns: [RequiredLiterals]) {
        patternCount = patterns.count
        var unknown: [UInt32] = []
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
            let bytes = pattern.any.reduce(0) { $0 + $1.bytes.count }
            guard !pattern.isUnknown, pattern.any.allSatisfy({ !$0.bytes.isEmpty }),
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
                let length = literal.bytes.count
                ends[state, default: []].append(
                    Output(
                        pattern: UInt32(truncatingIfNeeded: number),
                        high: literal.before.max.map { UInt32($0 + length) } ?? Self.unbounded,
                        low: UInt32(literal.before.min + length)))
            }
        }
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

    /// One output of each pattern, over all its literals that end here.
    private static func merged(_ outputs: [Output]) -> [Output] {
        var result: [Output] = []
        for output in outputs.sorted(by: { ($0.pattern, $0.low) < ($1.pattern, $1.low) }) {
            if let last = result.indices.last, result[last].pattern == output.pattern {
                result[last].low = min(result[last].low, output.low)
                result[last].high = max(result[last].high, output.high)
            } else {
                result.append(output)
            }
        }
        return result
    }

    /// Enters the windows of all patterns whose literals `text` holds. Patterns of `unknown` are not entered.
    package func scan(_ text: Span<UInt8>, into candidates: inout CandidateSet) {
        candidates.reset(patterns: patternCount)
        guard !outputs.isEmpty else { return }
        let shift = UInt(shift)
        let firstMatching = UInt(firstMatching)
        text.withUnsafeBufferPointer { text in
            table.withUnsafeBufferPointer { table in
                classes.withUnsafeBufferPointer { classes in
                    guard let table = table.baseAddress, let classes = classes.baseAddress else { return }
                    // Unchecked: a byte has a class below 1 << shift, and every entry of the table is a state's number.
                    var state: UInt = 0
                    for (index, byte) in text.enumerated() {
                        state = UInt(table[Int(state &<< shift | UInt(classes[Int(byte)]))])
                        if state >= firstMatching {
                            enter(Int(state &- firstMatching), end: index + 1, &candidates)
                        }
                    }
                }
            }
        }
    }

    @inline(never)
    private func enter(_ matching: Int, end: Int, _ candidates: inout CandidateSet) {
        let first = matching == 0 ? 0 : Int(outputEnds[matching - 1])
        for index in first..<Int(outputEnds[matching]) {
            let output = outputs[index]
            let high = end - Int(output.low)
            // The text is too short in front of the literal.
            if high < 0 { continue }
            let low = output.high == Self.unbounded ? 0 : max(0, end - Int(output.high))
            candidates.insert(output.pattern, low, high)
        }
    }
}
