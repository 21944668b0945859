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

/// Finds added tokens and cuts the text at them.
struct AddedTokens: Sendable {
    enum Part {
        case text(Int, Int)
        /// Id, and the place with the white space that the token swallows.
        case token(UInt32, Int, Int)
    }

    enum Order: Sendable {
        /// Hugging Face's: the leftmost, and of these the longest.
        case leftmost
        /// llama.cpp's: the longest wherever they are, and of these the leftmost.
        case longestFirst
    }

    private let tokens: [AddedToken]
    private let trie: ByteTrie
    private let order: Order

    /// - Parameter tokens: of tokens with equal content the last one counts.
    init(_ tokens: [AddedToken], order: Order = .leftmost) {
        self.tokens = tokens
        self.order = order
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
        guard order == .leftmost else { return forEachPartLongestFirst(text, begin, end, specials, body) }
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
            body(.token(token.id, start, stop))
            done = stop
        }
        if done < end { body(.text(done, end)) }
    }

    /// llama.cpp's partition (`tokenizer_st_partition`). It looks for token after token; here those of one length are
    /// looked for together, and only those lengths that occur at all.
    private func forEachPartLongestFirst(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ specials: SpecialTokens, _ body: (Part) -> Void
    ) {
        var lengths = Set<Int>()
        trie.forEachStart(text, begin, end) { at in
            trie.forEachMatch(text, at, end) { index, stop in
                if tokens[index].isFound(specials) { lengths.insert(stop - at) }
            }
        }
        var parts: [Part] = [.text(begin, end)]
        for length in lengths.sorted(by: >) {
            var cut: [Part] = []
            for part in parts {
                guard case .text(var done, let partEnd) = part, partEnd - done >= length else {
                    cut.append(part)
                    continue
                }
                var at = done
                while at + length <= partEnd {
                    guard let index = trie.index(text, at, length), tokens[index].isFound(specials) else {
                        at += 1
                        continue
                    }
                    let (start, stop) = Self.stripped(text, done, at, at + length, partEnd, tokens[index])
                    if done < start { cut.append(.text(done, start)) }
                    cut.append(.token(tokens[index].id, start, stop))
                    (done, at) = (stop, stop)
                }
                if done < partEnd { cut.append(.text(done, partEnd)) }
            }
            parts = cut
        }
        for part in parts { if case .text(let from, let to) = part, from == to { continue } else { body(part) } }
    }

    /// With C's white space around it, as far as the token swallows that.
    private static func stripped(
        _ text: UnsafePointer<UInt8>, _ begin: Int, _ start: Int, _ stop: Int, _ end: Int, _ token: AddedToken
    ) -> (Int, Int) {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        var (start, stop) = (start, stop)
        if token.stripsLeft { while start > begin, isSpace(text[start - 1]) { start -= 1 } }
        if token.stripsRight { while stop < end, isSpace(text[stop]) { stop += 1 } }
        return (start, stop)
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

    /// Places where the first byte of some string stands.
    func forEachStart(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ body: (Int) -> Void) {
        roots.withUnsafeBufferPointer { roots in
            for at in begin..<end where roots[Int(text[at])] >= 0 { body(at) }
        }
    }

    /// Every string that begins at `at`, the shortest first, with its end.
    func forEachMatch(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ body: (Int, Int) -> Void) {
        guard at < end, roots[Int(text[at])] >= 0 else { return }
        var node = Int(roots[Int(text[at])])
        var next = at + 1
        while true {
            if nodes[node].index >= 0 { body(Int(nodes[node].index), next) }
            guard next < end, let deeper = child(node, text[next]) else { return }
            node = deeper
            next += 1
        }
    }

    /// The string that is the `length` bytes at `at`.
    func index(_ text: UnsafePointer<UInt8>, _ at: Int, _ length: Int) -> Int? {
        guard length > 0, roots[Int(text[at])] >= 0 else { return nil }
        var node = Int(roots[Int(text[at])])
        for next in at + 1..<at + length {
            guard let deeper = child(node, text[next]) else { return nil }
            node = deeper
        }
        return nodes[node].index >= 0 ? Int(nodes[node].index) : nil
    }

    /// How many bytes at `at` some string begins with.
    func beginningLength(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
        guard at < end, roots[Int(text[at])] >= 0 else { return 0 }
        var node = Int(roots[Int(text[at])])
        var next = at + 1
        while next < end, let deeper = child(node, text[next]) {
            node = deeper
            next += 1
        }
        return next - at
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
