package import Foundation

/// Where test data lies: our own `fixtures/`, and the team's `shared/` (found by `GUARD_SHARED`, default `../shared`),
/// which is never copied into the repo.
package enum TestData {
    package static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    package static let fixtures = root.appending(path: "fixtures")

    /// `nil` where the shared data is absent: tests that need it are skipped with one clear line, except on CI.
    package static let shared: URL? = {
        let environment = ProcessInfo.processInfo.environment
        let url =
            environment["GUARD_SHARED"].map { URL(fileURLWithPath: $0) }
            ?? root.deletingLastPathComponent().appending(path: "shared")
        if FileManager.default.fileExists(atPath: url.appending(path: "DESIGN.md").path) { return url }
        print("GUARD_SHARED: no shared test data at \(url.path); tests that need it are skipped")
        return nil
    }()

    /// The condition of tests that read `shared`. With `CI=true` they always run (and fail where it is absent).
    package static let hasShared = shared != nil || ProcessInfo.processInfo.environment["CI"] == "true"

    package struct Missing: Error, CustomStringConvertible {
        package var description: String
    }

    package static func sharedFile(_ path: String) throws -> URL {
        guard let shared else { throw Missing(description: "GUARD_SHARED is not set and ../shared is absent") }
        return shared.appending(path: path)
    }
}
