extension Configuration {
    /// What a reload cannot change, because sockets, ledgers, sinks and the bounds of the data plane are set up once.
    ///
    /// - Parameter started: the configuration that the process began with.
    /// - Returns: names of the settings that differ, as in guard.yaml.
    package func changesThatNeedRestart(since started: Configuration) -> [String] {
        var names: [String] = []
        func compare<Value: Equatable>(_ name: String, _ value: (Configuration) -> Value) {
            if value(self) != value(started) { names.append(name) }
        }
        compare("listen") { $0.listen }
        compare("upstream.url") { $0.upstream.url }
        compare("upstream.connectTimeout") { $0.upstream.connectTimeout }
        compare("upstream.firstByteTimeout") { $0.upstream.firstByteTimeout }
        compare("upstream.streamIdleTimeout") { $0.upstream.streamIdleTimeout }
        compare("upstream.idleTimeout") { $0.upstream.idleTimeout }
        compare("policy.verdictCacheBytes") { $0.policy.verdictCacheBytes }
        compare("limits.bodyBytes") { $0.limits.bodyBytes }
        compare("limits.responseBytes") { $0.limits.responseBytes }
        compare("limits.headerBytes") { $0.limits.headerBytes }
        compare("limits.bodyTimeout") { $0.limits.bodyTimeout }
        compare("limits.bufferedBytes") { $0.limits.bufferedBytes }
        compare("drain") { $0.drain }
        compare("store") { $0.store }
        compare("decisionLog") { $0.decisionLog }
        compare("admin") { $0.admin }
        return names
    }
}
