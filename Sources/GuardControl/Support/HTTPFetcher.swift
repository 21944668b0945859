import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// HTTP for commands that ask a server: whole answers, bounded in size and time, redirects never followed here.
struct HTTPFetcher: Sendable {
    struct Answer: Sendable {
        var status: Int
        var headers: [(name: String, value: String)]
        var body: [UInt8]

        /// The first field of a name.
        func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name }?.value
        }
    }

    /// What came back instead of an answer. The URL's query and the request's headers are not shown.
    struct Failure: Error, Sendable, CustomStringConvertible {
        var url: String
        var reason: String
        var description: String { "\(url): error: \(reason)" }
    }

    private let client: HTTPClient
    private let timeout: TimeAmount

    /// Runs `body` with a client that is shut down behind it.
    /// - Parameter seconds: for each request as a whole.
    static func with<Result: Sendable>(
        seconds: Int, _ body: (HTTPFetcher) async throws -> Result
    ) async throws -> Result {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(Int64(min(seconds, 10))), read: .seconds(Int64(seconds))))
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let result = try await body(HTTPFetcher(client: client, timeout: .seconds(Int64(seconds))))
            try await client.shutdown()
            return result
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    /// - Parameter bytesMax: a longer body is a failure.
    func send(
        _ method: String, _ url: String, headers: [(String, String)] = [], body: [UInt8]? = nil,
        bytesMax: Int = 16 << 20
    ) async throws(Failure) -> Answer {
        var request = HTTPClientRequest(url: url)
        request.method = HTTPMethod(rawValue: method)
        request.headers.add(name: "user-agent", value: "guardctl")
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body {
            if !headers.contains(where: { $0.0 == "content-type" }) {
                request.headers.add(name: "content-type", value: "application/json")
            }
            request.body = .bytes(body)
        }
        do {
            let deadline = NIODeadline.now() + timeout
            let response = try await client.execute(request, deadline: deadline)
            let body = try await response.body.collect(upTo: bytesMax)
            return Answer(
                status: Int(response.status.code), headers: response.headers.map { ($0.name, $0.value) },
                body: Array(body.readableBytesView))
        } catch {
            throw Failure(url: Self.shown(url), reason: reason(error, bytesMax))
        }
    }

    private func reason(_ error: any Error, _ bytesMax: Int) -> String {
        switch error {
        case is NIOTooManyBytesError: "the answer is larger than \(bytesMax) bytes"
        case let error as HTTPClientError where error == .deadlineExceeded || error == .readTimeout:
            "no whole answer within \(timeout.nanoseconds / 1_000_000_000) s"
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            "the connection was closed before the answer's end"
        case let error as HTTPClientError where error == .connectTimeout: "no connection in time"
        case let error as HTTPClientError: error.shortDescription
        case let error as HTTPParserError where error == .invalidEOFState:
            "the connection was closed before the answer's end"
        default: "\(error)"
        }
    }

    private static func shown(_ url: String) -> String { String(url.prefix { $0 != "?" }) }
}

/// `scheme://host[:port][/path]` of a server that a command asks.
struct ServerURL: Sendable, Hashable {
    /// Lower case; with the port where one is named.
    var origin: String
    /// Without a slash at the end.
    var path: String
    var isEncrypted: Bool

    struct Problem: Error, CustomStringConvertible { var description: String }

    init(_ text: String) throws(Problem) {
        guard let mark = text.firstRange(of: "://") else {
            throw Problem(description: "'\(text)' is no URL; expected http://host:port or https://host")
        }
        let scheme = text[..<mark.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else {
            throw Problem(description: "unknown scheme '\(scheme)'; expected http or https")
        }
        let rest = text[mark.upperBound...]
        let host = rest.prefix { !"/?#".contains($0) }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") }) else {
            throw Problem(description: "'\(text)' names no host, or a user")
        }
        let path = rest[host.endIndex...]
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Problem(description: "'\(text)' has characters that a URL does not have")
        }
        isEncrypted = scheme == "https"
        let port = isEncrypted ? ":443" : ":80"
        let name = host.hasSuffix(port) ? host.dropLast(port.count) : host
        origin = scheme + "://" + name.lowercased()
        self.path = path.hasSuffix("/") ? String(path.dropLast()) : String(path)
    }

    /// What `Location` means: a URL, or a path of the same server.
    func resolving(_ location: String) throws(Problem) -> ServerURL {
        if location.hasPrefix("//") { return try ServerURL((isEncrypted ? "https:" : "http:") + location) }
        if location.hasPrefix("/") { return try ServerURL(origin + location) }
        return try ServerURL(location)
    }

    func appending(_ path: String) -> String { origin + self.path + path }
    var text: String { origin + path }
}
