private import Crypto

/// HMAC-SHA-256 under the deployment's key: names that must not stand in a log in plain (`as: hash`).
package struct KeyedHash: Sendable {
    // Kept as bytes and not as `SymmetricKey`, so that Crypto stays out of the module's interface.
    private let key: [UInt8]

    /// From `tenants.hashKeyFile`; its reader refuses keys under 16 bytes.
    package init(key: [UInt8]) { self.key = key }

    /// A key for the life of this process.
    package static func random() -> KeyedHash {
        KeyedHash(key: SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) })
    }

    /// 32 bytes.
    package func digest(_ bytes: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: key)))
    }

    /// How a hashed tenant is named everywhere: `h:` and the first 16 bytes in hex.
    package func label(_ bytes: [UInt8]) -> Label { Label("h:" + hexadecimal(digest(bytes).prefix(16))) }
}

/// Lower-case hex digits.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
