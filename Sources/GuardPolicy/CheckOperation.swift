package import GuardCore
package import GuardJSON
package import GuardLLMSchema
package import GuardRules

/// Judges texts and whole requests without forwarding anything: what `guardctl check` and `POST /v1/check` share.
///
/// In: `{"id", "text"}`, or `{"id", "request", "api"}` with `api` an API (`openai`, `tgi` ...) or one of its endpoints
/// (`openai.chat`, `openai.completions`, `tgi.generate` ...); `phase` (`input`, the default, or `output`) and `role` say
/// what a text is, `model` and `tenant` what rules select by.
/// Out: `{"id", "action", "findings": [{"rule", "start", "end", "score"}]}`; spans are UTF-8 bytes of the raw text. A
/// finding in a request also says its `segment`, `role` and `kind`; one of a condition on a whole text `why`.
package struct CheckOperation: Sendable {
    package let bundle: RuleBundle
    package let mode: Mode
    package let request: RequestOptions
    /// Counts for `tokens` conditions, by the model's name.
    private let tokens: @Sendable (String?) -> (any TokenCounting)?

    /// What is wrong with the input; never repeats it.
    package struct Problem: Error, Sendable, CustomStringConvertible {
        package var message: String
        package var description: String { message }
    }

    package init(
        bundle: RuleBundle, mode: Mode = .enforce, request: RequestOptions = RequestOptions(),
        tokens: @escaping @Sendable (String?) -> (any TokenCounting)? = { _ in nil }
    ) {
        self.bundle = bundle
        self.mode = mode
        self.request = request
        self.tokens = tokens
    }

    package init(_ snapshot: PolicySnapshot) {
        self.init(bundle: snapshot.bundle, mode: snapshot.rulesMode, request: snapshot.options.request) { model in
            snapshot.ruleTokens((model ?? snapshot.catalog.defaultModel).flatMap { snapshot.catalog.entry(named: $0) })
        }
    }

    package func run(
        _ input: JSONNode, phase defaultPhase: Phase = .input, scratch: inout EvaluationScratch
    ) throws(Problem) -> [UInt8] {
        try answer(input, phase: defaultPhase, scratch: &scratch).line
    }

    /// As `run`; `isClean` where nothing but allowances was found and every rule could be judged.
    package func answer(
        _ input: JSONNode, phase defaultPhase: Phase = .input, scratch: inout EvaluationScratch
    ) throws(Problem) -> (line: [UInt8], isClean: Bool) {
        guard input.kind == .object else { throw Problem(message: "an object is wanted") }
        var phase = defaultPhase
        if let node = input["phase"] {
            guard let given = node.string.flatMap(Phase.init) else {
                throw Problem(message: "phase is 'input' or 'output'")
            }
            phase = given
        }
        let segments: [TextSegment]
        var isRequest = false
        if let text = input["text"] {
            guard let bytes = text.stringBytes else { throw Problem(message: "text is a string") }
            segments = [
                TextSegment(role: try role(input, phase), kind: "text", text: bytes, pieces: [], pointer: "/text")
            ]
        } else if let body = input["request"] {
            isRequest = true
            segments = try parse(body, api: input["api"])
        } else {
            throw Problem(message: "'text' or 'request' is wanted")
        }
        let model = input["model"]?.string ?? input["request"]?["model"]?.string
        let selection = bundle.select(phase: phase, model: model, tenant: input["tenant"]?.string, route: nil)
        let verdict = bundle.judge(
            segments, phase: phase, mode: mode, selection: selection, tokens: tokens(model), scratch: &scratch)
        // What an allowance covers is as it should be.
        let isClean = verdict.failures.isEmpty && verdict.findings.allSatisfy { $0.wouldAction == .allow }
        return (encode(input["id"], verdict, isRequest: isRequest), isClean)
    }

    private func role(_ input: JSONNode, _ phase: Phase) throws(Problem) -> Role {
        guard let node = input["role"] else { return phase == .input ? .user : .assistant }
        guard let role = node.string.flatMap(Role.init) else {
            throw Problem(message: "role is one of \(Role.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return role
    }

    private func parse(_ body: JSONNode, api: JSONNode?) throws(Problem) -> [TextSegment] {
        guard let endpoint = endpoint(api?.string ?? API.openai.rawValue, body) else {
            let known = ["openai", "vllm", "tgi"] + Endpoint.allCases.map(\.rawValue)
            throw Problem(message: "api is one of \(known.joined(separator: ", "))")
        }
        do {
            let bytes = body.stringBytes ?? Array(body.rawBytes)
            return try RequestView.parse(endpoint, body: bytes, options: request).segments
        } catch {
            throw Problem(message: error.message)
        }
    }

    /// An API's name stands for the endpoint whose fields the body has.
    private func endpoint(_ name: String, _ body: JSONNode) -> Endpoint? {
        if let endpoint = Endpoint(rawValue: name) { return endpoint }
        switch API(rawValue: name) {
        case .tgi where body["inputs"] != nil: return .generate
        case .auto, .openai, .vllm, .tgi: return body["prompt"] != nil ? .completions : .chatCompletions
        default: return nil
        }
    }

    private func encode(_ id: JSONNode?, _ verdict: InputVerdict, isRequest: Bool) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        if let id { writer.key("id"); writer.raw(id.rawBytes) }
        writer.key("action"); writer.string(verdict.action.rawValue)
        if verdict.wouldAction != verdict.action {
            writer.key("wouldAction"); writer.string(verdict.wouldAction.rawValue)
        }
        writer.key("findings")
        writer.beginArray()
        for finding in verdict.findings {
            writer.beginObject()
            writer.key("rule"); writer.string(finding.rule.name)
            writer.key("start"); writer.integer(finding.range.lowerBound)
            writer.key("end"); writer.integer(finding.range.upperBound)
            writer.key("score")
            if let score = finding.score { writer.double(score) } else { writer.null() }
            if let why = finding.explanation { writer.key("why"); writer.string(why) }
            if isRequest {
                writer.key("segment"); writer.integer(finding.segment)
                writer.key("role"); writer.string(finding.role.rawValue)
                writer.key("kind"); writer.string(finding.kind)
            }
            writer.endObject()
        }
        writer.endArray()
        if !verdict.failures.isEmpty {
            writer.key("scanFailures")
            writer.beginArray()
            for failure in verdict.failures { writer.string("\(failure.rule): \(failure.reason.rawValue)") }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }
}
