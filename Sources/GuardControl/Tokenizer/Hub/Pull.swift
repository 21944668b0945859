import GuardCore
import GuardTokenizers

/// Pulls the tokenizer files of a repository: all of them, as pinned, or nothing.
struct Pull: Sendable {
    var repository: RepositoryName
    var target: String
    var lockPath: String
    /// SHA-256 by file name, from the command line.
    var pins: [String: String]
    /// Whether a lock that says otherwise is written anew.
    var updates: Bool

    struct Outcome: Sendable {
        var lock: PullLock
        /// Whether there was a lock before, which this pull met.
        var wasLocked: Bool
    }

    func run(_ hub: HubClient) async throws -> Outcome {
        let known = try lock()
        if let known, !updates { try check(known) }
        let revision = known.flatMap { updates ? nil : $0.commit } ?? repository.revision ?? "main"
        let listing = try await hub.listing(repository, revision: revision)
        if let known, !updates, listing.commit != known.commit {
            throw HubFailure(
                subject: lockPath, reason: "locked to commit \(known.commit), the hub gives \(listing.commit)")
        }
        let names = try wanted(listing, known)
        var contents: [(name: String, bytes: [UInt8])] = []
        var total = 0
        for name in names {
            let bytes = try await hub.content(repository, commit: listing.commit, file: name)
            total += bytes.count
            guard total <= HubClient.totalBytesMax else {
                throw HubFailure(subject: name, reason: "more than \(HubClient.totalBytesMax) bytes in all")
            }
            let sha256 = ModelFile.sha256(bytes)
            if let pin = pins[name], pin != sha256 {
                throw HubFailure(subject: name, reason: "SHA-256 is \(sha256), --sha256 wants \(pin)")
            }
            if !updates, let file = known?.files.first(where: { $0.name == name }), file.sha256 != sha256 {
                throw HubFailure(subject: name, reason: "SHA-256 is \(sha256), \(lockPath) wants \(file.sha256)")
            }
            contents.append((name, bytes))
        }
        let lock = PullLock(
            repo: repository.name, commit: listing.commit,
            files: contents.map { .init(name: $0.name, sha256: ModelFile.sha256($0.bytes), bytes: $0.bytes.count) })
        let stale = Set(known?.files.map(\.name) ?? []).subtracting(names)
        // A lock within the folder comes with it; one elsewhere is ready before the folder changes.
        if lockPath == target + "/" + PullLock.defaultName {
            contents.append((PullLock.defaultName, lock.json))
            try TargetFolder(path: target).replace(contents, removing: stale.sorted())
        } else {
            let staged = try StagedFile(lock.json, for: lockPath)
            defer { staged.discard() }
            try TargetFolder(path: target).replace(contents, removing: stale.sorted())
            try staged.commit()
        }
        return Outcome(lock: lock, wasLocked: known != nil && !updates)
    }

    private func lock() throws(HubFailure) -> PullLock? {
        guard Files.exists(lockPath) else { return nil }
        do {
            return try PullLock(json: try Files.read(lockPath), path: lockPath)
        } catch let failure as HubFailure {
            throw failure
        } catch {
            throw HubFailure(subject: lockPath, reason: "\(error)")
        }
    }

    /// What is asked for must be what is locked, before anything is asked of the hub.
    private func check(_ lock: PullLock) throws(HubFailure) {
        guard lock.repo == repository.name else {
            throw HubFailure(
                subject: lockPath, reason: "locks \(lock.repo), not \(repository.name): give another --lock, or --update")
        }
        if let revision = repository.revision, RepositoryName.isCommit(revision), revision != lock.commit {
            throw HubFailure(
                subject: lockPath, reason: "locked to commit \(lock.commit), asked for \(revision): give --update")
        }
        for (name, pin) in pins {
            if let file = lock.files.first(where: { $0.name == name }), file.sha256 != pin {
                throw HubFailure(subject: lockPath, reason: "\(name) is locked to \(file.sha256), --sha256 wants \(pin)")
            }
        }
    }

    private func wanted(_ listing: HubClient.Listing, _ known: PullLock?) throws(HubFailure) -> [String] {
        let found = Set(listing.files.filter(TokenizerFiles.isWanted))
        if let known, !updates {
            for file in known.files where !listing.files.contains(file.name) {
                throw HubFailure(subject: file.name, reason: "is locked, but the hub does not list it")
            }
            return known.files.map(\.name)
        }
        guard found.contains(where: TokenizerFiles.isVocabulary) else {
            throw HubFailure(
                subject: repository.name, reason: "has no tokenizer file (\(listing.files.count) files are listed)")
        }
        for name in pins.keys.sorted() where !found.contains(name) {
            throw HubFailure(subject: name, reason: "is pinned, but the repository has no such tokenizer file")
        }
        return found.sorted()
    }
}
