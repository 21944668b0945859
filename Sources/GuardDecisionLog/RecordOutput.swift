private import Glibc

/// Where a sink writes. Called by the sink's thread only.
protocol RecordOutput: AnyObject, Sendable {
    /// Writes the whole line, or throws; what was written of a line that failed must not stay.
    func write(_ line: [UInt8]) throws(OutputError)
    /// How many bytes of several records one write may hold: 0 where a write that throws may leave something behind.
    var groupBytesMax: Int { get }
    func reopen()
    /// The last bytes that stand there, to continue a chain.
    func tail() -> [UInt8]
}

struct OutputError: Error, Sendable {
    var errno: Int32
    /// Whether trying again later can help (a full disk), or the record is lost.
    var isTemporary: Bool
}

/// Standard output. SIGPIPE is ignored by the process; a reader that went away gives EPIPE here.
final class StandardOutput: RecordOutput {
    private let descriptor: Int32

    init(descriptor: Int32 = STDOUT_FILENO) { self.descriptor = descriptor }

    let groupBytesMax = 0

    func write(_ line: [UInt8]) throws(OutputError) {
        _ = try writeAll(line, to: descriptor)
    }

    func reopen() {}

    func tail() -> [UInt8] { [] }
}

/// Writes until all is written. Returns the count; throws with what `write` said.
private func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(OutputError) -> Int {
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
        if count >= 0 {
            done += count
        } else if errno == EAGAIN || errno == EWOULDBLOCK {
            // A descriptor that somebody else made non-blocking.
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = Glibc.poll(&poll, 1, 100)
        } else if errno != EINTR {
            throw OutputError(errno: errno, isTemporary: errno == ENOSPC || errno == EDQUOT || errno == EIO)
        }
    }
    return done
}

/// A file that is appended to and rotated by size.
///
/// Unchecked `Sendable`: its state is touched by the sink's thread only.
final class FileOutput: RecordOutput, @unchecked Sendable {
    private let path: String
    private let rotateBytes: Int?
    private let keep: Int
    private var descriptor: Int32 = -1
    private var size = 0

    init(path: String, rotateBytes: Int?, keep: Int) {
        self.path = path
        self.rotateBytes = rotateBytes
        self.keep = max(1, keep)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Half of the room before the next rotation: the chain makes lines longer than their records.
    var groupBytesMax: Int { min(65_536, rotateBytes.map { max(0, $0 - size) / 2 } ?? .max) }

    func open() throws(OutputError) {
        guard descriptor < 0 else { return }
        descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw OutputError(errno: errno, isTemporary: true) }
        var status = stat()
        size = fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    func write(_ line: [UInt8]) throws(OutputError) {
        try open()
        if let rotateBytes, size > 0, size + line.count > rotateBytes {
            try rotate()
            try open()
        }
        let before = size
        do {
            size += try writeAll(line, to: descriptor)
        } catch {
            // Half a line must not stay: it would break the next one.
            _ = ftruncate(descriptor, off_t(before))
            throw error
        }
    }

    /// `path` becomes `path.1`, that one `path.2` ...; the oldest of `keep` goes.
    private func rotate() throws(OutputError) {
        for number in stride(from: keep - 1, through: 1, by: -1) {
            _ = rename("\(path).\(number)", "\(path).\(number + 1)")
        }
        _ = unlink("\(path).\(keep + 1)")
        guard rename(path, "\(path).1") == 0 else { throw OutputError(errno: errno, isTemporary: true) }
        reopen()
    }

    func reopen() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        size = 0
    }

    func tail() -> [UInt8] {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        let end = lseek(file, 0, SEEK_END)
        let count = min(Int(end), 1 << 20)
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        let read = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress, count, end - off_t(count)) }
        return Array(bytes.prefix(max(0, read)))
    }
}
