internal import GuardCore
internal import GuardTOML

/// A gitleaks configuration as it is read (gitleaks 8.25, config/config.go names the fields).
struct GitleaksFile {
    struct Rule {
        var id: String
        var description: String
        var regex: String?
        var path: String?
        var secretGroup = 0
        var entropy = 0.0
        var keywords: [String] = []
        var allowlists: [Allowlist] = []
        var line: Int
        var column: Int
    }

    struct Allowlist {
        var description: String
        var regexes: [String] = []
        var stopwords: [String] = []
        var paths: [String] = []
        var commits: [String] = []
        /// secret (default), match, line.
        var target = "secret"
        var isAnd = false
        var line: Int
    }

    var title = ""
    var rules: [Rule] = []
    var allowlists: [Allowlist] = []
    /// What `[extend]` asks for, in words.
    var extends: [(message: String, line: Int)] = []

    private var problems: [Diagnostic] = []
    private let file: String

    /// - Throws: every value of a wrong type and every rule without an id.
    init(_ bytes: [UInt8], file: String) throws(Diagnostics) {
        self.file = file
        let top: TOMLTable
        do throws(Diagnostic) {
            top = try TOMLDocument.parse(bytes, file: file)
        } catch {
            throw Diagnostics([error])
        }
        title = string(top, "title") ?? ""
        for table in tables(top, "allowlists") + tables(top, "allowlist") { allowlists.append(allowlist(table)) }
        if let extend = top["extend"]?.table {
            for entry in extend.entries {
                extends.append(("'extend.\(entry.key)' is not followed: import that configuration too", entry.line))
            }
        }
        for (table, line, column) in tables(top, "rules") {
            guard let id = string(table, "id"), !id.isEmpty else {
                problems.append(Diagnostic(file: file, line: line, column: column, "a rule without an id"))
                continue
            }
            var rule = Rule(id: id, description: string(table, "description") ?? "", line: line, column: column)
            rule.regex = string(table, "regex")
            rule.path = string(table, "path")
            rule.secretGroup = integer(table, "secretGroup") ?? 0
            rule.entropy = number(table, "entropy") ?? 0
            rule.keywords = strings(table, "keywords")
            for table in tables(table, "allowlists") + tables(table, "allowlist") {
                rule.allowlists.append(allowlist(table))
            }
            rules.append(rule)
        }
        if !problems.isEmpty { throw Diagnostics(problems) }
    }

    private mutating func allowlist(_ found: (table: TOMLTable, line: Int, column: Int)) -> Allowlist {
        let table = found.table
        var list = Allowlist(description: string(table, "description") ?? "", line: found.line)
        list.regexes = strings(table, "regexes")
        list.stopwords = strings(table, "stopwords")
        list.paths = strings(table, "paths")
        list.commits = strings(table, "commits")
        list.target = string(table, "regexTarget") ?? "secret"
        list.isAnd = ["AND", "&&"].contains(string(table, "condition")?.uppercased() ?? "")
        return list
    }

    // MARK: values

    private mutating func mismatch(_ value: TOMLValue, _ expected: String, _ key: String) {
        problems.append(
            Diagnostic(
                file: file, line: value.line, column: value.column,
                "'\(key)': expected \(expected), found \(value.typeDescription)"))
    }

    private mutating func string(_ table: TOMLTable, _ key: String) -> String? {
        guard let value = table[key] else { return nil }
        if let text = value.string { return text }
        mismatch(value, "a string", key)
        return nil
    }

    private mutating func strings(_ table: TOMLTable, _ key: String) -> [String] {
        guard let value = table[key] else { return [] }
        guard let items = value.array else {
            mismatch(value, "an array of strings", key)
            return []
        }
        var texts: [String] = []
        for item in items {
            if let text = item.string { texts.append(text) } else { mismatch(item, "a string", key) }
        }
        return texts
    }

    private mutating func integer(_ table: TOMLTable, _ key: String) -> Int? {
        guard let value = table[key] else { return nil }
        if case .integer(let number) = value.kind { return number }
        mismatch(value, "a whole number", key)
        return nil
    }

    private mutating func number(_ table: TOMLTable, _ key: String) -> Double? {
        guard let value = table[key] else { return nil }
        switch value.kind {
        case .integer(let number): return Double(number)
        case .float(let number): return number
        default:
            mismatch(value, "a number", key)
            return nil
        }
    }

    /// `[[key]]`, and a single `[key]` of older versions.
    private mutating func tables(_ table: TOMLTable, _ key: String) -> [(table: TOMLTable, line: Int, column: Int)] {
        guard let value = table[key] else { return [] }
        switch value.kind {
        case .table(let one): return [(one, value.line, value.column)]
        case .array(let items):
            var found: [(table: TOMLTable, line: Int, column: Int)] = []
            for item in items {
                if let one = item.table {
                    found.append((one, item.line, item.column))
                } else {
                    mismatch(item, "a table", key)
                }
            }
            return found
        default:
            mismatch(value, "a table", key)
            return []
        }
    }
}
