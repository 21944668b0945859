#if canImport(Glibc)
    import Glibc
#endif

/// The folder that files are pulled into. They are written beside it first; only whole files are renamed into it, when
/// all are there.
struct TargetFolder: Sendable {
    var path: String

    /// - Parameter names: files of an earlier pull that are no more.
    func replace(_ files: [(name: String, bytes: [UInt8])], removing names: [String]) throws(HubFailure) {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let temporary = trimmed + ".\(getpid()).tmp"
        guard mkdir(temporary, 0o755) == 0 else { throw Self.failure(temporary) }
        var left = files.map { temporary + "/" + $0.name }
        defer {
            for path in left { unlink(path) }
            rmdir(temporary)
        }
        for file in files { try Self.writePlain(file.bytes, to: temporary + "/" + file.name) }
        var status = stat()
        if stat(trimmed, &status) != 0 {
            guard rename(temporary, trimmed) == 0 else { throw Self.failure(trimmed) }
            left = []
            return
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw HubFailure(subject: trimmed, reason: "is no folder") }
        for file in files {
            guard rename(temporary + "/" + file.name, trimmed + "/" + file.name) == 0 else {
                throw Self.failure(trimmed + "/" + file.name)
            }
            left.removeFirst()
        }
        for name in names { unlink(trimmed + "/" + name) }
    }

    fileprivate static func writePlain(_ bytes: [UInt8], to path: String) throws(HubFailure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure(path) }
        var isWritten = true
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count, let base = buffer.baseAddress {
                let put = Glibc.write(descriptor, base + done, buffer.count - done)
                if put < 0 && errno == EINTR { continue }
                guard put > 0 else {
                    isWritten = false
                    return
                }
                done += put
            }
        }
        isWritten = fsync(descriptor) == 0 && isWritten
        guard close(descriptor) == 0, isWritten else {
            let failure = failure(path)
            unlink(path)
            throw failure
        }
    }

    fileprivate static func failure(_ path: String) -> HubFailure {
        HubFailure(subject: path, reason: String(cString: strerror(errno)))
    }
}

/// A file that is written beside its place and appears there as a whole, or not at all.
struct StagedFile: Sendable {
    private let path: String
    private let temporary: String

    init(_ bytes: [UInt8], for path: String) throws(HubFailure) {
        self.path = path
        temporary = path + ".\(getpid()).tmp"
        try TargetFolder.writePlain(bytes, to: temporary)
    }

    func commit() throws(HubFailure) {
        guard rename(temporary, path) == 0 else { throw TargetFolder.failure(path) }
    }

    func discard() { unlink(temporary) }
}
