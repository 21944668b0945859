import ArgumentParser
import GuardCore
import GuardJSON
import GuardPolicy

/// `--format` of the commands that report in lines.
package enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, json

    /// A report's JSON as it is, or in words.
    func line(_ json: [UInt8], _ words: (JSONNode) -> String) throws -> [UInt8] {
        self == .json ? json : Array(words(try JSONDocument(json).root).utf8)
    }
}

/// Lines of an input file or of standard input, with their numbers for diagnostics.
struct JSONLines: Sendable {
    /// What `forEach` gives its place.
    struct Problem: Error {
        var message: String
    }

    var file: String
    var bytes: [UInt8]

    init(path: String) throws(Files.Failure) {
        file = path == "-" ? "stdin" : path
        bytes = try Files.read(path)
    }

    /// Empty lines are skipped. What `body` throws ends the run with the line's place.
    func forEach(_ body: (JSONNode) throws -> Void) throws {
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            do {
                try body(try JSONDocument(Array(line)).root)
            } catch let error as JSONError {
                throw Diagnostic(file: file, line: number, column: error.offset + 1, "\(error)")
            } catch let error as Problem {
                throw Diagnostic(file: file, line: number, column: 1, error.message)
            } catch let error as CheckOperation.Problem {
                throw Diagnostic(file: file, line: number, column: 1, error.message)
            } catch let error as TokenizeOperation.Problem {
                throw Diagnostic(file: file, line: number, column: 1, error.message)
            }
        }
    }
}
