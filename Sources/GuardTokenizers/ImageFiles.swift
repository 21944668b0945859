/// The files that a model was made of: name, SHA-256 and size of each, and the content of those that are read at load.
extension ImageWriter {
    mutating func write(_ files: [ModelFile], hasTemplates: Bool) {
        write(hasTemplates)
        write(files.count)
        for file in files {
            write(file.role.rawValue)
            write(file.name)
            write(file.sha256)
            write(file.bytesCount)
            write(file.content != nil)
            if let content = file.content { write(content) }
        }
    }
}

extension ImageReader {
    /// - Throws: also where a content does not have the hash that stands beside it.
    mutating func files() throws(TokenizerError) -> (files: [ModelFile], hasTemplates: Bool) {
        let hasTemplates = try flag()
        var files: [ModelFile] = []
        for _ in 0..<(try count(max: ModelFile.Role.allCases.count)) {
            guard let role = ModelFile.Role(rawValue: try number()), !files.contains(where: { $0.role == role }) else {
                throw broken()
            }
            let name = try text()
            let sha256 = try text()
            let bytesCount = try count(max: FileBytes.bytesMax)
            let start = at
            let content = try flag() ? try byteString() : nil
            if let content, content.count != bytesCount || ModelFile.sha256(content) != sha256 {
                at = start
                throw broken()
            }
            files.append(ModelFile(role: role, name: name, sha256: sha256, bytesCount: bytesCount, content: content))
        }
        guard at == bytes.count, files.first?.role == .vocabulary else { throw broken() }
        return (files, hasTemplates)
    }
}
