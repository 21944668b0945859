internal import GuardCore
internal import GuardJSON

/// Forms of a lint report.
package enum LintFormat: String, CaseIterable, Sendable {
    case text, json, sarif, github

    package func lines(_ report: LintReport) -> [String] {
        switch self {
        case .text: Self.text(report)
        case .json: [String(decoding: Self.json(report), as: UTF8.self)]
        case .sarif: [String(decoding: Self.sarif(report), as: UTF8.self)]
        case .github: Self.github(report)
        }
    }

    private static func summary(_ report: LintReport) -> String {
        let suppressed = report.findings.count { $0.suppressed != nil }
        return "\(report.rules.count) rules: \(report.count(.error)) errors, \(report.count(.warning)) warnings, "
            + "\(report.count(.note)) notes" + (suppressed > 0 ? ", \(suppressed) ignored with a reason" : "")
    }

    // MARK: text

    private static func text(_ report: LintReport) -> [String] {
        var lines: [String] = []
        for finding in report.findings where finding.suppressed == nil {
            let place = finding.line > 0 ? "\(finding.file):\(finding.line):\(finding.column)" : finding.file
            let rule = finding.rule.map { "\($0): " } ?? ""
            lines.append("\(place): \(finding.level.rawValue): \(rule)\(finding.message) [\(finding.id.rawValue)]")
        }
        if !report.rules.isEmpty {
            if !lines.isEmpty { lines.append("") }
            lines += table(report)
            lines.append("")
        }
        return lines + [summary(report)]
    }

    private static func table(_ report: LintReport) -> [String] {
        var rows = [["rule", "steps/KiB", "growth", "holds back", "leak-free"]]
        for rule in report.rules {
            rows.append([
                rule.rule.name, steps(rule), growth(rule), hold(rule.hold),
                rule.hold == .none ? "" : rule.leak.map { "no: \($0)" } ?? "yes",
            ])
        }
        let widths = (0..<4).map { column in rows.map { $0[column].utf8.count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for column in 0..<4 {
                line += row[column] + String(repeating: " ", count: widths[column] - row[column].utf8.count + 2)
            }
            line += row[4]
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    private static func steps(_ rule: RuleFacts) -> String {
        guard let cost = rule.cost else { return "" }
        return (cost.isCut ? ">= " : "") + "\(cost.stepsPerKilobyte)" + (rule.notAnalysed.isEmpty ? "" : " *")
    }

    private static func growth(_ rule: RuleFacts) -> String {
        switch rule.cost?.growth {
        case .exponential: "exponential"
        case .power(let power): "n^" + Linter.rounded(power)
        case nil: ""
        }
    }

    private static func hold(_ hold: RuleFacts.Hold) -> String {
        switch hold {
        case .none: "nothing"
        case .bytes(let bytes): "\(bytes) bytes"
        case .unbounded: "no bound"
        case .wholeAnswer: "the answer"
        case .windows(let bytes): "windows of \(bytes)"
        }
    }

    // MARK: json

    private static func json(_ report: LintReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("errors", report.count(.error))
            writer.member("warnings", report.count(.warning))
            writer.member("notes", report.count(.note))
            writer.key("findings")
            writer.array { writer in
                for finding in report.findings {
                    writer.object {
                        $0.member("id", finding.id.rawValue)
                        $0.member("level", finding.level.rawValue)
                        if let rule = finding.rule { $0.member("rule", rule.name) }
                        place(finding.file, finding.line, finding.column, &$0)
                        $0.member("message", finding.message)
                        if let reason = finding.suppressed { $0.member("ignored", reason) }
                    }
                }
            }
            writer.key("rules")
            writer.array { writer in
                for rule in report.rules { writer.object { facts(rule, &$0) } }
            }
        }
        return writer.bytes
    }

    private static func facts(_ rule: RuleFacts, _ writer: inout JSONWriter) {
        writer.member("rule", rule.rule.name)
        place(rule.file, rule.line, rule.column, &writer)
        writer.key("hold")
        writer.object {
            switch rule.hold {
            case .none: $0.member("kind", "none")
            case .bytes(let bytes):
                $0.member("kind", "bytes")
                $0.member("bytes", bytes)
            case .unbounded: $0.member("kind", "unbounded")
            case .wholeAnswer: $0.member("kind", "answer")
            case .windows(let bytes):
                $0.member("kind", "windows")
                $0.member("bytes", bytes)
            }
        }
        writer.member("leakFree", rule.leak == nil)
        if let leak = rule.leak { writer.member("leak", leak) }
        if !rule.notAnalysed.isEmpty {
            writer.key("notAnalysed")
            writer.array { for reason in rule.notAnalysed { $0.string(reason) } }
        }
        guard let cost = rule.cost else { return }
        writer.key("cost")
        writer.object {
            $0.member("stepsPerKiB", cost.stepsPerKilobyte)
            $0.member("isLowerBound", cost.isCut)
            switch cost.growth {
            case .exponential: $0.member("growth", "exponential")
            case .power(let power): $0.member("power", Double((power * 100).rounded() / 100))
            }
            if let degree = cost.degree { $0.member("degree", degree) }
            for (name, bytes) in [
                ("prefix", cost.witness.prefix), ("pump", cost.witness.pump), ("suffix", cost.witness.suffix),
            ] { $0.member(name, utf8: bytes) }
            $0.key("samples")
            $0.array { writer in
                for sample in cost.samples {
                    writer.object {
                        $0.member("pumps", sample.pumps)
                        $0.member("bytes", sample.bytes)
                        $0.member("steps", sample.steps)
                    }
                }
            }
        }
    }

    private static func place(_ file: String, _ line: Int, _ column: Int, _ writer: inout JSONWriter) {
        writer.member("file", file)
        writer.member("line", line)
        writer.member("column", column)
    }

    // MARK: sarif 2.1.0

    private static func sarif(_ report: LintReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("$schema", "https://json.schemastore.org/sarif-2.1.0.json")
            $0.member("version", "2.1.0")
            $0.key("runs")
            $0.array { $0.object { run(report, &$0) } }
        }
        return writer.bytes
    }

    private static func run(_ report: LintReport, _ writer: inout JSONWriter) {
        writer.key("tool")
        writer.object {
            $0.key("driver")
            $0.object {
                $0.member("name", "guardctl lint")
                $0.key("rules")
                $0.array { writer in
                    for id in LintID.allCases {
                        writer.object {
                            $0.member("id", id.rawValue)
                            $0.key("shortDescription")
                            $0.object { $0.member("text", id.summary) }
                        }
                    }
                }
            }
        }
        writer.key("results")
        writer.array { writer in
            for finding in report.findings { writer.object { result(finding, &$0) } }
        }
    }

    private static func result(_ finding: LintFinding, _ writer: inout JSONWriter) {
        writer.member("ruleId", finding.id.rawValue)
        writer.member("level", finding.level.rawValue)
        writer.key("message")
        writer.object { $0.member("text", (finding.rule.map { "\($0): " } ?? "") + finding.message) }
        writer.key("locations")
        writer.array {
            $0.object {
                $0.key("physicalLocation")
                $0.object {
                    $0.key("artifactLocation")
                    $0.object { $0.member("uri", finding.file) }
                    if finding.line > 0 {
                        $0.key("region")
                        $0.object {
                            $0.member("startLine", finding.line)
                            $0.member("startColumn", finding.column)
                        }
                    }
                }
            }
        }
        guard let reason = finding.suppressed else { return }
        writer.key("suppressions")
        writer.array {
            $0.object {
                $0.member("kind", "inSource")
                $0.member("justification", reason)
            }
        }
    }

    // MARK: github

    private static func github(_ report: LintReport) -> [String] {
        report.findings.filter { $0.suppressed == nil }.map { finding in
            let rule = finding.rule.map { "\($0): " } ?? ""
            return WorkflowCommand.annotation(
                finding.level == .error ? .error : finding.level == .warning ? .warning : .notice,
                file: finding.file, line: finding.line, column: finding.column, title: finding.id.rawValue,
                message: rule + finding.message)
        } + [summary(report)]
    }
}
