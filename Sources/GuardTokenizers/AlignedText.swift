/// Text at work together with the places that its bytes have in the text that was given: what normalizers and
/// pre-tokenizers turn into other text, so that tokens can be shown where they came from.
struct AlignedText: Sendable {
    private(set) var bytes: [UInt8] = []
    /// Byte range of the original behind each byte; empty where places are not asked for.
    private(set) var starts: [Int] = []
    private(set) var ends: [Int] = []
    let isTracked: Bool
    /// Whether it begins where the original begins.
    var isFirst: Bool

    /// - Parameter origin: place of the first byte in the original, `nil` if places are not asked for.
    init(_ bytes: [UInt8], origin: Int? = nil, isFirst: Bool = false) {
        self.bytes = bytes
        self.isFirst = isFirst
        isTracked = origin != nil
        if let origin {
            starts = (0..<bytes.count).map { origin + $0 }
            ends = starts.map { $0 + 1 }
        }
    }

    /// Empty, for what becomes of `source`.
    init(from source: AlignedText) {
        isTracked = source.isTracked
        isFirst = source.isFirst
        bytes.reserveCapacity(source.bytes.count + 8)
    }

    var count: Int { bytes.count }

    /// Bytes that stand for `range` of `source`; an empty range says that they come from between.
    mutating func append(_ new: some Collection<UInt8>, for range: Range<Int>, of source: AlignedText) {
        bytes += new
        guard isTracked else { return }
        let place = source.place(range)
        starts += repeatElement(place.lowerBound, count: new.count)
        ends += repeatElement(place.upperBound, count: new.count)
    }

    /// Bytes that stand for `range` of `source`, the first character for the first and so on; those beyond its last
    /// character stand for that.
    mutating func append(
        _ new: some Collection<UInt8>, characterByCharacterFor range: Range<Int>, of source: AlignedText
    ) {
        guard isTracked else { return append(new, for: range, of: source) }
        var places: [Range<Int>] = []
        UTF8Scalars.forEach(Array(source.bytes[range])) { _, part in
            places.append(part.lowerBound + range.lowerBound..<part.upperBound + range.lowerBound)
        }
        let new = Array(new)
        var index = 0
        UTF8Scalars.forEach(new) { _, part in
            append(new[part], for: places.isEmpty ? range : places[min(index, places.count - 1)], of: source)
            index += 1
        }
    }

    /// Range of the first character.
    var firstCharacter: Range<Int> {
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, !buffer.isEmpty else { return 0..<0 }
            return 0..<UTF8Scalars.next(base, 0, buffer.count).length
        }
    }

    /// Range of the last character of a range, whose ends are ends of characters.
    func lastCharacter(of range: Range<Int>) -> Range<Int> {
        var start = max(range.upperBound - 1, range.lowerBound)
        while start > range.lowerBound, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return start..<range.upperBound
    }

    mutating func append(scalar: UInt32, for range: Range<Int>, of source: AlignedText) {
        append(UTF8Scalars.encoded(scalar), for: range, of: source)
    }

    mutating func append(copying range: Range<Int>, of source: AlignedText) {
        bytes += source.bytes[range]
        guard isTracked else { return }
        starts += source.starts[range]
        ends += source.ends[range]
    }

    mutating func removeLast() {
        bytes.removeLast()
        if isTracked {
            starts.removeLast()
            ends.removeLast()
        }
    }

    func slice(_ range: Range<Int>) -> AlignedText {
        var result = AlignedText(from: self)
        result.append(copying: range, of: self)
        result.isFirst = isFirst && range.lowerBound == 0
        return result
    }

    /// Range of the original behind a range of this text.
    func place(_ range: Range<Int>) -> Range<Int> {
        guard isTracked, !starts.isEmpty else { return 0..<0 }
        if range.isEmpty {
            let at = range.lowerBound < starts.count ? starts[range.lowerBound] : ends[ends.count - 1]
            return at..<at
        }
        var low = starts[range.lowerBound]
        var high = ends[range.lowerBound]
        for index in range {
            low = min(low, starts[index])
            high = max(high, ends[index])
        }
        return low..<high
    }
}

/// Scalars of UTF-8 text that may be ill-formed.
enum UTF8Scalars {
    /// Stands for a byte that begins no well-formed character.
    static let illFormed = UInt32.max

    /// - Precondition: `at < end`.
    @inline(__always)
    static func next(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> (scalar: UInt32, length: Int) {
        let first = UInt32(text[at])
        if first < 0x80 { return (first, 1) }
        let length = UnicodeClasses.length(text, at, end)
        switch length {
        case 2: return ((first & 0x1F) << 6 | UInt32(text[at + 1] & 0x3F), 2)
        case 3:
            return ((first & 0x0F) << 12 | UInt32(text[at + 1] & 0x3F) << 6 | UInt32(text[at + 2] & 0x3F), 3)
        case 4:
            let high = (first & 0x07) << 18 | UInt32(text[at + 1] & 0x3F) << 12
            return (high | UInt32(text[at + 2] & 0x3F) << 6 | UInt32(text[at + 3] & 0x3F), 4)
        default: return (illFormed, 1)
        }
    }

    /// Each scalar (or ill-formed byte) with its byte range.
    static func forEach(_ text: [UInt8], _ body: (UInt32, Range<Int>) -> Void) {
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var at = 0
            while at < buffer.count {
                let (scalar, length) = next(base, at, buffer.count)
                body(scalar, at..<at + length)
                at += length
            }
        }
    }

    static func encoded(_ scalar: UInt32) -> [UInt8] {
        guard let scalar = Unicode.Scalar(scalar) else { return [0xEF, 0xBF, 0xBD] }
        return Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }

    /// The text with every ill-formed byte replaced by a control character, so that offsets stay.
    static func wellFormed(_ text: [UInt8]) -> [UInt8] {
        var text = text
        text.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var at = 0
            while at < buffer.count {
                let length = UnicodeClasses.length(UnsafePointer(base), at, buffer.count)
                if length == 1 && buffer[at] >= 0x80 { buffer[at] = 0x01 }
                at += length
            }
        }
        return text
    }
}
