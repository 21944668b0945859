import ArgumentParser
import GuardAuthoring
import GuardCore
import GuardJSON
import GuardRules

/// `--format` of `guardctl test`.
package enum TestFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, json, junit, tap, sarif, github

    func lines(_ report: TestReport, showsCoverage: Bool) -> [String] {
        switch self {
        case .text: Self.text(report, showsCoverage)
        case .json: [String(decoding: Self.json(report), as: UTF8.self)]
        case .junit: Self.junit(report)
        case .tap: Self.tap(report)
        case .sarif: [String(decoding: Self.sarif(report), as: UTF8.self)]
        case .github: Self.github(report)
        }
    }

    private static func summary(_ report: TestReport) -> String {
        let streams = report.chunkings > 0 ? ", streams cut in \(report.chunkings + 1) ways" : ""
        return "\(report.results.count) tests: \(report.passed) passed, \(report.failed) failed; "
            + "\(report.covered) of \(report.coverage.count) rules covered\(streams)"
    }

    private static func text(_ report: TestReport, _ showsCoverage: Bool) -> [String] {
        var lines: [String] = []
        for result in report.results {
            let failure = result.failure.map { ": \($0)" } ?? ""
            lines.append("\(result.failure == nil ? "passed" : "FAILED") \(result.place): \(result.name)\(failure)")
        }
        for rule in report.coverage where showsCoverage || !rule.isCovered {
            let missing =
                rule.isCovered ? "" : rule.positive == 0 ? ": no test wants a match" : ": no test wants no match"
            lines.append(
                "\(rule.isCovered ? "covered" : "not covered") \(rule.place): \(rule.rule) "
                    + "(\(rule.positive) match, \(rule.negative) do not)\(missing)")
        }
        return lines + mutants(report) + corpus(report) + [summary(report)]
    }

    private static func mutants(_ report: TestReport) -> [String] {
        guard let mutation = report.mutation else { return [] }
        let survivors =
            mutation.isEnough
            ? mutation.results.map { "survived \($0.place): \($0.name): \($0.failure ?? "")" } : []
        let perFile = mutation.perFile.map { file, part in
            "mutants of \(file): \(part.killed) killed, \(part.survived) survived, \(part.equivalent) equivalent; "
                + "score \(CorpusReport.rate(part.score * 100)) %"
        }
        return survivors + perFile + [
            "\(mutation.mutants.count) mutants: \(mutation.killed) killed, \(mutation.survived) survived, "
                + "\(mutation.equivalent) equivalent as far as probes show; score \(CorpusReport.rate(mutation.score * 100)) %"
        ]
    }

    private static func corpus(_ report: TestReport) -> [String] {
        guard let corpus = report.corpus else { return [] }
        return corpus.ranking.map { rule, count in
            "corpus \(rule): \(count.findings) findings in \(count.texts) texts, "
                + "\(CorpusReport.rate(corpus.perMillionBytes(count.findings))) per million bytes"
        } + ["corpus: \(corpus.flaggedTexts) of \(corpus.texts) texts flagged (\(corpus.bytes) bytes)"]
    }

    private static func json(_ report: TestReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("passed", report.passed)
            $0.member("failed", report.failed)
            $0.key("tests")
            $0.array { writer in
                for result in report.results {
                    writer.object {
                        $0.member("name", result.name)
                        place(result.place.file, result.place.line, result.place.column, &$0)
                        $0.member("passed", result.failure == nil)
                        if let failure = result.failure { $0.member("message", failure) }
                        $0.member("seconds", result.seconds)
                    }
                }
            }
            if let mutation = report.mutation { Self.mutation(mutation, &$0) }
            if let corpus = report.corpus { Self.corpus(corpus, &$0) }
            $0.key("coverage")
            $0.object { writer in
                writer.member("rules", report.coverage.count)
                writer.member("covered", report.covered)
                writer.key("perRule")
                writer.array { writer in
                    for rule in report.coverage {
                        writer.object {
                            $0.member("rule", rule.rule.name)
                            place(rule.place.file, rule.place.line, rule.place.column, &$0)
                            $0.member("match", rule.positive)
                            $0.member("noMatch", rule.negative)
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func mutation(_ mutation: MutationReport, _ writer: inout JSONWriter) {
        writer.key("mutation")
        writer.object { writer in
            writer.member("killed", mutation.killed)
            writer.member("survived", mutation.survived)
            writer.member("equivalent", mutation.equivalent)
            writer.member("score", mutation.score)
            writer.key("mutants")
            writer.array { writer in
                for mutant in mutation.mutants {
                    writer.object {
                        $0.member("rule", mutant.mutation.rule.name)
                        $0.member("kind", mutant.mutation.kind.rawValue)
                        $0.member("change", mutant.mutation.change)
                        place(mutant.mutation.place.file, mutant.mutation.place.line, mutant.mutation.place.column, &$0)
                        switch mutant.verdict {
                        case .killed: $0.member("verdict", "killed")
                        case .equivalent: $0.member("verdict", "equivalent")
                        case .survived(let text, let wanted):
                            $0.member("verdict", "survived")
                            $0.member("probe", text)
                            $0.member("wanted", wanted)
                        }
                    }
                }
            }
        }
    }

    private static func corpus(_ corpus: CorpusReport, _ writer: inout JSONWriter) {
        writer.key("corpus")
        writer.object { writer in
            writer.member("texts", corpus.texts)
            writer.member("bytes", corpus.bytes)
            writer.member("flagged", corpus.flaggedTexts)
            writer.key("rules")
            writer.array { writer in
                for (rule, count) in corpus.ranking {
                    writer.object {
                        $0.member("rule", rule.name)
                        $0.member("findings", count.findings)
                        $0.member("texts", count.texts)
                        $0.member("perMillionBytes", corpus.perMillionBytes(count.findings))
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

    private static func junit(_ report: TestReport) -> [String] {
        var lines = [
            #"<?xml version="1.0" encoding="UTF-8"?>"#,
            #"<testsuites tests="\#(report.results.count)" failures="\#(report.failed)">"#,
            #"  <testsuite name="guardctl test" tests="\#(report.results.count)" failures="\#(report.failed)">"#,
        ]
        for result in report.results {
            let head =
                #"    <testcase name="\#(xml(result.name))" classname="\#(xml(result.place.file))" "#
                + #"file="\#(xml(result.place.file))" line="\#(result.place.line)" time="\#(result.seconds)""#
            if let failure = result.failure {
                lines += [
                    head + ">",
                    #"      <failure message="\#(xml(failure))">\#(xml("\(result.place): \(failure)"))</failure>"#,
                    "    </testcase>",
                ]
            } else {
                lines.append(head + "/>")
            }
        }
        return lines + ["  </testsuite>", "</testsuites>"]
    }

    /// Also control characters, which XML 1.0 has no spelling for, become U+FFFD.
    private static func xml(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\n": escaped += "&#10;"
            case "\t": escaped += "&#9;"
            case "\r": escaped += "&#13;"
            default: escaped.unicodeScalars.append(scalar.value < 0x20 ? "\u{FFFD}" : scalar)
            }
        }
        return escaped
    }

    /// TAP version 14.
    private static func tap(_ report: TestReport) -> [String] {
        var lines = ["TAP version 14", "1..\(report.results.count)"]
        for (index, result) in report.results.enumerated() {
            // `#` begins a directive.
            let name = result.name.split(separator: "#", omittingEmptySubsequences: false).joined(separator: "\\#")
            lines.append("\(result.failure == nil ? "ok" : "not ok") \(index + 1) - \(name)")
            if let failure = result.failure { lines += ["# \(result.place): \(oneLine(failure))"] }
        }
        return lines
    }

    private static func github(_ report: TestReport) -> [String] {
        report.results.compactMap { result in
            result.failure.map {
                WorkflowCommand.annotation(
                    .error, file: result.place.file, line: result.place.line, column: result.place.column,
                    title: result.name, message: $0)
            }
        } + [summary(report)]
    }

    private static func oneLine(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { $0 += $1 == "\n" || $1 == "\r" ? " " : String($1) }
    }

    /// SARIF 2.1.0: failures as results of the rule that they are about.
    private static func sarif(_ report: TestReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("$schema", "https://json.schemastore.org/sarif-2.1.0.json")
            $0.member("version", "2.1.0")
            $0.key("runs")
            $0.array {
                $0.object { writer in
                    writer.key("tool")
                    writer.object {
                        $0.key("driver")
                        $0.object {
                            $0.member("name", "guardctl test")
                            $0.key("rules")
                            $0.array { $0.object { $0.member("id", "failed-test") } }
                        }
                    }
                    writer.key("results")
                    writer.array { writer in
                        for result in report.results {
                            guard let failure = result.failure else { continue }
                            writer.object { finding(result, failure, &$0) }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func finding(_ result: TestResult, _ failure: String, _ writer: inout JSONWriter) {
        writer.member("ruleId", "failed-test")
        writer.member("level", "error")
        writer.key("message")
        writer.object { $0.member("text", "\(result.name): \(failure)") }
        writer.key("locations")
        writer.array {
            $0.object {
                $0.key("physicalLocation")
                $0.object {
                    $0.key("artifactLocation")
                    $0.object { $0.member("uri", result.place.file) }
                    $0.key("region")
                    $0.object {
                        $0.member("startLine", result.place.line)
                        $0.member("startColumn", result.place.column)
                    }
                }
            }
        }
    }
}
