/// What `tokenizer.ggml.pre` stands for in llama.cpp: GGUF files name the split, they do not contain it.
///
/// The patterns are those of llama.cpp's `llm_tokenizer_bpe` (src/llama-vocab.cpp), one after the other, each within
/// the pieces that those before it left. They are not always those of the model's `tokenizer.json`: llama.cpp's regular
/// expressions know letters, but not their case beyond ASCII (`tekken`, `gpt-4o`). A server that runs the file splits so.
struct GGUFPreTokenizer {
    var steps: [PreTokenizer.Step]
    /// A whole piece that is in the vocabulary is taken as it is.
    var ignoresMerges = false
    var addsStart = false

    private enum Part {
        case gpt2, llama3, qwen2, digit
        case pattern(String)
    }

    private init(_ parts: [Part], ignoresMerges: Bool = false, addsStart: Bool = false) throws(TokenizerError) {
        var steps: [PreTokenizer.Step] = []
        for part in parts {
            switch part {
            case .gpt2: steps.append(.scanner(PieceScanner(family: .gpt2)))
            case .llama3: steps.append(.scanner(PieceScanner(family: .cl100k, digitsMax: 3)))
            case .qwen2: steps.append(.scanner(PieceScanner(family: .cl100k, digitsMax: 1)))
            case .digit: steps.append(.split(.digits(individually: true), .isolated, inverted: false))
            case .pattern(let source):
                steps.append(.split(.pattern(try SplitPattern(source)), .isolated, inverted: false))
            }
        }
        (self.steps, self.ignoresMerges, self.addsStart) = (steps, ignoresMerges, addsStart)
    }

    var preTokenizer: PreTokenizer {
        if steps.count == 1, case .scanner(let scanner) = steps[0] { return .scanner(scanner) }
        return .steps(steps)
    }

    /// - Parameter name: content of `tokenizer.ggml.pre`; files without it have `default`.
    static func named(_ name: String) throws(TokenizerError) -> GGUFPreTokenizer? {
        switch name {
        case "default":
            try GGUFPreTokenizer([
                .pattern(#"[\p{P}\$\+<=>\^~\|]+"#), .gpt2, .pattern(#"\p{N}+"#), .pattern("[0-9][0-9][0-9]"),
            ])
        case "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano":
            try GGUFPreTokenizer([.llama3], ignoresMerges: true, addsStart: true)
        case "dbrx", "smaug-bpe", "glm4", "chatglm-bpe": try GGUFPreTokenizer([.llama3])
        case "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
            "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "exaone4", "mpt", "olmo", "jais", "trillion",
            "granite-docling":
            try GGUFPreTokenizer([.gpt2])
        case "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2":
            try GGUFPreTokenizer([.digit, .gpt2])
        case "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "hunyuan", "solar-open", "megrez":
            try GGUFPreTokenizer([.qwen2])
        case "grok-2": try GGUFPreTokenizer([.qwen2])
        case "laguna": try GGUFPreTokenizer([.pattern(#"[^\n]+|[\n]+"#), .qwen2])
        case "qwen35":
            try GGUFPreTokenizer([
                .pattern(
                    contractions + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"# + spaces)
            ])
        case "deepseek-llm":
            try GGUFPreTokenizer([
                .pattern("[\r\n]"), .pattern(#"\s?["# + deepSeekLetters + "]+"),
                .pattern("\\s?[!-/:-~\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}]+"),
                .pattern(#"\s+\z"#), .pattern(deepSeekIdeographs), .pattern(#"\p{N}+"#),
            ])
        case "deepseek-coder":
            try GGUFPreTokenizer([
                .pattern("[\r\n]"), .pattern(#"\s?\p{L}+"#), .pattern(#"\s?\p{P}+"#), .pattern(deepSeekIdeographs), .digit,
            ])
        case "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4":
            try GGUFPreTokenizer([
                .pattern(#"\p{N}{1,3}"#), .pattern("[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+"),
                // llama.cpp's ASCII symbols lack `~`.
                .pattern(
                    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|(?:~|[^\r\n\p{L}\p{P}\p{S}])?[\p{L}\p{M}]+"##
                        + #"| ?(?:(?!~)[\p{P}\p{S}])+[\r\n]*"# + spaces),
            ])
        case "falcon":
            try GGUFPreTokenizer([.pattern(#"[\p{P}\$\+<=>\^~\|`]+"#), .gpt2, .pattern("[0-9][0-9][0-9]")])
        case "poro-chat", "bloom", "gpt3-finnish": try GGUFPreTokenizer([.pattern(bloom)])
        case "viking": try GGUFPreTokenizer([.pattern(bloom), .digit])
        case "tekken":
            try GGUFPreTokenizer(
                [.pattern(cased("", #"\p{N}"#))], ignoresMerges: true, addsStart: true)
        case "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2":
            try GGUFPreTokenizer([.pattern(cased(contractions + "?", #"\p{N}{1,3}"#))])
        case "bailingmoe", "bailingmoe2", "llada-moe":
            try GGUFPreTokenizer([
                .pattern(
                    contractions
                        + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#)
            ])
        case "seed-coder":
            try GGUFPreTokenizer([
                .pattern(contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+"# + spaces)
            ])
        case "ufakzeka":
            try GGUFPreTokenizer([.pattern(#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"# + spaces)])
        case "minicpm5":
            try GGUFPreTokenizer(
                [
                    .pattern(#"\p{N}{1,3}"#),
                    .pattern(
                        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*"# + spaces),
                ], ignoresMerges: true)
        default: nil
        }
    }

    private static let contractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    private static let spaces = #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    private static let bloom = " ?[^(\\s|.,!?\u{2026}\u{3002}\u{FF0C}\u{3001}\u{964}\u{6D4}\u{60C})]+"
    private static let deepSeekIdeographs = "[\u{4E00}-\u{9FA5}\u{800}-\u{4E00}\u{AC00}-\u{D7FF}]+"

    /// Words with their case, where letters beyond ASCII have none.
    private static func cased(_ suffix: String, _ digits: String) -> String {
        let head = #"[^\r\n\p{L}\p{N}]?"#
        let upper = #"((?=[\p{L}])([^a-z]))"#
        let lower = #"((?=[\p{L}])([^A-Z]))"#
        return head + upper + "*" + lower + "+" + suffix + "|" + head + upper + "+" + lower + "*" + suffix + "|"
            + digits + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*"# + spaces
    }

    /// The letters with case that DeepSeek LLM's pattern lists.
    private static let deepSeekLetters: String = {
        let ranges: [(UInt32, UInt32)] = [
            (0x41, 0x5A), (0x61, 0x7A), (0xB5, 0xB5), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x1BA), (0x1BC, 0x1BF),
            (0x1C4, 0x293), (0x295, 0x2AF), (0x370, 0x373), (0x376, 0x377), (0x37B, 0x37D), (0x37F, 0x37F),
            (0x386, 0x386), (0x388, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3F5), (0x3F7, 0x481),
            (0x48A, 0x52F), (0x531, 0x556), (0x10A0, 0x10C5), (0x13A0, 0x13F5), (0x13F8, 0x13FD), (0x1C90, 0x1CBA),
            (0x1CBD, 0x1CBF), (0x1D00, 0x1D2B), (0x1D6B, 0x1D77), (0x1D79, 0x1D9A), (0x1E00, 0x1F15),
            (0x1F18, 0x1F1D), (0x1F20, 0x1F45), (0x1F48, 0x1F4D), (0x1F50, 0x1F57), (0x1F59, 0x1F59),
            (0x1F5B, 0x1F5B), (0x1F5D, 0x1F5D), (0x1F5F, 0x1F7D), (0x1F80, 0x1FB4), (0x1FB6, 0x1FBC),
            (0x1FBE, 0x1FBE), (0x1FC2, 0x1FC4), (0x1FC6, 0x1FCC), (0x1FD0, 0x1FD3), (0x1FD6, 0x1FDB),
            (0x1FE0, 0x1FEC), (0x1FF2, 0x1FF4), (0x1FF6, 0x1FFC), (0x2102, 0x2102), (0x2107, 0x2107),
            (0x210A, 0x2113), (0x2115, 0x2115), (0x2119, 0x211D), (0x2124, 0x2124), (0x2126, 0x2126),
            (0x2128, 0x2128), (0x212A, 0x212D), (0x212F, 0x2134), (0x2139, 0x2139), (0x213C, 0x213F),
            (0x2145, 0x2149), (0x214E, 0x214E), (0x2183, 0x2184), (0x2C00, 0x2C7B), (0x2C7E, 0x2CE4),
            (0x2CEB, 0x2CEE), (0x2CF2, 0x2CF3), (0xA640, 0xA66D), (0xA680, 0xA69B), (0xA722, 0xA76F),
            (0xA771, 0xA787), (0xA78B, 0xA78E), (0xAB70, 0xABBF), (0xFB00, 0xFB06), (0xFB13, 0xFB17),
            (0xFF21, 0xFF3A), (0xFF41, 0xFF5A), (0x10400, 0x1044F), (0x104B0, 0x104D3), (0x104D8, 0x104FB),
            (0x10C80, 0x10CB2), (0x10CC0, 0x10CF2), (0x118A0, 0x118DF), (0x1E900, 0x1E943),
        ]
        func hexadecimal(_ scalar: UInt32) -> String { "\\x{" + String(scalar, radix: 16) + "}" }
        return ranges.map { hexadecimal($0.0) + "-" + hexadecimal($0.1) }.joined()
    }()
}
