/// Token bytes by id, and ids by bytes.
///
/// Bytes, never `String`: canonical equality would merge distinct entries. Tokens of at most 12 bytes lie packed in the
/// hash table itself, so that the common lookup touches one cache line; longer ones keep a fingerprint there and are
/// compared with the stored bytes.
final class Vocabulary: @unchecked Sendable {
    // Unchecked: the buffers are written by `init` only, before anybody else can see them, and freed by `deinit`.

    /// Ids are packed into 21 bits here and in `MergeTable`; real vocabularies end below 2^18.
    static let idsMax = 1 << 21 - 1
    private static let packedLengthMax = 12

    /// Ids have gaps in some files, but a small file must not ask for a big table.
    static func sparseIDsMax(_ tokensCount: Int) -> Int { min(idsMax, tokensCount * 2 + 4096) }

    /// One more than the highest id.
    let count: Int
    /// Bytes of the longest token.
    let bytesMax: Int
    private let offsets: UnsafeMutablePointer<UInt32>
    private let blob: UnsafeMutablePointer<UInt8>
    private let packed: UnsafeMutablePointer<PackedSlot>
    private let packedMask: Int
    private let long: UnsafeMutablePointer<UInt64>
    private let longMask: Int
    /// Where the tables lie, if not in memory of their own.
    private let image: ImageMemory?

    private struct PackedSlot {
        /// Bytes 0..<8 of the token, little endian, zero-filled.
        var low: UInt64
        /// Bytes 8..<12.
        var high: UInt32
        /// `length << 24 | id`; 0 is an empty slot, as no token has length 0.
        var lengthAndID: UInt32
    }

    /// - Parameters:
    ///   - tokens: bytes by id; an empty token stands for an id without text.
    ///   - isFindable: whether the id can be looked up by its bytes. Of equal tokens the lowest id is found.
    init(tokens: [[UInt8]], isFindable: (Int) -> Bool) throws(TokenizerError) {
        guard tokens.count <= Self.idsMax else {
            throw TokenizerError(.limitExceeded, "more than \(Self.idsMax) tokens")
        }
        var total = 0
        var longest = 0
        var longCount = 0
        for token in tokens {
            total += token.count
            longest = max(longest, token.count)
            if token.count > Self.packedLengthMax { longCount += 1 }
        }
        guard total <= Int(UInt32.max) else { throw TokenizerError(.limitExceeded, "more than 4 GiB of tokens") }
        image = nil
        count = tokens.count
        bytesMax = longest
        offsets = .allocate(capacity: tokens.count + 1)
        blob = .allocate(capacity: max(total, 1))
        packedMask = Self.capacity(for: tokens.count - longCount) - 1
        longMask = Self.capacity(for: longCount) - 1
        packed = .allocate(capacity: packedMask + 1)
        packed.initialize(repeating: PackedSlot(low: 0, high: 0, lengthAndID: 0), count: packedMask + 1)
        long = .allocate(capacity: longMask + 1)
        long.initialize(repeating: .max, count: longMask + 1)
        var at = 0
        for (id, token) in tokens.enumerated() {
            offsets[id] = UInt32(at)
            token.withUnsafeBufferPointer { bytes in
                guard let base = bytes.baseAddress else { return }
                (blob + at).update(from: base, count: bytes.count)
            }
            at += token.count
            offsets[id + 1] = UInt32(at)
            if !token.isEmpty && isFindable(id) { insert(id) }
        }
        if tokens.isEmpty { offsets[0] = 0 }
    }

    /// The tables of an image, where they lie.
    init(_ image: ImageMemory) throws(TokenizerError) {
        let offsets = try image.elements(.offsets, of: UInt32.self)
        let blob = try image.elements(.tokens, of: UInt8.self)
        let packed = try image.table(.packed, of: PackedSlot.self)
        let long = try image.table(.long, of: UInt64.self)
        let count = offsets.count - 1
        guard count >= 0, count <= Self.idsMax, offsets[0] == 0, Int(offsets[count]) == blob.count,
            let offsetsBase = offsets.baseAddress, let blobBase = blob.baseAddress,
            let packedBase = packed.baseAddress, let longBase = long.baseAddress
        else { throw image.malformed(.offsets, "offsets") }
        var longest = 0
        for id in 0..<count {
            guard offsets[id] <= offsets[id + 1] else { throw image.malformed(.offsets, "offset of token \(id)") }
            longest = max(longest, Int(offsets[id + 1] - offsets[id]))
        }
        // Probing ends at an empty slot, and what is found is an id.
        var hasRoom = false
        for slot in packed {
            if slot.lengthAndID == 0 { hasRoom = true }
            guard slot.lengthAndID == 0 || Int(slot.lengthAndID & 0xFF_FFFF) < count else {
                throw image.malformed(.packed, "id in the table of tokens")
            }
        }
        var hasLongRoom = false
        for slot in long {
            if slot == .max { hasLongRoom = true }
            guard slot == .max || Int(slot & 0x1F_FFFF) < count else {
                throw image.malformed(.long, "id in the table of long tokens")
            }
        }
        guard hasRoom, hasLongRoom else { throw image.malformed(.packed, "a table of tokens is full") }
        self.image = image
        self.count = count
        bytesMax = longest
        self.offsets = offsetsBase
        self.blob = blobBase
        self.packed = packedBase
        packedMask = packed.count - 1
        self.long = longBase
        longMask = long.count - 1
    }

    func writeSections(_ write: (ImageMemory.Section, UnsafeRawBufferPointer) -> Void) {
        write(.offsets, UnsafeRawBufferPointer(start: offsets, count: (count + 1) * 4))
        write(.tokens, UnsafeRawBufferPointer(start: blob, count: Int(offsets[count])))
        write(.packed, UnsafeRawBufferPointer(start: packed, count: (packedMask + 1) * MemoryLayout<PackedSlot>.stride))
        write(.long, UnsafeRawBufferPointer(start: long, count: (longMask + 1) * 8))
    }

    deinit {
        guard image == nil else { return }
        offsets.deallocate()
        blob.deallocate()
        packed.deallocate()
        long.deallocate()
    }

    /// A power of two of at least twice `count`, so that probing always meets an empty slot.
    private static func capacity(for count: Int) -> Int {
        var capacity = 16
        while capacity < count * 2 { capacity *= 2 }
        return capacity
    }

    /// Bytes of a token; empty for an id that does not exist.
    @inline(__always)
    func bytes(_ id: UInt32) -> UnsafeBufferPointer<UInt8> {
        guard Int(id) < count else { return UnsafeBufferPointer(start: nil, count: 0) }
        let start = Int(offsets[Int(id)])
        return UnsafeBufferPointer(start: blob + start, count: Int(offsets[Int(id) + 1]) - start)
    }

    /// Id of the token with exactly these bytes.
    @inline(__always)
    func id(_ bytes: UnsafePointer<UInt8>, count: Int) -> UInt32? {
        if count > Self.packedLengthMax { return longID(bytes, count) }
        if count == 0 { return nil }
        let (low, high) = Self.pack(bytes, count)
        var slot = Self.hash(low, high, count) & packedMask
        while true {
            let entry = packed[slot]
            if entry.lengthAndID == 0 { return nil }
            if entry.low == low && entry.high == high && entry.lengthAndID >> 24 == UInt32(count) {
                return entry.lengthAndID & 0xFF_FFFF
            }
            slot = (slot + 1) & packedMask
        }
    }

    func id(_ bytes: [UInt8]) -> UInt32? {
        bytes.withUnsafeBufferPointer { $0.baseAddress.flatMap { id($0, count: bytes.count) } }
    }

    private func longID(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt32? {
        if count > bytesMax { return nil }
        let hash = Self.hash(bytes, count)
        var slot = Int(truncatingIfNeeded: hash >> 20) & longMask
        while true {
            let entry = long[slot]
            if entry == .max { return nil }
            if entry >> 21 == hash >> 21 {
                let id = UInt32(truncatingIfNeeded: entry & 0x1F_FFFF)
                if isEqual(id, bytes, count) { return id }
            }
            slot = (slot + 1) & longMask
        }
    }

    private func insert(_ id: Int) {
        let token = bytes(UInt32(id))
        guard let base = token.baseAddress, self.id(base, count: token.count) == nil else { return }
        if token.count > Self.packedLengthMax {
            let hash = Self.hash(base, token.count)
            var slot = Int(truncatingIfNeeded: hash >> 20) & longMask
            while long[slot] != .max { slot = (slot + 1) & longMask }
            long[slot] = (hash & ~0x1F_FFFF) | UInt64(id)
        } else {
            let (low, high) = Self.pack(base, token.count)
            var slot = Self.hash(low, high, token.count) & packedMask
            while packed[slot].lengthAndID != 0 { slot = (slot + 1) & packedMask }
            packed[slot] = PackedSlot(low: low, high: high, lengthAndID: UInt32(token.count) << 24 | UInt32(id))
        }
    }

    private func isEqual(_ id: UInt32, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        let token = self.bytes(id)
        guard token.count == count else { return false }
        for index in 0..<count where token[index] != bytes[index] { return false }
        return true
    }

    @inline(__always)
    private static func pack(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> (low: UInt64, high: UInt32) {
        let raw = UnsafeRawPointer(bytes)
        if count >= 8 {
            let low = raw.loadUnaligned(as: UInt64.self)
            if count == 8 { return (low, 0) }
            // The last eight bytes overlap the first; what is above byte 8 is shifted down.
            let tail = raw.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
            return (low, UInt32(truncatingIfNeeded: tail >> UInt64(8 * (16 - count))))
        }
        if count >= 4 {
            let low = UInt64(raw.loadUnaligned(as: UInt32.self))
            let tail = UInt64(raw.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self))
            return (low | tail << UInt64(8 * (count - 4)), 0)
        }
        var low = UInt64(bytes[0])
        low |= UInt64(bytes[count / 2]) << UInt64(8 * (count / 2))
        low |= UInt64(bytes[count - 1]) << UInt64(8 * (count - 1))
        return (low, 0)
    }

    @inline(__always)
    private static func hash(_ low: UInt64, _ high: UInt32, _ count: Int) -> Int {
        let mixed = (low ^ UInt64(high) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(count)).multipliedFullWidth(
            by: 0xA076_1D64_78BD_642F)
        return Int(truncatingIfNeeded: mixed.high ^ mixed.low)
    }

    private static func hash(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        let raw = UnsafeRawPointer(bytes)
        var state = UInt64(count) &* 0x9E37_79B9_7F4A_7C15
        var at = 0
        while at < count {
            // Longer than eight bytes, so the last word may overlap the one before it.
            let word = raw.loadUnaligned(fromByteOffset: min(at, count - 8), as: UInt64.self)
            let mixed = (state ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
            state = mixed.high ^ mixed.low
            at += 8
        }
        return state
    }
}
