/// A glob over the bytes of a name: `*` is any run of bytes (also none, also `/`), `?` is one Unicode scalar, all else
/// is itself. Names of tenants and models are compared by bytes, never by Swift's canonical equality of strings.
package struct Glob: Sendable, Hashable, CustomStringConvertible {
    package let pattern: String
    private let bytes: [UInt8]

    package init(_ pattern: String) {
        self.pattern = pattern
        self.bytes = Array(pattern.utf8)
    }

    package static let any = Glob("*")

    package var description: String { pattern }

    /// Matches every name.
    package var isAny: Bool { !bytes.isEmpty && bytes.allSatisfy { $0 == UInt8(ascii: "*") } }

    /// The only name that it matches, where it has no wildcard.
    package var literal: [UInt8]? {
        bytes.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") } ? nil : bytes
    }

    package func matches(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { matches($0) }
    }

    package func matches(_ name: [UInt8]) -> Bool {
        name.withUnsafeBufferPointer { matches($0) }
    }

    /// Greedy with one point of return: O(pattern x name) at worst, no recursion.
    private func matches(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        var p = 0
        var n = 0
        var star = -1
        var resume = 0
        while n < name.count {
            if p < bytes.count, bytes[p] == UInt8(ascii: "*") {
                star = p
                resume = n
                p += 1
            } else if p < bytes.count, bytes[p] == UInt8(ascii: "?") {
                p += 1
                n = Self.next(name, n)
            } else if p < bytes.count, bytes[p] == name[n] {
                p += 1
                n += 1
            } else if star >= 0 {
                resume += 1
                p = star + 1
                n = resume
            } else {
                return false
            }
        }
        while p < bytes.count, bytes[p] == UInt8(ascii: "*") { p += 1 }
        return p == bytes.count
    }

    /// Index behind the scalar at `index`: its continuation bytes are skipped.
    private static func next(_ name: UnsafeBufferPointer<UInt8>, _ index: Int) -> Int {
        var index = index + 1
        while index < name.count, name[index] & 0xC0 == 0x80 { index += 1 }
        return index
    }

    package static func == (left: Glob, right: Glob) -> Bool { left.bytes == right.bytes }

    package func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}
