package import ArgumentParser
import GuardAuthoring
import GuardCore
import GuardRules

/// `guardctl fmt`
package struct FormatCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "fmt",
        abstract: "Writes rule and case files in their canonical form.",
        discussion: """
            Values stay what they are and comments stay where they belong; a file for which that cannot be kept is left \
            alone and is an error. Exit code: 0, with --check 1 where a file would change, 2 where one cannot be read.
            """)

    @Argument(help: "Policy folders or files; '-' is standard input, written to standard output.")
    package var paths: [String]

    @Flag(help: "Write nothing; list the files that would change.")
    package var check = false

    @Flag(help: "Write nothing; show what would change.")
    package var diff = false

    package init() {}

    package func run() async throws {
        var files: [(path: String, content: [UInt8])] = []
        for path in paths {
            if path != "-", Files.isFolder(path) {
                for file in try RuleBundle.ruleFiles(directory: path) + RuleBundle.caseFiles(directory: path) {
                    files.append((file.shownAs, file.content))
                }
            } else {
                files.append((path, try Files.read(path)))
            }
        }
        var problems: [Diagnostic] = []
        var changed = 0
        for file in files {
            do throws(Diagnostics) {
                let formatted = try RuleFormatter.format(file.content, file: file.path)
                if file.path == "-" {
                    Console.write(formatted)
                    continue
                }
                guard formatted != file.content else { continue }
                changed += 1
                if diff {
                    for line in LineDiff.lines(file.content, formatted, name: file.path) { Console.line(line) }
                } else if check {
                    Console.line(file.path)
                } else {
                    do {
                        try Files.write(formatted, to: file.path)
                    } catch {
                        problems.append(Diagnostic(file: file.path, "cannot be written"))
                    }
                }
            } catch {
                problems += error.list
            }
        }
        if !problems.isEmpty { throw Diagnostics(problems) }
        if changed > 0, check || diff { throw ExitStatus.findings }
    }
}

/// A unified difference of whole lines with three lines around each change.
enum LineDiff {
    static func lines(_ old: [UInt8], _ new: [UInt8], name: String) -> [String] {
        func split(_ bytes: [UInt8]) -> [String] {
            var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            if lines.last == "" { lines.removeLast() }
            return lines
        }
        let (before, after) = (split(old), split(new))
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in after.difference(from: before) {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        // All lines in order, each with its mark.
        var rows: [(mark: Character, text: String, old: Int, new: Int)] = []
        var (left, right) = (0, 0)
        while left < before.count || right < after.count {
            if left < before.count, removed.contains(left) {
                rows.append(("-", before[left], left, right))
                left += 1
            } else if right < after.count, inserted.contains(right) {
                rows.append(("+", after[right], left, right))
                right += 1
            } else {
                rows.append((" ", before[left], left, right))
                left += 1
                right += 1
            }
        }
        let context = 3
        var out = ["--- \(name)", "+++ \(name)"]
        var index = 0
        while let first = rows[index...].firstIndex(where: { $0.mark != " " }) {
            let start = max(index, first - context)
            var end = first
            var quiet = 0
            while end < rows.count, quiet <= 2 * context {
                quiet = rows[end].mark == " " ? quiet + 1 : 0
                end += 1
            }
            end = min(rows.count, max(first + 1, end - max(0, quiet - context)))
            let hunk = rows[start..<end]
            let (olds, news) = (hunk.count { $0.mark != "+" }, hunk.count { $0.mark != "-" })
            out.append("@@ -\(rows[start].old + 1),\(olds) +\(rows[start].new + 1),\(news) @@")
            out += hunk.map { String($0.mark) + $0.text }
            index = end
        }
        return out
    }
}
