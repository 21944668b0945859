internal import GuardCore
internal import GuardMatching
internal import GuardYAML

/// `all`, `not`, `near` and `context`.
extension ConditionCompiler {
    /// `within` of a context: a window is read at every match.
    private static let withinMax = 1000

    mutating func addNode(_ name: String, _ reader: YAMLReader) -> MatchTree? {
        if isContext {
            reader.report("'\(name)' cannot be what stands near a match; known here: pcre, words, any")
            return nil
        }
        switch name {
        case "all":
            guard let items = reader.items() else { return nil }
            if items.isEmpty { reader.report("an empty list always matches") }
            return .all(items.compactMap { add($0) })
        case "not":
            return add(reader).map { .not($0) }
        default: return addNear(reader)
        }
    }

    /// `near: {match: …, to: …, within: N}`: the matches of `match` that have one of `to` near.
    private mutating func addNear(_ reader: YAMLReader) -> MatchTree? {
        guard let map = reader.mapping(keys: ["match", "to", "within"]) else { return nil }
        let first = detectors.count
        let tree = map.required("match", in: "'near'").flatMap { add($0) }
        if let tree, !tree.isFlat {
            map.report(key: "match", "only pcre, words, any and near have a place that something could stand near to")
        }
        let to = map.required("to", in: "'near'")
        attach(alternatives(to), within(map, "'near'"), from: first)
        return tree
    }

    /// `context: {near: [words] or a condition, within: N}` beside a condition.
    mutating func addContext(_ reader: YAMLReader, of tree: MatchTree?, _ first: Int) {
        guard let map = reader.mapping(keys: ["near", "within"]) else { return }
        if isContext {
            reader.report("'context' cannot be nested")
            return
        }
        if let tree, !tree.isFlat {
            reader.report(
                "'context' belongs beside pcre, words, any or near; other conditions have no place of their own")
            return
        }
        let near = map.required("near", in: "'context'")
        attach(alternatives(near), within(map, "'context'"), from: first)
    }

    private func within(_ map: YAMLMapping, _ what: String) -> Int? {
        map.required("within", in: what)?.int(in: 1...Self.withinMax)
    }

    private mutating func attach(_ alternatives: [ContextCondition.Alternative], _ within: Int?, from first: Int) {
        guard let within, !alternatives.isEmpty else { return }
        let context = ContextCondition(alternatives: alternatives, within: within)
        for index in first..<detectors.count { detectors[index].contexts.append(context) }
    }

    /// A list of words, or a condition of pcre, words and any.
    private func alternatives(_ reader: YAMLReader?) -> [ContextCondition.Alternative] {
        guard let reader else { return [] }
        var compiler = ConditionCompiler(problems: problems, view: view, isOnOutput: isOnOutput, resources: resources)
        compiler.isContext = true
        if case .sequence = reader.node.kind { compiler.addWords(reader) } else { compiler.add(reader) }
        return compiler.detectors.map { ContextCondition.Alternative(pattern: $0.pattern, validator: $0.validator) }
    }
}
