import ArgumentParser
import GuardConfiguration
import GuardCore
import Glibc
import Logging

@main
struct GuarddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guardd",
        abstract: "Guardrails and prompt budgets in front of a model server.",
        discussion: """
            Reads guard.yaml, then GUARDD_ variables of the environment (GUARDD_UPSTREAM__URL), then --set, the later the
            stronger. Exit code 2: the configuration or the rules have errors; all of them are printed.
            SIGHUP reloads, SIGTERM drains.
            """)

    @Option(name: .shortAndLong, help: "The configuration file.")
    var config: String?

    @Option(name: .customLong("set"), help: ArgumentHelp("Overrides a scalar, e.g. upstream.url=http://127.0.0.1:8000.", valueName: "path=value"))
    var overrides: [String] = []

    @Flag(help: "Asks the health listener of a running guardd whether it is ready, for exec probes: exit code 0 or 1.")
    var probe = false

    /// As `AsyncParsableCommand.main()`, but wrong usage is exit code 2 like every other error of the set-up.
    static func main() async {
        do {
            try await parse().run()
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            say(fullMessage(for: error))
            exit(withError: ExitCode(2))
        }
    }

    mutating func validate() throws {
        for override in overrides where !override.contains("=") {
            throw ValidationError("--set wants path=value, not '\(override)'")
        }
    }

    func run() async throws {
        let source = ConfigurationSource(path: config, overlay: overlay)
        let loaded: Configuration
        do { loaded = try source.load().configuration } catch {
            Self.print(error)
            throw ExitCode(2)
        }
        if probe {
            guard let address = loaded.listen.health else {
                Self.say("guardd: listen.health is off, so there is nothing to probe")
                throw ExitCode(2)
            }
            throw ExitCode(await HealthProbe.isReady(address) ? 0 : 1)
        }
        // Standard output belongs to the decision log.
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        // A client or a pipe that goes away is an error of one write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do { try await Daemon(source).run() } catch let error as Diagnostics {
            Self.print(error)
            throw ExitCode(2)
        }
    }

    private var overlay: [(path: String, value: String)] {
        overrides.compactMap { override in
            override.firstIndex(of: "=").map {
                (path: String(override[..<$0]), value: String(override[override.index(after: $0)...]))
            }
        }
    }

    static func print(_ diagnostics: Diagnostics) { say(diagnostics.description) }

    private static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}

/// Where the configuration comes from; read again at every reload.
struct ConfigurationSource: Sendable {
    var path: String?
    var overlay: [(path: String, value: String)]

    func load() throws(Diagnostics) -> (configuration: Configuration, warnings: [Diagnostic]) {
        try Configuration.load(path: path, environment: Self.environment(), overlay: overlay)
    }

    private static func environment() -> [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let pointer = entry.pointee {
            let text = String(cString: pointer)
            if let equals = text.firstIndex(of: "=") {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            entry += 1
        }
        return result
    }
}
