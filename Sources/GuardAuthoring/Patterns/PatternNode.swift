/// A pattern as a tree. What a node means is PCRE2's; positions are dropped.
indirect enum PatternNode: Sendable, Hashable {
    /// One scalar of the set.
    case characters(ScalarSet)
    case sequence([PatternNode])
    case choice([PatternNode])
    /// `high` nil: no upper bound.
    case repetition(PatternNode, low: Int, high: Int?)
    /// `(?>…)` and possessive repeats: no way back into it.
    case atomic(PatternNode)
    case look(PatternNode, isAhead: Bool, isNegative: Bool)
    case anchor(Anchor)
    /// Some text that a group matched, of at most so many bytes; `nil`: no bound is known.
    case backreference(bytesMax: Int?)

    enum Anchor: Sendable, Hashable {
        /// `\A`, and `^` without `m`.
        case textStart
        /// `\z`, `\Z`, and `$` without `m`.
        case textEnd
        case lineStart, lineEnd
        case wordBoundary, notWordBoundary
        /// `\G`, `\K`
        case search
    }

    static let empty = PatternNode.sequence([])
}

/// A pattern that was read.
struct ParsedPattern: Sendable {
    var root: PatternNode
    /// The sets are PCRE2's, no larger: no script, binary property or huge caseless class had to be guessed.
    var setsAreExact = true

    /// The tree is the whole language: no assertion, backreference or atomic group narrows it.
    var isRegular: Bool { setsAreExact && root.isRegular }
}

/// Why a pattern is not analysed. Never a claim that it is good or bad.
struct PatternNotAnalysed: Error, Sendable, Hashable {
    var reason: String
    /// In Unicode scalars of the source.
    var offset: Int
}

extension PatternNode {
    var isRegular: Bool {
        switch self {
        case .characters: true
        case .sequence(let nodes), .choice(let nodes): nodes.allSatisfy(\.isRegular)
        case .repetition(let node, _, _): node.isRegular
        case .atomic, .look, .anchor, .backreference: false
        }
    }

    /// Bytes of UTF-8 that a match can reach over, what a lookahead reads behind it included; `nil`: no bound.
    var bytesMax: Int? {
        switch self {
        case .characters(let set): return set.bytesMax
        case .sequence(let nodes):
            var sum = 0
            var reach = 0
            for node in nodes {
                guard let bytes = node.bytesMax else { return nil }
                // A lookahead reads from here and takes nothing.
                if case .look(_, true, _) = node { reach = max(reach, sum + bytes) } else { sum += bytes }
                if sum > 1 << 40 { return nil }
            }
            return max(sum, reach)
        case .choice(let nodes):
            var most = 0
            for node in nodes {
                guard let bytes = node.bytesMax else { return nil }
                most = max(most, bytes)
            }
            return most
        case .repetition(let node, _, let high):
            if high == 0 { return 0 }
            guard let bytes = node.bytesMax else { return nil }
            if bytes == 0 { return 0 }
            guard let high else { return nil }
            let (product, overflow) = bytes.multipliedReportingOverflow(by: high)
            return overflow ? nil : product
        case .atomic(let node): return node.bytesMax
        case .look(let node, let isAhead, _): return isAhead ? node.bytesMax : 0
        case .anchor(let anchor):
            switch anchor {
            // Whether a word or line ends here is known with the next character.
            case .wordBoundary, .notWordBoundary, .textEnd, .lineEnd: return 4
            case .textStart, .lineStart, .search: return 0
            }
        case .backreference(let bytes): return bytes
        }
    }

    /// Scalars that every match has at least.
    var scalarsMin: Int {
        switch self {
        case .characters: 1
        case .sequence(let nodes): nodes.reduce(0) { min(1 << 30, $0 + $1.scalarsMin) }
        case .choice(let nodes): nodes.map(\.scalarsMin).min() ?? 0
        case .repetition(let node, let low, _): min(1 << 30, node.scalarsMin * min(low, 1 << 20))
        case .atomic(let node): node.scalarsMin
        case .look, .anchor, .backreference: 0
        }
    }

    /// No text can match: a class without members, or an anchor where it cannot hold.
    var isImpossible: Bool { Self.look(self, isBehindText: false).isImpossible }

    private struct Possibility {
        var isImpossible = false
        /// Every way through it takes a character.
        var takes = false
        /// Every way through it asks for the text's end.
        var ends = false

        static let impossible = Possibility(isImpossible: true, takes: true, ends: true)
    }

    /// - Parameter isBehindText: a character was taken before, in every case.
    private static func look(_ node: PatternNode, isBehindText: Bool) -> Possibility {
        switch node {
        case .characters(let set): return Possibility(isImpossible: set.isEmpty, takes: true)
        case .sequence(let nodes): return look(sequence: nodes, isBehindText)
        case .choice(let nodes):
            let parts = nodes.map { look($0, isBehindText: isBehindText) }.filter { !$0.isImpossible }
            guard !parts.isEmpty else { return .impossible }
            return Possibility(takes: parts.allSatisfy(\.takes), ends: parts.allSatisfy(\.ends))
        case .repetition(let inner, let low, _):
            return low > 0 ? look(inner, isBehindText: isBehindText) : Possibility()
        case .atomic(let inner): return look(inner, isBehindText: isBehindText)
        case .look(let inner, let isAhead, let isNegative):
            guard !isNegative, isAhead else { return Possibility() }
            return Possibility(isImpossible: look(inner, isBehindText: isBehindText).isImpossible)
        case .anchor(.textStart): return Possibility(isImpossible: isBehindText)
        case .anchor(.textEnd): return Possibility(ends: true)
        case .anchor, .backreference: return Possibility()
        }
    }

    private static func look(sequence nodes: [PatternNode], _ isBehindText: Bool) -> Possibility {
        var all = Possibility()
        for (index, node) in nodes.enumerated() {
            let part = look(node, isBehindText: isBehindText || all.takes)
            if part.isImpossible { return .impossible }
            if case .characters(let set) = node {
                // Behind `$` only a last newline can follow.
                if all.ends, set.intersection(.notNewline) == set { return .impossible }
                if index > 0, case .look(.characters(let refused), true, true) = nodes[index - 1],
                    set.intersection(refused) == set
                {
                    return .impossible
                }
            }
            all.takes = all.takes || part.takes
            all.ends = all.ends || part.ends
        }
        return all
    }
}
