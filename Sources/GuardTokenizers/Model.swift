/// Turns one piece of normalized, pre-tokenized text into ids.
enum Model: Sendable {
    case bytePair(BytePairModel)
    case unigram(UnigramModel)
    case wordPiece(WordPieceModel)

    @inline(__always)
    func encode<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink
    ) {
        switch self {
        case .bytePair(let model): model.encode(text, start, end, scratch, &sink)
        case .unigram(let model): model.encode(text, start, end, &sink)
        case .wordPiece(let model): model.encode(text, start, end, &sink)
        }
    }

    var vocabulary: Vocabulary {
        switch self {
        case .bytePair(let model): model.vocabulary
        case .unigram(let model): model.vocabulary
        case .wordPiece(let model): model.vocabulary
        }
    }
}
