/// GPT-2's alphabet: printable characters that stand for the 256 bytes in byte-level vocabularies.
enum ByteAlphabet {
    /// Byte by scalar value, -1 where the scalar stands for none. Scalars from 324 on stand for none.
    static let byteOfScalar: [Int16] = {
        var table = [Int16](repeating: -1, count: 324)
        var shifted = 256
        for byte in 0..<256 {
            if (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte) {
                table[byte] = Int16(byte)
            } else {
                table[shifted] = Int16(byte)
                shifted += 1
            }
        }
        return table
    }()

    /// UTF-8 of each byte's character.
    static let characterOfByte: [[UInt8]] = {
        var table = [[UInt8]](repeating: [], count: 256)
        for (scalar, byte) in byteOfScalar.enumerated() where byte >= 0 {
            table[Int(byte)] = UTF8Scalars.encoded(UInt32(scalar))
        }
        return table
    }()

    /// Appends the bytes that `token` (UTF-8) stands for.
    /// - Returns: `false`, with nothing of use appended, if some character stands for no byte.
    static func append(_ token: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) -> Bool {
        byteOfScalar.withUnsafeBufferPointer { table in
            var at = 0
            while at < token.count {
                var scalar = Int(token[at])
                at += 1
                if scalar >= 0x80 {
                    // All of the alphabet is below U+0144, so two bytes.
                    guard scalar & 0xE0 == 0xC0, at < token.count else { return false }
                    scalar = (scalar & 0x1F) << 6 | Int(token[at] & 0x3F)
                    at += 1
                }
                guard scalar < table.count, table[scalar] >= 0 else { return false }
                bytes.append(UInt8(truncatingIfNeeded: table[scalar]))
            }
            return true
        }
    }
}
