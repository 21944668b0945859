/// The guard's metrics, ready to count. One value for the process, shared by all event loops.
package final class GuardMetrics: Sendable {
    package let registry: MetricRegistry

    package let requests, refusals, tenantRequests, findings, tokens, tenantTokens, countedRequests: CounterFamily
    package let driftTokens, driftedRequests, streamsCut, scanFailures, scanIncomplete, jitFallbacks: CounterFamily
    package let ruleNanoseconds, verdictLookups: CounterFamily
    package let reloads, budgetRefusals, upstreamConnects, upstreamErrors, upstreamRetries: CounterFamily
    package let recordsDropped, recordsWritten, recordWriteErrors: CounterFamily
    package let requestsInFlight, snapshotLoaded, upstreamConnections, clientConnections, bufferedBytes: GaugeFamily
    package let verdictBytes: GaugeFamily
    package let heldBytes, heldSeconds, requestSeconds, guardSeconds, firstByteSeconds, upstreamSeconds: HistogramFamily

    package init(registry: MetricRegistry = MetricRegistry()) {
        self.registry = registry
        requests = registry.counter(MetricNames.requests)
        requestsInFlight = registry.gauge(MetricNames.requestsInFlight)
        refusals = registry.counter(MetricNames.refusals)
        tenantRequests = registry.counter(MetricNames.tenantRequests)
        findings = registry.counter(MetricNames.findings)
        tokens = registry.counter(MetricNames.tokens)
        tenantTokens = registry.counter(MetricNames.tenantTokens)
        countedRequests = registry.counter(MetricNames.countedRequests)
        driftTokens = registry.counter(MetricNames.driftTokens)
        driftedRequests = registry.counter(MetricNames.driftedRequests)
        heldBytes = registry.histogram(MetricNames.heldBytes)
        heldSeconds = registry.histogram(MetricNames.heldSeconds)
        streamsCut = registry.counter(MetricNames.streamsCut)
        scanFailures = registry.counter(MetricNames.scanFailures)
        scanIncomplete = registry.counter(MetricNames.scanIncomplete)
        jitFallbacks = registry.counter(MetricNames.jitFallbacks)
        ruleNanoseconds = registry.counter(MetricNames.ruleNanoseconds)
        verdictLookups = registry.counter(MetricNames.verdictLookups)
        verdictBytes = registry.gauge(MetricNames.verdictBytes)
        reloads = registry.counter(MetricNames.reloads)
        snapshotLoaded = registry.gauge(MetricNames.snapshotLoaded)
        budgetRefusals = registry.counter(MetricNames.budgetRefusals)
        requestSeconds = registry.histogram(MetricNames.requestSeconds)
        guardSeconds = registry.histogram(MetricNames.guardSeconds)
        firstByteSeconds = registry.histogram(MetricNames.firstByteSeconds)
        upstreamSeconds = registry.histogram(MetricNames.upstreamSeconds)
        upstreamConnections = registry.gauge(MetricNames.upstreamConnections)
        upstreamConnects = registry.counter(MetricNames.upstreamConnects)
        upstreamErrors = registry.counter(MetricNames.upstreamErrors)
        upstreamRetries = registry.counter(MetricNames.upstreamRetries)
        clientConnections = registry.gauge(MetricNames.clientConnections)
        bufferedBytes = registry.gauge(MetricNames.bufferedBytes)
        recordsDropped = registry.counter(MetricNames.recordsDropped)
        recordsWritten = registry.counter(MetricNames.recordsWritten)
        recordWriteErrors = registry.counter(MetricNames.recordWriteErrors)
    }
}
