import ArgumentParser
import GuardCore
import GuardTokenizers

/// Exit codes of `guardctl` (DESIGN section 7).
enum ExitStatus {
    static let findings = ExitCode(1)
    static let usage = ExitCode(2)

    /// Wrong usage ends with 64 in ArgumentParser; here with 2. Help and version stay 0. Diagnostics are printed as
    /// they are, one a line.
    static func mapped(_ error: any Error, by command: GuardctlCommand.Type) -> any Error {
        switch error {
        case is ExitCode: return error
        case let diagnostics as Diagnostics: Console.error("\(diagnostics)")
        case let diagnostic as Diagnostic: Console.error("\(diagnostic)")
        case let failure as Files.Failure: Console.error("\(failure)")
        case let failure as HTTPFetcher.Failure: Console.error("\(failure)")
        case let failure as TokenizeServer.Failure: Console.error("\(failure)")
        case let failure as HubFailure: Console.error("\(failure)")
        case let error as TokenizerError: Console.error("\(error.place.isEmpty ? error.file : error.file + ": " + error.place): error: \(error.message)")
        default:
            if command.exitCode(for: error) == .success { return error }
            Console.error(command.fullMessage(for: error))
        }
        return usage
    }
}
