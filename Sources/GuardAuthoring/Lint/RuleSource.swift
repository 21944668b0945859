internal import GuardRules
internal import GuardYAML

/// Where the parts of rules stand in their files.
struct RuleSource {
    private var nodes: [RulePlace: YAMLNode] = [:]

    init(_ files: [RuleBundle.File]) {
        for file in files {
            guard let document = try? YAMLDocument.parse(file.content, file: file.shownAs),
                case .sequence(let rules)? = document.root["rules"]?.kind
            else { continue }
            for rule in rules {
                nodes[RulePlace(at: file.shownAs, line: rule.line, column: rule.column)] = rule
            }
        }
    }

    func has(_ key: String, _ rule: CompiledRule) -> Bool { nodes[rule.place]?[key] != nil }

    /// The key's place, or the rule's.
    func place(_ key: String, _ rule: CompiledRule) -> RulePlace {
        guard case .mapping(let entries)? = nodes[rule.place]?.kind,
            let entry = entries.first(where: { $0.key == key })
        else { return rule.place }
        return RulePlace(at: rule.place.file, line: entry.keyLine, column: entry.keyColumn)
    }

    /// The place of a pattern that stands below the rule's `match` as it is, or that of `match`.
    func place(pattern: String, _ rule: CompiledRule) -> RulePlace {
        guard let match = nodes[rule.place]?["match"] else { return rule.place }
        var queue = [match]
        while let node = queue.popLast() {
            switch node.kind {
            case .scalar(let scalar):
                if scalar.text == pattern {
                    return RulePlace(at: rule.place.file, line: node.line, column: node.column)
                }
            case .sequence(let nodes): queue += nodes
            case .mapping(let entries): queue += entries.map(\.value)
            }
        }
        return place("match", rule)
    }

    /// `lint: {ignore: […], reason: …}`.
    func ignored(_ rule: CompiledRule) -> (ids: [String], reason: String) {
        guard let note = nodes[rule.place]?["lint"] else { return ([], "") }
        let ids: [String] =
            switch note["ignore"]?.kind {
            case .sequence(let nodes): nodes.compactMap { $0.scalar?.text }
            case .scalar(let scalar): [scalar.text]
            default: []
            }
        return (ids, note["reason"]?.scalar?.text ?? "")
    }
}
