/// Hears of the connections of the data plane, for metrics. Called on event loops, several at a time.
package protocol ProxyObserver: Sendable {
    func clientConnections(_ change: Int)
    /// Open connections to the model server: in use by an exchange, or kept for the next one.
    func upstreamConnections(active: Int, idle: Int)
    func upstreamConnected(succeeded: Bool)
    /// A request was sent again because a reused connection had closed.
    func retried()
}

package struct SilentProxyObserver: ProxyObserver {
    package init() {}
    package func clientConnections(_ change: Int) {}
    package func upstreamConnections(active: Int, idle: Int) {}
    package func upstreamConnected(succeeded: Bool) {}
    package func retried() {}
}
