internal import GuardCore
internal import GuardMatching
internal import GuardYAML

/// `match:` of a rule to detectors and conditions on the text: leaves `pcre`, `words`, `json`, `tokens` and `classify`, nodes
/// `any`, `near`, `all` and `not`, nested as deep as the file may be.
struct ConditionCompiler {
    let problems: YAMLProblems
    let view: TextView
    let isOnOutput: Bool
    let resources: BundleResources
    /// The patterns are looked for around matches: they are told where they have to lie.
    var isContext = false
    /// The condition is about a string inside a JSON text, or stands near a match: not about the whole text.
    var isInside = false
    var detectors: [Detector] = []
    var leaves: [TextLeaf] = []
    /// Those of conditions inside of `json`.
    var innerDetectors: [Detector] = []

    private static let known = ["pcre", "words", "json", "tokens", "classify", "any", "all", "not", "near"]
    private static let textLeaves = ["json", "tokens", "classify"]
    private static let knownValidators = "luhn, iban, ssn, nhs, base58check, jwt, entropy(…), json-schema(FILE)"

    init(problems: YAMLProblems, view: TextView, isOnOutput: Bool, resources: BundleResources) {
        self.problems = problems
        self.view = view
        self.isOnOutput = isOnOutput
        self.resources = resources
    }

    /// `nil` where a problem was reported.
    @discardableResult
    mutating func add(_ reader: YAMLReader) -> MatchTree? {
        guard let map = reader.mapping(keys: Self.known + ["validate", "context"]) else { return nil }
        let conditions = map.entries.map(\.key).filter { Self.known.contains($0) }
        guard let condition = conditions.first else {
            reader.report("names no condition; one of \(Self.known.joined(separator: ", ")) is needed")
            return nil
        }
        guard conditions.count == 1 else {
            map.report(
                key: conditions[1],
                "'\(condition)' is the condition here already; put several into a list below 'any'")
            return nil
        }
        if condition != "pcre", map["validate"] != nil {
            map.report(key: "validate", "'validate' belongs beside 'pcre'")
        }
        let first = detectors.count
        var tree: MatchTree?
        switch condition {
        case "pcre":
            if let pcre = map["pcre"] { addPattern(pcre, validate: map["validate"]) }
            tree = .leaf(first..<detectors.count)
        case "words":
            if let words = map["words"] { addWords(words) }
            tree = .leaf(first..<detectors.count)
        case "any":
            guard let items = map["any"]?.items() else { return nil }
            if items.isEmpty { map["any"]?.report("an empty list never matches") }
            tree = .any(items.compactMap { add($0) })
        case "all", "not", "near": tree = map[condition].flatMap { addNode(condition, $0) }
        case _ where isContext || isInside:
            map.report(
                key: condition, "'\(condition)' is about a whole text; it cannot stand near a match or inside of 'json'")
        case "json": if let value = map["json"], let leaf = json(value) { tree = add(.json(leaf)) }
        case "tokens": if let value = map["tokens"], let leaf = tokens(value) { tree = add(.tokens(leaf)) }
        case "classify": if let value = map["classify"], let leaf = classify(value) { tree = add(.classify(leaf)) }
        default: break
        }
        if let context = map["context"] { addContext(context, of: tree, first) }
        return tree
    }

    private mutating func add(_ leaf: TextLeaf) -> MatchTree {
        leaves.append(leaf)
        return .text(leaves.count - 1)
    }

    // MARK: pcre

    private mutating func addPattern(_ reader: YAMLReader, validate: YAMLReader?) {
        let validator = validate.flatMap(self.validator)
        guard let source = reader.nonEmptyString() else { return }
        var rewritten = source
        let pattern: Pattern
        do {
            if view != .raw {
                rewritten = try FoldedPattern.rewrite(source)
                if rewritten != source {
                    // Compiled as written first, so that a problem's place is one of the file's text.
                    var options = PatternOptions(caseless: true)
                    options.jit = false
                    _ = try Pattern(source, options: options)
                }
            }
            pattern = try Pattern(
                rewritten, options: PatternOptions(caseless: view != .raw), validated: validator != nil || isContext)
        } catch let error as PatternError {
            reader.report(atScalar: error.offset, "broken pattern: \(error.message)")
            return
        } catch let error as FoldedPattern.Problem {
            reader.report(atScalar: error.offset, error.message)
            return
        } catch {
            reader.report("broken pattern")
            return
        }
        if isOnOutput {
            if pattern.usesBackslashG { reader.report("'\\G' does not load on output: it asks where a search began") }
            if pattern.usesBackslashK {
                reader.report("'\\K' does not load on output: what it leaves out has been sent")
            }
            if pattern.usesSearchVerbs {
                reader.report(
                    "(*COMMIT), (*PRUNE), (*SKIP) and (*THEN) do not load on output: they ask where a search began")
            }
        }
        if case .entropy(_, let group)? = validator, group > pattern.captureCount {
            validate?.report("the pattern has no group \(group)")
        }
        add(pattern, validator, rewritten)
    }

    private mutating func add(_ pattern: Pattern, _ validator: Validator?, _ source: String) {
        detectors.append(
            Detector(
                pattern: pattern, validator: validator,
                required: LiteralExtraction.required(source, caseless: view != .raw, isRaw: view == .raw)))
    }

    private func validator(_ reader: YAMLReader) -> Validator? {
        guard let text = reader.nonEmptyString() else { return nil }
        let name = text.prefix { $0 != "(" && $0 != " " }
        switch name {
        case "luhn" where text == "luhn": return .luhn
        case "iban" where text == "iban": return .iban
        case "ssn" where text == "ssn": return .ssn
        case "nhs" where text == "nhs": return .nhs
        case "base58check" where text == "base58check": return .base58check
        case "jwt" where text == "jwt": return .jwt
        case "entropy":
            let arguments = text.dropFirst(name.count)
            if arguments.first == "(", arguments.last == ")" {
                let parts = arguments.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false)
                    .map { part in part.filter { $0 != " " } }
                if parts.count == 1 || parts.count == 2, let bits = Double(parts[0]), bits > 0, bits <= 8,
                    let group = parts.count == 2 ? Int(parts[1]) : 0, group >= 0
                {
                    return .entropy(bits: bits, group: group)
                }
            }
            reader.report("write 'entropy(bits)' or 'entropy(bits, group)', with bits above 0 and up to 8")
            return nil
        case "json-schema": return schemaValidator(text.dropFirst(name.count), reader)
        default: break
        }
        reader.report(
            "unknown validator '\(text)'; known here: \(Self.knownValidators)"
                + LikelyMeant.suffix(String(name), among: Validator.names))
        return nil
    }

    /// `json-schema(FILE)`.
    private func schemaValidator(_ arguments: Substring, _ reader: YAMLReader) -> Validator? {
        guard arguments.first == "(", arguments.last == ")", arguments.utf8.count > 2 else {
            reader.report("write 'json-schema(FILE)', with the path of a JSON file in the policy folder")
            return nil
        }
        let path = String(arguments.dropFirst().dropLast())
        var node = reader.node
        node.kind = .scalar(YAMLScalar(text: path, style: .singleQuoted))
        return schemaFile(YAMLReader(node, file: reader.file, problems)).map { .jsonSchema($0) }
    }

    // MARK: words

    /// PCRE2 links patterns by 16-bit offsets; lists are cut into patterns well below that.
    private static let patternBytesMax = 12_000
    private static let wordBytesMax = 1000

    /// Whole words or phrases: no letter, mark, digit or `_` stands before or behind, and white space in a phrase
    /// stands for one to eight characters of white space. Always caseless.
    mutating func addWords(_ reader: YAMLReader) {
        if case .mapping = reader.node.kind { return addWordList(reader) }
        guard let items = reader.items() else { return }
        if items.isEmpty { reader.report("an empty list never matches") }
        addWords(
            items.compactMap { item in
                item.nonEmptyString().map { word in
                    Word(text: word) { offset, message in
                        if let offset { item.report(atScalar: offset, message) } else { item.report(message) }
                    }
                }
            }, reader)
    }

    /// A word and how to report a problem in it, at a scalar or as a whole.
    struct Word {
        var text: String
        var report: (_ offset: Int?, _ message: String) -> Void
    }

    mutating func addWords(_ words: [Word], _ reader: YAMLReader) {
        var alternatives: [(source: String, length: Int)] = []
        for word in words {
            guard word.text.utf8.count <= Self.wordBytesMax else {
                word.report(nil, "a word has at most \(Self.wordBytesMax) bytes")
                continue
            }
            do {
                guard let source = try alternative(word.text) else {
                    word.report(nil, "holds no character that can be matched")
                    continue
                }
                alternatives.append((source, word.text.unicodeScalars.count))
            } catch {
                word.report(error.offset, error.message)
            }
        }
        // Longest first: of two words that begin alike, the longer one is the match.
        alternatives.sort { $0.length > $1.length }
        var chunk: [String] = []
        var bytes = 0
        for (source, _) in alternatives {
            if bytes + source.utf8.count > Self.patternBytesMax, !chunk.isEmpty {
                addWords(chunk, reader)
                (chunk, bytes) = ([], 0)
            }
            chunk.append(source)
            bytes += source.utf8.count + 1
        }
        if !chunk.isEmpty { addWords(chunk, reader) }
    }

    private mutating func addWords(_ alternatives: [String], _ reader: YAMLReader) {
        let source = "(?:" + alternatives.joined(separator: "|") + ")"
        do {
            add(try Pattern(source, options: PatternOptions(caseless: true), validated: isContext), nil, source)
        } catch {
            reader.report("the words make a pattern that does not compile: \(error.message)")
        }
    }

    private func alternative(_ word: String) throws(FoldedPattern.Problem) -> String? {
        var source = ""
        var inSpace = true
        var first: Unicode.Scalar?
        var last: Unicode.Scalar?
        for scalar in word.unicodeScalars {
            if scalar.properties.isWhitespace {
                inSpace = true
                continue
            }
            if inSpace, first != nil { source += "\\s{1,8}" }
            inSpace = false
            if first == nil { first = scalar }
            last = scalar
            if scalar.isASCII, !Self.isWordPart(scalar) { source += "\\" }
            source.unicodeScalars.append(scalar)
        }
        guard let first, let last else { return nil }
        if view != .raw { source = try FoldedPattern.rewrite(source) }
        let word = "[\\p{L}\\p{M}\\p{N}_]"
        return (Self.isWordPart(first) ? "(?<!\(word))" : "") + source + (Self.isWordPart(last) ? "(?!\(word))" : "")
    }

    private static func isWordPart(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == "_" { return true }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
            return true
        default: return false
        }
    }
}
