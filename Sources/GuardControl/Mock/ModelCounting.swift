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
    /// Tests and benchmarks ask for the same answers again and again.
    private let known = Mutex<[[UInt8]: [(id: UInt32, text: [UInt8])]]>([:])
    private static let knownMax = 64

    /// - Returns: nil where the model has no tokenizer.
    init?(_ entry: ModelEntry) {
        guard let builder = entry.promptBuilder else { return nil }
        self.builder = builder
    }

    func chatTokens(messages: JSONNode, tools: JSONNode?) throws(MockRefusal) -> Int {
        var chat = RequestView.Chat(messages: messages)
        chat.tools = tools
        do throws(TemplateError) {
            guard let input = try builder.chat(chat) else { throw TemplateError(.value, "the model has no chat template") }
            return builder.tokenizer.count(input)
        } catch {
            throw MockRefusal(error.message)
        }
    }

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
