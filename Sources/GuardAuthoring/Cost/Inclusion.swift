/// Whether every text with a match of one pattern has one of another: L(B) ⊆ Σ* L(A) Σ*, by walking B's automaton and
/// the subsets of A's searching automaton together.
enum Inclusion {
    enum Answer: Sendable, Hashable {
        case included
        /// A match of B in which A matches nowhere. Only a real one where B's tree is regular.
        case counterexample([UInt32])
        /// Too large, or A has what an automaton cannot say.
        case undecided
    }

    private static let pairsMax = 20_000

    /// - Parameters:
    ///   - inner: B. Its assertions are dropped, which makes its language larger: `included` stays true.
    ///   - outer: A, which must be regular.
    static func decide(_ inner: ParsedPattern, within outer: ParsedPattern) -> Answer {
        guard outer.isRegular, let b = PatternAutomaton(inner.root, .language),
            let a = PatternAutomaton(outer.root, .language),
            let alphabet = Alphabet(a.states.map(\.set) + b.states.map(\.set))
        else { return .undecided }
        let aClasses = a.states.map { alphabet.classes(of: $0.set) }
        let bClasses = b.states.map { alphabet.classes(of: $0.set) }
        let aStart = a.start.map(\.to)

        struct Pair: Hashable {
            var b: Int
            /// States of A that may take the next character; a match may also begin there.
            var a: Set<Int>
        }
        var parents: [Pair: (Pair, UInt32)] = [:]
        var queue = b.start.map { Pair(b: $0.to, a: Set(aStart)) }
        var seen = Set(queue)
        var head = 0
        while head < queue.count {
            guard queue.count <= pairsMax else { return .undecided }
            let pair = queue[head]
            head += 1
            for number in alphabet.samples.indices where bClasses[pair.b].contains(number) {
                var next = Set(aStart)
                var isMatched = false
                for state in pair.a where aClasses[state].contains(number) {
                    if a.states[state].isLast { isMatched = true }
                    for edge in a.states[state].edges { next.insert(edge.to) }
                }
                if isMatched { continue }
                if b.states[pair.b].isLast {
                    var text = [alphabet.samples[number]]
                    var at = pair
                    while let (before, label) = parents[at] {
                        text.append(label)
                        at = before
                    }
                    return .counterexample(text.reversed())
                }
                for edge in b.states[pair.b].edges {
                    let target = Pair(b: edge.to, a: next)
                    guard seen.insert(target).inserted else { continue }
                    parents[target] = (pair, alphabet.samples[number])
                    queue.append(target)
                }
            }
        }
        return .included
    }
}
