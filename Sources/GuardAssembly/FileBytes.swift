package import GuardCore
import Glibc

/// Reads small files whole, with errors that name the file.
package enum FileBytes {
    /// - Returns: `absent` where there is no such file.
    package static func read(
        _ path: String, ifAbsent absent: [UInt8]?, bytesMax: Int = 64 << 20
    ) throws(Diagnostic) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return absent }
            throw Diagnostic(file: path, "cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Diagnostic(file: path, "cannot be read: \(String(cString: strerror(errno)))")
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            if bytes.count > bytesMax { throw Diagnostic(file: path, "is larger than \(bytesMax) bytes") }
        }
    }
}
