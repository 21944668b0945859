import GuardAdmin
import GuardAssembly
import GuardBudgets
import GuardConfiguration
import GuardCore
import GuardDecisionLog
import GuardPolicy
import GuardProxy
import GuardRules
import Glibc
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Builds the parts from the configuration, runs them as services, reloads.
final class Daemon: Sendable {
    private let source: ConfigurationSource
    private let builder = SnapshotBuilder()
    private let logger = Logger(label: "guardd")
    private let isReady = Atomic<Bool>(false)
    /// What the process began with.
    private let started = Mutex<Configuration?>(nil)
    /// Of tenants' hashes where no `hashKeyFile` is given: a reload must not make new tenants of the old ones.
    private let processKey = TenantHashKey.perProcess()

    init(_ source: ConfigurationSource) { self.source = source }

    func run() async throws {
        let (configuration, warnings) = try source.load()
        let built = try builder.build(configuration)
        warn(warnings + built.warnings)
        started.withLock { $0 = configuration }

        let metrics = EngineMetrics()
        metrics.loaded()
        let log = try decisionLog(configuration, metrics)
        let engine = Engine(
            snapshot: built.snapshot, store: MemoryBudgetStore(limits: configuration.store.memoryLimits()), log: log,
            tenants: configuration.tenants.resolver(processKey: processKey), observer: metrics,
            verdicts: configuration.policy.verdictCacheBytes > 0
                ? VerdictCache(bytesMax: configuration.policy.verdictCacheBytes) : nil)
        let memory = MemoryGate(limit: configuration.limits.bufferedBytes)
        for line in Posture.lines(configuration, built.snapshot) { logger.info("\(line)") }

        var services: [any Service] = [ReloadService { [self] in reload(engine, metrics) }]
        if let address = configuration.listen.health {
            services.append(
                HealthService(
                    probes(engine, metrics, memory, configuration.upstream.url), address: .init(address), logger: logger,
                    onRunning: { [logger] in logger.info("health listener", metadata: ["port": "\($0)"]) }))
        }
        if let address = configuration.listen.admin {
            var options = AdminService.Options()
            options.token = configuration.admin.token?.bytes
            services.append(
                try AdminService(
                    AdminOperations(engine), address: .init(address), options: options, logger: logger,
                    onRunning: { [logger] in logger.info("admin listener", metadata: ["port": "\($0)"]) }))
        }
        services.append(
            ProxyServer(
                options: ProxyOptions(configuration), memory: memory, logger: logger,
                observer: ProxyMetrics(metrics.metrics),
                makeExchange: { engine.makeExchange($0) },
                onBound: { [self] address in
                    isReady.store(true, ordering: .releasing)
                    logger.info("data listener", metadata: ["address": "\(address)"])
                },
                onDraining: { [self] in isReady.store(false, ordering: .releasing) }))

        var group = ServiceGroupConfiguration(
            services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = configuration.drain.delay + configuration.drain.timeout + .seconds(5)
        let result: Result<Void, any Error>
        do { result = .success(try await ServiceGroup(configuration: group).run()) } catch { result = .failure(error) }
        // Last of all, so that the records of the last requests are written.
        let lost = log.shutdown(deadline: .seconds(5))
        if lost > 0 { logger.error("decision records were lost", metadata: ["count": "\(lost)"]) }
        try result.get()
    }

    /// Compiles a new snapshot and swaps it in; on any error the one in force stays.
    private func reload(_ engine: Engine, _ metrics: EngineMetrics) {
        do {
            let (configuration, warnings) = try source.load()
            let built = try builder.build(configuration)
            engine.replace(built.snapshot, tenants: configuration.tenants.resolver(processKey: processKey))
            engine.log?.reopen()
            metrics.reloaded(succeeded: true)
            warn(warnings + built.warnings)
            let kept = started.withLock { $0.map { configuration.changesThatNeedRestart(since: $0) } } ?? []
            if !kept.isEmpty {
                logger.warning("not changed before a restart: \(kept.joined(separator: ", "))")
            }
            logger.info("reloaded", metadata: ["policy": "\(built.snapshot.bundle.hash)"])
        } catch {
            metrics.reloaded(succeeded: false)
            for problem in error.list { logger.error("\(problem)") }
            logger.error("reload failed: the configuration in force stays")
        }
    }

    private func decisionLog(_ configuration: Configuration, _ metrics: EngineMetrics) throws -> DecisionLog {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return try DecisionLog(
            sinks: configuration.decisionLog.sinks.map(DecisionLog.SinkConfiguration.init), writer: Label(host),
            onEvent: { [logger] event in
                metrics.logEvent(event)
                if case .writeFailed(let sink, let code) = event {
                    logger.error(
                        "decision log cannot be written",
                        metadata: ["sink": "\(sink)", "error": "\(String(cString: strerror(code)))"])
                }
            })
    }

    private func probes(
        _ engine: Engine, _ metrics: EngineMetrics, _ memory: MemoryGate, _ upstream: UpstreamURL
    ) -> HealthProbes {
        let ready: @Sendable () -> HealthProbes.Answer = { [self] in
            isReady.load(ordering: .acquiring) ? .ok : .no(reason: "starting or draining")
        }
        return HealthProbes(
            live: { .ok }, ready: ready, started: { .ok },
            upstreamReady: {
                if case .no = ready() { return ready() }
                return await UpstreamProbe.connects(upstream) ? .ok : .no(reason: "the model server takes no connections")
            },
            metrics: {
                metrics.collect(engine)
                return metrics.prometheus(bufferedBytes: memory.usedBytes)
            })
    }

    private func warn(_ problems: [Diagnostic]) {
        for problem in problems where problem.level == .warning { logger.warning("\(problem)") }
    }
}

/// SIGHUP, for as long as the process runs.
private struct ReloadService: Service {
    let reload: @Sendable () -> Void

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() { reload() }
    }
}

extension DecisionLog.SinkConfiguration {
    init(_ sink: Configuration.DecisionLog.Sink) {
        switch sink {
        case .stdout(let onFull): self.init(kind: .stdout, onFull: .init(onFull))
        case .file(let path, let rotateBytes, let onFull):
            self.init(kind: .file(path: path, rotateBytes: rotateBytes), onFull: .init(onFull))
        }
    }
}

extension DecisionLog.OnFull {
    init(_ onFull: Configuration.DecisionLog.OnFull) { self = onFull == .block ? .block : .drop }
}

extension GuardAdmin.ListenAddress {
    init(_ address: GuardConfiguration.ListenAddress) { self.init(host: address.host, port: address.port) }
}

extension ProxyOptions {
    init(_ configuration: Configuration) {
        self.init()
        host = configuration.listen.data.host
        port = configuration.listen.data.port
        upstream.host = configuration.upstream.url.host
        upstream.port = configuration.upstream.url.port
        upstream.connectTimeout = TimeAmount(configuration.upstream.connectTimeout)
        upstream.firstByteTimeout = TimeAmount(configuration.upstream.firstByteTimeout)
        upstream.streamIdleTimeout = TimeAmount(configuration.upstream.streamIdleTimeout)
        upstream.idleTimeout = TimeAmount(configuration.upstream.idleTimeout)
        bodyBytesMax = configuration.limits.bodyBytes
        responseBytesMax = configuration.limits.responseBytes
        headerBytesMax = configuration.limits.headerBytes
        bodyTimeout = TimeAmount(configuration.limits.bodyTimeout)
        bufferedBytesMax = configuration.limits.bufferedBytes
        drainDelay = TimeAmount(configuration.drain.delay)
        drainTimeout = TimeAmount(configuration.drain.timeout)
    }
}
