internal import GuardBudgets
internal import GuardCore
internal import GuardYAML

extension ConfigurationReader {
    // MARK: tenants

    mutating func readTenants(_ reader: YAMLReader?) {
        let map = reader?.mapping(keys: ["from", "known", "hashKeyFile"])
        if let map {
            configuration.tenants.from = present(map["from"])?.oneOrMore { source($0) } ?? []
            if let value = present(map["known"]) { readKnown(value) }
            if let value = present(map["hashKeyFile"]), let path = path(value) {
                configuration.tenants.hashKeyFile = path
                configuration.tenants.hashKey = secret(value, path, bytesMin: 16)
            }
        }
        let hashes = configuration.tenants.from.contains { $0.form == .hash }
        let logs = configuration.decisionLog.sinks.contains {
            if case .file = $0 { true } else { false }
        }
        if hashes, logs, configuration.tenants.hashKeyFile == nil {
            (map?["from"] ?? map?.reader)?.report(
                "tenants are hashed and the decision log is a file: that needs tenants.hashKeyFile, "
                    + "or the hashes of two runs cannot be compared")
        }
    }

    private func source(_ item: YAMLReader) -> TenantSource? {
        guard let map = item.mapping(keys: ["bearer", "header", "jwt", "mtls", "trusted", "as"]) else { return nil }
        let kinds = ["bearer", "header", "jwt", "mtls"].filter { map[$0] != nil }
        guard kinds.count == 1, let kind = kinds.first else {
            item.report("a source of tenants has exactly one of bearer, header, jwt, mtls")
            return nil
        }
        switch kind {
        case "jwt", "mtls":
            map.report(key: kind, "tenants from \(kind) are not supported in this version")
            return nil
        case "bearer":
            var form = TenantSource.Form.hash
            var trusted = false
            // `bearer: {as: hash}`; `bearer:` alone is all defaults.
            let inner = present(map["bearer"]).flatMap { $0.mapping(keys: ["as", "trusted"]) }
            for map in [map, inner].compactMap({ $0 }) {
                set(&form, present(map["as"])?.choice(of: TenantSource.Form.self))
                set(&trusted, present(map["trusted"])?.bool())
            }
            if form == .plain {
                item.report(
                    "bearer tokens as plain stand in records and ledgers; 'as: hash' keeps them out", level: .warning)
            }
            return TenantSource(.bearer, as: form, trusted: trusted)
        default:
            guard let value = map["header"], let name = value.nonEmptyString() else { return nil }
            guard name.utf8.allSatisfy(Self.isTokenByte) else {
                value.report("'\(name)' is no header name")
                return nil
            }
            return TenantSource(
                .header(name.lowercased()),
                as: present(map["as"])?.choice(of: TenantSource.Form.self) ?? .plain,
                trusted: present(map["trusted"])?.bool() ?? false)
        }
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private mutating func readKnown(_ reader: YAMLReader) {
        if case .sequence = reader.node.kind {
            configuration.tenants.known = known(reader)
            return
        }
        guard let map = reader.mapping(keys: ["file"]), let value = map.required("file", in: "tenants.known"),
            let path = path(value)
        else { return }
        configuration.tenants.knownFile = path
        do throws(ConfigurationFiles.Failure) {
            let bytes = try ConfigurationFiles.read(path, maximum: YAMLLimits().bytes)
            do throws(Diagnostics) {
                let document = try YAMLDocument.parse(bytes, file: path)
                if !document.root.isNull { configuration.tenants.known = known(YAMLReader(document, problems)) }
            } catch {
                problems.add(contentsOf: error)
            }
        } catch {
            value.report(error.message)
        }
    }

    /// A list of names, or of `{name, id}` where the requests carry something else than the name.
    private func known(_ reader: YAMLReader) -> [KnownTenant] {
        var names: [String: Int] = [:]
        var ids: [String: Int] = [:]
        return reader.list { item in
            let tenant: KnownTenant
            if case .mapping = item.node.kind {
                guard let map = item.mapping(keys: ["name", "id"]),
                    let name = map.required("name", in: "the tenant")?.nonEmptyString()
                else { return nil }
                tenant = KnownTenant(name: name, id: present(map["id"])?.nonEmptyString())
            } else {
                guard let name = item.nonEmptyString() else { return nil }
                tenant = KnownTenant(name: name)
            }
            if Tenant.reserved.contains(tenant.name) {
                item.report("'\(tenant.name)' is the name of a shared tenant; choose another")
                return nil
            }
            if tenant.name.utf8.count > 128 || tenant.name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
                item.report("a tenant's name has at most 128 bytes and no control characters")
                return nil
            }
            if let line = names[tenant.name] {
                item.report("the tenant '\(tenant.name)' is in line \(line) already")
                return nil
            }
            if let line = ids[tenant.id] {
                item.report("the id of tenant '\(tenant.name)' is in line \(line) already")
                return nil
            }
            names[tenant.name] = item.node.line
            ids[tenant.id] = item.node.line
            return tenant
        } ?? []
    }

    // MARK: budgets

    mutating func readBudgets(_ reader: YAMLReader?) {
        guard let reader else { return }
        var names: [String: Int] = [:]
        configuration.budgets =
            reader.list { item in
                guard let budget = budget(item) else { return nil }
                if let line = names[budget.name] {
                    item.node["name"].map { YAMLReader($0, file: item.file, problems) }?.report(
                        "the budget '\(budget.name)' is in line \(line) already; the name is the ledger's key")
                    return nil
                }
                names[budget.name] = item.node.line
                return budget
            } ?? []
    }

    private func budget(_ item: YAMLReader) -> Budget? {
        let keys = [
            "name", "match", "scope", "request", "window", "concurrency", "onShort", "minCompletionTokens", "mode",
        ]
        guard let map = item.mapping(keys: keys) else { return nil }
        let name = map.required("name", in: "the budget").flatMap { $0.nonEmptyString() }
        var budget = Budget(name: name ?? "")
        if let match = present(map["match"])?.mapping(keys: ["tenant", "model"]) {
            if let tenant = present(match["tenant"]), let glob = tenant.nonEmptyString() {
                budget.match.tenant = Glob(glob)
                warnIfNobody(budget.match.tenant, tenant)
            }
            if let glob = present(match["model"])?.nonEmptyString() { budget.match.model = Glob(glob) }
        }
        if let scope = present(map["scope"])?.oneOrMore({ $0.choice(of: Budget.ScopeKey.self) }) {
            budget.scope = Set(scope)
        }
        if let request = present(map["request"])?.mapping(keys: ["promptTokens", "completionTokens", "totalTokens"]) {
            budget.request.promptTokens = present(request["promptTokens"])?.int(in: 1...Self.tokensMax)
            budget.request.completionTokens = present(request["completionTokens"])?.int(in: 1...Self.tokensMax)
            budget.request.totalTokens = present(request["totalTokens"])?.int(in: 1...Self.tokensMax)
        }
        budget.windows = present(map["window"]).map { windows($0) } ?? []
        budget.concurrency = present(map["concurrency"])?.int(in: 1...1_000_000)
        set(&budget.onShort, present(map["onShort"])?.choice(of: Budget.OnShort.self))
        set(&budget.minCompletionTokens, present(map["minCompletionTokens"])?.int(in: 1...Self.tokensMax))
        set(&budget.mode, Self.mode(present(map["mode"])))
        check(budget, map)
        return name == nil ? nil : budget
    }

    private func windows(_ reader: YAMLReader) -> [BudgetWindow] {
        var seen: [BudgetWindow: Int] = [:]
        return reader.oneOrMore { item in
            guard let map = item.mapping(keys: ["tokens", "requests", "per"]) else { return nil }
            let units = BudgetWindow.Unit.allCases.filter { map[$0.rawValue] != nil }
            guard units.count == 1, let unit = units.first else {
                item.report("a window has exactly one of tokens, requests")
                return nil
            }
            let limit = map[unit.rawValue]?.int(in: 1...Self.tokensMax)
            let per = map.required("per", in: "the window")?.choice(of: BudgetWindow.Period.self)
            guard let limit, let per else { return nil }
            let kind = BudgetWindow(unit, 0, per: per)
            if let line = seen[kind] {
                item.report("a window of \(unit.rawValue) per \(per.rawValue) is in line \(line) already")
                return nil
            }
            seen[kind] = item.node.line
            return BudgetWindow(unit, Int64(limit), per: per)
        } ?? []
    }

    /// What can never admit a request, and what has no effect.
    private func check(_ budget: Budget, _ map: YAMLMapping) {
        let least = budget.minCompletionTokens
        for (key, limit) in [
            ("completionTokens", budget.request.completionTokens), ("totalTokens", budget.request.totalTokens),
        ] {
            if let limit, limit < least {
                (map["minCompletionTokens"] ?? map.reader).report(
                    "minCompletionTokens \(least) is over request.\(key) \(limit): no request could be lowered to it")
            }
        }
        for window in budget.windows where window.unit == .tokens && window.limit < Int64(least) {
            (map["minCompletionTokens"] ?? map.reader).report(
                "minCompletionTokens \(least) is over the window of \(window.limit) tokens per "
                    + "\(window.period.rawValue): it could never admit a request")
        }
        if let total = budget.request.totalTokens {
            for (key, limit) in [
                ("promptTokens", budget.request.promptTokens), ("completionTokens", budget.request.completionTokens),
            ] {
                if let limit, limit > total {
                    map.report(
                        warning: "request",
                        "request.\(key) \(limit) is over request.totalTokens \(total) and has no effect")
                }
            }
        }
        for long in budget.windows {
            for short in budget.windows
            where short.unit == long.unit && short.period.milliseconds < long.period.milliseconds
                && short.limit > long.limit
            {
                map.report(
                    warning: "window",
                    "\(short.limit) \(short.unit.rawValue) per \(short.period.rawValue) can never be used: only "
                        + "\(long.limit) per \(long.period.rawValue) are allowed")
            }
        }
        if ["request", "window", "concurrency"].allSatisfy({ present(map[$0]) == nil }) {
            map.reader.report("the budget limits nothing", level: .warning)
        }
    }

    /// A budget for one tenant that no request can be.
    private func warnIfNobody(_ glob: Glob, _ reader: YAMLReader) {
        let tenants = configuration.tenants
        guard glob.literal != nil, !tenants.from.contains(where: \.trusted), !Tenant.reserved.contains(glob.pattern),
            !tenants.known.contains(where: { glob.matches($0.name) })
        else { return }
        reader.report(
            "no request is of tenant '\(glob.pattern)': it is not known and no source is trusted", level: .warning)
    }

    // MARK: store and log

    mutating func readStore(_ reader: YAMLReader?) {
        guard let map = reader?.mapping(keys: ["kind", "path", "onOutage", "ledgersMax"]) else { return }
        if let value = present(map["kind"]), let kind = text(value) {
            let shared = ["redis://", "rediss://", "valkey://", "valkeys://"].contains { kind.hasPrefix($0) }
            if kind == "sqlite" || shared {
                // Never the URL itself: it may hold a password.
                let name = shared ? String(kind.prefix { $0 != ":" }) : kind
                value.report("store kind '\(name)' is not supported in this version; supported: memory")
            } else if kind != "memory" {
                value.report("'\(kind)' is none of memory, sqlite, redis://…, valkey://…")
            } else if let path = map["path"] {
                path.report("store.path has no meaning for the store in memory")
            }
        }
        set(&configuration.store.onOutage, present(map["onOutage"])?.choice(of: Configuration.Store.Outage.self))
        set(&configuration.store.ledgersMax, present(map["ledgersMax"])?.int(in: 16...100_000_000))
    }

    mutating func readDecisionLog(_ reader: YAMLReader?) {
        guard let map = reader?.mapping(keys: ["sinks"]), let sinks = present(map["sinks"]) else { return }
        func onFull(_ map: YAMLMapping?, _ initial: Configuration.DecisionLog.OnFull)
            -> Configuration.DecisionLog.OnFull
        {
            present(map?["onFull"])?.choice(of: Configuration.DecisionLog.OnFull.self) ?? initial
        }
        var paths: [String: Int] = [:]
        configuration.decisionLog.sinks =
            sinks.list { item in
                guard let map = item.mapping(keys: ["stdout", "file"]) else { return nil }
                guard map.entries.count == 1 else {
                    item.report("a sink is exactly one of stdout, file")
                    return nil
                }
                if let stdout = map["stdout"] {
                    let inner = present(stdout)?.mapping(keys: ["onFull"])
                    return .stdout(onFull: onFull(inner, .drop))
                }
                guard let inner = map["file"]?.mapping(keys: ["path", "rotateBytes", "onFull"]),
                    let value = inner.required("path", in: "the file sink"), let path = path(value)
                else { return nil }
                if let line = paths[path] {
                    value.report("the file '\(path)' is written by the sink in line \(line) already")
                    return nil
                }
                paths[path] = item.node.line
                return .file(
                    path: path, rotateBytes: present(inner["rotateBytes"])?.byteSize(in: 4096...Int.max),
                    onFull: onFull(inner, .block))
            } ?? []
    }
}

extension YAMLMapping {
    /// A warning at a key's place.
    func report(warning key: String, _ message: String) {
        let entry = entries.first { $0.key == key }
        reader.problems.add(
            Diagnostic(
                .warning, file: reader.file, line: entry?.keyLine ?? reader.node.line,
                column: entry?.keyColumn ?? reader.node.column, message))
    }
}
