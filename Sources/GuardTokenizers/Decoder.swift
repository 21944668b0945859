/// How token bytes become text again.
struct Decoder: Sendable {
    /// Whether one space at the very start is taken away (it was put there by the normalizer).
    var stripsLeadingSpace = false
    /// Byte that stands behind an id (`<0x0A>`).
    var byteOfID: [UInt32: UInt8] = [:]
    /// Text that is written for an id instead of its bytes (control pieces, the unknown piece).
    var textOfID: [UInt32: [UInt8]] = [:]
}
