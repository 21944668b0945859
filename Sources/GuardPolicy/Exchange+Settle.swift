import GuardCore
import GuardDecisionLog
import GuardLLMSchema
import GuardStreaming
import GuardTokenizers

extension Exchange {
    /// What the server sent us, held or blocked text included, in tokens (DESIGN section 3 "Budgets").
    func chargedTokens() -> Int {
        let evidence = answer.stream?.evidence ?? answer.evidence
        guard answer.status > 0, answer.status < 400 || evidence.textBytes > 0 else { return 0 }
        let usage = evidence.usage
        let completion = completionTokens(evidence)
        record.tokens?.completion = completion
        if let usage {
            record.tokens?.reported = .init(
                prompt: usage.promptTokens, completion: usage.completionTokens, total: usage.totalTokens,
                cached: usage.cachedTokens)
            if let reported = usage.promptTokens { record.tokens?.drift = reported - promptTokens }
        }
        return max(0, usage?.promptTokens ?? promptTokens) + completion
    }

    private func completionTokens(_ evidence: TokenEvidence) -> Int {
        if let reported = evidence.usage?.completionTokens { return max(0, reported) }
        if let tokens = evidence.tokens { return tokens }
        if evidence.textBytes > 0 {
            record.tokens?.exact = false
            record.tokens?.why.append("completion_reencoded")
        }
        return reencodedTokens(evidence)
    }

    /// Our own count of the generated text so far, over all channels. Only what came since the last call, and the
    /// little before it that it may change, is encoded.
    func reencodedTokens(_ evidence: TokenEvidence) -> Int {
        guard let tokenizer = model?.tokenizer else {
            return evidence.texts.reduce(0) { $0 + $1.text.count / 3 + 1 }
        }
        var sum = 0
        for (index, channel) in evidence.texts.enumerated() {
            if index == answer.counts.count { answer.counts.append(GrowingCount(tokenizer)) }
            answer.counts[index].extend(to: channel.text)
            sum += answer.counts[index].count
        }
        return sum
    }

    /// What the record says of how the answer ended.
    func closeAnswer(_ end: ExchangeEnd) {
        switch end {
        case .complete: break
        case .clientGone:
            if answer.status == 0 { record.status = 0 }
            if !record.reasons.contains("client_gone") { record.reasons.append("client_gone") }
        case .upstream(let fault):
            record.action = max(record.action, .error)
            record.wouldAction = max(record.wouldAction, .error)
            if !record.reasons.contains(Label(fault.label)) { record.reasons.append(Label(fault.label)) }
        }
        closeStream(end)
        let now = monotonicNanoseconds()
        if let first = answer.firstByteNanoseconds {
            record.latency.firstByteMilliseconds = Int((first - startNanoseconds) / 1_000_000)
        }
        if let forwarded = answer.forwardedNanoseconds {
            record.latency.upstreamMilliseconds = Int(((answer.endNanoseconds ?? now) - forwarded) / 1_000_000)
        }
    }
}
