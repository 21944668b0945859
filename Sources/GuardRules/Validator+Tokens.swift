internal import Crypto

/// Checks of keys and tokens.
extension Validator {
    private static let base58: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (value, letter) in "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8.enumerated() {
            table[Int(letter)] = UInt8(value)
        }
        return table
    }()

    static func base58check(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        // 82 bytes (an extended key) are 112 digits.
        guard text.count >= 25, text.count <= 112 else { return false }
        var bytes: [UInt8] = []
        for letter in text {
            let digit = base58[Int(letter)]
            guard digit != 0xFF else { return false }
            var carry = Int(digit)
            for index in bytes.indices {
                carry += Int(bytes[index]) * 58
                bytes[index] = UInt8(carry & 0xFF)
                carry >>= 8
            }
            if carry > 0 { bytes.append(UInt8(carry)) }
        }
        for letter in text {
            guard letter == UInt8(ascii: "1") else { break }
            bytes.append(0)
        }
        bytes.reverse()
        guard bytes.count >= 25, bytes.count <= 82 else { return false }
        var first = SHA256()
        first.update(data: bytes[..<(bytes.count - 4)])
        var second = SHA256()
        second.update(data: Array(first.finalize()))
        return Array(second.finalize())[..<4] == bytes[(bytes.count - 4)...]
    }

    static func jwt(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[1].isEmpty else { return false }
        guard parts.allSatisfy({ part in part.allSatisfy { TextDecoder.base64URLValue($0) != nil } }) else {
            return false
        }
        guard let header = TextDecoder.base64(Array(parts[0])) else { return false }
        // A JSON object, by its braces: the check is about chance, not about JSON.
        guard header.first == UInt8(ascii: "{"), header.last == UInt8(ascii: "}"),
            String(validating: header, as: UTF8.self) != nil
        else { return false }
        let name = Array("\"alg\"".utf8)
        return header.indices.contains { header[$0...].starts(with: name) }
    }
}
