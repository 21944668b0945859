import ArgumentParser

/// Exit codes of `guardctl` (DESIGN section 7).
enum ExitStatus {
    static let findings = ExitCode(1)
    static let usage = ExitCode(2)

    /// ArgumentParser would end wrong usage with 64; here it is 2, and the message has been printed.
    static func mapped(_ error: any Error, by command: GuardctlCommand.Type) -> any Error {
        if error is ExitCode { return error }
        let code = command.exitCode(for: error)
        if code == .success { return error }
        Console.error(command.fullMessage(for: error))
        return usage
    }
}
