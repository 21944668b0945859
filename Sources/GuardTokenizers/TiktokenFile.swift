/// Reads tiktoken's rank files: a token in base64, a space and its rank on each line.
///
/// The file says neither how text is split nor which special tokens there are. Both are known for the published
/// vocabularies, told apart by their number of ranks; for others `tokenizer_config.json` may name the special tokens,
/// the split is taken to be Llama-3's, and the tokenizer says that its counts are estimates.
enum TiktokenFile {
    struct Known {
        var ranksCount: Int
        var pattern: PieceScanner
        var special: [(String, UInt32)]
        var startOfText: UInt32?
    }

    private static let gpt2 = PieceScanner(family: .gpt2)
    private static let cl100k = PieceScanner(family: .cl100k, digitsMax: 3)
    private static let o200k = PieceScanner(family: .cased, digitsMax: 3, takesContraction: true)

    static let known: [Known] = [
        Known(ranksCount: 128_000, pattern: cl100k, special: llama3Special, startOfText: 128_000),
        Known(
            ranksCount: 199_998, pattern: o200k, special: [("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)]),
        Known(
            ranksCount: 100_256, pattern: cl100k,
            special: [
                ("<|endoftext|>", 100_257), ("<|fim_prefix|>", 100_258), ("<|fim_middle|>", 100_259),
                ("<|fim_suffix|>", 100_260), ("<|endofprompt|>", 100_276),
            ]),
        Known(ranksCount: 50_256, pattern: gpt2, special: [("<|endoftext|>", 50_256)]),
    ]

    /// The 256 special tokens that Llama-3.1 and 3.2 put behind their 128,000 ranks.
    private static let llama3Special: [(String, UInt32)] = {
        var names = [
            "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
            "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>",
            "<|eom_id|>", "<|eot_id|>", "<|python_tag|>",
        ]
        for number in 3..<256 - 8 { names.append("<|reserved_special_token_\(number)|>") }
        return names.enumerated().map { ($1, 128_000 + UInt32($0)) }
    }()

    /// Whether the first line is a token and a rank.
    static func isRecognised(_ bytes: [UInt8]) -> Bool {
        let line = bytes.prefix(1024).prefix { $0 != 0x0A }
        guard let space = line.firstIndex(of: 0x20), Base64.decode(line[..<space]) != nil else { return false }
        return number(line[(space + 1)...]) != nil
    }

    /// - Parameter configuration: names the special tokens of vocabularies that are not known.
    static func load(
        _ bytes: [UInt8], configuration: TokenizerConfiguration?
    ) throws(TokenizerError) -> Tokenizer.Stages {
        var tokens: [[UInt8]] = []
        var start = 0
        var line = 0
        let ranksMax = Vocabulary.sparseIDsMax(bytes.reduce(1) { $0 + ($1 == 0x0A ? 1 : 0) })
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            var content = bytes[start..<end]
            if content.last == 0x0D { content = content.dropLast() }
            start = end + 1
            line += 1
            if content.isEmpty { continue }
            guard let space = content.firstIndex(of: 0x20), let token = Base64.decode(content[..<space]),
                let rank = number(content[(space + 1)...]), !token.isEmpty
            else { throw TokenizerError(.malformed, place: "line \(line)", "not a token in base64 and its rank") }
            guard rank < ranksMax else {
                throw TokenizerError(.limitExceeded, place: "line \(line)", "rank \(rank)")
            }
            while tokens.count <= rank { tokens.append([]) }
            guard tokens[rank].isEmpty else {
                throw TokenizerError(.malformed, place: "line \(line)", "a second token with rank \(rank)")
            }
            tokens[rank] = token
        }
        let ranksCount = tokens.reduce(0) { $1.isEmpty ? $0 : $0 + 1 }
        let known = known.first { $0.ranksCount == ranksCount }
        var stages = try stages(
            tokens: tokens, scanner: known?.pattern ?? cl100k, special: known?.special ?? configuration?.special ?? [])
        if let start = known?.startOfText ?? configuration?.startOfText { stages.postProcessor.prefix = [start] }
        if known == nil {
            stages.estimatedWhy = "a rank file of \(ranksCount) tokens is not known: its split pattern is a guess"
        }
        return stages
    }

    /// The stages of any vocabulary in which the rank of a token is its merge order.
    /// - Parameter offset: what an id is above its token's rank.
    static func stages(
        tokens: [[UInt8]], scanner: PieceScanner, special: [(String, UInt32)]
    ) throws(TokenizerError) -> Tokenizer.Stages {
        let vocabulary = try Vocabulary(tokens: tokens) { _ in true }
        // Every way to make a token of two others has the token's own rank, so the tables hold all splits.
        var merges: [MergeTable.Merge] = []
        for (id, token) in tokens.enumerated() where token.count > 1 {
            guard token.count <= tokenBytesMax else {
                throw TokenizerError(.limitExceeded, "a token of \(token.count) bytes")
            }
            token.withUnsafeBufferPointer { bytes in
                guard let base = bytes.baseAddress else { return }
                for cut in 1..<bytes.count {
                    if let left = vocabulary.id(base, count: cut),
                        let right = vocabulary.id(base + cut, count: bytes.count - cut)
                    {
                        merges.append(MergeTable.Merge(left: left, right: right, rank: UInt32(truncatingIfNeeded: id)))
                    }
                }
            }
        }
        var options = BytePairModel.Options()
        options.ignoresMerges = true
        let model = try BytePairModel(
            vocabulary: vocabulary, merges: merges, results: (0..<UInt32(tokens.count)).map { $0 }, options: options)
        let size = max(tokens.count, special.map { Int($0.1) + 1 }.max() ?? 0)
        var stages = Tokenizer.Stages(model: .bytePair(model), vocabularySize: size)
        stages.preTokenizer = .scanner(scanner)
        stages.addedTokens = special.map { AddedToken(id: $0.1, content: Array($0.0.utf8), isSpecial: true) }
        return stages
    }

    /// Splits of a token are tried one by one; real tokens have at most 256 bytes.
    private static let tokenBytesMax = 1024

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 9 else { return nil }
        var value = 0
        for byte in digits {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }
}

/// RFC 4648 section 4, with padding.
enum Base64 {
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (value, byte) in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8.enumerated() {
            table[Int(byte)] = UInt8(value)
        }
        return table
    }()

    /// `nil` if it is not base64.
    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard !text.isEmpty, text.count % 4 == 0 else { return nil }
        let padding = text.last != 0x3D ? 0 : text.dropLast().last == 0x3D ? 2 : 1
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var bits: UInt32 = 0
        var count = 0
        for byte in text.dropLast(padding) {
            let value = values[Int(byte)]
            guard value != 0xFF else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 1
            if count % 4 == 0 {
                bytes.append(UInt8(truncatingIfNeeded: bits >> 16))
                bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
                bytes.append(UInt8(truncatingIfNeeded: bits))
            }
        }
        switch count % 4 {
        case 2: bytes.append(UInt8(truncatingIfNeeded: bits >> 4))
        case 3:
            bytes.append(UInt8(truncatingIfNeeded: bits >> 10))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 2))
        default: break
        }
        return bytes
    }
}
