import GuardCore
import GuardTesting
import Testing

@testable import GuardTokenizers

/// The same files as transformers 5 and llama.cpp run them. Ids of llama.cpp are from its own tokenizer (llama-cpp-python
/// 0.3.36) with GGUF files that its converter made of these vocabularies.
@Suite(.enabled(if: TestData.hasShared))
struct VariantTests {
    private func ids(_ tokenizer: Tokenizer, _ text: String) -> [UInt32] {
        tokenizer.encode(Array(text.utf8), specials: .parseControl, addSpecialTokens: false).map(\.value)
    }

    @Test(arguments: [
        (TransformersModel(), false), (TransformersModel(type: "llama", tokenizerClass: "LlamaTokenizer"), false),
        (TransformersModel(type: "phi3", tokenizerClass: "LlamaTokenizer"), true),
        (TransformersModel(type: "mistral", tokenizerClass: "LlamaTokenizerFast"), true),
        (TransformersModel(type: "llama", tokenizerClass: "PreTrainedTokenizerFast"), true),
    ])
    func transformers5RebuildsWhatItKnowsAsLlama(_ model: TransformersModel, _ keeps: Bool) throws {
        let asFile = try TestFiles.sharedTokenizer("phi-3-mini/tokenizer.json")
        let rebuilt = try TestFiles.sharedTokenizer("phi-3-mini-v5/tokenizer.json")
        let text = "<|user|>\nHi <|end|>\n<|assistant|>\nx</s>y"
        #expect(ids(asFile, text) != ids(rebuilt, text))
        #expect(ids(asFile.asTransformers5(model), text) == ids(keeps ? asFile : rebuilt, text))
    }

    @Test(arguments: [
        (
            "mistral-nemo", "สวัสดีชาวโลก नमस्ते",
            [8335, 6851, 4739, 75530, 5324, 125049, 68733, 5354, 4148, 3525, 3053, 6660, 1803] as [UInt32]
        ),
        ("qwen2.5", "e\u{301} \u{344}x \u{212B}", [68, 53839, 220, 137, 226, 87, 28653, 104]),
        ("qwen2.5", "x</s>y", [87, 128247, 88]),
        (
            "phi-3-mini", "<|user|>\nHi <|end|>\n<|assistant|>\n",
            [32010, 29871, 13, 18567, 29871, 32007, 29871, 13, 32001, 29871, 13]
        ),
    ])
    func llamaRunsItsOwnPipeline(_ name: String, _ text: String, _ expected: [UInt32]) throws {
        let asFile = try TestFiles.sharedTokenizer(name + "/tokenizer.json")
        #expect(ids(asFile, text) != expected)
        #expect(ids(asFile.asLlama(), text) == expected)
        #expect((asFile.asLlama().estimatedWhy == nil) == (name != "phi-3-mini"))
    }
}
