/// A pattern as a nondeterministic automaton without empty moves: a state is a place that takes one scalar of its set,
/// an edge says what may take the next one.
struct PatternAutomaton: Sendable {
    enum Purpose: Sendable {
        /// Bounds of eight or more count as none, so that what loops in practice is a loop here; lookaheads are
        /// branches that lead nowhere.
        case ambiguity
        /// Bounds are kept; assertions are dropped, so the language is the pattern's or larger.
        case language
    }

    struct Edge: Sendable, Hashable {
        var to: Int
        /// There is more than one way through the pattern to get there: `(a*)*`.
        var isDoubled: Bool
    }

    struct State: Sendable {
        var set: ScalarSet
        var edges: [Edge] = []
        /// A match may end behind this one.
        var isLast = false
    }

    private(set) var states: [State] = []
    private(set) var start: [Edge] = []

    static let statesMax = 3000
    private static let repeatsMax = 8

    /// `nil` where it would be too large.
    init?(_ root: PatternNode, _ purpose: Purpose) {
        var builder = Builder(purpose: purpose)
        let last = builder.add(.last)
        builder.dead = builder.add(.dead)
        guard let entry = builder.compile(root, last) else { return nil }
        var numbers = [Int](repeating: -1, count: builder.operations.count)
        for (index, operation) in builder.operations.enumerated() {
            guard case .take(let set, _) = operation else { continue }
            numbers[index] = states.count
            states.append(State(set: set))
        }
        guard states.count <= Self.statesMax else { return nil }
        for (index, operation) in builder.operations.enumerated() {
            guard case .take(_, let next) = operation else { continue }
            let (edges, isLast) = builder.closure(next, numbers)
            states[numbers[index]].edges = edges
            states[numbers[index]].isLast = isLast
        }
        start = builder.closure(entry, numbers).edges
    }

    /// The states with a new first one that takes anything and stays: the search for a place to begin.
    func searching() -> PatternAutomaton {
        var copy = self
        func shifted(_ edges: [Edge]) -> [Edge] { edges.map { Edge(to: $0.to + 1, isDoubled: $0.isDoubled) } }
        copy.states = [State(set: .all)] + states.map { State(set: $0.set, edges: shifted($0.edges), isLast: $0.isLast) }
        copy.start = [Edge(to: 0, isDoubled: false)] + shifted(start)
        copy.states[0].edges = copy.start
        return copy
    }

    private struct Builder {
        enum Operation {
            case take(ScalarSet, next: Int)
            case split([Int])
            case last
            case dead
        }

        var purpose: Purpose
        var operations: [Operation] = []
        var dead = 0

        mutating func add(_ operation: Operation) -> Int {
            operations.append(operation)
            return operations.count - 1
        }

        /// The operation that `node` begins with where `next` follows it; `nil`: too large.
        mutating func compile(_ node: PatternNode, _ next: Int) -> Int? {
            guard operations.count < 4 * PatternAutomaton.statesMax else { return nil }
            switch node {
            case .characters(let set): return set.isEmpty ? dead : add(.take(set, next: next))
            case .sequence(let nodes):
                var next = next
                for node in nodes.reversed() {
                    guard let entry = compile(node, next) else { return nil }
                    next = entry
                }
                return next
            case .choice(let nodes):
                var entries: [Int] = []
                for node in nodes {
                    guard let entry = compile(node, next) else { return nil }
                    entries.append(entry)
                }
                return add(.split(entries))
            case .repetition(let node, let low, let high): return compile(node, low, high, next)
            case .atomic(let node): return compile(node, next)
            case .look(let node, let isAhead, _):
                guard isAhead, purpose == .ambiguity else { return next }
                guard let branch = compile(node, dead) else { return nil }
                return add(.split([next, branch]))
            case .anchor: return next
            case .backreference:
                return purpose == .ambiguity ? next : compile(.characters(.all), 0, nil, next)
            }
        }

        private mutating func compile(_ node: PatternNode, _ low: Int, _ high: Int?, _ next: Int) -> Int? {
            var entry = next
            let isOpen = high.map { purpose == .ambiguity && $0 - low >= PatternAutomaton.repeatsMax } ?? true
            if isOpen {
                let loop = add(.split([]))
                guard let body = compile(node, loop) else { return nil }
                operations[loop] = .split([body, next])
                entry = loop
            } else {
                for _ in low..<(high ?? low) {
                    guard let body = compile(node, entry) else { return nil }
                    // Each further one only behind this one.
                    entry = add(.split([body, next]))
                }
            }
            for _ in 0..<low {
                guard let body = compile(node, entry) else { return nil }
                entry = body
            }
            return entry
        }

        private static let stepsMax = 4000

        /// The places that can take the next scalar, and whether more than one path leads to each. A loop may be gone
        /// round once without taking anything: `(a*)*` comes to its `a` by the inner loop and by the outer one.
        func closure(_ entry: Int, _ numbers: [Int]) -> (edges: [Edge], isLast: Bool) {
            var counts: [Int: Int] = [:]
            var order: [Int] = []
            var isLast = false
            var onPath: [Int: Int] = [:]
            var stack: [(operation: Int, isLeaving: Bool)] = [(entry, false)]
            var steps = 0
            var visited: Set<Int> = []
            while let (index, isLeaving) = stack.popLast() {
                if isLeaving {
                    onPath[index, default: 1] -= 1
                    continue
                }
                steps += 1
                // Too many paths to follow each: every operation once, and nothing is known of doubles.
                if steps > Self.stepsMax, !visited.insert(index).inserted { continue }
                visited.insert(index)
                switch operations[index] {
                case .take:
                    if counts[numbers[index]] == nil { order.append(numbers[index]) }
                    counts[numbers[index], default: 0] += 1
                case .split(let entries):
                    guard onPath[index, default: 0] < 2 else { continue }
                    onPath[index, default: 0] += 1
                    stack.append((index, true))
                    for entry in entries.reversed() { stack.append((entry, false)) }
                case .last: isLast = true
                case .dead: break
                }
            }
            return (order.map { Edge(to: $0, isDoubled: counts[$0] ?? 0 > 1) }, isLast)
        }
    }
}
