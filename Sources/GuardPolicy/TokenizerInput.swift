package import GuardCore
package import GuardTokenizers

/// A prompt as a server hands it to its tokenizer: text, or text between tokens that it puts there by id.
///
/// What becomes of special tokens' strings and of the start token is decided where this is made (`PromptBuilder`) and
/// nowhere else: limits, `/v1/tokenize` and the mock server count the same input.
package struct TokenizerInput: Sendable {
    package enum Part: Sendable {
        case text([UInt8])
        /// By id, whatever the text says; with the string that stands for it.
        case token(TokenID, [UInt8])
    }

    package var parts: [Part]
    package var specials: SpecialTokens
    /// Whether the tokenizer puts its own tokens (`<s>`) around the text.
    package var addsSpecialTokens: Bool
    /// Why the count is an estimate; empty where it is exact.
    package var why: [String]

    package init(parts: [Part], specials: SpecialTokens, addsSpecialTokens: Bool, why: [String] = []) {
        self.parts = parts
        self.specials = specials
        self.addsSpecialTokens = addsSpecialTokens
        self.why = why
    }

    package init(text: [UInt8], specials: SpecialTokens, addsSpecialTokens: Bool, why: [String] = []) {
        self.init(parts: [.text(text)], specials: specials, addsSpecialTokens: addsSpecialTokens, why: why)
    }

    /// UTF-8, tokens as their strings.
    package var rendered: [UInt8] {
        parts.reduce(into: []) { text, part in
            switch part {
            case .text(let bytes), .token(_, let bytes): text += bytes
            }
        }
    }

    var bytesCount: Int {
        parts.reduce(0) { sum, part in
            switch part {
            case .text(let bytes), .token(_, let bytes): sum + bytes.count
            }
        }
    }
}

extension Tokenizer {
    /// As `count`, up to where it is sure that there are more than `limit`.
    func count(_ input: TokenizerInput, limit: Int) -> Tokenizer.LimitedCount {
        var sum = 0
        for part in input.parts {
            switch part {
            case .token: sum += 1
            case .text(let text):
                let count = count(
                    text, specials: input.specials, addSpecialTokens: input.addsSpecialTokens, limit: limit - sum)
                switch count {
                case .exact(let more): sum += more
                case .over(let least): return .over(atLeast: sum + least)
                }
            }
        }
        return .exact(sum)
    }

    package func count(_ input: TokenizerInput) -> Int {
        input.parts.reduce(0) { sum, part in
            switch part {
            case .token: sum + 1
            case .text(let text):
                sum + count(text, specials: input.specials, addSpecialTokens: input.addsSpecialTokens)
            }
        }
    }

    package func encode(_ input: TokenizerInput) -> [TokenID] {
        input.parts.flatMap { part in
            switch part {
            case .token(let id, _): [id]
            case .text(let text):
                encode(text, specials: input.specials, addSpecialTokens: input.addsSpecialTokens)
            }
        }
    }
}
