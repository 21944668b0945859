internal import Crypto
internal import GuardCore

/// The key of the tenants' hashes (`tenants.hashKeyFile`).
package struct TenantHashKey: Sendable {
    private let key: SymmetricKey

    /// At least 16 bytes should be given; shorter keys are refused by the configuration.
    package init(_ bytes: [UInt8]) { key = SymmetricKey(data: bytes) }

    /// A key of this process only: hashes of two runs, or of two replicas, cannot be compared. Good enough for ledgers
    /// in memory; a shared store or a log file needs a file.
    package static func perProcess() -> TenantHashKey {
        var bytes: [UInt8] = []
        for _ in 0..<32 { bytes.append(.random(in: .min ... .max)) }
        return TenantHashKey(bytes)
    }

    /// HMAC-SHA-256 of the value's bytes as 64 lower-case hex digits, the same as
    /// `printf %s "$VALUE" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY`.
    package func hash(_ value: [UInt8]) -> String {
        hexadecimal(HMAC<SHA256>.authenticationCode(for: value, using: key))
    }
}

/// Finds a request's tenant in its headers. Pure: the same headers give the same tenant.
///
/// The first source that yields decides: the first whose header is there at all, so that a client cannot step over a
/// source by sending it something odd. A value that is empty does not yield. What yields but names nobody that can be
/// believed is `unknown`: several lines of one header (which of them an intermediary meant cannot be told), control
/// bytes, text that is no UTF-8, plain values over 128 bytes.
package struct TenantResolver: Sendable {
    private let sources: [TenantSource]
    private let known: [[UInt8]: String]
    private let key: TenantHashKey
    private static let plainBytesMax = 128

    package init(sources: [TenantSource], known: [KnownTenant] = [], key: TenantHashKey = .perProcess()) {
        self.sources = sources
        self.key = key
        var byID: [[UInt8]: String] = [:]
        for tenant in known { byID[Array(tenant.id.utf8)] = tenant.name }
        self.known = byID
    }

    /// - Parameter values: all values of the header with a (lower-case) name, one for each line: for NIO's headers
    ///   `{ headers[$0] }`. Invalid UTF-8 must have become U+FFFD, as `String(decoding:as:)` does it.
    package func resolve(_ values: (String) -> [String]) -> Tenant {
        for source in sources {
            switch source.place {
            case .bearer:
                let lines = values("authorization")
                // Another scheme is no bearer token; but a second line beside one is a question without an answer.
                let tokens = lines.compactMap(Self.bearerToken)
                guard let token = tokens.first else { continue }
                return lines.count == 1 ? tenant(token, source) : .unknown
            case .header(let name):
                let lines = values(name).map { Self.trimmed(Array($0.utf8)) }.filter { !$0.isEmpty }
                guard let value = lines.first else { continue }
                return lines.count == 1 ? tenant(value, source) : .unknown
            }
        }
        return .anonymous
    }

    /// As above, for headers as bytes (names in any case).
    package func resolve(headers: [(name: [UInt8], value: [UInt8])]) -> Tenant {
        resolve { name in
            headers.lazy.filter { Self.equalsIgnoringCase($0.name, name) }.map {
                String(decoding: $0.value, as: UTF8.self)
            }
        }
    }

    private func tenant(_ value: [UInt8], _ source: TenantSource) -> Tenant {
        guard Self.isText(value) else { return .unknown }
        let id: [UInt8]
        switch source.form {
        case .plain:
            guard value.count <= Self.plainBytesMax else { return .unknown }
            id = value
        case .hash:
            id = Array(key.hash(value).utf8)
        }
        if let name = known[id] { return Tenant(id: name, label: name, standing: .known) }
        guard source.trusted else { return .unknown }
        return Tenant(id: String(decoding: id, as: UTF8.self), label: "other", standing: .trusted)
    }

    /// RFC 6750: the scheme in any case, one or more spaces, the token.
    private static func bearerToken(_ line: String) -> [UInt8]? {
        let bytes = trimmed(Array(line.utf8))
        let scheme = Array("bearer".utf8)
        guard bytes.count > scheme.count, bytes[scheme.count] == UInt8(ascii: " "),
            equalsIgnoringCase(Array(bytes.prefix(scheme.count)), "bearer")
        else { return nil }
        let token = trimmed(Array(bytes.dropFirst(scheme.count)))
        return token.isEmpty ? nil : token
    }

    private static func trimmed(_ bytes: [UInt8]) -> [UInt8] {
        func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        guard let start = bytes.firstIndex(where: { !isSpace($0) }),
            let end = bytes.lastIndex(where: { !isSpace($0) })
        else { return [] }
        return Array(bytes[start...end])
    }

    /// No control characters, and no U+FFFD, which stands for bytes that were no text.
    private static func isText(_ bytes: [UInt8]) -> Bool {
        for (index, byte) in bytes.enumerated() {
            if byte < 0x20 || byte == 0x7F { return false }
            if byte == 0xEF, index + 2 < bytes.count, bytes[index + 1] == 0xBF, bytes[index + 2] == 0xBD {
                return false
            }
        }
        return true
    }

    private static func equalsIgnoringCase(_ bytes: [UInt8], _ lower: String) -> Bool {
        guard bytes.count == lower.utf8.count else { return false }
        return zip(bytes, lower.utf8).allSatisfy { byte, wanted in
            (byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte) == wanted
        }
    }
}
