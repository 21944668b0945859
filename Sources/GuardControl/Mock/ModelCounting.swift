import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardTokenizers
import Synchronization

/// Counts as the server of a model does: its own chat template, its own tokenizer.
final class ModelCounting: MockCounting {
    let tokenizer: Tokenizer
    private let entry: ModelEntry
    /// Tests and benchmarks ask for the same answers again and again.
    private let known = Mutex<[[UInt8]: [(id: UInt32, text: [UInt8])]]>([:])
    private static let knownMax = 64

    /// - Returns: nil where the model has no tokenizer.
    init?(_ entry: ModelEntry) {
        guard let tokenizer = entry.tokenizer else { return nil }
        self.tokenizer = tokenizer
        self.entry = entry
    }

    func chatTokens(_ chat: RequestView.Chat) throws(MockRefusal) -> Int {
        let prompt = try self.prompt(chat)
        return tokenizer.count(prompt.text, specials: .parseControl, addSpecialTokens: prompt.addsSpecialTokens)
    }

    /// - Parameter counting: `nil` for that of the model's entry.
    /// - Throws: what the template raises.
    func prompt(
        _ chat: RequestView.Chat, as counting: ModelEntry.Counting? = nil
    ) throws(MockRefusal) -> (text: [UInt8], addsSpecialTokens: Bool) {
        var entry = entry
        if let counting { entry.counting = counting }
        do {
            let prompt = try entry.chatPrompt(chat, tokenizer)
            return (prompt.text, prompt.addsSpecialTokens)
        } catch {
            throw MockRefusal(error.message)
        }
    }

    func promptTokens(_ text: [UInt8]) -> Int { tokenizer.count(text, specials: .parse, addSpecialTokens: true) }

    func tokens(of text: [UInt8]) -> [(id: UInt32, text: [UInt8])] {
        if let tokens = known.withLock({ $0[text] }) { return tokens }
        let ids = tokenizer.encode(text, specials: .asText, addSpecialTokens: false)
        var tokens: [(id: UInt32, text: [UInt8])] = []
        tokens.reserveCapacity(ids.count)
        // A decoder may treat the first token otherwise (SentencePiece drops its space): each later one is decoded
        // behind the first.
        let first = ids.first.map { tokenizer.decode([$0]) } ?? []
        for (index, id) in ids.enumerated() {
            let bytes = index == 0 ? first : Array(tokenizer.decode([ids[0], id]).dropFirst(first.count))
            tokens.append((id.value, bytes))
        }
        known.withLock {
            if $0.count >= Self.knownMax { $0.removeAll() }
            $0[text] = tokens
        }
        return tokens
    }
}
