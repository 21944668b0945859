import GuardTesting
import Foundation
import GuardJSON

/// Byte-pair encoding, slow and obvious: the oracle of the fast one. It reads `tokenizer.json` by itself and works on
/// strings of the vocabulary as the file writes them, with nothing in common with the code under test but the JSON
/// reader and the split pattern.
struct NaiveBytePair {
    var vocabulary: [[UInt8]: UInt32] = [:]
    var ranks: [[[UInt8]]: Int] = [:]
    var ignoresMerges = false
    var unknown: [UInt8]?
    var fusesUnknown = false
    var hasByteFallback = false
    /// Added tokens that are looked for in the raw text and are not special: Gemma's runs of `▁`, tabs and line ends.
    /// The longest first.
    var added: [(text: [Unicode.Scalar], id: UInt32)] = []

    init(_ file: [UInt8]) throws {
        struct NoModel: Error {}
        let root = try JSONDocument(file).root
        guard let model = root["model"], let vocab = model["vocab"], let merges = model["merges"]
        else { throw NoModel() }
        for (key, value) in vocab.members {
            vocabulary[key.stringBytes ?? []] = UInt32(value.integer ?? 0)
        }
        for (rank, merge) in merges.elements.enumerated() {
            let pair =
                merge.stringBytes.map { $0.split(separator: 0x20, maxSplits: 1).map(Array.init) }
                ?? merge.elements.map { $0.stringBytes ?? [] }
            ranks[pair] = rank
        }
        ignoresMerges = model["ignore_merges"]?.bool ?? false
        if let tokens = root["added_tokens"]?.elements {
            for token in tokens where token["special"]?.bool == false && token["normalized"]?.bool == false {
                let text = String(decoding: token["content"]?.stringBytes ?? [], as: UTF8.self)
                if !text.isEmpty { added.append((Array(text.unicodeScalars), UInt32(token["id"]?.integer ?? 0))) }
            }
        }
        added.sort { $0.text.count > $1.text.count }
        unknown = model["unk_token"]?.stringBytes
        fusesUnknown = model["fuse_unk"]?.bool ?? false
        hasByteFallback = model["byte_fallback"]?.bool ?? false
    }

    /// - Parameter piece: text as the vocabulary writes it.
    func encode(_ piece: String) -> [UInt32] {
        if ignoresMerges, let id = vocabulary[Array(piece.utf8)] { return [id] }
        var symbols: [[UInt8]] = []
        for scalar in piece.unicodeScalars {
            let character = Array(String(scalar).utf8)
            if vocabulary[character] != nil {
                symbols.append(character)
            } else if hasByteFallback {
                symbols += character.map { Array(String(format: "<0x%02X>", $0).utf8) }
            } else if let unknown, !(fusesUnknown && symbols.last == unknown) {
                symbols.append(unknown)
            }
        }
        func rank(_ at: Int) -> Int? {
            at >= 0 && at + 1 < symbols.count ? ranks[[symbols[at], symbols[at + 1]]] : nil
        }
        // Looked up once, or a long text would take seconds: merging changes the pairs beside it only.
        var pairs = symbols.indices.map(rank)
        while true {
            var best: (rank: Int, at: Int)?
            for at in pairs.indices {
                guard let rank = pairs[at] else { continue }
                if best.map({ rank < $0.rank }) ?? true { best = (rank, at) }
            }
            guard let at = best?.at else { break }
            symbols[at] += symbols.remove(at: at + 1)
            pairs.remove(at: at + 1)
            pairs[at] = rank(at)
            if at > 0 { pairs[at - 1] = rank(at - 1) }
        }
        return symbols.compactMap { vocabulary[$0] }
    }
}

extension SeededRandom {
    /// Characters that the split patterns and vocabularies tell apart.
    static let alphabet: [Unicode.Scalar] = {
        let ascii = "aaaeeetnishrdlAETNS      \n\n\r\t'''0123456789.,:;!?-_/(){}[]<>|\"=+*#@"
        let letters = "éüñßÅžðœΑβγДжщֵאבمرحह्ि中文字漢、。ひカ한글ﬁﬀſʰːªǅǈⅧ½²௧"
        let others = "\u{301}\u{308}\u{20E3}\u{A0}\u{3000}\u{2003}\u{85}\u{2028}\u{200B}\u{200D}\u{FEFF}▁▂🙂👍🏽🇩🇪"
        return [ascii, letters, others].flatMap { Array($0.unicodeScalars) }
    }()

    mutating func text(_ lengthMax: Int) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...lengthMax, using: &self) {
            let scalar = Self.alphabet[Int.random(in: 0..<Self.alphabet.count, using: &self)]
            // Runs are where merging and splitting go wrong.
            for _ in 0..<(Int.random(in: 0..<8, using: &self) == 0 ? Int.random(in: 1...9, using: &self) : 1) {
                text.append(scalar)
            }
        }
        return String(text)
    }
}
