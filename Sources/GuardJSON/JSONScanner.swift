/// The one pass over the bytes: grammar, UTF-8, escapes, numbers, node table.
///
/// Iterative: the way back to the container leads over the parent links of the table, so depth costs no stack. All
/// access goes through `bytes[at]` guarded by `at < end` in the same expression or by the loop around it.
struct JSONScanner {
    private let bytes: UnsafeBufferPointer<UInt8>
    private let end: Int
    private let limits: JSONLimits
    private var at = 0
    private var nodes: [JSONRecord] = []
    private var keys = JSONKeyTable()

    static func scan(_ bytes: [UInt8], limits: JSONLimits) throws(JSONError) -> [JSONRecord] {
        guard bytes.count < Int(UInt32.max) else { throw JSONError(.tooLarge, at: Int(UInt32.max)) }
        return try bytes.withUnsafeBufferPointer { (buffer) throws(JSONError) in
            var scanner = JSONScanner(buffer, limits: limits)
            try scanner.run()
            return scanner.nodes
        }
    }

    private init(_ bytes: UnsafeBufferPointer<UInt8>, limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
        end = bytes.count
        // Chat bodies have a node every 20 to 40 bytes; growing is rare and cheap.
        nodes.reserveCapacity(min(16 + bytes.count / 16, limits.nodesMax))
    }

    private mutating func run() throws(JSONError) {
        if end >= 2, (bytes[0] == 0xEF && bytes[1] == 0xBB) || bytes[0] >= 0xFE {
            throw JSONError(.byteOrderMark, at: 0)
        }
        skipSpace()
        guard at < end else { throw JSONError(.empty, at: at) }
        var parent = -1
        var depth = 0
        while true {
            // Here a value must stand (`at` is on its first byte or at the end).
            guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
            let start = at
            switch bytes[at] {
            case UInt8(ascii: "\""):
                let escaped = try string()
                try add(.string, start, parent, marked: escaped)
            case UInt8(ascii: "{"):
                depth += 1
                guard depth <= limits.depthMax else { throw JSONError(.tooDeep, at: at) }
                try add(.object, start, parent)
                at += 1
                skipSpace()
                guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
                if bytes[at] == UInt8(ascii: "}") {
                    at += 1
                    closeEmpty()
                    depth -= 1
                } else {
                    parent = nodes.count - 1
                    try key(parent)
                    continue
                }
            case UInt8(ascii: "["):
                depth += 1
                guard depth <= limits.depthMax else { throw JSONError(.tooDeep, at: at) }
                try add(.array, start, parent)
                at += 1
                skipSpace()
                guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
                if bytes[at] == UInt8(ascii: "]") {
                    at += 1
                    closeEmpty()
                    depth -= 1
                } else {
                    parent = nodes.count - 1
                    continue
                }
            case UInt8(ascii: "t"):
                try literal("true")
                try add(.true, start, parent)
            case UInt8(ascii: "f"):
                try literal("false")
                try add(.false, start, parent)
            case UInt8(ascii: "n"):
                try literal("null")
                try add(.null, start, parent)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                let marked = try number()
                try add(.number, start, parent, marked: marked)
            default:
                throw JSONError(.unexpectedByte, at: at)
            }
            // Behind a value: close containers until one goes on, or the root is complete.
            ascend: while true {
                skipSpace()
                if parent < 0 {
                    guard at == end else { throw JSONError(.trailingBytes, at: at) }
                    return
                }
                guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
                let isObject = nodes[parent].kind == .object
                switch bytes[at] {
                case UInt8(ascii: ","):
                    at += 1
                    skipSpace()
                    if isObject { try key(parent) }
                    break ascend
                case UInt8(ascii: "}") where isObject:
                    at += 1
                    if let offset = keys.duplicate(in: nodes, object: parent, bytes: bytes) {
                        throw JSONError(.duplicateKey, at: offset)
                    }
                    parent = close(parent)
                    depth -= 1
                case UInt8(ascii: "]") where !isObject:
                    at += 1
                    parent = close(parent)
                    depth -= 1
                default:
                    throw JSONError(.unexpectedByte, at: at)
                }
            }
        }
    }

    /// Reads `"key" :` and the space behind it.
    private mutating func key(_ parent: Int) throws(JSONError) {
        guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
        guard bytes[at] == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: at) }
        let start = at
        let escaped = try string()
        try add(.string, start, parent, marked: escaped)
        skipSpace()
        guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
        guard bytes[at] == UInt8(ascii: ":") else { throw JSONError(.unexpectedByte, at: at) }
        at += 1
        skipSpace()
    }

    @inline(__always)
    private mutating func add(_ kind: JSONNode.Kind, _ start: Int, _ parent: Int, marked: Bool = false)
        throws(JSONError)
    {
        let index = nodes.count
        guard index < limits.nodesMax else { throw JSONError(.tooLarge, at: start) }
        nodes.append(
            JSONRecord(
                start: UInt32(truncatingIfNeeded: start), end: UInt32(truncatingIfNeeded: at),
                next: UInt32(truncatingIfNeeded: index + 1),
                parent: UInt32(truncatingIfNeeded: parent < 0 ? index : parent), kind: kind, isMarked: marked))
    }

    private mutating func closeEmpty() {
        nodes[nodes.count - 1].end = UInt32(truncatingIfNeeded: at)
    }

    /// - Returns: the container of `index`, -1 for the root.
    private mutating func close(_ index: Int) -> Int {
        nodes[index].end = UInt32(truncatingIfNeeded: at)
        nodes[index].next = UInt32(truncatingIfNeeded: nodes.count)
        let parent = Int(nodes[index].parent)
        return parent == index ? -1 : parent
    }

    @inline(__always)
    private mutating func skipSpace() {
        while at < end {
            let byte = bytes[at]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            at += 1
        }
    }

    private mutating func literal(_ word: StaticString) throws(JSONError) {
        let count = word.utf8CodeUnitCount
        for index in 0..<count {
            guard at + index < end else { throw JSONError(.unexpectedEnd, at: end) }
            guard bytes[at + index] == word.utf8Start[index] else { throw JSONError(.unexpectedByte, at: at + index) }
        }
        at += count
    }

    // MARK: Strings

    /// Reads a string, from its opening quote to behind its closing one.
    /// - Returns: whether it holds an escape.
    @inline(__always)
    private mutating func string() throws(JSONError) -> Bool {
        at += 1
        var escaped = false
        while true {
            skipPlain()
            guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                at += 1
                return escaped
            }
            if byte >= 0x80 {
                repeat {
                    let length = UTF8Check.length(bytes, at, end)
                    guard length > 0 else { throw JSONError(.invalidUTF8, at: at) }
                    at += length
                } while at < end && bytes[at] >= 0x80
            } else if byte == UInt8(ascii: "\\") {
                escaped = true
                try escape()
            } else if byte < 0x20 {
                throw JSONError(.controlCharacter, at: at)
            } else {
                at += 1
            }
        }
    }

    /// Eight bytes at a time over ASCII that needs no look: stops at (or a few bytes before) a quote, a backslash, a
    /// control character or a byte over 0x7F.
    @inline(__always)
    private mutating func skipPlain() {
        guard let base = bytes.baseAddress else { return }
        let ones: UInt64 = 0x0101_0101_0101_0101
        while end - at >= 8 {
            let word = UInt64(littleEndian: UnsafeRawPointer(base + at).loadUnaligned(as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            // A byte's high bit is set where it is zero (quote, backslash) or below 0x20 (word). A borrow can only
            // spoil bytes above a true hit, and only the lowest hit is used.
            let hits =
                ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- ones &* 0x20) & ~word)
                | word
            let mask = hits & (ones &* 0x80)
            if mask != 0 {
                at += mask.trailingZeroBitCount >> 3
                return
            }
            at += 8
        }
    }

    private mutating func escape() throws(JSONError) {
        let start = at
        guard at + 1 < end else { throw JSONError(.unexpectedEnd, at: end) }
        switch bytes[at + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 2
        case UInt8(ascii: "u"):
            let unit = try hex(at + 2)
            at += 6
            if unit >= 0xD800 && unit < 0xE000 {
                guard unit < 0xDC00, at + 1 < end, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u")
                else { throw JSONError(.loneSurrogate, at: start) }
                let low = try hex(at + 2)
                guard low >= 0xDC00 && low < 0xE000 else { throw JSONError(.loneSurrogate, at: start) }
                at += 6
            }
        default:
            throw JSONError(.invalidEscape, at: start)
        }
    }

    private func hex(_ from: Int) throws(JSONError) -> UInt32 {
        var unit: UInt32 = 0
        for index in from..<from + 4 {
            guard index < end else { throw JSONError(.unexpectedEnd, at: end) }
            guard let digit = JSONStringDecoder.hexDigit(bytes[index]) else {
                throw JSONError(.invalidEscape, at: index)
            }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }

    // MARK: Numbers

    /// - Returns: whether it has a fraction or an exponent.
    private mutating func number() throws(JSONError) -> Bool {
        let start = at
        if bytes[at] == UInt8(ascii: "-") { at += 1 }
        guard at < end else { throw JSONError(.unexpectedEnd, at: at) }
        guard isDigit(at) else { throw JSONError(.invalidNumber, at: at) }
        if bytes[at] == UInt8(ascii: "0") {
            at += 1
            if isDigit(at) { throw JSONError(.invalidNumber, at: at) }
        } else {
            while isDigit(at) { at += 1 }
        }
        // More digits or a longer exponent than this may overflow a double; everything shorter cannot.
        var mayOverflow = at - start > 300
        var marked = false
        if at < end, bytes[at] == UInt8(ascii: ".") {
            marked = true
            at += 1
            guard isDigit(at) else { throw JSONError(at < end ? .invalidNumber : .unexpectedEnd, at: at) }
            while isDigit(at) { at += 1 }
        }
        if at < end, bytes[at] | 0x20 == UInt8(ascii: "e") {
            marked = true
            at += 1
            if at < end, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
            guard isDigit(at) else { throw JSONError(at < end ? .invalidNumber : .unexpectedEnd, at: at) }
            let exponent = at
            while isDigit(at) { at += 1 }
            mayOverflow = mayOverflow || at - exponent > 2
        }
        if mayOverflow {
            let text = UnsafeBufferPointer(rebasing: bytes[start..<at])
            guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else {
                throw JSONError(.numberOutOfRange, at: start)
            }
        }
        return marked
    }

    @inline(__always)
    private func isDigit(_ index: Int) -> Bool {
        index < end && bytes[index] &- UInt8(ascii: "0") <= 9
    }
}

/// Well-formed UTF-8 (Unicode table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
enum UTF8Check {
    /// Length of the sequence that starts at `at` with a byte >= 0x80; 0 if it is not well-formed.
    @inline(__always)
    static func length(_ bytes: UnsafeBufferPointer<UInt8>, _ at: Int, _ end: Int) -> Int {
        let first = bytes[at]
        let length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0
        guard length > 0, end - at >= length else { return 0 }
        let second = bytes[at + 1]
        switch first {
        case 0xE0: guard second >= 0xA0 && second < 0xC0 else { return 0 }
        case 0xED: guard second >= 0x80 && second < 0xA0 else { return 0 }
        case 0xF0: guard second >= 0x90 && second < 0xC0 else { return 0 }
        case 0xF4: guard second >= 0x80 && second < 0x90 else { return 0 }
        default: guard second & 0xC0 == 0x80 else { return 0 }
        }
        if length > 2, bytes[at + 2] & 0xC0 != 0x80 { return 0 }
        if length > 3, bytes[at + 3] & 0xC0 != 0x80 { return 0 }
        return length
    }
}
