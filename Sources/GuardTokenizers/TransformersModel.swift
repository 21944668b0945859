import GuardJSON

/// What transformers chooses a tokenizer class by: `config.json` and `tokenizer_config.json` of a model folder.
package struct TransformersModel: Sendable, Hashable {
    /// `model_type` of `config.json`.
    package var type: String?
    /// `tokenizer_class` of `tokenizer_config.json`, else of `config.json`.
    package var tokenizerClass: String?

    package init(type: String? = nil, tokenizerClass: String? = nil) {
        (self.type, self.tokenizerClass) = (type, tokenizerClass)
    }

    /// Whether `tokenizer.json` runs as it is: the class says nothing about a pipeline, or the model is one whose class
    /// transformers knows better.
    var keepsPipeline: Bool {
        if let type, Self.genericTypes.contains(type) { return true }
        guard let tokenizerClass else { return false }
        return !["LlamaTokenizer", "LlamaTokenizerFast"].contains(tokenizerClass)
    }

    /// From the configuration files of a model folder, or beside a tokenizer file; empty where there are none. Files that
    /// are no JSON say nothing here: `tokenizer_config.json` is reported where its template is read.
    package static func read(beside path: String) -> TransformersModel {
        let folder = FileBytes.isFolder(path) ? path : path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        func member(_ name: String, of file: String) -> String? {
            guard let bytes = try? FileBytes.read(folder + "/" + file), let root = try? JSONDocument(bytes).root else {
                return nil
            }
            return root[name]?.string
        }
        return TransformersModel(
            type: member("model_type", of: "config.json"),
            tokenizerClass: member("tokenizer_class", of: "tokenizer_config.json")
                ?? member("tokenizer_class", of: "config.json"))
    }

    /// Types that `TOKENIZER_MAPPING_NAMES` of transformers 5.23 gives no class of their own, and those on its list of
    /// wrong classes: a `LlamaTokenizer` in their files is not believed. Source: `models/auto/tokenization_auto.py`.
    private static let genericTypes = Set(
        """
        EvollaModel aria beam bigbird_pegasus canary flex_olmo glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm_image \
        glmasr got_ocr2 gpt_bigcode gradium_phonon_tts granite granitemoe granitemoehybrid granitemoeshared kimi_k25 \
        kimi_linear kosmos-2 mimo_v2_flash minicpm_ocr minicpmv4_6 minicpmv4_7 nemo_speechlm nystromformer olmo2 olmo3 \
        olmo_hybrid pegasus_x persimmon pix2struct pocket_tts stablelm umt5 xlm-roberta-xl internlm3 modernbert openvla \
        minimax_m2 llava_next opencua chatlm ernie4_5 fuyu smolvlm arctic llava camembertv2-base molmo minicpm3 nemotron \
        ernie4_5_moe minicpmv step3_vl phi3_v phi3 phimoe nvfp4 hyperclovax cohere_asr hyperclovax_vlm modernbert-decoder \
        h2ovl_chat jamba internlm2 vipllava paddleocr_vl molmo2 iquestcoder ministral ministral3 mistral mistral3 \
        mistral_large4 mixtral pixtral voxtral voxtral_realtime
        """.split(separator: " ").map(String.init))
}
