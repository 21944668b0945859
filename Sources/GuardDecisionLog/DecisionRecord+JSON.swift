private import GuardCore
package import GuardJSON

extension DecisionRecord {
    /// The record as one JSON object without line end, keys in the order of DESIGN section 5, without `chain`: the sink
    /// adds it (`RecordChain`).
    package func encoded() -> [UInt8] {
        var json = JSONWriter(reserving: 1024)
        encode(to: &json)
        return json.bytes
    }

    package func encode(to json: inout JSONWriter) {
        json.beginObject()
        json.member("id", utf8: id.text)
        json.member("requestId", requestId)
        json.member("traceId", traceId)
        json.member("start", utf8: start.rfc3339)
        json.member("time", utf8: time.rfc3339)
        json.member("api", api)
        json.member("route", route)
        json.member("kind", kind)
        json.member("model", model)
        json.member("tenant", tenant)
        json.member("action", action.rawValue)
        json.member("wouldAction", wouldAction.rawValue)
        json.member("mode", mode.rawValue)
        json.member("status", status)
        json.member("reasons", reasons)
        json.key("policy")
        json.object {
            $0.member("hash", policy.hash)
            $0.member("version", policy.version)
        }
        json.key("tokens")
        if let tokens { encode(tokens, to: &json) } else { json.null() }
        json.key("budget")
        json.array { for item in budget { encode(item, to: &$0) } }
        json.key("findings")
        json.array { for finding in findings { encode(finding, to: &$0) } }
        json.key("scan")
        json.object {
            $0.member("complete", scan.complete)
            $0.member("segments", scan.segments)
            $0.member("bytes", scan.bytes)
            $0.key("skipped")
            $0.array { for item in scan.skipped { encode(item, to: &$0) } }
        }
        json.key("edits")
        json.array { for edit in edits { encode(edit, to: &$0) } }
        json.key("stream")
        if let stream { encode(stream, to: &json) } else { json.null() }
        json.key("latency")
        json.object {
            $0.key("guardMicroseconds")
            $0.object {
                $0.member("parse", latency.guardMicroseconds.parse)
                $0.member("count", latency.guardMicroseconds.count)
                $0.member("rules", latency.guardMicroseconds.rules)
                $0.member("classify", latency.guardMicroseconds.classify)
            }
            $0.member("upstreamMilliseconds", latency.upstreamMilliseconds)
            $0.member("firstByteMilliseconds", latency.firstByteMilliseconds)
        }
        json.endObject()
    }

    private func encode(_ tokens: Tokens, to json: inout JSONWriter) {
        json.object {
            $0.member("prompt", tokens.prompt)
            $0.member("promptBeforeEdits", tokens.promptBeforeEdits)
            $0.member("completion", tokens.completion)
            $0.member("exact", tokens.exact)
            $0.member("why", tokens.why)
            $0.member("tokenizer", tokens.tokenizer)
            $0.member("tokenizerHash", tokens.tokenizerHash)
            $0.key("reported")
            if let reported = tokens.reported {
                $0.object {
                    $0.member("prompt", reported.prompt)
                    $0.member("completion", reported.completion)
                    $0.member("total", reported.total)
                    $0.member("cached", reported.cached)
                }
            } else {
                $0.null()
            }
            $0.member("drift", tokens.drift)
        }
    }

    private func encode(_ budget: Budget, to json: inout JSONWriter) {
        json.object {
            $0.member("name", budget.name)
            $0.member("limit", budget.limit)
            $0.member("limitValue", budget.limitValue)
            $0.member("reserved", budget.reserved)
            $0.member("settled", budget.settled)
            $0.member("remaining", budget.remaining)
            $0.key("resetAt")
            if let resetAt = budget.resetAt { $0.string(utf8: resetAt.rfc3339) } else { $0.null() }
        }
    }

    private func encode(_ finding: Finding, to json: inout JSONWriter) {
        json.object {
            $0.member("rule", Label(finding.rule.name))
            $0.member("severity", finding.severity.rawValue)
            $0.member("action", finding.action.rawValue)
            $0.member("wouldAction", finding.wouldAction.rawValue)
            $0.member("phase", finding.phase.rawValue)
            $0.member("segment", finding.segment)
            $0.member("role", finding.role.rawValue)
            $0.member("kind", Label(finding.kind))
            $0.member("start", finding.range.lowerBound)
            $0.member("end", finding.range.upperBound)
            $0.member("view", finding.view.rawValue)
            $0.key("score")
            if let score = finding.score, score.isFinite { $0.double(score) } else { $0.null() }
        }
    }

    private func encode(_ skipped: Skipped, to json: inout JSONWriter) {
        json.object {
            $0.member("phase", skipped.phase.rawValue)
            $0.member("segment", skipped.segment)
            $0.member("kind", skipped.kind)
            $0.member("why", skipped.why)
        }
    }

    private func encode(_ edit: Edit, to json: inout JSONWriter) {
        json.object {
            $0.member("rule", edit.rule.map { Label($0.name) })
            $0.member("phase", edit.phase.rawValue)
            $0.member("kind", edit.kind)
            $0.member("segment", edit.segment)
            $0.member("start", edit.range.lowerBound)
            $0.member("end", edit.range.upperBound)
            $0.member("replacementBytes", edit.replacementBytes)
        }
    }

    private func encode(_ stream: Stream, to json: inout JSONWriter) {
        json.object {
            $0.member("events", stream.events)
            $0.member("heldBytesMax", stream.heldBytesMax)
            $0.member("heldMillisecondsMax", stream.heldMillisecondsMax)
            $0.member("cut", stream.cut)
            $0.member("leakFree", stream.leakFree)
            $0.member("end", stream.end)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func member(_ name: String, _ label: Label?) {
        if let label { member(name, label.name) } else { memberNull(name) }
    }

    fileprivate mutating func member<Number: BinaryInteger>(_ name: String, _ value: Number?) {
        if let value { member(name, value) } else { memberNull(name) }
    }

    fileprivate mutating func member(_ name: String, _ labels: [Label]) {
        key(name)
        array { for label in labels { $0.string(label.name) } }
    }
}
