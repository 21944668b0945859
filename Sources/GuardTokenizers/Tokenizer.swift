package import GuardCore

/// What becomes of the strings of special tokens (`<|eot_id|>`, `</s>`) in a text.
package enum SpecialTokens: Sendable, Hashable {
    /// As the file's own library does by default: Hugging Face and tiktoken files turn them into their ids;
    /// SentencePiece never reads control pieces from text.
    case parse
    /// Tokens with the flag `special` are plain text. User-defined ones that are not special are still found.
    case asText
    /// As `parse`, and control pieces of SentencePiece models too: what transformers does with a rendered chat prompt.
    case parseControl
}

/// A loaded tokenizer: text in, ids out, equal to what the file's own library gives.
///
/// Immutable and safe to share between threads.
package final class Tokenizer: Sendable {
    package enum Format: String, Sendable, Hashable {
        case tokenizerJSON = "tokenizer.json"
        case sentencePiece = "sentencepiece"
        case tiktoken
        case tekken
    }

    package let format: Format
    /// Path of the file that the vocabulary came from.
    package let source: String
    /// SHA-256 of that file, lower-case hex.
    package let hash: String
    /// One more than the highest id, added tokens included.
    package let vocabularySize: Int
    /// Strings of the tokens that `tokenizer_config.json` (or the model file) names as start and end of text.
    package let bosToken: String?
    package let eosToken: String?
    /// Why counts are not known to be exact, `nil` where they are (DESIGN: `estimated`).
    package let estimatedWhy: String?

    /// Loads a file by its content, or a model folder (`tokenizer.json` preferred, then `tekken.json`, `tokenizer.model`,
    /// `*.tiktoken`).
    package static func load(path: String) throws(TokenizerError) -> Tokenizer {
        throw TokenizerError(.unreadable, file: path, "not implemented yet")
    }

    /// - Parameters:
    ///   - text: UTF-8. Ill-formed bytes are kept as single characters of no class.
    ///   - specials: what special tokens' strings in the text become.
    ///   - addSpecialTokens: whether the post-processor's tokens (`<s>` ...) are added: servers do so for completions and
    ///     not for chat, whose template writes them itself.
    package func encode(_ text: [UInt8], specials: SpecialTokens = .parse, addSpecialTokens: Bool) -> [TokenID] { [] }

    /// `encode(...).count` without building the ids.
    package func count(_ text: [UInt8], specials: SpecialTokens = .parse, addSpecialTokens: Bool) -> Int { 0 }

    /// Bytes of the ids' text as the file's decoder joins them; ids that do not exist add nothing. The result may be
    /// ill-formed UTF-8, where a token is part of a character.
    package func decode(_ ids: [TokenID], skipSpecialTokens: Bool = false) -> [UInt8] { [] }

    init(
        format: Format, source: String, hash: String, vocabularySize: Int, bosToken: String?, eosToken: String?,
        estimatedWhy: String?
    ) {
        self.format = format
        self.source = source
        self.hash = hash
        self.vocabularySize = vocabularySize
        self.bosToken = bosToken
        self.eosToken = eosToken
        self.estimatedWhy = estimatedWhy
    }
}
