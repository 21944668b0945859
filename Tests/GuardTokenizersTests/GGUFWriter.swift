import Foundation
import GuardJSON

@testable import GuardTokenizers

/// Writes GGUF metadata, and makes vocabularies of other formats into it as llama.cpp's converters do.
struct GGUFWriter {
    var version: UInt32 = 3
    var tensorsCount: UInt64 = 0
    private(set) var body: [UInt8] = []
    private(set) var keysCount: UInt64 = 0

    var bytes: [UInt8] {
        Array("GGUF".utf8) + Self.word(version) + Self.long(tensorsCount) + Self.long(keysCount) + body
    }

    static func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    static func long(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    static func string(_ text: [UInt8]) -> [UInt8] { long(UInt64(text.count)) + text }

    mutating func raw(_ key: String, _ type: GGUFMetadata.ValueType, _ value: [UInt8]) {
        keysCount += 1
        body += Self.string(Array(key.utf8)) + Self.word(type.rawValue) + value
    }

    mutating func set(_ key: String, _ text: String) { raw(key, .string, Self.string(Array(text.utf8))) }
    mutating func set(_ key: String, _ flag: Bool) { raw(key, .bool, [flag ? 1 : 0]) }
    mutating func set(_ key: String, id: Int) { raw(key, .uint32, Self.word(UInt32(id))) }

    mutating func array(_ key: String, _ type: GGUFMetadata.ValueType, count: Int, _ content: [UInt8]) {
        raw(key, .array, Self.word(type.rawValue) + Self.long(UInt64(count)) + content)
    }

    mutating func set(_ key: String, _ texts: [[UInt8]]) {
        array(key, .string, count: texts.count, texts.flatMap { Self.string($0) })
    }
    mutating func set(_ key: String, _ numbers: [Int32]) {
        array(key, .int32, count: numbers.count, numbers.flatMap { Self.word(UInt32(bitPattern: $0)) })
    }
    mutating func set(_ key: String, _ numbers: [Float]) {
        array(key, .float32, count: numbers.count, numbers.flatMap { Self.word($0.bitPattern) })
    }
}

extension GGUFWriter {
    /// Of a byte-level `tokenizer.json`.
    static func byteLevel(_ json: [UInt8], pre: String) throws -> [UInt8] {
        let root = try JSONDocument(json).root
        var (tokens, types) = try vocabulary(root)
        let merges = (root["model"]?["merges"].map { Array($0.elements) } ?? []).map { merge in
            merge.stringBytes ?? Array(merge.elements.map { $0.stringBytes ?? [] }.joined(separator: [0x20]))
        }
        // Ids without a token, as converters fill them.
        for id in tokens.indices where tokens[id].isEmpty {
            (tokens[id], types[id]) = (Array("[PAD\(id)]".utf8), 5)
        }
        var writer = GGUFWriter()
        writer.set("general.architecture", "llama")
        writer.set("tokenizer.ggml.model", "gpt2")
        writer.set("tokenizer.ggml.pre", pre)
        writer.set("tokenizer.ggml.tokens", tokens)
        writer.set("tokenizer.ggml.token_type", types)
        writer.set("tokenizer.ggml.merges", merges)
        let prefix = try TokenizerJSON.load(JSONDocument(json)).postProcessor.prefix
        if let id = prefix.first { writer.set("tokenizer.ggml.bos_token_id", id: Int(id)) }
        writer.set("tokenizer.ggml.add_bos_token", !prefix.isEmpty)
        return writer.bytes
    }

    private static func vocabulary(_ root: JSONNode) throws -> (tokens: [[UInt8]], types: [Int32]) {
        var tokens: [[UInt8]] = []
        var types: [Int32] = []
        func put(_ id: Int, _ text: [UInt8], _ type: Int32) {
            while tokens.count <= id {
                tokens.append([])
                types.append(5)
            }
            (tokens[id], types[id]) = (text, type)
        }
        for (key, value) in root["model"]?["vocab"].map({ Array($0.members) }) ?? [] { put(Int(value.integer ?? 0), key.stringBytes ?? [], 1) }
        for token in root["added_tokens"].map({ Array($0.elements) }) ?? [] {
            put(Int(token["id"]?.integer ?? 0), token["content"]?.stringBytes ?? [], token["special"]?.bool == true ? 3 : 4)
        }
        return (tokens, types)
    }

    /// Of a SentencePiece model, with the added tokens of the `tokenizer.json` beside it.
    static func sentencePiece(_ model: [UInt8], adding json: [UInt8]? = nil, name: String = "test") throws -> [UInt8] {
        var tokens: [[UInt8]] = []
        var scores: [Float] = []
        var types: [Int32] = []
        var isUnigram = false
        var map: [UInt8] = []
        var (addsPrefix, removesSpaces) = (true, true)
        var reader = ProtobufReader(model)
        while let field = try reader.next() {
            guard case .bytes(let range) = field.value else { continue }
            var part = ProtobufReader(model, range)
            var (text, score, type): ([UInt8], Float, Int32) = ([], 0, 1)
            while let inner = try part.next() {
                switch (field.number, inner.number, inner.value) {
                case (1, 1, .bytes(let range)): text = Array(model[range])
                case (1, 2, .fixed32(let bits)): score = Float(bitPattern: bits)
                case (1, 3, .varint(let kind)): type = Int32(kind)
                case (2, 3, .varint(let kind)): isUnigram = kind == 1
                case (3, 2, .bytes(let range)): map = Array(model[range])
                case (3, 3, .varint(let flag)): addsPrefix = flag != 0
                case (3, 4, .varint(let flag)): removesSpaces = flag != 0
                default: break
                }
            }
            guard field.number == 1 else { continue }
            tokens.append(text)
            scores.append(score)
            types.append(type)
        }
        if let json {
            for token in try JSONDocument(json).root["added_tokens"].map({ Array($0.elements) }) ?? [] {
                let id = Int(token["id"]?.integer ?? 0)
                while tokens.count <= id {
                    tokens.append(Array("[PAD\(tokens.count)]".utf8))
                    scores.append(-10000)
                    types.append(5)
                }
                tokens[id] = token["content"]?.stringBytes ?? []
                types[id] = types[id] == 2 ? 2 : token["special"]?.bool == true ? 3 : 4
            }
        }
        var writer = GGUFWriter()
        writer.set("general.name", name)
        writer.set("tokenizer.ggml.model", isUnigram ? "t5" : "llama")
        writer.set("tokenizer.ggml.tokens", tokens)
        writer.set("tokenizer.ggml.scores", scores)
        writer.set("tokenizer.ggml.token_type", types)
        writer.set("tokenizer.ggml.add_space_prefix", addsPrefix)
        writer.set("tokenizer.ggml.remove_extra_whitespaces", removesSpaces)
        if let unknown = types.firstIndex(of: 2) { writer.set("tokenizer.ggml.unknown_token_id", id: unknown) }
        for (key, text) in [("bos", ["<s>", "<bos>"]), ("eos", ["</s>", "<eos>"])] {
            if let id = tokens.firstIndex(where: { token in text.contains { token.elementsEqual($0.utf8) } }) {
                writer.set("tokenizer.ggml.\(key)_token_id", id: id)
            }
        }
        if !map.isEmpty { writer.array("tokenizer.ggml.precompiled_charsmap", .uint8, count: map.count, map) }
        return writer.bytes
    }

    /// Of a Unigram `tokenizer.json` with a `Precompiled` normalizer.
    static func unigram(_ json: [UInt8]) throws -> [UInt8] {
        let root = try JSONDocument(json).root
        var tokens: [[UInt8]] = []
        var scores: [Float] = []
        for entry in root["model"]?["vocab"].map({ Array($0.elements) }) ?? [] {
            tokens.append(entry[0]?.stringBytes ?? [])
            scores.append(Float(entry[1]?.double ?? 0))
        }
        var types = [Int32](repeating: 1, count: tokens.count)
        let unknown = Int(root["model"]?["unk_id"]?.integer ?? 0)
        for token in root["added_tokens"].map({ Array($0.elements) }) ?? [] {
            let id = Int(token["id"]?.integer ?? 0)
            types[id] = (token["content"]?.string ?? "").hasPrefix("<extra_id") ? 4 : 3
        }
        types[unknown] = 2
        var writer = GGUFWriter()
        writer.set("tokenizer.ggml.model", "t5")
        writer.set("tokenizer.ggml.tokens", tokens)
        writer.set("tokenizer.ggml.scores", scores)
        writer.set("tokenizer.ggml.token_type", types)
        writer.set("tokenizer.ggml.add_space_prefix", true)
        writer.set("tokenizer.ggml.remove_extra_whitespaces", true)
        writer.set("tokenizer.ggml.unknown_token_id", id: unknown)
        if let eos = tokens.firstIndex(of: Array("</s>".utf8)) { writer.set("tokenizer.ggml.eos_token_id", id: eos) }
        let nodes = TokenizerJSON.flattened(root["normalizer"], "normalizers")
        if let text = nodes.lazy.compactMap({ $0["precompiled_charsmap"]?.stringBytes }).first {
            let map = Base64.decode(text[...]) ?? []
            writer.array("tokenizer.ggml.precompiled_charsmap", .uint8, count: map.count, map)
        }
        return writer.bytes
    }

    /// Of a WordPiece `tokenizer.json`.
    static func wordPiece(_ json: [UInt8]) throws -> [UInt8] {
        let root = try JSONDocument(json).root
        let (tokens, types) = try vocabulary(root)
        let written = zip(tokens, types).map { token, type -> [UInt8] in
            if type != 1 { return token }
            return token.starts(with: "##".utf8) ? Array(token.dropFirst(2)) : Array("▁".utf8) + token
        }
        var writer = GGUFWriter()
        writer.set("tokenizer.ggml.model", "bert")
        writer.set("tokenizer.ggml.tokens", written)
        writer.set("tokenizer.ggml.token_type", types)
        for (key, text) in [("bos", "[CLS]"), ("seperator", "[SEP]"), ("unknown", "[UNK]")] {
            if let id = tokens.firstIndex(of: Array(text.utf8)) { writer.set("tokenizer.ggml.\(key)_token_id", id: id) }
        }
        return writer.bytes
    }
}
