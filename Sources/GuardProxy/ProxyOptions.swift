package import NIOCore

/// What the data plane needs to know of the configuration. Times and sizes are the ones of DESIGN section 3.
package struct ProxyOptions: Sendable {
    /// Address of the data listener; port 0 picks a free one.
    package var host = "0.0.0.0"
    package var port = 8080
    package var upstream = UpstreamOptions()

    /// Largest request body, after decoding of `Content-Encoding`, in bytes.
    package var bodyBytesMax = 33_554_432
    /// Largest whole (not streamed) answer that is judged, in bytes.
    package var responseBytesMax = 67_108_864
    /// All header fields of a request, in bytes.
    package var headerBytesMax = 65_536
    /// From the head of a request to the last byte of its body.
    package var bodyTimeout: TimeAmount = .seconds(30)
    /// A connection without a request is closed after this time.
    package var clientIdleTimeout: TimeAmount = .seconds(75)
    /// All request and held answer bytes of the process.
    package var bufferedBytesMax = 268_435_456
    /// Bodies from this size on are judged on a thread, smaller ones on the event loop.
    package var inlineBodyBytesMax = 32_768

    /// How long new connections are still accepted after SIGTERM, and how long streams may go on after it.
    package var drainDelay: TimeAmount = .seconds(5)
    package var drainTimeout: TimeAmount = .seconds(300)
    /// 0: one per core.
    package var eventLoopCount = 0

    package init() {}
}

package struct UpstreamOptions: Sendable, Hashable {
    package var host = "127.0.0.1"
    package var port = 8000
    package var connectTimeout: TimeAmount = .seconds(5)
    /// From the end of the request to the head of the answer.
    package var firstByteTimeout: TimeAmount = .seconds(600)
    /// Between two reads of an answer.
    package var streamIdleTimeout: TimeAmount = .seconds(120)
    /// An unused connection is closed after this time: shorter than uvicorn's 5 s, so that it is seldom the server
    /// who closes first.
    package var idleTimeout: TimeAmount = .seconds(4)
    package var idleConnectionsMax = 64

    package init() {}
}
