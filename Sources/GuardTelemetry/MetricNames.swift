private import GuardCore

/// Every metric of the guard, in the order of the exposition. The table in the docs is made from it.
package enum MetricNames {
    package typealias Label = MetricDefinition.LabelDefinition

    static let route = Label.open("route", max: 32)
    static let model = Label.open("model", max: 64)
    static let tenant = Label.open("tenant", max: 512)
    static let phase = Label.closed("phase", Phase.allCases.map(\.rawValue))
    static let action = Label.closed("action", Action.allCases.map(\.rawValue))

    static let secondsBounds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
    ]
    static let guardSecondsBounds: [Double] = [
        0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5,
    ]
    static let bytesBounds: [Double] = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576]

    package static let requests = MetricDefinition(
        "guard_requests_total", .counter, "Requests by route, what happened, and status class.",
        labels: [route, action, .closed("status", ["1xx", "2xx", "3xx", "4xx", "5xx", "none"])])
    package static let requestsInFlight = MetricDefinition(
        "guard_requests_in_flight", .gauge, "Requests that have begun and not ended.")
    package static let refusals = MetricDefinition(
        "guard_refusals_total", .counter, "Requests refused or blocked, by error code and whether it was enforced.",
        labels: [.open("code", max: 48), .closed("mode", ["enforce", "monitor"])])
    package static let tenantRequests = MetricDefinition(
        "guard_tenant_requests_total", .counter, "Requests of known tenants.", labels: [tenant, action])
    package static let findings = MetricDefinition(
        "guard_findings_total", .counter, "Findings by rule, phase and what the rule did.",
        labels: [.open("rule", max: 1024), phase, action])
    package static let tokens = MetricDefinition(
        "guard_tokens_total", .counter, "Tokens by kind: counted prompt, charged completion, as the server reported.",
        labels: [
            model,
            .closed("kind", ["prompt", "completion", "reserved", "reported_prompt", "reported_completion", "cached"]),
        ])
    package static let tenantTokens = MetricDefinition(
        "guard_tenant_tokens_total", .counter, "Tokens charged to known tenants.",
        labels: [tenant, .closed("kind", ["prompt", "completion"])])
    package static let countedRequests = MetricDefinition(
        "guard_counted_requests_total", .counter, "Requests by whether their token count is exact.",
        labels: [model, .closed("exact", ["true", "false"])])
    package static let driftTokens = MetricDefinition(
        "guard_token_drift_total", .counter, "Absolute difference between the server's prompt tokens and ours.",
        labels: [model])
    package static let driftedRequests = MetricDefinition(
        "guard_token_drifted_requests_total", .counter, "Requests whose prompt tokens differ from the server's.",
        labels: [model])
    package static let heldBytes = MetricDefinition(
        "guard_held_bytes", .histogram(bounds: bytesBounds), "Largest hold-back of a stream, in bytes.")
    package static let heldSeconds = MetricDefinition(
        "guard_held_seconds", .histogram(bounds: secondsBounds), "Longest time that a stream's text was held back.")
    package static let streamsCut = MetricDefinition(
        "guard_streams_cut_total", .counter, "Streams that the guard ended.", labels: [.open("end", max: 16)])
    package static let scanFailures = MetricDefinition(
        "guard_scan_failures_total", .counter, "Scans that could not be finished, by rule and reason.",
        labels: [.open("rule", max: 1024), .open("why", max: 16)])
    package static let scanIncomplete = MetricDefinition(
        "guard_scan_incomplete_total", .counter, "Requests or answers of which a part was not read.", labels: [phase])
    package static let jitFallbacks = MetricDefinition(
        "guard_pattern_jit_fallbacks_total", .counter, "Matches that ran in the interpreter instead of JIT code.")
    package static let ruleNanoseconds = MetricDefinition(
        "guard_rule_nanoseconds_total", .counter,
        "Time of each rule's patterns on complete texts; rules that the prefilter passed over cost nothing.",
        labels: [.open("rule", max: 1024)])
    package static let verdictLookups = MetricDefinition(
        "guard_verdict_cache_lookups_total", .counter, "Texts looked up in the verdict cache.",
        labels: [.closed("result", ["hit", "miss"])])
    package static let verdictBytes = MetricDefinition(
        "guard_verdict_cache_bytes", .gauge, "Memory of the verdict cache, against policy.verdictCacheBytes.")
    package static let reloads = MetricDefinition(
        "guard_reloads_total", .counter, "Reloads of configuration and policy.",
        labels: [.closed("result", ["ok", "failed"])])
    package static let snapshotLoaded = MetricDefinition(
        "guard_snapshot_loaded_timestamp_seconds", .gauge, "When the snapshot in force was loaded.")
    package static let budgetRefusals = MetricDefinition(
        "guard_budget_refusals_total", .counter, "Requests over a budget, by budget and limit.",
        labels: [.open("budget", max: 64), .open("limit", max: 16)])
    package static let requestSeconds = MetricDefinition(
        "guard_request_duration_seconds", .histogram(bounds: secondsBounds), "Head of the request to end of the answer.",
        labels: [route])
    package static let guardSeconds = MetricDefinition(
        "guard_stage_duration_seconds", .histogram(bounds: guardSecondsBounds), "The guard's own work on a request.",
        labels: [.closed("stage", ["parse", "count", "rules", "classify", "total"])])
    package static let firstByteSeconds = MetricDefinition(
        "guard_first_byte_seconds", .histogram(bounds: secondsBounds), "Head of the request to first byte of the answer.",
        labels: [route])
    package static let upstreamSeconds = MetricDefinition(
        "guard_upstream_duration_seconds", .histogram(bounds: secondsBounds), "Time of the upstream exchange.",
        labels: [route])
    package static let upstreamConnections = MetricDefinition(
        "guard_upstream_connections", .gauge, "Open upstream connections by state.",
        labels: [.closed("state", ["active", "idle"])])
    package static let upstreamConnects = MetricDefinition(
        "guard_upstream_connects_total", .counter, "Upstream connection attempts.",
        labels: [.closed("result", ["ok", "failed", "timeout"])])
    package static let upstreamErrors = MetricDefinition(
        "guard_upstream_errors_total", .counter, "Upstream exchanges that failed.", labels: [.open("why", max: 16)])
    package static let upstreamRetries = MetricDefinition(
        "guard_upstream_retries_total", .counter, "Requests sent again because a reused connection had closed.")
    package static let clientConnections = MetricDefinition(
        "guard_client_connections", .gauge, "Open client connections.")
    package static let bufferedBytes = MetricDefinition(
        "guard_buffered_bytes", .gauge, "Bytes of bodies in memory, against limits.bufferedBytes.")
    package static let recordsDropped = MetricDefinition(
        "guard_decision_records_dropped_total", .counter, "Decision records that a sink could not keep.",
        labels: [.open("sink", max: 16)])
    package static let recordsWritten = MetricDefinition(
        "guard_decision_records_total", .counter, "Decision records handed to a sink.", labels: [.open("sink", max: 16)])
    package static let recordWriteErrors = MetricDefinition(
        "guard_decision_log_errors_total", .counter, "Failed writes, opens and rotations of a sink.",
        labels: [.open("sink", max: 16)])
    package static let labelOverflow = MetricDefinition(
        "guard_metric_label_overflow_total", .counter, "Observations whose label value was new beyond the bound, now `other`.",
        labels: [.open("metric", max: 64)])
}
