/// How much a byte tells, in half bits: roughly that of English prose with some code in it. Only speed depends on it.
package enum ByteRarity {
    package static func halfBits(_ byte: UInt8) -> Int { Int(table[Int(byte)]) }

    /// Of bytes in a row: one that repeats the byte before it tells little.
    package static func halfBits(of bytes: some Sequence<UInt8>) -> Int {
        var sum = 0
        var last: UInt8?
        for byte in bytes {
            sum += byte == last ? 2 : halfBits(byte)
            last = byte
        }
        return sum
    }

    private static let table: [UInt8] = {
        var table = [UInt8](repeating: 16, count: 256)
        func set(_ bytes: String, _ value: UInt8) { for byte in bytes.utf8 { table[Int(byte)] = value } }
        set(" ", 5)
        set("e", 7)
        set("taoinsr", 8)
        set("hldcu", 10)
        set("mfpgwyb", 12)
        set("vk", 14)
        set("xjqz", 18)
        set("0\n.,", 12)
        set("-'\"()/:_", 13)
        for byte in 0x80...0xFF { table[byte] = 14 }
        return table
    }()
}
