import Foundation
import GuardCore
import GuardJSON
import GuardTesting
import Synchronization

@testable import GuardTokenizers

/// One line of a vectors file, made by the original library.
struct VectorRow {
    var id: Int
    var text: [UInt8]
    var ids: [UInt32]
    var idsAddSpecial: [UInt32]?
    var idsSpecialAsText: [UInt32]?
    /// Where a SentencePiece model differs from the `tokenizer.json` of the same vocabulary.
    var idsSentencePiece: [UInt32]?
    var countAddSpecial: Int?
    var decoded: [UInt8]?
    var isChat: Bool

    /// `nil` for rows without ids (chat templates that raise).
    init?(_ line: ArraySlice<UInt8>) throws {
        let root = try JSONDocument(Array(line)).root
        guard let ids = Self.ids(root["ids"]), let text = (root["text"] ?? root["rendered"])?.stringBytes else {
            return nil
        }
        id = Int(root["id"]?.integer ?? -1)
        self.text = text
        self.ids = ids
        idsAddSpecial = Self.ids(root["ids_add_special"])
        idsSpecialAsText = Self.ids(root["ids_special_as_text"])
        idsSentencePiece = Self.ids(root["alt_spm"] ?? root["alt_spm_llama2"])
        countAddSpecial = (root["n_add_special"]?.integer).map(Int.init)
        decoded = root["decoded"]?.stringBytes
        isChat = root["rendered"] != nil
    }

    private static func ids(_ node: JSONNode?) -> [UInt32]? {
        guard let node, node.kind == .array else { return nil }
        return node.elements.map { UInt32(truncatingIfNeeded: $0.integer ?? -1) }
    }

    static func read(_ url: URL) throws -> [VectorRow] {
        try [UInt8](Data(contentsOf: url)).split(separator: 0x0A).compactMap { try VectorRow($0) }
    }
}

enum TestFiles {
    struct Failure: Error { var message: String }

    /// Content of a shared file, gunzipped where only the `.gz` is there.
    static func shared(_ path: String) throws -> [UInt8] { try TestData.sharedBytes("tokenizers/" + path) }

    private static let loaded = Mutex<[String: Tokenizer]>([:])

    /// A shared tokenizer, loaded once in a test run.
    static func sharedTokenizer(_ path: String) throws -> Tokenizer {
        try loaded.withLock { loaded in
            if let tokenizer = loaded[path] { return tokenizer }
            let tokenizer = try Tokenizer.load(bytes: shared(path), name: path)
            loaded[path] = tokenizer
            return tokenizer
        }
    }

    static func fixture(_ path: String) -> URL { TestData.fixtures.appending(path: "tokenizers/" + path) }

    static func fixtureTokenizer(_ path: String) throws -> Tokenizer {
        try loaded.withLock { loaded in
            if let tokenizer = loaded["fixtures/" + path] { return tokenizer }
            let tokenizer = try Tokenizer.load(path: fixture(path).path)
            loaded["fixtures/" + path] = tokenizer
            return tokenizer
        }
    }
}

/// Compares a tokenizer with rows, in every way that the rows have ids for.
struct VectorComparison {
    var compared = 0
    var misses: [String] = []

    mutating func expect(_ name: String, _ row: VectorRow, _ got: [TokenID], _ want: [UInt32]) {
        compared += 1
        guard got.map(\.value) != want else { return }
        let text = String(decoding: row.text.prefix(60), as: UTF8.self)
        misses.append("\(name) \(row.id) \(text.debugDescription): got \(got.prefix(12)), want \(want.prefix(12))")
    }

    mutating func run(_ tokenizer: Tokenizer, _ row: VectorRow) {
        let ids = tokenizer.encode(row.text, addSpecialTokens: false)
        expect(row.isChat ? "chat" : "ids", row, ids, row.ids)
        if let want = row.idsAddSpecial {
            expect("with specials", row, tokenizer.encode(row.text, addSpecialTokens: true), want)
        }
        if let want = row.countAddSpecial, tokenizer.count(row.text, addSpecialTokens: true) != want {
            misses.append("count with specials \(row.id): want \(want)")
        }
        if let want = row.idsSpecialAsText {
            expect("as text", row, tokenizer.encode(row.text, specials: .asText, addSpecialTokens: false), want)
        }
        if tokenizer.count(row.text, addSpecialTokens: false) != ids.count { misses.append("count \(row.id)") }
        if let want = row.decoded,
            String(decoding: tokenizer.decode(ids), as: UTF8.self).unicodeScalars.elementsEqual(
                String(decoding: want, as: UTF8.self).unicodeScalars) == false
        {
            misses.append("decoded \(row.id)")
        }
    }
}
