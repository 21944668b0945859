package import GuardCore
internal import GuardYAML

/// A test case of a policy: `rules/tests/*.yaml`, a list (or a mapping with the list as `cases`) of
///
/// ```yaml
/// - name: a card number is masked           # needed
///   phase: input                            # needed: input | output
///   text: pay with 4111 1111 1111 1111      # exactly one of text, request, response, stream
///   expect: {action: mask, rules: [pii.credit-card], notRules: [pii.phone], maskedText: 'pay with [CARD:1111]'}
/// ```
///
/// | key | holds |
/// |---|---|
/// | `text` | one text of role `role` (default: user on input, assistant on output) |
/// | `request` | a request body: a mapping, sent as JSON, or a string, sent as it is |
/// | `response` | a whole answer, likewise |
/// | `stream` | a streamed answer: a string is the body of the event stream as it is; a list has one event each: a mapping, or a string such as `[DONE]` |
/// | `api`, `path` | the API (openai, default, or tgi) and the path called; the default path is the API's chat path |
/// | `model`, `tenant` | what `when:` selects by |
///
/// `expect`: `action` (allow, flag, mask, block) is what happens; `rules` all have findings and `notRules` have none;
/// `maskedText` is the text afterwards: of `text` itself, of a request its last user text, of an answer its first choice.
package struct RuleCase: Sendable {
    package enum Subject: Sendable {
        case text([UInt8], role: Role)
        case request([UInt8])
        case response([UInt8])
        /// The bytes of the event stream.
        case stream([UInt8])
    }

    package var name: String
    package var phase: Phase
    package var subject: Subject
    package var api: String
    package var path: String
    package var model: String?
    package var tenant: String?
    package var expect: Expectation
    package var place: RulePlace

    package struct Expectation: Sendable {
        package var action: Action?
        package var rules: [RuleID] = []
        package var notRules: [RuleID] = []
        package var maskedText: String?
    }

    /// Loads the case files below every `tests/` folder of a policy folder.
    package static func load(
        directory: String, limits: BundleLimits = BundleLimits()
    ) throws(Diagnostics) -> [RuleCase] {
        try parse(files: try BundleReader(limits: limits).caseFiles(directory))
    }

    /// - Throws: every problem of every file in one run.
    package static func parse(files: [RuleBundle.File]) throws(Diagnostics) -> [RuleCase] {
        let problems = YAMLProblems()
        var cases: [RuleCase] = []
        for file in files {
            do {
                let document = try YAMLDocument.parse(file.content, file: file.shownAs)
                let top = YAMLReader(document, problems)
                if case .sequence = top.node.kind {
                    cases += top.list(read) ?? []
                } else if let map = top.mapping(keys: ["cases", "description"]) {
                    cases += map.required("cases", in: "a case file")?.list(read) ?? []
                }
            } catch {
                problems.add(contentsOf: error)
            }
        }
        try problems.throwIfErrors()
        return cases
    }

    private static let subjects = ["text", "request", "response", "stream"]

    private static func read(_ reader: YAMLReader) -> RuleCase? {
        guard
            let map = reader.mapping(
                keys: ["name", "phase", "role", "api", "path", "model", "tenant", "expect"] + subjects)
        else { return nil }
        let name = map.required("name", in: "a case")?.nonEmptyString()
        let phase = map.required("phase", in: "a case")?.choice(of: Phase.self)
        let api = map["api"]?.choice([("openai", "openai"), ("tgi", "tgi")]) ?? "openai"
        let given = subjects.filter { map[$0] != nil }
        guard given.count == 1, let key = given.first, let value = map[key] else {
            reader.report("a case has exactly one of \(subjects.joined(separator: ", "))")
            return nil
        }
        if let phase {
            if key == "request", phase == .output { map.report(key: key, "a request is judged in 'phase: input'") }
            if key == "response" || key == "stream", phase == .input {
                map.report(key: key, "a \(key) is judged in 'phase: output'")
            }
        }
        if key != "text", map["role"] != nil { map.report(key: "role", "'role' belongs beside 'text'") }
        let role = map["role"]?.choice(of: Role.self) ?? (phase == .output ? .assistant : .user)
        let subject: Subject?
        switch key {
        case "text": subject = value.string().map { .text(Array($0.utf8), role: role) }
        case "request": subject = body(value).map(Subject.request)
        case "response": subject = body(value).map(Subject.response)
        default: subject = stream(value, api: api).map(Subject.stream)
        }
        let path =
            map["path"]?.nonEmptyString()
            ?? (api == "openai" ? "/v1/chat/completions" : key == "stream" ? "/generate_stream" : "/generate")
        let expect = map.required("expect", in: "a case").flatMap(expectation)
        guard let name, let phase, let subject, let expect else { return nil }
        return RuleCase(
            name: name, phase: phase, subject: subject, api: api, path: path, model: map["model"]?.nonEmptyString(),
            tenant: map["tenant"]?.nonEmptyString(), expect: expect,
            place: RulePlace(file: reader.file, line: reader.node.line, column: reader.node.column))
    }

    private static func body(_ reader: YAMLReader) -> [UInt8]? {
        if case .mapping = reader.node.kind {
            var out: [UInt8] = []
            reader.node.appendJSON(to: &out)
            return out
        }
        return reader.nonEmptyString().map { Array($0.utf8) }
    }

    /// OpenAI's servers write `data: `, TGI `data:`.
    private static func stream(_ reader: YAMLReader, api: String) -> [UInt8]? {
        guard case .sequence = reader.node.kind else { return reader.nonEmptyString().map { Array($0.utf8) } }
        var out: [UInt8] = []
        for item in reader.items() ?? [] {
            guard let data = body(item) else { return nil }
            out += Array((api == "tgi" ? "data:" : "data: ").utf8) + data + [0x0A, 0x0A]
        }
        return out
    }

    private static func expectation(_ reader: YAMLReader) -> Expectation? {
        guard let map = reader.mapping(keys: ["action", "rules", "notRules", "maskedText"]) else { return nil }
        var expect = Expectation()
        expect.action = map["action"]?.choice([("allow", .allow), ("flag", .flag), ("mask", .mask), ("block", .block)])
        expect.rules = map["rules"]?.oneOrMore { $0.nonEmptyString().map { RuleID($0) } } ?? []
        expect.notRules = map["notRules"]?.oneOrMore { $0.nonEmptyString().map { RuleID($0) } } ?? []
        expect.maskedText = map["maskedText"]?.string()
        if map.entries.isEmpty { reader.report("expects nothing") }
        return expect
    }
}
