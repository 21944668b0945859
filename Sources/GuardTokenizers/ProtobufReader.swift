/// Reads protobuf fields (wire format, proto2) from a range of bytes. Allocates nothing, trusts no length.
struct ProtobufReader {
    enum Value {
        case varint(UInt64)
        case fixed32(UInt32)
        case fixed64(UInt64)
        /// Range of the whole bytes.
        case bytes(Range<Int>)
    }

    private let bytes: [UInt8]
    private var at: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>? = nil) {
        self.bytes = bytes
        let range = (range ?? 0..<bytes.count).clamped(to: 0..<bytes.count)
        at = range.lowerBound
        end = range.upperBound
    }

    /// The next field, `nil` at the end.
    mutating func next() throws(TokenizerError) -> (number: Int, value: Value)? {
        guard at < end else { return nil }
        let start = at
        let tag = try varint()
        guard let number = Int(exactly: tag >> 3), number > 0, number < 1 << 29 else {
            throw malformed(start, "no field number")
        }
        switch tag & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try fixed(8)))
        case 2:
            let length = try varint()
            guard let length = Int(exactly: length), length <= end - at else {
                throw malformed(start, "a length beyond the end")
            }
            defer { at += length }
            return (number, .bytes(at..<at + length))
        case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        default: throw malformed(start, "wire type \(tag & 7)")
        }
    }

    private mutating func varint() throws(TokenizerError) -> UInt64 {
        let start = at
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard at < end else { throw malformed(start, "a number is cut off") }
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw malformed(start, "a number of more than ten bytes")
    }

    private mutating func fixed(_ count: Int) throws(TokenizerError) -> UInt64 {
        guard count <= end - at else { throw malformed(at, "a number is cut off") }
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(bytes[at + index]) << UInt64(8 * index) }
        at += count
        return value
    }

    private func malformed(_ place: Int, _ message: String) -> TokenizerError {
        TokenizerError(.malformed, place: "byte \(place)", message)
    }
}
