/// Why nothing was pulled: the target is as it was.
struct HubFailure: Error, Sendable, CustomStringConvertible {
    /// What it is about: a URL, a file of the repository, the lock file.
    var subject: String
    var reason: String

    var description: String { "\(subject): error: \(reason)" }
}
