package import GuardCore

/// Collects every problem of one run. One collector may serve several files.
package final class YAMLProblems {
    package private(set) var list: [Diagnostic] = []
    /// Problems after this many are dropped: a broken file of a million lines needs no million messages.
    package let limit: Int

    package init(limit: Int = 1000) { self.limit = limit }

    package func add(_ diagnostic: Diagnostic) {
        if list.count < limit { list.append(diagnostic) }
    }

    package func add(contentsOf diagnostics: Diagnostics) {
        for diagnostic in diagnostics.list { add(diagnostic) }
    }

    package var hasErrors: Bool { list.contains { $0.level == .error } }

    package func throwIfErrors() throws(Diagnostics) {
        if hasErrors { throw Diagnostics(list) }
    }
}

/// A node being read as something: each `…()` gives the value or nil, and then the problem is in `problems` already.
///
/// ```swift
/// let document = try YAMLDocument.parse(bytes, file: "guard.yaml")
/// let problems = YAMLProblems()
/// if let top = YAMLReader(document, problems).mapping(keys: ["listen", "mode"]) {
///     mode = top["mode"]?.choice(of: Mode.self) ?? .enforce       // absent: the default; wrong: reported, the default
/// }
/// try problems.throwIfErrors()
/// ```
package struct YAMLReader {
    package let node: YAMLNode
    package let file: String
    package let problems: YAMLProblems

    package init(_ node: YAMLNode, file: String, _ problems: YAMLProblems) {
        self.node = node
        self.file = file
        self.problems = problems
    }

    package init(_ document: YAMLDocument, _ problems: YAMLProblems) {
        self.init(document.root, file: document.file, problems)
    }

    /// Reports a problem at this node.
    package func report(_ message: String, level: Diagnostic.Level = .error) {
        problems.add(Diagnostic(level, file: file, line: node.line, column: node.column, message))
    }

    /// Reports a problem at Unicode scalar `offset` of this scalar's text, as near as the file's form allows.
    package func report(atScalar offset: Int, _ message: String) {
        let column = node.scalar?.verbatimColumn.map { $0 + offset } ?? node.column
        problems.add(Diagnostic(file: file, line: node.line, column: column, message))
    }

    private func mismatch<T>(_ expected: String) -> T? {
        report("expected \(expected), found \(node.typeDescription)")
        return nil
    }

    // MARK: scalars

    package func string() -> String? {
        guard case .scalar(let scalar) = node.kind else { return mismatch("a string") }
        switch scalar.value {
        case .string(let text): return text
        case .null: return mismatch("a string")
        case .bool, .int, .double:
            report("expected a string, found \(node.typeDescription); to mean the text, quote it: '\(scalar.text)'")
            return nil
        }
    }

    package func nonEmptyString() -> String? {
        guard let text = string() else { return nil }
        guard !text.isEmpty else {
            report("expected a string that is not empty")
            return nil
        }
        return text
    }

    package func bool() -> Bool? {
        guard case .bool(let value)? = node.scalar?.value else { return mismatch("true or false") }
        return value
    }

    package func int(in range: ClosedRange<Int> = Int.min...Int.max) -> Int? {
        guard case .int(let value)? = node.scalar?.value else { return mismatch("a whole number") }
        guard range.contains(value) else {
            report("\(value) is out of range: \(describe(range))")
            return nil
        }
        return value
    }

    package func double(in range: ClosedRange<Double>? = nil) -> Double? {
        let value: Double
        switch node.scalar?.value {
        case .int(let int): value = Double(int)
        case .double(let double) where double.isFinite: value = double
        default: return mismatch("a number")
        }
        if let range, !range.contains(value) {
            report("\(value) is out of range: \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    /// One of a closed set of words; the message lists them.
    package func choice<T>(of type: T.Type) -> T? where T: RawRepresentable, T: CaseIterable, T.RawValue == String {
        choice(T.allCases.map { ($0.rawValue, $0) })
    }

    package func choice<T>(_ choices: [(String, T)]) -> T? {
        let names = choices.map(\.0)
        guard let scalar = node.scalar, !node.isNull else {
            return mismatch("one of \(names.joined(separator: ", "))")
        }
        if let found = choices.first(where: { $0.0 == scalar.text }) { return found.1 }
        report(
            "'\(scalar.text)' is none of \(names.joined(separator: ", "))"
                + LikelyMeant.suffix(scalar.text, among: names))
        return nil
    }

    /// `250ms`, `5s`, `1m30s`, `2h`, `1d`; a bare 0 is allowed.
    package func duration(in range: ClosedRange<Duration>? = nil) -> Duration? {
        let expected = "a duration such as 250ms, 5s, 1m30s or 2h"
        guard let scalar = node.scalar else { return mismatch(expected) }
        guard let value = YAMLUnits.duration(scalar.text) else { return mismatch(expected) }
        if let range, !range.contains(value) {
            report(
                "\(scalar.text) is out of range: \(YAMLUnits.describe(range.lowerBound)) to "
                    + YAMLUnits.describe(range.upperBound))
            return nil
        }
        return value
    }

    /// Bytes: a whole number, or one with a unit (`64KiB`, `32MiB`, `1GiB`, `10MB`; Ki/Mi/Gi are powers of 1024).
    package func byteSize(in range: ClosedRange<Int> = 0...Int.max) -> Int? {
        let expected = "a size in bytes such as 65536, 64KiB or 32MiB"
        guard let scalar = node.scalar else { return mismatch(expected) }
        guard let value = YAMLUnits.byteSize(scalar.text) else { return mismatch(expected) }
        guard range.contains(value) else {
            report("\(scalar.text) is out of range: \(describe(range)) bytes")
            return nil
        }
        return value
    }

    // MARK: collections

    /// nil (reported) unless a list. An item that `read` refuses (and has reported) is left out.
    package func list<T>(_ read: (YAMLReader) -> T?) -> [T]? {
        guard let items = items() else { return nil }
        return items.compactMap(read)
    }

    package func items() -> [YAMLReader]? {
        guard case .sequence(let nodes) = node.kind else { return mismatch("a list") }
        return nodes.map { YAMLReader($0, file: file, problems) }
    }

    /// A list, or one item alone: `on: input` as well as `on: [input, output]`.
    package func oneOrMore<T>(_ read: (YAMLReader) -> T?) -> [T]? {
        if case .sequence = node.kind { return list(read) }
        return read(self).map { [$0] }
    }

    /// nil (reported) unless a mapping; a key that is none of `keys` is reported with the likely meant one.
    package func mapping(keys: [String]) -> YAMLMapping? {
        guard let mapping = anyMapping() else { return nil }
        for entry in mapping.entries where !keys.contains(entry.key) {
            problems.add(
                Diagnostic(
                    file: file, line: entry.keyLine, column: entry.keyColumn,
                    "unknown key '\(entry.key)'"
                        + LikelyMeant.suffix(entry.key, among: keys.filter { mapping[$0] == nil }, all: keys)))
        }
        return mapping
    }

    /// A mapping with keys that the writer chooses.
    package func anyMapping() -> YAMLMapping? {
        guard case .mapping(let entries) = node.kind else { return mismatch("a mapping") }
        return YAMLMapping(entries: entries, reader: self)
    }

    private func describe(_ range: ClosedRange<Int>) -> String {
        switch (range.lowerBound, range.upperBound) {
        case (let low, Int.max): "at least \(low)"
        case (Int.min, let high): "at most \(high)"
        case (let low, let high): "\(low) to \(high)"
        }
    }
}

/// A mapping being read. Reading a key twice is fine; reading none is fine too: unknown keys were reported before.
package struct YAMLMapping {
    package let entries: [YAMLNode.Entry]
    /// The mapping as a value, for its place.
    package let reader: YAMLReader

    /// The reader of a key's value; nil where the key is absent. A key with no value (`key:`) is there, and null.
    package subscript(key: String) -> YAMLReader? {
        entries.first { $0.key == key }.map { YAMLReader($0.value, file: reader.file, reader.problems) }
    }

    /// As the subscript, and an absent key is reported at the mapping's place.
    package func required(_ key: String, in what: String = "") -> YAMLReader? {
        if let value = self[key] { return value }
        reader.report("missing key '\(key)'" + (what.isEmpty ? "" : " in \(what)"))
        return nil
    }

    /// Each key in order, with the reader of its value.
    package var values: [(entry: YAMLNode.Entry, value: YAMLReader)] {
        entries.map { ($0, YAMLReader($0.value, file: reader.file, reader.problems)) }
    }

    /// Reports a problem at a key's place (at the mapping's where the key is absent).
    package func report(key: String, _ message: String) {
        guard let entry = entries.first(where: { $0.key == key }) else { return reader.report(message) }
        reader.problems.add(
            Diagnostic(file: reader.file, line: entry.keyLine, column: entry.keyColumn, message))
    }
}
