internal import GuardCore
internal import GuardYAML

/// `words: {file: lists/names.txt}`: a list in the policy folder, UTF-8, a word or phrase on each line. White space around
/// it does not count; empty lines and lines that begin with `#` are passed over.
extension ConditionCompiler {
    /// A list is compiled into patterns: what is longer belongs into a database, not into a rule.
    private static let listBytesMax = 2 << 20
    private static let listWordsMax = 100_000

    mutating func addWordList(_ reader: YAMLReader) {
        guard let map = reader.mapping(keys: ["file"]),
            let name = map.required("file", in: "a word list"), let path = path(name),
            let file = resources.file(path, for: name)
        else { return }
        guard file.content.count <= Self.listBytesMax else {
            name.report("'\(path)' has more than \(Self.listBytesMax) bytes; a word list has at most so many")
            return
        }
        var words: [Word] = []
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let content = file.content.starts(with: byteOrderMark) ? file.content[3...] : file.content[...]
        let lines = content.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let trimmed = Self.trimmed(line)
            guard let first = trimmed.first, first != UInt8(ascii: "#") else { continue }
            let problems = problems
            func report(_ message: String) {
                problems.add(Diagnostic(file: file.shownAs, line: index + 1, column: 1, message))
            }
            guard let text = String(validating: trimmed, as: UTF8.self) else {
                report("is not UTF-8")
                continue
            }
            words.append(Word(text: text) { _, message in report(message) })
        }
        if words.isEmpty { name.report("'\(path)' holds no word; it would never match") }
        guard words.count <= Self.listWordsMax else {
            name.report("'\(path)' has more than \(Self.listWordsMax) words; a word list has at most so many")
            return
        }
        addWords(words, name)
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
        var line = line
        while let first = line.first, isSpace(first) { line.removeFirst() }
        while let last = line.last, isSpace(last) { line.removeLast() }
        return line
    }
}
