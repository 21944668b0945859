/// Unigram: of all ways to cut a piece the one with the highest sum of scores.
///
/// Hugging Face adds in double precision, SentencePiece stores each sum in single precision; with many equal scores the
/// difference shows, so the loader says which.
final class UnigramModel: Sendable {
    struct Entry: Sendable {
        /// Empty for ids that text never gives.
        var text: [UInt8]
        var score: Double
        /// SentencePiece's user-defined pieces: always preferred.
        var isUserDefined = false
    }

    struct Options: Sendable {
        var unknown: UInt32?
        /// Id of each byte's token.
        var byteFallback: [UInt32?]?
        var isSinglePrecision = false
        /// Lowest and highest score of the pieces that count for them.
        var scoreMin = 0.0
        var scoreMax = 0.0
        /// Score of user-defined pieces where it is not SentencePiece's.
        var userDefinedScore: Double?
        /// Score of an unknown character where it is not `scoreMin` less the penalty.
        var unknownScore: Double?
    }

    let vocabulary: Vocabulary
    let options: Options
    private let trie: PieceTrie
    private let scores: [Double]
    private let isUserDefined: [Bool]

    /// What an unknown character costs more than the worst piece.
    private static let unknownPenalty = 10.0

    init(vocabulary: Vocabulary, entries: [Entry], options: Options) {
        self.vocabulary = vocabulary
        self.options = options
        trie = PieceTrie(entries.enumerated().map { ($1.text, Int32(truncatingIfNeeded: $0)) })
        scores = entries.map(\.score)
        isUserDefined = entries.map(\.isUserDefined)
    }

    var tableBytes: Int { trie.bytesCount + scores.count * 9 }

    private struct Node {
        var score = 0.0
        var start = -1
        /// -1 for an unknown character.
        var id: Int32 = -1
    }

    func encode<Sink: TokenSink>(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ sink: inout Sink) {
        forEachToken(text, start, end) { id, _, _ in sink.append(id) }
    }

    /// Ids with the bytes that they stand for. O(n x length of the longest entry).
    func forEachToken(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ body: (UInt32, Int, Int) -> Void
    ) {
        var best = [Node](repeating: Node(), count: end - start + 1)
        best[0].start = start
        let unknownScore = options.unknownScore ?? options.scoreMin - Self.unknownPenalty
        func offer(_ from: Int, _ to: Int, _ score: Double, _ id: Int32) {
            let exact = score + best[from - start].score
            let sum = options.isSinglePrecision ? Double(Float(exact)) : exact
            if best[to - start].start < 0 || sum > best[to - start].score {
                best[to - start] = Node(score: sum, start: from, id: id)
            }
        }
        var at = start
        while at < end {
            let length = UnicodeClasses.length(text, at, end)
            var isKnown = false
            trie.forEachMatch(text, at, end) { id, stop in
                let bonus = options.userDefinedScore ?? Double(stop - at) * options.scoreMax - 0.1
                offer(at, stop, isUserDefined[Int(id)] ? bonus : scores[Int(id)], id)
                if stop == at + length { isKnown = true }
            }
            if !isKnown { offer(at, at + length, unknownScore, -1) }
            at += length
        }
        var path: [(start: Int, end: Int, id: Int32)] = []
        at = end
        while at > start {
            let node = best[at - start]
            // Every character is reachable, so only ids that break characters apart could end here.
            guard node.start >= start, node.start < at else { break }
            if node.id < 0, let last = path.last, last.id < 0 {
                path[path.count - 1].start = node.start
            } else {
                path.append((node.start, at, node.id))
            }
            at = node.start
        }
        for token in path.reversed() {
            if token.id >= 0 {
                body(UInt32(token.id), token.start, token.end)
            } else {
                unknown(text, token.start, token.end, body)
            }
        }
    }

    private func unknown(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ body: (UInt32, Int, Int) -> Void
    ) {
        if let fallback = options.byteFallback, (start..<end).allSatisfy({ fallback[Int(text[$0])] != nil }) {
            for at in start..<end { if let id = fallback[Int(text[at])] { body(id, start, end) } }
        } else if let unknown = options.unknown {
            body(unknown, start, end)
        }
    }
}
