package import GuardCore

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
    private var raw: [UInt8] = []
    /// Start of the unfinished line in `raw`.
    private var lineStart = 0
    /// Up to where `raw` was searched for a line end.
    private var scanned = 0
    private var name: [UInt8] = []
    private var data: [UInt8]?
    private var dataRanges: [ByteRange] = []
    private var isFirstLine = true
    /// The last event ended with CR: an LF that comes next belongs to that line end.
    private var pendingLF = false

    package init(eventBytesMax: Int = 8_388_608) { self.eventBytesMax = eventBytesMax }

    /// Bytes that no complete event holds yet.
    package var bufferedBytes: Int { raw.count }
}
