/// WordPiece: the longest entry that the rest of the word begins with, again and again.
final class WordPieceModel: Sendable {
    struct Options: Sendable {
        var unknown: UInt32
        /// Marks entries that go on with a word (`##`).
        var prefix: [UInt8]
        /// Longer words are unknown.
        var charactersMax: Int
        /// Put before each word (llama.cpp's `▁`); then nothing marks continuations.
        var wordStart: [UInt8] = []
        /// WordLevel: a word is an entry or unknown.
        var isWhole = false
    }

    let vocabulary: Vocabulary
    let options: Options
    private let starts: PieceTrie
    private let continuations: PieceTrie

    init(vocabulary: Vocabulary, options: Options) {
        self.vocabulary = vocabulary
        self.options = options
        var all: [(bytes: [UInt8], value: Int32)] = []
        var rest: [(bytes: [UInt8], value: Int32)] = []
        for id in 0..<vocabulary.count where !options.isWhole {
            let token = Array(vocabulary.bytes(UInt32(id)))
            all.append((token, Int32(id)))
            if token.starts(with: options.prefix) { rest.append((Array(token.dropFirst(options.prefix.count)), Int32(id))) }
        }
        starts = PieceTrie(all)
        continuations = PieceTrie(rest)
    }

    var tableBytes: Int { starts.bytesCount + continuations.bytesCount }

    func encode<Sink: TokenSink>(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ sink: inout Sink) {
        forEachToken(text, start, end) { id, _, _ in sink.append(id) }
    }

    func forEachToken(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ body: (UInt32, Int, Int) -> Void
    ) {
        if options.isWhole {
            return body(vocabulary.id(text + start, count: end - start) ?? options.unknown, start, end)
        }
        guard !options.wordStart.isEmpty else { return forEachTokenOfWord(text, start, end, body) }
        let word = options.wordStart + UnsafeBufferPointer(start: text + start, count: end - start)
        let shift = options.wordStart.count
        word.withUnsafeBufferPointer { word in
            guard let base = word.baseAddress else { return }
            forEachTokenOfWord(base, 0, word.count) { id, from, to in
                body(id, start + max(from - shift, 0), start + max(to - shift, 0))
            }
        }
    }

    private func forEachTokenOfWord(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ body: (UInt32, Int, Int) -> Void
    ) {
        var charactersCount = 0
        var at = start
        while at < end {
            at += UnicodeClasses.length(text, at, end)
            charactersCount += 1
        }
        guard charactersCount <= options.charactersMax else { return body(options.unknown, start, end) }
        var tokens: [(id: Int32, start: Int, end: Int)] = []
        at = start
        while at < end {
            var longest: (id: Int32, end: Int)?
            (at == start ? starts : continuations).forEachMatch(text, at, end) { longest = ($0, $1) }
            guard let longest else { return body(options.unknown, start, end) }
            tokens.append((longest.id, at, longest.end))
            at = longest.end
        }
        for token in tokens { body(UInt32(token.id), token.start, token.end) }
    }
}
