package import GuardCore
internal import GuardYAML

/// Writes rule and case files in their canonical form: `guardctl fmt`. The values stay what they are (that is checked at
/// every file, by reading the result again), comments stay where they belong, a second run changes nothing.
package struct RuleFormatter {
    static let width = 120

    private let comments: FormatComments
    private var lines: [String] = []
    /// Keys are left in their order where an alias could come before its anchor.
    private let keepsOrder: Bool

    /// - Throws: where the file is no YAML of ours, or holds what cannot be kept.
    package static func format(_ bytes: [UInt8], file: String) throws(Diagnostics) -> [UInt8] {
        let before = try YAMLDocument.parse(bytes, file: file)
        let source = try YAMLSource.parse(bytes, file: file)
        guard let root = source.root else {
            // Only comments, or nothing.
            return bytes
        }
        let comments = try FormatComments(source, root, file: file)
        var formatter = RuleFormatter(comments: comments, keepsOrder: root.hasAnchor)
        let isList = if case .sequence = root.kind { true } else { false }
        formatter.writeDocument(root, isList ? .cases : .file)
        let out = Array((formatter.lines.joined(separator: "\n") + "\n").utf8)
        // What would change a meaning is not written.
        let after = try YAMLDocument.parse(out, file: file)
        guard isSame(before.root, after.root), try commentTexts(out, file) == commentTexts(bytes, file) else {
            throw Diagnostics([Diagnostic(file: file, "cannot be formatted without changing what it says")])
        }
        return out
    }

    private init(comments: FormatComments, keepsOrder: Bool) {
        (self.comments, self.keepsOrder) = (comments, keepsOrder)
    }

    private static func commentTexts(_ bytes: [UInt8], _ file: String) throws(Diagnostics) -> [String] {
        let source = try YAMLSource.parse(bytes, file: file)
        guard let root = source.root else { return [] }
        return FormatComments.find(source, root).map(\.text).sorted()
    }

    /// Equal values; the order of a mapping's keys means nothing to our readers.
    static func isSame(_ left: YAMLNode, _ right: YAMLNode) -> Bool {
        switch (left.kind, right.kind) {
        case (.scalar(let left), .scalar(let right)):
            if case .string = left.value { return left.value == right.value }
            return left.value == right.value && left.text == right.text || "\(left.value)" == "\(right.value)"
        case (.sequence(let left), .sequence(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { isSame($0, $1) }
        case (.mapping(let left), .mapping(let right)):
            guard left.count == right.count else { return false }
            let byKey = Dictionary(right.map { ($0.key, $0.value) }) { first, _ in first }
            return left.allSatisfy { entry in byKey[entry.key].map { isSame(entry.value, $0) } ?? false }
        default: return false
        }
    }

    // MARK: writing

    private mutating func writeDocument(_ root: YAMLSource.Node, _ layout: FormatLayout) {
        write(comments.head, indent: 0)
        if !comments.head.isEmpty { blank() }
        switch root.kind {
        case .mapping(let pairs, _) where !pairs.isEmpty: write(pairs, layout, indent: 0)
        case .sequence(let items, _) where !items.isEmpty: write(items, layout, indent: 0)
        default: lines.append(inline(root, layout, inFlow: false))
        }
        write(comments.tail, indent: 0)
    }

    private mutating func write(_ comments: [FormatComments.Comment], indent: Int) {
        for comment in comments {
            if comment.isBlankBefore { blank() }
            lines.append(String(repeating: " ", count: indent) + comment.text)
        }
    }

    private mutating func blank() {
        if let last = lines.last, !last.isEmpty { lines.append("") }
    }

    private func ordered(
        _ pairs: [(key: YAMLSource.Node, value: YAMLSource.Node)], _ layout: FormatLayout
    ) -> [(key: YAMLSource.Node, value: YAMLSource.Node)] {
        let (order, tail) = (layout.order, layout.tail)
        guard !keepsOrder, !order.isEmpty else { return pairs }
        func rank(_ key: String) -> Int {
            if let index = order.firstIndex(of: key) { return index }
            return tail.firstIndex(of: key).map { order.count + 1 + $0 } ?? order.count
        }
        return pairs.enumerated().sorted {
            (rank(Self.name($0.element.key)), $0.offset) < (rank(Self.name($1.element.key)), $1.offset)
        }.map(\.element)
    }

    private static func name(_ node: YAMLSource.Node) -> String {
        if case .scalar(let text, _) = node.kind { text } else { "" }
    }

    private mutating func write(
        _ pairs: [(key: YAMLSource.Node, value: YAMLSource.Node)], _ layout: FormatLayout, indent: Int,
        item: Int? = nil
    ) {
        for (number, pair) in ordered(pairs, layout).enumerated() {
            let notes = comments.of(pair.key.start)
            // What belongs before an item's first key, and before the key that the item began with, stands above the
            // hyphen already.
            if item == nil || number > 0 && pair.key.start != item {
                if notes.isBlankBefore, number > 0 { blank() }
                write(notes.before, indent: indent)
            }
            let name = Self.name(pair.key)
            let key =
                anchors(pair.key)
                + YAMLScalarText.text(
                    name, pair.key.style, isTagged: false, wantsQuotes: false, inFlow: false) + ":"
            write(pair.value, layout.value(of: name), head: key, indent: indent, note: notes.behind)
            write(notes.after, indent: indent)
        }
    }

    /// The next line is written behind `- `.
    private var startsItem: Bool { lines.last?.hasSuffix("-\u{0}") ?? false }

    private mutating func line(_ text: String, indent: Int) {
        if startsItem, let last = lines.last {
            lines[lines.count - 1] = String(last.dropLast()) + " " + text
        } else {
            lines.append(String(repeating: " ", count: indent) + text)
        }
    }

    private mutating func write(_ items: [YAMLSource.Node], _ layout: FormatLayout, indent: Int) {
        for (number, item) in items.enumerated() {
            let notes = comments.of(item.start)
            if number > 0, notes.isBlankBefore || layout.separatesItems && item.isCollection { blank() }
            if !startsItem {
                write(notes.before, indent: indent)
                if case .mapping(let pairs, _) = item.kind, let first = ordered(pairs, layout.item).first,
                    first.key.start != item.start
                {
                    write(comments.of(first.key.start).before, indent: indent)
                }
            }
            if item.isCollection, !fits(item, layout.item, indent + 2) || !item.anchorText.isEmpty {
                // What stood behind its brackets stands above, for no line of its own ends it.
                let isFlow = item.isFlow
                if isFlow, !startsItem, let behind = notes.behind {
                    lines.append(String(repeating: " ", count: indent) + behind)
                }
                // An inner list or mapping begins behind the hyphen.
                line("-\u{0}", indent: indent)
                if !item.anchorText.isEmpty {
                    line(item.anchorText, indent: indent)
                }
                write(block: item, layout.item, indent: indent + 2, item: item.start)
                if isFlow { write(notes.after, indent: indent) }
            } else {
                write(item, layout.item, head: "-", indent: indent, note: notes.behind)
                write(notes.after, indent: indent)
            }
        }
    }

    private mutating func write(
        block node: YAMLSource.Node, _ layout: FormatLayout, indent: Int, item: Int? = nil
    ) {
        switch node.kind {
        case .mapping(let pairs, _): write(pairs, layout, indent: indent, item: item)
        case .sequence(let items, _): write(items, layout, indent: indent)
        default: break
        }
    }

    /// A value behind `head`, which is a key with its colon or a hyphen.
    private mutating func write(
        _ node: YAMLSource.Node, _ layout: FormatLayout, head: String, indent: Int, note: String?
    ) {
        let behind = note.map { "  " + $0 } ?? ""
        if case .scalar(let text, let style) = node.kind, style == .literal || style == .folded,
            let block = blockScalar(text, style, indent: indent)
        {
            line(head + " " + anchors(node) + block[0] + behind, indent: indent)
            lines += block.dropFirst()
            return
        }
        if node.isCollection, !fits(node, layout, indent + head.unicodeScalars.count + 1) {
            line(head + (node.anchorText.isEmpty ? "" : " " + node.anchorText) + behind, indent: indent)
            write(block: node, layout, indent: indent + 2)
            return
        }
        let value = inline(node, layout, inFlow: false)
        line(value.isEmpty ? head + behind : head + " " + value + behind, indent: indent)
    }

    private func anchors(_ node: YAMLSource.Node) -> String { node.anchorText.isEmpty ? "" : node.anchorText + " " }

    /// Whether a collection is written in one line.
    private func fits(_ node: YAMLSource.Node, _ layout: FormatLayout, _ column: Int) -> Bool {
        let isFlow: Bool
        switch node.kind {
        case .sequence(let items, let flow):
            if items.isEmpty { return true }
            let areScalars = items.allSatisfy { !$0.isCollection }
            isFlow = flow || layout.isFlowWherePossible && areScalars
        case .mapping(let pairs, let flow):
            if pairs.isEmpty { return true }
            isFlow = flow
        default: return true
        }
        guard isFlow, !layout.isAlwaysBlock, !comments.areIn(node) else { return false }
        return column + inline(node, layout, inFlow: false).unicodeScalars.count <= Self.width
    }

    /// In one line.
    private func inline(_ node: YAMLSource.Node, _ layout: FormatLayout, inFlow: Bool) -> String {
        switch node.kind {
        case .alias(let name): return "*" + name
        case .scalar(let text, let style):
            return anchors(node)
                + YAMLScalarText.text(
                    text, style, isTagged: node.tag != nil, wantsQuotes: layout == .quoted, inFlow: inFlow)
        case .sequence(let items, _):
            let inner = items.map { inline($0, layout.item, inFlow: true) }
            return anchors(node) + "[" + inner.joined(separator: ", ") + "]"
        case .mapping(let pairs, _):
            let inner = ordered(pairs, layout).map { pair in
                let name = Self.name(pair.key)
                let value = inline(pair.value, layout.value(of: name), inFlow: true)
                let key = YAMLScalarText.text(name, pair.key.style, isTagged: false, wantsQuotes: false, inFlow: true)
                return anchors(pair.key) + (value.isEmpty ? "\(key):" : "\(key): \(value)")
            }
            return anchors(node) + "{" + inner.joined(separator: ", ") + "}"
        }
    }

    /// `|` or `>` with its lines; `nil`: it has to be quoted.
    private func blockScalar(_ text: String, _ style: YAMLScalar.Style, indent: Int) -> [String]? {
        var body = text
        var breaks = 0
        while body.hasSuffix("\n") {
            body.removeLast()
            breaks += 1
        }
        guard !body.isEmpty, !body.hasPrefix(" "), !body.hasPrefix("\n"), breaks <= 1,
            !YAMLScalarText.needsEscapes(body.replacing("\n", with: ""))
        else { return nil }
        let margin = String(repeating: " ", count: indent + 2)
        let mark = breaks == 0 ? "-" : ""
        if style == .folded {
            guard !body.contains("\n") else { return nil }
            let words = body.split(separator: " ", omittingEmptySubsequences: false)
            guard !words.contains(where: \.isEmpty) else { return nil }
            var lines = [">" + mark]
            var line = ""
            for word in words {
                if !line.isEmpty, margin.count + line.unicodeScalars.count + 1 + word.unicodeScalars.count > Self.width
                {
                    lines.append(margin + line)
                    line = ""
                }
                line += (line.isEmpty ? "" : " ") + word
            }
            return lines + [margin + line]
        }
        return ["|" + mark]
            + body.split(separator: "\n", omittingEmptySubsequences: false).map { $0.isEmpty ? "" : margin + $0 }
    }
}

extension YAMLSource.Node {
    var isCollection: Bool {
        switch kind {
        case .sequence, .mapping: true
        case .scalar, .alias: false
        }
    }

    var isFlow: Bool {
        switch kind {
        case .sequence(_, let isFlow), .mapping(_, let isFlow): isFlow
        case .scalar, .alias: false
        }
    }

    var style: YAMLScalar.Style {
        if case .scalar(_, let style) = kind { style } else { .plain }
    }

    var hasAnchor: Bool {
        if anchor != nil { return true }
        switch kind {
        case .scalar, .alias: return false
        case .sequence(let items, _): return items.contains(where: \.hasAnchor)
        case .mapping(let pairs, _): return pairs.contains { $0.key.hasAnchor || $0.value.hasAnchor }
        }
    }

    var anchorText: String { anchor.map { "&" + $0 } ?? "" }
}
