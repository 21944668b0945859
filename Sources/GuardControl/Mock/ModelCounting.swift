import GuardChatTemplates
import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardTokenizers
import Synchronization

/// Counts as the server of a model does: its own chat template, its own tokenizer.
final class ModelCounting: MockCounting {
    private let builder: PromptBuilder
    /// What `/chat_tokenize` and `/apply-template` show, which only one server each has.
    let tgi, llama: PromptBuilder
    /// Tests and benchmarks ask for the same answers again and again.
    private let known = Mutex<[[UInt8]: [(id: UInt32, text: [UInt8])]]>([:])
    private static let knownMax = 64

    /// - Returns: nil where the model has no tokenizer.
    init?(_ entry: ModelEntry) {
        func builder(_ counting: ModelEntry.Counting) -> PromptBuilder? {
            guard let tokenizer = entry.tokenizer else { return nil }
            var entry = entry
            entry.counting = counting
            entry.serve(tokenizer, entry.templates)
            return entry.promptBuilder
        }
        guard let own = entry.promptBuilder, let tgi = builder(.tgi), let llama = builder(.llamacpp) else { return nil }
        (self.builder, self.tgi, self.llama) = (own, tgi, llama)
    }

    func chatTokens(_ chat: RequestView.Chat) throws(MockRefusal) -> Int {
        builder.tokenizer.count(try prompt(chat))
    }

    /// - Parameter builder: `nil` for that of the model's entry.
    /// - Throws: what the template raises.
    func prompt(_ chat: RequestView.Chat, by builder: PromptBuilder? = nil) throws(MockRefusal) -> TokenizerInput {
        do throws(TemplateError) {
            guard let input = try (builder ?? self.builder).chat(chat) else {
                throw TemplateError(.value, "the model has no chat template")
            }
            return input
        } catch {
            throw MockRefusal(error.message)
        }
    }

    /// - Parameter addsSpecialTokens: `nil` for what the API does.
    func ids(_ text: [UInt8], addsSpecialTokens: Bool?) -> [UInt32] {
        builder.tokenizer.encode(builder.text(text, addsSpecialTokens: addsSpecialTokens ?? true)).map(\.value)
    }

    func ids(_ input: TokenizerInput) -> [UInt32] { builder.tokenizer.encode(input).map(\.value) }

    func promptTokens(_ text: [UInt8]) -> Int { builder.tokenizer.count(builder.text(text)) }

    func tokens(of text: [UInt8]) -> [(id: UInt32, text: [UInt8])] {
        if let tokens = known.withLock({ $0[text] }) { return tokens }
        let ids = builder.tokenizer.encode(text, specials: .asText, addSpecialTokens: false)
        var tokens: [(id: UInt32, text: [UInt8])] = []
        tokens.reserveCapacity(ids.count)
        // A decoder may treat the first token otherwise (SentencePiece drops its space): each later one is decoded
        // behind the first.
        let first = ids.first.map { builder.tokenizer.decode([$0]) } ?? []
        for (index, id) in ids.enumerated() {
            let bytes = index == 0 ? first : Array(builder.tokenizer.decode([ids[0], id]).dropFirst(first.count))
            tokens.append((id.value, bytes))
        }
        known.withLock {
            if $0.count >= Self.knownMax { $0.removeAll() }
            $0[text] = tokens
        }
        return tokens
    }
}
