package import GuardCore
package import GuardJSON
import GuardLLMSchema
import GuardRules

/// One question to the rules: what `guardctl check` reads as a line and `POST /v1/check` as a body (DESIGN section 7).
///
/// `{"id", "text"}` or `{"id", "request", "api"}`; beside them `phase` (input, output), `role` of a text, `path` of a
/// request, and `model` and `tenant`, which rules select by.
package struct CheckQuery: Sendable {
    package enum Subject: Sendable {
        case text([UInt8], role: Role?)
        /// A request body; `path` nil is the API's usual one.
        case request([UInt8], api: String, path: String?)
    }

    /// JSON of the caller's name for it, given back as it is.
    package var id: [UInt8]?
    package var subject: Subject
    package var phase: Phase
    package var model: String?
    package var tenant: String?

    package init(id: [UInt8]? = nil, text: [UInt8], phase: Phase) {
        self.id = id
        subject = .text(text, role: nil)
        self.phase = phase
    }

    private static let keys: Set = ["id", "text", "request", "api", "path", "phase", "role", "model", "tenant"]

    /// - Parameters:
    ///   - phase: of lines that name none.
    ///   - isStrict: refuses fields that it does not know. Files of labelled texts have more.
    package init(
        json: JSONNode, phase standard: Phase = .input, isStrict: Bool = true
    ) throws(QueryError) {
        guard json.kind == .object else { throw QueryError("an object is wanted") }
        for (key, _) in json.members where isStrict {
            guard let name = key.string, Self.keys.contains(name) else {
                throw QueryError("unknown field; known are \(Self.keys.sorted().joined(separator: ", "))")
            }
        }
        id = json["id"].map { Array($0.rawBytes) }
        model = try Self.string(json, "model")
        tenant = try Self.string(json, "tenant")
        phase = standard
        if let name = try Self.string(json, "phase") {
            guard let named = Phase(rawValue: name) else { throw QueryError("phase: input or output") }
            phase = named
        }
        switch (json["text"], json["request"]) {
        case (let text?, nil):
            guard let bytes = text.stringBytes else { throw QueryError("text: a string is wanted") }
            var role: Role?
            if let name = try Self.string(json, "role") {
                role = Role(rawValue: name)
                if role == nil {
                    throw QueryError("role: one of \(Role.allCases.map(\.rawValue).joined(separator: ", "))")
                }
            }
            subject = .text(bytes, role: role)
        case (nil, let request?):
            guard let body = request.stringBytes ?? (request.kind == .object ? Array(request.rawBytes) : nil) else {
                throw QueryError("request: an object, or a body as a string, is wanted")
            }
            guard phase == .input else { throw QueryError("request: its phase is input") }
            subject = .request(body, api: try Self.string(json, "api") ?? "openai", path: try Self.string(json, "path"))
        default: throw QueryError("exactly one of text and request is wanted")
        }
    }

    private static func string(_ json: JSONNode, _ key: String) throws(QueryError) -> String? {
        guard let node = json[key], !node.isNull else { return nil }
        guard let text = node.string else { throw QueryError("\(key): a string is wanted") }
        return text
    }
}

/// What the rules say, without a word of the text.
package struct CheckReport: Sendable {
    package var id: [UInt8]?
    package var action: Action
    package var findings: [Finding]
    /// Rules that could not be judged; then `action` is `error` unless a rule blocks anyway.
    package var failures: [RuleID]
    /// Whether `findings` say in which segment and role they are.
    package var namesSegments: Bool
    /// The text with its masks applied; of a text query only. Not part of the report's JSON.
    package var maskedText: [UInt8]?

    /// `{"id","action","findings":[{"rule","start","end","score"}]}`; spans in UTF-8 bytes of the raw text. Findings in
    /// requests have `segment`, `role` and `kind` too; `failures` stands where there are some.
    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if let id {
                writer.key("id")
                writer.raw(id)
            }
            writer.member("action", action.rawValue)
            writer.key("findings")
            writer.array { writer in
                for finding in findings {
                    writer.object {
                        $0.member("rule", finding.rule.name)
                        $0.member("start", finding.range.lowerBound)
                        $0.member("end", finding.range.upperBound)
                        if let score = finding.score { $0.member("score", score) } else { $0.memberNull("score") }
                        if namesSegments {
                            $0.member("segment", finding.segment)
                            $0.member("role", finding.role.rawValue)
                            $0.member("kind", finding.kind)
                        }
                    }
                }
            }
            if !failures.isEmpty {
                writer.key("failures")
                writer.array { for rule in failures { $0.string(rule.name) } }
            }
        }
    }
}

extension PolicySnapshot {
    /// Judges as the proxy does: the same segments, rules and modes.
    package func check(_ query: CheckQuery, pool: ScratchPool) throws(QueryError) -> CheckReport {
        let segments: [TextSegment]
        var model = query.model
        var route: String?
        var isText = false
        switch query.subject {
        case .text(let text, let role):
            let role = role ?? (query.phase == .input ? .user : .assistant)
            segments = [TextSegment(role: role, kind: role.rawValue, text: text, pieces: [], pointer: "/text")]
            isText = true
        case .request(let body, let name, let path):
            let view = try view(of: body, api: name, path: path, route: &route)
            segments = view.segments
            model = model ?? view.model ?? catalog.defaultModel
        }
        let selection = bundle.select(phase: query.phase, model: model, tenant: query.tenant, route: route)
        let verdict = pool.with { scratch in
            bundle.judge(segments, phase: query.phase, mode: rulesMode, selection: selection, scratch: &scratch)
        }
        var action = verdict.action
        if !verdict.failures.isEmpty, options.failure == .closed, action != .block { action = .error }
        var report = CheckReport(
            id: query.id, action: action, findings: verdict.findings, failures: verdict.failures.map(\.rule),
            namesSegments: !isText)
        if isText, let text = segments.first?.text {
            report.maskedText = RuleBundle.apply(verdict.masks.map(\.edit), to: text)
        }
        return report
    }

    private func view(
        of body: [UInt8], api name: String, path: String?, route: inout String?
    ) throws(QueryError) -> RequestView {
        guard let api = API(rawValue: name) else { throw QueryError("api: unknown") }
        var options = options.request
        options.api = api
        let document: JSONDocument
        do { document = try JSONDocument(body, limits: options.json) } catch { throw QueryError("request: \(error)") }
        let standard =
            api == .tgi && document.root["inputs"] != nil
            ? "/generate" : document.root["prompt"] != nil ? "/v1/completions" : "/v1/chat/completions"
        guard case .guarded(let endpoint, let target) = Router(api: api).route(method: "POST", target: path ?? standard)
        else { throw QueryError("path: not a guarded endpoint of this api") }
        route = String(target.prefix { $0 != "?" })
        do { return try RequestView.parse(endpoint, body: body, options: options) } catch {
            throw QueryError("request: \(error.message)")
        }
    }
}
