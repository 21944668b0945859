/// Looks for what makes a backtracking search expensive: a string that a loop can read in two ways (exponential
/// ambiguity), or that two loops can share between them (polynomial ambiguity, whose degree is the longest chain of such
/// loops). The search for a place to begin counts as the first loop, so a pattern that is linear at each start and
/// quadratic over all starts is found too.
///
/// Conditions EDA and IDA of Weber and Seidl (1991) as used by Weideman et al., "Analyzing Matching Time Behavior of
/// Backtracking Regular Expression Matchers Using Ambiguity of NFA" (2016). It is bounded in work and forgets assertions:
/// what it gives are strings to try (`CostProof` counts what they cost), not verdicts.
struct Ambiguity: Sendable {
    struct Candidate: Sendable, Hashable {
        var prefix: [UInt32]
        var pump: [UInt32]
        var isExponential: Bool
    }

    /// Best first.
    private(set) var candidates: [Candidate] = []
    private(set) var hasExponential = false
    /// Loops in the longest chain, the search for a start among them: steps may grow with this power of the length.
    private(set) var degree = 1

    private let automaton: PatternAutomaton
    private let alphabet: Alphabet
    private let classes: [Alphabet.ClassSet]
    /// Numbers of strongly connected components, in reverse topological order.
    private var component: [Int] = []
    private var members: [[Int]] = []
    private var work = 0

    private static let workMax = 150_000
    private static let candidatesMax = 24

    /// `nil` where the automaton is too large or has too many classes of characters.
    init?(_ root: PatternNode) {
        guard let automaton = PatternAutomaton(root, .ambiguity)?.searching(),
            let alphabet = Alphabet(automaton.states.map(\.set))
        else { return nil }
        self.automaton = automaton
        self.alphabet = alphabet
        classes = automaton.states.map { alphabet.classes(of: $0.set) }
        findComponents()
        let loops = members.indices.filter { isLoop($0) }
        for loop in loops where members[loop] != [0] { findExponential(loop) }
        findPolynomial(loops)
        var seen: Set<Candidate> = []
        candidates = candidates.filter { seen.insert($0).inserted }
        candidates = Array(candidates.prefix(Self.candidatesMax))
    }

    private func isLoop(_ number: Int) -> Bool {
        members[number].count > 1
            || members[number].contains { state in automaton.states[state].edges.contains { $0.to == state } }
    }

    /// Tarjan's algorithm without recursion.
    private mutating func findComponents() {
        let count = automaton.states.count
        component = [Int](repeating: -1, count: count)
        var index = [Int](repeating: -1, count: count)
        var low = [Int](repeating: 0, count: count)
        var stack: [Int] = []
        var next = 0
        for root in 0..<count where index[root] < 0 {
            var calls: [(state: Int, edge: Int)] = [(root, 0)]
            while let (state, edge) = calls.last {
                if edge == 0 {
                    index[state] = next
                    low[state] = next
                    next += 1
                    stack.append(state)
                }
                let edges = automaton.states[state].edges
                if edge < edges.count {
                    calls[calls.count - 1].edge += 1
                    let to = edges[edge].to
                    if index[to] < 0 {
                        calls.append((to, 0))
                    } else if component[to] < 0 {
                        low[state] = min(low[state], index[to])
                    }
                    continue
                }
                calls.removeLast()
                if let parent = calls.last?.state { low[parent] = min(low[parent], low[state]) }
                guard low[state] == index[state] else { continue }
                var found: [Int] = []
                while let top = stack.popLast() {
                    component[top] = members.count
                    found.append(top)
                    if top == state { break }
                }
                members.append(found)
            }
        }
    }

    // MARK: exponential

    private mutating func findExponential(_ number: Int) {
        let loop = members[number]
        guard loop.count <= 96 else { return }
        let inside = Set(loop)
        for state in loop {
            for edge in automaton.states[state].edges where edge.isDoubled && inside.contains(edge.to) {
                guard let back = path([edge.to], to: state, within: inside) else { continue }
                hasExponential = true
                add([alphabet.sample(of: classes[state])] + back, at: state, isExponential: true)
                return
            }
        }
        for state in loop {
            guard work < Self.workMax else { return }
            guard let pump = product([state, state], [inside, inside], leave: true) else { continue }
            hasExponential = true
            add(pump, at: state, isExponential: true)
            return
        }
    }

    // MARK: polynomial

    private mutating func findPolynomial(_ loops: [Int]) {
        // By component: the degree of the longest chain that ends there.
        var chain: [Int: Int] = [:]
        var found: [(degree: Int, pump: [UInt32], at: Int)] = []
        // Components come in reverse topological order, so walking down the numbers goes along the edges.
        let ordered = loops.sorted(by: >)
        for (position, from) in ordered.enumerated() {
            let length = chain[from, default: members[from] == [0] ? 1 : 0]
            for to in ordered[(position + 1)...] {
                guard work < Self.workMax else { break }
                guard let (pump, state) = shared(from, to) else { continue }
                let base = max(length, 1)
                chain[to] = max(chain[to] ?? 0, base + 1)
                found.append((base + 1, pump, state))
            }
        }
        degree = max(1, chain.values.max() ?? 1)
        for entry in found.sorted(by: { $0.degree > $1.degree }).prefix(Self.candidatesMax) {
            add(entry.pump, at: entry.at, isExponential: false)
        }
    }

    /// A string that leads round both loops and from the one to the other.
    private mutating func shared(_ from: Int, _ to: Int) -> (pump: [UInt32], at: Int)? {
        let (first, last) = (Set(members[from]), Set(members[to]))
        for p in members[from].sorted().prefix(3) {
            for q in members[to].sorted().prefix(3) {
                if let pump = product([p, p, q], [first, nil, last], goal: [p, q, q]) { return (pump, p) }
            }
        }
        return nil
    }

    /// The shortest string by which all `start` states move in step to `goal`, each within its set of states. With
    /// `leave`, two copies of one state that part on the way and meet again at it.
    private mutating func product(
        _ start: [Int], _ within: [Set<Int>?], goal: [Int]? = nil, leave: Bool = false
    ) -> [UInt32]? {
        struct Node: Hashable {
            var states: [Int]
            var hasParted: Bool
        }
        let goalNode = Node(states: goal ?? start, hasParted: leave)
        var parents: [Node: (Node, UInt32)] = [:]
        var queue = [Node(states: start, hasParted: false)]
        var head = 0
        var seen: Set<Node> = Set(queue)
        while head < queue.count, seen.count < 3000, work < Self.workMax {
            let node = queue[head]
            head += 1
            var common = classes[node.states[0]]
            for state in node.states.dropFirst() { common = common.intersection(classes[state]) }
            if common.isEmpty { continue }
            let label = alphabet.sample(of: common)
            for states in moves(node.states, within) {
                work += 1
                let parted = node.hasParted || leave && states[0] != states[1]
                let next = Node(states: states, hasParted: parted)
                if next == goalNode {
                    var text = [label]
                    var at = node
                    while let (before, label) = parents[at] {
                        text.append(label)
                        at = before
                    }
                    return text.reversed()
                }
                guard seen.insert(next).inserted else { continue }
                parents[next] = (node, label)
                queue.append(next)
            }
        }
        return nil
    }

    private func moves(_ states: [Int], _ within: [Set<Int>?]) -> [[Int]] {
        var result: [[Int]] = [[]]
        for (position, state) in states.enumerated() {
            var targets = automaton.states[state].edges.map(\.to)
            if let inside = within[position] { targets = targets.filter(inside.contains) }
            result = result.flatMap { head in targets.map { head + [$0] } }
            if result.count > 20_000 { return [] }
        }
        return result
    }

    // MARK: strings

    /// What is read from one of `from` (its own character included) until `to` is reached.
    private func path(_ from: [Int], to: Int, within: Set<Int>? = nil) -> [UInt32]? {
        var parents: [Int: Int] = [:]
        var queue = from
        var seen = Set(from)
        var head = 0
        while head < queue.count {
            let state = queue[head]
            head += 1
            if state == to {
                var text: [UInt32] = []
                var at = state
                while let parent = parents[at] {
                    text.append(alphabet.sample(of: classes[parent]))
                    at = parent
                }
                return text.reversed()
            }
            for edge in automaton.states[state].edges where within?.contains(edge.to) ?? true {
                guard seen.insert(edge.to).inserted else { continue }
                parents[edge.to] = state
                queue.append(edge.to)
            }
        }
        return nil
    }

    /// A shortest text that the automaton takes.
    var shortestMatch: [UInt32]? {
        let starts = automaton.start.map(\.to).filter { $0 != 0 }
        var parents: [Int: Int] = [:]
        var queue = starts
        var seen = Set(starts)
        var head = 0
        while head < queue.count {
            let state = queue[head]
            head += 1
            if automaton.states[state].isLast {
                var text = [alphabet.sample(of: classes[state])]
                var at = state
                while let parent = parents[at] {
                    text.append(alphabet.sample(of: classes[parent]))
                    at = parent
                }
                return text.reversed()
            }
            for edge in automaton.states[state].edges where seen.insert(edge.to).inserted {
                parents[edge.to] = state
                queue.append(edge.to)
            }
        }
        return nil
    }

    private mutating func add(_ pump: [UInt32], at state: Int, isExponential: Bool) {
        let starts = automaton.start.map(\.to).filter { $0 != 0 }
        let prefix = state == 0 ? [] : path(starts, to: state) ?? []
        candidates.append(Candidate(prefix: prefix, pump: pump, isExponential: isExponential))
    }
}
