/// Values as images write them: numbers as eight bytes, little endian; texts with their length before them.
extension ImageWriter {
    mutating func write(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

    mutating func write(_ number: Int) {
        for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
    }

    mutating func write(_ text: [UInt8]) {
        write(text.count)
        bytes += text
    }

    mutating func write(_ text: String) { write(Array(text.utf8)) }

    mutating func write(_ text: String?) {
        write(text != nil)
        if let text { write(text) }
    }

    mutating func write(_ ids: [UInt32]) {
        write(ids.count)
        for id in ids { write(Int(id)) }
    }
}

extension ImageReader {
    func broken() -> TokenizerError {
        TokenizerError(.malformed, place: "byte \(origin + at)", "tokenizer image: not what is written there")
    }

    mutating func flag() throws(TokenizerError) -> Bool {
        guard at < bytes.count, bytes[at] <= 1 else { throw broken() }
        at += 1
        return bytes[at - 1] == 1
    }

    mutating func number() throws(TokenizerError) -> Int {
        guard bytes.count - at >= 8 else { throw broken() }
        at += 8
        return Int(truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: at - 8, as: UInt64.self))
    }

    /// A number of things that each take at least one byte, unless a maximum is named.
    mutating func count(max: Int? = nil) throws(TokenizerError) -> Int {
        let count = try number()
        guard count >= 0, count <= max ?? (bytes.count - at) else { throw broken() }
        return count
    }

    mutating func id() throws(TokenizerError) -> UInt32 {
        let id = try number()
        guard id >= 0, id < Vocabulary.idsMax else { throw broken() }
        return UInt32(truncatingIfNeeded: id)
    }

    mutating func optionalID() throws(TokenizerError) -> UInt32? {
        let id = try number()
        guard id >= -1, id < Vocabulary.idsMax else { throw broken() }
        return id < 0 ? nil : UInt32(truncatingIfNeeded: id)
    }

    mutating func ids() throws(TokenizerError) -> [UInt32] {
        var ids: [UInt32] = []
        for _ in 0..<(try count()) { ids.append(try id()) }
        return ids
    }

    mutating func byteString() throws(TokenizerError) -> [UInt8] {
        let length = try count()
        at += length
        return Array(bytes[at - length..<at])
    }

    mutating func text() throws(TokenizerError) -> String { String(decoding: try byteString(), as: UTF8.self) }

    mutating func optionalText() throws(TokenizerError) -> String? { try flag() ? try text() : nil }
}
