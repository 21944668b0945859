import GuardPolicy
import NIOCore
import NIOHTTP1

/// Collects one request body, decoded, under its limits.
struct RequestBody {
    private var bytes: [UInt8] = []
    private var decoder: ContentDecoder?
    private var limit = 0
    private var taken = 0

    /// - Returns: why the body cannot be read, known before its first byte.
    mutating func start(head: HTTPRequestHead, limit: Int) -> TransportFailure? {
        bytes = []
        decoder = nil
        self.limit = limit
        let codings = head.headers[canonicalForm: "content-encoding"].filter { $0.lowercased() != "identity" }
        if let coding = codings.first {
            guard codings.count == 1, let made = ContentDecoder(coding: String(coding), limit: limit) else {
                return .unsupportedEncoding(codings.joined(separator: ", "))
            }
            decoder = made
        }
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }) {
            if length > limit { return .bodyTooLarge(limit: limit) }
            // What a client announces is not yet what it sends.
            if decoder == nil { bytes.reserveCapacity(min(length, 65_536)) }
        }
        return nil
    }

    mutating func append(_ buffer: ByteBuffer, memory: MemoryGate) -> TransportFailure? {
        let before = bytes.count
        if let decoder {
            do { try decoder.decode(buffer.readableBytesUInt8Span, into: &bytes) } catch {
                switch error {
                case .tooLarge: return .bodyTooLarge(limit: limit)
                case .broken, .truncated: return .brokenEncoding
                }
            }
        } else {
            guard before + buffer.readableBytes <= limit else { return .bodyTooLarge(limit: limit) }
            bytes.append(contentsOf: buffer.readableBytesView)
        }
        let grown = bytes.count - before
        guard memory.take(grown) else { return .outOfMemory }
        taken += grown
        return nil
    }

    func finish() -> TransportFailure? {
        guard let decoder else { return nil }
        do { try decoder.finish() } catch { return .brokenEncoding }
        return nil
    }

    /// The body; its memory stays accounted until `give(to:)`.
    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    mutating func give(to memory: MemoryGate) {
        memory.give(taken)
        taken = 0
        bytes = []
        decoder = nil
    }
}

/// What is known of an answer while it passes.
struct AnswerInFlight {
    var plan: AnswerPlan = .pass
    var status = 0
    var headers = HTTPHeaders()
    var headWritten = false
    var hasBody = true
    var unflushed = false
    private(set) var collected: [UInt8] = []
    private var taken = 0
    private var decoder: ContentDecoder?

    var isDecoding: Bool { decoder != nil }

    /// `false` for a coding that the guard cannot read (it asked for none).
    mutating func decode(_ coding: String, limit: Int) -> Bool {
        guard let made = ContentDecoder(coding: coding, limit: limit) else { return false }
        decoder = made
        return true
    }

    func decoded(_ buffer: ByteBuffer) throws -> [UInt8] {
        guard let decoder else { return Array(buffer.readableBytesView) }
        var bytes: [UInt8] = []
        try decoder.decode(buffer.readableBytesUInt8Span, into: &bytes)
        return bytes
    }

    /// `false` where a compressed answer ended in its middle.
    var isWhole: Bool {
        guard let decoder else { return true }
        do { try decoder.finish() } catch { return false }
        return true
    }

    mutating func collect(_ bytes: [UInt8], limit: Int, memory: MemoryGate) -> Bool {
        guard collected.count + bytes.count <= limit, memory.take(bytes.count) else { return false }
        taken += bytes.count
        collected += bytes
        return true
    }

    mutating func give(to memory: MemoryGate) {
        memory.give(taken)
        taken = 0
        collected = []
    }
}

extension TransportFailure {
    /// `nil` for an error that is none of the request's (a reset connection, say).
    init?(_ error: any Error) {
        guard let error = error as? HTTPParserError else { return nil }
        switch error {
        case .headerOverflow: self = .headerTooLarge(limit: 0)
        case .invalidEOFState: return nil
        default: self = .malformedHTTP(String(describing: error))
        }
    }
}
