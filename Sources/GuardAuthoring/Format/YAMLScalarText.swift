internal import GuardYAML

/// How a scalar is written in the canonical form.
enum YAMLScalarText {
    /// `wantsQuotes`: patterns and texts, which are quoted even where they need not be.
    static func text(_ text: String, _ style: YAMLScalar.Style, isTagged: Bool, wantsQuotes: Bool, inFlow: Bool) -> String {
        let isString: Bool
        if style == .plain, !isTagged, case .string = YAMLScalar(text: text, style: .plain).value {
            isString = true
        } else {
            isString = style != .plain
        }
        // Numbers, booleans and nothing keep their spelling.
        guard isString else { return text }
        if needsEscapes(text) { return doubleQuoted(text) }
        let isPlain = isPlainSafe(text, inFlow: inFlow) && (style == .plain || !isOldBoolean(text))
        if isPlain, !wantsQuotes { return text }
        return "'" + text.replacing("'", with: "''") + "'"
    }

    /// Something that cannot be seen, or would not be read back from single quotes.
    static func needsEscapes(_ text: String) -> Bool {
        text.unicodeScalars.contains { isInvisible($0) }
    }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value >= 0x20, scalar.value < 0x7F { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
            return true
        default: return scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    static func doubleQuoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\" + String(scalar)
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            case "\r": out += "\\r"
            case _ where isInvisible(scalar):
                let digits = String(scalar.value, radix: 16, uppercase: true)
                let (mark, width) = scalar.value < 0x100 ? ("\\x", 2) : scalar.value < 0x10000 ? ("\\u", 4) : ("\\U", 8)
                out += mark + String(repeating: "0", count: width - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    private static func isPlainSafe(_ text: String, inFlow: Bool) -> Bool {
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last, last != " ", last != ":" else {
            return false
        }
        let starts: Set<Unicode.Scalar> = ["_", "/", "(", ".", "$", "<", "+", "^", "\\", "=", ";", "~"]
        guard first.properties.isAlphabetic || first.properties.numericType != nil || starts.contains(first)
            || !first.isASCII
        else { return false }
        // `---` and `...` begin and end documents.
        if text.hasPrefix("...") { return false }
        var before: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            if before == ":", scalar == " " { return false }
            if before == " ", scalar == "#" { return false }
            if inFlow, [",", "[", "]", "{", "}"].contains(scalar) { return false }
            if inFlow, scalar == ":" || scalar == "?" { return false }
            before = scalar
        }
        if case .string = YAMLScalar(text: text, style: .plain).value { return true }
        return false
    }

    /// What YAML 1.1 takes for a boolean: who quoted it keeps the quotes.
    private static func isOldBoolean(_ text: String) -> Bool {
        ["y", "n", "yes", "no", "on", "off"].contains(text.lowercased())
    }
}
