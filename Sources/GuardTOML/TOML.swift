package import GuardCore

/// A value of a TOML file, with its place.
package struct TOMLValue: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case string(String)
        case integer(Int)
        case float(Double)
        case boolean(Bool)
        /// Date, time or both, as written; checked for its form only.
        case moment(String)
        case array([TOMLValue])
        case table(TOMLTable)
    }

    package var kind: Kind
    /// 1-based.
    package var line: Int
    /// 1-based, in Unicode scalars.
    package var column: Int

    package var string: String? {
        if case .string(let text) = kind { text } else { nil }
    }

    package var table: TOMLTable? {
        if case .table(let table) = kind { table } else { nil }
    }

    package var array: [TOMLValue]? {
        if case .array(let items) = kind { items } else { nil }
    }

    /// What a message calls it.
    package var typeDescription: String {
        switch kind {
        case .string: "a string"
        case .integer, .float: "a number"
        case .boolean: "a boolean"
        case .moment: "a date or time"
        case .array: "an array"
        case .table: "a table"
        }
    }
}

/// Keys in the order of the file.
package struct TOMLTable: Sendable, Hashable {
    package struct Entry: Sendable, Hashable {
        package var key: String
        package var line: Int
        package var column: Int
        package var value: TOMLValue
        /// By `[[a]]`: others may follow.
        var isArrayOfTables = false

        init(key: String, line: Int, column: Int, value: TOMLValue) {
            (self.key, self.line, self.column, self.value) = (key, line, column, value)
        }
    }

    /// How a table came to be, which decides who may add to it.
    enum Origin: Sendable, Hashable {
        /// Named on the way to another: `[a.b]` makes `a`, and `[a]` may still come.
        case implied
        /// `[a]` was there.
        case header
        /// By `a.b = 1` in its parent.
        case dotted
        /// `{…}`: complete.
        case inline
    }

    package internal(set) var entries: [Entry] = []
    var origin = Origin.implied
    private var numbers: [String: Int] = [:]

    init(origin: Origin) { self.origin = origin }

    package subscript(key: String) -> TOMLValue? { numbers[key].map { entries[$0].value } }

    func number(of key: String) -> Int? { numbers[key] }

    mutating func append(_ entry: Entry) {
        numbers[entry.key] = entries.count
        entries.append(entry)
    }
}

/// TOML 1.0 (https://toml.io/en/v1.0.0), strict: what the specification forbids is an error with its place.
package enum TOMLDocument {
    package static let bytesMax = 16 << 20

    /// - Throws: the first error.
    package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostic) -> TOMLTable {
        guard bytes.count <= bytesMax else {
            throw Diagnostic(file: file, "the file has \(bytes.count) bytes; at most \(bytesMax) are read")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Diagnostic(file: file, "the file is not UTF-8")
        }
        var parser = TOMLParser(text: text, file: file)
        return try parser.document()
    }
}
