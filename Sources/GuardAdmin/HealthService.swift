import Hummingbird
package import Logging
import ServiceLifecycle

/// What the health listener asks the process. Each closure must answer at once: probes have short timeouts, and a
/// probe that waits for a busy resource turns load into restarts.
package struct HealthProbes: Sendable {
    package enum Answer: Sendable, Equatable {
        case ok
        /// One line for the person who reads the probe's output; content-free.
        case no(reason: String)
    }

    /// False asks the kubelet to restart the container: only for states that a restart mends.
    package var live: @Sendable () -> Answer
    /// A policy snapshot is in force and the process is not draining. Does not ask the upstream: a native sidecar
    /// starts before the model does.
    package var ready: @Sendable () -> Answer
    /// The first snapshot has been built.
    package var started: @Sendable () -> Answer
    /// `/readyz?upstream=1`: ready, and the model server takes connections.
    package var upstreamReady: @Sendable () async -> Answer
    /// Prometheus text format 0.0.4.
    package var metrics: @Sendable () -> [UInt8]

    package init(
        live: @escaping @Sendable () -> Answer, ready: @escaping @Sendable () -> Answer,
        started: @escaping @Sendable () -> Answer, upstreamReady: @escaping @Sendable () async -> Answer,
        metrics: @escaping @Sendable () -> [UInt8]
    ) {
        self.live = live
        self.ready = ready
        self.started = started
        self.upstreamReady = upstreamReady
        self.metrics = metrics
    }
}

/// The health listener: `/livez /readyz /startupz /metrics` and nothing else, so that it can be open to the node and
/// to Prometheus without opening anything that acts.
package struct HealthService: Service {
    private let probes: HealthProbes
    private let listener: Listener

    /// - Parameter onRunning: is told the port, which matters where `address` has port 0.
    package init(
        _ probes: HealthProbes, address: ListenAddress, logger: Logger,
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.probes = probes
        listener = Listener(name: "health", address: address, logger: logger, onRunning: onRunning)
    }

    package func run() async throws { try await listener.run(router) }

    var router: Router<AdminContext> {
        let probes = probes
        let router = Router(context: AdminContext.self)
        router.add(middleware: UnknownPathAnswer())
        router.get("/livez") { _, _ in Self.response(probes.live()) }
        router.get("/startupz") { _, _ in Self.response(probes.started()) }
        router.get("/readyz") { request, _ in
            let ready = probes.ready()
            guard ready == .ok, request.uri.queryParameters["upstream"] == "1" else { return Self.response(ready) }
            return Self.response(await probes.upstreamReady())
        }
        router.get("/metrics") { _, _ in
            Response.bytes(.ok, contentType: "text/plain; version=0.0.4; charset=utf-8", probes.metrics())
        }
        return router
    }

    private static func response(_ answer: HealthProbes.Answer) -> Response {
        switch answer {
        case .ok: .bytes(.ok, contentType: "text/plain; charset=utf-8", Array("ok\n".utf8))
        case .no(let reason):
            .bytes(.serviceUnavailable, contentType: "text/plain; charset=utf-8", Array((reason + "\n").utf8))
        }
    }
}
