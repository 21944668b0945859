import Foundation
import GuardCore
import GuardJSON
import GuardTesting
import Testing

@testable import GuardTokenizers

/// Every documented piece of `tokenizer.json` against Hugging Face's library (`fixtures/tools/make_pieces.py`): ids, byte
/// offsets, decoded texts. A piece that is not built is refused by name, never left out.
@Suite struct PieceFixtureTests {
    struct Piece: Sendable, CustomTestStringConvertible {
        var name: String
        var line: [UInt8]
        var testDescription: String { name }
    }

    private static let lines = ((try? Data(contentsOf: TestFiles.fixture("pieces.jsonl"))).map { [UInt8]($0) } ?? [])
        .split(separator: 0x0A).map { Array($0) }
    private static let texts = lines.first.flatMap { try? JSONDocument($0).root["texts"] }?.elements.compactMap(\.stringBytes) ?? []
    private static let pieces = lines.dropFirst().compactMap { line in
        (try? JSONDocument(line).root["name"]?.string).flatMap { $0 }.map { Piece(name: $0, line: line) }
    }

    @Test func fixtureIsThere() { #expect(Self.pieces.count > 90 && Self.texts.count > 25) }

    @Test(arguments: pieces) func equalsHuggingFace(_ piece: Piece) throws {
        let root = try JSONDocument(piece.line).root
        let tokenizer = try Tokenizer.load(bytes: Array(try #require(root["tokenizer"]).rawBytes), name: piece.name)
        for (text, row) in zip(Self.texts, try #require(root["rows"]).elements) {
            let name = "\(piece.name): \(String(decoding: text, as: UTF8.self).debugDescription)"
            func ids(_ key: String) -> [UInt32]? { row[key]?.elements.map { UInt32($0.integer ?? -1) } }
            let want = ids("ids")
            let got = tokenizer.encode(text, addSpecialTokens: false)
            #expect(got.map(\.value) == want, "\(name)")
            #expect(tokenizer.count(text, addSpecialTokens: false) == want?.count, "\(name)")
            #expect(tokenizer.encode(text, addSpecialTokens: true).map(\.value) == ids("ids_add_special") ?? want, "\(name)")
            let places = row["offsets"]?.elements.map { Int($0.integer ?? -1) } ?? []
            let tokens = tokenizer.encodeWithOffsets(text, addSpecialTokens: false)
            #expect(tokens.map(\.id) == got, "\(name)")
            #expect(tokens.flatMap { [$0.range.lowerBound, $0.range.upperBound] } == places, "\(name)")
            if let decoded = row["decoded"]?.stringBytes {
                #expect(String(decoding: tokenizer.decode(got), as: UTF8.self).utf8.elementsEqual(decoded), "\(name)")
            }
        }
    }

    /// By hand: `make_pieces.py tokenizer.json vectors.jsonl OUT/name.jsonl`, then `GUARD_OFFSETS=OUT`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["GUARD_OFFSETS"] != nil))
    func offsetsOfRealVocabularies() throws {
        let folder = URL(filePath: ProcessInfo.processInfo.environment["GUARD_OFFSETS"] ?? "")
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        where file.pathExtension == "jsonl" {
            let name = file.deletingPathExtension().lastPathComponent
            let tokenizer = try TestFiles.sharedTokenizer(name + "/tokenizer.json")
            var (tokensCount, misses) = (0, [String]())
            for line in [UInt8](try Data(contentsOf: file)).split(separator: 0x0A) {
                let row = try JSONDocument(Array(line)).root
                let text = try #require(row["text"]?.stringBytes)
                let want = row["offsets"]?.elements.map { Int($0[0]?.integer ?? -1)..<Int($0[1]?.integer ?? -1) } ?? []
                let tokens = tokenizer.encodeWithOffsets(text, addSpecialTokens: false)
                #expect(tokens.map(\.id.value) == row["ids"]?.elements.map { UInt32($0.integer ?? -1) })
                tokensCount += want.count
                guard tokens.map(\.range) != want else { continue }
                let index = zip(tokens, want).enumerated().first { $1.0.range != $1.1 }?.offset ?? 0
                misses.append(
                    "\(String(decoding: text.prefix(60), as: UTF8.self).debugDescription) token \(index): got "
                        + "\(tokens[index].range), want \(want[index])")
            }
            print("\(name): offsets of \(tokensCount) tokens, \(misses.count) texts differ")
            #expect(misses.isEmpty, "\(name)\n\(misses.prefix(8).joined(separator: "\n"))")
        }
    }
}
