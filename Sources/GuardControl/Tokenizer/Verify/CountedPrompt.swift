import GuardChatTemplates
import GuardCore
import GuardLLMSchema
import GuardPolicy
import GuardTokenizers

/// What one side makes of a case.
struct CountedPrompt: Sendable, Equatable {
    /// Where the side says them.
    var ids: [UInt32]?
    var count = 0
    /// The conversation as the template wrote it, where the side shows it.
    var rendered: [UInt8]?
    /// The side counts nothing: what the template raised, or the server answered.
    var refusal: String?
}

/// What we count for a case, and could count if special tokens were treated otherwise.
struct OwnCounting: Sendable {
    let builder: PromptBuilder

    var tokenizer: Tokenizer { builder.tokenizer }
    var counting: ModelEntry.Counting { builder.renderer.counting }

    func counted(_ input: VerifyCase.Input) -> CountedPrompt {
        do throws(TemplateError) {
            guard let prompt = try prompt(input) else {
                return CountedPrompt(refusal: "the model has no chat template")
            }
            let ids = tokenizer.encode(prompt)
            return CountedPrompt(
                ids: ids.map(\.value), count: ids.count, rendered: input.isText ? nil : prompt.rendered)
        } catch {
            return CountedPrompt(refusal: error.message)
        }
    }

    private func prompt(_ input: VerifyCase.Input) throws(TemplateError) -> TokenizerInput? {
        switch input {
        case .text(let text): builder.text(text)
        case .chat(let chat): try builder.chat(chat)
        }
    }

    /// One other way to treat special tokens, in words.
    struct Alternative: Sendable {
        var ids: [UInt32]
        var words: String
    }

    /// The same prompt with special tokens added or left out, and with their strings in the text as text.
    func alternatives(_ input: VerifyCase.Input) -> [Alternative] {
        guard let usual = try? prompt(input) else { return [] }
        var found: [Alternative] = []
        for specials in [SpecialTokens.parseControl, .parse, .asText] {
            for adds in [usual.addsSpecialTokens, !usual.addsSpecialTokens] {
                var other = usual
                (other.specials, other.addsSpecialTokens) = (specials, adds)
                var words: [String] = []
                if adds != usual.addsSpecialTokens {
                    words.append("start and end tokens \(adds ? "are added" : "are not added")")
                }
                if specials != usual.specials {
                    words.append(
                        specials == .asText
                            ? "strings of special tokens are plain text"
                            : specials == .parse
                                ? "control strings are not parsed" : "strings of special tokens are parsed")
                }
                guard !words.isEmpty else { continue }
                found.append(
                    Alternative(ids: tokenizer.encode(other).map(\.value), words: words.joined(separator: ", ")))
            }
        }
        return found
    }
}
