internal import Glibc
package import GuardMatching

/// `validate:` of a condition: a check that a pattern cannot do, part of the match.
package enum Validator: Sendable, Hashable {
    /// ISO/IEC 7812-1 annex B, over the ASCII digits of the match; 12 to 19 digits that are not all the same.
    case luhn
    /// ISO 13616: country and length known, check digits by ISO 7064 MOD 97-10, over ASCII letters and digits.
    case iban
    /// United States social security number: area not 000, 666 or 9xx, group not 00, serial not 0000, and none of the
    /// numbers that were printed in advertisements.
    case ssn
    /// NHS number of England and Wales: ten digits, the last a check digit modulo 11.
    case nhs
    /// Base58Check (Bitcoin addresses, WIF keys): 25 to 82 bytes whose last four are the double SHA-256's first four.
    case base58check
    /// JSON Web Token (RFC 7519 in the compact form of RFC 7515): three base64url parts, the first a JSON object that
    /// names an `alg`.
    case jwt
    /// Shannon entropy in bits per byte of a capture group (0: the match) is at least this.
    case entropy(bits: Double, group: Int)

    /// The match is one JSON value that satisfies the schema.
    case jsonSchema(JSONSchema)

    /// `text` is the view's text; the verdict depends on the candidate's bytes only. It means nothing where `work` is
    /// exhausted: the search has failed then.
    package func accepts(
        _ text: UnsafeBufferPointer<UInt8>, _ captures: Captures, _ work: inout ValidatorWork
    ) -> Bool {
        switch self {
        case .luhn: return Self.luhn(UnsafeBufferPointer(rebasing: text[captures.range]))
        case .iban: return Self.iban(UnsafeBufferPointer(rebasing: text[captures.range]))
        case .ssn: return Self.ssn(UnsafeBufferPointer(rebasing: text[captures.range]))
        case .nhs: return Self.nhs(UnsafeBufferPointer(rebasing: text[captures.range]))
        case .base58check: return Self.base58check(UnsafeBufferPointer(rebasing: text[captures.range]))
        case .jwt: return Self.jwt(UnsafeBufferPointer(rebasing: text[captures.range]))
        case .entropy(let bits, let group):
            guard let range = captures[group] else { return false }
            return Self.entropy(UnsafeBufferPointer(rebasing: text[range])) >= bits
        case .jsonSchema(let schema):
            return schema.accepts(UnsafeBufferPointer(rebasing: text[captures.range]), &work)
        }
    }

    /// The check on a text of its own, for tests and tools.
    package func accepts(_ text: [UInt8]) -> Bool {
        text.withUnsafeBufferPointer { text in
            switch self {
            case .luhn: Self.luhn(text)
            case .iban: Self.iban(text)
            case .ssn: Self.ssn(text)
            case .nhs: Self.nhs(text)
            case .base58check: Self.base58check(text)
            case .jwt: Self.jwt(text)
            case .entropy(let bits, _): Self.entropy(text) >= bits
            case .jsonSchema(let schema): schema.accepts(text)
            }
        }
    }

    static let names = ["luhn", "iban", "ssn", "nhs", "base58check", "jwt", "entropy", "json-schema"]

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func luhn(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var sum = 0
        var count = 0
        var first: UInt8 = 0
        var allSame = true
        for byte in text.reversed() where isDigit(byte) {
            if count == 0 { first = byte } else if byte != first { allSame = false }
            let digit = Int(byte - 0x30)
            let doubled = digit * 2
            sum += count % 2 == 0 ? digit : (doubled > 9 ? doubled - 9 : doubled)
            count += 1
        }
        return count >= 12 && count <= 19 && !allSame && sum % 10 == 0
    }

    static func iban(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        func isCounted(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 26 }
        var head: (UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0)
        var count = 0
        for byte in text where isCounted(byte) {
            switch count {
            case 0: head.0 = byte
            case 1: head.1 = byte
            case 2: head.2 = byte
            case 3: head.3 = byte
            default: break
            }
            count += 1
            if count > 34 { return false }
        }
        guard count > 4, !isDigit(head.0), !isDigit(head.1), isDigit(head.2), isDigit(head.3) else { return false }
        // A pattern asks about every length that it can have; most are refused here.
        let country = Int((head.0 | 0x20) - 0x61) * 26 + Int((head.1 | 0x20) - 0x61)
        guard Int(ibanLengths[country]) == count else { return false }
        var remainder = 0
        func add(_ byte: UInt8) {
            let value = isDigit(byte) ? Int(byte - 0x30) : Int((byte | 0x20) - 0x61) + 10
            remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
        }
        // The head is moved to the end before the remainder is taken.
        var number = 0
        for byte in text where isCounted(byte) {
            if number >= 4 { add(byte) }
            number += 1
        }
        add(head.0)
        add(head.1)
        add(head.2)
        add(head.3)
        return remainder == 1
    }

    /// SWIFT's IBAN registry: length by country, 26 times the first letter and the second; 0: none.
    private static let ibanLengths: [UInt8] = {
        let registry = """
            ad24 ae23 al28 at20 az28 ba20 be16 bg22 bh22 bi27 br29 by28 ch21 cr22 cy28 cz24 de22 dj27 dk18 do28 ee20 \
            eg29 es24 fi18 fk18 fo18 fr27 gb22 ge22 gi23 gl18 gr27 gt28 hn28 hr21 hu28 ie22 il23 iq23 is26 it27 jo30 \
            kw30 kz20 lb28 lc32 li21 lt20 lu20 lv21 ly25 mc27 md24 me22 mk19 mn20 mr27 mt31 mu30 ni28 nl18 no15 om23 \
            pk24 pl28 ps29 pt25 qa29 ro24 rs22 ru33 sa24 sc31 sd18 se24 si19 sk24 sm27 so23 st25 sv28 tl23 tn24 tr26 \
            ua29 va22 vg24 xk20 ye30
            """
        var table = [UInt8](repeating: 0, count: 26 * 26)
        for entry in registry.split(separator: " ") {
            let bytes = Array(entry.utf8)
            table[Int(bytes[0] - 0x61) * 26 + Int(bytes[1] - 0x61)] = UInt8(entry.dropFirst(2)) ?? 0
        }
        return table
    }()

    static func ssn(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var number = 0
        var count = 0
        for byte in text where isDigit(byte) {
            number = number * 10 + Int(byte - 0x30)
            count += 1
            if count > 9 { return false }
        }
        let area = number / 1_000_000
        guard count == 9, area != 0, area != 666, area < 900, number / 10_000 % 100 != 0, number % 10_000 != 0 else {
            return false
        }
        // Woolworth's wallet card, the advertisement of 1940, and the usual examples.
        return number != 78_051_120 && number != 219_099_999 && number != 123_456_789 && number != 457_555_462
    }

    static func nhs(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var sum = 0
        var count = 0
        var last = 0
        for byte in text where isDigit(byte) {
            last = Int(byte - 0x30)
            count += 1
            if count < 10 { sum += last * (11 - count) }
            if count > 10 { return false }
        }
        // A remainder of 1 would need the check digit 10, which no number has.
        return count == 10 && (11 - sum % 11) % 11 == last && sum > 0
    }

    static func entropy(_ text: UnsafeBufferPointer<UInt8>) -> Double {
        guard !text.isEmpty else { return 0 }
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: 256) { counts in
            counts.initialize(repeating: 0)
            for byte in text { counts[Int(byte)] += 1 }
            let total = Double(text.count)
            var bits = 0.0
            for count in counts where count > 0 {
                let share = Double(count) / total
                bits -= share * log2(share)
            }
            return bits
        }
    }
}
