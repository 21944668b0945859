/// The merges of vocabularies that have scores in place of a merge list (SentencePiece, `llama` vocabularies of GGUF).
///
/// Those libraries look pieces up by their text while they merge; here every way to make a piece of two others becomes
/// an entry of the merge table at load, with the rank that its score has among all scores.
struct ScoredMerges {
    private(set) var pairs: [MergeTable.Merge] = []
    /// Id of the piece by rank.
    private(set) var results: [UInt32] = []
    /// Pieces of equal score merge leftmost first, whichever they are.
    private(set) var priorities: [UInt32] = []

    init() {}

    /// - Parameters:
    ///   - tokens: bytes by id, those of virtual characters behind the pieces.
    ///   - scores: by id of a piece; the highest merges first.
    ///   - isPiece: by id, whether merging can make it.
    init(tokens: [[UInt8]], scores: [Float], isPiece: [Bool], _ vocabulary: Vocabulary) {
        var order = isPiece.indices.filter { isPiece[$0] }
        order.sort { (scores[$0], $1) > (scores[$1], $0) }
        var lastScore: Float?
        for id in order {
            let isTie = scores[id] == lastScore
            priorities.append(isTie ? priorities.last ?? 0 : UInt32(truncatingIfNeeded: results.count))
            lastScore = scores[id]
            let ends = Self.characterEnds(tokens[id])
            let rank = UInt32(truncatingIfNeeded: results.count)
            tokens[id].withUnsafeBufferPointer { bytes in
                guard let base = bytes.baseAddress else { return }
                for cut in ends.dropLast() {
                    if let left = vocabulary.id(base, count: cut),
                        let right = vocabulary.id(base + cut, count: bytes.count - cut)
                    {
                        pairs.append(MergeTable.Merge(left: left, right: right, rank: rank))
                    }
                }
            }
            results.append(UInt32(truncatingIfNeeded: id))
        }
    }

    /// Merging begins with characters, also with those that are no pieces but only parts of some. They get ids behind
    /// the last piece.
    static func addVirtualCharacters(_ tokens: inout [[UInt8]], isPiece: [Bool]) {
        var known = Set<[UInt8]>()
        for id in isPiece.indices where isPiece[id] && characterEnds(tokens[id]).count == 1 { known.insert(tokens[id]) }
        for id in isPiece.indices where isPiece[id] {
            var start = 0
            for end in characterEnds(tokens[id]) {
                let character = Array(tokens[id][start..<end])
                if known.insert(character).inserted { tokens.append(character) }
                start = end
            }
        }
    }

    private static func characterEnds(_ text: [UInt8]) -> [Int] {
        var ends: [Int] = []
        text.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            var at = 0
            while at < bytes.count {
                at += UnicodeClasses.length(base, at, bytes.count)
                ends.append(at)
            }
        }
        return ends
    }
}
