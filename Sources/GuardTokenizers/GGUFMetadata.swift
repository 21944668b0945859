/// The metadata at the head of a GGUF file (versions 2 and 3, little endian): typed values by key. What follows it,
/// the tensors, is never looked at.
///
/// Format: ggml's `docs/gguf.md`. Every length is checked against the bytes that are there before anything is made of
/// it; keys that occur twice, which the format forbids, are an error, since readers differ in which one they take.
struct GGUFMetadata {
    enum ValueType: UInt32 {
        case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

        /// Bytes of a value; 0 for strings and arrays.
        var size: Int {
            switch self {
            case .uint8, .int8, .bool: 1
            case .uint16, .int16: 2
            case .uint32, .int32, .float32: 4
            case .uint64, .int64, .float64: 8
            case .string, .array: 0
            }
        }
    }

    struct Entry {
        var type: ValueType
        /// Of an array: type and number of the elements.
        var element: ValueType?
        var count = 0
        /// Where the value is; of an array: its first element.
        var start: Int
    }

    /// Larger than the metadata of any real model by a factor of ten.
    static let bytesMax = FileBytes.bytesMax
    static let magic = Array("GGUF".utf8)
    private static let keysMax = 1 << 16
    private static let keyBytesMax = 65_535
    private static let depthMax = 4

    let bytes: [UInt8]
    private(set) var entries: [String: Entry] = [:]
    /// Where the metadata ends.
    private(set) var end = 0

    enum Problem: Error {
        /// The bytes end within the metadata.
        case cutOff(at: Int)
        case broken(TokenizerError)
    }

    /// - Parameter bytes: a file or its beginning.
    init(_ bytes: [UInt8]) throws(Problem) {
        self.bytes = bytes
        var at = Self.magic.count
        guard bytes.starts(with: Self.magic) else { throw .broken(TokenizerError(.unknownFormat, "not a GGUF file")) }
        let version = try number(4, &at)
        guard version == 2 || version == 3 else {
            let isSwapped = version.byteSwapped >> 32 == 2 || version.byteSwapped >> 32 == 3
            throw .broken(
                TokenizerError(
                    .unsupported, place: "byte 4",
                    isSwapped ? "a big-endian GGUF file" : "GGUF version \(version); only 2 and 3 are read"))
        }
        _ = try number(8, &at)
        let count = try number(8, &at)
        guard count <= Self.keysMax else { throw Self.limit(16, "\(count) keys") }
        for _ in 0..<count {
            let place = at
            let length = try number(8, &at)
            guard length <= Self.keyBytesMax else { throw Self.limit(place, "a key of \(length) bytes") }
            let key = String(decoding: bytes[try range(Int(length), &at)], as: UTF8.self)
            let entry = try entry(&at)
            guard entries.updateValue(entry, forKey: key) == nil else {
                throw Self.broken(place, "the key \(key) occurs twice")
            }
        }
        end = at
    }

    // MARK: Reading

    private func entry(_ at: inout Int) throws(Problem) -> Entry {
        let type = try type(&at)
        guard type == .array else {
            let start = at
            try skip(type, &at)
            return Entry(type: type, start: start)
        }
        let element = try self.type(&at)
        let count = try elementCount(element, &at)
        let start = at
        try skipElements(element, count, depth: 1, &at)
        return Entry(type: .array, element: element, count: count, start: start)
    }

    private func type(_ at: inout Int) throws(Problem) -> ValueType {
        let place = at
        let raw = try number(4, &at)
        guard let type = ValueType(rawValue: UInt32(truncatingIfNeeded: raw)) else {
            throw Self.broken(place, "value type \(raw)")
        }
        return type
    }

    private func elementCount(_ element: ValueType, _ at: inout Int) throws(Problem) -> Int {
        let place = at
        let count = try number(8, &at)
        // Strings have a length of eight bytes, arrays a head of twelve.
        let least = UInt64(element == .string ? 8 : element == .array ? 12 : element.size)
        guard count <= UInt64(Self.bytesMax) / least else { throw Self.limit(place, "an array of \(count) elements") }
        return Int(count)
    }

    private func skip(_ type: ValueType, _ at: inout Int) throws(Problem) {
        if type == .string { _ = try string(&at) } else { _ = try range(type.size, &at) }
    }

    private func skipElements(_ element: ValueType, _ count: Int, depth: Int, _ at: inout Int) throws(Problem) {
        switch element {
        case .string: for _ in 0..<count { _ = try string(&at) }
        case .array:
            guard depth < Self.depthMax else { throw Self.limit(at, "more than \(Self.depthMax) nested arrays") }
            for _ in 0..<count {
                let inner = try type(&at)
                try skipElements(inner, try elementCount(inner, &at), depth: depth + 1, &at)
            }
        default: _ = try range(count * element.size, &at)
        }
    }

    private func string(_ at: inout Int) throws(Problem) -> Range<Int> {
        let place = at
        let length = try number(8, &at)
        guard length <= UInt64(Self.bytesMax) else { throw Self.limit(place, "a string of \(length) bytes") }
        return try range(Int(length), &at)
    }

    private func number(_ size: Int, _ at: inout Int) throws(Problem) -> UInt64 {
        unsigned(try range(size, &at))
    }

    private func unsigned(_ range: Range<Int>) -> UInt64 {
        range.reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
    }

    private func range(_ count: Int, _ at: inout Int) throws(Problem) -> Range<Int> {
        guard count <= bytes.count - at else { throw .cutOff(at: at) }
        defer { at += count }
        return at..<at + count
    }

    private static func limit(_ place: Int, _ message: String) -> Problem {
        .broken(TokenizerError(.limitExceeded, place: "byte \(place)", message))
    }

    private static func broken(_ place: Int, _ message: String) -> Problem {
        .broken(TokenizerError(.malformed, place: "byte \(place)", message))
    }

    // MARK: Values

    func wrongType(_ key: String, _ wanted: String) -> TokenizerError {
        TokenizerError(.malformed, place: "byte \(entries[key]?.start ?? 0)", "\(key) is not \(wanted)")
    }

    func text(_ key: String) throws(TokenizerError) -> String? {
        guard let entry = entries[key] else { return nil }
        var at = entry.start
        guard entry.type == .string, let range = try? string(&at) else { throw wrongType(key, "a string") }
        return String(decoding: bytes[range], as: UTF8.self)
    }

    func flag(_ key: String) throws(TokenizerError) -> Bool? {
        guard let entry = entries[key] else { return nil }
        guard entry.type == .bool, bytes[entry.start] <= 1 else { throw wrongType(key, "a boolean") }
        return bytes[entry.start] == 1
    }

    /// A token id, whichever integer type it is written as.
    func id(_ key: String, below count: Int) throws(TokenizerError) -> UInt32? {
        guard let entry = entries[key] else { return nil }
        let raw = unsigned(entry.start..<entry.start + entry.type.size)
        switch entry.type {
        case .uint8, .uint16, .uint32, .uint64: break
        // -1 is no token for some writers.
        case .int32 where raw == 0xFFFF_FFFF, .int64 where raw == .max: return nil
        case .int8, .int16, .int32, .int64: break
        default: throw wrongType(key, "an integer")
        }
        guard raw < UInt64(count) else {
            throw TokenizerError(.malformed, place: "byte \(entry.start)", "\(key) is \(raw), beyond the last token")
        }
        return UInt32(truncatingIfNeeded: raw)
    }

    /// Ranges of an array's strings.
    func strings(_ key: String) throws(TokenizerError) -> [Range<Int>]? {
        guard let entry = entries[key] else { return nil }
        guard entry.type == .array, entry.element == .string else { throw wrongType(key, "an array of strings") }
        var at = entry.start
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(entry.count)
        for _ in 0..<entry.count { if let range = try? string(&at) { ranges.append(range) } }
        return ranges
    }

    func integers(_ key: String) throws(TokenizerError) -> [Int32]? {
        guard let entry = entries[key] else { return nil }
        guard entry.type == .array, entry.element == .int32 || entry.element == .uint32 else {
            throw wrongType(key, "an array of 32-bit integers")
        }
        return words(entry).map { Int32(bitPattern: $0) }
    }

    func floats(_ key: String) throws(TokenizerError) -> [Float]? {
        guard let entry = entries[key] else { return nil }
        switch (entry.type, entry.element) {
        case (.array, .float32?): return words(entry).map { Float(bitPattern: $0) }
        case (.array, .int32?): return words(entry).map { Float(Int32(bitPattern: $0)) }
        default: throw wrongType(key, "an array of 32-bit floats")
        }
    }

    private func words(_ entry: Entry) -> [UInt32] {
        (0..<entry.count).map { index in
            UInt32(truncatingIfNeeded: unsigned(entry.start + index * 4..<entry.start + index * 4 + 4))
        }
    }

    func byteArray(_ key: String) throws(TokenizerError) -> ArraySlice<UInt8>? {
        guard let entry = entries[key] else { return nil }
        guard entry.type == .array, entry.element == .uint8 || entry.element == .int8 else {
            throw wrongType(key, "an array of bytes")
        }
        return bytes[entry.start..<entry.start + entry.count]
    }
}

extension GGUFMetadata {
    /// The whole metadata, or an error that says where it is cut off.
    static func whole(_ bytes: [UInt8]) throws(TokenizerError) -> GGUFMetadata {
        do {
            return try GGUFMetadata(bytes)
        } catch {
            switch error {
            case .broken(let error): throw error
            case .cutOff(let at):
                throw TokenizerError(.malformed, place: "byte \(at)", "the metadata is cut off after \(bytes.count) bytes")
            }
        }
    }
}
