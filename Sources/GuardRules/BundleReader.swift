internal import Glibc
internal import GuardCore

/// Bounds of what is read from a policy folder.
package struct BundleLimits: Sendable {
    package var files = 10_000
    /// Bytes of one file.
    package var fileBytes = 16 << 20
    /// Bytes of all files.
    package var totalBytes = 128 << 20
    /// Folders in folders.
    package var depth = 16

    package init() {}
}

/// Finds and reads the files of a policy folder.
///
/// Links are followed, because a mounted ConfigMap is made of them (`pii.yaml -> ..data/pii.yaml`, `..data ->
/// ..2027_01_01_…`); names that begin with a dot are not read by themselves, so each file counts once. A folder that is
/// reached again from within itself is a loop and an error. If `..data` is switched while the files are being read,
/// reading begins again: a bundle is never half old, half new.
struct BundleReader {
    var limits: BundleLimits

    private struct Found {
        var path: String
        var fullPath: String
    }

    private struct FolderID: Hashable {
        var device: UInt
        var node: UInt
    }

    /// Rule files of the folder, sorted by path.
    func ruleFiles(_ directory: String) throws(Diagnostics) -> [RuleBundle.File] {
        try read(directory) { name, isFolder, _ in
            isFolder ? name != "tests" : name.hasSuffix(".yaml") || name.hasSuffix(".yml")
        }
    }

    /// Case files: those below a folder `tests`.
    func caseFiles(_ directory: String) throws(Diagnostics) -> [RuleBundle.File] {
        try read(directory) { name, isFolder, path in
            isFolder
                || (name.hasSuffix(".yaml") || name.hasSuffix(".yml"))
                    && (path.hasPrefix("tests/") || path.contains("/tests/"))
        }
    }

    /// A file that a rule names, by its path in the folder.
    func resource(_ path: String, _ directory: String) throws(BundleResources.Problem) -> RuleBundle.File {
        let fullPath = directory.hasSuffix("/") ? directory + path : directory + "/" + path
        var problems: [Diagnostic] = []
        guard let content = content(fullPath, &problems) else {
            throw BundleResources.Problem(message: problems.first?.message ?? "cannot read the file")
        }
        return RuleBundle.File(path: path, content: content, shownAs: fullPath)
    }

    /// Reads again, a few times, where `..data` was switched meanwhile: what was read then is half old, half new, and
    /// what failed may only have failed because of that.
    func whileUnchanged<Result>(
        _ directory: String, _ read: () throws(Diagnostics) -> Result
    ) throws(Diagnostics) -> Result {
        for _ in 0..<4 {
            let before = linkTarget(directory + "/..data")
            do {
                let result = try read()
                if before == linkTarget(directory + "/..data") { return result }
            } catch {
                if before == linkTarget(directory + "/..data") { throw error }
            }
        }
        return try read()
    }

    private func read(
        _ directory: String, _ isWanted: (_ name: String, _ isFolder: Bool, _ path: String) -> Bool
    ) throws(Diagnostics) -> [RuleBundle.File] {
        var attempt = 0
        while true {
            attempt += 1
            let before = linkTarget(directory + "/..data")
            var problems: [Diagnostic] = []
            var found: [Found] = []
            walk(directory, "", isWanted, [], &found, &problems)
            var files: [RuleBundle.File] = []
            var total = 0
            if problems.isEmpty {
                found.sort { Array($0.path.utf8).lexicographicallyPrecedes(Array($1.path.utf8)) }
                for entry in found {
                    guard let content = content(entry.fullPath, &problems) else { continue }
                    total += content.count
                    guard total <= limits.totalBytes else {
                        problems.append(
                            Diagnostic(file: directory, "the files have more than \(limits.totalBytes) bytes together"))
                        break
                    }
                    files.append(RuleBundle.File(path: entry.path, content: content, shownAs: entry.fullPath))
                }
            }
            if before != linkTarget(directory + "/..data"), attempt < 5 { continue }
            guard problems.isEmpty else { throw Diagnostics(problems) }
            return files
        }
    }

    private func walk(
        _ folder: String, _ prefix: String, _ isWanted: (String, Bool, String) -> Bool, _ above: [FolderID],
        _ found: inout [Found], _ problems: inout [Diagnostic]
    ) {
        var status = stat()
        guard stat(folder, &status) == 0 else {
            problems.append(Diagnostic(file: folder, "cannot read the folder: \(reason())"))
            return
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            problems.append(Diagnostic(file: folder, "is not a folder"))
            return
        }
        let id = FolderID(device: UInt(status.st_dev), node: UInt(status.st_ino))
        guard !above.contains(id) else {
            problems.append(Diagnostic(file: folder, "is a link to a folder that holds it: a loop"))
            return
        }
        guard above.count < limits.depth else {
            problems.append(Diagnostic(file: folder, "folders are nested deeper than \(limits.depth)"))
            return
        }
        guard let stream = opendir(folder) else {
            problems.append(Diagnostic(file: folder, "cannot read the folder: \(reason())"))
            return
        }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
            if names.count > limits.files { break }
        }
        closedir(stream)
        guard names.count <= limits.files else {
            problems.append(Diagnostic(file: folder, "more than \(limits.files) files"))
            return
        }
        for name in names.sorted() {
            let path = prefix + name
            let fullPath = folder.hasSuffix("/") ? folder + name : folder + "/" + name
            guard stat(fullPath, &status) == 0 else {
                // A broken link, or a file that vanished: what should be a rule file must not be passed over.
                if isWanted(name, false, path) {
                    problems.append(Diagnostic(file: fullPath, "cannot read the file: \(reason())"))
                }
                continue
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                if isWanted(name, true, path) {
                    walk(fullPath, path + "/", isWanted, above + [id], &found, &problems)
                }
            } else if isWanted(name, false, path) {
                found.append(Found(path: path, fullPath: fullPath))
            }
            guard found.count <= limits.files, problems.count < 100 else {
                if problems.count < 100 {
                    problems.append(Diagnostic(file: folder, "more than \(limits.files) files"))
                }
                return
            }
        }
    }

    private func content(_ path: String, _ problems: inout [Diagnostic]) -> [UInt8]? {
        do throws(WholeFile.Failure) {
            return try WholeFile.read(path, maximum: limits.fileBytes, isRegular: true)
        } catch {
            let message =
                switch error {
                case .unreadable(let reason): "cannot read the file: \(reason)"
                case .notRegular: "is not a regular file"
                case .tooLarge(let maximum): "the file has more than \(maximum) bytes"
                }
            problems.append(Diagnostic(file: path, message))
            return nil
        }
    }

    private func linkTarget(_ path: String) -> [CChar]? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        return count >= 0 ? Array(buffer[..<count]) : nil
    }

    private func reason() -> String { String(cString: strerror(errno)) }
}
