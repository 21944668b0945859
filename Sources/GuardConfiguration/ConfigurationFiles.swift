internal import GuardCore

/// Reads the few small files that a configuration consists of.
enum ConfigurationFiles {
    struct Failure: Error { var message: String }

    /// The whole file, or pipe.
    static func read(_ path: String, maximum: Int) throws(Failure) -> [UInt8] {
        do throws(WholeFile.Failure) { return try WholeFile.read(path, maximum: maximum) } catch {
            throw Failure(message: "cannot read '\(path)': \(error)")
        }
    }

    /// `path` as seen from `folder`.
    static func resolve(_ path: String, in folder: String) -> String {
        path.hasPrefix("/") || folder.isEmpty ? path : folder + (folder.hasSuffix("/") ? "" : "/") + path
    }

    /// The folder part of a path, empty where there is none.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
