import GuardJSON
package import Hummingbird
import Logging
import NIOCore

/// Where a listener binds. `port` 0 lets the system choose.
package struct ListenAddress: Sendable, Hashable {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) { (self.host, self.port) = (host, port) }

    /// True where only this machine can connect.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || (host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." })
    }
}

/// The request context of both control listeners.
package struct AdminContext: RequestContext {
    package var coreContext: CoreRequestContextStorage

    package init(source: ApplicationRequestContextSource) { coreContext = .init(source: source) }
}

/// One HTTP/1 listener of the control plane.
struct Listener: Sendable {
    var name: String
    var address: ListenAddress
    var logger: Logger
    var onRunning: @Sendable (Int) async -> Void

    /// Serves until the service group drains.
    func run(_ router: Router<AdminContext>) async throws {
        let (name, address, logger, onRunning) = (name, address, logger, onRunning)
        let application = Application(
            router: router,
            // Probes and people are few and small; an idle or slow connection may not stay for ever.
            server: .http1(
                configuration: .init(
                    idleTimeout: .seconds(60),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
            configuration: .init(address: .hostname(address.host, port: address.port), serverName: nil),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? address.port
                logger.info("listening", metadata: ["listener": "\(name)", "port": "\(port)"])
                await onRunning(port)
            },
            logger: logger)
        try await application.run()
    }
}

extension Response {
    static func bytes(_ status: HTTPResponse.Status, contentType: String, _ bytes: [UInt8]) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = contentType
        headers[.cacheControl] = "no-store"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// The control plane's own error shape, the same as OpenAI's so that one client reads both.
    static func problem(_ status: HTTPResponse.Status, code: String, _ message: String) -> Response {
        var writer = JSONWriter()
        writer.object {
            $0.key("error")
            $0.object {
                $0.member("message", message)
                $0.member("type", "invalid_request_error")
                $0.memberNull("param")
                $0.member("code", code)
            }
        }
        return .bytes(status, contentType: "application/json", writer.bytes)
    }
}

/// Answers paths and methods that no route has in the control plane's own shape.
struct UnknownPathAnswer: RouterMiddleware {
    func handle(
        _ request: Request, context: AdminContext,
        next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            return .problem(.notFound, code: "unknown_path", "no such path on this listener")
        }
    }
}
