/// What each Unicode scalar folds to: a two-level table made once from `FoldData`.
///
/// The fold of a scalar depends on that scalar alone (the script that makes the data says how it is defined), which is
/// what lets a stream fold text as it arrives; only a mark of a script also asks what stands before it (`mark`).
/// Accents are taken away rather than composed, so `é` and `e` + U+0301 fold alike.
struct FoldTable: Sendable {
    static let shared = FoldTable(FoldData.runs)

    /// Block number of each 128 scalars; block 0 is "all stay".
    private let blocks: [UInt16]
    /// Per scalar of the used blocks: `keep`, or `offset << 8 | length` of UTF-8 in `pool`; length 0 drops the scalar.
    private let entries: [UInt32]
    private let pool: [UInt8]

    static let keep: UInt32 = .max
    /// A combining mark of a script: it stays behind a scalar of the same 256, else it is dropped.
    static let mark: UInt32 = .max - 1
    /// Offset and length 0.
    private static let drop: UInt32 = 0
    /// Planes 15 and 16 are for private use: dropped.
    private static let privatePlanes: UInt32 = 0xF0000

    init(_ runs: StaticString) {
        var blocks = [UInt16](repeating: 0, count: Int(Self.privatePlanes >> 7))
        var entries = [UInt32](repeating: Self.keep, count: 128)
        var pool: [UInt8] = []
        func set(_ scalar: Int, _ targets: [UInt32], isMark: Bool) {
            guard scalar >> 7 < blocks.count else { return }
            if blocks[scalar >> 7] == 0 {
                blocks[scalar >> 7] = UInt16(entries.count / 128)
                entries.append(contentsOf: repeatElement(Self.keep, count: 128))
            }
            let slot = Int(blocks[scalar >> 7]) << 7 | scalar & 127
            if isMark {
                entries[slot] = Self.mark
                return
            }
            let offset = pool.count
            for target in targets {
                if let target = Unicode.Scalar(target) { pool.append(contentsOf: UTF8.encode(target) ?? .init()) }
            }
            entries[slot] = UInt32(offset << 8 | (pool.count - offset))
        }
        runs.withUTF8Buffer { text in
            var index = 0
            func number() -> UInt32 {
                var value: UInt32 = 0
                while index < text.count {
                    switch text[index] {
                    case 0x30...0x39: value = value << 4 | UInt32(text[index] - 0x30)
                    case 0x61...0x66: value = value << 4 | UInt32(text[index] - 0x57)
                    default: return value
                    }
                    index += 1
                }
                return value
            }
            func take(_ byte: Character) -> Bool {
                guard index < text.count, text[index] == byte.asciiValue else { return false }
                index += 1
                return true
            }
            while index < text.count {
                let start = number()
                let count = take("-") ? number() : 1
                let stride = take("/") ? number() : 1
                var targets: [UInt32] = []
                let isMark = take("=") && take("~")
                if !isMark, index < text.count, text[index] != UInt8(ascii: " ") {
                    repeat { targets.append(number()) } while take("+")
                }
                for step in 0..<count {
                    let shift = step * stride
                    set(Int(start + shift), targets.count == 1 ? [targets[0] + shift] : targets, isMark: isMark)
                }
                // One space between records; anything else would be a broken table, which the tests would see.
                index += 1
            }
        }
        (self.blocks, self.entries, self.pool) = (blocks, entries, pool)
    }

    func entry(_ scalar: UInt32) -> UInt32 {
        let block = Int(scalar >> 7)
        guard block < blocks.count else { return Self.drop }
        return entries[Int(blocks[block]) << 7 | Int(scalar & 127)]
    }

    func append(_ entry: UInt32, to text: inout [UInt8]) {
        let offset = Int(entry >> 8)
        text.append(contentsOf: pool[offset..<(offset + Int(entry & 0xFF))])
    }

    /// The fold of one scalar; empty where it is dropped.
    func fold(_ scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        let entry = entry(scalar.value)
        guard entry < Self.mark else { return [scalar] }
        var bytes: [UInt8] = []
        append(entry, to: &bytes)
        return Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
    }
}
