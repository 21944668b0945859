private import Glibc

/// A point in time, whole milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (as POSIX does).
package struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The machine's real-time clock.
    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// RFC 3339 in UTC with milliseconds: `2026-11-22T20:30:00.123Z`.
    package var description: String { String(decoding: rfc3339, as: UTF8.self) }

    /// The bytes of `description`. RFC 3339 knows the years 0000...9999 only: times outside are written as the nearest
    /// time inside.
    package var rfc3339: [UInt8] {
        let clamped = min(max(milliseconds, -62_167_219_200_000), 253_402_300_799_999)
        let (days, inDay) = Self.floorDivide(clamped, 86_400_000)
        let date = Self.civil(daysSince1970: days)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(24)
        func append(_ value: Int64, digits: Int, then separator: UInt8) {
            var divisor: Int64 = 1
            for _ in 1..<digits { divisor *= 10 }
            while divisor > 0 {
                bytes.append(UInt8(truncatingIfNeeded: 48 + value / divisor % 10))
                divisor /= 10
            }
            bytes.append(separator)
        }
        append(date.year, digits: 4, then: UInt8(ascii: "-"))
        append(date.month, digits: 2, then: UInt8(ascii: "-"))
        append(date.day, digits: 2, then: UInt8(ascii: "T"))
        append(inDay / 3_600_000, digits: 2, then: UInt8(ascii: ":"))
        append(inDay / 60_000 % 60, digits: 2, then: UInt8(ascii: ":"))
        append(inDay / 1000 % 60, digits: 2, then: UInt8(ascii: "."))
        append(inDay % 1000, digits: 3, then: UInt8(ascii: "Z"))
        return bytes
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// Proleptic Gregorian calendar. Years are counted from March, so that the leap day is a year's last, in eras of
    /// 400 years = 146,097 days.
    private static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
