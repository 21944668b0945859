internal import GuardBudgets
internal import GuardCore
internal import GuardYAML

/// Reads the tree of guard.yaml into values and reports every problem on the way. What is wrong keeps its default, so
/// that later checks have something to look at.
struct ConfigurationReader {
    let problems: YAMLProblems
    let folder: String
    var configuration = Configuration()

    init(problems: YAMLProblems, folder: String) {
        self.problems = problems
        self.folder = folder
    }

    static let topKeys = [
        "mode", "listen", "upstream", "unknownModel", "models", "tenants", "budgets", "store", "policy",
        "unknownFields", "limits", "drain", "decisionLog", "routes", "admin",
    ]

    mutating func read(_ root: YAMLReader) {
        guard let top = root.mapping(keys: Self.topKeys) else { return }
        set(&configuration.mode, Self.mode(present(top["mode"])))
        set(&configuration.unknownModel, present(top["unknownModel"])?.choice(of: Configuration.UnknownModel.self))
        set(&configuration.unknownFields, present(top["unknownFields"])?.choice(of: Configuration.UnknownFields.self))
        readUpstream(top)
        readModels(present(top["models"]))
        readPolicy(present(top["policy"]))
        readLimits(present(top["limits"]))
        readDrain(present(top["drain"]))
        readAdmin(present(top["admin"]))
        readListen(present(top["listen"]))
        readRoutes(present(top["routes"]))
        readStore(present(top["store"]))
        readDecisionLog(present(top["decisionLog"]))
        readTenants(present(top["tenants"]))
        readBudgets(present(top["budgets"]))
    }

    // MARK: connections

    private mutating func readListen(_ reader: YAMLReader?) {
        guard let map = reader?.mapping(keys: ["data", "health", "admin", "webhook", "extProc"]) else { return }
        func address(_ value: YAMLReader?) -> ListenAddress? {
            guard let value, let text = text(value) else { return nil }
            guard let address = ListenAddress(text) else {
                value.report("'\(text)' is no address to listen on; expected host:port, [v6]:port or :port")
                return nil
            }
            return address
        }
        func optional(_ value: YAMLReader?, _ initial: ListenAddress?) -> ListenAddress? {
            guard let value = present(value) else { return initial }
            return value.node.scalar?.text == "off" ? nil : address(value) ?? initial
        }
        set(&configuration.listen.data, address(present(map["data"])))
        let (health, admin) = (configuration.listen.health, configuration.listen.admin)
        configuration.listen.health = optional(map["health"], health)
        configuration.listen.admin = optional(map["admin"], admin)
        for key in ["webhook", "extProc"] where map[key] != nil {
            map.report(key: key, "listen.\(key) is not supported in this version")
        }
        if let admin = configuration.listen.admin, !admin.isLoopback, configuration.admin.tokenFile == nil {
            (map["admin"] ?? map.reader).report(
                "the admin listener at \(admin) is beyond loopback: that needs admin.tokenFile")
        }
        var taken: [ListenAddress: String] = [:]
        let all: [(String, ListenAddress?)] = [
            ("data", configuration.listen.data), ("health", configuration.listen.health),
            ("admin", configuration.listen.admin),
        ]
        for (key, address) in all {
            guard let address, address.port != 0 else { continue }
            if let other = taken[address] {
                (map[key] ?? map[other] ?? map.reader).report("listen.\(key) and listen.\(other) are both \(address)")
            } else {
                taken[address] = key
            }
        }
    }

    private mutating func readUpstream(_ top: YAMLMapping) {
        let keys = [
            "url", "api", "model", "connectTimeout", "firstByteTimeout", "streamIdleTimeout", "idleTimeout",
        ]
        guard let reader = present(top["upstream"]) else {
            top.reader.report(
                "missing key 'upstream': where the model server is, as 'upstream: {url: http://127.0.0.1:8000}'")
            return
        }
        guard let map = reader.mapping(keys: keys) else { return }
        if let value = present(map.required("url", in: "upstream")), let text = text(value) {
            do throws(UpstreamURL.Problem) {
                configuration.upstream.url = try UpstreamURL(parsing: text)
            } catch {
                value.report(error.message)
            }
        }
        if let value = present(map["api"]), let api = value.choice(of: Configuration.UpstreamAPI.self) {
            if api.isSupported {
                configuration.upstream.api = api
            } else {
                let names = Configuration.UpstreamAPI.allCases.filter(\.isSupported).map(\.rawValue)
                value.report(
                    "api '\(api.rawValue)' is not supported in this version; supported: \(names.joined(separator: ", "))"
                )
            }
        }
        if let value = present(map["model"]) { configuration.upstream.model = text(value) }
        set(&configuration.upstream.connectTimeout, timeout(map["connectTimeout"]))
        set(&configuration.upstream.firstByteTimeout, timeout(map["firstByteTimeout"]))
        set(&configuration.upstream.streamIdleTimeout, timeout(map["streamIdleTimeout"]))
        set(&configuration.upstream.idleTimeout, timeout(map["idleTimeout"]))
    }

    private mutating func readRoutes(_ reader: YAMLReader?) {
        guard let reader else { return }
        configuration.routes =
            reader.list { item in
                guard let map = item.mapping(keys: ["path", "methods", "action"]) else { return nil }
                guard let path = map.required("path", in: "the route"), let text = text(path) else { return nil }
                guard text.hasPrefix("/") || text.hasPrefix("*") else {
                    path.report("a path begins with '/'")
                    return nil
                }
                _ = present(map["action"])?.choice([("passthrough", true)])
                var route = Configuration.PassThroughRoute(path: Glob(text))
                if let methods = present(map["methods"])?.oneOrMore({ method -> String? in
                    guard let name = method.nonEmptyString() else { return nil }
                    guard name.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) else {
                        method.report("'\(name)' is no HTTP method; methods are written in capitals")
                        return nil
                    }
                    return name
                }) {
                    route.methods = methods
                }
                return route
            } ?? []
    }

    private mutating func readAdmin(_ reader: YAMLReader?) {
        guard let map = reader?.mapping(keys: ["tokenFile"]), let value = present(map["tokenFile"]) else { return }
        guard let path = path(value) else { return }
        configuration.admin.tokenFile = path
        configuration.admin.token = secret(value, path, bytesMin: 16)
    }

    // MARK: models and policy

    private mutating func readModels(_ reader: YAMLReader?) {
        guard let reader else { return }
        var aliases: [String: Int] = [:]
        var matches: [Glob] = []
        let keys = [
            "match", "aliases", "tokenizer", "counting", "contextWindow", "maxInputTokens", "defaultCompletionTokens",
            "deprecation",
        ]
        configuration.models =
            reader.list { item in
                guard let map = item.mapping(keys: keys) else { return nil }
                guard let match = map.required("match", in: "the model"), let name = text(match) else { return nil }
                var model = Configuration.Model(match: Glob(name))
                if matches.contains(model.match) {
                    match.report("'\(name)' is matched by an earlier entry; this one can never be chosen")
                }
                matches.append(model.match)
                model.aliases =
                    present(map["aliases"])?.oneOrMore { alias in
                        guard let name = alias.nonEmptyString() else { return nil }
                        if let line = aliases[name] {
                            alias.report("the alias '\(name)' is in line \(line) already")
                            return nil
                        }
                        aliases[name] = alias.node.line
                        return name
                    } ?? []
                model.tokenizer = present(map["tokenizer"]).flatMap { path($0) }
                set(&model.counting, present(map["counting"])?.choice(of: Configuration.Counting.self))
                model.contextWindow = present(map["contextWindow"])?.int(in: 1...Self.tokensMax)
                model.maxInputTokens = present(map["maxInputTokens"])?.int(in: 1...Self.tokensMax)
                set(
                    &model.defaultCompletionTokens,
                    present(map["defaultCompletionTokens"])?.int(in: 1...Self.tokensMax))
                if let window = model.contextWindow, let most = model.maxInputTokens, most > window {
                    map["maxInputTokens"]?.report(
                        "maxInputTokens \(most) is over the context window \(window) and has no effect", level: .warning
                    )
                }
                model.deprecation = present(map["deprecation"]).flatMap(Self.deprecation)
                return model
            } ?? []
    }

    private static func deprecation(_ reader: YAMLReader) -> Configuration.Deprecation? {
        guard let map = reader.mapping(keys: ["date", "sunset", "successor"]) else { return nil }
        func date(_ value: YAMLReader?) -> CalendarDate? {
            guard let value, let text = value.nonEmptyString() else { return nil }
            guard let date = CalendarDate(text) else {
                value.report("'\(text)' is no date; expected YYYY-MM-DD")
                return nil
            }
            return date
        }
        let result = Configuration.Deprecation(
            date: date(map["date"]), sunset: date(map["sunset"]), successor: map["successor"]?.nonEmptyString())
        if let first = result.date, let last = result.sunset, last < first {
            map.report(key: "sunset", "the sunset \(last) is before the deprecation \(first)")
        }
        return result
    }

    private mutating func readPolicy(_ reader: YAMLReader?) {
        let keys = ["path", "mode", "failure", "blockStatus", "onBlock", "verdictCacheBytes"]
        guard let map = reader?.mapping(keys: keys) else { return }
        if let value = present(map["path"]), let path = path(value) {
            configuration.policy.path = path
            configuration.policy.pathIsGiven = true
        }
        set(&configuration.policy.mode, Self.mode(present(map["mode"]), off: true))
        set(&configuration.policy.failure, present(map["failure"])?.choice(of: Configuration.Policy.Failure.self))
        set(&configuration.policy.blockStatus, present(map["blockStatus"])?.int(in: 400...499))
        set(&configuration.policy.onBlock, present(map["onBlock"])?.choice(of: Configuration.Policy.OnBlock.self))
        set(&configuration.policy.verdictCacheBytes, present(map["verdictCacheBytes"])?.byteSize(in: 0...1 << 40))
    }

    // MARK: limits and time

    private mutating func readLimits(_ reader: YAMLReader?) {
        let keys = [
            "bodyBytes", "responseBytes", "headerBytes", "jsonDepth", "bodyTimeout", "holdBytes", "bufferedBytes",
        ]
        guard let map = reader?.mapping(keys: keys) else { return }
        let bytes = 1...Int(1) << 40
        set(&configuration.limits.bodyBytes, present(map["bodyBytes"])?.byteSize(in: bytes))
        set(&configuration.limits.responseBytes, present(map["responseBytes"])?.byteSize(in: bytes))
        set(&configuration.limits.headerBytes, present(map["headerBytes"])?.byteSize(in: 1024...1 << 24))
        set(&configuration.limits.jsonDepth, present(map["jsonDepth"])?.int(in: 1...512))
        set(&configuration.limits.bodyTimeout, timeout(map["bodyTimeout"]))
        set(&configuration.limits.holdBytes, present(map["holdBytes"])?.byteSize(in: 1...1 << 30))
        set(&configuration.limits.bufferedBytes, present(map["bufferedBytes"])?.byteSize(in: bytes))
        let limits = configuration.limits
        if limits.bufferedBytes < limits.bodyBytes {
            (map["bufferedBytes"] ?? map["bodyBytes"] ?? map.reader).report(
                "limits.bufferedBytes \(limits.bufferedBytes) is under limits.bodyBytes \(limits.bodyBytes): "
                    + "a body of the largest size could never be read")
        }
    }

    private mutating func readDrain(_ reader: YAMLReader?) {
        guard let map = reader?.mapping(keys: ["delay", "timeout"]) else { return }
        let range = Duration.zero...Duration.seconds(86_400)
        set(&configuration.drain.delay, present(map["delay"])?.duration(in: range))
        set(&configuration.drain.timeout, present(map["timeout"])?.duration(in: range))
        if configuration.drain.timeout < configuration.drain.delay {
            (map["timeout"] ?? map["delay"] ?? map.reader).report("drain.timeout is shorter than drain.delay")
        }
    }

    // MARK: helpers

    /// Far above any model, far below what sums could overflow at.
    static let tokensMax = 1 << 40

    /// `key:` with nothing behind it, as it is left when its lines are commented out, means the default.
    func present(_ reader: YAMLReader?) -> YAMLReader? {
        guard let reader, !reader.node.isNull else { return nil }
        return reader
    }

    /// Text that is not empty. From the environment and flags everything is text; in the file `123` must be quoted.
    func text(_ reader: YAMLReader) -> String? {
        if reader.node.line < 0, let scalar = reader.node.scalar, !scalar.text.isEmpty { return scalar.text }
        return reader.nonEmptyString()
    }

    func path(_ reader: YAMLReader) -> String? {
        guard let text = text(reader) else { return nil }
        guard !text.utf8.contains(0) else {
            reader.report("a path has no NUL byte")
            return nil
        }
        return reader.node.line < 0 ? text : ConfigurationFiles.resolve(text, in: folder)
    }

    /// A file's content without the line break that editors put at its end.
    func secret(_ reader: YAMLReader, _ path: String, bytesMin: Int) -> Secret? {
        do throws(ConfigurationFiles.Failure) {
            var bytes = try ConfigurationFiles.read(path, maximum: 65536)
            while bytes.last == 0x0A || bytes.last == 0x0D { bytes.removeLast() }
            guard bytes.count >= bytesMin else {
                reader.report("'\(path)' holds \(bytes.count) bytes; at least \(bytesMin) are needed")
                return nil
            }
            return Secret(bytes)
        } catch {
            reader.report(error.message)
            return nil
        }
    }

    private func timeout(_ reader: YAMLReader?) -> Duration? {
        present(reader)?.duration(in: .milliseconds(1) ... .seconds(7 * 86_400))
    }

    static func mode(_ reader: YAMLReader?, off: Bool = false) -> Mode? {
        let modes: [Mode] = off ? [.enforce, .monitor, .off] : [.enforce, .monitor]
        return reader?.choice(modes.map { ($0.rawValue, $0) })
    }
}

/// What was read, or else what stood there: the default.
func set<Value>(_ target: inout Value, _ value: Value?) {
    if let value { target = value }
}
