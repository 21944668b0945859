import GuardChatTemplates
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
    let entry: ModelEntry
    let tokenizer: Tokenizer

    func counted(_ input: VerifyCase.Input) -> CountedPrompt {
        switch input {
        case .text(let text):
            let ids = tokenizer.encode(text, specials: textSpecials, addSpecialTokens: true)
            return CountedPrompt(ids: ids.map(\.value), count: ids.count)
        case .chat(let chat):
            if let count = entry.countWithoutText(chat, tokenizer) { return CountedPrompt(count: count) }
            do {
                let prompt = try entry.chatPrompt(chat, tokenizer)
                let ids = tokenizer.encode(
                    prompt.text, specials: .parseControl, addSpecialTokens: prompt.addsSpecialTokens)
                return CountedPrompt(ids: ids.map(\.value), count: ids.count, rendered: prompt.text)
            } catch {
                return CountedPrompt(refusal: error.message)
            }
        }
    }

    private var textSpecials: SpecialTokens { entry.counting == .mistralCommon ? .asText : .parse }

    /// One other way to treat special tokens, in words.
    struct Alternative: Sendable {
        var ids: [UInt32]
        var words: String
    }

    /// The same prompt with special tokens added or left out, and with their strings in the text as text.
    func alternatives(_ input: VerifyCase.Input) -> [Alternative] {
        let text: [UInt8]
        let modes: [SpecialTokens]
        let usual: (specials: SpecialTokens, adds: Bool)
        switch input {
        case .text(let bytes):
            text = bytes
            usual = (textSpecials, true)
            modes = [.parse, .asText, .parseControl]
        case .chat(let chat):
            guard let prompt = try? entry.chatPrompt(chat, tokenizer) else { return [] }
            text = prompt.text
            usual = (.parseControl, prompt.addsSpecialTokens)
            modes = [.parseControl, .parse, .asText]
        }
        var found: [Alternative] = []
        for specials in modes {
            for adds in [usual.adds, !usual.adds] where (specials, adds) != usual {
                var words: [String] = []
                if adds != usual.adds {
                    words.append("start and end tokens \(adds ? "are added" : "are not added")")
                }
                if specials != usual.specials {
                    words.append(
                        specials == .asText
                            ? "strings of special tokens are plain text"
                            : specials == .parse ? "control strings are not parsed" : "strings of special tokens are parsed")
                }
                found.append(
                    Alternative(
                        ids: tokenizer.encode(text, specials: specials, addSpecialTokens: adds).map(\.value),
                        words: words.joined(separator: ", ")))
            }
        }
        return found
    }
}
