internal import GuardCore
internal import GuardMatching
internal import GuardYAML

/// Reads rule files into compiled rules and collects every problem of all files.
final class RuleCompiler {
    let problems = YAMLProblems()
    var rules: [CompiledRule] = []
    private var detectorCount = 0

    /// All detectors of a bundle: PCRE2 code and JIT code are memory that no limit of the file size bounds.
    private static let detectorsMax = 20_000

    func add(_ file: RuleBundle.File) {
        let document: YAMLDocument
        do {
            document = try YAMLDocument.parse(file.content, file: file.shownAs)
        } catch {
            problems.add(contentsOf: error)
            return
        }
        guard let top = YAMLReader(document, problems).mapping(keys: ["ruleset", "description", "rules"]) else {
            return
        }
        _ = top.required("ruleset", in: "a rule file")?.nonEmptyString()
        _ = top["description"]?.string()
        for rule in top.required("rules", in: "a rule file")?.items() ?? [] { add(rule) }
    }

    /// - Throws: all problems, if any of them is an error.
    func finish() throws(Diagnostics) -> (rules: [CompiledRule], warnings: [Diagnostic]) {
        rules.sort { $0.id < $1.id }
        for (first, second) in zip(rules, rules.dropFirst()) where first.id == second.id {
            let (earlier, later) = isBefore(first.place, second.place) ? (first, second) : (second, first)
            problems.add(
                Diagnostic(
                    file: later.place.file, line: later.place.line, column: later.place.column,
                    "the id '\(later.id)' is used already at \(earlier.place)"))
        }
        if detectorCount > Self.detectorsMax {
            problems.add(Diagnostic(file: "rules", "more than \(Self.detectorsMax) patterns in one bundle"))
        }
        try problems.throwIfErrors()
        for index in rules.indices { rules[index].index = index }
        resolveAllowances()
        try problems.throwIfErrors()
        return (rules, problems.list)
    }

    private func isBefore(_ left: RulePlace, _ right: RulePlace) -> Bool {
        (left.file, left.line, left.column) < (right.file, right.line, right.column)
    }

    // MARK: one rule

    private static let ruleKeys = [
        "id", "description", "on", "roles", "when", "match", "view", "action", "mask", "severity", "mode", "stream",
        "onHoldOverflow", "tests", "suppresses", "reason", "expires", "lint",
    ]

    /// One rule.
    func add(_ reader: YAMLReader) {
        guard let map = reader.mapping(keys: Self.ruleKeys) else { return }
        let errorsBefore = problems.list.count { $0.level == .error }

        let id = map.required("id", in: "a rule").flatMap(self.id)
        let phases = map.required("on", in: "a rule")?.oneOrMore { $0.choice(of: Phase.self) } ?? []
        if let on = map["on"], case .sequence(let items) = on.node.kind, items.isEmpty {
            on.report("names no phase; the rule would never run")
        }
        let roles = map["roles"].flatMap { roles in
            roles.oneOrMore { $0.choice(of: Role.self) }
        }
        if let value = map["roles"], case .sequence(let items) = value.node.kind, items.isEmpty {
            value.report("names no role; leave it out for all but toolDefinition")
        }
        let when = map["when"].map(condition) ?? RuleCondition()
        let view = map["view"].flatMap(self.view) ?? .folded
        let action = map.required("action", in: "a rule").flatMap(self.action)
        let severity = map["severity"]?.choice(of: Severity.self) ?? .medium
        let mode = map["mode"]?.choice(of: Mode.self) ?? .enforce
        let overflow = map["onHoldOverflow"]?.choice(of: HoldOverflow.self) ?? .block
        let stream = map["stream"]?.choice([("hold", WholeStream.hold), ("cut", .cut)])
        let allowance = self.allowance(map, action: action)
        var mask = map["mask"].flatMap { self.mask($0, action: action) }
        let placeholder = map["mask"].flatMap { isMapping($0) ? self.placeholder($0, phases: phases) : nil }
        if action == .mask, map["mask"] == nil { mask = .standard }
        let tests = map["tests"].map(self.tests) ?? RuleTests()
        map["lint"].map(checkLint)

        var conditions = ConditionCompiler(problems: problems, view: view, isOnOutput: phases.contains(.output))
        let tree = map.required("match", in: "a rule").flatMap { conditions.add($0) }
        if let template = mask, let reader = map["mask"], !isMapping(reader) {
            mask = resolve(template, conditions.detectors, reader)
        }
        detectorCount += conditions.detectors.count
        let composed = tree.flatMap { self.composed($0, conditions, map, stream, action, phases) }

        guard problems.list.count(where: { $0.level == .error }) == errorsBefore, let id, let action else { return }
        var rule =
            CompiledRule(
                id: id, index: 0, phases: Set(phases), roles: roles.map { Set($0) } ?? CompiledRule.defaultRoles,
                when: when, view: view, action: action, severity: severity, mode: mode, onHoldOverflow: overflow,
                detectors: composed == nil ? conditions.detectors : [], mask: action == .mask ? mask : nil,
                place: RulePlace(file: reader.file, line: reader.node.line, column: reader.node.column), tests: tests,
                summary: map["description"]?.string())
        rule.composed = composed
        rule.allowance = allowance
        rule.placeholder = placeholder
        rules.append(rule)
    }

    private func isMapping(_ reader: YAMLReader) -> Bool {
        if case .mapping = reader.node.kind { return true }
        return false
    }

    private func id(_ reader: YAMLReader) -> RuleID? {
        guard let name = reader.nonEmptyString() else { return nil }
        let isWord = name.utf8.enumerated().allSatisfy { offset, byte in
            (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10
                || offset > 0 && (byte == 0x2D || byte == 0x2E || byte == 0x5F)
        }
        guard isWord, name.utf8.count <= 128 else {
            reader.report(
                "an id is at most 128 ASCII letters, digits, '.', '-' and '_', beginning with a letter or digit")
            return nil
        }
        return RuleID(name)
    }

    private func view(_ reader: YAMLReader) -> TextView? {
        reader.choice(of: TextView.self)
    }

    private func action(_ reader: YAMLReader) -> Action? {
        reader.choice([("flag", .flag), ("mask", .mask), ("block", .block), ("allow", .allow)])
    }

    private func mask(_ reader: YAMLReader, action: Action?) -> MaskTemplate? {
        if let action, action != .mask {
            reader.report("'mask' belongs to 'action: mask'; this rule has 'action: \(action.rawValue)'")
        }
        // Where nobody keeps the table, the placeholder's place is taken by the standard text.
        if isMapping(reader) { return .standard }
        guard let text = reader.string() else { return nil }
        do {
            return try MaskTemplate(text)
        } catch {
            reader.report(atScalar: error.offset, error.message)
            return nil
        }
    }

    /// Groups are those of the patterns; of a rule with several patterns each must have them.
    private func resolve(_ template: MaskTemplate, _ detectors: [Detector], _ reader: YAMLReader) -> MaskTemplate? {
        var resolved = template
        for detector in detectors {
            var attempt = template
            let pattern = detector.pattern
            if let problem = attempt.resolve(names: pattern.captureNames, captureCount: pattern.captureCount) {
                reader.report(problem)
                return nil
            }
            if detectors.count > 1, attempt != resolved, resolved != template {
                reader.report("the patterns of this rule number the named group differently; use one pattern")
                return nil
            }
            resolved = attempt
        }
        return resolved
    }

    private func condition(_ reader: YAMLReader) -> RuleCondition {
        var condition = RuleCondition()
        guard let map = reader.mapping(keys: ["models", "tenants", "routes"]) else { return condition }
        func globs(_ key: String) -> [Glob] {
            guard let value = map[key] else { return [] }
            let globs = value.oneOrMore { $0.nonEmptyString().map { Glob($0) } } ?? []
            if case .sequence(let items) = value.node.kind, items.isEmpty {
                value.report("an empty list would match everything; leave '\(key)' out to mean that")
            }
            return globs
        }
        condition.models = globs("models")
        condition.tenants = globs("tenants")
        condition.routes = globs("routes")
        return condition
    }

    private func tests(_ reader: YAMLReader) -> RuleTests {
        var tests = RuleTests()
        guard let map = reader.mapping(keys: ["match", "noMatch"]) else { return tests }
        func texts(_ key: String) -> [RuleTests.Text] {
            map[key]?.oneOrMore { item in
                item.string().map { RuleTests.Text(text: $0, line: item.node.line, column: item.node.column) }
            } ?? []
        }
        tests.match = texts("match")
        tests.noMatch = texts("noMatch")
        return tests
    }
}
