/// A problem in a file that a person wrote, printed as `file:line:column: error: message`.
package struct Diagnostic: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Level: String, Sendable { case error, warning }

    package var level: Level
    package var file: String
    /// 1-based; 0 where the problem has no line (a missing file).
    package var line: Int
    /// 1-based, in Unicode scalars; 0 where there is no line.
    package var column: Int
    package var message: String

    package init(_ level: Level = .error, file: String, line: Int = 0, column: Int = 0, _ message: String) {
        self.level = level
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String {
        let place = line > 0 ? "\(file):\(line):\(column)" : file
        return "\(place): \(level.rawValue): \(message)"
    }
}

/// All problems of one run, never only the first.
package struct Diagnostics: Error, Sendable, CustomStringConvertible {
    package var list: [Diagnostic]

    package init(_ list: [Diagnostic]) { self.list = list }

    package var hasErrors: Bool { list.contains { $0.level == .error } }

    package var description: String { list.map(\.description).joined(separator: "\n") }
}
