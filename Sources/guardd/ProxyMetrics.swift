import GuardProxy
import GuardTelemetry

/// The connections of the data plane as metrics.
final class ProxyMetrics: ProxyObserver {
    private let clients, active, idle: Gauge
    private let connected, failed, retries: Counter

    init(_ metrics: GuardMetrics) {
        clients = metrics.clientConnections.series()
        active = metrics.upstreamConnections.series("active")
        idle = metrics.upstreamConnections.series("idle")
        connected = metrics.upstreamConnects.series("ok")
        failed = metrics.upstreamConnects.series("failed")
        retries = metrics.upstreamRetries.series()
    }

    func clientConnections(_ change: Int) { clients.add(Int64(change)) }

    func upstreamConnections(active: Int, idle: Int) {
        if active != 0 { self.active.add(Int64(active)) }
        if idle != 0 { self.idle.add(Int64(idle)) }
    }

    func upstreamConnected(succeeded: Bool) { (succeeded ? connected : failed).add() }

    func retried() { retries.add() }
}
