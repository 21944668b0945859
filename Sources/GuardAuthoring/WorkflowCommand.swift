/// What GitHub Actions shows beside a line of a changed file (GitHub documentation, "Workflow commands").
package enum WorkflowCommand {
    package enum Level: String, Sendable { case error, warning, notice }

    /// - Parameters:
    ///   - line: 1-based, as `column` is; what is smaller counts as 1.
    ///   - message: may have several lines.
    package static func annotation(
        _ level: Level, file: String, line: Int, column: Int, title: String, message: String
    ) -> String {
        "::\(level) file=\(property(file)),line=\(max(1, line)),col=\(max(1, column)),"
            + "title=\(property(title))::\(replaced(message, data))"
    }

    private static let data: [Unicode.Scalar: String] = ["%": "%25", "\r": "%0D", "\n": "%0A"]

    private static func property(_ text: String) -> String {
        replaced(text, data.merging([":": "%3A", ",": "%2C"]) { first, _ in first })
    }

    private static func replaced(_ text: String, _ table: [Unicode.Scalar: String]) -> String {
        text.unicodeScalars.reduce(into: "") { $0 += table[$1] ?? String($1) }
    }
}
