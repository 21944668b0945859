internal import GuardCore
internal import GuardYAML

/// Values from the environment and from flags, laid over the file's tree before it is read, so that one reader with one
/// set of checks sees them all.
///
/// A node from an override carries `-number` as its line; `place` turns that back into the override's name, so a wrong
/// value is reported as `environment GUARDD_LIMITS__JSON_DEPTH: error: …`.
struct ConfigurationOverrides {
    /// The scalars outside lists: what the environment and flags can set, as dotted paths of guard.yaml.
    static let paths = [
        "mode",
        "listen.data", "listen.health", "listen.admin",
        "upstream.url", "upstream.api", "upstream.model", "upstream.connectTimeout", "upstream.firstByteTimeout",
        "upstream.streamIdleTimeout", "upstream.idleTimeout",
        "unknownModel",
        "tenants.hashKeyFile", "tenants.known.file",
        "store.kind", "store.onOutage", "store.ledgersMax",
        "policy.path", "policy.mode", "policy.failure", "policy.blockStatus", "policy.onBlock",
        "policy.verdictCacheBytes",
        "unknownFields",
        "limits.bodyBytes", "limits.responseBytes", "limits.headerBytes", "limits.jsonDepth", "limits.bodyTimeout",
        "limits.holdBytes", "limits.bufferedBytes",
        "drain.delay", "drain.timeout",
        "admin.tokenFile",
    ]
    /// Lists: known, but not to be set as one string.
    static let lists = ["models", "tenants.from", "tenants.known", "budgets", "decisionLog.sinks", "routes"]
    static let prefix = "GUARDD_"
    /// Read by `guardd` itself.
    static let foreign = ["GUARDD_CONFIG"]

    private(set) var sources: [String] = []
    private(set) var warnings: [Diagnostic] = []
    private(set) var errors: [Diagnostic] = []

    /// - Parameter overlay: flags, weakest first.
    mutating func apply(
        environment: [String: String], overlay: [(path: String, value: String)], to root: YAMLNode
    ) -> YAMLNode {
        var root = root
        if root.isNull { root = YAMLNode(kind: .mapping([]), line: root.line, column: root.column) }
        // Sorted: the same environment gives the same messages in the same order.
        var seen: [String: String] = [:]
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix(Self.prefix) {
            if Self.foreign.contains(name) || Self.isServiceLink(name, value) { continue }
            let source = "environment \(name)"
            guard let path = Self.paths.first(where: { Self.key($0) == Self.key(environment: name) }) else {
                warnings.append(Diagnostic(.warning, file: source, unknownEnvironment(name)))
                continue
            }
            if let before = seen[path] {
                errors.append(Diagnostic(file: source, "sets \(path), as \(before) does"))
                continue
            }
            seen[path] = name
            set(path, value, source, in: &root)
        }
        for (path, value) in overlay {
            let source = "option \(path)"
            guard Self.paths.contains(path) else {
                let message =
                    Self.lists.contains(path)
                    ? "'\(path)' is a list and can only be set in the file"
                    : "unknown setting '\(path)'" + LikelyMeant.suffix(path, among: Self.paths)
                errors.append(Diagnostic(file: source, message))
                continue
            }
            set(path, value, source, in: &root)
        }
        return root
    }

    /// A diagnostic about an override's node, with the override in place of the file.
    func place(_ diagnostic: Diagnostic) -> Diagnostic {
        guard diagnostic.line < 0 else { return diagnostic }
        var diagnostic = diagnostic
        let number = -diagnostic.line - 1
        diagnostic.file = number < sources.count ? sources[number] : diagnostic.file
        diagnostic.line = 0
        diagnostic.column = 0
        return diagnostic
    }

    private mutating func set(_ path: String, _ value: String, _ source: String, in root: inout YAMLNode) {
        sources.append(source)
        let line = -sources.count
        let parts = path.split(separator: ".").map(String.init)
        let scalar = YAMLNode(kind: .scalar(YAMLScalar(text: value, style: .plain)), line: line, column: 0)
        Self.set(parts[...], scalar, in: &root)
    }

    private static func set(_ path: ArraySlice<String>, _ scalar: YAMLNode, in node: inout YAMLNode) {
        guard let key = path.first else {
            node = scalar
            return
        }
        // Anything but a mapping on the way (a list of known tenants, a wrong type) gives way: the override is stronger.
        var entries: [YAMLNode.Entry] = []
        if case .mapping(let old) = node.kind {
            entries = old
        } else {
            node.line = scalar.line
            node.column = 0
        }
        let empty = YAMLNode(kind: .mapping([]), line: scalar.line, column: 0)
        let place =
            entries.firstIndex { $0.key == key }
            ?? {
                entries.append(YAMLNode.Entry(key: key, keyLine: scalar.line, keyColumn: 0, value: empty))
                return entries.count - 1
            }()
        set(path.dropFirst(), scalar, in: &entries[place].value)
        node.kind = .mapping(entries)
    }

    // MARK: names

    /// `GUARDD_UPSTREAM__CONNECT_TIMEOUT` and `GUARDD_UPSTREAM__CONNECTTIMEOUT` are `upstream.connectTimeout`: two
    /// underscores for the dot, single ones wherever they help to read.
    private static func key(environment name: String) -> String {
        var key = ""
        var underscores = 0
        for scalar in name.dropFirst(prefix.count).lowercased().unicodeScalars {
            if scalar == "_" {
                underscores += 1
                if underscores == 2 { key += "." }
                continue
            }
            underscores = 0
            key.unicodeScalars.append(scalar)
        }
        return key
    }

    private static func key(_ path: String) -> String { path.lowercased() }

    /// `GUARDD_UPSTREAM__CONNECT_TIMEOUT` of `upstream.connectTimeout`.
    static func environmentName(_ path: String) -> String {
        var name = prefix
        for scalar in path.unicodeScalars {
            if scalar == "." {
                name += "__"
            } else {
                if scalar.properties.isUppercase { name += "_" }
                name += String(scalar).uppercased()
            }
        }
        return name
    }

    private func unknownEnvironment(_ name: String) -> String {
        let key = Self.key(environment: name)
        if Self.lists.contains(where: { Self.key($0) == key }) {
            return "ignored: a list can only be set in the file"
        }
        guard let near = LikelyMeant.name(for: key, among: Self.paths.map { Self.key($0) }),
            let path = Self.paths.first(where: { Self.key($0) == near })
        else { return "ignored: no such setting" }
        return "ignored: no such setting; did you mean '\(Self.environmentName(path))'?"
    }

    /// What Kubernetes sets for a service whose name begins with `guardd`: `GUARDD_PORT=tcp://10.0.0.1:8080`,
    /// `GUARDD_SERVICE_HOST`, `GUARDD_PORT_8080_TCP_ADDR` …
    private static func isServiceLink(_ name: String, _ value: String) -> Bool {
        guard !name.contains("__") else { return false }
        let words = name.split(separator: "_").map(String.init)
        if name.hasSuffix("_SERVICE_HOST") || name.hasSuffix("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
            return true
        }
        guard let port = words.lastIndex(of: "PORT"), port > 0 else { return false }
        let rest = words[(port + 1)...]
        if rest.isEmpty {
            // `…_PORT_8080_TCP_PORT=8080` ends with the same word.
            let protocols = ["TCP", "UDP", "SCTP"]
            if port >= 3, protocols.contains(words[port - 1]), Int(words[port - 2]) != nil { return true }
            return ["tcp://", "udp://", "sctp://"].contains { value.hasPrefix($0) }
        }
        guard let number = rest.first, Int(number) != nil, rest.count >= 2, rest.count <= 3 else { return false }
        return ["TCP", "UDP", "SCTP"].contains(rest[rest.startIndex + 1])
            && (rest.count == 2 || ["PROTO", "PORT", "ADDR"].contains(rest[rest.startIndex + 2]))
    }
}
