/// Mappings and sets of Unicode scalars as Hugging Face tokenizers knows them, which is not one version of Unicode: see
/// `fixtures/tools/generate_unicode_tables.py`. The one place of this module for normalization data.
struct UnicodeTables: Sendable {
    /// Bits of `flags`.
    static let mark: UInt8 = 1
    static let nonspacing: UInt8 = 2
    static let control: UInt8 = 4
    static let punctuation: UInt8 = 8
    static let excluded: UInt8 = 16

    static let shared = UnicodeTables()

    let canonical: ScalarMap
    let compatible: ScalarMap
    let lowercase: ScalarMap
    let combiningClass: ScalarPages<UInt8>
    let script: ScalarPages<UInt8>
    let flags: ScalarPages<UInt8>
    /// Primary composites by `first << 21 | second`.
    private let compositions: [UInt64: UInt32]
    /// Second parts of primary composites.
    private let seconds: Set<UInt32>

    private init() {
        canonical = ScalarMap(Self.canonicalText)
        compatible = ScalarMap(Self.compatibleText)
        lowercase = ScalarMap(Self.lowercaseText)
        combiningClass = ScalarPages(Self.combiningClassText)
        script = ScalarPages(Self.scriptText)
        var flags = ScalarPages<UInt8>(Self.markText, bit: Self.mark)
        flags.merge(Self.nonspacingText, bit: Self.nonspacing)
        flags.merge(Self.controlText, bit: Self.control)
        flags.merge(Self.punctuationText, bit: Self.punctuation)
        flags.merge(Self.excludedText, bit: Self.excluded)
        self.flags = flags
        var compositions: [UInt64: UInt32] = [:]
        var seconds = Set<UInt32>()
        // The tables hold full decompositions: a composite's last scalar joins with the composite of those before it.
        var byParts: [[UInt32]: UInt32] = [:]
        canonical.forEach { byParts[Array($1)] = flags[$0] & Self.excluded == 0 ? $0 : byParts[Array($1)] }
        canonical.forEach { scalar, parts in
            guard flags[scalar] & Self.excluded == 0, parts.count > 1, let last = parts.last else { return }
            let head = Array(parts.dropLast())
            guard let first = head.count == 1 ? head[0] : byParts[head] else { return }
            compositions[UInt64(first) << 21 | UInt64(last)] = scalar
            seconds.insert(last)
        }
        self.compositions = compositions
        self.seconds = seconds
    }

    func composition(_ first: UInt32, _ second: UInt32) -> UInt32? { compositions[UInt64(first) << 21 | UInt64(second)] }

    /// Whether composition may join the scalar with one before it.
    func mayJoinBackward(_ scalar: UInt32) -> Bool {
        combiningClass[scalar] != 0 || seconds.contains(scalar) || (0x1161...0x1175).contains(scalar)
            || (0x11A8...0x11C2).contains(scalar)
    }
}

/// A number for each scalar, in pages of which equal ones are shared.
struct ScalarPages<Value: FixedWidthInteger & Sendable>: Sendable {
    private var pageOf: [UInt16]
    private var values: [Value]

    init() {
        pageOf = Array(repeating: 0, count: 0x1100)
        values = Array(repeating: 0, count: 256)
    }

    init(_ text: StaticString) {
        self.init()
        TableText(text).forEachRun { start, length, value in
            for scalar in start..<start + length { self[scalar] = Value(truncatingIfNeeded: value) }
        }
    }

    init(_ text: StaticString, bit: Value) {
        self.init()
        merge(text, bit: bit)
    }

    mutating func merge(_ text: StaticString, bit: Value) {
        TableText(text).forEachRun { start, length, _ in
            for scalar in start..<start + length { self[scalar] |= bit }
        }
    }

    /// 0 for what is no scalar.
    subscript(scalar: UInt32) -> Value {
        get { scalar < 0x110000 ? values[Int(pageOf[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)] : 0 }
        set {
            guard scalar < 0x110000 else { return }
            if pageOf[Int(scalar >> 8)] == 0 {
                pageOf[Int(scalar >> 8)] = UInt16(values.count >> 8)
                values += Array(repeating: 0, count: 256)
            }
            values[Int(pageOf[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)] = newValue
        }
    }
}

/// What some scalars are replaced by.
struct ScalarMap: Sendable {
    private var indices = ScalarPages<UInt16>()
    private var keys: [UInt32] = []
    /// End of each entry's scalars; entry 0 is none.
    private var ends: [UInt32] = [0]
    private var scalars: [UInt32] = []

    init(_ text: StaticString) {
        TableText(text).forEachEntry { scalar, replacement in
            scalars += replacement
            keys.append(scalar)
            indices[scalar] = UInt16(truncatingIfNeeded: ends.count)
            ends.append(UInt32(scalars.count))
        }
    }

    /// `nil` where the scalar stays itself.
    subscript(scalar: UInt32) -> ArraySlice<UInt32>? {
        let index = Int(indices[scalar])
        return index == 0 ? nil : scalars[Int(ends[index - 1])..<Int(ends[index])]
    }

    func forEach(_ body: (UInt32, ArraySlice<UInt32>) -> Void) {
        for key in keys { if let value = self[key] { body(key, value) } }
    }
}

/// Reads the generated text.
private struct TableText {
    private let bytes: UnsafeBufferPointer<UInt8>

    init(_ text: StaticString) { bytes = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount) }

    /// `<distance to the start>g<length>:<value>,` in hexadecimal.
    func forEachRun(_ body: (UInt32, UInt32, UInt32) -> Void) {
        var start: UInt32 = 0
        var length: UInt32 = 0
        var value: UInt32 = 0
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "g"):
                start += value
                value = 0
            case UInt8(ascii: ":"): (length, value) = (value, 0)
            case UInt8(ascii: ","):
                body(start, length, value)
                value = 0
            default: value = value << 4 | Self.digit(byte)
            }
        }
    }

    /// `<distance>:<scalar> <scalar>,` in hexadecimal.
    func forEachEntry(_ body: (UInt32, [UInt32]) -> Void) {
        var key: UInt32 = 0
        var value: UInt32 = 0
        var list: [UInt32] = []
        var hasDigits = false
        for byte in bytes {
            switch byte {
            case UInt8(ascii: ":"):
                key += value
                (value, hasDigits) = (0, false)
            case UInt8(ascii: " "), UInt8(ascii: ","):
                if hasDigits { list.append(value) }
                (value, hasDigits) = (0, false)
                if byte == UInt8(ascii: ",") {
                    body(key, list)
                    list.removeAll(keepingCapacity: true)
                }
            default:
                value = value << 4 | Self.digit(byte)
                hasDigits = true
            }
        }
    }

    private static func digit(_ byte: UInt8) -> UInt32 {
        byte >= UInt8(ascii: "a") ? UInt32(byte) - 87 : UInt32(byte) - 48
    }
}
