package import GuardPolicy
package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization

/// What all connections of the data plane share.
final class ProxyShared: Sendable {
    let options: ProxyOptions
    let memory: MemoryGate
    let threads: NIOThreadPool
    let connections = OpenConnections()
    let observer: any ProxyObserver
    let makeExchange: @Sendable (Arrival) -> Exchange

    init(
        options: ProxyOptions, memory: MemoryGate, threads: NIOThreadPool, observer: any ProxyObserver,
        makeExchange: @escaping @Sendable (Arrival) -> Exchange
    ) {
        self.observer = observer
        self.options = options
        self.memory = memory
        self.threads = threads
        self.makeExchange = makeExchange
    }
}

/// The client connections of every event loop, for draining. Each loop's list is touched on that loop only.
final class OpenConnections: Sendable {
    private final class List {
        var handlers: [ObjectIdentifier: ExchangeHandler] = [:]
    }

    private let lists = Mutex<[ObjectIdentifier: NIOLoopBound<List>]>([:])
    private let open = Atomic<Int>(0)

    var count: Int { open.load(ordering: .relaxed) }

    func add(_ handler: ExchangeHandler, on eventLoop: any EventLoop) {
        list(of: eventLoop).handlers[ObjectIdentifier(handler)] = handler
        open.add(1, ordering: .relaxed)
    }

    func remove(_ handler: ExchangeHandler, on eventLoop: any EventLoop) {
        if list(of: eventLoop).handlers.removeValue(forKey: ObjectIdentifier(handler)) != nil {
            open.subtract(1, ordering: .relaxed)
        }
    }

    /// Closes idle connections now and the others after their exchange.
    func drain() {
        for bound in lists.withLock({ Array($0.values) }) {
            bound.eventLoop.execute { for handler in bound.value.handlers.values { handler.drain() } }
        }
    }

    /// Ends whatever still runs.
    func abort() {
        for bound in lists.withLock({ Array($0.values) }) {
            bound.eventLoop.execute { for handler in bound.value.handlers.values { handler.abort() } }
        }
    }

    private func list(of eventLoop: any EventLoop) -> List {
        lists.withLock {
            if let bound = $0[ObjectIdentifier(eventLoop)] { return bound.value }
            let bound = NIOLoopBound(List(), eventLoop: eventLoop)
            $0[ObjectIdentifier(eventLoop)] = bound
            return bound.value
        }
    }
}

/// The data plane as a service: binds, serves until graceful shutdown, drains.
package final class ProxyServer: Service {
    private let shared: ProxyShared
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let onBound: @Sendable (SocketAddress) -> Void
    private let onDraining: @Sendable () -> Void

    /// - Parameters:
    ///   - makeExchange: one for each request; captures the policy snapshot in force.
    ///   - onBound: called with the address once connections are accepted.
    ///   - onDraining: called when shutdown begins, before the listener closes: readiness goes off here.
    package init(
        options: ProxyOptions, memory: MemoryGate, logger: Logger, observer: any ProxyObserver = SilentProxyObserver(),
        makeExchange: @escaping @Sendable (Arrival) -> Exchange,
        onBound: @escaping @Sendable (SocketAddress) -> Void = { _ in },
        onDraining: @escaping @Sendable () -> Void = {}
    ) {
        self.shared = ProxyShared(
            options: options, memory: memory, threads: NIOThreadPool(numberOfThreads: max(2, System.coreCount)),
            observer: observer, makeExchange: makeExchange)
        self.group = MultiThreadedEventLoopGroup(
            numberOfThreads: options.eventLoopCount > 0 ? options.eventLoopCount : System.coreCount)
        self.logger = logger
        self.onBound = onBound
        self.onDraining = onDraining
    }

    package func run() async throws {
        shared.threads.start()
        let pools = Pools(group: group, options: shared.options.upstream, observer: shared.observer)
        let listener: any Channel
        do { listener = try await bind(pools) } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        if let address = listener.localAddress { onBound(address) }

        let (shutdown, signal) = AsyncStream<Void>.makeStream()
        await withGracefulShutdownHandler {
            for await _ in shutdown {}
        } onGracefulShutdown: {
            signal.finish()
        }

        let end = ContinuousClock.now + .nanoseconds(shared.options.drainTimeout.nanoseconds)
        onDraining()
        try? await Task.sleep(for: .nanoseconds(shared.options.drainDelay.nanoseconds))
        try? await listener.close()
        shared.connections.drain()
        while shared.connections.count > 0, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(20))
        }
        if shared.connections.count > 0 {
            logger.warning("drain timeout", metadata: ["connections": "\(shared.connections.count)"])
            shared.connections.abort()
            // Their last bytes, and a moment for the clients to take them.
            for _ in 0..<25 where shared.connections.count > 0 { try? await Task.sleep(for: .milliseconds(20)) }
        }
        pools.close()
        try await group.shutdownGracefully()
        try await shared.threads.shutdownGracefully()
    }

    private func bind(_ pools: Pools) async throws -> any Channel {
        let shared = self.shared
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = shared.options.headerBytesMax
        limits.maxHeaderListSize = shared.options.headerBytesMax
        let decoderLimits = limits
        return try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let sync = channel.pipeline.syncOperations
                    let handler = ExchangeHandler(shared: shared, pool: pools[channel.eventLoop])
                    try sync.addHandler(
                        ByteToMessageHandler(
                            HTTPRequestDecoder(
                                leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop,
                                limitConfiguration: decoderLimits)))
                    try sync.addHandler(HTTPResponseEncoder(configuration: .noFraming))
                    try sync.addHandler(handler)
                    shared.connections.add(handler, on: channel.eventLoop)
                    shared.observer.clientConnections(1)
                }
            }
            .bind(host: shared.options.host, port: shared.options.port)
            .get()
    }
}

extension HTTPResponseEncoder.Configuration {
    static var noFraming: Self {
        var configuration = Self()
        configuration.automaticallySetFramingHeaders = false
        return configuration
    }
}

/// One pool of upstream connections an event loop, made before the first connection.
private final class Pools: Sendable {
    private let byLoop: [ObjectIdentifier: NIOLoopBoundBox<UpstreamPool>]

    init(group: MultiThreadedEventLoopGroup, options: UpstreamOptions, observer: any ProxyObserver) {
        var pools: [ObjectIdentifier: NIOLoopBoundBox<UpstreamPool>] = [:]
        for eventLoop in group.makeIterator() {
            pools[ObjectIdentifier(eventLoop)] = .makeBoxSendingValue(
                UpstreamPool(eventLoop: eventLoop, options: options, observer: observer), eventLoop: eventLoop)
        }
        byLoop = pools
    }

    subscript(eventLoop: any EventLoop) -> UpstreamPool {
        // Every loop of the group is in the table; a loop that is not would get a pool of its own.
        byLoop[ObjectIdentifier(eventLoop)]?.value ?? UpstreamPool(eventLoop: eventLoop, options: UpstreamOptions())
    }

    func close() {
        for box in byLoop.values { box.eventLoop.execute { box.value.closeIdle() } }
    }
}
