internal import GuardCore
internal import GuardYAML

extension RuleCompiler {
    /// What makes a rule one for complete texts only, and what it then has to say about streams.
    func composed(
        _ tree: MatchTree, _ conditions: ConditionCompiler, _ map: YAMLMapping, _ stream: WholeStream?,
        _ action: Action?, _ phases: [Phase]
    ) -> ComposedRule? {
        let isOnOutput = phases.contains(.output)
        // Without `stream` a flat rule of the decoded view reads the folded text of answers, which is exact on streams.
        if tree.isFlat, conditions.view != .decoded || stream == nil {
            if let stream, let reader = map["stream"] {
                reader.report(
                    "'stream: \(stream)' changes nothing: the conditions of this rule are exact on streams",
                    level: .warning)
            }
            return nil
        }
        let names = Set(conditions.leaves.map(\.name)).sorted().map { "'\($0)'" }
        let what: String
        if !names.isEmpty {
            what = names.joined(separator: " and ")
        } else {
            what = conditions.view == .decoded ? "the decoded view" : "'all' and 'not'"
        }
        if isOnOutput, action == .allow {
            map.report(key: "match", "\(what) cannot allow on output: it is known at the answer's end only")
        } else if isOnOutput, stream == nil, action == .mask || action == .block {
            map.report(
                key: "action",
                "\(what) on output needs the whole answer: say 'stream: hold' (held until it ends) or 'stream: cut' "
                    + "(judged in windows of \(WholeStream.windowBytes) bytes; not leak-free)")
        } else if isOnOutput, stream == .cut, let name = conditions.leaves.first(where: \.needsAll)?.name,
            let reader = map["stream"]
        {
            reader.report(
                "'\(name)' is about the whole answer; 'stream: cut' asks it about each window of "
                    + "\(WholeStream.windowBytes) bytes",
                level: .warning)
        }
        if let mask = map["mask"], case .mapping = mask.node.kind,
            conditions.leaves.contains(where: { if case .json = $0 { true } else { false } })
        {
            mask.report("a placeholder stands for plain text; what 'json' matches is escaped text or a whole value")
        }
        return ComposedRule(
            tree: tree, detectors: conditions.detectors, leaves: conditions.leaves, stream: stream ?? .hold)
    }
}

extension TextLeaf {
    /// A window of the text is no text of its own to it.
    fileprivate var needsAll: Bool {
        switch self {
        case .json: true
        case .tokens(let condition): condition.countsAll
        case .classify: false
        }
    }
}
