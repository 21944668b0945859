/// Writes what is small in a tokenizer: the stages around the model.
struct ImageWriter {
    var bytes: [UInt8] = []

    mutating func write(_ tokenizer: Tokenizer, _ model: BytePairModel) throws(TokenizerError) {
        let stages = tokenizer.stages
        // A field that was added to one of these and is not written here would be lost without a word.
        try expect(13, stages, "tokenizer")
        try expect(7, stages.decoder, "decoder")
        guard stages.decoder.wordPiece == nil, stages.decoder.chain == nil else {
            throw TokenizerError(.unsupported, "an image of this decoder")
        }
        try expect(8, AddedToken(id: 0, content: []), "added token")
        try expect(3, stages.postProcessor, "post-processor")
        try expect(7, model.options, "model")
        guard model.options.affixes == nil else {
            throw TokenizerError(.unsupported, "an image of a vocabulary with affixes")
        }
        write(tokenizer.format.rawValue)
        write(tokenizer.hash)
        write(stages.vocabularySize)
        write(stages.bosToken)
        write(stages.eosToken)
        write(stages.estimatedWhy)
        write(stages.version)
        write(model.options)
        write(stages.addedTokens.count)
        for token in stages.addedTokens { write(token) }
        write(stages.normalizer.steps.count)
        for step in stages.normalizer.steps { try write(step) }
        try write(stages.preTokenizer)
        write(stages.postProcessor.prefix)
        write(stages.postProcessor.suffix)
        write(stages.postProcessor.offsetTrimming != nil)
        if let trimming = stages.postProcessor.offsetTrimming { write(trimming.addsPrefixSpace) }
        write(stages.decoder.stripsLeadingSpace)
        write(stages.decoder.dropsSpacesOfFirst)
        write(stages.decoder.joinsWithSpaces)
        write(stages.decoder.byteOfID.count)
        for (id, byte) in stages.decoder.byteOfID.sorted(by: { $0.key < $1.key }) {
            write(Int(id))
            write(Int(byte))
        }
        write(stages.decoder.textOfID.count)
        for (id, text) in stages.decoder.textOfID.sorted(by: { $0.key < $1.key }) {
            write(Int(id))
            write(text)
        }
    }

    private func expect(_ count: Int, _ value: some Any, _ name: String) throws(TokenizerError) {
        guard Mirror(reflecting: value).children.count == count else {
            throw TokenizerError(.unsupported, "an image of a \(name) with parts that images do not know")
        }
    }

    // MARK: Parts

    private mutating func write(_ options: BytePairModel.Options) {
        write(options.ignoresMerges)
        write(options.startsWithCharacters)
        write(options.fusesUnknown)
        write(Int(options.firstVirtualID))
        write(options.unknown.map { Int($0) } ?? -1)
        write(options.byteFallback != nil)
        for id in options.byteFallback ?? [] { write(id.map { Int($0) } ?? -1) }
    }

    private mutating func write(_ token: AddedToken) {
        write(Int(token.id))
        write(token.content)
        for flag in [
            token.singleWord, token.stripsLeft, token.stripsRight, token.isNormalized, token.isSpecial, token.isControl,
        ] {
            write(flag)
        }
    }

    private mutating func write(_ step: Normalizer.Step) throws(TokenizerError) {
        if case .prepend(let text) = step {
            write(0)
            write(text)
        } else if case .replace(let text, let replacement) = step {
            write(1)
            write(text)
            write(replacement)
        } else if case .form(.nfc) = step {
            write(2)
        } else if case .metaspaceToSpace = step {
            write(3)
        } else if case .collapseSpaces(let addsPrefix) = step {
            write(4)
            write(addsPrefix)
        } else {
            throw TokenizerError(.unsupported, "an image of this normalizer")
        }
    }

    private mutating func write(_ preTokenizer: PreTokenizer) throws(TokenizerError) {
        if case .whole = preTokenizer {
            write(0)
        } else if case .scanner(let scanner) = preTokenizer {
            write(1)
            try write(scanner)
        } else if case .steps(let steps) = preTokenizer {
            write(2)
            write(steps.count)
            for step in steps { try write(step) }
        } else {
            throw TokenizerError(.unsupported, "an image of this pre-tokenizer")
        }
    }

    private mutating func write(_ step: PreTokenizer.Step) throws(TokenizerError) {
        if case .scanner(let scanner) = step {
            write(0)
            try write(scanner)
        } else if case .split(let splitter, let behavior, let inverted) = step {
            write(1)
            if case .literal(let text) = splitter {
                write(0)
                write(text)
            } else if case .pattern(let pattern) = splitter {
                write(1)
                write(pattern.source)
            } else if case .digits(let individually) = splitter {
                write(2)
                write(individually)
            } else {
                throw TokenizerError(.unsupported, "an image of this split")
            }
            write(behavior.rawValue)
            write(inverted)
        } else if case .prefixSpace = step {
            write(2)
        } else if case .metaspace(let prepends, let splits) = step {
            write(3)
            write(prepends.rawValue)
            write(splits)
        } else {
            throw TokenizerError(.unsupported, "an image of this pre-tokenizer")
        }
    }

    /// By its pattern: the image does not depend on how scanners are stored.
    private mutating func write(_ scanner: PieceScanner) throws(TokenizerError) {
        guard let known = PieceScanner.known.first(where: { $0.scanner == scanner }) else {
            throw TokenizerError(.unsupported, "an image of a scanner without a pattern")
        }
        write(known.pattern)
    }
}

/// Reads what `ImageWriter` wrote.
struct ImageReader {
    let bytes: UnsafeRawBufferPointer
    /// Where in the image the section begins, for errors.
    let origin: Int
    var at = 0

    init(_ memory: ImageMemory, _ section: ImageMemory.Section) {
        bytes = memory.bytes(section)
        origin = memory.origin(section)
    }

    mutating func tokenizer(_ memory: ImageMemory, name: String) throws(TokenizerError) -> Tokenizer {
        guard let format = Tokenizer.Format(rawValue: try text()) else { throw broken() }
        let hash = try text()
        let size = try count(max: Vocabulary.idsMax)
        let bos = try optionalText()
        let eos = try optionalText()
        let why = try optionalText()
        let version = try optionalText()
        let model = try BytePairModel(memory, options: try options())
        var stages = Tokenizer.Stages(model: .bytePair(model), vocabularySize: size)
        (stages.bosToken, stages.eosToken, stages.estimatedWhy, stages.version) = (bos, eos, why, version)
        for _ in 0..<(try count()) { stages.addedTokens.append(try addedToken()) }
        for _ in 0..<(try count()) { stages.normalizer.steps.append(try normalizerStep()) }
        stages.preTokenizer = try preTokenizer()
        stages.postProcessor.prefix = try ids()
        stages.postProcessor.suffix = try ids()
        if try flag() { stages.postProcessor.offsetTrimming = PostProcessor.OffsetTrimming(addsPrefixSpace: try flag()) }
        stages.decoder.stripsLeadingSpace = try flag()
        stages.decoder.dropsSpacesOfFirst = try flag()
        stages.decoder.joinsWithSpaces = try flag()
        for _ in 0..<(try count()) {
            let id = try self.id()
            stages.decoder.byteOfID[id] = UInt8(truncatingIfNeeded: try number())
        }
        for _ in 0..<(try count()) {
            let id = try self.id()
            stages.decoder.textOfID[id] = try byteString()
        }
        guard at == bytes.count else { throw broken() }
        return Tokenizer(format: format, source: name, hash: hash, stages: stages)
    }

    // MARK: Parts

    private mutating func options() throws(TokenizerError) -> BytePairModel.Options {
        var options = BytePairModel.Options()
        options.ignoresMerges = try flag()
        options.startsWithCharacters = try flag()
        options.fusesUnknown = try flag()
        options.firstVirtualID = UInt32(truncatingIfNeeded: try number())
        options.unknown = try optionalID()
        if try flag() {
            var fallback: [UInt32?] = []
            for _ in 0..<256 { fallback.append(try optionalID()) }
            options.byteFallback = fallback
        }
        return options
    }

    private mutating func addedToken() throws(TokenizerError) -> AddedToken {
        var token = AddedToken(id: try id(), content: try byteString())
        guard token.content.count <= AddedToken.bytesMax * 4 else { throw broken() }
        token.singleWord = try flag()
        token.stripsLeft = try flag()
        token.stripsRight = try flag()
        token.isNormalized = try flag()
        token.isSpecial = try flag()
        token.isControl = try flag()
        return token
    }

    private mutating func normalizerStep() throws(TokenizerError) -> Normalizer.Step {
        switch try number() {
        case 0: return .prepend(try byteString())
        case 1: return .replace(try byteString(), with: try byteString())
        case 2: return .form(.nfc)
        case 3: return .metaspaceToSpace
        case 4: return .collapseSpaces(addsPrefix: try flag())
        default: throw broken()
        }
    }

    private mutating func preTokenizer() throws(TokenizerError) -> PreTokenizer {
        switch try number() {
        case 0: return .whole
        case 1: return .scanner(try scanner())
        case 2:
            var steps: [PreTokenizer.Step] = []
            for _ in 0..<(try count()) { steps.append(try step()) }
            return .steps(steps)
        default: throw broken()
        }
    }

    private mutating func step() throws(TokenizerError) -> PreTokenizer.Step {
        switch try number() {
        case 0: return .scanner(try scanner())
        case 1:
            let splitter: PreTokenizer.Splitter
            switch try number() {
            case 0: splitter = .literal(try byteString())
            case 1: splitter = .pattern(try SplitPattern(try text()))
            case 2: splitter = .digits(individually: try flag())
            default: throw broken()
            }
            guard let behavior = PreTokenizer.Behavior(rawValue: try text()) else { throw broken() }
            return .split(splitter, behavior, inverted: try flag())
        case 2: return .prefixSpace
        case 3:
            guard let prepends = PreTokenizer.Prepend(rawValue: try text()) else { throw broken() }
            return .metaspace(prepends: prepends, splits: try flag())
        default: throw broken()
        }
    }

    private mutating func scanner() throws(TokenizerError) -> PieceScanner {
        guard let scanner = PieceScanner.named(by: try text()) else { throw broken() }
        return scanner
    }
}
