/// Finds a key that an object has twice. Keys are compared as the text they mean, so `"m"` equals `"\u006d"`.
///
/// Few keys are compared pairwise; many go through an open-addressing table over hashes with the process's random
/// seed, so that an object of a million keys made to collide costs no more than any other.
struct JSONKeyTable {
    private static let pairwiseMax = 12
    /// Index of a key node plus one; 0 is free. Kept between objects.
    private var slots: [UInt32] = []

    /// - Returns: byte offset of the second of two equal keys.
    mutating func duplicate(in nodes: [JSONRecord], object: Int, bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var count = 0
        var anyEscaped = false
        var index = object + 1
        while index < nodes.count {
            count += 1
            anyEscaped = anyEscaped || nodes[index].isMarked
            index = Int(nodes[index + 1].next)
        }
        if count < 2 { return nil }
        if count <= Self.pairwiseMax && !anyEscaped {
            return pairwise(in: nodes, object: object, bytes: bytes)
        }
        return hashed(in: nodes, object: object, count: count, bytes: bytes)
    }

    private func pairwise(in nodes: [JSONRecord], object: Int, bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var second = Int(nodes[object + 2].next)
        while second < nodes.count {
            let length = nodes[second].end &- nodes[second].start
            var first = object + 1
            while first < second {
                if nodes[first].end &- nodes[first].start == length,
                    raw(nodes[first], bytes).elementsEqual(raw(nodes[second], bytes))
                {
                    return Int(nodes[second].start)
                }
                first = Int(nodes[first + 1].next)
            }
            second = Int(nodes[second + 1].next)
        }
        return nil
    }

    private mutating func hashed(
        in nodes: [JSONRecord], object: Int, count: Int, bytes: UnsafeBufferPointer<UInt8>
    ) -> Int? {
        var capacity = 32
        while capacity < count * 2 { capacity *= 2 }
        if slots.count < capacity {
            slots = [UInt32](repeating: 0, count: capacity)
        } else {
            for slot in 0..<capacity { slots[slot] = 0 }
        }
        var index = object + 1
        while index < nodes.count {
            let key = nodes[index]
            var hasher = Hasher()
            if key.isMarked {
                decoded(key, bytes).withUnsafeBytes { hasher.combine(bytes: $0) }
            } else {
                hasher.combine(bytes: UnsafeRawBufferPointer(raw(key, bytes)))
            }
            var slot = hasher.finalize() & (capacity - 1)
            while slots[slot] != 0 {
                if equal(nodes[Int(slots[slot]) - 1], key, bytes) { return Int(key.start) }
                slot = (slot + 1) & (capacity - 1)
            }
            slots[slot] = UInt32(truncatingIfNeeded: index + 1)
            index = Int(nodes[index + 1].next)
        }
        return nil
    }

    private func equal(_ left: JSONRecord, _ right: JSONRecord, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        if !left.isMarked && !right.isMarked { return raw(left, bytes).elementsEqual(raw(right, bytes)) }
        return decoded(left, bytes) == decoded(right, bytes)
    }

    /// The bytes between the quotes.
    private func raw(_ key: JSONRecord, _ bytes: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[Int(key.start) + 1..<Int(key.end) - 1])
    }

    private func decoded(_ key: JSONRecord, _ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        JSONStringDecoder.decode(bytes, Int(key.start) + 1..<Int(key.end) - 1)
    }
}
