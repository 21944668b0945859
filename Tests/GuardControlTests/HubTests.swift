import GuardTesting
import Testing

@testable import GuardControl

/// Names, addresses and lock files: what comes from a hub, a file or the command line.
@Suite struct HubTests {
    @Test(arguments: [
        ("org/model", "org/model", nil), ("gpt2", "gpt2", nil), ("a/b.c-d_e@main", "a/b.c-d_e", "main"),
        ("a/b@refs/pr/1", "a/b", "refs/pr/1"),
    ] as [(String, String, String?)])
    func repositories(_ text: String, _ name: String, _ revision: String?) throws {
        let repository = try RepositoryName(text)
        #expect(repository.name == name && repository.revision == revision)
    }

    @Test(arguments: ["", "/", "a/", "/b", "a/b/c", "..", "a/..", "a/b@", "a/b@../c", "a b/c", "a/b?x", "a/%2e%2e", "ä/b", "a/b@x y"])
    func noRepositories(_ text: String) {
        #expect(throws: HubFailure.self) { try RepositoryName(text) }
    }

    @Test func namesStayInside() {
        for name in ["a.json", "a/b.json", ".gitattributes", "ü.txt", "a..b"] { #expect(HubClient.staysInside(name), "\(name)") }
        for name in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\u{0}b", "a\nb", "a\u{7F}"] {
            #expect(!HubClient.staysInside(name), "\(name.debugDescription)")
        }
    }

    @Test func onlyTokenizerFiles() {
        for name in ["tokenizer.json", "tekken.json", "o200k.tiktoken", "chat_template.jinja", "config.json"] {
            #expect(TokenizerFiles.isWanted(name), "\(name)")
        }
        for name in ["model.safetensors", "pytorch_model.bin", "original/tokenizer.model", "x/y.tiktoken", "README.md", "model.gguf"] {
            #expect(!TokenizerFiles.isWanted(name), "\(name)")
        }
    }

    @Test func addresses() throws {
        let url = try ServerURL("HTTPS://Hub.example:443/base/")
        #expect(url.text == "https://hub.example/base" && url.isEncrypted)
        #expect(url.appending("/x") == "https://hub.example/base/x")
        #expect(try url.resolving("/y?z=1").text == "https://hub.example/y?z=1")
        #expect(try url.resolving("//cdn.example/y").text == "https://cdn.example/y")
        #expect(try url.resolving("http://127.0.0.1:80/").origin == "http://127.0.0.1")
        #expect(try ServerURL("http://[::1]:80/").origin == "http://[::1]")
        // The token goes to one origin only: none of these is taken for it.
        for other in ["https://hub.example:444/", "https://hub.example.evil/", "http://hub.example/", "//hub.example:8443/"] {
            #expect(try url.resolving(other).origin != url.origin, "\(other)")
        }
        for text in ["", "x", "ftp://a", "file:///etc/passwd", "http://", "http://a@b/", "http://a b/", "http://a/\r\nx"] {
            #expect(throws: ServerURL.Problem.self, "\(text.debugDescription)") { try ServerURL(text) }
        }
    }

    private static let lock = PullLock(
        repo: "a/b", commit: String(repeating: "0a", count: 20),
        files: [
            .init(name: "tokenizer.json", sha256: String(repeating: "1f", count: 32), bytes: 7),
            .init(name: "config.json", sha256: String(repeating: "00", count: 32), bytes: 0),
        ])

    @Test func lockFileIsReadAsItIsWritten() throws {
        let read = try PullLock(json: Self.lock.json, path: "x.lock")
        #expect(read == Self.lock && read.files.map(\.name) == ["config.json", "tokenizer.json"])
        let weights = String(decoding: Self.lock.json, as: UTF8.self).replacing("config.json", with: "model.safetensors")
        #expect(throws: HubFailure.self) { try PullLock(json: Array(weights.utf8), path: "x.lock") }
    }

    @Test func brokenLockFilesAreErrors() throws {
        var random = SeededRandom(seed: 31)
        let valid = Self.lock.json
        var refused = 0
        for _ in 0..<3000 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.insert(UInt8.random(in: 0x20...0x7E, using: &random), at: at)
                }
            }
            do {
                let lock = try PullLock(json: bytes, path: "x.lock")
                #expect(RepositoryName.isCommit(lock.commit) && lock.files.allSatisfy { TokenizerFiles.isWanted($0.name) })
            } catch {
                refused += 1
                #expect(error.description.hasPrefix("x.lock: error: "))
            }
        }
        #expect(refused > 1500)
    }
}
