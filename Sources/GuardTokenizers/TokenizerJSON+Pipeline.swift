import GuardJSON

/// Normalizers, pre-tokenizers and the models other than BPE.
extension TokenizerJSON {
    // MARK: Normalizer

    func normalizer() throws(TokenizerError) -> Normalizer {
        var steps: [Normalizer.Step] = []
        let nodes = Self.flattened(root["normalizer"], "normalizers")
        let replacesSpaces = nodes.contains(where: Self.replacesSpaces)
        for (index, node) in nodes.enumerated() {
            if Self.replacesSpaces(node) {
                guard index == nodes.count - 1 else {
                    throw TokenizerError(.unsupported, place: node.pointer, "a step behind the replacement of spaces")
                }
            } else {
                // Where Metaspace maps the spaces, pre-tokenizers before it still tell `▁` from a space.
                steps.append(try normalizerStep(node, mapsSpaces: replacesSpaces))
            }
        }
        // Where Metaspace replaces the spaces, it maps as well, after other pre-tokenizers have seen the text.
        if replacesSpaces { steps.append(.metaspaceToSpace) }
        return Normalizer(steps: steps)
    }

    private func normalizerStep(_ node: JSONNode, mapsSpaces: Bool) throws(TokenizerError) -> Normalizer.Step {
        func content(_ key: String) throws(TokenizerError) -> [UInt8] {
            guard let text = node[key]?.stringBytes else { throw malformed(node, "\(node.type) without \(key)") }
            return mapsSpaces ? mapped(text) : text
        }
        switch node.type {
        case "NFC", "NFD", "NFKC", "NFKD":
            guard let form = UnicodeNormalization.Form(rawValue: node.type) else {
                throw malformed(node, "no such form")
            }
            return .form(form)
        case "Prepend": return .prepend(try content("prepend"))
        case "Lowercase": return .lowercase
        case "StripAccents": return .stripAccents
        case "Nmt": return .nmt
        case "ByteLevel":
            guard !isByteLevel, !mapsSpaces else {
                throw TokenizerError(
                    .unsupported, place: node.pointer, "the normalizer ByteLevel before another mapping of the text")
            }
            return .byteLevel
        case "Strip":
            return .strip(left: node["strip_left"]?.bool ?? true, right: node["strip_right"]?.bool ?? true)
        case "Replace":
            if let pattern = node["pattern"]?["String"]?.stringBytes {
                return .replace(pattern, with: try content("content"))
            }
            guard let pattern = node["pattern"]?["Regex"]?.string else { throw malformed(node, "no pattern") }
            return .replacePattern(try splitPattern(pattern, node), with: try content("content"))
        case "Precompiled":
            guard let text = node["precompiled_charsmap"]?.stringBytes, let blob = Base64.decode(text[...]) else {
                throw malformed(node, "a character map that is not base64")
            }
            do throws(TokenizerError) {
                return .precompiled(try CharacterMap(blob))
            } catch {
                throw malformed(node, error.message)
            }
        case "BertNormalizer":
            let lowercases = node["lowercase"]?.bool ?? true
            return .bert(
                Normalizer.Bert(
                    cleansText: node["clean_text"]?.bool ?? true,
                    spacesIdeographs: node["handle_chinese_chars"]?.bool ?? true,
                    stripsAccents: node["strip_accents"]?.bool ?? lowercases, lowercases: lowercases))
        default: throw TokenizerError(.unsupported, place: node.pointer, "normalizer \(node.type)")
        }
    }

    // MARK: Pre-tokenizer

    func preTokenizer() throws(TokenizerError) -> PreTokenizer {
        let nodes = Self.flattened(root["pre_tokenizer"], "pretokenizers")
        let hasReplacedSpaces = Self.flattened(root["normalizer"], "normalizers").contains(where: Self.replacesSpaces)
        var steps: [PreTokenizer.Step] = []
        // Whether `▁` and spaces are one by the time that a step sees the text.
        func mapped(_ index: Int) -> Bool {
            hasReplacedSpaces || nodes[..<index].contains { $0.type == "Metaspace" }
        }
        for (index, node) in nodes.enumerated() {
            switch node.type {
            case "Split":
                guard let name = node["behavior"]?.string, let behavior = PreTokenizer.Behavior(rawValue: name) else {
                    throw malformed(node, "Split without a known behavior")
                }
                let inverted = node["invert"]?.bool ?? false
                if let literal = node["pattern"]?["String"]?.stringBytes {
                    // Gemma: no space is left to split at, once the normalizer has replaced them all.
                    if literal == [0x20] && hasReplacedSpaces { continue }
                    guard !mapped(index) else { throw unsupportedSplit(node) }
                    steps.append(.split(.literal(literal), behavior, inverted: inverted))
                } else if let pattern = node["pattern"]?["Regex"]?.string {
                    guard !mapped(index) else { throw unsupportedSplit(node) }
                    let coversAll = behavior == .isolated || behavior == .removed && inverted
                    if coversAll, let scanner = PieceScanner.named(by: pattern) {
                        steps.append(.scanner(scanner))
                    } else {
                        steps.append(.split(.pattern(try splitPattern(pattern, node)), behavior, inverted: inverted))
                    }
                } else {
                    throw malformed(node, "Split without a pattern")
                }
            case "ByteLevel":
                guard index == nodes.count - 1 else {
                    throw TokenizerError(.unsupported, place: node.pointer, "a pre-tokenizer behind ByteLevel")
                }
                if node["add_prefix_space"]?.bool ?? true { steps.append(.prefixSpace) }
                if node["use_regex"]?.bool ?? true {
                    steps.append(.scanner(PieceScanner(family: .gpt2)))
                }
            case "Metaspace":
                guard node["replacement"]?.stringBytes ?? Normalizer.metaspace == Normalizer.metaspace else {
                    throw TokenizerError(
                        .unsupported, place: node.pointer, "Metaspace with another character than U+2581")
                }
                let scheme = node["prepend_scheme"]?.string
                let prepends =
                    scheme.flatMap { PreTokenizer.Prepend(rawValue: $0) }
                    ?? (node["add_prefix_space"]?.bool ?? true ? .always : .never)
                steps.append(.metaspace(prepends: prepends, splits: node["split"]?.bool ?? true))
            default: steps += try simpleSteps(node, isMapped: mapped(index))
            }
        }
        if steps.isEmpty { return .whole }
        if steps.count == 1, case .scanner(let scanner) = steps[0] { return .scanner(scanner) }
        return .steps(steps)
    }

    /// Steps that need nothing but themselves.
    private func simpleSteps(_ node: JSONNode, isMapped: Bool) throws(TokenizerError) -> [PreTokenizer.Step] {
        // `▁` is no white space for these, and where it is mapped it would be.
        if isMapped, ["BertPreTokenizer", "Whitespace", "WhitespaceSplit", "CharDelimiterSplit"].contains(node.type) {
            throw TokenizerError(.unsupported, place: node.pointer, "\(node.type) where spaces are replaced by U+2581")
        }
        switch node.type {
        case "Digits":
            let individually = node["individual_digits"]?.bool ?? false
            return [.split(.digits(individually: individually), .isolated, inverted: false)]
        case "BertPreTokenizer":
            return [
                .split(.whiteSpace, .removed, inverted: false), .split(.punctuation, .isolated, inverted: false),
            ]
        case "Whitespace": return [.words]
        case "WhitespaceSplit": return [.split(.whiteSpace, .removed, inverted: false)]
        case "Punctuation":
            let name = node["behavior"]?.string ?? "Isolated"
            guard let behavior = PreTokenizer.Behavior(rawValue: name) else { throw malformed(node, "behavior \(name)") }
            return [.split(.punctuation, behavior, inverted: false)]
        case "CharDelimiterSplit":
            guard let delimiter = node["delimiter"]?.stringBytes, !delimiter.isEmpty else {
                throw malformed(node, "no delimiter")
            }
            return [.split(.literal(delimiter), .removed, inverted: false)]
        case "UnicodeScripts": return [.scripts]
        case "FixedLength":
            guard let length = node["length"]?.integer, length > 0, length < 1 << 31 else {
                throw malformed(node, "no length")
            }
            return [.characters(Int(length))]
        default: throw TokenizerError(.unsupported, place: node.pointer, "pre-tokenizer \(node.type)")
        }
    }

    // MARK: Models

    /// Files before 0.10 do not name the type.
    func model(_ node: JSONNode) throws(TokenizerError) -> Model {
        let guessed =
            node["merges"] != nil ? "BPE" : node["vocab"]?.kind == .array ? "Unigram"
            : node["continuing_subword_prefix"] != nil ? "WordPiece" : nil
        switch node["type"]?.string ?? guessed {
        case "BPE": return .bytePair(try bytePairModel(node))
        case "Unigram": return .unigram(try unigramModel(node))
        case "WordPiece": return .wordPiece(try wordPieceModel(node))
        case "WordLevel": return .wordPiece(try wordLevelModel(node))
        case let type?: throw TokenizerError(.unsupported, place: "/model/type", "model \(type)")
        case nil: throw TokenizerError(.malformed, place: "/model/type", "a model without a type")
        }
    }

    private func unigramModel(_ node: JSONNode) throws(TokenizerError) -> UnigramModel {
        guard let list = node["vocab"], list.kind == .array, list.count > 0 else {
            throw TokenizerError(.malformed, place: "/model/vocab", "no vocabulary")
        }
        var tokens: [[UInt8]] = []
        var entries: [UnigramModel.Entry] = []
        var options = UnigramModel.Options()
        options.scoreMin = .infinity
        for element in list.elements {
            guard element.kind == .array, element.count == 2, let text = element[0], text.kind == .string,
                let score = element[1].flatMap({ Self.score($0) })
            else { throw malformed(element, "not a piece and its score") }
            guard text.contentRange.count <= AddedToken.bytesMax * 6 else {
                throw TokenizerError(.limitExceeded, place: element.pointer, "a piece that is too long")
            }
            var written: [UInt8] = []
            var isFound = false
            withText(text) { isFound = isFindable(Array($0), &written) }
            tokens.append(written)
            entries.append(UnigramModel.Entry(text: isFound ? written : [], score: score))
            options.scoreMin = min(options.scoreMin, score)
        }
        if let unknown = node["unk_id"], !unknown.isNull {
            guard let id = id(unknown), Int(id) < tokens.count else { throw malformed(unknown, "no such piece") }
            options.unknown = id
        } else if !(node["byte_fallback"]?.bool ?? false) {
            throw TokenizerError(
                .unsupported, place: "/model/unk_id", "a Unigram vocabulary without unknown token: some texts have no ids")
        }
        let vocabulary = try Vocabulary(tokens: tokens) { !entries[$0].text.isEmpty }
        if node["byte_fallback"]?.bool ?? false {
            options.byteFallback = (0..<256).map { vocabulary.id(Self.byteToken($0)) }
        }
        return UnigramModel(vocabulary: vocabulary, entries: entries, options: options)
    }

    private func wordLevelModel(_ node: JSONNode) throws(TokenizerError) -> WordPieceModel {
        let vocabulary = try vocabulary(node)
        var unknown: [UInt8] = []
        _ = isFindable(node["unk_token"]?.stringBytes ?? Array("<unk>".utf8), &unknown)
        guard let unknown = vocabulary.id(unknown) else {
            throw TokenizerError(.malformed, place: "/model/unk_token", "not in the vocabulary")
        }
        return WordPieceModel(
            vocabulary: vocabulary,
            options: WordPieceModel.Options(unknown: unknown, prefix: [], charactersMax: .max, isWhole: true))
    }

    private func wordPieceModel(_ node: JSONNode) throws(TokenizerError) -> WordPieceModel {
        guard !isByteLevel, !usesMetaspace else {
            throw TokenizerError(.unsupported, place: "/pre_tokenizer", "WordPiece with ByteLevel or Metaspace")
        }
        let vocabulary = try vocabulary(node)
        guard vocabulary.bytesMax <= AddedToken.bytesMax else {
            throw TokenizerError(.limitExceeded, place: "/model/vocab", "a token of \(vocabulary.bytesMax) bytes")
        }
        let unknown = node["unk_token"]?.stringBytes ?? Array("[UNK]".utf8)
        guard let unknown = vocabulary.id(unknown) else {
            throw TokenizerError(.malformed, place: "/model/unk_token", "not in the vocabulary")
        }
        let charactersMax = node["max_input_chars_per_word"]?.integer ?? 100
        return WordPieceModel(
            vocabulary: vocabulary,
            options: WordPieceModel.Options(
                unknown: unknown, prefix: node["continuing_subword_prefix"]?.stringBytes ?? Array("##".utf8),
                charactersMax: Int(min(max(charactersMax, 0), 1 << 20))))
    }

    /// A score as Rust's `serde_json` reads it by default: digits into an integer, then one multiplication or division.
    /// That is not always the nearest number, and with many equal sums the last bit decides how a text is cut.
    private static func score(_ node: JSONNode) -> Double? {
        guard node.kind == .number else { return nil }
        var digits: UInt64 = 0
        var exponent = 0
        var isFraction = false
        var isFull = false
        let text = Array(node.rawBytes)
        var at = text.first == UInt8(ascii: "-") ? 1 : 0
        while at < text.count {
            let byte = text[at]
            at += 1
            if byte == UInt8(ascii: ".") {
                isFraction = true
            } else if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
                guard let written = Int(String(decoding: text[at...], as: UTF8.self)) else { return node.double }
                exponent += min(max(written, -1000), 1000)
                break
            } else {
                let (product, isOver) = digits.multipliedReportingOverflow(by: 10)
                let (sum, isOverToo) = product.addingReportingOverflow(UInt64(byte &- 48))
                if isFull || isOver || isOverToo {
                    isFull = true
                    if !isFraction { exponent += 1 }
                } else {
                    digits = sum
                    if isFraction { exponent -= 1 }
                }
            }
        }
        guard abs(exponent) <= 22 else { return node.double }
        var power = 1.0
        for _ in 0..<abs(exponent) { power *= 10 }
        let value = exponent < 0 ? Double(digits) / power : Double(digits) * power
        return text.first == UInt8(ascii: "-") ? -value : value
    }
}
