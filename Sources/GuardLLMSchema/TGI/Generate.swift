import GuardCore
import GuardJSON

/// TGI's `/generate`, `/generate_stream` and `/`. Source: TGI's openapi.json (GenerateRequest, CompatGenerateRequest,
/// GenerateParameters).
enum Generate: EndpointSchema {
    private static let names = FieldNames(["inputs", "parameters", "stream"])

    private static let plain: [String: PlainType] = [
        "adapter_id": .string, "decoder_input_details": .bool, "details": .bool, "do_sample": .bool,
        "frequency_penalty": .number, "repetition_penalty": .number, "seed": .integer, "temperature": .number,
        "top_k": .integer, "top_n_tokens": .integer, "top_p": .number, "typical_p": .number, "watermark": .bool,
    ]

    /// `truncate` drops the front of the prompt.
    private static let denied: Set<String> = ["truncate"]

    private static let parameterNames = FieldNames(
        ["best_of", "grammar", "max_new_tokens", "return_full_text", "stop"] + Array(plain.keys) + Array(denied))

    static func read(request reader: inout RequestReader) throws(RequestError) {
        let root = reader.root
        guard root.kind == .object else { throw reader.wrongType(root, "", "an object") }
        reader.view.outputLimit.field = "parameters.max_new_tokens"
        reader.view.stream = reader.view.endpoint == .generateStream
        var hasInputs = false
        for (key, value) in root.members {
            switch key.string {
            case "inputs":
                guard value.kind == .string, let index = try reader.segment(.user, "prompt", value, "/inputs") else {
                    throw reader.wrongType(value, "/inputs", "a string")
                }
                reader.view.prompt = .texts([index])
                hasInputs = true
            case "stream":
                let flag = try reader.bool(value, "/stream") ?? false
                // The other two endpoints do not read it.
                if reader.view.endpoint == .compatGenerate { reader.view.stream = flag }
            case "parameters":
                try parameters(value, &reader)
            default:
                try reader.unknown(key, value, at: "", known: names)
            }
        }
        guard hasInputs else { throw reader.missing("/inputs") }
    }

    private static func parameters(_ parameters: JSONNode, _ reader: inout RequestReader) throws(RequestError) {
        if parameters.isNull {
            reader.view.outputLimit.nullContainer = parameters
            return
        }
        guard parameters.kind == .object else { throw reader.wrongType(parameters, "/parameters", "an object") }
        reader.view.outputLimit.container = parameters
        for (key, value) in parameters.members {
            guard let name = key.string else { continue }
            let pointer = "/parameters/\(name)"
            switch name {
            case "max_new_tokens":
                let limit = try reader.integer(value, pointer, in: 1...Int(Int32.max))
                reader.view.outputLimit.places.append((name, value, limit))
                reader.view.outputLimit.value = limit
            case "best_of":
                reader.view.choicesMax = try reader.integer(value, pointer, in: 1...Int(Int32.max)) ?? 1
            case "return_full_text":
                reader.view.echo = try reader.bool(value, pointer) ?? false
            case "stop":
                try reader.texts(.user, "stop", value, pointer)
            case "grammar":
                reader.deepSegment(.user, "constraint", value, pointer)
            default:
                if let type = plain[name] {
                    try reader.plain(type, value, pointer)
                } else if denied.contains(name) {
                    try reader.denied(name, value, pointer)
                } else {
                    try reader.unknown(key, value, at: "/parameters", known: parameterNames)
                }
            }
        }
    }
}
