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

    /// Writes a file that appears as a whole or not at all.
    static func write(_ bytes: [UInt8], to path: String) throws(HubFailure) {
        let temporary = path + ".\(getpid()).tmp"
        try writePlain(bytes, to: temporary)
        guard rename(temporary, path) == 0 else {
            let failure = failure(path)
            unlink(temporary)
            throw failure
        }
    }

    private static func writePlain(_ bytes: [UInt8], to path: String) throws(HubFailure) {
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

    private static func failure(_ path: String) -> HubFailure {
        HubFailure(subject: path, reason: String(cString: strerror(errno)))
    }
}
