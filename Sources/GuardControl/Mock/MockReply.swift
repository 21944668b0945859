/// One answer of the mock, ready to be sent: bytes cut into the pieces that are written apart.
package struct MockReply: Sendable {
    package enum Ending: Sendable {
        case complete
        /// The connection closes before a byte of the answer.
        case closeBeforeAnswer
        /// The connection closes after the pieces, where more was announced.
        case closeMidway
        /// Nothing follows the pieces, and the connection stays open.
        case stall
    }

    package var status: Int
    package var contentType: String
    package var headers: [(String, String)] = []
    /// Chunked transfer coding if true, else a declared length.
    package var streams = false
    package var pieces: [[UInt8]]
    /// What `content-length` says of an answer that does not stream.
    package var bytesDeclared: Int
    package var firstByteDelayMilliseconds = 0
    package var pauseMilliseconds = 0
    package var ending = Ending.complete

    package init(status: Int = 200, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        pieces = [body]
        bytesDeclared = body.count
    }

    static func json(_ status: Int, _ body: [UInt8]) -> MockReply {
        MockReply(status: status, contentType: "application/json", body: body)
    }

    static func text(_ status: Int, _ body: String) -> MockReply {
        MockReply(status: status, contentType: "text/plain; charset=utf-8", body: Array(body.utf8))
    }

    /// Server-sent events; each is one write until it is cut otherwise.
    static func events(_ events: [[UInt8]]) -> MockReply {
        var reply = MockReply(contentType: "text/event-stream; charset=utf-8", body: [])
        reply.streams = true
        reply.pieces = events
        return reply
    }

    /// Cuts the same bytes into other pieces.
    mutating func cut(_ cut: MockCut) {
        let bytes = pieces.flatMap { $0 }
        var generator = cut.generator
        var at = 0
        var cuts: [[UInt8]] = []
        while at < bytes.count {
            let end = min(bytes.count, at + cut.next(&generator))
            cuts.append(Array(bytes[at..<end]))
            at = end
        }
        pieces = cuts
    }

    /// Keeps the first half of the bytes, cut within an event or a value.
    mutating func keepHalf() {
        var left = max(1, pieces.reduce(0) { $0 + $1.count } / 2)
        var kept: [[UInt8]] = []
        for piece in pieces where left > 0 {
            kept.append(Array(piece.prefix(left)))
            left -= piece.count
        }
        pieces = kept
    }
}

/// Sizes of pieces: always `bytes`, or random between 1 and 48 from a seed, the same at every run.
package struct MockCut: Sendable, Hashable {
    package var bytes: Int?
    package var seed: UInt64 = 1

    /// `7`, `random` or `random:42`.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.first == "random" {
            guard parts.count == 1 || UInt64(parts[1]) != nil else { return nil }
            seed = parts.count == 2 ? UInt64(parts[1]) ?? 1 : 1
        } else {
            guard let bytes = Int(text), bytes > 0 else { return nil }
            self.bytes = bytes
        }
    }

    var generator: SplitMix64 { SplitMix64(state: seed) }

    func next(_ generator: inout SplitMix64) -> Int { bytes ?? Int.random(in: 1...48, using: &generator) }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): small, seeded, good enough for cuts.
struct SplitMix64: RandomNumberGenerator, Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
