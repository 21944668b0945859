import GuardBudgets
import GuardPolicy
import NIOCore
import NIOHTTP1
import NIOPosix

/// One client connection: performs what `ExchangeStateMachine` says, asks the engine's `Exchange` what may pass, and
/// moves bytes between the client and an upstream connection of the same event loop.
///
/// Nothing is read that cannot be taken: the client is read only while a request is collected, the upstream only while
/// the client's channel is writable.
final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let shared: ProxyShared
    private let pool: UpstreamPool
    private var machine = ExchangeStateMachine()
    private var context: ChannelHandlerContext?
    /// Parts of the next pipelined request, which wait until this one is done.
    private var waiting: CircularBuffer<HTTPServerRequestPart> = []
    private let timer: DeadlineTimer
    private let commentTimer: DeadlineTimer

    // Of the request under way.
    private var exchange: Exchange?
    private var requestHead: HTTPRequestHead?
    private var body = RequestBody()
    /// The exchange is on a thread: nothing here may touch it until it is back.
    private var isLent = false
    /// `nil` while a remote store is asked.
    private var gate: Exchange.Gate?
    private var upstreamRequest: (head: HTTPRequestHead, body: ByteBuffer?)?
    private var upstream: UpstreamConnection?
    private var answer = AnswerInFlight()

    init(shared: ProxyShared, pool: UpstreamPool) {
        self.shared = shared
        self.pool = pool
        self.timer = DeadlineTimer(eventLoop: pool.eventLoop)
        self.commentTimer = DeadlineTimer(eventLoop: pool.eventLoop)
    }

    // MARK: - client events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { startIdle() }
    }

    func channelActive(context: ChannelHandlerContext) {
        startIdle()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        switch machine.state {
        case .idle, .collecting, .lingering: take(part)
        case .closed: break
        default: waiting.append(part)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { readMoreIfWanted() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { upstream?.read() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer.cancel()
        commentTimer.cancel()
        shared.connections.remove(self, on: pool.eventLoop)
        shared.observer.clientConnections(-1)
        if machine.clientClosed() {
            upstream?.abandon()
            finishExchange(.clientGone)
        }
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .dataReceivedInErrorState(_, let bytes) = error as? ByteToMessageDecoderError {
            // Behind what could not be read nothing is; it is taken from the wire so that the client sees our answer.
            if machine.bodyBytes(bytes.readableBytes) == .close { close() }
            return
        }
        guard let failure = TransportFailure(error) else {
            context.close(promise: nil)
            return
        }
        switch machine.state {
        case .idle:
            let exchange = shared.makeExchange(Arrival(method: "", target: "", headers: []))
            self.exchange = exchange
            _ = machine.requestHead(keepAlive: false)
            refuse(exchange.refuse(failure), closing: true)
        case .collecting:
            if let exchange { refuse(exchange.refuse(failure), closing: true) }
        default:
            // The exchange under way is sound: its answer is sent, what follows it is not read.
            machine.closeAfterAnswer()
            waiting.removeAll()
        }
    }

    private func take(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head): begin(head)
        case .body(let bytes): collect(bytes)
        case .end:
            switch machine.requestEnd() {
            case .judge: judge()
            case .close: close()
            case .ignore: break
            }
        }
    }

    // MARK: - request

    private func begin(_ head: HTTPRequestHead) {
        guard machine.requestHead(keepAlive: head.isKeepAlive) else { return }
        requestHead = head
        answer = AnswerInFlight()
        let exchange = shared.makeExchange(
            Arrival(method: head.method.rawValue, target: head.uri, headers: head.headers.map { ($0.name, $0.value) }))
        self.exchange = exchange
        timer.set(shared.options.bodyTimeout) { [weak self] in self?.bodyTimedOut() }

        // RFC 9112 section 3.2: exactly one, or two readers may take the request for two servers' ones.
        let isAmbiguous = head.version != .http1_0 && head.headers["host"].count != 1
        let unread = body.start(head: head, limit: shared.options.bodyBytesMax, keepsRaw: exchange.isMonitoring)
        let failure = isAmbiguous ? .malformedHTTP("host") : unread
        gate = nil
        // Opened in any case: a refusal speaks the language of the endpoint, and the attempt is the tenant's.
        resolve(exchange.open(), of: exchange) { $0.opened($1, failure) }
    }

    private func opened(_ gate: Exchange.Gate, _ failure: TransportFailure?) {
        self.gate = gate
        if case .refuse(let response) = gate { return refuse(response) }
        if let failure, let exchange { return refuse(exchange.refuse(failure)) }
        guard let requestHead else { return }
        if machine.state == .judging { return judge() }
        if requestHead.version != .http1_0,
            requestHead.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" })
        {
            context?.writeAndFlush(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
    }

    /// Goes on with what the engine answers: at once, or when a remote store has.
    private func resolve<Value: Sendable>(
        _ answer: StoreAnswer<Value>, of exchange: Exchange, _ next: @escaping @Sendable (ExchangeHandler, Value) -> Void
    ) {
        switch answer {
        case .now(let value): next(self, value)
        case .later(let wait):
            let handler = NIOLoopBound(self, eventLoop: pool.eventLoop)
            Task {
                let value = await wait()
                handler.eventLoop.execute {
                    guard handler.value.exchange === exchange else { return }
                    next(handler.value, value)
                }
            }
        }
    }

    private func collect(_ bytes: ByteBuffer) {
        switch machine.bodyBytes(bytes.readableBytes) {
        case .append:
            if let failure = body.append(bytes, memory: shared.memory), let exchange { refuse(exchange.refuse(failure)) }
        case .close: close()
        case .drop, .ignore: break
        }
    }

    private func bodyTimedOut() {
        guard machine.state == .collecting, let exchange else { return }
        let seconds = Int(shared.options.bodyTimeout.nanoseconds / 1_000_000_000)
        refuse(exchange.refuse(.bodyTimeout(seconds: seconds)), closing: true)
    }

    private func judge() {
        timer.clear()
        guard let exchange, let context, let gate else { return }
        if let failure = body.finish() { return refuse(exchange.refuse(failure)) }
        let bytes = body.take()
        guard case .judge = gate else {
            if case .pass(let target) = gate { forward(target: target, body: bytes) }
            return
        }
        if let failure = body.unread { return admitted(exchange.passUnread(failure)) }
        if bytes.count <= shared.options.inlineBodyBytesMax {
            return resolve(exchange.admit(body: bytes), of: exchange) { $0.admitted($1) }
        }
        // A large prompt is counted and judged on a thread, so that the other connections of this loop go on. Nothing
        // touches the exchange until the result is back on the loop.
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        isLent = true
        shared.threads.runIfActive(eventLoop: context.eventLoop) { exchange.admit(body: bytes) }
            .whenComplete { result in
                let handler = handler.value
                handler.isLent = false
                guard handler.exchange === exchange, handler.machine.state == .judging else {
                    // The client left meanwhile.
                    return exchange.finish(.clientGone)
                }
                switch result {
                case .success(let answer): handler.resolve(answer, of: exchange) { $0.admitted($1) }
                case .failure: handler.refuse(exchange.refuse(.draining))
                }
            }
    }

    private func admitted(_ admission: Exchange.Admission) {
        switch admission {
        case .refuse(let response): refuse(response)
        case .forward(let target, let body): forward(target: target, body: body)
        }
    }

    private func forward(target: String, body bytes: [UInt8]) {
        guard let requestHead, let context, machine.forward() else { return }
        let bytes = body.raw ?? bytes
        let hasBody = !bytes.isEmpty || requestHead.headers.contains(name: "content-length")
        var headers = HeaderRules.forwarded(request: requestHead.headers, bodyLength: hasBody ? bytes.count : nil)
        if body.raw != nil {
            for value in requestHead.headers["content-encoding"] { headers.add(name: "content-encoding", value: value) }
        }
        let head = HTTPRequestHead(version: .http1_1, method: requestHead.method, uri: target, headers: headers)
        upstreamRequest = (head, bytes.isEmpty ? nil : context.channel.allocator.buffer(bytes: bytes))
        connect(fresh: false)
    }

    private func connect(fresh: Bool) {
        guard let exchange else { return }
        pool.acquire(fresh: fresh) { [weak self] result in
            guard let self, self.exchange === exchange, case .awaiting = self.machine.state else {
                // The client left while we connected: the connection is good for the next one.
                if case .success(let connection) = result { connection.giveBack() }
                return
            }
            switch result {
            case .failure(let failure): self.upstream(failed: failure)
            case .success(let connection):
                self.upstream = connection
                self.timer.set(self.shared.options.upstream.firstByteTimeout) { [weak self] in
                    self?.upstreamTimedOut(.firstByteTimeout)
                }
                if let request = self.upstreamRequest {
                    connection.send(request.head, body: request.body, for: self)
                }
            }
        }
    }

    // MARK: - writing to the client

    /// - Parameter closing: the request's framing is broken, so the connection cannot serve another one.
    private func refuse(_ response: GuardResponse, closing: Bool = false) {
        body.give(to: shared.memory)
        timer.clear()
        let action = machine.refuse(closing: closing)
        guard action != .ignore, let context else { return }
        var headers = HTTPHeaders(response.headers.map { ($0.name, $0.value) })
        headers.add(name: "content-length", value: String(response.body.count))
        if action != .answer {
            headers.add(name: "connection", value: "close")
        } else if requestHead?.version == .http1_0 {
            headers.add(name: "connection", value: "keep-alive")
        }
        let head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if requestHead?.method != .HEAD, !response.body.isEmpty {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: response.body)))),
                promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        finishExchange(.complete)
        switch action {
        case .answer: nextRequest()
        case .answerAndClose: close()
        case .answerAndLinger:
            // The client need not wait for our end; we read on for the sake of its last writes.
            context.close(mode: .output, promise: nil)
            timer.set(.seconds(2)) { [weak self] in self?.close() }
            readMoreIfWanted()
        case .ignore: break
        }
    }

    private func writeHead(status: Int, headers: HTTPHeaders, length: Int?) {
        guard let context, let exchange else { return }
        var headers = headers
        for (name, value) in exchange.responseHeaders { headers.replaceOrAdd(name: name, value: value) }
        answer.hasBody = requestHead?.method != .HEAD && status != 204 && status != 304
        if let length {
            if status != 204, status != 304 { headers.add(name: "content-length", value: String(length)) }
        } else if answer.hasBody {
            if requestHead?.version == .http1_1 {
                headers.add(name: "transfer-encoding", value: "chunked")
            } else {
                machine.closeAfterAnswer()
            }
        }
        if !machine.willKeepAlive {
            headers.add(name: "connection", value: "close")
        } else if requestHead?.version == .http1_0 {
            headers.add(name: "connection", value: "keep-alive")
        }
        answer.headWritten = true
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers))),
            promise: nil)
    }

    private func writeBody(_ bytes: [UInt8]) {
        guard let context, !bytes.isEmpty, answer.hasBody else { return }
        context.write(
            wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: bytes)))), promise: nil)
        answer.unflushed = true
    }

    private func flush() {
        if answer.unflushed { context?.flush() }
        answer.unflushed = false
    }

    /// The answer is complete: end it, record, and go on with the connection.
    private func endAnswer(_ end: ExchangeEnd = .complete) {
        guard let context else { return }
        timer.clear()
        commentTimer.clear()
        upstream = nil
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        answer.give(to: shared.memory)
        finishExchange(end)
        switch machine.answerEnd() {
        case .nextRequest: nextRequest()
        case .close: close()
        case .ignore: break
        }
    }

    private func finishExchange(_ end: ExchangeEnd) {
        body.give(to: shared.memory)
        answer.give(to: shared.memory)
        upstream = nil
        upstreamRequest = nil
        requestHead = nil
        let ended = exchange
        exchange = nil
        if !isLent { ended?.finish(end) }
    }

    private func nextRequest() {
        startIdle()
        while let part = waiting.popFirst() {
            take(part)
            switch machine.state {
            case .idle, .collecting, .lingering: continue
            default: return
            }
        }
        readMoreIfWanted()
    }

    private func startIdle() {
        timer.set(shared.options.clientIdleTimeout) { [weak self] in
            guard let self, self.machine.state == .idle else { return }
            self.close()
        }
        readMoreIfWanted()
    }

    private func readMoreIfWanted() {
        switch machine.state {
        case .idle, .collecting, .lingering: context?.read()
        default: break
        }
    }

    private func close() {
        _ = machine.drain()
        context?.close(mode: .all, promise: nil)
    }

    /// Called on the event loop when the process shuts down.
    func drain() {
        if machine.drain() { close() }
    }
}

// MARK: - end of the process

extension ExchangeHandler {
    /// Called on the event loop when `drain.timeout` has passed: what still runs is ended as the API ends errors.
    func abort() {
        guard let exchange, !isLent else { return close() }
        upstream?.abandon()
        switch machine.state {
        case .collecting, .judging, .awaiting: refuse(exchange.refuse(.draining), closing: true)
        case .answering where !answer.headWritten: answerInstead(exchange.refuse(.draining))
        case .answering:
            let ending = exchange.cut(.draining).output
            if answer.plan == .inspect {
                writeBody(ending)
                return endAnswer()
            }
            // Cut, so that nobody takes it for whole.
            finishExchange(.complete)
            close()
        case .idle, .lingering, .closed: close()
        }
    }
}

// MARK: - upstream events

extension ExchangeHandler: UpstreamDelegate {
    func upstream(head: HTTPResponseHead) {
        guard let exchange, machine.answerHead() else { return }
        upstreamRequest = nil
        body.give(to: shared.memory)
        setStreamIdleTimer()
        answer.status = Int(head.status.code)
        answer.headers = HeaderRules.forwarded(answer: head.headers)
        answer.plan = exchange.answerHead(status: answer.status, contentType: head.headers.first(name: "content-type"))
        // What nobody judges, or what is judged without consequence, passes as it came.
        answer.isVerbatim = answer.plan == .pass || answer.plan == .observe
        if let coding = head.headers.first(name: "content-encoding"), coding.lowercased() != "identity" {
            if answer.isVerbatim {
                for value in head.headers["content-encoding"] { answer.headers.add(name: "content-encoding", value: value) }
            }
            if answer.plan != .pass, !answer.decode(coding, limit: shared.options.responseBytesMax) {
                guard answer.isVerbatim else { return breakAnswer(.unparsable) }
                stopJudging("unsupported_encoding")
            }
        }
        if answer.isVerbatim {
            let length = head.headers.first(name: "content-length").flatMap { Int($0) }
            writeHead(status: answer.status, headers: answer.headers, length: length)
        } else if answer.plan == .inspect {
            writeHead(status: answer.status, headers: answer.headers, length: nil)
        }
    }

    /// Only where the answer passes whatever is found in it.
    private func stopJudging(_ why: String) {
        exchange?.answerUnread(why)
        answer.plan = .pass
        answer.give(to: shared.memory)
    }

    func upstream(body bytes: ByteBuffer) {
        guard machine.state == .answering, let exchange else { return }
        setStreamIdleTimer()
        if answer.isVerbatim { writeBody(Array(bytes.readableBytesView)) }
        guard answer.plan != .pass else { return }
        let decoded: [UInt8]
        do { decoded = try answer.decoded(bytes) } catch {
            return answer.isVerbatim ? stopJudging("broken_encoding") : breakAnswer(.unparsable)
        }
        switch answer.plan {
        case .pass: break
        case .observe:
            _ = exchange.answer(bytes: decoded)
            if !answer.hold(exchange.heldBytes, memory: shared.memory) { stopJudging("no_memory") }
        case .inspect:
            let step = exchange.answer(bytes: decoded)
            writeBody(step.output)
            if step.ends { return endEarly() }
            guard answer.hold(exchange.heldBytes, memory: shared.memory) else {
                writeBody(exchange.cut(.outOfMemory).output)
                return endEarly()
            }
        case .collect:
            switch answer.collect(decoded, limit: shared.options.responseBytesMax, memory: shared.memory) {
            case .taken: break
            case .tooLarge: breakAnswer(.unparsable)
            case .noMemory: answerInstead(exchange.refuse(.outOfMemory))
            }
        }
    }

    func upstreamReadComplete() {
        flush()
        guard machine.state == .answering || isAwaiting, let context else { return }
        if exchange?.isHolding != true || answer.isVerbatim {
            commentTimer.clear()
        } else if !commentTimer.isSet {
            // Not moved by events that are held themselves: the client has heard nothing of them.
            scheduleComment()
        }
        if context.channel.isWritable { upstream?.read() }
    }

    func upstreamEnd() {
        guard machine.state == .answering, let exchange else { return }
        upstream = nil
        if !answer.isWhole {
            guard answer.isVerbatim else { return breakAnswer(.unparsable) }
            stopJudging("broken_encoding")
        }
        switch answer.plan {
        case .pass: endAnswer()
        case .observe:
            _ = exchange.answerEnded(complete: true)
            endAnswer()
        case .inspect:
            writeBody(exchange.answerEnded(complete: true).output)
            endAnswer()
        case .collect:
            let response = exchange.answer(whole: answer.collected)
            var headers = answer.headers
            for (name, value) in response.headers { headers.replaceOrAdd(name: name, value: value) }
            writeHead(status: response.status, headers: headers, length: response.body.count)
            writeBody(response.body)
            endAnswer()
        }
    }

    func upstream(failed failure: UpstreamFailure) {
        upstream = nil
        let fault: UpstreamFault
        var again = false
        switch failure {
        case .connect: fault = .unreachable
        case .closed(let silent, let reused):
            fault = .closedEarly
            again = silent && reused
        case .unparsable: fault = .unparsable
        }
        switch machine.upstreamFailed(reusedAndSilent: again) {
        case .retry:
            shared.observer.retried()
            connect(fresh: true)
        case .refuse: if let exchange { refuse(exchange.refuse(fault)) }
        case .breakAnswer: breakAnswer(fault)
        case .ignore: break
        }
    }

    func upstreamWritabilityChanged() {}

    private var isAwaiting: Bool { if case .awaiting = machine.state { true } else { false } }

    private func upstreamTimedOut(_ fault: UpstreamFault) {
        upstream?.abandon()
        upstream = nil
        switch machine.upstreamFailed(reusedAndSilent: false) {
        case .refuse: if let exchange { refuse(exchange.refuse(fault)) }
        case .breakAnswer: breakAnswer(fault)
        case .retry, .ignore: break
        }
    }

    private func setStreamIdleTimer() {
        timer.set(shared.options.upstream.streamIdleTimeout) { [weak self] in
            guard let self else { return }
            guard self.context?.channel.isWritable == false else { return self.upstreamTimedOut(.idleTimeout) }
            // We did not read, for the client did not: it is the one who has stopped.
            self.upstream?.abandon()
            self.finishExchange(.clientGone)
            self.close()
        }
    }

    /// The guard ends an answer that the model server has not ended: a block, or a limit that it ignores.
    private func endEarly() {
        upstream?.abandon()
        endAnswer()
    }

    /// The answer cannot be completed. Nothing written yet: an error answer. A stream: its terminal error event.
    /// Anything else is cut, so that the client cannot take it for whole.
    private func breakAnswer(_ fault: UpstreamFault) {
        upstream?.abandon()
        upstream = nil
        guard let exchange, let context else { return }
        if !answer.headWritten { return answerInstead(exchange.refuse(fault), .upstream(fault)) }
        if answer.plan == .inspect {
            writeBody(exchange.answerEnded(complete: false).output)
            return endAnswer(.upstream(fault))
        }
        if answer.plan == .observe { _ = exchange.answerEnded(complete: false) }
        timer.clear()
        context.flush()
        finishExchange(.upstream(fault))
        close()
    }

    /// Nothing of the model server's answer was written: the client gets ours.
    private func answerInstead(_ response: GuardResponse, _ end: ExchangeEnd = .complete) {
        upstream?.abandon()
        writeHead(
            status: response.status, headers: HTTPHeaders(response.headers.map { ($0.name, $0.value) }),
            length: response.body.count)
        writeBody(response.body)
        endAnswer(end)
    }

    private func scheduleComment() {
        commentTimer.set(.seconds(15)) { [weak self] in
            guard let self, let exchange = self.exchange, exchange.isHolding else { return }
            self.writeBody(Array(": held\n\n".utf8))
            self.flush()
            self.scheduleComment()
        }
    }
}
