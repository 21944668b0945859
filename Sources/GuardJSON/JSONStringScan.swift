/// Follows a JSON text that comes in pieces and knows whether what comes next stands in a string, so that what is put
/// there in place of something else can be escaped.
///
/// It does not check the text: what is no JSON gives an answer without meaning.
package struct JSONStringScan: Sendable {
    private enum State {
        /// Nothing but white space so far.
        case begin
        case outside, string, escape
        /// No object, array or string: not looked at.
        case other
    }

    private var state = State.begin

    package init() {}

    package mutating func read(_ text: some Sequence<UInt8>) {
        for byte in text {
            switch (state, byte) {
            case (.other, _): return
            case (.begin, 0x09), (.begin, 0x0A), (.begin, 0x0D), (.begin, 0x20): break
            case (.begin, UInt8(ascii: "{")), (.begin, UInt8(ascii: "[")): state = .outside
            case (.begin, UInt8(ascii: "\"")), (.outside, UInt8(ascii: "\"")), (.escape, _): state = .string
            case (.begin, _): state = .other
            case (.string, UInt8(ascii: "\"")): state = .outside
            case (.string, UInt8(ascii: "\\")): state = .escape
            case (.outside, _), (.string, _): break
            }
        }
    }

    /// What stands for `text` here: in a string it is escaped, unless it may stand there as it is.
    package func fitting(_ text: [UInt8]) -> [UInt8] {
        state == .string && !JSONEscape.isContent(text) ? JSONEscape.escaped(text) : text
    }
}

extension JSONEscape {
    /// Whether `text`, UTF-8, may stand in a JSON string as it is (RFC 8259 section 7).
    package static func isContent(_ text: [UInt8]) -> Bool {
        var hexDigits = 0
        var isEscaped = false
        for byte in text {
            if hexDigits > 0 {
                guard byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6 else { return false }
                hexDigits -= 1
            } else if isEscaped {
                guard "\"\\/bfnrtu".utf8.contains(byte) else { return false }
                if byte == UInt8(ascii: "u") { hexDigits = 4 }
                isEscaped = false
            } else if byte < 0x20 || byte == UInt8(ascii: "\"") {
                return false
            } else {
                isEscaped = byte == UInt8(ascii: "\\")
            }
        }
        return hexDigits == 0 && !isEscaped
    }
}
