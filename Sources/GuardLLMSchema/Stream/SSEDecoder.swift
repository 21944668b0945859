import GuardCore

/// One event (or block of comments and other lines) of an event stream, with the bytes it came as.
package struct SSEEvent: Sendable, Hashable {
    /// All bytes up to and with the empty line that ends it.
    package var raw: [UInt8]
    /// `event:` field, empty if absent.
    package var name: [UInt8]
    /// `data:` lines joined with newlines; `nil`: the block has none (comments, `id:`, `retry:`) and is no event.
    package var data: [UInt8]?
    /// Where the values of the `data:` lines stand in `raw`.
    var dataRanges: [ByteRange]
}

/// Bytes to events as the WHATWG HTML standard (section 9.2) reads them: lines end with CR, LF or CRLF, a first byte
/// order mark is skipped, an event that the end of the stream cuts off does not count. Linear in the bytes, however
/// they are cut.
package struct SSEDecoder: Sendable {
    /// An event grew over the limit.
    package struct TooLarge: Error, Sendable, Hashable {}

    private let eventBytesMax: Int
    private var buffer: [UInt8] = []
    /// Start of the unfinished event in `buffer`, of its unfinished line, and up to where line ends were searched.
    private var eventStart = 0
    private var lineStart = 0
    private var scanned = 0
    private var name: [UInt8] = []
    private var data: [UInt8]?
    private var dataRanges: [ByteRange] = []
    private var isFirstLine = true
    /// The line before ended with CRLF.
    private var endsWithCRLF = false

    package init(eventBytesMax: Int = 8_388_608) { self.eventBytesMax = eventBytesMax }

    /// Bytes that no complete event holds yet.
    package var bufferedBytes: Int { buffer.count - eventStart }

    /// What is left when the stream has ended: the beginning of an event, which must not pass as one.
    package var rest: [UInt8] { Array(buffer[eventStart...]) }

    /// Takes bytes as they came from the connection.
    /// - Returns: the blocks that are complete now, in order; their `raw` bytes in a row are the stream.
    package mutating func append(_ bytes: some Collection<UInt8>) throws(TooLarge) -> [SSEEvent] {
        buffer.append(contentsOf: bytes)
        var events: [SSEEvent] = []
        while let end = nextLineEnd() {
            let line = lineStart..<end.at
            let isBlank = line.isEmpty
            if !isBlank { read(line: line) }
            isFirstLine = false
            endsWithCRLF = end.next - end.at == 2
            lineStart = end.next
            scanned = end.next
            if isBlank { events.append(takeEvent()) }
        }
        if buffer.count - eventStart > eventBytesMax { throw TooLarge() }
        if eventStart > 0 {
            buffer.removeFirst(eventStart)
            lineStart -= eventStart
            scanned -= eventStart
            eventStart = 0
        }
        return events
    }

    /// The next line end that is certain, so that the blocks do not depend on where the bytes were cut: a CR may be
    /// half of a CRLF. Only the CR of an empty line is taken at once, unless the lines so far ended with CRLF: waiting
    /// for a byte that comes with the next event would hold this one back.
    private mutating func nextLineEnd() -> (at: Int, next: Int)? {
        let found = buffer.withUnsafeBufferPointer { bytes -> Int? in
            var at = scanned
            while at < bytes.count {
                if bytes[at] == 0x0A || bytes[at] == 0x0D { return at }
                at += 1
            }
            return nil
        }
        guard let at = found else {
            scanned = buffer.count
            return nil
        }
        if buffer[at] == 0x0A { return (at, at + 1) }
        if at == lineStart && !endsWithCRLF { return (at, at + 1) }
        guard at + 1 < buffer.count else {
            scanned = at
            return nil
        }
        return (at, buffer[at + 1] == 0x0A ? at + 2 : at + 1)
    }

    private mutating func read(line: ByteRange) {
        var line = line
        if isFirstLine, buffer[line].starts(with: [0xEF, 0xBB, 0xBF]) { line = line.lowerBound + 3..<line.upperBound }
        let colon = buffer[line].firstIndex(of: UInt8(ascii: ":")) ?? line.upperBound
        var value = min(colon + 1, line.upperBound)..<line.upperBound
        if !value.isEmpty, buffer[value.lowerBound] == 0x20 { value = value.lowerBound + 1..<value.upperBound }
        let field = buffer[line.lowerBound..<colon]
        if field.elementsEqual("data".utf8) {
            if data == nil { data = [] } else { data?.append(0x0A) }
            data?.append(contentsOf: buffer[value])
            dataRanges.append(value.lowerBound - eventStart..<value.upperBound - eventStart)
        } else if field.elementsEqual("event".utf8) {
            name = Array(buffer[value])
        }
    }

    private mutating func takeEvent() -> SSEEvent {
        let event = SSEEvent(
            raw: Array(buffer[eventStart..<lineStart]), name: name, data: data, dataRanges: dataRanges)
        eventStart = lineStart
        name = []
        data = nil
        dataRanges = []
        return event
    }
}

extension SSEEvent {
    /// The same event with other data: every other line stays as it came.
    /// - Parameter data: without line ends, or with those that `data` had.
    package func bytes(withData data: [UInt8]) -> [UInt8] {
        guard let first = dataRanges.first else { return raw }
        if dataRanges.count == 1 {
            return Array(raw[..<first.lowerBound]) + data + Array(raw[first.upperBound...])
        }
        // Several lines: their fields go out together where the first stood, the other lines behind them.
        var result = Array(raw[..<first.lowerBound])
        let terminator = lineEnd(at: first.upperBound)
        var isFirst = true
        for line in data.split(separator: 0x0A, omittingEmptySubsequences: false) {
            if !isFirst { result += terminator + Array("data: ".utf8) }
            result += line
            isFirst = false
        }
        var copied = first.upperBound
        for range in dataRanges.dropFirst() {
            let start = lineStart(before: range.lowerBound)
            result += raw[copied..<start]
            copied = range.upperBound + lineEnd(at: range.upperBound).count
        }
        // Between the first data line and the second stands that line's end, so one is there already unless no other
        // line follows.
        return result + Array(raw[copied...])
    }

    private func lineEnd(at offset: Int) -> [UInt8] {
        guard raw.indices.contains(offset) else { return [0x0A] }
        if raw[offset] == 0x0D, raw.indices.contains(offset + 1), raw[offset + 1] == 0x0A { return [0x0D, 0x0A] }
        return [raw[offset]]
    }

    private func lineStart(before offset: Int) -> Int {
        var at = offset
        while at > 0, raw[at - 1] != 0x0A, raw[at - 1] != 0x0D { at -= 1 }
        return at
    }
}
