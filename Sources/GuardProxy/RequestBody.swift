import GuardPolicy
import NIOCore
import NIOHTTP1

/// Collects one request body, decoded, under its limits.
struct RequestBody {
    private var bytes: [UInt8] = []
    private var decoder: ContentDecoder?
    private var limit = 0
    private var taken = 0
    /// Monitor mode: the body as it came, where that is not the body as it is read.
    private(set) var raw: [UInt8]?
    /// Monitor mode: why nobody can read the body.
    private(set) var unread: TransportFailure?

    /// - Parameter keepsRaw: the body is forwarded as it came, even where it cannot be decoded.
    /// - Returns: why the body cannot be read, known before its first byte.
    mutating func start(head: HTTPRequestHead, limit: Int, keepsRaw: Bool = false) -> TransportFailure? {
        bytes = []
        decoder = nil
        raw = nil
        unread = nil
        self.limit = limit
        let codings = head.headers[canonicalForm: "content-encoding"].filter { $0.lowercased() != "identity" }
        if let coding = codings.first {
            if keepsRaw { raw = [] }
            if codings.count == 1, let made = ContentDecoder(coding: String(coding), limit: limit) {
                decoder = made
            } else {
                let failure = TransportFailure.unsupportedEncoding(codings.joined(separator: ", "))
                guard keepsRaw else { return failure }
                unread = failure
            }
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
        if raw != nil {
            let count = buffer.readableBytes
            guard (raw?.count ?? 0) + count <= limit else { return .bodyTooLarge(limit: limit) }
            guard memory.take(count) else { return .outOfMemory }
            taken += count
            raw?.append(contentsOf: buffer.readableBytesView)
            if unread != nil { return nil }
        }
        if let decoder {
            do { try decoder.decode(buffer.readableBytesUInt8Span, into: &bytes) } catch {
                let failure: TransportFailure = error == .tooLarge ? .bodyTooLarge(limit: limit) : .brokenEncoding
                guard raw != nil else { return failure }
                unread = failure
                bytes = []
                return nil
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

    mutating func finish() -> TransportFailure? {
        guard let decoder, unread == nil else { return nil }
        do { try decoder.finish() } catch {
            guard raw != nil else { return .brokenEncoding }
            unread = .brokenEncoding
        }
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
        raw = nil
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

    /// The client gets the bytes as they came, whatever is found in them.
    var isVerbatim = false
    private var held = 0

    /// `false` for a coding that the guard cannot read (it asked for none).
    mutating func decode(_ coding: String, limit: Int) -> Bool {
        guard let made = ContentDecoder(coding: coding, limit: limit) else { return false }
        decoder = made
        return true
    }

    mutating func decoded(_ buffer: ByteBuffer) throws -> [UInt8] {
        guard let decoder else { return Array(buffer.readableBytesView) }
        hasDecoded = true
        var bytes: [UInt8] = []
        try decoder.decode(buffer.readableBytesUInt8Span, into: &bytes)
        return bytes
    }

    private var hasDecoded = false

    /// `false` where a compressed answer ended in its middle; one without a body has none.
    var isWhole: Bool {
        guard let decoder, hasDecoded else { return true }
        do { try decoder.finish() } catch { return false }
        return true
    }

    enum Collected { case taken, tooLarge, noMemory }

    mutating func collect(_ bytes: [UInt8], limit: Int, memory: MemoryGate) -> Collected {
        guard collected.count + bytes.count <= limit else { return .tooLarge }
        guard memory.take(bytes.count) else { return .noMemory }
        taken += bytes.count
        collected += bytes
        return .taken
    }

    /// Accounts for what a stream holds back now. `false`: there is no memory for it.
    mutating func hold(_ bytes: Int, memory: MemoryGate) -> Bool {
        if bytes > held {
            guard memory.take(bytes - held) else { return false }
        } else {
            memory.give(held - bytes)
        }
        taken += bytes - held
        held = bytes
        return true
    }

    mutating func give(to memory: MemoryGate) {
        memory.give(taken)
        taken = 0
        held = 0
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
