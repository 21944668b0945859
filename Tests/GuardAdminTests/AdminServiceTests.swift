import GuardJSON
import GuardTesting
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import GuardAdmin

/// Runs a listener on a free port for the time of `body`.
private func serving(
    _ service: (@escaping @Sendable (Int) async -> Void) throws -> any Service, _ body: (Int) async throws -> Void
) async throws {
    let (ports, sink) = AsyncStream.makeStream(of: Int.self)
    let service = try service { sink.yield($0) }
    var logger = Logger(label: "test")
    logger.logLevel = .error
    let group = ServiceGroup(configuration: .init(services: [service], logger: logger))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(port)) } catch { outcome = .failure(error) }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        try outcome.get()
    }
}

@Suite struct HealthServiceTests {
    private static func probes(ready: HealthProbes.Answer, upstream: HealthProbes.Answer) -> HealthProbes {
        HealthProbes(
            live: { .ok }, ready: { ready }, started: { .ok }, upstreamReady: { upstream },
            metrics: { Array("guard_up 1\n".utf8) })
    }

    @Test(arguments: [
        ("/livez", HealthProbes.Answer.ok, 200), ("/readyz", .ok, 200), ("/startupz", .ok, 200), ("/metrics", .ok, 200),
        ("/readyz", .no(reason: "draining"), 503), ("/livez", .no(reason: "draining"), 200),
        ("/readyz?upstream=1", .no(reason: "draining"), 503),
        // Ready itself does not ask the upstream, which is down here.
        ("/readyz?upstream=1", .ok, 503), ("/readyz?upstream=0", .ok, 200),
        ("/v1/check", .ok, 404), ("/", .ok, 404), ("/metrics/", .ok, 200),
    ])
    func answers(path: String, ready: HealthProbes.Answer, status: Int) async throws {
        let probes = Self.probes(ready: ready, upstream: .no(reason: "upstream refuses"))
        try await serving({
            HealthService(probes, address: .init(host: "127.0.0.1", port: 0), logger: Logger(label: "t"), onRunning: $0)
        }) { port in
            let answer = try await RawHTTP.send(RawHTTP.request("GET", path), port: port)
            #expect(answer.status == status, "\(path) \(ready)")
            if path.hasPrefix("/metrics") { #expect(answer.body == "guard_up 1\n") }
        }
    }
}

@Suite struct AdminServiceTests {
    private static let json = "Content-Type: application/json"

    /// Echoes the text's length: an operation that fails where it has none.
    private static let operations = AdminOperations(
        check: { object throws(AdminProblem) in
            guard let text = object["text"]?.stringBytes else { throw AdminProblem("text: missing") }
            return Array("{\"count\":\(text.count)}\n".utf8)
        },
        tokenize: { _ throws(AdminProblem) in throw AdminProblem(status: 404, code: "model_not_found", "no such model")
        })

    private func send(
        _ request: String, _ configure: (inout AdminService.Options) -> Void = { _ in }
    ) async throws -> RawHTTP.Answer {
        var options = AdminService.Options()
        configure(&options)
        var result: RawHTTP.Answer?
        try await serving({
            try AdminService(
                Self.operations, address: .init(host: "127.0.0.1", port: 0), options: options,
                logger: Logger(label: "t"), onRunning: $0)
        }) { port in result = try await RawHTTP.send(request, port: port) }
        return try #require(result)
    }

    @Test func answersAnOperation() async throws {
        let answer = try await send(
            RawHTTP.request("POST", "/v1/check", headers: [Self.json], body: #"{"text":"é"}"#))
        #expect(answer.status == 200)
        #expect(answer.body == "{\"count\":2}\n")
    }

    @Test(arguments: [
        (#"{"text":"a","text":"b"}"#, 400), (#"{"text":"#, 400), ("[]", 400), ("", 400), (#"{"text":1}"#, 400),
        (String(repeating: "[", count: 400), 400), (#"{"text":"x"} x"#, 400),
    ])
    func refusesBadBodies(body: String, status: Int) async throws {
        let answer = try await send(RawHTTP.request("POST", "/v1/check", headers: [Self.json], body: body))
        #expect(answer.status == status)
        #expect(answer.body.contains(#""code":"invalid_request""#))
    }

    @Test func refusesLargeBodies() async throws {
        let body = #"{"text":""# + String(repeating: "x", count: 3000) + #""}"#
        let answer = try await send(RawHTTP.request("POST", "/v1/check", headers: [Self.json], body: body)) {
            $0.bodyBytesMax = 2000
        }
        #expect(answer.status == 413)
        #expect(answer.body.contains("body_too_large"))
    }

    @Test func passesAProblemOn() async throws {
        let answer = try await send(RawHTTP.request("POST", "/v1/tokenize", headers: [Self.json], body: "{}"))
        #expect(answer.status == 404)
        #expect(answer.body.contains("model_not_found"))
    }

    @Test(arguments: [
        ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200), ("application/jsonx", 415),
    ])
    func wantsJSON(type: String, status: Int) async throws {
        let answer = try await send(
            RawHTTP.request("POST", "/v1/check", headers: ["Content-Type: \(type)"], body: #"{"text":"a"}"#))
        #expect(answer.status == status)
    }

    @Test(arguments: [
        ("127.0.0.1:9090", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:9090", 200),
        ("attacker.example", 421), ("127.0.0.1.attacker.example", 421), ("[attacker]", 421), ("1.2.3", 421),
        ("guard.svc:9090", 200),
    ])
    func knowsItsHosts(host: String, status: Int) async throws {
        let answer = try await send(
            RawHTTP.request("POST", "/v1/check", host: host, headers: [Self.json], body: #"{"text":"a"}"#)
        ) { $0.hostNames = ["guard.svc"] }
        #expect(answer.status == status, "\(host)")
    }

    @Test(arguments: [("Authorization: Bearer s3cret", 200), ("Authorization: Bearer s3cre", 401), ("X: y", 401)])
    func asksForItsToken(header: String, status: Int) async throws {
        let answer = try await send(
            RawHTTP.request("POST", "/v1/check", headers: [Self.json, header], body: #"{"text":"a"}"#)
        ) { $0.token = Array("s3cret".utf8) }
        #expect(answer.status == status)
    }

    @Test func doesNotOpenItselfBeyondLoopback() {
        #expect(throws: AdminService.TokenMissing.self) {
            try AdminService(
                Self.operations, address: .init(host: "0.0.0.0", port: 0), logger: Logger(label: "t"))
        }
    }
}
