import NIOCore
import NIOHTTP1
import NIOPosix

/// What an exchange hears of the upstream. All calls come on the event loop of both.
protocol UpstreamDelegate: AnyObject {
    func upstream(head: HTTPResponseHead)
    func upstream(body: ByteBuffer)
    /// Everything that was in one read has been delivered.
    func upstreamReadComplete()
    func upstreamEnd()
    func upstream(failed: UpstreamFailure)
    func upstreamWritabilityChanged()
}

enum UpstreamFailure: Error {
    case connect(String)
    /// Closed, or reset, before the answer was complete. `silent`: before its first byte.
    case closed(silent: Bool, reused: Bool)
    /// The answer is not HTTP.
    case unparsable(String)
}

/// One keep-alive connection to the model server, used by one exchange at a time and only on its event loop.
final class UpstreamConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    let channel: any Channel
    private unowned let pool: UpstreamPool
    private weak var delegate: (any UpstreamDelegate)?
    private var context: ChannelHandlerContext?
    private var served = 0
    private var receivedAnything = false
    private var keepAlive = true
    private var isOpen = false
    /// Kept by the pool for the next request.
    fileprivate var isIdle = false {
        didSet {
            guard isOpen, isIdle != oldValue else { return }
            pool.observer.upstreamConnections(active: isIdle ? -1 : 1, idle: isIdle ? 1 : -1)
        }
    }
    /// The answer has ended, in the read that is under way.
    private var isFree = false
    private(set) var releasedAt: NIODeadline = .now()

    init(channel: any Channel, pool: UpstreamPool) {
        self.channel = channel
        self.pool = pool
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        isOpen = true
        pool.observer.upstreamConnected(succeeded: true)
        pool.observer.upstreamConnections(active: 1, idle: 0)
    }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    var isUsable: Bool { channel.isActive && context != nil }
    var isWritable: Bool { channel.isWritable }

    func send(_ head: HTTPRequestHead, body: ByteBuffer?, for delegate: any UpstreamDelegate) {
        guard let context else {
            delegate.upstream(failed: .closed(silent: true, reused: served > 0))
            return
        }
        self.delegate = delegate
        receivedAnything = false
        keepAlive = true
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if let body, body.readableBytes > 0 {
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.read()
    }

    /// Asks for more of the answer: nothing is read that the client could not take.
    func read() { context?.read() }

    /// Unused after all.
    func giveBack() {
        delegate = nil
        pool.release(self)
    }

    /// Ends the exchange before the answer's end. The connection cannot be used again, and closing it is what tells
    /// the model server to stop generating.
    func abandon() {
        delegate = nil
        channel.close(mode: .all, promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        guard let delegate else {
            // An answer that nobody asked for: whatever it is, it must not be taken for the answer of the next request.
            keepAlive = false
            context.close(promise: nil)
            return
        }
        receivedAnything = true
        switch part {
        case .head(let head):
            // Nobody asked for another protocol, and what follows is none that we could read.
            guard head.status != .switchingProtocols else {
                fail(.unparsable("101"))
                context.close(promise: nil)
                return
            }
            keepAlive = head.isKeepAlive
            delegate.upstream(head: head)
        case .body(let bytes):
            delegate.upstream(body: bytes)
        case .end:
            self.delegate = nil
            served += 1
            releasedAt = pool.eventLoop.now
            // Back to the pool at the end of this read: what else is in it is no answer to the next request.
            if keepAlive { isFree = true } else { context.close(promise: nil) }
            delegate.upstreamEnd()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isFree {
            isFree = false
            if keepAlive { pool.release(self) }
        }
        delegate?.upstreamReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { delegate?.upstreamWritabilityChanged() }

    func channelInactive(context: ChannelHandlerContext) {
        if isOpen {
            isOpen = false
            pool.observer.upstreamConnections(active: isIdle ? 0 : -1, idle: isIdle ? -1 : 0)
        }
        pool.remove(self)
        fail(.closed(silent: !receivedAnything, reused: served > 0))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The parser's word for an answer that the end of the connection cuts.
        if let error = error as? HTTPParserError, error != .invalidEOFState {
            fail(.unparsable(String(describing: error)))
        } else {
            fail(.closed(silent: !receivedAnything, reused: served > 0))
        }
        context.close(promise: nil)
    }

    private func fail(_ failure: UpstreamFailure) {
        guard let delegate else { return }
        self.delegate = nil
        delegate.upstream(failed: failure)
    }
}

/// The idle upstream connections of one event loop. Last in, first out: the most recently used one is the least likely
/// to be closed by the server meanwhile.
final class UpstreamPool {
    let eventLoop: any EventLoop
    private let options: UpstreamOptions
    fileprivate let observer: any ProxyObserver
    private var idle: [UpstreamConnection] = []
    private var sweep: Scheduled<Void>?

    init(
        eventLoop: any EventLoop, options: UpstreamOptions, observer: any ProxyObserver = SilentProxyObserver()
    ) {
        self.observer = observer
        self.eventLoop = eventLoop
        self.options = options
    }

    /// - Parameter fresh: never a connection that has served before.
    func acquire(fresh: Bool, _ completion: @escaping (Result<UpstreamConnection, UpstreamFailure>) -> Void) {
        if !fresh {
            while let connection = idle.popLast() {
                if connection.isUsable {
                    connection.isIdle = false
                    return completion(.success(connection))
                }
            }
        }
        connect(completion)
    }

    func release(_ connection: UpstreamConnection) {
        guard connection.isUsable, idle.count < options.idleConnectionsMax else { return connection.abandon() }
        idle.append(connection)
        connection.isIdle = true
        // A server may close at any time, and only a channel that reads sees it.
        connection.read()
        if sweep == nil { scheduleSweep() }
    }

    func remove(_ connection: UpstreamConnection) { idle.removeAll { $0 === connection } }

    func closeIdle() {
        let connections = idle
        idle = []
        for connection in connections { connection.abandon() }
        sweep?.cancel()
        sweep = nil
    }

    private func scheduleSweep() {
        sweep = eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(500)) { [weak self] in
            guard let self else { return }
            self.sweep = nil
            let oldest = self.eventLoop.now - self.options.idleTimeout
            // The oldest stand in front.
            while let first = self.idle.first, first.releasedAt <= oldest {
                self.idle.removeFirst()
                first.abandon()
            }
            if !self.idle.isEmpty { self.scheduleSweep() }
        }
    }

    private func connect(_ completion: @escaping (Result<UpstreamConnection, UpstreamFailure>) -> Void) {
        let observer = self.observer
        let loopBoundSelf = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(options.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let sync = channel.pipeline.syncOperations
                    try sync.addHandler(HTTPRequestEncoder(configuration: .noFraming))
                    try sync.addHandler(ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes)))
                    try sync.addHandler(UpstreamConnection(channel: channel, pool: loopBoundSelf.value))
                }
            }
            .connect(host: options.host, port: options.port)
            .assumeIsolated()
            .flatMapThrowing { channel in
                try channel.pipeline.syncOperations.handler(type: UpstreamConnection.self)
            }
            .whenComplete { result in
                switch result {
                case .success(let connection): completion(.success(connection))
                case .failure(let error):
                    observer.upstreamConnected(succeeded: false)
                    completion(.failure(.connect(String(describing: error))))
                }
            }
    }
}

extension HTTPRequestEncoder.Configuration {
    /// The guard knows every length it forwards and sets the framing fields itself.
    static var noFraming: Self {
        var configuration = Self()
        configuration.automaticallySetFramingHeaders = false
        return configuration
    }
}
