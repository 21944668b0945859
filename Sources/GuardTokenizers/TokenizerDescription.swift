import GuardCore

/// What a tokenizer is, for people: each stage in words, the added tokens, the memory that its tables take.
package struct TokenizerDescription: Sendable {
    package struct AddedToken: Sendable, Hashable {
        package var id: UInt32
        package var content: String
        /// `special`, `normalized`, `lstrip`, `rstrip`, `single_word`, `control`.
        package var flags: [String]
    }

    /// `BPE`, `Unigram` or `WordPiece`, with its options.
    package var model: String
    package var modelOptions: [String] = []
    /// One more than the highest id.
    package var vocabularySize: Int
    /// Entries of the model that have a text.
    package var tokensCount = 0
    /// Of byte-pair encoding: how many different results merging has.
    package var mergesCount: Int?
    package var normalizer: [String]
    package var preTokenizer: [String]
    package var decoder: [String]
    /// What is put around a text with special tokens.
    package var prefix: [AddedToken]
    package var suffix: [AddedToken]
    package var addedTokens: [AddedToken]
    /// Bytes of the tables of the model. Tables of an image are shared between processes.
    package var tableBytes: Int
    /// Bytes that the cache of pieces may take.
    package var cacheBytes: Int

    package init(_ tokenizer: Tokenizer) {
        let stages = tokenizer.stages
        vocabularySize = tokenizer.vocabularySize
        normalizer = stages.normalizer.steps.map(\.inWords)
        preTokenizer = stages.preTokenizer.inWords
        decoder = stages.decoder.inWords
        addedTokens = stages.addedTokens.map(AddedToken.init).sorted { $0.id < $1.id }
        let known = Dictionary(addedTokens.map { ($0.id, $0) }) { _, last in last }
        let vocabulary = stages.model.vocabulary
        func token(_ id: UInt32) -> AddedToken {
            known[id] ?? AddedToken(id: id, content: String(decoding: vocabulary.bytes(id), as: UTF8.self), flags: [])
        }
        prefix = stages.postProcessor.prefix.map(token)
        suffix = stages.postProcessor.suffix.map(token)
        var bytes = 0
        vocabulary.writeSections { bytes += $1.count }
        switch stages.model {
        case .bytePair(let model):
            self.model = "BPE"
            modelOptions = model.options.inWords(vocabulary)
            mergesCount = model.merges.resultsCount
            model.merges.writeSections { bytes += $1.count }
            bytes += vocabulary.count + 256 * 4
        case .unigram(let model):
            self.model = "Unigram"
            modelOptions = model.options.inWords(vocabulary)
            bytes += model.tableBytes
        case .wordPiece(let model):
            self.model = model.options.isWhole ? "WordLevel" : "WordPiece"
            modelOptions = model.options.inWords(vocabulary)
            bytes += model.tableBytes
        }
        tableBytes = bytes
        cacheBytes = PieceCache.bytesCount
        for id in 0..<vocabulary.count where !vocabulary.bytes(UInt32(truncatingIfNeeded: id)).isEmpty {
            tokensCount += 1
        }
    }
}

extension TokenizerDescription.AddedToken {
    fileprivate init(_ token: AddedToken) {
        let flags = [
            ("special", token.isSpecial), ("control", token.isControl), ("normalized", token.isNormalized),
            ("lstrip", token.stripsLeft), ("rstrip", token.stripsRight), ("single_word", token.singleWord),
        ]
        self.init(
            id: token.id, content: String(decoding: token.content, as: UTF8.self),
            flags: flags.filter(\.1).map(\.0))
    }
}

// MARK: Stages in words

private func quoted(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self).debugDescription }

private func named(_ id: UInt32?, _ vocabulary: Vocabulary) -> String {
    guard let id else { return "none" }
    return "\(String(decoding: vocabulary.bytes(id), as: UTF8.self).debugDescription) (\(id))"
}

extension Normalizer.Step {
    fileprivate var inWords: String {
        switch self {
        case .prepend(let text): "puts \(quoted(text)) before the text"
        case .replace(let text, let replacement): "replaces \(quoted(text)) by \(quoted(replacement))"
        case .replacePattern(let pattern, let replacement): "replaces /\(pattern.source)/ by \(quoted(replacement))"
        case .form(let form): "Unicode normalization form \("\(form)".uppercased())"
        case .metaspaceToSpace: "spaces and U+2581 are one character"
        case .collapseSpaces(let addsPrefix):
            "no spaces at the ends, no two in a row" + (addsPrefix ? "; a space before the text" : "")
        case .sentencePiece(let rules):
            "SentencePiece: " + (rules.map == nil ? "no character map" : "precompiled character map")
                + (rules.removesExtraSpaces ? ", extra spaces removed" : "")
                + (rules.addsPrefix ? ", a space before the text" : "")
        case .precompiled: "precompiled character map, by grapheme clusters"
        case .lowercase: "lower case"
        case .stripAccents: "removes combining marks"
        case .strip(let left, let right):
            "removes white space " + (left && right ? "at both ends" : left ? "at the start" : "at the end")
        case .byteLevel: "bytes as the characters that stand for them"
        case .llamaUnigram(let rules):
            "llama.cpp's Unigram: " + (rules.map == nil ? "no character map" : "precompiled character map")
                + (rules.removesExtraSpaces ? ", extra spaces removed" : "")
                + (rules.addsPrefix ? ", a space before the text" : "")
        case .llamaWords(let rules):
            "llama.cpp's WordPiece: one space between words" + (rules.lowercases ? ", lower case" : "")
                + (rules.stripsAccents ? ", accents removed" : "")
        case .nmt: "NMT clean-up of control characters and spaces"
        case .bert(let options):
            "BERT"
                + (options.cleansText ? ", control characters removed" : "")
                + (options.spacesIdeographs ? ", spaces around ideographs" : "")
                + (options.stripsAccents ? ", accents removed" : "") + (options.lowercases ? ", lower case" : "")
        }
    }
}

extension PreTokenizer {
    fileprivate var inWords: [String] {
        switch self {
        case .whole: ["none: the text is one piece"]
        case .scanner(let scanner): [scanner.inWords]
        case .steps(let steps): steps.map(\.inWords)
        }
    }
}

extension PieceScanner {
    fileprivate var inWords: String {
        let pattern = Self.known.first { $0.scanner == self }?.pattern
        return pattern.map { "split pattern, scanned by hand: \($0)" } ?? "scanner \(family)"
    }
}

extension PreTokenizer.Step {
    fileprivate var inWords: String {
        switch self {
        case .scanner(let scanner): scanner.inWords
        case .split(let splitter, let behavior, let inverted):
            "splits at \(splitter.inWords), \(behavior.rawValue)" + (inverted ? ", inverted" : "")
        case .prefixSpace: "a space before the text"
        case .metaspace(let prepends, let splits):
            "metaspace: a space before \(prepends == .always ? "each piece" : prepends == .first ? "the first piece" : "nothing")"
                + (splits ? ", split at spaces" : "")
        case .words: "runs of word characters, runs of others"
        case .scripts: "at changes of the script"
        case .characters(let count): "pieces of \(count) characters"
        }
    }
}

extension PreTokenizer.Splitter {
    fileprivate var inWords: String {
        switch self {
        case .literal(let text): quoted(text)
        case .pattern(let pattern): "/\(pattern.source)/ (PCRE2)"
        case .digits(let individually): individually ? "each digit" : "runs of digits"
        case .whiteSpace: "white space"
        case .punctuation: "punctuation"
        }
    }
}

extension Decoder {
    fileprivate var inWords: [String] {
        if let chain { return chain.steps.map { "\($0)" } }
        var words: [String] = []
        if joinsWithSpaces { words.append("a space between tokens") }
        if dropsSpacesOfFirst { words.append("the spaces of the first token are removed") }
        if !byteOfID.isEmpty { words.append("byte tokens become their bytes") }
        if stripsLeadingSpace { words.append("the first space is removed") }
        if let wordPiece {
            words.append(
                "words with spaces between, \(quoted(wordPiece.prefix)) continues one"
                    + (wordPiece.cleansUp ? ", spaces before punctuation removed" : ""))
        }
        return words.isEmpty ? ["the tokens' bytes in a row"] : words
    }
}

extension BytePairModel.Options {
    fileprivate func inWords(_ vocabulary: Vocabulary) -> [String] {
        var words = [startsWithCharacters ? "merges characters" : "merges bytes"]
        if ignoresMerges { words.append("a piece that is in the vocabulary is taken as it is (ignore_merges)") }
        if byteFallback != nil { words.append("byte fallback") }
        if startsWithCharacters { words.append("unknown token \(named(unknown, vocabulary))") }
        if affixes != nil { words.append("continuing_subword_prefix or end_of_word_suffix") }
        if fusesUnknown, startsWithCharacters { words.append("adjacent unknown characters are one (fuse_unk)") }
        return words
    }
}

extension UnigramModel.Options {
    fileprivate func inWords(_ vocabulary: Vocabulary) -> [String] {
        ["unknown token \(named(unknown, vocabulary))"] + (byteFallback != nil ? ["byte fallback"] : [])
            + [isSinglePrecision ? "scores added in single precision" : "scores added in double precision"]
    }
}

extension WordPieceModel.Options {
    fileprivate func inWords(_ vocabulary: Vocabulary) -> [String] {
        let unknown = "unknown token \(named(unknown, vocabulary))"
        if isWhole { return [unknown] }
        let words = [
            unknown, wordStart.isEmpty ? "\(quoted(prefix)) continues a word" : "\(quoted(wordStart)) begins a word",
        ]
        return charactersMax == .max ? words : words + ["words over \(charactersMax) characters are unknown"]
    }
}
