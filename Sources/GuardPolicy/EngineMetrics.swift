import GuardCore
package import GuardDecisionLog
import GuardRules
package import GuardTelemetry

/// Counts every record once: what the log says, in numbers (the table is `docs/metrics.md`).
package final class EngineMetrics: EngineObserver {
    package let metrics: GuardMetrics

    private let inFlight: Gauge

    package init(_ metrics: GuardMetrics = GuardMetrics()) {
        self.metrics = metrics
        inFlight = metrics.requestsInFlight.series()
    }

    package func begun() { inFlight.add(1) }

    package func ended(_ record: DecisionRecord, tenantLabel: String) {
        inFlight.add(-1)
        let route = record.route.name
        metrics.requests.add(1, route, record.action.rawValue, Self.statusClass(record.status))
        metrics.tenantRequests.add(1, tenantLabel, record.action.rawValue)
        if record.action >= .block {
            metrics.refusals.add(1, record.reasons.first?.name ?? "unknown", "enforce")
        } else if record.wouldAction >= .block {
            metrics.refusals.add(1, record.reasons.first?.name ?? "unknown", "monitor")
        }
        for finding in record.findings {
            metrics.findings.add(1, finding.rule.name, finding.phase.rawValue, finding.action.rawValue)
        }
        count(record, tenantLabel)
        if !record.scan.complete {
            for phase in Set(record.scan.skipped.map(\.phase)) { metrics.scanIncomplete.add(1, phase.rawValue) }
            for skipped in record.scan.skipped where skipped.kind.name.hasPrefix("rule:") {
                metrics.scanFailures.add(1, String(skipped.kind.name.dropFirst(5)), skipped.why.name)
            }
        }
        if let stream = record.stream {
            metrics.heldBytes.series().observe(Double(stream.heldBytesMax))
            metrics.heldSeconds.series().observe(Double(stream.heldMillisecondsMax) / 1000)
            if stream.cut { metrics.streamsCut.add(1, stream.end.name) }
        }
        time(record, route)
    }

    private func count(_ record: DecisionRecord, _ tenantLabel: String) {
        guard let tokens = record.tokens else { return }
        // Clients choose the name of the model, the catalog does not: the registry bounds it.
        let model = record.model?.name ?? "none"
        metrics.countedRequests.add(1, model, tokens.exact ? "true" : "false")
        for (kind, value) in [
            ("prompt", tokens.prompt), ("completion", tokens.completion), ("reported_prompt", tokens.reported?.prompt),
            ("reported_completion", tokens.reported?.completion), ("cached", tokens.reported?.cached),
        ] {
            if let value, value > 0 { metrics.tokens.add(UInt64(value), model, kind) }
        }
        if let prompt = tokens.prompt, prompt > 0, record.action < .block {
            metrics.tenantTokens.add(UInt64(prompt), tenantLabel, "prompt")
        }
        if let completion = tokens.completion, completion > 0 {
            metrics.tenantTokens.add(UInt64(completion), tenantLabel, "completion")
        }
        if let drift = tokens.drift, drift != 0 {
            metrics.driftTokens.add(UInt64(drift.magnitude), model)
            metrics.driftedRequests.add(1, model)
        }
        guard record.action == .refuse || record.wouldAction == .refuse else { return }
        for reason in record.reasons where reason.name.hasSuffix("budget_exceeded") {
            for budget in record.budget { metrics.budgetRefusals.add(1, budget.name.name, budget.limit.name) }
        }
    }

    private func time(_ record: DecisionRecord, _ route: String) {
        let duration = record.time.milliseconds - record.start.milliseconds
        metrics.requestSeconds.series(route).observe(Double(max(0, duration)) / 1000)
        let stages = record.latency.guardMicroseconds
        var total = 0
        for (stage, value) in [
            ("parse", stages.parse), ("count", stages.count), ("rules", stages.rules), ("classify", stages.classify),
        ] {
            guard let value else { continue }
            total += value
            metrics.guardSeconds.series(stage).observe(Double(value) / 1_000_000)
        }
        if total > 0 { metrics.guardSeconds.series("total").observe(Double(total) / 1_000_000) }
        if let first = record.latency.firstByteMilliseconds {
            metrics.firstByteSeconds.series(route).observe(Double(first) / 1000)
        }
        if let upstream = record.latency.upstreamMilliseconds {
            metrics.upstreamSeconds.series(route).observe(Double(upstream) / 1000)
        }
        for reason in record.reasons where Self.upstreamFaults.contains(reason.name) {
            metrics.upstreamErrors.add(1, reason.name)
        }
    }

    package func reloaded(succeeded: Bool) {
        metrics.reloads.add(1, succeeded ? "ok" : "failed")
        if succeeded { loaded() }
    }

    /// A snapshot is in force from now on.
    package func loaded() { metrics.snapshotLoaded.series().set(Timestamp.now().milliseconds / 1000) }

    package func logEvent(_ event: DecisionLog.Event) {
        switch event {
        case .written(let sink, let records): metrics.recordsWritten.add(UInt64(max(0, records)), sink.name)
        case .dropped(let sink, let records): metrics.recordsDropped.add(UInt64(max(0, records)), sink.name)
        case .writeFailed(let sink, _): metrics.recordWriteErrors.add(1, sink.name)
        }
    }

    /// What the rules cost since the last call, into the counters.
    package func collect(_ engine: Engine) {
        let fallbacks = engine.scratch.takeInterpreterFallbacks()
        if fallbacks > 0 { metrics.jitFallbacks.add(UInt64(fallbacks)) }
        let bundle = engine.snapshot.bundle
        for (rule, spent) in zip(bundle.rules, bundle.timeAccount.take()) where spent > 0 {
            metrics.ruleNanoseconds.add(spent, rule.id.name)
        }
        guard let verdicts = engine.verdicts else { return }
        let lookups = verdicts.takeLookups()
        if lookups.hits > 0 { metrics.verdictLookups.add(UInt64(lookups.hits), "hit") }
        if lookups.misses > 0 { metrics.verdictLookups.add(UInt64(lookups.misses), "miss") }
        metrics.verdictBytes.series().set(Int64(verdicts.bytes))
    }

    /// Prometheus text, with the gauges as they are now.
    package func prometheus(bufferedBytes: Int) -> [UInt8] {
        metrics.bufferedBytes.series().set(Int64(bufferedBytes))
        return metrics.registry.text()
    }

    private static let upstreamFaults: Set<String> = Set(UpstreamFault.allCases.map(\.label))

    private static func statusClass(_ status: Int) -> String {
        (100..<600).contains(status) ? "\(status / 100)xx" : "none"
    }
}
