/// A request head as it came, free of any HTTP library.
package struct Arrival: Sendable {
    package var method: String
    /// Request target as sent: path and query, undecoded.
    package var target: String
    package var headers: [(name: String, value: String)]

    package init(method: String, target: String, headers: [(name: String, value: String)]) {
        self.method = method
        self.target = target
        self.headers = headers
    }

    /// First field of this name, compared without case.
    package func header(_ name: String) -> String? {
        headers.first { Self.isSame($0.name, name) }?.value
    }

    /// All fields of this name, compared without case.
    func values(_ name: String) -> [String] {
        headers.compactMap { Self.isSame($0.name, name) ? $0.value : nil }
    }

    private static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && left.utf8.elementsEqual(right.utf8) { left, right in
                left == right || (left | 0x20 == right | 0x20 && (0x61...0x7A).contains(left | 0x20))
            }
    }
}

/// An answer that the guard itself gives.
package struct GuardResponse: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// What is wrong with a request below the level that the engine reads.
package enum TransportFailure: Sendable, Equatable {
    case headerTooLarge(limit: Int)
    case bodyTooLarge(limit: Int)
    case bodyTimeout(seconds: Int)
    /// gzip or deflate that does not decode.
    case brokenEncoding
    case unsupportedEncoding(String)
    /// Not HTTP/1, or framing that two readers could read in two ways.
    case malformedHTTP(String)
    case outOfMemory
    case draining
}

/// What is wrong with the model server.
package enum UpstreamFault: Sendable, Equatable, CaseIterable {
    case unreachable
    case closedEarly
    case firstByteTimeout
    case idleTimeout
    case unparsable

    package var status: Int {
        switch self {
        case .firstByteTimeout, .idleTimeout: 504
        case .unreachable, .closedEarly, .unparsable: 502
        }
    }
}

/// How the bytes of an answer reach the client.
package enum AnswerPlan: Sendable, Equatable {
    /// As they come.
    case pass
    /// As they come, and `Exchange.answer(bytes:)` sees them too: monitor mode.
    case observe
    /// Through `Exchange.answer(bytes:)`, event by event.
    case inspect
    /// Kept until the end, then judged whole by `Exchange.answer(whole:)`.
    case collect
}

/// What to write now of an inspected answer.
package struct AnswerStep: Sendable {
    package var output: [UInt8]
    /// Nothing follows: end the answer, and the upstream request where it still runs.
    package var ends: Bool

    package init(output: [UInt8] = [], ends: Bool = false) { (self.output, self.ends) = (output, ends) }
}

/// How an exchange ended, for settlement and record.
package enum ExchangeEnd: Sendable, Equatable {
    /// The answer, or the refusal, was written to its end.
    case complete
    case clientGone
    case upstream(UpstreamFault)
}
