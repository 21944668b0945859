private import Glibc

/// A wall-clock time as `strftime_now` shows it: local time of the process, as the server's `datetime.now()`.
package struct TemplateTime: Sendable, Hashable {
    package var year, month, day, hour, minute, second: Int

    /// `month` and `day` count from 1.
    package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    package static func now() -> TemplateTime {
        var seconds = time(nil)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return TemplateTime(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec))
    }

    /// `datetime.strftime`: the C library's, in the C locale.
    package func formatted(_ format: String) -> String {
        guard !format.isEmpty else { return "" }
        var parts = tm()
        parts.tm_year = Int32(clamping: year - 1900)
        parts.tm_mon = Int32(clamping: month - 1)
        parts.tm_mday = Int32(clamping: day)
        parts.tm_hour = Int32(clamping: hour)
        parts.tm_min = Int32(clamping: minute)
        parts.tm_sec = Int32(clamping: second)
        parts.tm_isdst = -1
        // Fills in the weekday and the day of the year.
        var normalized = parts
        normalized.tm_hour = 12
        _ = timegm(&normalized)
        parts.tm_wday = normalized.tm_wday
        parts.tm_yday = normalized.tm_yday
        // A naive datetime has no zone: `%z` and `%Z` are empty; `%f` is Python's own.
        var plain = ""
        var rest = Substring(format)
        while let percent = rest.firstIndex(of: "%") {
            plain += rest[..<percent]
            let directive = rest[percent...].prefix(2)
            rest = rest[percent...].dropFirst(2)
            switch directive {
            case "%z", "%Z": break
            case "%f": plain += "000000"
            default: plain += directive
            }
        }
        plain += rest
        guard !plain.isEmpty else { return "" }
        // One byte more than nothing, so that an empty result is not taken for a full buffer.
        let size = (plain.utf8.count + 1) * 32
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            let length = strftime(base, size, plain, &parts)
            return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
