#if canImport(Glibc)
    import Glibc
#endif

/// The process's environment as a value.
enum Environment {
    static var all: [String: String] {
        var all: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text)
            if let mark = pair.firstIndex(of: "=") {
                all[String(pair[..<mark])] = String(pair[pair.index(after: mark)...])
            }
            entry += 1
        }
        return all
    }
}
