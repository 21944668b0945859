internal import GuardYAML

/// Counts the tokens of texts for `tokens` conditions. The rules know no tokenizer: who judges lends one, the served
/// model's.
package protocol TokenCounting: Sendable {
    /// Tells tokenizers apart that may count differently: what was found with one is not taken for another's.
    var identity: String { get }

    /// Tokens of `text` without the tokens around a prompt.
    ///
    /// - Parameter tokenizer: what the rule names for where no model is served (`guardctl test`, `guardctl check`): a path
    ///   in the policy folder.
    /// - Returns: nil where there is no tokenizer; the scan then fails.
    func tokensCount(of text: Span<UInt8>, tokenizer: String?) -> Int?
}

/// `tokens: {max: 4096}`: limits that a text is expected to keep. It matches, as a whole, where it breaks one of them.
///
/// | key | the text breaks it with |
/// |---|---|
/// | `max`, `min` | more, fewer tokens |
/// | `bytesPerToken: {min, max}` | fewer, more UTF-8 bytes per token: floods of rare tokens, of blank runs |
/// | `tokensPerCharacter: {min, max}` | fewer, more tokens per Unicode scalar: encoded blobs, glitch tokens |
/// | `from` | ratios are judged of texts with at least this many tokens (default 64): short texts have odd ones |
package struct TokensCondition: Sendable, Hashable {
    struct Ratio: Sendable, Hashable {
        var min: Double?
        var max: Double?

        func isBroken(by value: Double) -> Bool {
            min.map { value < $0 } ?? false || max.map { value > $0 } ?? false
        }
    }

    var min: Int?
    var max: Int?
    var bytesPerToken = Ratio()
    var tokensPerCharacter = Ratio()
    var from = Self.fromDefault
    /// Where no model is served.
    package internal(set) var tokenizer: String?

    static let fromDefault = 64

    /// Not a ratio: asks for the whole text.
    var countsAll: Bool { min != nil || max != nil }

    func matches(in raw: Span<UInt8>, _ run: inout ComposedRule.Run) -> [ComposedRule.Match] {
        guard let count = run.tokens?.tokensCount(of: raw, tokenizer: tokenizer) else {
            run.failures.append(.noTokenizer)
            return []
        }
        guard let broken = broken(by: count, raw) else { return [] }
        return [run.whole(raw, explanation: broken)]
    }

    /// Which limit, with figures.
    private func broken(by count: Int, _ raw: Span<UInt8>) -> String? {
        if let max, count > max { return "\(count) tokens, max \(max)" }
        if let min, count < min { return "\(count) tokens, min \(min)" }
        guard count >= Swift.max(1, from) else { return nil }
        let bytes = Double(raw.count) / Double(count)
        if bytesPerToken.isBroken(by: bytes) { return "\(Self.hundredths(bytes)) bytes per token" }
        var characters = 0
        for index in 0..<raw.count where raw[index] & 0xC0 != 0x80 { characters += 1 }
        let ratio = Double(count) / Double(Swift.max(1, characters))
        if tokensPerCharacter.isBroken(by: ratio) { return "\(Self.hundredths(ratio)) tokens per character" }
        return nil
    }

    private static func hundredths(_ value: Double) -> String { String((value * 100).rounded() / 100) }
}

extension ConditionCompiler {
    func tokens(_ reader: YAMLReader) -> TokensCondition? {
        guard
            let map = reader.mapping(keys: ["max", "min", "bytesPerToken", "tokensPerCharacter", "from", "tokenizer"])
        else { return nil }
        var condition = TokensCondition()
        condition.max = map["max"]?.int(in: 0...1_000_000_000)
        condition.min = map["min"]?.int(in: 1...1_000_000_000)
        if let low = condition.min, let high = condition.max, low > high {
            map.report(key: "min", "'min' is above 'max': every text would match")
        }
        condition.bytesPerToken = ratio(map["bytesPerToken"])
        condition.tokensPerCharacter = ratio(map["tokensPerCharacter"])
        condition.from = map["from"]?.int(in: 1...1_000_000_000) ?? TokensCondition.fromDefault
        condition.tokenizer = map["tokenizer"].flatMap { path($0) }
        let ratios = ["bytesPerToken", "tokensPerCharacter"].filter { map[$0] != nil }
        if ratios.isEmpty {
            if map["from"] != nil { map.report(key: "from", "'from' belongs beside a ratio") }
            if map["max"] == nil, map["min"] == nil {
                reader.report("names no limit; one of max, min, bytesPerToken, tokensPerCharacter is needed")
            }
        }
        return condition
    }

    private func ratio(_ reader: YAMLReader?) -> TokensCondition.Ratio {
        var ratio = TokensCondition.Ratio()
        guard let reader, let map = reader.mapping(keys: ["min", "max"]) else { return ratio }
        ratio.min = map["min"]?.double(in: 0...1_000_000)
        ratio.max = map["max"]?.double(in: 0...1_000_000)
        if map["min"] == nil, map["max"] == nil { reader.report("'min' or 'max' is needed") }
        if let low = ratio.min, let high = ratio.max, low > high {
            map.report(key: "min", "'min' is above 'max': every text would match")
        }
        return ratio
    }
}
