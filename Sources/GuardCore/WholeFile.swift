#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// Reads whole files into memory, bounded.
package enum WholeFile {
    package enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// The system's words.
        case unreadable(String)
        case notRegular
        case tooLarge(maximum: Int)

        package var description: String {
            switch self {
            case .unreadable(let reason): reason
            case .notRegular: "not a regular file"
            case .tooLarge(let maximum): "more than \(maximum) bytes"
            }
        }
    }

    /// - Parameters:
    ///   - maximum: bytes; more are a failure, so that a device without end is one.
    ///   - isRegular: pipes, devices and folders are refused, and none is waited for.
    package static func read(
        _ path: String, maximum: Int = .max, isRegular: Bool = false
    ) throws(Failure) -> [UInt8] {
        // Opening a pipe would wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | (isRegular ? O_NONBLOCK : 0))
        guard descriptor >= 0 else { throw .system }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system }
        guard !isRegular || status.st_mode & S_IFMT == S_IFREG else { throw .notRegular }
        return try read(descriptor, maximum: maximum, expected: Int(status.st_size))
    }

    /// To the end.
    package static func read(
        descriptor: Int32, maximum: Int = .max
    ) throws(Failure) -> [UInt8] { try read(descriptor, maximum: maximum, expected: 0) }

    private static func read(
        _ descriptor: Int32, maximum: Int, expected: Int
    ) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(max(0, expected), maximum))
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // By name of the C library, for this type has a `read` too.
            #if canImport(Glibc)
                let count = Glibc.read(descriptor, &chunk, chunk.count)
            #else
                let count = Musl.read(descriptor, &chunk, chunk.count)
            #endif
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system }
            if count == 0 { return bytes }
            guard count <= maximum - bytes.count else { throw .tooLarge(maximum: maximum) }
            bytes += chunk[..<count]
        }
    }
}

extension WholeFile.Failure {
    /// What the last call of the system failed for.
    fileprivate static var system: Self { .unreadable(String(cString: strerror(errno))) }
}
