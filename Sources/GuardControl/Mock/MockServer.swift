import GuardCore
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A model server for demos, tests and benchmarks: it answers what it was told to answer, counts tokens with the same
/// engines as a real server would, streams with cuts at odd places, and fails on request.
///
/// It always binds a loopback address: it has no authentication, runs every instruction that a request header gives
/// it, and shows the last request to whoever asks.
package struct MockServer: Sendable {
    package struct Options: Sendable {
        /// Loopback only.
        package var host = "127.0.0.1"
        /// 0 lets the system choose.
        package var port = 0
        package var threads = 1
        /// Body bytes a request may have; more is answered with 413.
        package var bodyBytesMax = 64 << 20

        package init() {}
    }

    package let port: Int
    package let state: MockState
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup

    package static func start(_ responder: MockResponder, options: Options = Options()) async throws -> MockServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, options.threads))
        let state = MockState()
        do {
            let bootstrap = ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                        try channel.pipeline.syncOperations.addHandler(
                            MockHandler(responder: responder, state: state, bodyBytesMax: options.bodyBytesMax))
                    }
                }
                // A mock is for odd cuts: what is written apart should leave apart.
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: false)
            let channel = try await bootstrap.bind(host: options.host, port: options.port).get()
            return MockServer(
                port: channel.localAddress?.port ?? options.port, state: state, channel: channel, group: group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(port: Int, state: MockState, channel: any Channel, group: MultiThreadedEventLoopGroup) {
        (self.port, self.state, self.channel, self.group) = (port, state, channel, group)
    }

    /// Runs until the listener closes.
    package func wait() async throws { try await channel.closeFuture.get() }

    package func stop() async {
        try? await channel.close().get()
        try? await group.shutdownGracefully()
    }
}

/// What the mock has seen, for the tests that ask what really reached the upstream. `GET /mock/last` and
/// `GET /mock/stats` show it.
package final class MockState: Sendable {
    package struct Request: Sendable {
        package var method: String
        package var target: String
        package var headers: [(name: String, value: String)]
        package var body: [UInt8]
    }

    package struct Stats: Sendable, Equatable {
        /// Requests for a model's answer; looks at `/mock/…` are not counted.
        package var requests = 0
        /// Answers that ended because the other side closed first.
        package var aborted = 0
        package var connectionsOpen = 0
        package var connectionsTotal = 0
    }

    private struct Inside {
        var last: Request?
        var stats = Stats()
    }

    private let inside = Mutex(Inside())

    package var last: Request? { inside.withLock { $0.last } }
    package var stats: Stats { inside.withLock { $0.stats } }

    func received(_ request: Request) {
        inside.withLock {
            $0.last = request
            $0.stats.requests += 1
        }
    }

    func aborted() { inside.withLock { $0.stats.aborted += 1 } }

    func opened() {
        inside.withLock {
            $0.stats.connectionsOpen += 1
            $0.stats.connectionsTotal += 1
        }
    }

    func closed() { inside.withLock { $0.stats.connectionsOpen -= 1 } }
}
