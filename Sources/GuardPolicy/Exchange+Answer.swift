import GuardBudgets
import GuardCore
import GuardDecisionLog
import GuardJSON
import GuardLLMSchema
import GuardRules
import GuardStreaming

// MARK: - whole answers

extension Exchange {
    /// How the answer with this head is to be handled.
    package func answerHead(status: Int, contentType: String?) -> AnswerPlan {
        answer.status = status
        answer.firstByteNanoseconds = monotonicNanoseconds()
        record.status = status
        guard let endpoint else { return .pass }
        let type = contentType?.split(separator: ";").first.map { $0.lowercased().filter { $0 != " " } }
        // What the answer says it is counts, not what was asked for (DESIGN section 4).
        let isStream = type == "text/event-stream"
        answer.inputRulesMicroseconds = record.latency.guardMicroseconds.rules ?? 0
        answer.inputClassifyMicroseconds = record.latency.guardMicroseconds.classify
        if isStream { answer.stream = makeInspector(endpoint) }
        return isMonitoring ? .observe : isStream ? .inspect : .collect
    }

    /// Monitor mode: the answer passes, and from here on nobody reads it.
    package func answerUnread(_ why: String) {
        answer.observed = nil
        skip(.output, kind: "answer", why: why)
        if snapshot.options.failure == .closed { noteWould(.error, reason: "unparsable_answer") }
    }

    /// Judges an answer that came whole. What is returned replaces it.
    package func answer(whole body: [UInt8]) -> GuardResponse {
        let unchanged = GuardResponse(status: answer.status, body: body)
        guard let endpoint else { return unchanged }
        let begin = monotonicNanoseconds()
        answer.endNanoseconds = begin
        defer { addRulesTime(since: begin) }
        let view: AnswerView
        do { view = try AnswerView.parse(endpoint, body: body, limits: snapshot.options.request.json) } catch {
            return unreadable(body)
        }
        answer.evidence.usage = view.usage
        answer.evidence.add(tokens: view.parts.tokensCount)
        for channel in view.channels { answer.evidence.add(channel.text, to: channel.id) }
        return judged(view) ?? unchanged
    }

    /// An answer that is no JSON. An error's plain words are read as one text; anything else cannot be read.
    private func unreadable(_ body: [UInt8]) -> GuardResponse {
        let unchanged = GuardResponse(status: answer.status, body: body)
        // Nothing is there to be read, as these statuses say.
        if body.isEmpty, answer.status == 204 || answer.status == 205 || (300..<400).contains(answer.status) {
            return unchanged
        }
        let text = String(decoding: body, as: UTF8.self)
        if answer.status >= 400, Array(text.utf8) == body {
            let segment = TextSegment(role: .extension, kind: "error", text: body, pieces: [], pointer: "")
            let verdict = judge(output: [segment])
            if verdict.blocking.isEmpty, verdict.masks.isEmpty { return unchanged }
            return refuse(output: verdict.blocking + rules(of: verdict.masks))
        }
        skip(.output, kind: "answer", why: "unparsable_answer")
        if snapshot.options.failure == .open { return unchanged }
        guard snapshot.rulesMode == .enforce else {
            noteWould(.error, reason: "unparsable_answer")
            return unchanged
        }
        return refuse(.unparsable)
    }

    /// `nil`: the answer passes as it is.
    private func judged(_ view: AnswerView) -> GuardResponse? {
        let channels = view.channels.map {
            TextSegment(role: $0.id.role, kind: $0.id.description, text: $0.text, pieces: [], pointer: "")
        }
        let unread = view.unread.map {
            TextSegment(role: .extension, kind: "extension", text: $0.text, pieces: [], pointer: $0.pointer)
        }
        let verdict = judge(output: channels + unread)
        for part in view.parts.opaque { skip(.output, kind: "\(part.kind)_part", why: "opaque") }
        // A mask in a string that no schema knows has no place to be written to with certainty: it acts as a block.
        let lost = verdict.masks.filter { $0.segment >= channels.count }
        if !verdict.blocking.isEmpty || !lost.isEmpty { return refuse(output: verdict.blocking + rules(of: lost)) }
        if !record.scan.complete, snapshot.options.failure == .closed {
            guard snapshot.rulesMode == .enforce else {
                noteWould(.block, reason: "scan_incomplete")
                return nil
            }
            return refuse(output: [RuleID("scan_incomplete")])
        }
        guard !isMonitoring else { return nil }
        let masks = restoring(channels, verdict.masks)
        return masks.isEmpty ? nil : masked(view, masks)
    }

    /// The masks, and the edits that put the texts of placeholders back.
    private func restoring(
        _ channels: [TextSegment], _ masks: [(segment: Int, edit: TextEdit)]
    ) -> [(segment: Int, edit: TextEdit)] {
        if placeholders.isEmpty { return masks }
        return engine.scratch.with { scratch in
            channels.indices.flatMap { index in
                // The text of a tool call is JSON.
                let isJSON = channels[index].role == .toolCall
                let restored = placeholders.edits(
                    in: channels[index].text, escape: { isJSON ? JSONEscape.escaped($0) : $0 }, scratch: &scratch.match)
                let edits = masks.filter { $0.segment == index }.map(\.edit)
                return PlaceholderTable.union(edits + restored).map { (segment: index, edit: $0) }
            }
        }
    }

    private func masked(_ view: AnswerView, _ masks: [(segment: Int, edit: TextEdit)]) -> GuardResponse {
        let (edits, dropped) = view.edits(
            masking: masks.map { segment, edit in
                AnswerView.Mask(channel: view.channels[segment].id, range: edit.range, replacement: edit.replacement)
            })
        let body = JSONEdit.applying(edits, to: view.document.bytes)
        guard (try? JSONDocument(body, limits: snapshot.options.request.json)) != nil else {
            return refuse(output: rules(of: masks))
        }
        for (segment, edit) in masks {
            record.edits.append(
                .init(
                    rule: edit.rules.first.map { snapshot.bundle.rules[$0].id }, phase: .output, kind: edit.rules.isEmpty ? "restore" : "mask",
                    segment: segment, range: edit.range, replacementBytes: edit.replacement.count))
        }
        for name in dropped.sorted() { record.edits.append(.init(phase: .output, kind: Label("dropped_\(name)"))) }
        return GuardResponse(status: answer.status, body: body)
    }

    private func judge(output segments: [TextSegment]) -> InputVerdict {
        let selection = snapshot.bundle.select(
            phase: .output, model: modelName, tenant: tenant.id, route: record.route.name)
        let verdict = engine.scratch.with { scratch in
            snapshot.bundle.judge(
                segments, phase: .output, mode: snapshot.rulesMode, selection: selection, cache: engine.verdicts,
                tenant: tenant.id, tokens: snapshot.ruleTokens(model), scratch: &scratch)
        }
        answer.classifyNanoseconds += verdict.classifyNanoseconds
        record.findings += verdict.findings
        record.scan.segments += segments.count
        record.scan.bytes += verdict.bytes
        record.action = max(record.action, verdict.action)
        record.wouldAction = max(record.wouldAction, verdict.wouldAction)
        for failure in verdict.failures {
            skip(.output, segment: failure.segment, kind: "rule:\(failure.rule)", why: failure.reason.rawValue)
        }
        for rule in verdict.wouldBlock where !verdict.blocking.contains(rule) { noteWould(.block, reason: rule.name) }
        return verdict
    }

    private func rules(of masks: [(segment: Int, edit: TextEdit)]) -> [RuleID] {
        masks.flatMap { $0.edit.rules }.map { snapshot.bundle.rules[$0].id }
    }

    private func refuse(output rules: [RuleID]) -> GuardResponse {
        var names: [String] = []
        for rule in rules where !names.contains(rule.name) { names.append(rule.name) }
        return respond(
            APIError(
                .contentPolicyViolation,
                "The answer was blocked by the content policy (\(names.joined(separator: ", "))).",
                status: snapshot.options.blockStatus, rules: names), action: .block)
    }
}
