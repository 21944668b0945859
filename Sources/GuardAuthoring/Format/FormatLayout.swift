/// What the canonical form of our files is: the order of keys, and which values are quoted or stand in one line.
enum FormatLayout: Hashable {
    case file
    case rules, rule
    case selection
    case condition, conditions
    case near
    case tests
    case texts
    case names
    case cases, testCase
    case expect
    /// Bodies and everything else: only spacing and quotes.
    case free
    /// A scalar that is quoted always.
    case quoted

    /// Keys in their order; others keep theirs, in front of `tail`.
    var order: [String] {
        switch self {
        case .file: ["ruleset", "description", "cases"]
        case .rule:
            [
                "id", "description", "on", "roles", "when", "match", "view", "action", "mask", "suppresses", "reason",
                "expires", "severity", "mode", "stream", "onHoldOverflow",
            ]
        case .selection: ["models", "tenants", "routes"]
        case .condition:
            ["pcre", "words", "json", "tokens", "classify", "any", "all", "not", "near", "validate", "context"]
        case .near: ["match", "near", "to", "within"]
        case .tests: ["match", "noMatch"]
        case .testCase: ["name", "description", "phase", "role", "api", "path", "model", "tenant"]
        case .expect: ["action", "rules", "notRules", "maskedText"]
        case .rules, .conditions, .texts, .names, .cases, .free, .quoted: []
        }
    }

    var tail: [String] {
        switch self {
        case .file: ["rules"]
        case .rule: ["lint", "tests"]
        case .testCase: ["expect"]
        default: []
        }
    }

    /// The layout of a mapping's value.
    func value(of key: String) -> FormatLayout {
        switch (self, key) {
        case (.file, "rules"): .rules
        case (.file, "cases"): .cases
        case (.rule, "on"), (.rule, "roles"), (.rule, "suppresses"), (.selection, _), (.expect, "rules"),
            (.expect, "notRules"):
            .names
        case (.rule, "when"): .selection
        case (.rule, "match"), (.condition, "not"), (.near, "match"), (.near, "near"), (.near, "to"): .condition
        case (.condition, "any"), (.condition, "all"): .conditions
        case (.condition, "near"), (.condition, "context"): .near
        case (.condition, "pcre"), (.rule, "mask"), (.testCase, "text"), (.expect, "maskedText"): .quoted
        case (.rule, "tests"): .tests
        case (.tests, _): .texts
        case (.testCase, "expect"): .expect
        default: .free
        }
    }

    /// The layout of a list's items.
    var item: FormatLayout {
        switch self {
        case .rules: .rule
        case .conditions, .condition: .condition
        case .texts: .quoted
        case .cases: .testCase
        default: .free
        }
    }

    /// Never in one line.
    var isAlwaysBlock: Bool {
        switch self {
        case .file, .rules, .rule, .cases, .testCase, .tests, .conditions: true
        default: false
        }
    }

    /// In one line where it fits, however it was written.
    var isFlowWherePossible: Bool { self == .names }

    /// One blank line between the items.
    var separatesItems: Bool { self == .rules || self == .cases }
}
