import GuardMatching

/// A split pattern that has no hand-written scanner, run by PCRE2 with the meaning that it has in Oniguruma (Hugging
/// Face) and Rust's regex (tiktoken).
struct SplitPattern: Sendable {
    private let pattern: Pattern
    /// As the tokenizer file writes it.
    let source: String

    init(_ source: String) throws(TokenizerError) {
        self.source = source
        let translated = try Self.translate(source)
        do {
            pattern = try Pattern("(*UCP)" + translated)
        } catch {
            throw TokenizerError(.unsupported, "split pattern does not compile: \(error)")
        }
    }

    /// Byte ranges of the matches, in order, none of them empty.
    ///
    /// Where the engine gives up (its match limit), the rest of the text has no matches.
    func matches(_ text: [UInt8]) -> [Range<Int>] {
        let subject = UTF8Scalars.wellFormed(text)
        var scratch = MatchScratch()
        var ranges: [Range<Int>] = []
        var at = 0
        while at < subject.count,
            case .match(let range) = pattern.firstMatch(in: subject.span, from: at, mode: .complete, scratch: &scratch)
        {
            ranges.append(range)
            at = range.upperBound
        }
        return ranges
    }

    /// PCRE2's `\s` has U+180E under UCP and its `\w` has no marks; the original engines mean the Unicode properties.
    private static func translate(_ source: String) throws(TokenizerError) -> String {
        var result = ""
        var inClass = false
        var scalars = source.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            switch scalar {
            case "[":
                if inClass { throw TokenizerError(.unsupported, "split pattern with a class inside of a class") }
                inClass = true
                result.unicodeScalars.append(scalar)
            case "]":
                inClass = false
                result.unicodeScalars.append(scalar)
            case "\\":
                guard let escaped = scalars.next() else {
                    throw TokenizerError(.malformed, "split pattern ends with a backslash")
                }
                switch escaped {
                case "s": result += #"\p{White_Space}"#
                case "S": result += #"\P{White_Space}"#
                case "d": result += #"\p{Nd}"#
                case "D": result += #"\P{Nd}"#
                case "w" where inClass: result += #"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}"#
                case "w": result += #"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]"#
                case "W" where !inClass: result += #"[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]"#
                case "W", "h", "H", "G", "K", "C", "R", "X":
                    throw TokenizerError(.unsupported, "split pattern with \\\(escaped)")
                default:
                    result += "\\"
                    result.unicodeScalars.append(escaped)
                }
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
