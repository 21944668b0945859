/// One node of a YAML file, with its place.
///
/// Values, not references: an alias is a copy of the node that it names (the arrays are shared until written).
package struct YAMLNode: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case scalar(YAMLScalar)
        case sequence([YAMLNode])
        /// In the order of the file; keys are unique scalars.
        case mapping([Entry])
    }

    package struct Entry: Sendable, Hashable {
        package var key: String
        package var keyLine: Int
        package var keyColumn: Int
        package var value: YAMLNode

        package init(key: String, keyLine: Int, keyColumn: Int, value: YAMLNode) {
            self.key = key
            self.keyLine = keyLine
            self.keyColumn = keyColumn
            self.value = value
        }
    }

    package var kind: Kind
    /// 1-based.
    package var line: Int
    /// 1-based, in Unicode scalars.
    package var column: Int

    package init(kind: Kind, line: Int, column: Int) {
        self.kind = kind
        self.line = line
        self.column = column
    }

    /// The value of a mapping's key; nil for other kinds and absent keys.
    package subscript(key: String) -> YAMLNode? {
        guard case .mapping(let entries) = kind else { return nil }
        return entries.first { $0.key == key }?.value
    }

    package var scalar: YAMLScalar? {
        guard case .scalar(let scalar) = kind else { return nil }
        return scalar
    }

    package var isNull: Bool { scalar?.value == .null }

    /// What a message calls this node: `a list`, `the number 5`, `a string` ...
    package var typeDescription: String {
        switch kind {
        case .sequence: "a list"
        case .mapping: "a mapping"
        case .scalar(let scalar):
            switch scalar.value {
            case .null: "nothing"
            case .bool(let value): "the boolean \(value)"
            case .int, .double: "the number \(scalar.text)"
            case .string: "a string"
            }
        }
    }
}

/// A scalar as it stood in the file; what it means is computed by the YAML 1.2 core schema.
package struct YAMLScalar: Sendable, Hashable {
    package enum Style: String, Sendable, Hashable { case plain, singleQuoted, doubleQuoted, literal, folded }

    /// The meaning by the core schema. `no`, `on`, `yes`, `0777`, `1_000` and `12:30` mean what they look like to a
    /// reader of YAML 1.2 (strings, 777, a string, a string), not what YAML 1.1 made of them.
    package enum Value: Sendable, Hashable {
        case null
        case bool(Bool)
        case int(Int)
        case double(Double)
        case string(String)
    }

    /// After unescaping and folding.
    package var text: String
    package var style: Style
    /// 1-based column of the text's first scalar, where the file holds the text as it is on one line (no escapes,
    /// no folding): then scalar `n` of the text stands at `verbatimColumn + n`.
    package var verbatimColumn: Int?
    /// Set by a `!!str`, `!!int` ... tag.
    package var tag: Tag?

    package enum Tag: String, Sendable, Hashable { case null, bool, int, float, str }

    package init(text: String, style: Style, verbatimColumn: Int? = nil, tag: Tag? = nil) {
        self.text = text
        self.style = style
        self.verbatimColumn = verbatimColumn
        self.tag = tag
    }

    package var value: Value {
        guard tag != .str, style == .plain || tag != nil else { return .string(text) }
        let bytes = Array(text.utf8)
        if let resolved = Self.resolve(bytes, text) { return resolved }
        return .string(text)
    }

    /// YAML 1.2.2, section 10.3.2. nil: a string.
    private static func resolve(_ bytes: [UInt8], _ text: String) -> Value? {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".nan", ".NaN", ".NAN": return .double(.nan)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .double(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .double(-.infinity)
        default: break
        }
        if bytes.count > 2, bytes[0] == UInt8(ascii: "0"),
            bytes[1] == UInt8(ascii: "o") || bytes[1] == UInt8(ascii: "x")
        {
            let digits = text.utf8.dropFirst(2)
            let radix = bytes[1] == UInt8(ascii: "o") ? 8 : 16
            guard digits.first != UInt8(ascii: "-"), digits.first != UInt8(ascii: "+") else { return nil }
            return Int(Substring(digits), radix: radix).map(Value.int)
        }
        var index = 0
        var digits = 0
        var fractional = false
        func digitRun() -> Int {
            let start = index
            while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 { index += 1 }
            return index - start
        }
        if bytes[0] == UInt8(ascii: "-") || bytes[0] == UInt8(ascii: "+") { index += 1 }
        digits = digitRun()
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            fractional = true
            digits += digitRun()
        }
        guard digits > 0 else { return nil }
        if index < bytes.count, bytes[index] == UInt8(ascii: "e") || bytes[index] == UInt8(ascii: "E") {
            index += 1
            fractional = true
            if index < bytes.count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
                index += 1
            }
            guard digitRun() > 0 else { return nil }
        }
        guard index == bytes.count else { return nil }
        if !fractional { return Int(text).map(Value.int) ?? Double(text).map(Value.double) }
        return Double(text).map(Value.double)
    }
}
