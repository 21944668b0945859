internal import GuardCore
internal import GuardYAML

/// The comments of a file and what each belongs to. libyaml drops them, so they are found in the text between the nodes.
///
/// A comment at a line's end belongs to what ends or begins on that line, one on a line of its own to the entry that
/// follows; where that stands further out than the comment, to the entry before it.
struct FormatComments {
    struct Comment {
        /// With its `#`, without trailing blanks.
        var text: String
        var start: Int
        var line: Int
        var column: Int
        var isOwnLine: Bool
        var isBlankBefore: Bool
    }

    /// What stands around one entry of a mapping or list.
    struct Notes {
        var before: [Comment] = []
        /// At the end of its (first) line.
        var behind: String?
        /// On lines of their own behind it.
        var after: [Comment] = []
        var isBlankBefore = false
    }

    /// Before everything, where a blank line parts it from the first entry.
    private(set) var head: [Comment] = []
    private(set) var tail: [Comment] = []
    /// By the offset of the entry's key or item.
    private var notes: [Int: Notes] = [:]
    private var starts: [Int] = []

    func of(_ start: Int) -> Notes { notes[start] ?? Notes() }

    /// A comment stands inside of the collection.
    func areIn(_ node: YAMLSource.Node) -> Bool { starts.contains { $0 > node.start && $0 < node.end } }

    private struct Entry {
        var start: Int
        var end: Int
        var line: Int
        var endLine: Int
        var column: Int
        /// The value is a block collection: the entry's first line ends behind its key.
        var isHeader: Bool
    }

    init(_ source: YAMLSource, _ root: YAMLSource.Node, file: String) throws(Diagnostics) {
        let places = LinePlaces(source.scalars)
        let comments = Self.find(source, root)
        starts = comments.map(\.start)
        var entries: [Entry] = []
        var flows: [YAMLSource.Node] = []
        Self.collect(root, places, &entries, &flows)
        entries.sort { ($0.start, -$0.end) < ($1.start, -$1.end) }
        if let problem = Self.unkept(source, root, places) {
            throw Diagnostics([Diagnostic(file: file, line: problem.line, column: problem.column, problem.message)])
        }
        for entry in entries where notes[entry.start] == nil {
            notes[entry.start] = Notes(isBlankBefore: places.isBlank(before: entry.line))
        }
        for comment in comments {
            if !comment.isOwnLine, let start = Self.sameLine(comment, entries, flows) {
                if notes[start]?.behind == nil {
                    notes[start]?.behind = comment.text
                    continue
                }
            }
            let inside = flows.filter { $0.start < comment.start && comment.start < $0.end }.max { $0.start < $1.start }
            let near = entries.filter { entry in
                inside.map { entry.start > $0.start && entry.end <= $0.end } ?? true
            }
            let next = near.first { $0.start > comment.start }
            let before = near.last { $0.start < comment.start && $0.column <= comment.column }
            if let before, let next, inside == nil, next.column < comment.column, before.column > next.column {
                notes[before.start]?.after.append(comment)
            } else if let next {
                notes[next.start]?.before.append(comment)
            } else if inside != nil, let last = near.last {
                notes[last.start]?.after.append(comment)
            } else if inside != nil {
                throw Diagnostics([
                    Diagnostic(
                        file: file, line: comment.line, column: comment.column,
                        "a comment inside of an empty list or mapping cannot be kept")
                ])
            } else if let before, comment.column > 1 {
                notes[before.start]?.after.append(comment)
            } else {
                tail.append(comment)
            }
        }
        // A comment above the first entry that a blank line parts from it belongs to the file.
        if let first = entries.first, notes[first.start]?.isBlankBefore == true,
            let own = notes[first.start]?.before, !own.isEmpty
        {
            head = own
            notes[first.start]?.before = []
        }
        if let first = entries.first { notes[first.start]?.isBlankBefore = false }
    }

    /// The blank line stands above the first of the comments that belong to an entry, else above itself.
    private static func collect(
        _ node: YAMLSource.Node, _ places: LinePlaces, _ entries: inout [Entry], _ flows: inout [YAMLSource.Node]
    ) {
        func add(_ start: Int, _ end: Int, _ value: YAMLSource.Node) {
            let place = places.place(start)
            var isHeader = false
            switch value.kind {
            case .mapping(let pairs, let isFlow): isHeader = !isFlow && !pairs.isEmpty && start != value.start
            case .sequence(let items, let isFlow): isHeader = !isFlow && !items.isEmpty && start != value.start
            case .scalar(_, let style): isHeader = style == .literal || style == .folded
            case .alias: break
            }
            entries.append(
                Entry(
                    start: start, end: end, line: place.line, endLine: places.place(max(start, end - 1)).line,
                    column: place.column, isHeader: isHeader))
        }
        switch node.kind {
        case .scalar, .alias: break
        case .sequence(let items, let isFlow):
            if isFlow { flows.append(node) }
            for item in items {
                add(item.start, item.end, item)
                collect(item, places, &entries, &flows)
            }
        case .mapping(let pairs, let isFlow):
            if isFlow { flows.append(node) }
            for pair in pairs {
                add(pair.key.start, max(pair.key.end, pair.value.end), pair.value)
                collect(pair.value, places, &entries, &flows)
            }
        }
    }

    /// The entry that a comment at a line's end belongs to.
    private static func sameLine(_ comment: Comment, _ entries: [Entry], _ flows: [YAMLSource.Node]) -> Int? {
        // What stands in brackets that are closed has no comment behind them.
        let closed = flows.filter { $0.end <= comment.start }
        let before = entries.filter { entry in
            entry.start < comment.start && !closed.contains { $0.start < entry.start && entry.start < $0.end }
        }
        let ended = before.filter { $0.endLine == comment.line && $0.end <= comment.start }
        // The outermost that begins on the line, else the outermost that ends there.
        if let entry = ended.first(where: { $0.line == comment.line }) ?? ended.first { return entry.start }
        return before.last { $0.line == comment.line && $0.isHeader }?.start
    }

    /// Every comment of the text, in order.
    static func find(_ source: YAMLSource, _ root: YAMLSource.Node) -> [Comment] {
        let places = LinePlaces(source.scalars)
        var spans: [Range<Int>] = []
        Self.spans(root, source.scalars, places, &spans)
        spans.sort { $0.lowerBound < $1.lowerBound }
        var comments: [Comment] = []
        var index = 0
        var span = 0
        let text = source.scalars
        while index < text.count {
            while span < spans.count, spans[span].upperBound <= index { span += 1 }
            if span < spans.count, spans[span].contains(index) {
                index = spans[span].upperBound
                continue
            }
            let isStart = index == 0 || text[index - 1].properties.isWhitespace
            guard text[index] == "#", isStart else {
                index += 1
                continue
            }
            let start = index
            while index < text.count, text[index] != "\n", text[index] != "\r" { index += 1 }
            var line = String.UnicodeScalarView()
            line.append(contentsOf: text[start..<index])
            while let last = line.last, last.properties.isWhitespace { line.removeLast() }
            let place = places.place(start)
            let isOwnLine = text[(start - place.column + 1)..<start].allSatisfy { $0 == " " || $0 == "\t" }
            comments.append(
                Comment(
                    text: String(line), start: start, line: place.line, column: place.column, isOwnLine: isOwnLine,
                    isBlankBefore: isOwnLine && places.isBlank(before: place.line)))
        }
        return comments
    }

    /// Where scalars stand: a `#` in there is no comment.
    private static func spans(
        _ node: YAMLSource.Node, _ text: [Unicode.Scalar], _ places: LinePlaces, _ spans: inout [Range<Int>]
    ) {
        switch node.kind {
        case .alias: spans.append(node.start..<node.end)
        case .scalar(_, .literal), .scalar(_, .folded):
            spans.append(node.start..<places.blockEnd(node.start, text))
        case .scalar: if node.end > node.start { spans.append(node.start..<node.end) }
        case .sequence(let items, _): for item in items { Self.spans(item, text, places, &spans) }
        case .mapping(let pairs, _):
            for pair in pairs {
                Self.spans(pair.key, text, places, &spans)
                Self.spans(pair.value, text, places, &spans)
            }
        }
    }

    /// What the printer would lose: a comment behind `|`, and `? ` keys are no part of our files.
    private static func unkept(
        _ source: YAMLSource, _ node: YAMLSource.Node, _ places: LinePlaces
    ) -> (line: Int, column: Int, message: String)? {
        switch node.kind {
        case .scalar(_, .literal), .scalar(_, .folded):
            var index = node.start
            while index < source.scalars.count, source.scalars[index] != "\n" {
                if source.scalars[index] == "#" {
                    let place = places.place(index)
                    return (
                        place.line, place.column, "a comment behind '|' or '>' cannot be kept; put it on a line above"
                    )
                }
                index += 1
            }
            return nil
        case .scalar, .alias: return nil
        case .sequence(let items, _): return items.lazy.compactMap { unkept(source, $0, places) }.first
        case .mapping(let pairs, _): return pairs.lazy.compactMap { unkept(source, $0.value, places) }.first
        }
    }
}

/// Lines of a text.
struct LinePlaces {
    private let lineStarts: [Int]
    private let blanks: Set<Int>
    private let count: Int

    init(_ text: [Unicode.Scalar]) {
        var starts = [0]
        for (index, scalar) in text.enumerated() where scalar == "\n" { starts.append(index + 1) }
        var blanks: Set<Int> = []
        for (number, start) in starts.enumerated() {
            let end = number + 1 < starts.count ? starts[number + 1] : text.count
            if text[start..<end].allSatisfy(\.properties.isWhitespace) { blanks.insert(number + 1) }
        }
        (lineStarts, self.blanks, count) = (starts, blanks, text.count)
    }

    /// 1-based.
    func place(_ offset: Int) -> (line: Int, column: Int) {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return (low + 1, offset - lineStarts[low] + 1)
    }

    func isBlank(before line: Int) -> Bool { blanks.contains(line - 1) }

    /// The end of a block scalar whose `|` stands at `start`: its lines are blank or indented as far as its first one.
    func blockEnd(_ start: Int, _ text: [Unicode.Scalar]) -> Int {
        let first = place(start).line
        var margin: Int?
        var number = first
        while number < lineStarts.count {
            let begin = lineStarts[number]
            let end = number + 1 < lineStarts.count ? lineStarts[number + 1] : count
            if !blanks.contains(number + 1) {
                let indent = text[begin..<end].prefix { $0 == " " }.count
                let least = margin ?? indent
                // A first line without indentation belongs to what follows.
                let header = text[lineStarts[first - 1]..<start].prefix { $0 == " " }.count
                if indent < least || margin == nil && indent <= header { return begin }
                margin = least
            }
            number += 1
        }
        return count
    }
}
