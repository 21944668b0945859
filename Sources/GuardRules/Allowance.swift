package import GuardCore
internal import GuardYAML

/// What makes a rule with `action: allow`: other rules' matches that lie wholly inside a match of this one do not count.
///
/// ```yaml
/// - id: allow.test-cards
///   on: [input, output]
///   action: allow
///   suppresses: [pii.credit-card]       # ids; 'pii.*' means all that begin so
///   reason: the payment provider's published test numbers
///   expires: 2027-06-30                 # the last day, in UTC; optional
///   match: {words: [4242 4242 4242 4242]}
/// ```
package struct Allowance: Sendable, Hashable {
    /// As written.
    package var patterns: [Glob]
    /// Indexes of the rules it names, ascending; never those of other allowances.
    package internal(set) var suppresses: [Int] = []
    package var reason: String
    /// Seconds since 1970 from which on it does not hold.
    package var expires: Int?

    package func hasExpired(at now: Int) -> Bool { expires.map { now >= $0 } ?? false }
}

/// The matches of allowances in one text; an allowance in monitor mode suppresses nothing.
struct AllowedRanges {
    private struct Spans {
        var starts: [Int] = []
        /// The furthest end of the spans up to this one.
        var ends: [Int] = []
    }

    /// By rule.
    private var spans: [Int: Spans] = [:]
    /// The allowances that name a rule.
    private var allowing: [Int: [Int]] = [:]

    init() {}

    /// - Parameter matches: ascending by start.
    init(_ matches: [RuleMatch], _ rules: [CompiledRule]) {
        for match in matches where rules[match.rule].mode == .enforce {
            guard let allowance = rules[match.rule].allowance else { continue }
            if spans[match.rule] == nil {
                for rule in allowance.suppresses { allowing[rule, default: []].append(match.rule) }
            }
            let end = max(match.range.upperBound, spans[match.rule]?.ends.last ?? 0)
            spans[match.rule, default: Spans()].starts.append(match.range.lowerBound)
            spans[match.rule, default: Spans()].ends.append(end)
        }
    }

    func covers(_ match: RuleMatch) -> Bool {
        guard let allowances = allowing[match.rule] else { return false }
        return allowances.contains { rule in
            guard let spans = spans[rule] else { return false }
            var low = 0
            var high = spans.starts.count
            while low < high {
                let middle = (low + high) / 2
                if spans.starts[middle] <= match.range.lowerBound { low = middle + 1 } else { high = middle }
            }
            return low > 0 && spans.ends[low - 1] >= match.range.upperBound
        }
    }
}

extension RuleCompiler {
    func allowance(_ map: YAMLMapping, action: Action?) -> Allowance? {
        guard action == .allow else {
            if action != nil {
                for key in ["suppresses", "reason", "expires"] where map[key] != nil {
                    map.report(key: key, "'\(key)' belongs to 'action: allow'")
                }
            }
            return nil
        }
        let ids = map.required("suppresses", in: "a rule with 'action: allow'")?.oneOrMore { $0.nonEmptyString() } ?? []
        let reason = map.required("reason", in: "a rule with 'action: allow'")?.nonEmptyString()
        if let list = map["suppresses"], case .sequence(let items) = list.node.kind, items.isEmpty {
            list.report("names no rule; the allowance would do nothing")
        }
        var expires: Int?
        if let reader = map["expires"] {
            expires = reader.node.scalar.flatMap { Self.endOfDay($0.text) }
            if expires == nil { reader.report("expected the last day on which it holds, such as 2027-06-30") }
        }
        return Allowance(patterns: ids.map { Glob($0) }, reason: reason ?? "", expires: expires)
    }

    /// `YYYY-MM-DD` to the second at which that day ends in UTC.
    static func endOfDay(_ text: String) -> Int? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2,
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
            year >= 1970, (1...12).contains(month)
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day >= 1, day <= lengths[month - 1] else { return nil }
        let before = year - 1
        let leapDays = (before / 4 - before / 100 + before / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
        let days = (year - 1970) * 365 + leapDays + lengths[..<(month - 1)].reduce(0, +) + day
        return days * 86_400
    }

    /// Finds the rules that allowances name; called when all rules are known and sorted.
    func resolveAllowances() {
        for index in rules.indices {
            guard var allowance = rules[index].allowance else { continue }
            let place = rules[index].place
            func report(_ message: String) {
                problems.add(Diagnostic(file: place.file, line: place.line, column: place.column, message))
            }
            for pattern in allowance.patterns {
                let named = rules.indices.filter {
                    rules[$0].action != .allow && pattern.matches(rules[$0].id.name)
                }
                if named.isEmpty {
                    report(
                        "'suppresses' names '\(pattern.pattern)', which is no rule that acts"
                            + LikelyMeant.suffix(pattern.pattern, among: rules.map(\.id.name)))
                }
                allowance.suppresses += named
            }
            allowance.suppresses = Set(allowance.suppresses).sorted()
            rules[index].allowance = allowance
        }
    }

    /// What makes a rule one for complete texts only, and what it then has to say about streams.
    func composed(
        _ tree: MatchTree, _ conditions: ConditionCompiler, _ map: YAMLMapping, _ stream: WholeStream?,
        _ action: Action?,
        _ phases: [Phase]
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
        let what = conditions.view == .decoded ? "the decoded view" : "'all' and 'not'"
        if isOnOutput, action == .allow {
            map.report(key: "match", "\(what) cannot allow on output: it is known at the answer's end only")
        } else if isOnOutput, stream == nil, action == .mask || action == .block {
            map.report(
                key: "action",
                "\(what) on output needs the whole answer: say 'stream: hold' (held until it ends) or 'stream: cut' "
                    + "(judged in windows of \(WholeStream.windowBytes) bytes; not leak-free)")
        }
        return ComposedRule(tree: tree, detectors: conditions.detectors, stream: stream ?? .hold)
    }
}
