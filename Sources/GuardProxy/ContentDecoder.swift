import CZLIB

/// Incremental inflate of `Content-Encoding: gzip | deflate`, bounded by the decoded size.
///
/// `deflate` is the zlib format (RFC 9110 section 8.4.1.2); raw deflate, which some clients send, is taken as well.
final class ContentDecoder {
    enum Failure: Error { case broken, tooLarge, truncated }

    private let stream: UnsafeMutablePointer<z_stream>
    private let limit: Int
    private var decodedBytes = 0
    private var ended = false
    /// `deflate` without a zlib header is only seen at the first byte.
    private var undecided: Bool

    /// `nil` where zlib has no memory, or for a coding that is neither `gzip`, `x-gzip` nor `deflate`.
    init?(coding: String, limit: Int) {
        let windowBits: Int32
        switch coding.lowercased() {
        case "gzip", "x-gzip": windowBits = 15 + 16
        case "deflate": windowBits = 15
        default: return nil
        }
        self.limit = limit
        self.undecided = windowBits == 15
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        guard inflateInit2_(stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return nil
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Decodes the next bytes and appends what they hold to `output`.
    func decode(_ input: borrowing Span<UInt8>, into output: inout [UInt8]) throws(Failure) {
        guard !input.isEmpty else { return }
        if undecided {
            undecided = false
            // RFC 1950: CM = 8 in the low nibble, and CMF * 256 + FLG is a multiple of 31.
            if input[0] & 0x0F != 8, inflateReset2(stream, -15) != Z_OK { throw .broken }
        }
        if ended { throw .broken }
        var result: Result<Void, Failure> = .success(())
        input.withUnsafeBufferPointer { source in
            stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            stream.pointee.avail_in = UInt32(source.count)
            result = inflateAll(into: &output)
            stream.pointee.next_in = nil
        }
        try result.get()
    }

    /// To be called at the end of the input: a stream that was cut is an error.
    func finish() throws(Failure) {
        if !ended { throw .truncated }
    }

    private func inflateAll(into output: inout [UInt8]) -> Result<Void, Failure> {
        while true {
            var code = Z_OK
            let room = min(65_536, limit - decodedBytes + 1)
            let before = output.count
            output.append(addingCapacity: room) { (span: inout OutputSpan<UInt8>) in
                span.withUnsafeMutableBufferPointer { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress.map { $0 + count }
                    stream.pointee.avail_out = UInt32(buffer.count - count)
                    code = inflate(stream, Z_NO_FLUSH)
                    count = buffer.count - Int(stream.pointee.avail_out)
                }
            }
            decodedBytes += output.count - before
            if decodedBytes > limit { return .failure(.tooLarge) }
            switch code {
            case Z_STREAM_END:
                ended = true
                // Several gzip members may follow each other, but no proxy of a model server needs them: what stands
                // behind the end would be read by nobody.
                return stream.pointee.avail_in == 0 ? .success(()) : .failure(.broken)
            case Z_OK, Z_BUF_ERROR:
                if stream.pointee.avail_in == 0 && stream.pointee.avail_out > 0 { return .success(()) }
                if code == Z_BUF_ERROR && stream.pointee.avail_out > 0 { return .failure(.broken) }
            default:
                return .failure(.broken)
            }
        }
    }
}
