package import GuardBudgets
import GuardChatTemplates
import GuardCore
import GuardDecisionLog
import GuardJSON
import GuardLLMSchema
import GuardRules
import GuardTokenizers

extension Exchange {
    /// A refusal on its way out of the steps below.
    private struct Refused: Error {
        var error: APIError
        var action: Action
    }

    /// Reads, counts, judges and reserves; what is forwarded is `body` with only the edits of DESIGN section 1.
    package func admit(body: [UInt8]) -> StoreAnswer<Admission> {
        guard let endpoint else { return .now(.forward(target: arrival.target, body: body)) }
        do throws(Refused) {
            let view = try read(endpoint, body)
            let name = try findModel(view)
            guard let account else { return .now(try judge(view, body)) }
            return account.identify(model: name).flatMap { [self] decision in
                if let refusal = absorb(decision) { return .now(.refuse(respond(refusal))) }
                do throws(Refused) {
                    return try judgeAndReserve(view, body, account)
                } catch {
                    return .now(ended(error, body))
                }
            }
        } catch {
            return .now(ended(error, body))
        }
    }

    private func ended(_ refused: Refused, _ body: [UInt8]) -> Admission {
        // Only what nothing can be forwarded without: monitor mode has noted everything else and gone on.
        if isMonitoring { return forward(body) }
        return .refuse(respond(refused.error, action: refused.action))
    }

    /// In `enforce` the request ends here; in monitor mode it is noted, and the steps go on.
    private func refuse(_ error: APIError, _ action: Action = .refuse) throws(Refused) {
        guard isMonitoring else { throw Refused(error: error, action: action) }
        for reason in [error.code.rawValue] + error.rules { noteWould(action, reason: reason) }
    }

    // MARK: - parse

    private func read(_ endpoint: Endpoint, _ body: [UInt8]) throws(Refused) -> RequestView {
        let begin = monotonicNanoseconds()
        defer { record.latency.guardMicroseconds.parse = microseconds(since: begin) }
        do {
            let view = try RequestView.parse(endpoint, body: body, options: snapshot.options.request)
            self.view = view
            return view
        } catch {
            // Nobody has read the request: what is forwarded in monitor mode is forwarded unread, and says so.
            record.scan.complete = false
            record.scan.skipped.append(.init(phase: .input, kind: "body", why: Label(error.code.rawValue)))
            let refusal = Refused(error: APIError(error), action: .refuse)
            if isMonitoring { noteWould(.refuse, reason: error.code.rawValue) }
            throw refusal
        }
    }

    private func findModel(_ view: RequestView) throws(Refused) -> String {
        let catalog = snapshot.catalog
        let name = view.model ?? catalog.defaultModel
        modelName = name
        record.model = name.map { Label($0) }
        model = name.flatMap { catalog.entry(named: $0) }
        if model == nil, catalog.unknown == .refuse, !(catalog.entries.isEmpty && name == nil) {
            try refuse(APIError(.modelNotFound, "The model does not exist.", param: "model"))
        }
        if let sunset = model?.deprecation?.sunsetMilliseconds, Timestamp.now().milliseconds >= sunset {
            let successor = model?.deprecation?.successor.map { " Use '\($0)' instead." } ?? ""
            try refuse(APIError(.modelRetired, "The model is past its sunset date.\(successor)", param: "model"))
        }
        // One ledger for all names that the catalog does not know, so that a client cannot make ledgers at will.
        return model.map { $0.match.pattern } ?? "unknown"
    }

    // MARK: - count, judge, reserve

    private func judgeAndReserve(
        _ view: RequestView, _ body: [UInt8], _ account: BudgetAccount
    ) throws(Refused) -> StoreAnswer<Admission> {
        let judged = try countAndJudge(view, body)
        let plan = account.plan(generation(judged.view, judged.count), model: limits)
        if let refusal = plan.refusal { try refuse(APIError(refusal)) }
        for would in plan.wouldRefuse { noteWould(.refuse, reason: would.code) }
        return account.reserve(plan).map { [self] decision in
            if let refusal = absorb(decision) { return .refuse(respond(refusal)) }
            return forward(judged.view, judged.body, plan)
        }
    }

    private func judge(_ view: RequestView, _ body: [UInt8]) throws(Refused) -> Admission {
        let judged = try countAndJudge(view, body)
        let plan = ReservationPlan(generation(judged.view, judged.count), model: limits, budgets: [])
        if let refusal = plan.refusal { try refuse(APIError(refusal)) }
        return forward(judged.view, judged.body, plan)
    }

    private struct Judged {
        var view: RequestView
        var body: [UInt8]
        var count: PromptCount
    }

    private func countAndJudge(_ view: RequestView, _ body: [UInt8]) throws(Refused) -> Judged {
        var judged = Judged(view: view, body: body, count: try count(view))
        try checkLimits(judged.count)
        let masks = try judgeTexts(view)
        if !masks.isEmpty {
            judged.body = try edit(view, masks)
            do {
                judged.view = try RequestView.parse(view.endpoint, body: judged.body, options: snapshot.options.request)
            } catch {
                throw Refused(
                    error: blocked(masks.flatMap { $0.edit.rules }.map { snapshot.bundle.rules[$0].id }), action: .block)
            }
            record.tokens?.promptBeforeEdits = judged.count.total
            judged.count = try count(judged.view)
            try checkLimits(judged.count)
            self.view = judged.view
        }
        promptTokens = judged.count.total
        return judged
    }

    private func count(_ view: RequestView) throws(Refused) -> PromptCount {
        let begin = monotonicNanoseconds()
        let before = record.latency.guardMicroseconds.count ?? 0
        defer { record.latency.guardMicroseconds.count = before + microseconds(since: begin) }
        var count: PromptCount
        do {
            if let model {
                // Monitor mode forwards what is over the limit, so it wants the whole count.
                count = try model.count(view, limit: isMonitoring ? nil : limits.longestPrompt)
            } else {
                count = PromptCount(perPrompt: ModelEntry.estimate(view), why: view.estimatedWhy + ["unknown_model"])
            }
        } catch {
            try refuse(APIError(.templateError, error.message, param: "messages"))
            count = PromptCount(perPrompt: ModelEntry.estimate(view), why: ["template_error"])
        }
        var tokens = record.tokens ?? DecisionRecord.Tokens()
        tokens.prompt = count.total
        tokens.exact = count.isExact
        tokens.why = count.why.map { Label($0) }
        tokens.tokenizer = model?.tokenizer.map { Label($0.format.rawValue) }
        tokens.tokenizerHash = model?.tokenizer.map { Label($0.hash) }
        record.tokens = tokens
        return count
    }

    /// The cheapest refusal first: no rule needs to read a prompt that cannot be served anyway.
    private func checkLimits(_ count: PromptCount) throws(Refused) {
        let plan = ReservationPlan(
            Generation(promptTokens: count.perPrompt, generates: false), model: limits, budgets: [])
        if var refusal = plan.refusal, refusal.kind == .contextLength {
            refusal.isLeast = count.isLeast
            try refuse(contextLengthError(refusal))
        }
    }

    private func contextLengthError(_ refusal: BudgetRefusal) -> APIError {
        var error = APIError(refusal)
        error.param = shape == .tgi ? "inputs" : "messages"
        return error
    }

    private var limits: ModelLimits {
        ModelLimits(
            contextWindow: model?.contextWindow, maxInputTokens: model?.maxInputTokens,
            defaultCompletionTokens: model?.defaultCompletionTokens ?? 1024)
    }

    private func generation(_ view: RequestView, _ count: PromptCount) -> Generation {
        Generation(
            promptTokens: count.perPrompt, choicesMax: view.choicesMax, clientLimit: view.outputLimit.value,
            apiDefaultLimit: view.endpoint.defaultOutputLimit)
    }

    // MARK: - rules

    private func judgeTexts(_ view: RequestView) throws(Refused) -> [(segment: Int, edit: TextEdit)] {
        let begin = monotonicNanoseconds()
        let selection = snapshot.bundle.select(
            phase: .input, model: modelName, tenant: tenant.id, route: record.route.name)
        let segments = view.segments + decodedPrompts(view)
        var verdict = engine.scratch.with { scratch in
            snapshot.bundle.judge(
                segments, phase: .input, mode: snapshot.rulesMode, selection: selection, cache: engine.verdicts,
                tenant: tenant.id, tokens: snapshot.ruleTokens(model), scratch: &scratch)
        }
        // A mask of decoded token ids has no place in the body: it acts as a block.
        for mask in verdict.masks where mask.segment >= view.segments.count {
            verdict.blocking += mask.edit.rules.map { snapshot.bundle.rules[$0].id }
        }
        placeholders = verdict.placeholders
        let classify = Int(verdict.classifyNanoseconds / 1000)
        record.latency.guardMicroseconds.rules = max(0, microseconds(since: begin) - classify)
        if verdict.classifyNanoseconds > 0 { record.latency.guardMicroseconds.classify = classify }
        record.findings += verdict.findings
        record.scan.segments += segments.count
        record.scan.bytes += verdict.bytes
        record.wouldAction = max(record.wouldAction, verdict.wouldAction)
        record.action = max(record.action, verdict.action)
        for failure in verdict.failures {
            skip(.input, segment: failure.segment, kind: "rule:\(failure.rule)", why: failure.reason.rawValue)
        }
        for part in view.opaqueParts { skip(.input, kind: "\(part.kind)_part", why: "opaque") }
        if case .tokenIDs = view.prompt, model?.tokenizer == nil { skip(.input, kind: "token_ids", why: "no_tokenizer") }

        if !verdict.blocking.isEmpty { try refuse(blocked(verdict.blocking), .block) }
        for rule in verdict.wouldBlock where !verdict.blocking.contains(rule) {
            noteWould(.block, reason: rule.name)
        }
        if !record.scan.complete { try refuseIncompleteScan() }
        return isMonitoring ? [] : verdict.masks.filter { $0.segment < view.segments.count }
    }

    /// Prompts that came as token ids are read as the text that they stand for.
    private func decodedPrompts(_ view: RequestView) -> [TextSegment] {
        guard case .tokenIDs(let lists) = view.prompt, let tokenizer = model?.tokenizer else { return [] }
        return lists.map { ids in
            // A token can be a part of a character; rules read valid UTF-8 only.
            let text = String(decoding: tokenizer.decode(ids), as: UTF8.self)
            return TextSegment(role: .user, kind: "prompt", text: Array(text.utf8), pieces: [], pointer: "/prompt")
        }
    }

    private func blocked(_ rules: [RuleID]) -> APIError {
        var names: [String] = []
        for rule in rules where !names.contains(rule.name) { names.append(rule.name) }
        return APIError(
            .contentPolicyViolation, "The request was blocked by the content policy (\(names.joined(separator: ", "))).",
            status: snapshot.options.blockStatus, rules: names)
    }

    private func refuseIncompleteScan() throws(Refused) {
        guard snapshot.options.failure == .closed else { return }
        guard snapshot.options.policyMode == .enforce else { return noteWould(.block, reason: "scan_incomplete") }
        let kinds = record.scan.skipped.map { "\($0.kind) (\($0.why))" }.joined(separator: ", ")
        try refuse(
            APIError(
                .contentPolicyViolation, "Parts of the request cannot be read by the content policy: \(kinds).",
                status: snapshot.options.blockStatus, rules: ["scan_incomplete"]), .block)
    }

    func skip(_ phase: Phase, segment: Int? = nil, kind: String, why: String) {
        record.scan.complete = false
        guard record.scan.skipped.count < 32 else { return }
        record.scan.skipped.append(.init(phase: phase, segment: segment, kind: Label(kind), why: Label(why)))
    }

    private func edit(
        _ view: RequestView, _ masks: [(segment: Int, edit: TextEdit)]
    ) throws(Refused) -> [UInt8] {
        var edits: [JSONEdit] = []
        for (segment, edit) in masks {
            edits += view.edits(masking: segment, range: edit.range, with: edit.replacement)
            record.edits.append(
                .init(
                    rule: edit.rules.first.map { snapshot.bundle.rules[$0].id }, phase: .input, kind: "mask",
                    segment: segment, range: edit.range, replacementBytes: edit.replacement.count))
        }
        return JSONEdit.applying(edits, to: view.document.bytes)
    }

    // MARK: - forward

    private func forward(_ body: [UInt8]) -> Admission {
        wasForwarded = true
        answer.forwardedNanoseconds = monotonicNanoseconds()
        return .forward(target: target.isEmpty || isMonitoring ? arrival.target : target, body: body)
    }

    /// Monitor mode: a body that nobody can decode goes on as it came.
    package func passUnread(_ failure: TransportFailure) -> Admission {
        let error = APIError(failure)
        noteWould(.refuse, reason: error.code.rawValue)
        skip(.input, kind: "body", why: error.code.rawValue)
        return forward([])
    }

    private func forward(_ view: RequestView, _ body: [UInt8], _ plan: ReservationPlan) -> Admission {
        answersMax = plan.choicesTotal
        outputLimit = plan.outputLimit
        guard !isMonitoring else { return forward(body) }
        var edits: [JSONEdit] = []
        if plan.writesOutputLimit, let limit = plan.outputLimit {
            edits += view.edits(outputLimit: limit)
            record.edits.append(.init(phase: .input, kind: "output_limit"))
        }
        if view.stream, !view.includeUsage {
            let added = view.edits(includeUsage: true)
            if !added.isEmpty {
                edits += added
                answer.hidesUsage = true
                record.edits.append(.init(phase: .input, kind: "include_usage"))
            }
        }
        return forward(edits.isEmpty ? body : JSONEdit.applying(edits, to: body))
    }

    func microseconds(since begin: UInt64) -> Int { Int((monotonicNanoseconds() - begin) / 1000) }
}
