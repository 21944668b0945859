import GuardCore
import GuardYAML

/// One way to write a text so that people or models still read it and filters do not: data of `evasions.yaml` or of a
/// file of the same form, for `guardctl test --evasions`.
struct Evasion: Sendable {
    /// What of a rule's texts it may be applied to without changing what they are.
    enum Subject: String, CaseIterable, Sendable {
        /// Words, whose case and spelling do not matter.
        case words
        /// Numbers and addresses: digits must stay digits.
        case data
        /// Keys, in which case matters.
        case exact
    }

    var name: String
    var applies: Set<Subject>
    /// A model reads it without being told how.
    var isLegible: Bool
    var steps: [EvasionStep]

    func apply(to text: String) -> String { steps.reduce(text) { $1.apply(to: $0) } }

    /// The transformations that come with guardctl.
    static func builtIn() throws(Diagnostics) -> [Evasion] {
        try parse(PackageResources.evasions_yaml, file: "evasions.yaml")
    }

    /// - Throws: every problem of the file.
    static func parse(_ content: [UInt8], file: String) throws(Diagnostics) -> [Evasion] {
        let problems = YAMLProblems()
        let document = try YAMLDocument.parse(content, file: file)
        let top = YAMLReader(document, problems)
        let list = top.mapping(keys: ["evasions", "description"])?.required("evasions", in: "an evasion file")?.list(read)
        try problems.throwIfErrors()
        return list ?? []
    }

    private static func read(_ reader: YAMLReader) -> Evasion? {
        guard let map = reader.mapping(keys: ["name", "applies", "legible", "steps"]) else { return nil }
        let name = map.required("name", in: "an evasion")?.nonEmptyString()
        let applies = map["applies"].map { $0.oneOrMore { $0.choice(of: Subject.self) } ?? [] } ?? Subject.allCases
        let steps = map.required("steps", in: "an evasion")?.list(EvasionStep.read)
        guard let name, let steps else { return nil }
        return Evasion(
            name: name, applies: Set(applies), isLegible: map["legible"]?.bool() ?? true, steps: steps)
    }
}
