import GuardCore
import GuardJSON

/// `POST /v1/completions`. Sources: OpenAI's openapi.yaml (CreateCompletionRequest), vLLM's `CompletionRequest`,
/// captures of vLLM and llama-server.
enum Completions: EndpointSchema {
    private static let plain: [String: PlainType] = ["logprobs": .integer]

    private static let names = OpenAIFields.names(["prompt", "suffix", "messages", "max_completion_tokens"])

    static func read(request reader: inout RequestReader) throws(RequestError) {
        let root = reader.root
        guard root.kind == .object else { throw reader.wrongType(root, "", "an object") }
        reader.view.outputLimit.container = root
        reader.view.outputLimit.field = "max_tokens"
        var hasPrompt = false
        for (key, value) in root.members {
            guard let name = key.string else { continue }
            let pointer = "/" + name
            switch name {
            case "prompt":
                // vLLM takes null where `prompt_embeds` stands instead, which is refused.
                if value.isNull { continue }
                try prompt(value, pointer, &reader)
                hasPrompt = true
            case "suffix":
                if try reader.segment(.user, "suffix", value, pointer) != nil { reader.estimated("suffix") }
            case "max_tokens":
                let limit = try reader.integer(value, pointer, in: 0...Int(Int32.max))
                reader.view.outputLimit.places.append((name, value, limit))
                reader.view.outputLimit.value = limit
            case "max_completion_tokens":
                // Not a field of this endpoint; a server that reads it all the same must not get more from it.
                try reader.denied(name, value, pointer)
            case "add_special_tokens":
                // Default true; without it the prompt has no BOS.
                if try reader.bool(value, pointer) == false { reader.view.promptAddsSpecialTokens = false }
            default:
                if let type = plain[name] {
                    try reader.plain(type, value, pointer)
                } else if try !OpenAIFields.read(name, value, &reader) {
                    try reader.unknown(key, value, at: "", known: names)
                }
            }
        }
        guard hasPrompt else { throw reader.missing("/prompt") }
    }

    /// String, strings, token ids or lists of token ids; not mixed.
    private static func prompt(_ value: JSONNode, _ pointer: String, _ reader: inout RequestReader)
        throws(RequestError)
    {
        if value.kind == .string {
            let index = try reader.segment(.user, "prompt", value, pointer)
            reader.view.prompt = .texts(index.map { [$0] } ?? [])
            return
        }
        let wanted = "a string, an array of strings, of token ids, or of arrays of token ids"
        guard value.kind == .array, let first = value.elements.first(where: { _ in true }) else {
            throw reader.wrongType(value, pointer, wanted)
        }
        switch first.kind {
        case .string:
            var indices: [Int] = []
            var position = 0
            for element in value.elements {
                let here = "\(pointer)/\(position)"
                guard element.kind == .string, let index = try reader.segment(.user, "prompt", element, here) else {
                    throw reader.wrongType(element, here, "a string, as the first")
                }
                indices.append(index)
                position += 1
            }
            reader.view.prompt = .texts(indices)
        case .number:
            reader.view.prompt = .tokenIDs([try tokenIDs(value, pointer, reader)])
        case .array:
            var lists: [[TokenID]] = []
            for element in value.elements {
                lists.append(try tokenIDs(element, "\(pointer)/\(lists.count)", reader))
            }
            reader.view.prompt = .tokenIDs(lists)
        default:
            throw reader.wrongType(first, pointer, wanted)
        }
    }

    private static func tokenIDs(_ list: JSONNode, _ pointer: String, _ reader: RequestReader)
        throws(RequestError) -> [TokenID]
    {
        guard list.kind == .array else { throw reader.wrongType(list, pointer, "an array of token ids") }
        var ids: [TokenID] = []
        for element in list.elements {
            guard let value = element.integer, let id = UInt32(exactly: value) else {
                throw reader.wrongType(element, "\(pointer)/\(ids.count)", "a token id")
            }
            ids.append(TokenID(id))
        }
        guard !ids.isEmpty else { throw reader.wrongType(list, pointer, "an array with at least one token id") }
        return ids
    }
}
