package import GuardCore
package import GuardMatching
internal import GuardYAML

/// `mask: {placeholder: '[EMAIL_{n}]', restore: true}`: the same text gets the same number throughout a request, and with
/// `restore` the answer gets the text back where it repeats the placeholder.
package struct PlaceholderTemplate: Sendable {
    package let prefix: [UInt8]
    package let suffix: [UInt8]
    package let restores: Bool
    /// Any placeholder of this template; validated, so that the table can say which of them it has given out.
    package let pattern: Pattern

    struct Problem: Error {
        var message: String
    }

    /// - Throws: if placeholders could not be told apart, or might not survive JSON as they are.
    init(_ source: String, restores: Bool) throws(Problem) {
        let parts = source.split(separator: "{n}", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw Problem(message: "a placeholder has '{n}' once: it tells texts apart") }
        prefix = Array(parts[0].utf8)
        suffix = Array(parts[1].utf8)
        guard let last = prefix.last, let first = suffix.first, !Self.isDigit(last), !Self.isDigit(first) else {
            throw Problem(message: "'{n}' stands between other characters than digits, as in '[EMAIL_{n}]'")
        }
        guard (prefix + suffix).allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }),
            source.utf8.count <= 64
        else {
            throw Problem(message: "a placeholder is at most 64 printable ASCII characters, no space, '\"' or '\\'")
        }
        self.restores = restores
        do {
            pattern = try Pattern("\\Q\(parts[0])\\E[1-9][0-9]{0,5}\\Q\(parts[1])\\E", validated: true)
        } catch {
            throw Problem(message: error.message)
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    package func text(_ number: Int) -> [UInt8] { prefix + Array(String(number).utf8) + suffix }
}

/// The placeholders of one request and what they stand for. Lives as long as the request does and is written nowhere.
package struct PlaceholderTable: Sendable {
    private var originals: [[UInt8]: [UInt8]] = [:]
    private var given: [Key: [UInt8]] = [:]
    private var lastNumber: [[UInt8]: Int] = [:]
    private var written: [[UInt8]: Set<[UInt8]>] = [:]
    /// Of those that restore, in order of first use.
    private(set) var templates: [PlaceholderTemplate] = []

    private struct Key: Hashable, Sendable {
        var template: [UInt8]
        var text: [UInt8]
    }

    package init() {}

    /// Nothing has to be restored.
    package var isEmpty: Bool { originals.isEmpty }

    /// The placeholder of `text`. One that stands in the request already, written by the client, is not given out: what
    /// the answer repeats of it must not be taken for ours.
    package mutating func placeholder(
        for text: [UInt8], _ template: PlaceholderTemplate, in segments: [TextSegment]
    ) -> [UInt8] {
        let name = template.text(0)
        let key = Key(template: name, text: text)
        if let known = given[key] { return known }
        let taken = written[name] ?? Self.written(template, in: segments)
        written[name] = taken
        var number = lastNumber[name] ?? 0
        var placeholder: [UInt8]
        repeat {
            number += 1
            placeholder = template.text(number)
        } while taken.contains(placeholder)
        lastNumber[name] = number
        given[key] = placeholder
        // The pattern knows six digits.
        if template.restores, number < 1_000_000 {
            originals[placeholder] = text
            if !templates.contains(where: { $0.text(0) == name }) { templates.append(template) }
        }
        return placeholder
    }

    /// The placeholders of a template that stand in the request: looked for once, not for every text.
    private static func written(_ template: PlaceholderTemplate, in segments: [TextSegment]) -> Set<[UInt8]> {
        var found: Set<[UInt8]> = []
        for segment in segments {
            let text = segment.text
            var index = 0
            while index + template.prefix.count < text.count {
                guard text[index] == template.prefix[0], text[index...].starts(with: template.prefix) else {
                    index += 1
                    continue
                }
                var end = index + template.prefix.count
                while end < text.count, text[end] &- 0x30 < 10 { end += 1 }
                if text[end...].starts(with: template.suffix) {
                    found.insert(Array(text[index..<(end + template.suffix.count)]))
                }
                index = end
            }
        }
        return found
    }

    /// What a placeholder stands for.
    package subscript(placeholder: ArraySlice<UInt8>) -> [UInt8]? { originals[Array(placeholder)] }

    /// What finds the placeholders of this request: patterns, each with its check.
    package var matchers: [(pattern: Pattern, isGiven: @Sendable (UnsafeBufferPointer<UInt8>, Captures) -> Bool)] {
        let originals = originals
        return templates.map { template in
            (
                pattern: template.pattern,
                isGiven: { text, captures in originals[Array(text[captures.range])] != nil }
            )
        }
    }

    /// The edits that put the originals back into a complete text of an answer; they name no rule.
    package func edits(
        in text: [UInt8], escape: ([UInt8]) -> [UInt8] = { $0 }, scratch: inout MatchScratch
    ) -> [TextEdit] {
        var edits: [TextEdit] = []
        for matcher in matchers {
            var from = 0
            search: while from < text.count {
                let outcome = text.withUnsafeBufferPointer { buffer in
                    matcher.pattern.firstMatch(in: text.span, from: from, mode: .complete, scratch: &scratch) {
                        matcher.isGiven(buffer, $0)
                    }
                }
                guard case .match(let range) = outcome else { break search }
                edits.append(
                    TextEdit(range: range, replacement: escape(originals[Array(text[range])] ?? []), rules: []))
                from = range.upperBound
            }
        }
        return edits.sorted { $0.range.lowerBound < $1.range.lowerBound }
    }

    /// Edits of masks and of restoring together: what overlaps is one edit over the union with the text of the earliest,
    /// then longest.
    package static func union(_ edits: [TextEdit]) -> [TextEdit] {
        let sorted = edits.sorted {
            ($0.range.lowerBound, -$0.range.upperBound) < ($1.range.lowerBound, -$1.range.upperBound)
        }
        var union: [TextEdit] = []
        for edit in sorted {
            if let last = union.indices.last, edit.range.lowerBound < union[last].range.upperBound {
                let range = union[last].range
                union[last].range = range.lowerBound..<max(range.upperBound, edit.range.upperBound)
                union[last].rules = Set(union[last].rules + edit.rules).sorted()
            } else {
                union.append(edit)
            }
        }
        return union
    }
}

extension RuleCompiler {
    func placeholder(_ reader: YAMLReader, phases: [Phase]) -> PlaceholderTemplate? {
        guard let map = reader.mapping(keys: ["placeholder", "restore"]) else { return nil }
        if phases.contains(.output) {
            reader.report("a placeholder stands in prompts: 'on: input' only (the answer gets the text back by itself)")
        }
        let restores = map["restore"].map { $0.bool() ?? false } ?? false
        guard let field = map.required("placeholder", in: "a reversible mask"), let source = field.nonEmptyString()
        else {
            return nil
        }
        do {
            return try PlaceholderTemplate(source, restores: restores)
        } catch {
            field.report(error.message)
            return nil
        }
    }
}
