package import GuardCore
internal import GuardJSON
internal import GuardMatching
internal import GuardRules
internal import GuardYAML

/// `guardctl import gitleaks`: a gitleaks configuration as a rule set of ours, and everything that could not be carried
/// over, by rule.
package struct GitleaksImport {
    package struct Options: Sendable {
        package var action = "flag"
        /// Of the rule set; also the first part of the ids.
        package var name = "gitleaks"

        package init() {}
    }

    package struct Note: Sendable, Hashable {
        /// `nil`: of the whole file.
        package var rule: String?
        package var line: Int
        package var message: String
    }

    package struct Result: Sendable {
        /// In canonical form; it loads.
        package var ruleSet: [UInt8]
        package var file: String
        package var rules = 0
        package var imported = 0
        package var notes: [Note] = []
    }

    private struct Imported {
        var rule: GitleaksFile.Rule
        var id: String
        var pattern: String
        var parsed: ParsedPattern?
        var validate: String?
        /// A pattern that must match somewhere in the text besides.
        var keyword: String?
        var tests: (match: [String], noMatch: [String]) = ([], [])
    }

    private let source: GitleaksFile
    private let options: Options
    private var result: Result

    /// - Throws: what makes the file unreadable. A pattern that cannot be compiled is a note.
    package static func run(_ bytes: [UInt8], file: String, options: Options = Options()) throws(Diagnostics) -> Result {
        var importer = GitleaksImport(
            source: try GitleaksFile(bytes, file: file), options: options,
            result: Result(ruleSet: [], file: file))
        return try importer.run()
    }

    private mutating func run() throws(Diagnostics) -> Result {
        result.rules = source.rules.count
        for (message, line) in source.extends { note(nil, line, message) }
        for list in source.allowlists { note(list, nil) }
        var imported: [Imported] = []
        var ids: Set<String> = []
        for rule in source.rules {
            guard let item = carry(rule, &ids) else { continue }
            imported.append(item)
        }
        result.imported = imported.count
        guard !imported.isEmpty else {
            throw Diagnostics([Diagnostic(file: result.file, "no rule could be carried over")])
        }
        // Loaded once without tests, so that a test that is written is one that passes.
        let bundle = try RuleBundle(files: [.init(path: "import.yaml", content: yaml(imported))])
        addTests(&imported, bundle)
        result.ruleSet = try RuleFormatter.format(yaml(imported), file: "import.yaml")
        return result
    }

    private mutating func note(_ rule: String?, _ line: Int, _ message: String) {
        result.notes.append(Note(rule: rule, line: line, message: message))
    }

    private mutating func note(_ list: GitleaksFile.Allowlist, _ rule: String?) {
        let scope = rule == nil ? "the allow-list of all rules" : "an allow-list"
        let parts = [
            (list.regexes.count, "regexes on the \(list.target)"), (list.stopwords.count, "stop words"),
            (list.paths.count, "paths"), (list.commits.count, "commits"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        guard !parts.isEmpty else { return }
        note(
            rule, list.line,
            "\(scope) is not carried over (\(parts.joined(separator: list.isAnd ? " and " : ", "))): more is found than by "
                + "gitleaks; write 'action: allow' rules for what should not be")
    }

    // MARK: one rule

    private mutating func carry(_ rule: GitleaksFile.Rule, _ ids: inout Set<String>) -> Imported? {
        guard let regex = rule.regex, !regex.isEmpty else {
            note(rule.id, rule.line, "left out: it matches paths of files, which prompts and answers have not")
            return nil
        }
        let pattern = GoPattern.rewritten(regex)
        let compiled: Pattern
        do throws(PatternError) {
            compiled = try Pattern(pattern, validated: rule.entropy > 0)
        } catch {
            note(rule.id, rule.line, "left out: the pattern does not compile: \(error)")
            return nil
        }
        if rule.path != nil {
            note(rule.id, rule.line, "its 'path' is not carried over: the rule applies to every text")
        }
        for list in rule.allowlists { note(list, rule.id) }
        var item = Imported(
            rule: rule, id: id(rule.id, &ids), pattern: pattern, parsed: try? PatternParser.parse(pattern))
        if rule.entropy > 0 {
            item.validate = "entropy(\(Self.bits(rule.entropy)), \(group(rule, compiled)))"
            if rule.entropy > 8 {
                item.validate = nil
                note(rule.id, rule.line, "its entropy of \(rule.entropy) bits is more than a byte has: not carried over")
            }
        }
        if !rule.keywords.isEmpty { item.keyword = keyword(rule, item.parsed) }
        return item
    }

    /// gitleaks takes the group that `secretGroup` names, else the first that took part, else the match.
    private mutating func group(_ rule: GitleaksFile.Rule, _ pattern: Pattern) -> Int {
        if rule.secretGroup > 0, rule.secretGroup <= pattern.captureCount { return rule.secretGroup }
        if pattern.captureCount > 1 {
            note(
                rule.id, rule.line,
                "its secret is the first of \(pattern.captureCount) groups that took part; the entropy here is that of "
                    + "group 1")
        }
        return pattern.captureCount > 0 ? 1 : 0
    }

    /// gitleaks wants more than so many bits, we at least so many. Only where the number is a sum of powers of two can a
    /// text have exactly so many.
    private static func bits(_ entropy: Double) -> String {
        let isReachable = (entropy * 4096).rounded() == entropy * 4096
        return "\(isReachable ? entropy + 0.000001 : entropy)"
    }

    /// `nil` where every match holds one of the keywords, so that asking for them changes nothing.
    private func keyword(_ rule: GitleaksFile.Rule, _ parsed: ParsedPattern?) -> String? {
        let quoted = rule.keywords.map { word in
            String(word.unicodeScalars.flatMap { scalar -> [Character] in
                scalar.isASCII && !scalar.properties.isAlphabetic && scalar.properties.numericType == nil
                    ? ["\\", Character(scalar)] : [Character(scalar)]
            })
        }
        let pattern = "(?i)(?:" + quoted.joined(separator: "|") + ")"
        guard let parsed, let wanted = try? PatternParser.parse(pattern),
            Inclusion.decide(parsed, within: wanted) == .included
        else { return pattern }
        return nil
    }

    private func id(_ name: String, _ ids: inout Set<String>) -> String {
        var text = options.name + "."
        for scalar in name.unicodeScalars {
            let isPart = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.value &- 0x30 < 10) || scalar == "-"
                || scalar == "." || scalar == "_"
            text.unicodeScalars.append(isPart ? scalar : "-")
        }
        text = String(text.prefix(120))
        var unique = text
        var number = 2
        while !ids.insert(unique).inserted {
            unique = "\(text)-\(number)"
            number += 1
        }
        return unique
    }

    // MARK: tests

    private static let harmless = "Please write a short poem about the sea."

    private mutating func addTests(_ imported: inout [Imported], _ bundle: RuleBundle) {
        var scratch = EvaluationScratch()
        var random = ImportRandom()
        for index in imported.indices {
            guard let rule = bundle.rule(RuleID(imported[index].id)) else { continue }
            func finds(_ text: String) -> Bool {
                let bytes = Array(text.utf8)
                return !bundle.evaluate(bytes.span, rules: [rule.index], scratch: &scratch).matches.isEmpty
            }
            if !finds(Self.harmless) { imported[index].tests.noMatch = [Self.harmless] }
            if let root = imported[index].parsed?.root {
                for _ in 0..<200 {
                    var sampler = PatternSampler(random: random)
                    let sample = sampler.text(root)
                    random = sampler.random
                    // Alone, and after a keyword that the text has to have besides.
                    let keyword = imported[index].keyword == nil ? nil : imported[index].rule.keywords.first
                    let text = keyword.map { "\($0) \(sample)" } ?? sample
                    guard !sample.isEmpty, finds(text) else { continue }
                    imported[index].tests.match = [text]
                    break
                }
            }
            let tests = imported[index].tests
            if tests.match.isEmpty {
                note(imported[index].rule.id, imported[index].rule.line, "no matching test could be made for it")
            }
        }
    }

    // MARK: the rule set

    private func yaml(_ imported: [Imported]) -> [UInt8] {
        func quoted(_ text: String) -> String {
            YAMLScalarText.text(text, .singleQuoted, isTagged: false, wantsQuotes: true, inFlow: false)
        }
        var lines = [
            "# Made by 'guardctl import gitleaks'\(source.title.isEmpty ? "" : " from \(oneLine(source.title))").",
            "# \(imported.count) of \(source.rules.count) rules. What was not carried over stands on the importer's standard error.",
            "# Our 'validate' is part of the match: where an entropy is too low, other ends and later starts are tried, so more may",
            "# be found than by gitleaks, which drops the match. A finding is the whole match, not the secret in it.",
            "",
            "ruleset: \(quoted(options.name))",
            "description: 'Secrets, by the patterns of gitleaks.'",
            "rules:",
        ]
        for item in imported {
            lines.append("  - id: \(quoted(item.id))")
            if !item.rule.description.isEmpty { lines.append("    description: \(quoted(item.rule.description))") }
            lines.append("    on: [input]")
            let validate = item.validate.map { ", validate: '\($0)'" } ?? ""
            let leaf = "{pcre: \(quoted(item.pattern))\(validate)}"
            if let keyword = item.keyword {
                // A condition that holds where the keyword is somewhere in the text, and has no match of its own.
                lines.append("    match: {all: [\(leaf), {not: {not: {pcre: \(quoted(keyword))}}}]}")
            } else {
                lines.append("    match: \(leaf)")
            }
            lines.append("    view: raw")
            lines.append("    action: \(options.action)")
            lines.append("    severity: high")
            let tests = [("match", item.tests.match), ("noMatch", item.tests.noMatch)].filter { !$0.1.isEmpty }
            if !tests.isEmpty {
                lines.append("    tests:")
                for (key, texts) in tests {
                    lines.append("      \(key):")
                    lines += texts.map { "        - \(quoted($0))" }
                }
            }
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private func oneLine(_ text: String) -> String {
        String(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
    }
}

/// Always the same numbers: an import gives the same file twice.
struct ImportRandom: RandomNumberGenerator {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

extension GitleaksImport.Result {
    /// The report in words, a line each.
    package var lines: [String] {
        notes.map { note in
            "\(file):\(note.line): warning: \(note.rule.map { "\($0): " } ?? "")\(note.message)"
        } + ["\(file): \(imported) of \(rules) rules carried over, \(notes.count) notes"]
    }

    package var json: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("rules", rules)
            writer.member("imported", imported)
            writer.key("notes")
            writer.array { writer in
                for note in notes {
                    writer.object {
                        if let rule = note.rule { $0.member("rule", rule) }
                        $0.member("line", note.line)
                        $0.member("message", note.message)
                    }
                }
            }
        }
        return writer.bytes
    }
}
