package import GuardBudgets

/// `host:port` to listen on.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address; IPv6 without brackets.
    package var host: String
    /// 0: any free port.
    package var port: Int

    package init(host: String, port: Int) { (self.host, self.port) = (host, port) }

    /// nil: neither `host:port`, `[v6]:port` nor `:port` (all addresses).
    package init?(_ text: String) {
        guard let (host, port) = HostPort.split(text), let port else { return nil }
        self.init(host: host.isEmpty ? "0.0.0.0" : host, port: port)
    }

    package var description: String { HostPort.join(host, port) }

    package var isLoopback: Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// `http://host[:port]` of the model server.
package struct UpstreamURL: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address; IPv6 without brackets.
    package var host: String
    package var port: Int

    package init(host: String, port: Int) { (self.host, self.port) = (host, port) }

    package struct Problem: Error, Sendable, Hashable { package var message: String }

    package init(parsing text: String) throws(Problem) {
        guard let scheme = text.firstRange(of: "://") else {
            throw Problem(message: "'\(text)' is no URL; expected http://host:port")
        }
        switch text[..<scheme.lowerBound].lowercased() {
        case "http": break
        case "https":
            throw Problem(message: "https upstreams are not supported in this version; expected http://host:port")
        case let other: throw Problem(message: "unknown scheme '\(other)'; expected http://host:port")
        }
        var rest = text[scheme.upperBound...]
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        if rest.contains("@") {
            throw Problem(message: "a user name in the URL is not supported; expected http://host:port")
        }
        if rest.contains(where: { "/?#".contains($0) }) {
            throw Problem(message: "a path, query or fragment in the URL is not supported; expected http://host:port")
        }
        guard let (host, port) = HostPort.split(String(rest)), !host.isEmpty, port != 0 else {
            throw Problem(message: "'\(rest)' is no host:port")
        }
        self.init(host: host, port: port ?? 80)
    }

    package var description: String { "http://\(HostPort.join(host, port))" }
}

enum HostPort {
    /// The port is nil where there is none.
    static func split(_ text: String) -> (host: String, port: Int?)? {
        let host: Substring
        let rest: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
            guard host.contains(":"), host.utf8.allSatisfy({ isHex($0) || $0 == 0x3A || $0 == 0x2E || $0 == 0x25 })
            else { return nil }
        } else {
            let colon = text.firstIndex(of: ":") ?? text.endIndex
            host = text[..<colon]
            rest = text[colon...]
            guard host.utf8.allSatisfy({ isHostByte($0) }) else { return nil }
        }
        if rest.isEmpty { return host.isEmpty ? nil : (String(host), nil) }
        let digits = rest.dropFirst()
        guard rest.hasPrefix(":"), (1...5).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let port = Int(digits), port <= 65535
        else { return nil }
        return (String(host), port)
    }

    static func join(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte & 0xDF)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || byte == 0x2D || byte == 0x2E
            || byte == 0x5F
    }
}

/// A day, `YYYY-MM-DD`.
package struct CalendarDate: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let year: Int
    package let month: Int
    package let day: Int

    /// nil: not of that form, or no such day.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 10, bytes[4] == 0x2D, bytes[7] == 0x2D else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in bytes[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            year >= 1970, (1...12).contains(month)
        else { return nil }
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        guard (1...days).contains(day) else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
    }

    /// The day's first moment, UTC.
    package var start: UTCTime {
        // Days from the civil calendar: years that begin in March, so that the leap day is the last of its year.
        let y = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = y * 365 + y / 4 - y / 100 + y / 400 + dayOfYear - 719_468
        return UTCTime(milliseconds: Int64(days) * 86_400_000)
    }

    package static func < (left: CalendarDate, right: CalendarDate) -> Bool {
        (left.year, left.month, left.day) < (right.year, right.month, right.day)
    }

    package var description: String {
        func pad(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))"
    }
}
