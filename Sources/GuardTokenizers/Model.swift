/// Turns one piece of normalized, pre-tokenized text into ids.
///
/// One case today; Unigram and WordPiece become further cases.
enum Model: Sendable {
    case bytePair(BytePairModel)

    @inline(__always)
    func encode<Sink: TokenSink>(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ sink: inout Sink
    ) {
        switch self {
        case .bytePair(let model): model.encode(text, start, end, scratch, &sink)
        }
    }

    var vocabulary: Vocabulary {
        switch self {
        case .bytePair(let model): model.vocabulary
        }
    }
}
