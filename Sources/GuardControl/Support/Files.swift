import GuardCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Whole files and standard input as bytes.
enum Files {
    struct Failure: Error, CustomStringConvertible {
        var path: String
        var reason: String
        var description: String { "\(path): error: \(reason)" }
    }

    /// - Parameter path: `-` is standard input.
    static func read(_ path: String) throws(Failure) -> [UInt8] {
        do throws(WholeFile.Failure) {
            return path == "-" ? try WholeFile.read(descriptor: STDIN_FILENO) : try WholeFile.read(path)
        } catch {
            throw Failure(path: path, reason: "\(error)")
        }
    }

    /// In place, so that links and permissions stay; a new file is readable by all.
    static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        var left = bytes[...]
        while !left.isEmpty {
            let count = left.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path) }
            left = left.dropFirst(count)
        }
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    private static func failure(_ path: String) -> Failure {
        Failure(path: path, reason: String(cString: strerror(errno)))
    }
}

/// Standard output and error, by lines of bytes.
enum Console {
    static func line(_ bytes: [UInt8]) { write(bytes + [UInt8(ascii: "\n")], to: STDOUT_FILENO) }

    static func line(_ text: String) { line(Array(text.utf8)) }

    static func write(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    static func error(_ text: String) { write(Array((text + "\n").utf8), to: STDERR_FILENO) }

    /// Lines that are written in one go of 64 KiB.
    struct Buffer {
        private var bytes: [UInt8] = []

        mutating func line(_ line: [UInt8]) {
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
            if bytes.count >= 1 << 16 { flush() }
        }

        mutating func flush() {
            Console.write(bytes, to: STDOUT_FILENO)
            bytes.removeAll(keepingCapacity: true)
        }
    }

    fileprivate static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var left = bytes[...]
        while !left.isEmpty {
            let count = left.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // A reader that went away (`| head`) ends the output, not the run.
            guard count > 0 else { return }
            left = left.dropFirst(count)
        }
    }
}
