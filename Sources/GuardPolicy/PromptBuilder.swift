package import GuardChatTemplates
import GuardCore
import GuardJSON
package import GuardLLMSchema
package import GuardTokenizers

/// Makes of requests what the served model's tokenizer reads: the one place that knows, for each counting mode, what
/// special tokens' strings in a text become and who writes the start token.
///
/// | counting | conversation | text completion |
/// |---|---|---|
/// | `hf`, `hf5` (vLLM) | control strings are read, no token is added unless the request says so | read, start token added |
/// | `transformers5`, `tgi`, `ollama` | read, none added | read, start token added |
/// | `llamacpp` | read; the vocabulary's start token is added and the template's own taken away | the same |
/// | `mistral-common` | control tokens by id, never read from text | not read, start token added |
package struct PromptBuilder: Sendable {
    package var tokenizer: Tokenizer
    package var renderer: PromptRenderer

    private var counting: ModelEntry.Counting { renderer.counting }

    /// - Parameter tokenizer: with the pipeline of the counting mode (`ModelEntry.serve`).
    package init(tokenizer: Tokenizer, renderer: PromptRenderer) {
        (self.tokenizer, self.renderer) = (tokenizer, renderer)
    }

    /// - Parameter addsSpecialTokens: what the request says, or the API's default.
    package func text(_ text: [UInt8], addsSpecialTokens: Bool = true) -> TokenizerInput {
        switch counting {
        case .mistralCommon: TokenizerInput(text: text, specials: .asText, addsSpecialTokens: addsSpecialTokens)
        case .llamacpp:
            TokenizerInput(
                text: text, specials: .parseControl, addsSpecialTokens: true, why: llamaWhy(of: text))
        case .hf, .hf5, .transformers5, .tgi, .ollama:
            // Ollama puts a completion into its own template.
            TokenizerInput(
                text: text, specials: .parse, addsSpecialTokens: addsSpecialTokens, why: counting.chatWhy)
        }
    }

    /// - Returns: `nil` where the model has no chat template.
    /// - Throws: what the template raises.
    package func chat(_ chat: RequestView.Chat) throws(TemplateError) -> TokenizerInput? {
        var why = counting.chatWhy
        if counting == .mistralCommon {
            if let parts = try MistralPrompt(tokenizer)?.parts(chat) {
                return TokenizerInput(parts: parts, specials: .asText, addsSpecialTokens: false)
            }
            why.append("mistral_common_template")
        }
        guard renderer.templates.template(hasTools: chat.tools != nil) != nil else { return nil }
        var prompt = try renderer.render(chat)
        var addsSpecialTokens = chat.addSpecialTokens ?? false
        switch counting {
        case .llamacpp:
            addsSpecialTokens = true
            if tokenizer.addsStartToken, let bos = tokenizer.bosToken, prompt.starts(with: bos.utf8) {
                prompt.removeFirst(bos.utf8.count)
            }
            why += llamaWhy(of: prompt)
        case .tgi:
            if Array(chat.messages.elements).last?["role"]?.string == "assistant" { why.append("tgi_prefill") }
        case .hf, .hf5, .transformers5, .mistralCommon, .ollama: break
        }
        return TokenizerInput(
            text: prompt, specials: .parseControl, addsSpecialTokens: addsSpecialTokens, why: why)
    }

    /// llama.cpp takes runs of spaces that are tokens of their own (Gemma) out of a text before it writes `▁` for spaces, so
    /// it does not find them where a text has written the character itself.
    private func llamaWhy(of text: [UInt8]) -> [String] {
        let mark: [UInt8] = [0xE2, 0x96, 0x81]
        return tokenizer.readsWordMarks && text.firstRange(of: mark + mark) != nil ? ["llamacpp_word_marks"] : []
    }
}

extension ModelEntry {
    /// Takes a model in use, with the tokenizer pipeline that the counting mode's server runs.
    package mutating func serve(
        _ tokenizer: Tokenizer, _ templates: ModelTemplates, _ model: TransformersModel = TransformersModel()
    ) {
        self.tokenizer =
            switch counting {
            case .hf5, .transformers5: tokenizer.asTransformers5(model)
            case .llamacpp: tokenizer.asLlama()
            case .hf, .mistralCommon, .tgi, .ollama: tokenizer
            }
        self.templates = templates
    }

    /// `nil` where the model has no tokenizer.
    package var promptBuilder: PromptBuilder? {
        tokenizer.map {
            PromptBuilder(tokenizer: $0, renderer: PromptRenderer(counting: counting, templates: templates))
        }
    }
}
