/// The life of one client connection, request after request, without I/O: an event goes in, what the handler has to do
/// comes out. Only legal orders of events are accepted; what cannot happen answers `.ignore`, so that a late event of
/// a dead exchange does nothing.
///
///     idle ──head──▶ collecting ──end──▶ judging ──forward──▶ awaiting ──head──▶ answering ──end──▶ idle | closed
///       │               │                   │                    │                  │
///       └───────────────┴──── refused ──────┴────────────────────┘                  └─ broken ─▶ closed
///                        answered at once; before the request's end: lingering ──▶ closed
struct ExchangeStateMachine {
    enum State: Equatable {
        /// Between requests. Next: `requestHead`.
        case idle
        /// The body is read into memory. Next: `bodyBytes`, `requestEnd`, `refuse`.
        case collecting
        /// The engine decides, perhaps on a thread. Next: `forward`, `refuse`.
        case judging
        /// Connecting, or waiting for the head of the answer. Next: `answerHead`, `refuse`, `retry`.
        case awaiting(Attempt)
        /// The head of the answer is known. Next: `answerEnd`, `broken`.
        case answering
        /// Refused before the request's end: the answer is out, what the client still sends is read and dropped for a
        /// while, so that it sees the answer and not a reset (RFC 9112 section 9.6).
        case lingering(bytes: Int)
        case closed
    }

    struct Attempt: Equatable {
        /// A second attempt is made only on a connection that was reused and closed before any answer byte.
        var isRetry = false
    }

    enum BodyAction: Equatable { case append, drop, close, ignore }
    enum EndAction: Equatable { case judge, close, ignore }
    enum RefuseAction: Equatable {
        /// Write the answer; the connection stays usable.
        case answer
        /// Write the answer with `connection: close`, then close.
        case answerAndClose
        /// Write the answer with `connection: close`, read on, then close.
        case answerAndLinger
        case ignore
    }
    enum FailureAction: Equatable {
        /// Once more on a fresh connection.
        case retry
        /// No byte of the answer reached the client: an error in the API's shape.
        case refuse
        /// The answer has begun: a terminal event or a cut.
        case breakAnswer
        case ignore
    }
    enum FinishAction: Equatable { case nextRequest, close, ignore }

    /// How much a client may send after an early refusal.
    static let lingerBytesMax = 1_048_576

    private(set) var state: State = .idle
    private var keepAlive = true
    private var requestEnded = false
    private var draining = false

    /// `false` for a head that nobody waits for.
    mutating func requestHead(keepAlive: Bool) -> Bool {
        guard state == .idle else { return false }
        self.keepAlive = keepAlive && !draining
        requestEnded = false
        state = .collecting
        return true
    }

    mutating func bodyBytes(_ count: Int) -> BodyAction {
        switch state {
        case .collecting: return .append
        case .lingering(let bytes):
            let total = bytes + count
            state = total > Self.lingerBytesMax ? .closed : .lingering(bytes: total)
            return total > Self.lingerBytesMax ? .close : .drop
        default: return .ignore
        }
    }

    mutating func requestEnd() -> EndAction {
        requestEnded = true
        switch state {
        case .collecting:
            state = .judging
            return .judge
        case .lingering:
            state = .closed
            return .close
        default: return .ignore
        }
    }

    mutating func forward() -> Bool {
        guard state == .judging || state == .collecting else { return false }
        state = .awaiting(Attempt())
        return true
    }

    /// - Parameter closing: the request itself is broken, so nothing behind it can be trusted as a next request.
    mutating func refuse(closing: Bool = false) -> RefuseAction {
        switch state {
        case .collecting, .judging, .awaiting:
            if closing { keepAlive = false }
            if !requestEnded {
                state = .lingering(bytes: 0)
                return .answerAndLinger
            }
            state = keepAlive ? .idle : .closed
            return keepAlive ? .answer : .answerAndClose
        default: return .ignore
        }
    }

    mutating func answerHead() -> Bool {
        guard case .awaiting = state else { return false }
        state = .answering
        return true
    }

    mutating func answerEnd() -> FinishAction {
        guard state == .answering else { return .ignore }
        state = keepAlive ? .idle : .closed
        return keepAlive ? .nextRequest : .close
    }

    /// The upstream could not be reached, was too slow, or closed.
    /// - Parameters:
    ///   - reusedAndSilent: the connection had served before and closed before any byte of this answer.
    mutating func upstreamFailed(reusedAndSilent: Bool) -> FailureAction {
        switch state {
        case .awaiting(let attempt):
            if reusedAndSilent, !attempt.isRetry {
                state = .awaiting(Attempt(isRetry: true))
                return .retry
            }
            return .refuse
        case .answering: return .breakAnswer
        default: return .ignore
        }
    }

    /// The client is gone: `true` where an exchange was under way that has to be ended and recorded.
    mutating func clientClosed() -> Bool {
        defer { state = .closed }
        switch state {
        case .idle, .lingering, .closed: return false
        case .collecting, .judging, .awaiting, .answering: return true
        }
    }

    /// From now on no connection is kept for a next request. `true` where it can be closed at once.
    mutating func drain() -> Bool {
        draining = true
        keepAlive = false
        guard state == .idle else { return false }
        state = .closed
        return true
    }

    /// The connection cannot be kept: the answer will be ended by closing it.
    mutating func closeAfterAnswer() { keepAlive = false }

    var willKeepAlive: Bool { keepAlive }
}
