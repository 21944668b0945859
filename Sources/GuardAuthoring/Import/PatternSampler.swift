/// Makes texts that a pattern may match, for generated tests. What assertions want is not looked at: who uses a text
/// tries first whether it matches.
struct PatternSampler<Random: RandomNumberGenerator> {
    var random: Random
    private static var scalarsMax: Int { 2000 }

    init(random: Random) { self.random = random }

    mutating func text(_ node: PatternNode) -> String {
        var out = String.UnicodeScalarView()
        append(node, to: &out)
        return String(out)
    }

    private mutating func append(_ node: PatternNode, to out: inout String.UnicodeScalarView) {
        guard out.count < Self.scalarsMax else { return }
        switch node {
        case .characters(let set):
            if let scalar = pick(set) { out.append(scalar) }
        case .sequence(let nodes): for node in nodes { append(node, to: &out) }
        case .choice(let nodes): if let node = nodes.randomElement(using: &random) { append(node, to: &out) }
        case .repetition(let node, let low, let high):
            let most = min(high ?? low + 8, low + 8)
            for _ in 0..<Int.random(in: low...max(low, most), using: &random) { append(node, to: &out) }
        case .atomic(let node): append(node, to: &out)
        case .look, .anchor, .backreference: break
        }
    }

    /// Visible ASCII where there is some, a blank before other white space.
    private mutating func pick(_ set: ScalarSet) -> Unicode.Scalar? {
        let visible = set.intersection(ScalarSet([0x21...0x7E]))
        let usable = !visible.isEmpty ? visible : set.contains(0x20) ? ScalarSet(0x20) : set
        guard !usable.isEmpty else { return nil }
        var left = Int.random(in: 0..<usable.count, using: &random)
        for range in usable.ranges {
            let size = Int(range.upperBound - range.lowerBound) + 1
            if left < size { return Unicode.Scalar(range.lowerBound + UInt32(left)) }
            left -= size
        }
        return nil
    }
}
