import Glibc

/// What a folder's files look like from outside; differs once one of them was written, added or taken away.
struct FolderStamp: Equatable {
    private struct File: Equatable {
        var node: UInt
        var bytes: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private static let filesMax = 20_000
    private var files: [String: File] = [:]

    /// Links are followed, as in a mounted ConfigMap; dot names are not read.
    init(of path: String, depth: Int = 16) { add(path, depth) }

    private mutating func add(_ path: String, _ depth: Int) {
        var status = stat()
        guard files.count < Self.filesMax, stat(path, &status) == 0 else { return }
        files[path] = File(
            node: UInt(status.st_ino), bytes: Int(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
        guard status.st_mode & S_IFMT == S_IFDIR, depth > 0, let folder = opendir(path) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { add(path + "/" + name, depth - 1) }
        }
    }
}
