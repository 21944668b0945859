internal import GuardBudgets
internal import GuardCore
internal import GuardJSON
internal import GuardYAML

/// The effective configuration as a tree, for `guardctl config print`: every value, defaults too, in the order of
/// guard.yaml. Files that hold secrets are named, what is in them is not. Reading either form again gives an equal
/// configuration (but for ids of known tenants that are plain bearer tokens).
extension Configuration {
    /// Canonical YAML: two spaces a level, strings single-quoted unless they are plain words.
    package func yaml() -> String {
        var text = ""
        effective.appendYAML(to: &text, indent: 0)
        return text
    }

    /// The same as one line of JSON.
    package func json() -> String {
        var writer = JSONWriter()
        effective.write(to: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private var effective: EffectiveValue {
        var top = EffectiveMap()
        top["mode"] = .string(mode.rawValue)
        var listen = EffectiveMap()
        listen["data"] = .string(self.listen.data.description)
        listen["health"] = .string(self.listen.health?.description ?? "off")
        listen["admin"] = .string(self.listen.admin?.description ?? "off")
        top["listen"] = .map(listen)
        var upstream = EffectiveMap()
        upstream["url"] = .string(self.upstream.url.description)
        upstream["api"] = .string(self.upstream.api.rawValue)
        upstream["model"] = self.upstream.model.map { .string($0) }
        upstream["connectTimeout"] = .duration(self.upstream.connectTimeout)
        upstream["firstByteTimeout"] = .duration(self.upstream.firstByteTimeout)
        upstream["streamIdleTimeout"] = .duration(self.upstream.streamIdleTimeout)
        upstream["idleTimeout"] = .duration(self.upstream.idleTimeout)
        top["upstream"] = .map(upstream)
        top["unknownModel"] = .string(unknownModel.rawValue)
        top["models"] = .list(models.map(\.effective))
        top["tenants"] = tenants.effective
        top["budgets"] = .list(budgets.map(\.effective))
        var store = EffectiveMap()
        store["kind"] = .string(self.store.kind.rawValue)
        store["onOutage"] = .string(self.store.onOutage.rawValue)
        store["ledgersMax"] = .int(self.store.ledgersMax)
        top["store"] = .map(store)
        var policy = EffectiveMap()
        // A default path need not exist; printed as given it would have to.
        if self.policy.pathIsGiven { policy["path"] = .string(self.policy.path) }
        policy["mode"] = .string(self.policy.mode.rawValue)
        policy["failure"] = .string(self.policy.failure.rawValue)
        policy["blockStatus"] = .int(self.policy.blockStatus)
        policy["onBlock"] = .string(self.policy.onBlock.rawValue)
        policy["verdictCacheBytes"] = .int(self.policy.verdictCacheBytes)
        top["policy"] = .map(policy)
        top["unknownFields"] = .string(unknownFields.rawValue)
        var limits = EffectiveMap()
        limits["bodyBytes"] = .int(self.limits.bodyBytes)
        limits["responseBytes"] = .int(self.limits.responseBytes)
        limits["headerBytes"] = .int(self.limits.headerBytes)
        limits["jsonDepth"] = .int(self.limits.jsonDepth)
        limits["bodyTimeout"] = .duration(self.limits.bodyTimeout)
        limits["holdBytes"] = .int(self.limits.holdBytes)
        limits["bufferedBytes"] = .int(self.limits.bufferedBytes)
        top["limits"] = .map(limits)
        var drain = EffectiveMap()
        drain["delay"] = .duration(self.drain.delay)
        drain["timeout"] = .duration(self.drain.timeout)
        top["drain"] = .map(drain)
        var log = EffectiveMap()
        log["sinks"] = .list(decisionLog.sinks.map(\.effective))
        top["decisionLog"] = .map(log)
        top["routes"] = .list(
            routes.map { route in
                var map = EffectiveMap()
                map["path"] = .string(route.path.pattern)
                map["methods"] = .list(route.methods.map { .string($0) })
                map["action"] = .string("passthrough")
                return .map(map)
            })
        var admin = EffectiveMap()
        admin["tokenFile"] = self.admin.tokenFile.map { .string($0) }
        top["admin"] = .map(admin)
        return .map(top)
    }
}

extension Configuration.Model {
    fileprivate var effective: EffectiveValue {
        var map = EffectiveMap()
        map["match"] = .string(match.pattern)
        map["aliases"] = .list(aliases.map { .string($0) })
        map["tokenizer"] = tokenizer.map { .string($0) }
        map["counting"] = .string(counting.rawValue)
        map["contextWindow"] = contextWindow.map { .int($0) }
        map["maxInputTokens"] = maxInputTokens.map { .int($0) }
        map["defaultCompletionTokens"] = .int(defaultCompletionTokens)
        if let deprecation {
            var inner = EffectiveMap()
            inner["date"] = deprecation.date.map { .string($0.description) }
            inner["sunset"] = deprecation.sunset.map { .string($0.description) }
            inner["successor"] = deprecation.successor.map { .string($0) }
            map["deprecation"] = .map(inner)
        }
        return .map(map)
    }
}

extension Configuration.Tenants {
    fileprivate var effective: EffectiveValue {
        var map = EffectiveMap()
        map["from"] = .list(
            from.map { source in
                var entry = EffectiveMap()
                switch source.place {
                case .bearer:
                    var inner = EffectiveMap()
                    inner["as"] = .string(source.form.rawValue)
                    inner["trusted"] = .bool(source.trusted)
                    entry["bearer"] = .map(inner)
                case .header(let name):
                    entry["header"] = .string(name)
                    entry["trusted"] = .bool(source.trusted)
                    entry["as"] = .string(source.form.rawValue)
                }
                return .map(entry)
            })
        // Where bearer tokens are taken as they are, a known tenant's id is a token: it stays out.
        if let knownFile {
            var file = EffectiveMap()
            file["file"] = .string(knownFile)
            map["known"] = .map(file)
        } else {
            map["known"] = .list(
                known.map { tenant in
                    guard tenant.id != tenant.name else { return .string(tenant.name) }
                    var entry = EffectiveMap()
                    entry["name"] = .string(tenant.name)
                    entry["id"] = .string(hidesIDs ? "(secret)" : tenant.id)
                    return .map(entry)
                })
        }
        map["hashKeyFile"] = hashKeyFile.map { .string($0) }
        return .map(map)
    }

    private var hidesIDs: Bool { from.contains { $0.place == .bearer && $0.form == .plain } }
}

extension Budget {
    fileprivate var effective: EffectiveValue {
        var map = EffectiveMap()
        map["name"] = .string(name)
        var match = EffectiveMap()
        match["tenant"] = .string(self.match.tenant.pattern)
        match["model"] = .string(self.match.model.pattern)
        map["match"] = .map(match)
        map["scope"] = .list(ScopeKey.allCases.filter { scope.contains($0) }.map { .string($0.rawValue) })
        var request = EffectiveMap()
        request["promptTokens"] = self.request.promptTokens.map { .int($0) }
        request["completionTokens"] = self.request.completionTokens.map { .int($0) }
        request["totalTokens"] = self.request.totalTokens.map { .int($0) }
        map["request"] = .map(request)
        map["window"] = .list(
            windows.map { window in
                var entry = EffectiveMap()
                entry[window.unit.rawValue] = .int(Int(window.limit))
                entry["per"] = .string(window.period.rawValue)
                return .map(entry)
            })
        map["concurrency"] = concurrency.map { .int($0) }
        map["onShort"] = .string(onShort.rawValue)
        map["minCompletionTokens"] = .int(minCompletionTokens)
        map["mode"] = .string(mode.rawValue)
        return .map(map)
    }
}

extension Configuration.DecisionLog.Sink {
    fileprivate var effective: EffectiveValue {
        var inner = EffectiveMap()
        var outer = EffectiveMap()
        switch self {
        case .stdout(let onFull):
            inner["onFull"] = .string(onFull.rawValue)
            outer["stdout"] = .map(inner)
        case .file(let path, let rotateBytes, let onFull):
            inner["path"] = .string(path)
            inner["rotateBytes"] = rotateBytes.map { .int($0) }
            inner["onFull"] = .string(onFull.rawValue)
            outer["file"] = .map(inner)
        }
        return .map(outer)
    }
}

private struct EffectiveMap {
    var entries: [(key: String, value: EffectiveValue)] = []

    /// Appends; nil leaves the key out.
    subscript(key: String) -> EffectiveValue? {
        get { entries.first { $0.key == key }?.value }
        set { if let newValue { entries.append((key, newValue)) } }
    }
}

private enum EffectiveValue {
    case string(String)
    case int(Int)
    case bool(Bool)
    case list([EffectiveValue])
    case map(EffectiveMap)

    static func duration(_ value: Duration) -> EffectiveValue { .string(YAMLUnits.describe(value)) }

    func write(to writer: inout JSONWriter) {
        switch self {
        case .string(let text): writer.string(text)
        case .int(let value): writer.integer(value)
        case .bool(let value): writer.bool(value)
        case .list(let items):
            writer.beginArray()
            for item in items { item.write(to: &writer) }
            writer.endArray()
        case .map(let map):
            writer.beginObject()
            for (key, value) in map.entries {
                writer.key(key)
                value.write(to: &writer)
            }
            writer.endObject()
        }
    }

    /// Block style for what nests, `[]` and `{}` for what is empty, one line for lists of scalars.
    func appendYAML(to text: inout String, indent: Int) {
        let margin = String(repeating: " ", count: indent)
        switch self {
        case .string, .int, .bool: text += scalar + "\n"
        case .list(let items):
            for item in items {
                if item.isFlat {
                    text += "\(margin)- \(item.flat)\n"
                } else {
                    var inner = ""
                    item.appendYAML(to: &inner, indent: indent + 2)
                    text += "\(margin)- \(inner.dropFirst(indent + 2))"
                }
            }
        case .map(let map):
            for (key, value) in map.entries {
                if value.isFlat {
                    text += "\(margin)\(key): \(value.flat)\n"
                } else {
                    text += "\(margin)\(key):\n"
                    value.appendYAML(to: &text, indent: indent + 2)
                }
            }
        }
    }

    private var isFlat: Bool {
        switch self {
        case .string, .int, .bool: true
        case .list(let items): items.allSatisfy(\.isScalar)
        case .map(let map): map.entries.isEmpty
        }
    }

    private var isScalar: Bool {
        switch self {
        case .string, .int, .bool: true
        case .list, .map: false
        }
    }

    private var flat: String {
        switch self {
        case .list(let items): "[\(items.map(\.scalar).joined(separator: ", "))]"
        case .map: "{}"
        case .string, .int, .bool: scalar
        }
    }

    private var scalar: String {
        switch self {
        case .string(let text): Self.quoted(text)
        case .int(let value): String(value)
        case .bool(let value): String(value)
        case .list, .map: ""
        }
    }

    /// Plain where the text is a word that means only itself; else quoted.
    private static func quoted(_ text: String) -> String {
        let plain = text.utf8.enumerated().allSatisfy { index, byte in
            switch byte {
            case 0x41...0x5A, 0x61...0x7A: true
            case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "."): index > 0
            case UInt8(ascii: "/"), UInt8(ascii: "_"): true
            default: false
            }
        }
        let words = ["", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"]
        if plain, !words.contains(text) { return text }
        guard
            text.unicodeScalars.contains(where: {
                $0.value < 0x20 || $0.value == 0x7F || (0x80...0x9F).contains($0.value)
            })
        else { return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'" }
        var escaped = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": escaped += "\\" + String(scalar)
            case "\n": escaped += "\\n"
            case "\t": escaped += "\\t"
            case "\r": escaped += "\\r"
            default:
                guard scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) else {
                    escaped.unicodeScalars.append(scalar)
                    continue
                }
                let hex = String(scalar.value, radix: 16)
                escaped += "\\x" + (hex.count < 2 ? "0" : "") + hex
            }
        }
        return escaped + "\""
    }
}
