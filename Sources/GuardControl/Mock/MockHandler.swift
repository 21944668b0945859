import GuardCore
import NIOCore
import NIOHTTP1

/// One connection of the mock: collects a request, asks the responder, and sends the reply in the pieces, with the
/// pauses and the faults that the reply names.
final class MockHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let responder: MockResponder
    private let state: MockState
    private let bodyBytesMax: Int

    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var tooLarge = false
    /// What is left to send of the reply under way.
    private var pieces: ArraySlice<[UInt8]> = []
    private var reply: MockReply?
    private var keepAlive = true

    init(responder: MockResponder, state: MockState, bodyBytesMax: Int) {
        (self.responder, self.state, self.bodyBytesMax) = (responder, state, bodyBytesMax)
    }

    func channelActive(context: ChannelHandlerContext) {
        state.opened()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        state.closed()
        if reply != nil { state.aborted() }
        reply = nil
        pieces = []
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.removeAll(keepingCapacity: true)
            tooLarge = false
            if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
                context.writeAndFlush(
                    wrapOutboundOut(.head(.init(version: head.version, status: .continue))), promise: nil)
            }
        case .body(let buffer):
            guard !tooLarge, buffer.readableBytes <= bodyBytesMax - body.count else {
                tooLarge = true
                return
            }
            body.append(contentsOf: buffer.readableBytesView)
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context: context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        keepAlive = head.isKeepAlive
        let reply: MockReply
        if tooLarge {
            reply = .text(413, "body too large")
        } else if head.uri == "/mock/last" {
            reply = responder.describe(last: state.last)
        } else if head.uri == "/mock/stats" {
            reply = responder.describe(stats: state.stats)
        } else {
            if head.method == .POST {
                state.received(
                    MockState.Request(
                        method: head.method.rawValue, target: head.uri,
                        headers: head.headers.map { (name: $0.name, value: $0.value) }, body: body))
            }
            reply = responder.reply(
                method: head.method.rawValue, target: head.uri, header: { head.headers.first(name: $0) }, body: body)
        }
        self.reply = reply
        if reply.firstByteDelayMilliseconds > 0 {
            later(reply.firstByteDelayMilliseconds, context) { handler, context in handler.start(context: context) }
        } else {
            start(context: context)
        }
    }

    private func start(context: ChannelHandlerContext) {
        guard let reply else { return }
        if reply.ending == .closeBeforeAnswer {
            finish()
            context.close(promise: nil)
            return
        }
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: reply.contentType)
        for (name, value) in reply.headers { headers.add(name: name, value: value) }
        if reply.streams {
            headers.add(name: "transfer-encoding", value: "chunked")
        } else {
            headers.add(name: "content-length", value: String(reply.bytesDeclared))
        }
        if !keepAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: reply.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        // The common case of tests and benchmarks leaves in one write.
        if reply.pieces.count <= 1, reply.ending == .complete {
            for piece in reply.pieces { write(piece, context: context, promise: nil) }
            end(context: context)
            return
        }
        context.flush()
        pieces = reply.pieces[...]
        pump(context: context)
    }

    /// One piece, then the next when it has left: so a slow reader is felt, and each piece is its own write.
    private func pump(context: ChannelHandlerContext) {
        guard let reply else { return }
        guard let piece = pieces.popFirst() else {
            switch reply.ending {
            case .complete: end(context: context)
            case .closeMidway, .closeBeforeAnswer:
                finish()
                context.close(promise: nil)
            case .stall: break  // held open until the other side gives up
            }
            return
        }
        let promise = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let pause = reply.pauseMilliseconds
        promise.futureResult.whenSuccess {
            let (handler, context) = bound.value
            if pause > 0 {
                handler.later(pause, context) { handler, context in handler.pump(context: context) }
            } else {
                handler.pump(context: context)
            }
        }
        write(piece, context: context, promise: promise)
        context.flush()
    }

    private func write(_ bytes: [UInt8], context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        let buffer = context.channel.allocator.buffer(bytes: bytes)
        context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: promise)
    }

    private func end(context: ChannelHandlerContext) {
        finish()
        guard !keepAlive else {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            return
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in bound.value.close(promise: nil) }
    }

    private func finish() {
        reply = nil
        pieces = []
    }

    private func later(
        _ milliseconds: Int, _ context: ChannelHandlerContext,
        _ body: @escaping @Sendable (MockHandler, ChannelHandlerContext) -> Void
    ) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(Int64(milliseconds))) {
            let (handler, context) = bound.value
            if context.channel.isActive { body(handler, context) }
        }
    }
}
