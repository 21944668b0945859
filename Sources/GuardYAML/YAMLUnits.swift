/// Quantities with units, as configuration files write them. Also for values from flags and the environment.
package enum YAMLUnits {
    /// nil: no duration. Units: us, ms, s, m, h, d, each at most once in a row of parts such as `1m30s`.
    package static func duration(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = Substring(text)
        var microseconds: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            guard let (amount, unit) = part(&rest) else { return nil }
            let factor: Int64
            switch unit {
            case "us": factor = 1
            case "ms": factor = 1000
            case "s": factor = 1_000_000
            case "m": factor = 60_000_000
            case "h": factor = 3_600_000_000
            case "d": factor = 86_400_000_000
            default: return nil
            }
            let (product, overflow) = Int64(amount).multipliedReportingOverflow(by: factor)
            let (sum, overflowSum) = microseconds.addingReportingOverflow(product)
            guard !overflow, !overflowSum else { return nil }
            microseconds = sum
        }
        return .microseconds(microseconds)
    }

    /// nil: no size.
    package static func byteSize(_ text: String) -> Int? {
        if let plain = Int(text) { return plain >= 0 ? plain : nil }
        var rest = Substring(text)
        guard let (amount, unit) = part(&rest), rest.isEmpty else { return nil }
        let factor: Int
        switch unit {
        case "B": factor = 1
        case "k", "kB", "KB": factor = 1000
        case "M", "MB": factor = 1_000_000
        case "G", "GB": factor = 1_000_000_000
        case "Ki", "KiB": factor = 1 << 10
        case "Mi", "MiB": factor = 1 << 20
        case "Gi", "GiB": factor = 1 << 30
        default: return nil
        }
        let (product, overflow) = amount.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }

    package static func describe(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if milliseconds != 0 { return "\(seconds * 1000 + milliseconds)ms" }
        if seconds != 0, seconds % 86400 == 0 { return "\(seconds / 86400)d" }
        if seconds != 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        if seconds != 0, seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }

    private static func part(_ rest: inout Substring) -> (Int, Substring)? {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let amount = Int(digits) else { return nil }
        rest = rest.dropFirst(digits.count)
        if rest.first == " " { rest = rest.dropFirst() }
        let unit = rest.prefix { $0.isASCII && $0.isLetter }
        guard !unit.isEmpty else { return nil }
        rest = rest.dropFirst(unit.count)
        return (amount, unit)
    }
}

/// "did you mean": the nearest of some names by edit distance.
package enum LikelyMeant {
    /// nil where no name is near: at most one edit in three characters, or the same but for case, `_` and `-`.
    package static func name(for word: String, among names: [String]) -> String? {
        let plain = normalised(word)
        if let same = names.first(where: { normalised($0) == plain }) { return same }
        // A word of a hundred characters is no misspelt key, and the distance is quadratic.
        guard plain.count <= 100 else { return nil }
        var best: (name: String, distance: Int)?
        for name in names {
            let other = normalised(name)
            let distance = editDistance(plain, other)
            guard distance <= max(1, max(plain.count, other.count) / 3), distance < other.count else { continue }
            if distance < (best?.distance ?? .max) { best = (name, distance) }
        }
        return best?.name
    }

    /// `; did you mean 'x'?`, or else the list of all names where it is short, or nothing.
    package static func suffix(_ word: String, among names: [String], all: [String] = []) -> String {
        if let name = name(for: word, among: names) { return "; did you mean '\(name)'?" }
        guard !all.isEmpty, all.count <= 24 else { return "" }
        return "; known here: \(all.joined(separator: ", "))"
    }

    /// Optimal string alignment: insert, delete, substitute, and swap of neighbours cost one each.
    package static func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var before: [Int] = []
        var previous = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            current.reserveCapacity(right.count + 1)
            for column in 1...right.count {
                let same = left[row - 1] == right[column - 1]
                var cost = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (same ? 0 : 1))
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    cost = min(cost, before[column - 2] + 1)
                }
                current.append(cost)
            }
            (before, previous) = (previous, current)
        }
        return previous[right.count]
    }

    private static func normalised(_ word: String) -> [UInt8] {
        word.utf8.compactMap { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte + 32
            case UInt8(ascii: "_"), UInt8(ascii: "-"): nil
            default: byte
            }
        }
    }
}
