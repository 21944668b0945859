import GuardRules
package import GuardTokenizers

/// Counts for `tokens` conditions of rules: by the served model's tokenizer, as its server would read the text inside of a
/// prompt; where no model is served (`guardctl test`, `guardctl check`), by the one that the rule names.
package struct RuleTokens: TokenCounting {
    private let tokenizer: Tokenizer?
    private let specials: SpecialTokens
    private let named: [String: Tokenizer]
    package let identity: String

    package init(_ model: ModelEntry?, named: [String: Tokenizer] = [:]) {
        tokenizer = model?.tokenizer
        // mistral-common never reads control strings from text.
        specials = model?.counting == .mistralCommon ? .asText : .parse
        self.named = named
        identity = tokenizer.map { "\($0.hash) \(model?.counting.rawValue ?? "")" } ?? ""
    }

    package func tokensCount(of text: Span<UInt8>, tokenizer name: String?) -> Int? {
        (tokenizer ?? name.flatMap { named[$0] })?.count(text, specials: specials, addSpecialTokens: false)
    }
}

extension PolicySnapshot {
    func ruleTokens(_ model: ModelEntry?) -> RuleTokens? {
        bundle.countsTokens ? RuleTokens(model, named: ruleTokenizers) : nil
    }
}
