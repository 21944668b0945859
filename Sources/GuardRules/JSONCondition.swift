internal import GuardCore
internal import GuardJSON
internal import GuardMatching
internal import GuardYAML

/// `json:` of a condition: the text read as one JSON value, by the strict reader that requests are read with.
///
/// | form | matches |
/// |---|---|
/// | `{valid: false}` | a text that is no JSON, as a whole |
/// | `{valid: true}` | one that is |
/// | `{schema: FILE or inline}` | every value that violates the schema; a text that is no JSON, as a whole |
/// | `{at: PATH, match: CONDITION}` | what the condition matches inside strings at the path (default: all strings) |
/// | `{at: PATH, type: T}`, `notType` | values at the path (default: the root) that are, are not, of a type |
/// | `{at: PATH, missing: [keys]}` | objects that lack one of the keys |
/// | `{at: PATH, keysBesides: [keys]}` | members with any other key |
/// | `{at: PATH}` | values that are there |
///
/// Matches are values as they stand in the text, quotes and brackets included, or what is matched inside a string, in
/// whole escapes. A mask is escaped as JSON, and quoted where a whole value goes.
package struct JSONCondition: Sendable {
    enum Kind: UInt8, Sendable, CaseIterable {
        case object, array, string, number, integer, boolean, null

        var name: String { "\(self)" }
    }

    enum Test: Sendable {
        case valid(Bool)
        case schema(JSONSchema)
        case exists
        /// The rule's view reads each string.
        case match(ComposedRule)
        case type(Set<Kind>, isWanted: Bool)
        case missing([[UInt8]])
        case keysBesides(Set<[UInt8]>)
    }

    let test: Test
    let paths: [JSONPath]

    /// Values that one condition tells of: beyond, the scan fails.
    static let matchesMax = 10_000

    func matches(
        in raw: Span<UInt8>, _ run: inout ComposedRule.Run, _ scratch: inout MatchScratch
    ) -> [ComposedRule.Match] {
        let document: JSONDocument
        do {
            document = try JSONDocument(raw.withUnsafeBufferPointer { Array($0) })
        } catch {
            // Not refused as broken but as too much: nobody has read it.
            if error.code == .tooDeep || error.code == .tooLarge { run.failures.append(.stepLimit) }
            switch test {
            case .valid(false): return [run.whole(raw, explanation: "no JSON: \(error)")]
            case .schema: return [run.whole(raw, explanation: "no JSON: \(error)")]
            default: return []
            }
        }
        switch test {
        case .valid(let isWanted): return isWanted ? [run.whole(raw)] : []
        case .schema(let schema):
            let result = schema.violations(of: document.root, scratch: &scratch)
            if result.isIncomplete { run.failures.append(.stepLimit) }
            return result.violations.map {
                value($0.range, run.mask, document, "\($0.keyword) at \($0.pointer.isEmpty ? "the root" : $0.pointer)")
            }
        case .match(let rule): return strings(document, rule, &run, &scratch)
        case .exists, .type, .missing, .keysBesides: return values(document, &run)
        }
    }

    private func nodes(_ document: JSONDocument) -> [JSONNode] {
        var nodes: [JSONNode] = []
        for path in paths {
            path.forEach(in: document.root) { node in
                nodes.append(node)
                return nodes.count <= Self.matchesMax * 100
            }
        }
        return nodes
    }

    private func values(_ document: JSONDocument, _ run: inout ComposedRule.Run) -> [ComposedRule.Match] {
        var ranges: [(range: ByteRange, why: String)] = []
        for node in nodes(document) {
            switch test {
            case .exists: ranges.append((node.byteRange, "is there"))
            case .type(let kinds, let isWanted):
                if kinds.contains(where: { $0.holds(node) }) == isWanted { ranges.append((node.byteRange, "type")) }
            case .missing(let keys):
                guard node.kind == .object else { continue }
                let index = JSONIndex(node)
                if keys.contains(where: { index[$0] == nil }) { ranges.append((node.byteRange, "missing")) }
            case .keysBesides(let keys):
                for (key, member) in node.members {
                    guard let name = key.stringBytes, !keys.contains(name) else { continue }
                    ranges.append((member.byteRange, "keysBesides"))
                }
            case .valid, .schema, .match: continue
            }
            guard ranges.count <= Self.matchesMax else {
                run.failures.append(.tooManyMatches)
                break
            }
        }
        return ranges.map { value($0.range, run.mask, document, $0.why) }
    }

    /// A whole value; what replaces it is a JSON string.
    private func value(
        _ range: ByteRange, _ mask: MaskTemplate?, _ document: JSONDocument, _ why: String
    ) -> ComposedRule.Match {
        let quoted = mask.map { mask in
            [UInt8(ascii: "\"")]
                + JSONEscape.escaped(mask.render(document.bytes.span, range: range) { _ in nil })
                + [UInt8(ascii: "\"")]
        }
        return ComposedRule.Match(range: range, mask: quoted, explanation: why)
    }

    private func strings(
        _ document: JSONDocument, _ rule: ComposedRule, _ run: inout ComposedRule.Run, _ scratch: inout MatchScratch
    ) -> [ComposedRule.Match] {
        var matches: [ComposedRule.Match] = []
        for node in nodes(document) where node.kind == .string {
            let map = JSONStringMap(node)
            let result = rule.evaluate(
                map.text.span, view: run.view, mask: run.mask, matchesMax: run.matchesLeft, scratch: &scratch)
            run.failures += result.failures
            run.matchesLeft -= min(run.matchesLeft, result.matches.count)
            for match in result.matches {
                matches.append(
                    ComposedRule.Match(
                        range: map.bodyRange(of: match.range), mask: match.mask.map { JSONEscape.escaped($0) }))
            }
        }
        return matches
    }
}

extension JSONCondition.Kind {
    func holds(_ node: JSONNode) -> Bool {
        switch self {
        case .object: node.kind == .object
        case .array: node.kind == .array
        case .string: node.kind == .string
        case .number: node.kind == .number
        case .integer: node.isIntegerLiteral || node.double.map { $0.rounded() == $0 } ?? false
        case .boolean: node.kind == .true || node.kind == .false
        case .null: node.kind == .null
        }
    }
}

// MARK: - reading

extension ConditionCompiler {
    private static let jsonTests = ["match", "type", "notType", "missing", "keysBesides"]

    mutating func json(_ reader: YAMLReader) -> JSONCondition? {
        guard let map = reader.mapping(keys: ["valid", "schema", "at"] + Self.jsonTests) else { return nil }
        let given = (["valid", "schema"] + Self.jsonTests).filter { map[$0] != nil }
        if given.count > 1 {
            map.report(
                key: given[1],
                "'\(given[0])' is the condition here already; put several into a list below 'any' or 'all'")
            return nil
        }
        guard let name = given.first else {
            guard let at = map["at"] else {
                reader.report(
                    "names no condition; one of valid, schema, at, \(Self.jsonTests.joined(separator: ", ")) is needed")
                return nil
            }
            return JSONCondition(test: .exists, paths: paths(at))
        }
        guard let value = map[name] else { return nil }
        let test: JSONCondition.Test?
        switch name {
        case "valid": test = value.bool().map { .valid($0) }
        case "schema": test = schema(value).map { .schema($0) }
        case "match": test = inner(value).map { .match($0) }
        case "type", "notType":
            let kinds = value.oneOrMore { $0.choice(JSONCondition.Kind.allCases.map { ($0.name, $0) }) } ?? []
            test = .type(Set(kinds), isWanted: name == "type")
        default:
            let keys = value.oneOrMore { $0.string().map { Array($0.utf8) } } ?? []
            test = name == "missing" ? .missing(keys) : .keysBesides(Set(keys))
        }
        if ["type", "notType", "missing"].contains(name), case .sequence(let items) = value.node.kind, items.isEmpty {
            value.report("an empty list says nothing")
        }
        if name == "valid" || name == "schema", map["at"] != nil {
            map.report(key: "at", "'at' does not belong beside '\(name)', which is about the whole text")
        }
        let standard = name == "match" ? JSONPath.everything : .root
        return test.map { JSONCondition(test: $0, paths: map["at"].map { paths($0) } ?? [standard]) }
    }

    private func paths(_ reader: YAMLReader) -> [JSONPath] {
        if case .sequence(let items) = reader.node.kind, items.isEmpty { reader.report("names no path") }
        return reader.oneOrMore { item -> JSONPath? in
            guard let text = item.string() else { return nil }
            do throws(JSONPath.Problem) {
                return try JSONPath(text)
            } catch {
                item.report(atScalar: error.offset, error.message)
                return nil
            }
        } ?? []
    }

    /// The condition on strings: patterns and nodes of them, in the rule's view.
    private mutating func inner(_ reader: YAMLReader) -> ComposedRule? {
        var compiler = ConditionCompiler(problems: problems, view: view, isOnOutput: isOnOutput, resources: resources)
        compiler.isInside = true
        guard let tree = compiler.add(reader) else { return nil }
        innerDetectors += compiler.detectors
        return ComposedRule(tree: tree, detectors: compiler.detectors, leaves: [], stream: .hold)
    }

    private func schema(_ reader: YAMLReader) -> JSONSchema? {
        if case .mapping = reader.node.kind { return JSONSchema.compile(reader) }
        return schemaFile(reader)
    }

    /// A schema in a JSON file of the policy folder; problems are reported at their places in it.
    func schemaFile(_ reader: YAMLReader) -> JSONSchema? {
        guard let path = path(reader), let file = resources.file(path, for: reader) else { return nil }
        return resources.schema(file, problems)
    }
}
