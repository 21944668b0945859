import GuardCore
import GuardJSON

/// What was pulled: the commit and the SHA-256 of each file. Checked in beside the configuration, it makes every later
/// pull give the same bytes or fail.
///
/// `{"version": 1, "repo": "org/name", "commit": "40 hex digits", "files": [{"name", "sha256", "bytes"}]}`
struct PullLock: Sendable, Hashable {
    struct File: Sendable, Hashable {
        var name: String
        var sha256: String
        var bytes: Int
    }

    static let defaultName = "tokenizer.lock.json"

    var repo: String
    var commit: String
    /// Sorted by name.
    var files: [File]

    init(repo: String, commit: String, files: [File]) {
        self.repo = repo
        self.commit = commit
        self.files = files.sorted { $0.name < $1.name }
    }

    init(json: [UInt8], path: String) throws(HubFailure) {
        func broken(_ what: String) -> HubFailure { HubFailure(subject: path, reason: "is no lock file: \(what)") }
        let root: JSONNode
        do { root = try JSONDocument(json).root } catch { throw broken("\(error)") }
        guard root["version"]?.integer == 1 else { throw broken("version 1 is wanted") }
        guard let repo = root["repo"]?.string, let commit = root["commit"]?.string, RepositoryName.isCommit(commit)
        else { throw broken("repo, or a commit of 40 hex digits, is missing") }
        var files: [File] = []
        for element in root["files"]?.elements.map({ $0 }) ?? [] {
            guard let name = element["name"]?.string, RepositoryName.isPlain(name), TokenizerFiles.isWanted(name),
                let sha256 = element["sha256"]?.string, RepositoryName.isSHA256(sha256),
                let bytes = element["bytes"]?.integer.flatMap({ Int(exactly: $0) }), bytes >= 0,
                !files.contains(where: { $0.name == name })
            else { throw broken("\(element.pointer): name, sha256 and bytes are wanted, each name once") }
            files.append(File(name: name, sha256: sha256, bytes: bytes))
        }
        guard !files.isEmpty else { throw broken("it names no files") }
        self.init(repo: repo, commit: commit, files: files)
    }

    /// One line a file, so that changes can be read.
    var json: [UInt8] {
        func quoted(_ text: String) -> String {
            "\"" + String(decoding: JSONEscape.escaped(text.utf8), as: UTF8.self) + "\""
        }
        let lines = files.map {
            "    {\"name\": \(quoted($0.name)), \"sha256\": \(quoted($0.sha256)), \"bytes\": \($0.bytes)}"
        }
        return Array(
            """
            {
              "version": 1,
              "repo": \(quoted(repo)),
              "commit": \(quoted(commit)),
              "files": [
            \(lines.joined(separator: ",\n"))
              ]
            }

            """.utf8)
    }
}
