import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardTokenizers

/// Ids of the original libraries, row by row.
@Suite struct VectorTests {
    @Test(
        arguments: [
            ("byte-level/tokenizer.json", "byte-level/vectors.jsonl"),
            ("byte-level", "byte-level/vectors.jsonl"),
            ("byte-level-tiktoken/tokenizer.model", "byte-level-tiktoken/vectors.jsonl"),
            ("sentencepiece/tokenizer.json", "sentencepiece/vectors.jsonl"),
            ("sentencepiece/tokenizer.model", "sentencepiece/vectors-model.jsonl"),
            ("unigram/tokenizer.json", "unigram/vectors.jsonl"),
            ("unigram/tokenizer.model", "unigram/vectors-model.jsonl"),
        ])
    func ownTokenizers(_ tokenizer: String, _ vectors: String) throws {
        let tokenizer = try TestFiles.fixtureTokenizer(tokenizer)
        var comparison = VectorComparison()
        for row in try VectorRow.read(TestFiles.fixture(vectors)) { comparison.run(tokenizer, row) }
        #expect(comparison.compared > 300)
        #expect(comparison.misses.isEmpty, "\(comparison.misses.prefix(20).joined(separator: "\n"))")
    }

    @Test(
        .enabled(if: TestData.hasShared),
        arguments: [
            ("llama-3.1", 614), ("gemma-2", 626), ("phi-3-mini", 612), ("mistral-nemo", 608), ("gpt-2", 554),
            ("llama-2", 554), ("phi-3-mini-rev1", 612), ("qwen2.5", 614), ("phi-3-mini-v5", 612), ("t5-small", 554),
            ("bert-base-uncased", 554),
        ])
    func tokenizerJSON(_ name: String, _ rowsCount: Int) throws {
        let tokenizer = try TestFiles.sharedTokenizer(name + "/tokenizer.json")
        let rows = try VectorRow.read(TestData.sharedFile("tokenizers/vectors/\(name).jsonl"))
        #expect(rows.count == rowsCount)
        var comparison = VectorComparison()
        for row in rows { comparison.run(tokenizer, row) }
        report(name + "/tokenizer.json", rows.count, comparison)
    }

    @Test(
        .enabled(if: TestData.hasShared),
        arguments: [
            ("llama-3.1/tokenizer.model", "llama-3.1"), ("o200k/o200k_base.tiktoken", "o200k"),
        ])
    func tiktoken(_ file: String, _ vectors: String) throws {
        let tokenizer = try TestFiles.sharedTokenizer(file)
        #expect(tokenizer.estimatedWhy == nil)
        let rows = try VectorRow.read(TestData.sharedFile("tokenizers/vectors/\(vectors).jsonl"))
        var comparison = VectorComparison()
        for row in rows { comparison.run(tokenizer, row) }
        report(file, rows.count, comparison)
    }

    /// SentencePiece itself never reads control pieces from text, so of a file's rows those as text hold.
    @Test(
        .enabled(if: TestData.hasShared),
        arguments: [
            ("gemma-2/tokenizer.model", "gemma-2"), ("llama-2/tokenizer.model", "phi-3-mini"),
            ("llama-2/tokenizer.model", "llama-2"), ("mistral-v3-spm/tokenizer.model", "mistral-v3-spm"),
        ])
    func sentencePiece(_ file: String, _ vectors: String) throws {
        let tokenizer = try TestFiles.sharedTokenizer(file)
        let rows = try VectorRow.read(TestData.sharedFile("tokenizers/vectors/\(vectors).jsonl")).filter { !$0.isChat }
        var comparison = VectorComparison()
        for row in rows {
            let ids = tokenizer.encode(row.text, addSpecialTokens: false)
            comparison.expect("ids", row, ids, row.idsSentencePiece ?? row.idsSpecialAsText ?? row.ids)
            if tokenizer.count(row.text, addSpecialTokens: false) != ids.count {
                comparison.misses.append("count \(row.id)")
            }
        }
        report(file, rows.count, comparison)
    }

    /// mistral-common's files: text rows of the same vocabulary without its control strings.
    @Test(.enabled(if: TestData.hasShared))
    func tekken() throws {
        let tokenizer = try TestFiles.sharedTokenizer("mistral-nemo/tekken.json")
        let rows = try VectorRow.read(TestData.sharedFile("tokenizers/vectors/mistral-nemo.jsonl"))
        var comparison = VectorComparison()
        for row in rows {
            let asText = row.idsSpecialAsText ?? (row.isChat ? nil : row.ids)
            if let asText {
                comparison.expect("ids", row, tokenizer.encode(row.text, addSpecialTokens: false), asText)
            }
            let parsed = tokenizer.encode(row.text, specials: .parseControl, addSpecialTokens: false)
            // Hugging Face's file of Nemo has `<pad>` at 10, where mistral-common has `[IMG]` and `<pad>` at 11.
            if !row.text.starts(with: "<pad>".utf8) { comparison.expect("control", row, parsed, row.ids) }
        }
        report("mistral-nemo/tekken.json", rows.count, comparison)
    }

    private func report(_ name: String, _ rowsCount: Int, _ comparison: VectorComparison) {
        let missesCount = comparison.misses.count
        print("\(name): \(rowsCount) rows, \(comparison.compared) comparisons, \(missesCount) misses")
        #expect(comparison.compared >= rowsCount)
        #expect(comparison.misses.isEmpty, "\(comparison.misses.prefix(20).joined(separator: "\n"))")
    }
}
