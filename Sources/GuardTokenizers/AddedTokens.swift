import Glibc

/// A token that is found in the text before anything else is done to it.
struct AddedToken: Sendable, Hashable {
    var id: UInt32
    /// UTF-8; normalized if `isNormalized`.
    var content: [UInt8]
    /// Found only where no word character touches it.
    var singleWord = false
    /// Swallows the white space before it.
    var stripsLeft = false
    /// Swallows the white space behind it.
    var stripsRight = false
    /// Looked for in the normalized text, not in the raw one.
    var isNormalized = false
    /// Left out by `SpecialTokens.asText` and by decoding without special tokens.
    var isSpecial = false
    /// A control piece of SentencePiece: in the text only with `SpecialTokens.parseControl`.
    var isControl = false

    func isFound(_ specials: SpecialTokens) -> Bool {
        switch specials {
        case .parse: !isControl
        case .asText: !isSpecial && !isControl
        case .parseControl: true
        }
    }
}

/// Finds added tokens, leftmost and of these the longest, and cuts the text at them.
struct AddedTokens: Sendable {
    enum Part {
        case text(Int, Int)
        case token(UInt32)
    }

    private let tokens: [AddedToken]
    private let trie: ByteTrie

    /// - Parameter tokens: of tokens with equal content the last one counts.
    init(_ tokens: [AddedToken]) {
        self.tokens = tokens
        trie = ByteTrie(tokens.map(\.content))
    }

    var isEmpty: Bool { tokens.isEmpty }

    /// The first place from which the text's end may be the beginning of a token; the end if there is none.
    func partialStart(_ text: UnsafePointer<UInt8>, _ end: Int) -> Int {
        var start = max(0, end - AddedToken.bytesMax)
        while start < end, !trie.isBeginning(text, start, end) { start += 1 }
        return start
    }

    /// The text's parts in order. Text parts are not empty.
    @inline(__always)
    func forEachPart(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ specials: SpecialTokens, _ body: (Part) -> Void
    ) {
        var done = begin
        var at = begin
        while at < end, let match = trie.firstMatch(text, at, end) {
            let token = tokens[match.index]
            at = match.end
            // A match that does not count is passed over as a whole, as the original does.
            guard token.isFound(specials) else { continue }
            if token.singleWord && !Self.isAlone(text, begin, end, match.start, match.end) { continue }
            var start = match.start
            var stop = match.end
            if token.stripsLeft { start = max(Self.spacesStart(text, begin, start), done) }
            if token.stripsRight { stop = Self.spacesEnd(text, stop, end) }
            if done < start { body(.text(done, start)) }
            body(.token(token.id))
            done = stop
        }
        if done < end { body(.text(done, end)) }
    }

    private static func isAlone(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ start: Int, _ stop: Int
    ) -> Bool {
        let classes = UnicodeClasses.shared
        if start > begin {
            let before = UnicodeClasses.start(text, before: start, from: begin)
            if classes.character(text, before, start).class & UnicodeClasses.word != 0 { return false }
        }
        return stop == end || classes.character(text, stop, end).class & UnicodeClasses.word == 0
    }

    private static func spacesStart(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> Int {
        var at = end
        while at > begin {
            let start = UnicodeClasses.start(text, before: at, from: begin)
            if UnicodeClasses.shared.character(text, start, at).class & UnicodeClasses.space == 0 { break }
            at = start
        }
        return at
    }

    private static func spacesEnd(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> Int {
        var at = begin
        while at < end {
            let (kind, length) = UnicodeClasses.shared.character(text, at, end)
            if kind & UnicodeClasses.space == 0 { break }
            at += length
        }
        return at
    }
}

/// Byte strings by their bytes, for the longest one that begins at a place.
struct ByteTrie: Sendable {
    private struct Node: Sendable {
        /// Sorted by byte.
        var children: [(byte: UInt8, node: Int32)] = []
        var index: Int32 = -1
    }

    private var nodes: [Node] = [Node()]
    /// Node behind each first byte, -1 if no string begins with it.
    private var roots = [Int32](repeating: -1, count: 256)
    private var rootBytes: [UInt8] = []

    /// Empty strings are left out; of equal ones the last counts.
    init(_ strings: [[UInt8]]) {
        for (index, string) in strings.enumerated() where !string.isEmpty {
            var node = 0
            for byte in string {
                if let next = child(node, byte) {
                    node = next
                } else {
                    let place = nodes[node].children.firstIndex { $0.byte > byte } ?? nodes[node].children.count
                    nodes[node].children.insert((byte, Int32(nodes.count)), at: place)
                    node = nodes.count
                    nodes.append(Node())
                }
            }
            nodes[node].index = Int32(index)
        }
        for (byte, node) in nodes[0].children { roots[Int(byte)] = node }
        rootBytes = nodes[0].children.map(\.byte)
    }

    private func child(_ node: Int, _ byte: UInt8) -> Int? {
        let children = nodes[node].children
        var low = 0
        var high = children.count
        while low < high {
            let middle = (low + high) / 2
            if children[middle].byte < byte { low = middle + 1 } else { high = middle }
        }
        return low < children.count && children[low].byte == byte ? Int(children[low].node) : nil
    }

    /// The first place at or behind `begin` where a string begins, and the longest one there.
    func firstMatch(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int
    ) -> (index: Int, start: Int, end: Int)? {
        var at = begin
        while at < end {
            guard let start = firstRoot(text, at, end) else { return nil }
            if let match = longestMatch(text, start, end) { return (match.index, start, match.end) }
            at = start + 1
        }
        return nil
    }

    /// The first place where some string may begin. Most tokenizers' added tokens begin with one or two different
    /// bytes, and the C library looks for those faster than a loop does.
    private func firstRoot(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> Int? {
        var at = begin
        if rootBytes.count > 3 {
            return roots.withUnsafeBufferPointer { roots in
                while at < end {
                    if roots[Int(text[at])] >= 0 { return at }
                    at += 1
                }
                return nil
            }
        }
        while at < end {
            // In steps, so that a byte that is rare is not looked for again and again over the whole text.
            let stop = min(at + 1024, end)
            var first = stop
            for byte in rootBytes {
                if let found = memchr(text + at, Int32(byte), first - at) {
                    first = UnsafePointer<UInt8>(found.assumingMemoryBound(to: UInt8.self)) - text
                }
            }
            if first < stop { return first }
            at = stop
        }
        return nil
    }

    /// Whether some string is longer than the text from `at` to `end` and begins with it.
    func isBeginning(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Bool {
        guard at < end, roots[Int(text[at])] >= 0 else { return false }
        var node = Int(roots[Int(text[at])])
        for next in at + 1..<end {
            guard let deeper = child(node, text[next]) else { return false }
            node = deeper
        }
        return !nodes[node].children.isEmpty
    }

    /// The longest string that begins at `at`.
    func longestMatch(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> (index: Int, end: Int)? {
        guard at < end, roots[Int(text[at])] >= 0 else { return nil }
        var node = Int(roots[Int(text[at])])
        var next = at + 1
        var best: (index: Int, end: Int)?
        while true {
            if nodes[node].index >= 0 { best = (Int(nodes[node].index), next) }
            guard next < end, let deeper = child(node, text[next]) else { return best }
            node = deeper
            next += 1
        }
    }
}

extension AddedToken {
    /// Finding a token costs up to its length at every place of the text; real ones have some dozen bytes.
    static let bytesMax = 1024
}
