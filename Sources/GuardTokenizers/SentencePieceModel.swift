/// Reads SentencePiece's `.model` (protobuf `ModelProto`) with a BPE or Unigram vocabulary.
enum SentencePieceModel {
    private struct Piece {
        var text: [UInt8] = []
        var score: Float = 0
        var kind = Kind.normal
    }

    private enum Kind: UInt64 {
        case normal = 1
        case unknown = 2
        case control = 3
        case userDefined = 4
        case unused = 5
        case byte = 6
    }

    private struct Spec {
        var pieces: [Piece] = []
        var modelType: UInt64 = 1
        var unknownID = 0
        var startID = 1
        var endID = 2
        var unknownSurface = Array(" \u{2047} ".utf8)
        var hasByteFallback = false
        var treatsSpaceAsSuffix = false
        var normalizerName = ""
        var charsmap: Range<Int> = 0..<0
        var map: CharacterMap?
        var addsDummyPrefix = true
        var removesExtraSpaces = true
        var escapesSpaces = true
    }

    /// A piece's splits are tried one by one; real pieces have at most some 100 bytes.
    private static let pieceBytesMax = 1024

    /// Whether it looks like a `ModelProto`: its first field is a piece, and that begins with its text.
    static func isRecognised(_ bytes: [UInt8]) -> Bool {
        guard bytes.first == 0x0A else { return false }
        var reader = ProtobufReader(bytes)
        guard let field = try? reader.next(), case .bytes(let range) = field.value, field.number == 1 else {
            return false
        }
        var piece = ProtobufReader(bytes, range)
        guard let text = try? piece.next(), case .bytes = text.value else { return false }
        return text.number == 1
    }

    static func load(_ bytes: [UInt8]) throws(TokenizerError) -> Tokenizer.Stages {
        let spec = try read(bytes)
        guard spec.modelType == 1 || spec.modelType == 2 else {
            throw TokenizerError(
                .unsupported, "SentencePiece model type \(spec.modelType); only Unigram (1) and BPE (2) are read")
        }
        guard !spec.treatsSpaceAsSuffix, spec.escapesSpaces else {
            throw TokenizerError(.unsupported, "SentencePiece model with space as suffix or unescaped spaces")
        }
        return try stages(spec)
    }

    // MARK: Protobuf

    private static func read(_ bytes: [UInt8]) throws(TokenizerError) -> Spec {
        var spec = Spec()
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            guard case .bytes(let range) = field.value else { continue }
            switch field.number {
            case 1:
                guard spec.pieces.count < Vocabulary.idsMax / 2 else {
                    throw TokenizerError(.limitExceeded, place: "byte \(range.lowerBound)", "too many pieces")
                }
                spec.pieces.append(try piece(bytes, range))
            case 2: try readTrainer(bytes, range, &spec)
            case 3: try readNormalizer(bytes, range, &spec)
            default: break
            }
        }
        guard !spec.pieces.isEmpty else { throw TokenizerError(.malformed, "no pieces") }
        if !spec.charsmap.isEmpty { spec.map = try CharacterMap(bytes[spec.charsmap]) }
        return spec
    }

    private static func piece(_ bytes: [UInt8], _ range: Range<Int>) throws(TokenizerError) -> Piece {
        var piece = Piece()
        var reader = ProtobufReader(bytes, range)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let text)):
                guard text.count <= pieceBytesMax else {
                    throw TokenizerError(
                        .limitExceeded, place: "byte \(text.lowerBound)", "a piece of \(text.count) bytes")
                }
                piece.text = Array(bytes[text])
            case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .varint(let raw)):
                guard let kind = Kind(rawValue: raw) else {
                    throw TokenizerError(.malformed, place: "byte \(range.lowerBound)", "piece type \(raw)")
                }
                piece.kind = kind
            default: break
            }
        }
        guard !piece.text.isEmpty, !piece.score.isNaN else {
            throw TokenizerError(.malformed, place: "byte \(range.lowerBound)", "a piece without text or score")
        }
        return piece
    }

    private static func readTrainer(_ bytes: [UInt8], _ range: Range<Int>, _ spec: inout Spec) throws(TokenizerError) {
        var reader = ProtobufReader(bytes, range)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (3, .varint(let type)): spec.modelType = type
            case (24, .varint(let flag)): spec.treatsSpaceAsSuffix = flag != 0
            case (35, .varint(let flag)): spec.hasByteFallback = flag != 0
            case (40, .varint(let id)): spec.unknownID = signed(id)
            case (41, .varint(let id)): spec.startID = signed(id)
            case (42, .varint(let id)): spec.endID = signed(id)
            case (44, .bytes(let surface)): spec.unknownSurface = Array(bytes[surface])
            default: break
            }
        }
    }

    private static func readNormalizer(
        _ bytes: [UInt8], _ range: Range<Int>, _ spec: inout Spec
    ) throws(TokenizerError) {
        var reader = ProtobufReader(bytes, range)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let name)): spec.normalizerName = String(decoding: bytes[name], as: UTF8.self)
            case (2, .bytes(let map)): spec.charsmap = map
            case (3, .varint(let flag)): spec.addsDummyPrefix = flag != 0
            case (4, .varint(let flag)): spec.removesExtraSpaces = flag != 0
            case (5, .varint(let flag)): spec.escapesSpaces = flag != 0
            default: break
            }
        }
    }

    /// `int32` fields are sign-extended to 64 bits; -1 says that the token does not exist.
    private static func signed(_ value: UInt64) -> Int {
        Int(Int32(truncatingIfNeeded: value))
    }

    // MARK: Stages

    private static func stages(_ spec: Spec) throws(TokenizerError) -> Tokenizer.Stages {
        var tokens = spec.pieces.map { Normalizer.mappedSpaces($0.text) }
        let pieceCount = tokens.count
        // Only these can come out of merging; others are never found in text.
        let merges = spec.pieces.map { $0.kind == .normal || $0.kind == .userDefined || $0.kind == .unused }
        if spec.modelType == 2 { ScoredMerges.addVirtualCharacters(&tokens, isPiece: merges) }
        let vocabulary = try Vocabulary(tokens: tokens) { id in
            id >= pieceCount || merges[id] && !spec.pieces[id].text.contains(0x20)
        }
        let table =
            spec.modelType == 2
            ? ScoredMerges(tokens: tokens, scores: spec.pieces.map(\.score), isPiece: merges, vocabulary)
            : ScoredMerges()
        var options = BytePairModel.Options()
        options.startsWithCharacters = true
        options.fusesUnknown = true
        options.firstVirtualID = UInt32(truncatingIfNeeded: pieceCount)
        options.unknown =
            spec.pieces.indices.contains(spec.unknownID) ? UInt32(truncatingIfNeeded: spec.unknownID) : nil
        var decoder = Decoder()
        decoder.stripsLeadingSpace = spec.addsDummyPrefix
        var fallback = [UInt32?](repeating: nil, count: 256)
        var added: [AddedToken] = []
        for (index, piece) in spec.pieces.enumerated() {
            let id = UInt32(truncatingIfNeeded: index)
            switch piece.kind {
            case .byte:
                guard let byte = byteValue(piece.text) else {
                    throw TokenizerError(.malformed, place: "piece \(index)", "a byte piece that names no byte")
                }
                fallback[Int(byte)] = id
                decoder.byteOfID[id] = byte
            case .userDefined:
                // Found before anything merges, and frozen. The normalizer leaves them alone too. Unigram has a score
                // for them that beats all others instead.
                if spec.modelType == 2 { added.append(AddedToken(id: id, content: tokens[index], isNormalized: true)) }
            case .control:
                added.append(AddedToken(id: id, content: piece.text, isControl: true))
                decoder.textOfID[id] = []
            case .unknown: decoder.textOfID[id] = spec.unknownSurface
            case .unused:
                throw TokenizerError(.unsupported, place: "piece \(index)", "SentencePiece model with unused pieces")
            case .normal: break
            }
        }
        if spec.hasByteFallback { options.byteFallback = fallback }
        let model: Model =
            spec.modelType == 1
            ? .unigram(unigram(spec, tokens, vocabulary, options))
            : .bytePair(
                try BytePairModel(
                    vocabulary: vocabulary, merges: table.pairs, results: table.results, priorities: table.priorities,
                    options: options))
        var stages = Tokenizer.Stages(model: model, vocabularySize: pieceCount)
        stages.addedTokens = added
        if spec.map != nil || spec.modelType == 1 {
            var rules = CharacterMap.Rules(map: spec.map)
            rules.frozen = ByteTrie(spec.pieces.filter { $0.kind == .userDefined }.map(\.text))
            (rules.removesExtraSpaces, rules.addsPrefix) = (spec.removesExtraSpaces, spec.addsDummyPrefix)
            stages.normalizer.steps.append(.sentencePiece(rules))
        } else if spec.removesExtraSpaces {
            stages.normalizer.steps.append(.collapseSpaces(addsPrefix: spec.addsDummyPrefix))
        } else if spec.addsDummyPrefix {
            stages.normalizer.steps.append(.prepend([0x20]))
        }
        stages.normalizer.steps.append(.metaspaceToSpace)
        stages.decoder = decoder
        if spec.pieces.indices.contains(spec.startID), spec.pieces[spec.startID].kind == .control {
            stages.postProcessor.prefix = [UInt32(truncatingIfNeeded: spec.startID)]
            stages.bosToken = String(decoding: spec.pieces[spec.startID].text, as: UTF8.self)
        }
        if spec.pieces.indices.contains(spec.endID), spec.pieces[spec.endID].kind == .control {
            stages.eosToken = String(decoding: spec.pieces[spec.endID].text, as: UTF8.self)
        }
        return stages
    }

    private static func unigram(
        _ spec: Spec, _ tokens: [[UInt8]], _ vocabulary: Vocabulary, _ byteOptions: BytePairModel.Options
    ) -> UnigramModel {
        let scores = spec.pieces.filter { $0.kind == .normal }.map { Double($0.score) }
        let entries = spec.pieces.enumerated().map { index, piece in
            let isFound =
                (piece.kind == .normal || piece.kind == .userDefined) && !piece.text.contains(0x20)
            return UnigramModel.Entry(
                text: isFound ? tokens[index] : [], score: Double(piece.score), isUserDefined: piece.kind == .userDefined)
        }
        return UnigramModel(
            vocabulary: vocabulary, entries: entries,
            options: UnigramModel.Options(
                unknown: byteOptions.unknown, byteFallback: byteOptions.byteFallback, isSinglePrecision: true,
                scoreMin: scores.min() ?? 0, scoreMax: scores.max() ?? 0))
    }

    /// `<0x0A>` is 10.
    static func byteValue(_ text: [UInt8]) -> UInt8? {
        guard text.count == 6, text.starts(with: "<0x".utf8), text[5] == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: text[3..<5], as: UTF8.self), radix: 16)
    }
}
