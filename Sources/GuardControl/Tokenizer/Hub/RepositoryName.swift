/// `REPO[@revision]` of a hub: `owner/name` (or only `name`, as old models have), at a branch, tag or commit.
struct RepositoryName: Sendable, Hashable {
    var name: String
    /// `nil`: the hub's `main`, or the lock's commit.
    var revision: String?

    init(_ text: String) throws(HubFailure) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        name = String(parts[0])
        revision = parts.count > 1 ? String(parts[1]) : nil
        let segments = name.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(segments.count), segments.allSatisfy(Self.isPlain) else {
            throw HubFailure(subject: text, reason: "is no repository: OWNER/NAME[@REVISION] is wanted")
        }
        if let revision {
            // Branches may have slashes.
            let segments = revision.split(separator: "/", omittingEmptySubsequences: false)
            guard segments.allSatisfy(Self.isPlain) else {
                throw HubFailure(subject: text, reason: "'\(revision)' is no revision")
            }
        }
    }

    /// One segment of a path that stays where it is and needs no escapes in a URL.
    static func isPlain(_ segment: some StringProtocol) -> Bool {
        !segment.isEmpty && segment != "." && segment != ".." && segment.utf8.count <= 200
            && segment.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || "._-".utf8.contains($0)
            }
    }

    static func isCommit(_ text: String) -> Bool { isHex(text, count: 40) }
    static func isSHA256(_ text: String) -> Bool { isHex(text, count: 64) }

    private static func isHex(_ text: String, count: Int) -> Bool {
        text.utf8.count == count && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }
}

/// Which files of a repository are pulled: what tokenizers, templates and counting are read from, never weights.
enum TokenizerFiles {
    private static let vocabularies = [
        "tokenizer.json", "tekken.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt",
    ]
    private static let others = [
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
        "chat_template.json", "generation_config.json", "config.json",
    ]

    static func isVocabulary(_ name: String) -> Bool {
        vocabularies.contains(name) || name.hasSuffix(".tiktoken") && !name.contains("/")
    }

    static func isWanted(_ name: String) -> Bool { isVocabulary(name) || others.contains(name) }
}
