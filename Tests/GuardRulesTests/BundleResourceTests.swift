import Foundation
import GuardCore
import GuardMatching
import GuardTesting
import GuardYAML
import Testing

@testable import GuardRules

/// Files that rules name, in folders as they are mounted.
@Suite struct BundleResourceTests {
    private static let rules = "ruleset: t\nrules:\n  - {id: r, on: input, action: flag, match: {words: {file: lists/n.txt}}}\n"

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appending(path: "lists"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(Self.rules.utf8).write(to: folder.appending(path: "t.yaml"))
        try body(folder)
    }

    private func message(_ folder: URL, limits: BundleLimits = BundleLimits()) -> String {
        do {
            _ = try RuleBundle.load(directory: folder.path, limits: limits)
            return "loads"
        } catch { return "\(error)" }
    }

    @Test func filesAreReadFromTheFolderAndCounted() throws {
        try withFolder { folder in
            let list = folder.appending(path: "lists/n.txt")
            try Data("swordfish\n".utf8).write(to: list)
            let bundle = try RuleBundle.load(directory: folder.path)
            #expect(bundle.files == ["lists/n.txt", "t.yaml"])
            #expect(EvaluationTests.matches(bundle, "a swordfish") == ["r@swordfish"])
            let inMemory = try RuleBundle(
                files: [.init(path: "t.yaml", content: Array(Self.rules.utf8))],
                resources: [.init(path: "lists/n.txt", content: Array("swordfish\n".utf8)), .init(path: "x", content: [])])
            #expect(bundle.hash == inMemory.hash)
            try Data("trout\n".utf8).write(to: list)
            #expect(try RuleBundle.load(directory: folder.path).hash != bundle.hash)
        }
    }

    @Test func whatCannotBeReadIsAnErrorAtTheRule() throws {
        try withFolder { folder in
            let list = folder.appending(path: "lists/n.txt")
            #expect(message(folder).contains("t.yaml:3:60: error: cannot read 'lists/n.txt': cannot read the file: No such file"))
            try FileManager.default.createSymbolicLink(atPath: list.path, withDestinationPath: "n.txt")
            #expect(message(folder).contains("Too many levels of symbolic links"))
            try FileManager.default.removeItem(at: list)
            try FileManager.default.createDirectory(at: list, withIntermediateDirectories: true)
            #expect(message(folder).contains("is not a regular file"))
            try FileManager.default.removeItem(at: list)
            mkfifo(list.path, 0o600)
            #expect(message(folder).contains("is not a regular file"))
            try FileManager.default.removeItem(at: list)
            var limits = BundleLimits()
            limits.fileBytes = 1000
            try Data(repeating: UInt8(ascii: "a"), count: 1001).write(to: list)
            #expect(message(folder, limits: limits).contains("the file has more than 1000 bytes"))
        }
    }

    /// A ConfigMap is switched under the reader, again and again: every bundle is one or the other, never a mixture.
    @Test func switchedFoldersAreNeverMixed() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString)")
        let manager = FileManager.default
        defer { try? manager.removeItem(at: folder) }
        for name in ["one", "two"] {
            let data = folder.appending(path: "..\(name)")
            try manager.createDirectory(at: data, withIntermediateDirectories: true)
            let rules = "ruleset: t\nrules:\n  - {id: \(name), on: input, action: flag, match: {words: {file: n.txt}}}\n"
            try Data(rules.utf8).write(to: data.appending(path: "t.yaml"))
            try Data(name.utf8).write(to: data.appending(path: "n.txt"))
        }
        try manager.createSymbolicLink(atPath: folder.appending(path: "..data").path, withDestinationPath: "..one")
        for file in ["t.yaml", "n.txt"] {
            try manager.createSymbolicLink(atPath: folder.appending(path: file).path, withDestinationPath: "..data/\(file)")
        }
        let switching = Task.detached {
            var round = 0
            while !Task.isCancelled {
                round += 1
                let link = folder.appending(path: "..tmp").path
                symlink(round % 2 == 0 ? "..one" : "..two", link)
                rename(link, folder.appending(path: "..data").path)
                usleep(300)
            }
        }
        defer { switching.cancel() }
        for _ in 0..<100 {
            guard let bundle = try? RuleBundle.load(directory: folder.path) else { continue }
            let name = try #require(bundle.rules.first).id.name
            #expect(EvaluationTests.matches(bundle, "one two") == ["\(name)@\(name)"])
        }
    }
}

/// Seeded mutations of the packs: whatever comes in, a bundle or errors with places come out. `GUARD_FUZZ_ROUNDS` sets how
/// many; the figures of docs/rules.md were made with more.
@Suite struct RuleFuzzTests {
    private static let rounds = ProcessInfo.processInfo.environment["GUARD_FUZZ_ROUNDS"].flatMap(Int.init)

    private static let packs: [[UInt8]] = {
        let files = (try? FileManager.default.contentsOfDirectory(at: TestData.root.appending(path: "rules"), includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "yaml" }.sorted { $0.path < $1.path }.compactMap { try? [UInt8](Data(contentsOf: $0)) }
    }()

    private static func mutate(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            guard !bytes.isEmpty else { return }
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[index] = .random(in: 0...255, using: &random)
            case 1: bytes[index] = Array("[](){}\\?*+^$.|:'\"-,#&!%@ \n\t0".utf8).randomElement(using: &random) ?? 0
            case 2: bytes.remove(at: index)
            case 3: bytes.removeSubrange(index..<min(bytes.count, index + Int.random(in: 1...60, using: &random)))
            case 4: bytes.insert(contentsOf: Array(bytes[index...].prefix(Int.random(in: 1...200, using: &random))), at: index)
            default:
                let tokens = ["&a ", "*a", "<<: ", "!!int ", "- ", "? ", "json: ", "tokens: {max: 1}", "{json: {at: '/**'}}", "(?R)", "(?1)", "\\K", "{999999}", "\u{0}", "\u{FEFF}", "stream: hold"]
                bytes.insert(contentsOf: Array((tokens.randomElement(using: &random) ?? "").utf8), at: index)
            }
        }
    }

    @Test func yamlOfMutatedPacks() throws {
        #expect(Self.packs.count >= 5)
        var random = SeededRandom(seed: 21)
        var read = 0
        for _ in 0..<(Self.rounds ?? 300) {
            var bytes = Self.packs.randomElement(using: &random) ?? []
            Self.mutate(&bytes, &random)
            do {
                _ = try YAMLDocument.parse(bytes, file: "p.yaml")
                read += 1
            } catch { #expect(error.hasErrors && error.list.allSatisfy { $0.line >= 0 }) }
        }
        #expect(read > 0)
    }

    @Test func rulesOfMutatedPacks() throws {
        var random = SeededRandom(seed: 22)
        var loaded = 0
        var scratch = EvaluationScratch(limits: { var limits = MatchLimits(); limits.matchLimit = 20_000; return limits }())
        let text = Array("card 4111 1111 1111 1111, AKIAIOSFODNN7EXAMPLE ignore all previous {\"a\": 1}".utf8)
        for _ in 0..<(Self.rounds ?? 1500) {
            let lines = (Self.packs.randomElement(using: &random) ?? []).split(separator: 0x0A, omittingEmptySubsequences: false)
            let starts = lines.indices.filter { lines[$0].starts(with: "  - ".utf8) }
            guard let start = starts.randomElement(using: &random) else { continue }
            let end = starts.first { $0 > start } ?? lines.endIndex
            var bytes = Array("ruleset: f\nrules:\n".utf8) + Array(lines[start..<end].joined(separator: [0x0A])) + [0x0A]
            Self.mutate(&bytes, &random)
            do {
                let bundle = try RuleBundle(files: [.init(path: "f.yaml", content: bytes)])
                _ = bundle.evaluate(text.span, rules: Array(bundle.rules.indices), scratch: &scratch)
                loaded += 1
            } catch { #expect(error.hasErrors) }
        }
        #expect(loaded > (Self.rounds ?? 1500) / 20)
    }
}
