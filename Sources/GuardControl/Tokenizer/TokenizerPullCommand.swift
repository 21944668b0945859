package import ArgumentParser
import GuardCore
import GuardJSON

/// `guardctl tokenizer pull`
package struct TokenizerPullCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Fetches a model's tokenizer, template and configuration files from a hub, pinned by SHA-256.",
        discussion: """
            Never weights. All files come of one commit; every file is checked against what the hub says of it, against \
            --sha256, and against the lock file, which the first pull writes and later ones must meet. On any mismatch \
            nothing is changed.
            """)

    @Argument(help: "OWNER/NAME[@REVISION]; without a revision the locked commit, else main.")
    package var repository: String

    @Option(help: "Folder that the files are written into.")
    package var to: String

    @Option(help: "The hub; default: $HF_ENDPOINT, else https://huggingface.co.")
    package var endpoint: String?

    @Option(name: .customLong("sha256"), help: "FILE=HEX: what a file must hash to; may be given for several files.")
    package var pins: [String] = []

    @Option(help: "Lock file; default: \(PullLock.defaultName) in the folder.")
    package var lock: String?

    @Flag(help: "Write the lock file anew, whatever it says.")
    package var update = false

    @Option(help: "File with the hub's access token. It is sent to the hub's own host only.")
    package var tokenFile: String?

    @Option(help: "Seconds for one file.")
    package var timeout = 300

    @Option(help: "Output: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    package var format = OutputFormat.text

    package init() {}

    package func run() async throws {
        guard (1...86_400).contains(timeout) else { throw ValidationError("--timeout is 1 to 86400 seconds") }
        let name = try RepositoryName(repository)
        let address: ServerURL
        do {
            address = try ServerURL(endpoint ?? Environment.all["HF_ENDPOINT"] ?? "https://huggingface.co")
        } catch {
            throw ValidationError("--endpoint: \(error)")
        }
        let pull = Pull(
            repository: name, target: to, lockPath: lock ?? to + "/" + PullLock.defaultName, pins: try pinned(),
            updates: update)
        let headers = try TokenFile.headers(tokenFile)
        let outcome = try await HTTPFetcher.with(seconds: timeout) { http in
            try await pull.run(HubClient(http: http, endpoint: address, authorization: headers))
        }
        report(outcome, pull.lockPath)
    }

    private func pinned() throws -> [String: String] {
        var pins: [String: String] = [:]
        for pin in self.pins {
            let parts = pin.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, RepositoryName.isSHA256(parts[1].lowercased()), pins[String(parts[0])] == nil else {
                throw ValidationError("--sha256 \(pin): FILE=64 hex digits is wanted, each file once")
            }
            pins[String(parts[0])] = parts[1].lowercased()
        }
        return pins
    }

    private func report(_ outcome: Pull.Outcome, _ lockPath: String) {
        let lock = outcome.lock
        guard format == .json else {
            Console.line("\(lock.repo) at \(lock.commit) in \(to)")
            for file in lock.files { Console.line("  \(file.sha256)  \(file.bytes)  \(file.name)") }
            return Console.line(outcome.wasLocked ? "as locked in \(lockPath)" : "locked in \(lockPath)")
        }
        var writer = JSONWriter()
        writer.object {
            $0.member("repo", lock.repo)
            $0.member("commit", lock.commit)
            $0.member("folder", to)
            $0.member("lock", lockPath)
            $0.member("wasLocked", outcome.wasLocked)
            $0.key("files")
            $0.array {
                for file in lock.files {
                    $0.object {
                        $0.member("name", file.name)
                        $0.member("sha256", file.sha256)
                        $0.member("bytes", file.bytes)
                    }
                }
            }
        }
        Console.line(writer.bytes)
    }
}
