import Crypto
import GuardCore
import GuardJSON
import GuardTokenizers

/// Reads a repository of a hub that speaks the Hugging Face hub's protocol.
///
/// - `GET /api/models/{repo}/revision/{revision}`: the commit (`sha`) and the files (`siblings[].rfilename`).
/// - `GET /{repo}/resolve/{commit}/{file}`: the content, or a redirect to where it lies. `X-Linked-Etag` (large files) is its
///   SHA-256, `ETag` of others the id that git gives it; `X-Repo-Commit` the commit.
///
/// Source: https://huggingface.co/docs/hub/api and huggingface_hub `file_download.py`.
struct HubClient: Sendable {
    let http: HTTPFetcher
    let endpoint: ServerURL
    /// Goes to the endpoint's host only.
    let authorization: [(String, String)]

    static let fileBytesMax = 128 << 20
    static let totalBytesMax = 512 << 20
    private static let redirectsMax = 5
    private static let siblingsMax = 100_000

    struct Listing: Sendable {
        var commit: String
        var files: [String]
    }

    /// - Throws: also for a file whose name would lead out of the folder: such a hub is not to be trusted with any.
    func listing(_ repository: RepositoryName, revision: String) async throws -> Listing {
        // A branch's slash is a part of its name here.
        let url = endpoint.appending(
            "/api/models/\(repository.name)/revision/\(revision.replacing("/", with: "%2F"))")
        let answer = try await http.send("GET", url, headers: authorization, bytesMax: 32 << 20)
        guard answer.status == 200 else { throw Self.refused(url, answer, "\(repository.name)@\(revision)") }
        guard let root = try? JSONDocument(answer.body).root, let commit = root["sha"]?.string,
            RepositoryName.isCommit(commit), let siblings = root["siblings"], siblings.kind == .array
        else {
            throw HubFailure(subject: url, reason: "the answer names no commit and files: is this a model hub?")
        }
        guard siblings.count <= Self.siblingsMax else { throw HubFailure(subject: url, reason: "too many files") }
        var files: [String] = []
        for sibling in siblings.elements {
            guard let name = sibling["rfilename"]?.string else {
                throw HubFailure(subject: url, reason: "\(sibling.pointer): a file without a name")
            }
            guard Self.staysInside(name) else {
                throw HubFailure(
                    subject: url, reason: "the file name \(name.debugDescription) leads out of the folder: nothing is pulled")
            }
            files.append(name)
        }
        return Listing(commit: commit, files: files)
    }

    static func staysInside(_ name: String) -> Bool {
        guard !name.isEmpty, !name.hasPrefix("/"), !name.contains("\\"),
            name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { return false }
        let segments = name.split(separator: "/", omittingEmptySubsequences: false)
        return segments.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }

    /// A file's content, checked against what the hub says of it.
    func content(_ repository: RepositoryName, commit: String, file: String) async throws -> [UInt8] {
        var url = try here(endpoint.appending("/\(repository.name)/resolve/\(commit)/\(file)"))
        var expected = Expected()
        for _ in 0...Self.redirectsMax {
            let headers = url.origin == endpoint.origin ? authorization : []
            let answer = try await http.send("GET", url.text, headers: headers, bytesMax: Self.fileBytesMax)
            if url.origin == endpoint.origin {
                if let known = answer.header("x-repo-commit"), known != commit {
                    throw HubFailure(subject: file, reason: "the hub gives it of commit \(known), not of \(commit)")
                }
                expected.read(answer)
            }
            switch answer.status {
            case 200:
                try expected.check(answer.body, file)
                return answer.body
            case 301, 302, 303, 307, 308:
                guard let location = answer.header("location") else {
                    throw HubFailure(subject: file, reason: "a redirect (\(answer.status)) to nowhere")
                }
                let next: ServerURL
                do { next = try url.resolving(location) } catch { throw HubFailure(subject: file, reason: "redirect: \(error)") }
                guard next.isEncrypted || !url.isEncrypted else {
                    throw HubFailure(subject: file, reason: "a redirect from https to \(next.origin)")
                }
                url = next
            default: throw Self.refused(url.text, answer, file)
            }
        }
        throw HubFailure(subject: file, reason: "more than \(Self.redirectsMax) redirects")
    }

    private func here(_ url: String) throws(HubFailure) -> ServerURL {
        do { return try ServerURL(url) } catch { throw HubFailure(subject: url, reason: error.description) }
    }

    private static func refused(_ url: String, _ answer: HTTPFetcher.Answer, _ what: String) -> HubFailure {
        let meaning =
            switch answer.status {
            case 401, 403: "not allowed: the repository is private or gated: give --token-file, and accept its terms"
            case 404: "there is no \(what), or it is private"
            case 429: "the hub asks to wait"
            case 300..<400: "a redirect that is not followed"
            default: "the hub failed"
            }
        return HubFailure(subject: String(url.prefix { $0 != "?" }), reason: "\(answer.status): \(meaning)")
    }

    /// What the hub says of a file's content.
    private struct Expected {
        var sha256: String?
        var gitID: String?
        var bytesCount: Int?

        mutating func read(_ answer: HTTPFetcher.Answer) {
            let linked = answer.header("x-linked-etag").map(Self.plain)
            if let linked, RepositoryName.isSHA256(linked) { sha256 = linked }
            if let size = answer.header("x-linked-size").flatMap({ Int($0) }) { bytesCount = size }
            guard linked == nil, let tag = answer.header("etag").map(Self.plain) else { return }
            if RepositoryName.isSHA256(tag) { sha256 = tag }
            if RepositoryName.isCommit(tag) { gitID = tag }
        }

        /// Without `W/` and quotes.
        private static func plain(_ tag: String) -> String {
            let strong = tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...]
            return String(strong.filter { $0 != "\"" })
        }

        func check(_ content: [UInt8], _ file: String) throws(HubFailure) {
            if let bytesCount, bytesCount != content.count {
                throw HubFailure(
                    subject: file, reason: "\(content.count) bytes came, the hub says \(bytesCount): cut short?")
            }
            if let sha256, ModelFile.sha256(content) != sha256 {
                throw HubFailure(
                    subject: file, reason: "SHA-256 is \(ModelFile.sha256(content)), the hub says \(sha256)")
            }
            if let gitID {
                var digest = Insecure.SHA1()
                digest.update(data: Array("blob \(content.count)\u{0}".utf8))
                digest.update(data: content)
                let found = hexadecimal(digest.finalize())
                guard found == gitID else {
                    throw HubFailure(subject: file, reason: "its git id is \(found), the hub says \(gitID)")
                }
            }
        }
    }
}
