package import GuardCore
internal import GuardYAML

/// One rule made a little worse: what `guardctl test --mutate` expects a test to notice.
package struct RuleMutation: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        /// The rule is gone.
        case drop
        /// A condition, validator or boundary is left out.
        case loosen
        /// A quantifier, class or distance allows more.
        case widen
    }

    package var rule: RuleID
    package var kind: Kind
    /// `validate left out`.
    package var change: String
    package var place: RulePlace
    let base: RuleBundle
    /// The rule with this change; for `drop` it is off.
    let changed: CompiledRule
    /// Of all rules with this change.
    let readings: ReadingNeeds

    /// The changed rule by itself, to be judged on a few texts; they are read as for all rules with this change.
    package var alone: RuleBundle { .alone([changed], readings: readings, isLight: true) }

    /// All rules with this change.
    ///
    /// - Parameter isLight: for a few texts.
    package func whole(isLight: Bool) -> RuleBundle { base.replacing(changed, isLight: isLight) }

    /// Every other rule reads texts as it does without this change.
    package var leavesReadings: Bool { readings == base.prefilter.readings }
}

/// All mutations of a bundle's rules.
///
/// They are made on the YAML and compiled as any rule is, so a mutant is what its author could have written by mistake.
/// `on`, `roles`, `when`, `action` and masks are left as they are: inline tests do not look at them. Below `not` nothing is
/// changed, for looser there is stricter here.
package struct RuleMutations {
    package let bundle: RuleBundle
    /// The rules' nodes, in the order of `RuleBundle.rules`.
    private let nodes: [YAMLNode]

    package init(_ bundle: RuleBundle, directory: String) throws(Diagnostics) {
        self.bundle = bundle
        var nodes: [RulePlace: YAMLNode] = [:]
        for file in try BundleReader(limits: BundleLimits()).ruleFiles(directory) {
            let document = try YAMLDocument.parse(file.content, file: file.shownAs)
            guard case .sequence(let rules)? = document.root["rules"]?.kind else { continue }
            for rule in rules { nodes[RulePlace(file: file.shownAs, line: rule.line, column: rule.column)] = rule }
        }
        self.nodes = bundle.rules.map { nodes[$0.place] ?? YAMLNode(kind: .sequence([]), line: 0, column: 0) }
    }

    /// - Returns: those that load.
    package func mutations(of rule: CompiledRule) -> [RuleMutation] {
        let node = nodes[rule.index]
        guard case .mapping(let entries) = node.kind, let match = entries.firstIndex(where: { $0.key == "match" })
        else {
            return []
        }
        let others = ReadingNeeds(bundle.rules.filter { $0.index != rule.index })
        func mutation(
            _ entries: [YAMLNode.Entry], _ kind: RuleMutation.Kind, _ change: String, _ line: Int, _ column: Int
        ) -> RuleMutation? {
            let mutant = YAMLNode(kind: .mapping(entries), line: node.line, column: node.column)
            return bundle.recompiled(rule, from: mutant).map {
                RuleMutation(
                    rule: rule.id, kind: kind, change: change,
                    place: RulePlace(file: rule.place.file, line: line, column: column), base: bundle, changed: $0,
                    readings: others.union(ReadingNeeds([$0])))
            }
        }
        let off = YAMLNode(
            kind: .scalar(YAMLScalar(text: "off", style: .singleQuoted)), line: node.line, column: node.column)
        let without =
            entries.filter { $0.key != "mode" }
            + [YAMLNode.Entry(key: "mode", keyLine: node.line, keyColumn: node.column, value: off)]
        let dropped = mutation(without, .drop, "the rule left out", node.line, node.column)
        return [dropped].compactMap(\.self)
            + NodeMutation.all(of: entries[match].value, isCaseless: rule.view != .raw).compactMap { changed in
                var entries = entries
                entries[match].value = changed.node
                return mutation(entries, changed.kind, changed.change, changed.line, changed.column)
            }
    }
}

/// A condition with one change somewhere in it.
private struct NodeMutation {
    var node: YAMLNode
    var kind: RuleMutation.Kind
    var change: String
    var line: Int
    var column: Int

    static func all(of node: YAMLNode, isCaseless: Bool) -> [NodeMutation] {
        switch node.kind {
        case .scalar: return []
        case .sequence(let items):
            return items.indices.flatMap { index in
                all(of: items[index], isCaseless: isCaseless).map { inner in
                    var items = items
                    items[index] = inner.node
                    return inner.placed(in: node, .sequence(items))
                }
            }
        case .mapping(let entries):
            return entries.indices.flatMap { index in
                entry(entries, index, isCaseless).map { $0.placed(in: node, $0.node.kind) }
            }
        }
    }

    /// The same change, with the node around it.
    private func placed(in outer: YAMLNode, _ kind: YAMLNode.Kind) -> NodeMutation {
        var mutation = self
        mutation.node = YAMLNode(kind: kind, line: outer.line, column: outer.column)
        return mutation
    }

    /// Mutations of one entry, each with the whole mapping as its node.
    private static func entry(_ entries: [YAMLNode.Entry], _ index: Int, _ isCaseless: Bool) -> [NodeMutation] {
        let entry = entries[index]
        func with(
            _ value: YAMLNode?, key: String? = nil, _ kind: RuleMutation.Kind, _ change: String,
            at place: YAMLNode? = nil
        ) -> NodeMutation {
            var entries = entries
            if let value { entries[index].value = value } else { entries.remove(at: index) }
            if let key { entries[index].key = key }
            return NodeMutation(
                node: YAMLNode(kind: .mapping(entries), line: 0, column: 0), kind: kind, change: change,
                line: place?.line ?? entry.keyLine, column: place?.column ?? entry.keyColumn)
        }
        switch entry.key {
        case "pcre":
            guard let scalar = entry.value.scalar else { return [] }
            return PatternMutation.all(of: scalar.text, isCaseless: isCaseless).map { mutation in
                var place = entry.value
                if let column = scalar.verbatimColumn { place.column = column + mutation.offset }
                let kind: RuleMutation.Kind = mutation.change.hasSuffix("left out") ? .loosen : .widen
                return with(string(mutation.source, like: entry.value), kind, mutation.change, at: place)
            }
        case "validate", "context":
            return [with(nil, .loosen, "\(entry.key) left out")] + inner(entry.value, with, isCaseless)
        case "within":
            guard case .int(let distance)? = entry.value.scalar?.value, distance < 1000 else { return [] }
            let wider = min(1000, distance * 4)
            return [
                with(string("\(wider)", like: entry.value, .plain), .widen, "within \(distance) widened to \(wider)")
            ]
        case "words":
            guard case .sequence(let items) = entry.value.kind else { return [] }
            let words = items.compactMap { $0.scalar?.text.split(separator: "\\E").joined(separator: "\\E\\\\E\\Q") }
            guard words.count == items.count, !words.isEmpty else { return [] }
            let pattern = words.map { "\\Q\($0)\\E" }.joined(separator: "|")
            return [with(string(pattern, like: entry.value), key: "pcre", .widen, "words also within other words")]
        case "all":
            guard case .sequence(let items) = entry.value.kind, items.count > 1 else { break }
            return items.indices.map { left in
                var rest = items
                let out = rest.remove(at: left)
                let node = YAMLNode(kind: .sequence(rest), line: entry.value.line, column: entry.value.column)
                return with(node, .loosen, "condition \(left + 1) of all left out", at: out)
            } + inner(entry.value, with, isCaseless)
        case "not": return []
        default: break
        }
        return inner(entry.value, with, isCaseless)
    }

    private static func inner(
        _ value: YAMLNode, _ with: (YAMLNode?, String?, RuleMutation.Kind, String, YAMLNode?) -> NodeMutation,
        _ isCaseless: Bool
    ) -> [NodeMutation] {
        all(of: value, isCaseless: isCaseless).map { inner in
            var mutation = with(inner.node, nil, inner.kind, inner.change, nil)
            (mutation.line, mutation.column) = (inner.line, inner.column)
            return mutation
        }
    }

    private static func string(
        _ text: String, like node: YAMLNode, _ style: YAMLScalar.Style = .singleQuoted
    ) -> YAMLNode {
        YAMLNode(kind: .scalar(YAMLScalar(text: text, style: style)), line: node.line, column: node.column)
    }
}
