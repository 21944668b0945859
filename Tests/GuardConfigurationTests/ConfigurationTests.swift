import Foundation
import GuardBudgets
import GuardConfiguration
import GuardCore
import GuardTesting
import Testing

/// One golden pair of `fixtures/config`. `GUARD_RECORD=1 swift test` writes the expected side anew.
struct ConfigurationFixture: Sendable, CustomTestStringConvertible {
    var kind: String
    var name: String
    var testDescription: String { "\(kind)/\(name)" }

    var folder: String { TestData.fixtures.appending(path: "config/\(kind)").path }
    var file: String { "\(folder)/\(name).yaml" }

    static func all(_ kind: String) -> [ConfigurationFixture] {
        let folder = TestData.fixtures.appending(path: "config/\(kind)").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".yaml") }.sorted()
            .map { ConfigurationFixture(kind: kind, name: String($0.dropLast(5))) }
    }

    /// The folder of this machine does not belong into an expectation.
    func portable(_ text: String) -> String { text.replacingOccurrences(of: folder, with: "FOLDER") }

    func expect(_ actual: String, suffix: String) throws {
        let url = URL(fileURLWithPath: "\(folder)/\(name).\(suffix)")
        if ProcessInfo.processInfo.environment["GUARD_RECORD"] != nil { try Data(actual.utf8).write(to: url) }
        let expected = try String(contentsOf: url, encoding: .utf8)
        #expect(actual == expected, "\(name).\(suffix)")
    }
}

private func parse(
    _ text: String, environment: [String: String] = [:], overlay: [(path: String, value: String)] = []
) throws(Diagnostics) -> (configuration: Configuration, warnings: [Diagnostic]) {
    try Configuration.parse(
        Array(text.utf8), file: "guard.yaml", folder: "/etc/guard", environment: environment, overlay: overlay)
}

private func problems(
    _ text: String, environment: [String: String] = [:], overlay: [(path: String, value: String)] = []
) -> [String] {
    do throws(Diagnostics) {
        return try parse(text, environment: environment, overlay: overlay).warnings.map(\.description)
    } catch {
        return error.list.map(\.description)
    }
}

@Suite struct ConfigurationGoldenTests {
    @Test(arguments: ConfigurationFixture.all("good")) func effective(fixture: ConfigurationFixture) throws {
        let (configuration, warnings) = try Configuration.load(path: fixture.file)
        #expect(warnings.isEmpty)
        let yaml = configuration.yaml()
        try fixture.expect(fixture.portable(yaml), suffix: "effective")
        try fixture.expect(fixture.portable(configuration.posture().joined(separator: "\n")) + "\n", suffix: "posture")
        // The printed form means the same.
        let again = try Configuration.parse(Array(yaml.utf8), file: "printed", folder: "/")
        #expect(again.warnings.isEmpty)
        #expect(again.configuration == configuration)
        #expect(again.configuration.yaml() == yaml)
        // Both printed forms say the same, and neither holds a secret.
        let json = configuration.json()
        #expect(!yaml.contains("0123456789abcdef") && !json.contains("0123456789abcdef"))
        #expect(!yaml.contains("not-a-real-token") && !json.contains("not-a-real-token"))
        #expect(!"\(configuration)".contains("not-a-real-token"))
        #expect(try JSONSerialization.jsonObject(with: Data(json.utf8)) is [String: Any])
        let fromJSON = try Configuration.parse(Array(json.utf8), file: "printed", folder: "/")
        #expect(fromJSON.configuration == configuration)
    }

    @Test(arguments: ConfigurationFixture.all("bad")) func diagnostics(fixture: ConfigurationFixture) throws {
        let thrown = #expect(throws: Diagnostics.self) { try Configuration.load(path: fixture.file) }
        let text = thrown?.list.map { fixture.portable($0.description) + "\n" }.joined() ?? ""
        try fixture.expect(text, suffix: "diagnostics")
        #expect(!text.contains("password"))
    }

    @Test func hasCases() {
        #expect(ConfigurationFixture.all("good").count >= 3)
        #expect(ConfigurationFixture.all("bad").count >= 9)
    }

    @Test func aMissingFileIsOneError() {
        let thrown = #expect(throws: Diagnostics.self) { try Configuration.load(path: "/no/such/guard.yaml") }
        #expect(
            thrown?.description
                == "/no/such/guard.yaml: error: cannot read '/no/such/guard.yaml': No such file or directory")
        let folder = #expect(throws: Diagnostics.self) { try Configuration.load(path: "/") }
        #expect(folder?.list.count == 1)
    }

    @Test func defaultsAreTheDesigns() throws {
        let defaults = Configuration()
        let read = try parse("upstream: {url: 'http://127.0.0.1:8000'}").configuration
        #expect(read == defaults)
        #expect(defaults.limits.bodyBytes == 33_554_432)
        #expect(defaults.limits.bufferedBytes == 268_435_456)
        #expect(defaults.upstream.idleTimeout == .seconds(4))
        #expect(defaults.upstream.firstByteTimeout == .seconds(600))
        #expect(defaults.listen.admin?.description == "127.0.0.1:9090")
        #expect(defaults.drain.delay == .seconds(5))
    }
}

@Suite struct ConfigurationOverrideTests {
    private let file = "upstream: {url: 'http://file:1', connectTimeout: 1s}\nlimits: {jsonDepth: 10}"

    @Test func weakestToStrongest() throws {
        let environment = [
            "GUARDD_UPSTREAM__URL": "http://environment:2", "GUARDD_LIMITS__JSON_DEPTH": "20", "PATH": "/bin",
        ]
        #expect(try parse(file).configuration.upstream.url.host == "file")
        let second = try parse(file, environment: environment)
        #expect(second.warnings.isEmpty)
        #expect(second.configuration.upstream.url == UpstreamURL(host: "environment", port: 2))
        #expect(second.configuration.limits.jsonDepth == 20)
        #expect(second.configuration.upstream.connectTimeout == .seconds(1))
        let third = try parse(
            file, environment: environment,
            overlay: [("upstream.url", "http://flag:3"), ("upstream.url", "http://flag:4")]
        ).configuration
        #expect(third.upstream.url == UpstreamURL(host: "flag", port: 4))
        #expect(third.limits.jsonDepth == 20)
    }

    @Test func noFileAtAll() throws {
        let loaded = try Configuration.load(path: nil, environment: ["GUARDD_UPSTREAM__URL": "http://h:1"])
        #expect(loaded.configuration.upstream.url.host == "h")
    }

    /// Every path of the table can be set both ways, to a value that is then in force.
    @Test func everyScalarCanBeSet() throws {
        let key = TestData.fixtures.appending(path: "config/good/hash.key").path
        let values = [
            "mode": "monitor", "listen.data": "1.2.3.4:5", "listen.health": "off", "listen.admin": "127.0.0.1:7",
            "upstream.url": "http://h:9", "upstream.api": "vllm", "upstream.model": "123",
            "upstream.connectTimeout": "7s",
            "upstream.firstByteTimeout": "7s", "upstream.streamIdleTimeout": "7s", "upstream.idleTimeout": "7s",
            "unknownModel": "estimate", "tenants.hashKeyFile": key,
            "tenants.known.file": TestData.fixtures.appending(path: "config/good/tenants.list").path,
            "store.kind": "memory", "store.onOutage": "open", "store.ledgersMax": "777", "policy.path": "rules",
            "policy.mode": "monitor", "policy.failure": "open", "policy.blockStatus": "451",
            "policy.onBlock": "contentFilter", "unknownFields": "refuse", "limits.bodyBytes": "777",
            "limits.responseBytes": "777", "limits.headerBytes": "7777", "limits.jsonDepth": "77",
            "limits.bodyTimeout": "7s", "limits.holdBytes": "777", "limits.bufferedBytes": "777MiB",
            "drain.delay": "7s",
            "drain.timeout": "77s", "admin.tokenFile": key,
        ]
        let base = "upstream: {url: 'http://base:1'}"
        let before = try parse(base).configuration
        for (path, value) in values {
            let byFlag = try parse(base, overlay: [(path, value)])
            #expect(byFlag.warnings.isEmpty, "\(path)")
            if path != "store.kind" { #expect(byFlag.configuration != before, "\(path)") }
            let name = "GUARDD_" + path.replacingOccurrences(of: ".", with: "__").uppercased()
            let byEnvironment = try parse(base, environment: [name: value])
            #expect(byEnvironment.warnings.isEmpty, "\(name)")
            #expect(byEnvironment.configuration == byFlag.configuration, "\(path)")
        }
        // And there is no other: a path that is not in the list above would be unknown here.
        for path in ["limits", "tenants", "nothing"] {
            #expect(problems(base, overlay: [(path, "x")]).count == 1)
        }
    }

    @Test func anOverrideReplacesWhatIsWrongInTheFile() throws {
        let text = "upstream: {url: 'nonsense'}\ntenants: {known: [a, b]}"
        let file = TestData.fixtures.appending(path: "config/good/tenants.list").path
        let loaded = try parse(text, overlay: [("upstream.url", "http://h:1"), ("tenants.known.file", file)])
        #expect(loaded.configuration.tenants.known.map(\.name) == ["team-a", "team-b"])
    }

    @Test func pathsInTheFileAreSeenFromItsFolderAndOthersAreNot() throws {
        let text = "upstream: {url: 'http://h:1'}\npolicy: {path: rules}\nmodels: [{match: a, tokenizer: models/a}]"
        let loaded = try parse(text).configuration
        #expect(loaded.policy.path == "/etc/guard/rules")
        #expect(loaded.models.first?.tokenizer == "/etc/guard/models/a")
        #expect(try parse(text, environment: ["GUARDD_POLICY__PATH": "rules"]).configuration.policy.path == "rules")
    }

    @Test func unknownNamesWarn() {
        let names = [
            "GUARDD_UPSTREAM__ULR": "x", "GUARDD_BUDGETS": "x", "GUARDD_XYZZY": "1", "GUARDD_CONFIG": "/etc/guard.yaml",
            "GUARDED": "x",
        ]
        #expect(
            problems(file, environment: names) == [
                "environment GUARDD_BUDGETS: warning: ignored: a list can only be set in the file",
                "environment GUARDD_UPSTREAM__ULR: warning: ignored: no such setting; did you mean 'GUARDD_UPSTREAM__URL'?",
                "environment GUARDD_XYZZY: warning: ignored: no such setting",
            ])
    }

    @Test func serviceLinksAreIgnored() {
        let links = [
            "GUARDD_PORT": "tcp://10.0.0.1:8080", "GUARDD_SERVICE_HOST": "10.0.0.1", "GUARDD_SERVICE_PORT": "8080",
            "GUARDD_SERVICE_PORT_HTTP": "8080", "GUARDD_PORT_8080_TCP": "tcp://10.0.0.1:8080",
            "GUARDD_PORT_8080_TCP_PROTO": "tcp", "GUARDD_PORT_8080_TCP_PORT": "8080",
            "GUARDD_PORT_8080_TCP_ADDR": "10.0.0.1", "GUARDD_ADMIN_PORT": "tcp://10.0.0.1:1", "GUARD_PORT": "tcp://x:1",
        ]
        #expect(problems(file, environment: links) == [])
        #expect(problems(file, environment: ["GUARDD_PORT": "8080"]).count == 1)
    }

    @Test func wrongValuesAreReportedUnderTheirName() {
        #expect(
            problems(
                file, environment: ["GUARDD_LIMITS__JSON_DEPTH": "deep", "GUARDD_MODE": "loud"],
                overlay: [("upstream.url", "ftp://x"), ("upstream.ulr", "x"), ("budgets", "x")]) == [
                    "environment GUARDD_LIMITS__JSON_DEPTH: error: expected a whole number, found a string",
                    "environment GUARDD_MODE: error: 'loud' is none of enforce, monitor",
                    "option budgets: error: 'budgets' is a list and can only be set in the file",
                    "option upstream.ulr: error: unknown setting 'upstream.ulr'; did you mean 'upstream.url'?",
                    "option upstream.url: error: unknown scheme 'ftp'; expected http://host:port",
                ])
        #expect(
            problems(file, environment: ["GUARDD_LIMITS__JSON_DEPTH": "9", "GUARDD_LIMITS__JSONDEPTH": "8"])
                == [
                    "environment GUARDD_LIMITS__JSON_DEPTH: error: sets limits.jsonDepth, as GUARDD_LIMITS__JSONDEPTH does"
                ])
    }

    @Test func reloadComparesByValue() throws {
        let one = try parse(file).configuration
        #expect(try parse(file + "\n# a comment").configuration == one)
        #expect(try parse(file, overlay: [("limits.jsonDepth", "11")]).configuration != one)
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000), ("http://h", "h", 80), ("HTTP://h:1/", "h", 1),
        ("http://[::1]:9", "::1", 9), ("http://[::1]", "::1", 80),
        ("http://my_svc.ns.svc:65535", "my_svc.ns.svc", 65535),
    ])
    func upstreamURLs(text: String, host: String, port: Int) throws {
        #expect(try UpstreamURL(parsing: text) == UpstreamURL(host: host, port: port))
    }

    @Test(arguments: [
        "", "h:1", "http://", "http://:1", "http://h:0", "http://h:65536", "http://h:x", "http://h:+1", "http://h:",
        "http://h/v1",
        "http://h?x", "http://h#x", "http://u:p@h:1", "https://h", "http://a b", "http://[::1", "http://[x]:1",
        "http://h:1:2",
        "http://h:१",
    ])
    func brokenURLs(text: String) {
        #expect(throws: UpstreamURL.Problem.self) { try UpstreamURL(parsing: text) }
    }

    @Test func listenAddresses() {
        #expect(ListenAddress(":80") == ListenAddress(host: "0.0.0.0", port: 80))
        #expect(ListenAddress("[::]:80")?.description == "[::]:80")
        #expect(ListenAddress("h:0")?.port == 0)
        for text in ["", "80", "h", "h:", "h:-1", "h:99999", "::1:80", "[::1]80"] {
            #expect(ListenAddress(text) == nil, "\(text)")
        }
        #expect(ListenAddress(host: "127.8.0.1", port: 1).isLoopback)
        #expect(!ListenAddress(host: "127.0.0.1.example.com", port: 1).isLoopback)
        #expect(!ListenAddress(host: "0.0.0.0", port: 1).isLoopback)
    }

    @Test func dates() {
        #expect(CalendarDate("1970-01-01")?.start == UTCTime(milliseconds: 0))
        #expect(CalendarDate("2000-02-29")?.start == UTCTime(milliseconds: 951_782_400_000))
        #expect(CalendarDate("2027-12-31")?.start == UTCTime(milliseconds: 1_830_211_200_000))
        #expect(CalendarDate("2027-12-31")?.description == "2027-12-31")
        for text in [
            "2027-02-29", "2027-13-01", "2027-00-01", "2027-1-01", "27-01-01", "2027-01-00", "20x7-01-01", "1900-02-29",
        ] {
            #expect(CalendarDate(text) == nil, "\(text)")
        }
    }
}

@Suite struct ConfigurationFuzzTests {
    /// Mutations of every fixture and random bytes: values or diagnostics, never a crash or a hang.
    @Test func anyBytesGiveValuesOrDiagnostics() throws {
        let seeds = try (ConfigurationFixture.all("good") + ConfigurationFixture.all("bad")).map {
            try Array(Data(contentsOf: URL(fileURLWithPath: $0.file)))
        }
        // Those that name no other file, so that many mutations stay acceptable.
        let plain = try ["minimal.yaml", "off-and-inline.yaml", "minimal.effective", "off-and-inline.effective"].map {
            name in
            try Array(Data(contentsOf: TestData.fixtures.appending(path: "config/good/\(name)")))
        }
        var state: UInt64 = 99
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(max(1, bound)))
        }
        let words = [
            "7", "0", "x", " # ", "{", "}", "[", "]", ": ", "- ", "\n", "  ", "null", "-1", "99999999999999999999", "'",
            "\"", "&a ", "*a", "!!str ", "\u{0}", "é", "off", "~",
        ]
        var accepted = 0
        for round in 0..<4000 {
            var bytes = seeds[next(seeds.count)]
            if round % 2 == 0 { bytes = plain[next(plain.count)] }
            if round % 10 == 0 { bytes = (0..<next(200)).map { _ in UInt8(next(256)) } }
            for _ in 0...next(3) {
                let place = next(bytes.count + 1)
                switch next(4) {
                case 0: bytes.insert(contentsOf: words[next(words.count)].utf8, at: place)
                case 1 where place < bytes.count: bytes.remove(at: place)
                case 2 where place < bytes.count: bytes[place] = UInt8(next(256))
                default:
                    let end = min(bytes.count, place + next(30))
                    let piece = Array(bytes[place..<end])
                    bytes.insert(contentsOf: piece, at: next(bytes.count + 1))
                }
            }
            do throws(Diagnostics) {
                // No file is read through a mutated path but small ones: the folder is empty of any.
                let loaded = try Configuration.parse(bytes, file: "fuzz", folder: "/nonexistent")
                accepted += 1
                let yaml = loaded.configuration.yaml()
                let again = try Configuration.parse(Array(yaml.utf8), file: "printed", folder: "/")
                #expect(again.configuration == loaded.configuration)
            } catch {
                #expect(error.hasErrors)
                #expect(error.list.allSatisfy { $0.line >= 0 && $0.column >= 0 })
            }
        }
        #expect(accepted > 50)
    }
}
