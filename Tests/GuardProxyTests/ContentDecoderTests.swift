import CZLIB
import NIOHTTP1
import Testing

@testable import GuardProxy

@Suite struct ContentDecoderTests {
    /// What zlib makes of `bytes` in one of the three framings.
    static func compress(_ bytes: [UInt8], windowBits: Int32) -> [UInt8] {
        var stream = z_stream()
        deflateInit2_(
            &stream, 6, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        defer { deflateEnd(&stream) }
        var input = bytes
        var output = [UInt8](repeating: 0, count: bytes.count + 1024)
        let size = output.count
        input.withUnsafeMutableBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target in
                stream.next_in = source.baseAddress
                stream.avail_in = UInt32(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(size)
                _ = deflate(&stream, Z_FINISH)
            }
        }
        return Array(output.prefix(size - Int(stream.avail_out)))
    }

    static let text = Array(String(repeating: "one prompt, many words. ", count: 500).utf8)

    @Test(arguments: [("gzip", Int32(31)), ("x-gzip", 31), ("deflate", 15), ("deflate", -15)])
    func decodesInAnyPieces(coding: String, windowBits: Int32) throws {
        let compressed = Self.compress(Self.text, windowBits: windowBits)
        for step in [1, 7, compressed.count] {
            let decoder = try #require(ContentDecoder(coding: coding, limit: 1 << 20))
            var output: [UInt8] = []
            var start = 0
            while start < compressed.count {
                let end = min(start + step, compressed.count)
                try decoder.decode(Array(compressed[start..<end]).span, into: &output)
                start = end
            }
            try decoder.finish()
            #expect(output == Self.text)
        }
    }

    @Test func aBombStopsAtTheLimit() throws {
        let compressed = Self.compress([UInt8](repeating: 0, count: 1 << 20), windowBits: 31)
        let decoder = try #require(ContentDecoder(coding: "gzip", limit: 1000))
        var output: [UInt8] = []
        #expect(throws: ContentDecoder.Failure.tooLarge) { try decoder.decode(compressed.span, into: &output) }
        #expect(output.count <= 1001)
    }

    @Test func brokenAndTruncatedInputIsAnError() throws {
        let compressed = Self.compress(Self.text, windowBits: 31)
        var output: [UInt8] = []
        let cut = try #require(ContentDecoder(coding: "gzip", limit: 1 << 20))
        try cut.decode(Array(compressed.dropLast(9)).span, into: &output)
        #expect(throws: ContentDecoder.Failure.truncated) { try cut.finish() }
        let plain = try #require(ContentDecoder(coding: "gzip", limit: 1 << 20))
        #expect(throws: ContentDecoder.Failure.broken) { try plain.decode(Self.text.span, into: &output) }
        let trailing = try #require(ContentDecoder(coding: "gzip", limit: 1 << 20))
        #expect(throws: ContentDecoder.Failure.broken) {
            try trailing.decode((compressed + [1, 2, 3]).span, into: &output)
        }
        #expect(ContentDecoder(coding: "br", limit: 10) == nil)
    }

    @Test func everyMutationEndsInOutputOrError() throws {
        let compressed = Self.compress(Self.text, windowBits: 31)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var mutated = compressed
            mutated[Int.random(in: 0..<mutated.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            let decoder = try #require(ContentDecoder(coding: "gzip", limit: 1 << 16))
            var output: [UInt8] = []
            try? decoder.decode(mutated.span, into: &output)
            #expect(output.count <= 1 << 16 + 1)
        }
    }
}

@Suite struct HeaderRulesTests {
    @Test func hopByHopFieldsStay() {
        let headers: HTTPHeaders = [
            "Host": "model", "Connection": "keep-alive, X-Private", "X-Private": "1", "Keep-Alive": "timeout=5",
            "TE": "trailers", "Transfer-Encoding": "chunked", "Upgrade": "h2c", "HTTP2-Settings": "AA",
            "Proxy-Authorization": "Basic x", "Expect": "100-continue", "Content-Encoding": "gzip",
            "Content-Length": "999", "Accept-Encoding": "gzip, br", "Authorization": "Bearer k", "X-Trace": "t",
        ]
        let forwarded = HeaderRules.forwarded(request: headers, bodyLength: 12)
        #expect(forwarded.map(\.name) == ["Host", "Authorization", "X-Trace", "accept-encoding", "content-length"])
        #expect(forwarded.first(name: "content-length") == "12")
        #expect(forwarded.first(name: "accept-encoding") == "identity")
    }

    @Test func answersLoseTheirFraming() {
        let headers: HTTPHeaders = [
            "Content-Type": "application/json", "Content-Length": "5", "Content-Encoding": "gzip",
            "Connection": "x-hop", "X-Hop": "1", "X-Stay": "2",
        ]
        #expect(HeaderRules.forwarded(answer: headers).map(\.name) == ["Content-Type", "X-Stay"])
    }
}
