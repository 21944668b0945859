import GuardCore
import GuardJSON

/// Fields that chat and text completions share: OpenAI's own, and the sampling fields of vLLM, SGLang, TGI and
/// llama.cpp.
enum OpenAIFields {
    /// Known, no text for the model. All may be null.
    static let plain: [String: PlainType] = [
        // OpenAI
        "frequency_penalty": .number, "presence_penalty": .number, "temperature": .number, "top_p": .number,
        "seed": .integer, "user": .string, "logit_bias": .any, "metadata": .any, "store": .bool,
        "service_tier": .string, "safety_identifier": .string, "prompt_cache_key": .string,
        "prompt_cache_retention": .string, "prompt_cache_options": .any, "moderation": .any,
        // vLLM, SGLang, llama.cpp
        "top_k": .integer, "min_p": .number, "repetition_penalty": .number, "length_penalty": .number,
        "use_beam_search": .bool, "stop_token_ids": .any, "allowed_token_ids": .any,
        "include_stop_str_in_output": .bool, "ignore_eos": .bool, "min_tokens": .integer,
        "skip_special_tokens": .bool, "spaces_between_special_tokens": .bool, "prompt_logprobs": .integer,
        "priority": .integer, "request_id": .string, "cache_salt": .string, "return_tokens_as_token_ids": .bool,
        "return_token_ids": .bool, "cache_prompt": .bool, "timings_per_token": .bool,
    ]

    /// Change the prompt, or the cost, in a way that this reader does not follow.
    static let denied: Set<String> = [
        "truncate_prompt_tokens", "truncation_side", "prompt_embeds", "prompt_token_ids", "mm_processor_kwargs",
        "media_io_kwargs", "multi_modal_data", "kv_transfer_params", "ec_transfer_params", "logits_processors",
        // SGLang
        "input_ids", "input_embeds", "lora_path", "session_params", "custom_logit_processor", "bootstrap_host",
        // llama.cpp: `n_predict` wins over `max_tokens` there
        "n_predict", "n_keep", "n_discard", "id_slot", "input_prefix", "input_extra", "lora",
        // other servers' words for the limit
        "max_new_tokens", "max_length", "max_output_tokens",
    ]

    /// Force the shape of the answer; their strings can become the answer's text.
    static let constraints: Set<String> = [
        "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
        "guided_decoding_backend", "guided_whitespace_pattern", "json_schema", "grammar", "regex", "ebnf",
        "structural_tag",
    ]

    /// Fields read the same way for both endpoints.
    static let common = [
        "model", "stream", "stream_options", "n", "best_of", "max_tokens", "stop", "bad_words", "echo", "logprobs",
        "add_special_tokens",
    ]

    /// Reads a field that both endpoints have.
    /// - Returns: whether it was one.
    static func read(_ name: String, _ value: JSONNode, _ reader: inout RequestReader) throws(RequestError) -> Bool {
        let pointer = "/" + name
        switch name {
        case "model":
            let model = try reader.string(value, pointer)
            // TGI serves one model whatever it is called: its documentation and `huggingface_hub` write these names.
            let isNone = reader.options.api == .tgi && (model == "tgi" || model == "dummy")
            reader.view.model = isNone ? nil : model
        case "stream":
            reader.view.stream = try reader.bool(value, pointer) ?? false
        case "stream_options":
            try streamOptions(value, &reader)
        case "n", "best_of":
            let count = try reader.integer(value, pointer, in: 1...Int(Int32.max)) ?? 1
            reader.view.choicesMax = max(reader.view.choicesMax, count)
        case "stop", "bad_words":
            try reader.texts(.user, "stop", value, pointer)
        case "echo":
            reader.view.echo = try reader.bool(value, pointer) ?? false
        default:
            if let type = plain[name] {
                try reader.plain(type, value, pointer)
            } else if denied.contains(name) {
                try reader.denied(name, value, pointer)
            } else if constraints.contains(name) {
                reader.deepSegment(.user, "constraint", value, pointer)
            } else {
                return false
            }
        }
        return true
    }

    private static func streamOptions(_ value: JSONNode, _ reader: inout RequestReader) throws(RequestError) {
        reader.view.streamOptions = value
        if value.isNull { return }
        guard value.kind == .object else { throw reader.wrongType(value, "/stream_options", "an object") }
        for (key, option) in value.members {
            switch key.string {
            case "include_usage":
                reader.view.includeUsage = try reader.bool(option, "/stream_options/include_usage") ?? false
            case "continuous_usage_stats":
                reader.view.continuousUsage = try reader.bool(option, "/stream_options/continuous_usage_stats") ?? false
            case "include_obfuscation":
                try reader.plain(.bool, option, "/stream_options/include_obfuscation")
            default:
                try reader.unknown(key, option, at: "/stream_options", known: streamOptionNames)
            }
        }
    }

    private static let streamOptionNames = FieldNames([
        "include_usage", "continuous_usage_stats", "include_obfuscation",
    ])

    static func names(_ own: [String]) -> FieldNames {
        FieldNames(own + common + Array(plain.keys) + Array(denied) + Array(constraints))
    }
}
