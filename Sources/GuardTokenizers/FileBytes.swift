import Glibc
import GuardCore

/// Reads whole files, without Foundation.
enum FileBytes {
    /// Larger than any real tokenizer file by a factor of ten.
    static let bytesMax = 256 << 20

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Names in a folder, sorted.
    static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            names.append(name)
        }
        return names.sorted()
    }

    /// Whether the file's first bytes are these. A shorter file does not begin with them.
    static func begins(_ path: String, with magic: [UInt8]) throws(TokenizerError) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TokenizerError(.unreadable, file: path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var head = [UInt8](repeating: 0, count: magic.count)
        return pread(descriptor, &head, head.count, 0) == head.count && head == magic
    }

    static func read(_ path: String) throws(TokenizerError) -> [UInt8] {
        do throws(WholeFile.Failure) { return try WholeFile.read(path, maximum: bytesMax, isRegular: true) } catch {
            if case .tooLarge = error { throw TokenizerError(.limitExceeded, file: path, "\(error)") }
            throw TokenizerError(.unreadable, file: path, "\(error)")
        }
    }

    /// What a vocabulary is read from: the whole file, of a GGUF file only its metadata. Those have up to hundreds of
    /// gigabytes of tensors behind it, so they are read from the front until the metadata is complete.
    static func readVocabulary(_ path: String) throws(TokenizerError) -> [UInt8] {
        guard try begins(path, with: GGUFMetadata.magic) else { return try read(path) }
        var wanted = 8 << 20
        while true {
            let (bytes, size) = try head(path, atMost: wanted)
            do {
                return Array(bytes[..<(try GGUFMetadata(bytes).end)])
            } catch {
                switch error {
                case .broken(let error): throw error.inFile(path)
                case .cutOff where bytes.count < size && wanted < GGUFMetadata.bytesMax:
                    wanted = min(wanted * 4, GGUFMetadata.bytesMax)
                case .cutOff(let at):
                    let code = bytes.count < size ? TokenizerError.Code.limitExceeded : .malformed
                    throw TokenizerError(
                        code, file: path, place: "byte \(at)", "the metadata is not complete after \(bytes.count) bytes"
                    )
                }
            }
        }
    }

    /// The first bytes of a file, and its size.
    private static func head(
        _ path: String, atMost limit: Int
    ) throws(TokenizerError) -> (bytes: [UInt8], size: Int) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TokenizerError(.unreadable, file: path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw TokenizerError(.unreadable, file: path, "not a regular file")
        }
        let wanted = min(Int(status.st_size), limit)
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            while count < wanted, let base = buffer.baseAddress {
                let got = Glibc.read(descriptor, base + count, wanted - count)
                if got < 0 && errno == EINTR { continue }
                if got <= 0 { break }
                count += got
            }
        }
        guard bytes.count == wanted else {
            throw TokenizerError(.unreadable, file: path, "could not be read to its end")
        }
        return (bytes, Int(status.st_size))
    }
}
