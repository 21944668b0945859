import GuardBudgets
import GuardCore
import GuardDecisionLog
import GuardLLMSchema
import GuardRules
import GuardStreaming

// MARK: - streamed answers

extension Exchange {
    /// Text of the stream is held: while it is, a comment now and then keeps the connection alive.
    package var isHolding: Bool { answer.stream?.isHolding ?? false }

    /// Bytes that the answer holds back, or that are kept of it in monitor mode, for `limits.bufferedBytes`.
    package var heldBytes: Int { answer.stream?.bufferedBytes ?? answer.observed?.count ?? 0 }

    func makeInspector(_ endpoint: Endpoint) -> StreamInspector {
        var options = StreamOptions()
        options.onBlock = snapshot.options.onBlock == .error ? .error : .contentFilter
        options.failure = snapshot.options.failure == .closed ? .closed : .open
        options.isMonitor = snapshot.rulesMode != .enforce
        options.dropsUsage = answer.hidesUsage
        var policy = snapshot.streamPolicy(model: modelName, tenant: tenant.id, route: record.route.name)
            .restoring(placeholders)
        policy.tokens = snapshot.ruleTokens(model)
        return StreamInspector(endpoint: endpoint, policy: policy, options: options)
    }

    /// Takes the next bytes of a stream; returns what may leave now.
    package func answer(bytes: [UInt8]) -> AnswerStep {
        guard answer.stream != nil else {
            observe(bytes)
            return AnswerStep(output: bytes)
        }
        let begin = monotonicNanoseconds()
        var output = engine.scratch.with { scratch in
            answer.stream?.receive(bytes, now: Int(begin / 1_000_000), scratch: &scratch.match) ?? []
        }
        output += cutAtLimit()
        addRulesTime(since: begin)
        // Monitor mode has judged, but what passes is what came.
        if isMonitoring { return AnswerStep(output: bytes) }
        return AnswerStep(output: output, ends: answer.stream?.isOver ?? false)
    }

    /// The model server's side of the stream has ended, whole or not; returns what the client still gets.
    package func answerEnded(complete: Bool) -> AnswerStep {
        guard answer.stream != nil else {
            if complete, let observed = answer.observed { _ = answer(whole: observed) }
            return AnswerStep(ends: true)
        }
        let begin = monotonicNanoseconds()
        let output = engine.scratch.with { scratch in
            answer.stream?.finish(now: Int(begin / 1_000_000), scratch: &scratch.match) ?? []
        }
        addRulesTime(since: begin)
        return AnswerStep(output: isMonitoring ? [] : output, ends: true)
    }

    /// The guard itself cannot go on with the answer (no memory to hold more, shutdown): it ends with an error.
    package func cut(_ failure: TransportFailure) -> AnswerStep {
        let error = APIError(failure)
        record.action = max(record.action, .error)
        noteWould(.error, reason: error.code.rawValue)
        guard !isMonitoring, let ending = answer.stream?.decoder.errorEnd(error) else { return AnswerStep(ends: true) }
        return AnswerStep(output: answer.stream?.cut(ending) ?? [], ends: true)
    }

    /// Monitor mode passes a whole answer on as it comes; a copy is judged at its end.
    private func observe(_ bytes: [UInt8]) {
        guard let observed = answer.observed else { return }
        if observed.count + bytes.count <= snapshot.options.responseBytes {
            answer.observed? += bytes
        } else {
            answerUnread("answer_too_large")
        }
    }

    func addRulesTime(since begin: UInt64) {
        answer.rulesNanoseconds += monotonicNanoseconds() - begin
        let classify = answer.classifyNanoseconds + (answer.stream?.statistics.classifyNanoseconds ?? 0)
        record.latency.guardMicroseconds.rules =
            answer.inputRulesMicroseconds + Int((answer.rulesNanoseconds - min(classify, answer.rulesNanoseconds)) / 1000)
        guard classify > 0 || answer.inputClassifyMicroseconds != nil else { return }
        record.latency.guardMicroseconds.classify = (answer.inputClassifyMicroseconds ?? 0) + Int(classify / 1000)
    }

    /// The forwarded limit ends a stream. This is only for servers that ignore it: what their events prove over the
    /// limit, or our own count over limit + 2 % + 8.
    private func cutAtLimit() -> [UInt8] {
        guard let outputLimit, !isMonitoring, let stream = answer.stream, !stream.isOver, endpoint != nil else { return [] }
        let (limit, isEndless) = outputLimit.multipliedReportingOverflow(by: max(1, answersMax))
        // Beyond what any answer can hold: nothing to cut, and the slack below stays in range.
        guard !isEndless, limit < 1 << 48 else { return [] }
        let evidence = stream.evidence
        if let tokens = evidence.tokens {
            if tokens <= limit { return [] }
        } else {
            // A token has at least one byte, so fewer bytes than the limit need no count.
            let slack = limit + limit / 50 + 8
            guard evidence.textBytes > slack, reencodedTokens(evidence) > slack else { return [] }
        }
        answer.isCutAtLimit = true
        // Named first: the call modifies `answer`, so its arguments may not read from it.
        let usage =
            answer.hidesUsage
            ? nil : Usage(promptTokens: promptTokens, completionTokens: limit, totalTokens: promptTokens + limit)
        return answer.stream?.end(finishReason: "length", usage: usage) ?? []
    }

    /// Takes over into the record what the inspector has found.
    func closeStream(_ end: ExchangeEnd) {
        guard let stream = answer.stream else { return }
        answer.endNanoseconds = monotonicNanoseconds()
        let statistics = stream.statistics
        record.findings += stream.findings
        record.scan.segments += stream.channelsCount
        record.scan.bytes += statistics.textBytes
        for kind in statistics.skipped.sorted() { skip(.output, kind: kind, why: "stream") }
        if !statistics.scanComplete { record.scan.complete = false }
        for edit in stream.edits {
            record.edits.append(
                .init(
                    rule: edit.rules.first, phase: .output, kind: edit.rules.isEmpty ? "restore" : "mask", segment: edit.segment, range: edit.range,
                    replacementBytes: edit.replacementBytes))
        }
        for name in statistics.droppedSides.sorted() {
            record.edits.append(.init(phase: .output, kind: Label("dropped_\(name)")))
        }
        for finding in stream.findings {
            record.action = max(record.action, finding.action)
            record.wouldAction = max(record.wouldAction, finding.wouldAction)
            if finding.wouldAction == .block { noteWould(.block, reason: finding.rule.name) }
        }
        if !stream.blockingRules.isEmpty {
            record.action = max(record.action, .block)
            noteWould(.block, reason: APIError.Code.contentPolicyViolation.rawValue)
        }
        record.stream = .init(
            events: statistics.events, heldBytesMax: statistics.heldBytesMax,
            heldMillisecondsMax: statistics.heldMillisecondsMax, cut: statistics.cut, leakFree: statistics.leakFree,
            end: streamEnd(end, statistics))
        if statistics.end == .failed, !answer.isCutAtLimit { record.action = max(record.action, .error) }
    }

    private func streamEnd(_ end: ExchangeEnd, _ statistics: StreamStatistics) -> Label {
        if answer.isCutAtLimit { return "output_limit" }
        switch end {
        case .clientGone where !(answer.stream?.isOver ?? true): return "client_gone"
        case .upstream(let fault): return Label(fault.label)
        default: break
        }
        return switch statistics.end {
        case .complete: "done"
        case .open: "open"
        default: Label(statistics.end.rawValue)
        }
    }
}
