import Foundation
import GuardCore
import GuardJSON

@testable import GuardTokenizers

/// Tokenizer files small enough to be written out, and to be broken thousands of times.
enum SmallFiles {
    /// A `tokenizer.json` of characters, with the parts that a test gives.
    static func json(
        vocabulary: [String] = ["<unk>", "a", "b", "c", " ", "ab", "abc", "1", "2"],
        merges: [String] = ["a b", "ab c"],
        added: String = "", normalizer: String = "null", preTokenizer: String = "null", postProcessor: String = "null",
        decoder: String = "null", model: String? = nil
    ) -> [UInt8] {
        let unknown = vocabulary.contains("<unk>") ? #""<unk>""# : "null"
        let model = model ?? #""unk_token": \#(unknown), "fuse_unk": true, "byte_fallback": false"#
        let vocab = vocabulary.enumerated().map { "\(quoted($1)): \($0)" }.joined(separator: ", ")
        let merges = merges.map(quoted).joined(separator: ", ")
        return Array(
            """
            {"version": "1.0", "added_tokens": [\(added)], "normalizer": \(normalizer),
             "pre_tokenizer": \(preTokenizer), "post_processor": \(postProcessor), "decoder": \(decoder),
             "model": {"type": "BPE", \(model), "vocab": {\(vocab)}, "merges": [\(merges)]}}
            """.utf8)
    }

    static func added(_ id: Int, _ content: String, _ flags: String...) -> String {
        let all = ["single_word", "lstrip", "rstrip", "normalized", "special"]
        let set = all.map { "\"\($0)\": \(flags.contains($0))" }.joined(separator: ", ")
        return "{\"id\": \(id), \"content\": \(quoted(content)), \(set)}"
    }

    /// A TemplateProcessing that puts ids around the text.
    static func template(prefix: [Int] = [], suffix: [Int] = []) -> String {
        """
        {"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "y"}}],
         "special_tokens": {"x": {"ids": \(prefix)}, "y": {"ids": \(suffix)}}}
        """
    }

    private static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = [0x22]
        JSONEscape.append(Array(text.utf8), to: &bytes)
        return String(decoding: bytes + [0x22], as: UTF8.self)
    }

    struct Piece {
        var text: String
        var score: Float = 0
        /// SentencePiece's numbers: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
        var kind = 1
    }

    /// A SentencePiece `ModelProto`.
    static func model(
        _ pieces: [Piece], byteFallback: Bool = false, dummyPrefix: Bool = false, removesExtraSpaces: Bool = false,
        type: Int = 2, charsmap: [UInt8] = []
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        for piece in pieces {
            let score = piece.score.bitPattern
            let content =
                field(1, Array(piece.text.utf8)) + [0x15] + (0..<4).map { UInt8(truncatingIfNeeded: score >> (8 * $0)) }
                + varint(3, piece.kind)
            bytes += field(1, content)
        }
        bytes += field(
            2, varint(3, type) + varint(35, byteFallback ? 1 : 0) + varint(40, 0) + varint(41, 1) + varint(42, 2))
        let flags = varint(3, dummyPrefix ? 1 : 0) + varint(4, removesExtraSpaces ? 1 : 0) + varint(5, 1)
        return bytes + field(3, field(1, Array("identity".utf8)) + (charsmap.isEmpty ? [] : field(2, charsmap)) + flags)
    }

    static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        raw(number << 3 | 2) + raw(content.count) + content
    }

    static func varint(_ number: Int, _ value: Int) -> [UInt8] { raw(number << 3) + raw(value) }

    private static func raw(_ value: Int) -> [UInt8] {
        var value = UInt64(value)
        var bytes: [UInt8] = []
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        return bytes + [UInt8(value)]
    }

    static let modelPieces: [Piece] = [
        Piece(text: "<unk>", kind: 2), Piece(text: "<s>", kind: 3), Piece(text: "</s>", kind: 3),
        Piece(text: "[x]", kind: 4), Piece(text: "▁a", score: -1), Piece(text: "bc", score: -2),
        Piece(text: "▁abc", score: -3), Piece(text: "▁", score: -4), Piece(text: "a", score: -5),
        Piece(text: "b", score: -6), Piece(text: "c", score: -7),
    ]

    /// "a" ... "d" and some pairs, as tiktoken writes them.
    static let tiktoken = Array("YQ== 0\nYg== 1\nYw== 2\nIA== 3\nYWI= 4\nYWJj 5\n".utf8)

    static let tekken = Array(
        """
        {"config": {"pattern": "\(PieceScanner.tekkenPattern.replacing("\\", with: "\\\\"))", "num_vocab_tokens": 5,
        "default_vocab_size": 25, "default_num_special_tokens": 20, "version": "v3"}, "vocab": [
        {"rank": 0, "token_bytes": "YQ==", "token_str": "a"}, {"rank": 1, "token_bytes": "Yg==", "token_str": "b"},
        {"rank": 2, "token_bytes": "IA==", "token_str": " "}, {"rank": 3, "token_bytes": "YWI=", "token_str": "ab"},
        {"rank": 4, "token_bytes": "YWJi", "token_str": "abb"}, {"rank": 5, "token_bytes": "YmI=", "token_str": "bb"}]}
        """.utf8)

    /// A double array that maps "b" to "a": root, then the node of "b", then its value.
    static let charsmap: [UInt8] = {
        var units = [UInt32](repeating: 0, count: 256)
        units[0] = 1 << 10
        units[1 ^ 0x62] = 2 << 10 | 1 << 8 | 0x62
        units[1 ^ 0x62 ^ 2] = 0x8000_0000
        let words: [UInt32] = [1024] + units
        return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } + [0x61, 0]
    }()

    static var charsmapBase64: String { Data(charsmap).base64EncodedString() }

    static func load(_ bytes: [UInt8]) throws -> Tokenizer { try Tokenizer.load(bytes: bytes, name: "small") }
}

extension Tokenizer {
    func ids(_ text: String, _ specials: SpecialTokens = .parse, adding: Bool = false) -> [UInt32] {
        encode(Array(text.utf8), specials: specials, addSpecialTokens: adding).map(\.value)
    }
}
