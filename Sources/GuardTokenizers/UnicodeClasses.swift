/// Classes of Unicode scalars that the split patterns of known tokenizers speak of, in a two-stage table.
///
/// Built once from the generated run list; lives as long as the process, so readers keep plain pointers.
struct UnicodeClasses: @unchecked Sendable {
    // Unchecked: the pointers lead to memory that is written before `shared` is published and never again or freed.

    static let letter: UInt8 = 1  // \p{L}
    static let number: UInt8 = 2  // \p{N}
    static let space: UInt8 = 4  // \s, White_Space
    static let upper: UInt8 = 8  // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
    static let lower: UInt8 = 16  // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
    static let newline: UInt8 = 32  // [\r\n]
    static let word: UInt8 = 64  // \w

    static let shared = UnicodeClasses()

    private let pageOf: UnsafePointer<UInt16>
    private let pages: UnsafePointer<UInt8>

    private static let scalarsCount = 0x110000
    private static let pageSize = 256

    private init() {
        var flat = [UInt8](repeating: 0, count: Self.scalarsCount)
        var at = 0
        var length = 0
        var value = 0
        Self.runs.withUTF8Buffer { text in
            for byte in text {
                switch byte {
                case UInt8(ascii: "g"): (length, value) = (value, 0)
                case UInt8(ascii: ","):
                    let end = min(at + length, flat.count)
                    while at < end {
                        flat[at] = UInt8(truncatingIfNeeded: value)
                        at += 1
                    }
                    value = 0
                case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | Int(byte - 87)
                default: value = value << 4 | Int(byte - 48)
                }
            }
        }
        var numbers: [[UInt8]: UInt16] = [:]
        var joined: [UInt8] = []
        let pageOf = UnsafeMutablePointer<UInt16>.allocate(capacity: Self.scalarsCount / Self.pageSize)
        for page in 0..<Self.scalarsCount / Self.pageSize {
            let content = Array(flat[page * Self.pageSize..<(page + 1) * Self.pageSize])
            let number = numbers[content] ?? UInt16(numbers.count)
            if numbers.updateValue(number, forKey: content) == nil { joined += content }
            pageOf[page] = number
        }
        let pages = UnsafeMutablePointer<UInt8>.allocate(capacity: joined.count)
        pages.initialize(from: joined, count: joined.count)
        self.pageOf = UnsafePointer(pageOf)
        self.pages = UnsafePointer(pages)
    }

    /// - Parameter scalar: below 0x110000.
    @inline(__always)
    subscript(scalar: UInt32) -> UInt8 {
        pages[Int(pageOf[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)]
    }

    /// Class and byte length of the character at `at`. A byte that begins no well-formed character is a character of
    /// one byte without class.
    /// - Precondition: `at < end`.
    @inline(__always)
    func character(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> (class: UInt8, length: Int) {
        let first = text[at]
        // The first page is the first one that was stored.
        if first < 0x80 { return (pages[Int(first)], 1) }
        return multibyteCharacter(text, at, end)
    }

    @inline(never)
    private func multibyteCharacter(
        _ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int
    ) -> (class: UInt8, length: Int) {
        multibyte(text, at, end)
    }

    /// `character` where the byte is not ASCII.
    @inline(__always)
    func multibyte(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> (class: UInt8, length: Int) {
        let length = Self.length(text, at, end)
        switch length {
        case 2: return (self[UInt32(text[at] & 0x1F) << 6 | UInt32(text[at + 1] & 0x3F)], 2)
        case 3:
            let high = UInt32(text[at] & 0x0F) << 12 | UInt32(text[at + 1] & 0x3F) << 6
            return (self[high | UInt32(text[at + 2] & 0x3F)], 3)
        case 4:
            let high = UInt32(text[at] & 0x07) << 18 | UInt32(text[at + 1] & 0x3F) << 12
            return (self[high | UInt32(text[at + 2] & 0x3F) << 6 | UInt32(text[at + 3] & 0x3F)], 4)
        default: return (0, 1)
        }
    }

    /// Byte length of the character at `at`, 1 where no well-formed one begins.
    @inline(__always)
    static func length(_ text: UnsafePointer<UInt8>, _ at: Int, _ end: Int) -> Int {
        let first = text[at]
        if first < 0xC2 || at + 1 >= end { return 1 }
        let second = text[at + 1]
        if second & 0xC0 != 0x80 { return 1 }
        if first < 0xE0 { return 2 }
        if at + 2 >= end || text[at + 2] & 0xC0 != 0x80 { return 1 }
        if first < 0xF0 {
            if first == 0xE0 && second < 0xA0 || first == 0xED && second >= 0xA0 { return 1 }
            return 3
        }
        if first > 0xF4 || at + 3 >= end || text[at + 3] & 0xC0 != 0x80 { return 1 }
        if first == 0xF0 && second < 0x90 || first == 0xF4 && second >= 0x90 { return 1 }
        return 4
    }

    /// Start of the character that ends before `end`.
    static func start(_ text: UnsafePointer<UInt8>, before end: Int, from begin: Int) -> Int {
        var at = end - 1
        var steps = 0
        while at > begin && steps < 3 && text[at] & 0xC0 == 0x80 {
            at -= 1
            steps += 1
        }
        return at + length(text, at, end) == end ? at : end - 1
    }
}
