package import GuardJSON
import Hummingbird
package import Logging
import NIOCore
import ServiceLifecycle

/// An operation of the admin listener: a strictly parsed JSON object in, JSON bytes out, in the shapes that
/// `guardctl check` and `guardctl tokenize` read and write (DESIGN section 7).
package typealias AdminOperation = @Sendable (JSONNode) async throws(AdminProblem) -> [UInt8]

/// A request that an operation refuses. `message` never repeats the text that was sent.
package struct AdminProblem: Error, Sendable, Hashable {
    package var status: Int
    package var code: String
    package var message: String

    package init(status: Int = 400, code: String = "invalid_request", _ message: String) {
        (self.status, self.code, self.message) = (status, code, message)
    }
}

/// What the admin listener can do; the executable plugs the engines in.
package struct AdminOperations: Sendable {
    package var check: AdminOperation
    package var tokenize: AdminOperation

    package init(check: @escaping AdminOperation, tokenize: @escaping AdminOperation) {
        (self.check, self.tokenize) = (check, tokenize)
    }
}

/// The admin listener: `POST /v1/check`, `POST /v1/tokenize`.
///
/// It binds loopback by default. There a browser on the same machine is the one foreign caller to fear: a page can
/// make it resolve its own name to 127.0.0.1 (DNS rebinding) or post a form across origins. So the `Host` must be an
/// address or `localhost`, and a body must be declared as JSON, which a form cannot do without a preflight. Beyond
/// loopback it does not start without a bearer token.
package struct AdminService: Service {
    package struct Options: Sendable {
        /// Body bytes of one operation; more is answered with 413.
        package var bodyBytesMax = 1 << 20
        /// Asked of every request as `Authorization: Bearer …` when set.
        package var token: [UInt8]?
        /// Extra names that `Host` may have, lower case, without port (the Service name behind which the pod stands).
        package var hostNames: Set<String> = []

        package init() {}
    }

    package struct TokenMissing: Error, CustomStringConvertible {
        package var description: String { "the admin listener binds beyond loopback only with admin.tokenFile" }
    }

    private let operations: AdminOperations
    private let options: Options
    private let listener: Listener

    package init(
        _ operations: AdminOperations, address: ListenAddress, options: Options = Options(), logger: Logger,
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) throws(TokenMissing) {
        if !address.isLoopback, options.token == nil { throw TokenMissing() }
        self.operations = operations
        self.options = options
        listener = Listener(name: "admin", address: address, logger: logger, onRunning: onRunning)
    }

    package func run() async throws { try await listener.run(router) }

    var router: Router<AdminContext> {
        let router = Router(context: AdminContext.self)
        router.add(middleware: UnknownPathAnswer())
        router.add(middleware: AdminGate(options: options))
        add("/v1/check", operations.check, to: router)
        add("/v1/tokenize", operations.tokenize, to: router)
        return router
    }

    private func add(_ path: RouterPath, _ operation: @escaping AdminOperation, to router: Router<AdminContext>) {
        let bodyBytesMax = options.bodyBytesMax
        router.post(path) { request, _ -> Response in
            guard MediaType.isJSON(request.headers[.contentType]) else {
                return .problem(
                    .unsupportedMediaType, code: "unsupported_media_type", "content-type must be application/json")
            }
            let buffer: ByteBuffer
            do {
                var request = request
                buffer = try await request.collectBody(upTo: bodyBytesMax)
            } catch is NIOTooManyBytesError {
                return .problem(.contentTooLarge, code: "body_too_large", "the body is over \(bodyBytesMax) bytes")
            }
            do {
                let document = try JSONDocument(Array(buffer.readableBytesView))
                guard document.root.kind == .object else {
                    return .problem(.badRequest, code: "invalid_request", "the body must be a JSON object")
                }
                let answer = try await operation(document.root)
                return .bytes(.ok, contentType: "application/json", answer)
            } catch let error as JSONError {
                return .problem(.badRequest, code: "invalid_request", "\(error)")
            } catch let problem as AdminProblem {
                return .problem(.init(code: problem.status), code: problem.code, problem.message)
            }
        }
    }
}

/// Host and token, before any body is read.
struct AdminGate: RouterMiddleware {
    var options: AdminService.Options

    func handle(
        _ request: Request, context: AdminContext,
        next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        guard HostName.isAllowed(request.head.authority, names: options.hostNames) else {
            return .problem(
                .misdirectedRequest, code: "host_not_allowed", "the Host header must be an address or localhost")
        }
        if let token = options.token {
            let given = request.headers[.authorization].map { Array($0.utf8) } ?? []
            guard Self.equal(given, Array("Bearer ".utf8) + token) else {
                return .problem(.unauthorized, code: "unauthorized", "a bearer token is required")
            }
        }
        return try await next(request, context)
    }

    /// Takes the same time wherever the difference is.
    static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for (a, b) in zip(left, right) { difference |= a ^ b }
        return difference == 0
    }
}

enum HostName {
    /// True for IP literals, `localhost` and the given names, each with or without a port. A missing header is no
    /// browser.
    static func isAllowed(_ authority: String?, names: Set<String>) -> Bool {
        guard let authority, !authority.isEmpty else { return true }
        let bytes = Array(authority.utf8)
        if bytes.first == UInt8(ascii: "[") {
            // Only an IPv6 literal stands in brackets.
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return false }
            let rest = bytes[(end + 1)...]
            return bytes[1..<end].allSatisfy(isIPv6Byte) && (rest.isEmpty || isPort(rest))
        }
        let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
        guard colon == bytes.endIndex || isPort(bytes[colon...]) else { return false }
        let name = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
        return name == "localhost" || isIPv4(bytes[..<colon]) || names.contains(name)
    }

    private static func isPort(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.first == UInt8(ascii: ":") && bytes.count > 1 && bytes.dropFirst().allSatisfy(isDigit)
    }

    /// Four numbers: a name like `127.evil.example` or `1.2.3.4.example` is none.
    private static func isIPv4(_ bytes: ArraySlice<UInt8>) -> Bool {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { (1...3).contains($0.count) && $0.allSatisfy(isDigit) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isIPv6Byte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20) || byte == UInt8(ascii: ":")
            || byte == UInt8(ascii: ".")
    }
}

enum MediaType {
    static func isJSON(_ value: String?) -> Bool {
        guard let value else { return false }
        let type = value.prefix { $0 != ";" }.lowercased()
        return type.filter { $0 != " " && $0 != "\t" } == "application/json"
    }
}
