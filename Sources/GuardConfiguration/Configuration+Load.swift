package import GuardCore
internal import GuardYAML

extension Configuration {
    /// Reads guard.yaml, the environment and flags, weakest to strongest, and checks them together.
    ///
    /// Relative paths in the file are seen from the file's folder; those from the environment and from flags from the
    /// current directory, as a shell user expects. Reads no file but guard.yaml, `tenants.known.file`, `hashKeyFile` and
    /// `admin.tokenFile`.
    ///
    /// - Parameters:
    ///   - path: guard.yaml; nil: no file, all from the environment and flags.
    ///   - environment: names that do not begin with `GUARDD_` are left alone.
    ///   - overlay: flags as dotted paths of scalars (`upstream.url`), weakest first.
    /// - Throws: every error of the run, and the warnings with them.
    package static func load(
        path: String?, environment: [String: String] = [:], overlay: [(path: String, value: String)] = []
    ) throws(Diagnostics) -> (configuration: Configuration, warnings: [Diagnostic]) {
        guard let path else {
            return try parse([], file: "configuration", folder: "", environment: environment, overlay: overlay)
        }
        let bytes: [UInt8]
        do {
            bytes = try ConfigurationFiles.read(path, maximum: YAMLLimits().bytes)
        } catch {
            throw Diagnostics([Diagnostic(file: path, error.message)])
        }
        return try parse(
            bytes, file: path, folder: ConfigurationFiles.folder(of: path), environment: environment, overlay: overlay)
    }

    /// As `load`, from bytes.
    /// - Parameters:
    ///   - file: for diagnostics.
    ///   - folder: what relative paths are seen from; empty: the current directory.
    package static func parse(
        _ bytes: [UInt8], file: String, folder: String, environment: [String: String] = [:],
        overlay: [(path: String, value: String)] = []
    ) throws(Diagnostics) -> (configuration: Configuration, warnings: [Diagnostic]) {
        let document = try YAMLDocument.parse(bytes, file: file)
        var overrides = ConfigurationOverrides()
        let root = overrides.apply(environment: environment, overlay: overlay, to: document.root)
        let problems = YAMLProblems()
        var reader = ConfigurationReader(problems: problems, folder: folder)
        reader.read(YAMLReader(root, file: file, problems))
        var all = overrides.errors + overrides.warnings + problems.list.map(overrides.place)
        // In the order of the files, so that the reader of the messages goes through each once.
        all = all.enumerated().sorted { left, right in
            (left.element.file, left.element.line, left.element.column, left.offset)
                < (right.element.file, right.element.line, right.element.column, right.offset)
        }.map(\.element)
        let result = Diagnostics(all)
        if result.hasErrors { throw result }
        return (reader.configuration, all)
    }
}
