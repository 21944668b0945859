package import GuardCore
internal import GuardLLMSchema
internal import GuardMatching
package import GuardRules
internal import GuardYAML

/// Looks for what is wrong with rules that load: patterns that can be made to take ages, rules that never act, rules that
/// hold streams. Every finding says what it rests on; what could not be decided is not reported.
package struct Linter {
    let bundle: RuleBundle
    let source: RuleSource
    let options: LintOptions
    var report = LintReport()
    /// One reading of each pattern: rules share few, but each is asked for several things.
    var parsed: [String: ParsedPattern] = [:]

    /// - Parameter files: what the bundle was compiled from.
    package init(bundle: RuleBundle, files: [RuleBundle.File], options: LintOptions) {
        self.bundle = bundle
        source = RuleSource(files)
        self.options = options
    }

    /// Loads and lints a policy folder; what does not load is reported as findings of `load`.
    ///
    /// - Throws: where the folder cannot be read.
    package static func run(directory: String, options: LintOptions) throws(Diagnostics) -> LintReport {
        let files = try RuleBundle.ruleFiles(directory: directory)
        return run(files: files, options: options) { () throws(Diagnostics) in
            try RuleBundle.load(directory: directory)
        }
    }

    package static func run(files: [RuleBundle.File], options: LintOptions) -> LintReport {
        run(files: files, options: options) { () throws(Diagnostics) in try RuleBundle(files: files) }
    }

    private static func run(
        files: [RuleBundle.File], options: LintOptions, _ load: () throws(Diagnostics) -> RuleBundle
    ) -> LintReport {
        do throws(Diagnostics) {
            var linter = Linter(bundle: try load(), files: files, options: options)
            return linter.run()
        } catch {
            var report = LintReport()
            report.findings = error.list.map(Self.finding)
            return report
        }
    }

    private static func finding(_ diagnostic: Diagnostic) -> LintFinding {
        LintFinding(
            id: .load, level: diagnostic.level == .error ? .error : .warning, file: diagnostic.file,
            line: diagnostic.line, column: diagnostic.column, message: diagnostic.message)
    }

    package mutating func run() -> LintReport {
        report.findings = bundle.warnings.map(Self.finding)
        for rule in bundle.rules {
            parse(rule)
            checkSelection(rule)
            checkPossible(rule)
            checkForm(rule)
            let cost = checkCost(rule)
            checkHold(rule, cost)
        }
        checkOverlaps()
        suppress()
        report.findings.sort { ($0.file, $0.line, $0.column, $0.id.rawValue) < ($1.file, $1.line, $1.column, $1.id.rawValue) }
        return report
    }

    mutating func add(
        _ id: LintID, _ rule: CompiledRule, _ place: RulePlace? = nil, level: LintLevel? = nil, _ message: String
    ) {
        let place = place ?? rule.place
        report.findings.append(
            LintFinding(
                id: id, level: level ?? id.level, rule: rule.id, file: place.file, line: place.line,
                column: place.column, message: message))
    }

    mutating func add(_ id: LintID, _ rule: CompiledRule, _ message: String) { add(id, rule, nil, message) }

    /// Every pattern of the rule; those of what stands near a match are not among them.
    func detectors(_ rule: CompiledRule) -> [Detector] { rule.composed?.detectors ?? rule.detectors }

    private static func key(_ pattern: Pattern) -> String { (pattern.options.caseless ? "i" : "c") + pattern.source }

    private mutating func parse(_ rule: CompiledRule) {
        for detector in detectors(rule) {
            let key = Self.key(detector.pattern)
            guard parsed[key] == nil else { continue }
            parsed[key] = try? PatternParser.parse(detector.pattern.source, options: detector.pattern.options)
        }
    }

    func tree(_ detector: Detector) -> ParsedPattern? { parsed[Self.key(detector.pattern)] }

    // MARK: selection

    /// Roles that texts of an answer can have.
    private static let outputRoles: Set<Role> = [.assistant, .toolCall, .extension]

    private mutating func checkSelection(_ rule: CompiledRule) {
        if rule.mode == .off { add(.off, rule, source.place("mode", rule), "'mode: off': the rule does nothing") }
        if rule.phases == [.output], rule.roles.isDisjoint(with: Self.outputRoles) {
            let names = Self.outputRoles.map(\.rawValue).sorted().joined(separator: ", ")
            add(
                .neverSelected, rule, source.place("roles", rule),
                "no text of an answer has one of these roles; answers have \(names)")
        }
        if !rule.when.routes.isEmpty, !rule.when.routes.contains(where: { Router.guardedPaths.contains(where: $0.matches) }) {
            add(
                .neverSelected, rule, source.place("when", rule),
                "'routes' matches no path that is judged: \(Router.guardedPaths.joined(separator: ", "))")
        }
        if let allowance = rule.allowance {
            if allowance.hasExpired(at: options.now) {
                add(.expired, rule, source.place("expires", rule), "the allowance has expired: it allows nothing")
            }
            if rule.mode == .monitor {
                add(
                    .allowsNothing, rule, source.place("mode", rule), "in 'mode: monitor' an allowance allows nothing")
            }
            let reached = allowance.suppresses.contains { index in
                let other = bundle.rules[index]
                return other.mode != .off && !other.phases.isDisjoint(with: rule.phases)
                    && !other.roles.isDisjoint(with: rule.roles)
            }
            if !reached {
                add(
                    .allowsNothing, rule, source.place("suppresses", rule),
                    "none of the rules it names is judged in its phases and roles")
            }
        }
    }

    private mutating func checkForm(_ rule: CompiledRule) {
        if rule.tests.match.isEmpty || rule.tests.noMatch.isEmpty, rule.mode != .off {
            let missing =
                rule.tests.count == 0
                ? "no tests" : rule.tests.match.isEmpty ? "no test that matches" : "no test that does not match"
            add(.untested, rule, source.place("tests", rule), "\(missing): write 'tests: {match: […], noMatch: […]}'")
        }
        if rule.action != .allow, !source.has("severity", rule) {
            add(.noSeverity, rule, "no severity: it counts as medium")
        }
        let literalFree = detectors(rule).filter(\.required.isUnknown)
        if let detector = literalFree.first, rule.composed == nil {
            let most = literalFree.count == 1 ? "the pattern" : "\(literalFree.count) of its patterns"
            add(
                .noLiteral, rule, source.place(pattern: detector.pattern.source, rule),
                "\(most) has no literal that every match holds, so it runs on every text")
        }
        let acts = rule.action == .block || rule.action == .mask
        if rule.phases.contains(.output), rule.composed == nil, acts, rule.mode == .enforce,
            let open = detectors(rule).first(where: { $0.pattern.startBytes.count > 128 })
        {
            add(
                .openStart, rule, source.place(pattern: open.pattern.source, rule),
                "\(open.pattern.startBytes.count) of 256 bytes may begin a match, so streams are searched at nearly every "
                    + "character")
        }
    }

    // MARK: matching

    private mutating func checkPossible(_ rule: CompiledRule) {
        var impossible: Set<Int> = []
        for (index, detector) in detectors(rule).enumerated() {
            guard let parsed = tree(detector), parsed.setsAreExact else { continue }
            let root = rule.view == .raw ? parsed.root : parsed.root.folded
            guard root.isImpossible else { continue }
            impossible.insert(index)
            let isView = !parsed.root.isImpossible
            add(
                .neverMatches, rule, source.place(pattern: detector.pattern.source, rule),
                isView
                    ? "no text of the \(rule.view.rawValue) view can match: it asks for characters that the view replaces; "
                        + "use 'view: raw'"
                    : "no text can match: a class without members, or an anchor where it cannot hold")
        }
        guard let composed = rule.composed else { return }
        checkContradiction(composed.tree, composed, rule)
    }

    /// `all` of something and `not` the same or more.
    private mutating func checkContradiction(_ tree: MatchTree, _ composed: ComposedRule, _ rule: CompiledRule) {
        guard case .all(let nodes) = tree else {
            if case .any(let nodes) = tree { for node in nodes { checkContradiction(node, composed, rule) } }
            return
        }
        for case .leaf(let wanted) in nodes where !wanted.isEmpty {
            for case .not(.leaf(let refused)) in nodes {
                let covered = wanted.allSatisfy { index in
                    refused.contains { includes(composed.detectors[index], in: composed.detectors[$0]) == .proven }
                }
                if covered {
                    add(
                        .neverMatches, rule, source.place("match", rule),
                        "'all' wants what 'not' refuses: every match of the one is a match of the other")
                    return
                }
            }
        }
        for node in nodes { checkContradiction(node, composed, rule) }
    }

    // MARK: suppression

    private mutating func suppress() {
        for rule in bundle.rules {
            let (ids, reason) = source.ignored(rule)
            for id in ids {
                var isUsed = false
                for index in report.findings.indices
                where report.findings[index].rule == rule.id && report.findings[index].id.rawValue == id {
                    report.findings[index].suppressed = reason
                    isUsed = true
                }
                guard !isUsed else { continue }
                let known = LintID.allCases.map(\.rawValue)
                add(
                    .unusedIgnore, rule, source.place("lint", rule),
                    known.contains(id)
                        ? "'\(id)' is ignored, but there is nothing to ignore"
                        : "'\(id)' is no lint" + LikelyMeant.suffix(id, among: known, all: known))
            }
        }
    }
}

extension PatternNode {
    /// As the folded view sees it: sets that hold only scalars which folding replaces are empty.
    var folded: PatternNode {
        switch self {
        case .characters(let set):
            guard set.count <= 2048, !set.ranges.contains(where: { $0.lowerBound < 0x80 }) else { return self }
            let isSeen = set.ranges.contains { range in
                range.contains { value in Unicode.Scalar(value).map { FoldedScalars.contains($0) } ?? false }
            }
            return isSeen ? self : .characters(.empty)
        case .sequence(let nodes): return .sequence(nodes.map(\.folded))
        case .choice(let nodes): return .choice(nodes.map(\.folded))
        case .repetition(let node, let low, let high): return .repetition(node.folded, low: low, high: high)
        case .atomic(let node): return .atomic(node.folded)
        case .look(let node, let isAhead, let isNegative):
            return .look(node.folded, isAhead: isAhead, isNegative: isNegative)
        case .anchor, .backreference: return self
        }
    }
}
