import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardTokenizers

/// What model servers say about tokens: `/tokenize` of vLLM, TGI and llama.cpp, told apart by the fields of the body,
/// TGI's `/chat_tokenize`, llama.cpp's `/apply-template`.
struct MockTokenization {
    /// JSON.
    private(set) var answer: [UInt8]

    init(model: ModelCounting, path: String, body: [UInt8]) throws(MockRefusal) {
        let root: JSONNode
        do {
            root = try JSONDocument(body).root
        } catch {
            throw MockRefusal("the body is not JSON: \(error)")
        }
        var writer = JSONWriter()
        if path == "/apply-template" {
            let prompt = try model.prompt(try MockRequest.chat(root), by: model.llama)
            writer.object { $0.member("prompt", utf8: prompt.rendered) }
        } else if path == "/chat_tokenize" {
            let prompt = try model.prompt(try MockRequest.chat(root), by: model.tgi)
            writer.object {
                $0.key("tokenize_response")
                Self.write(simple: model.ids(prompt), &$0)
                $0.member("templated_text", utf8: prompt.rendered)
            }
        } else if root["messages"] != nil {
            Self.write(vllm: model.ids(try model.prompt(try MockRequest.chat(root))), &writer)
        } else if let text = root["prompt"]?.stringBytes {
            Self.write(vllm: model.ids(text, addsSpecialTokens: root["add_special_tokens"]?.bool), &writer)
        } else if let text = root["inputs"]?.stringBytes {
            Self.write(simple: model.ids(text, addsSpecialTokens: root["add_special_tokens"]?.bool), &writer)
        } else if let text = root["content"]?.stringBytes {
            let ids = model.llama.tokenizer.encode(
                text, specials: root["parse_special"]?.bool ?? true ? .parseControl : .asText,
                addSpecialTokens: root["add_special"]?.bool ?? false)
            writer.object {
                $0.key("tokens")
                $0.array { for id in ids { $0.integer(id.value) } }
            }
        } else {
            throw MockRefusal("one of prompt, messages, inputs and content is wanted")
        }
        answer = writer.bytes
    }

    private static func write(vllm ids: [UInt32], _ writer: inout JSONWriter) {
        writer.object {
            $0.member("count", ids.count)
            $0.member("max_model_len", 4096)
            $0.key("tokens")
            $0.array { for id in ids { $0.integer(id) } }
            $0.memberNull("token_strs")
        }
    }

    private static func write(simple ids: [UInt32], _ writer: inout JSONWriter) {
        writer.array {
            for id in ids {
                $0.object {
                    $0.member("id", id)
                    $0.member("text", "")
                    $0.member("start", 0)
                    $0.member("stop", 0)
                }
            }
        }
    }
}
