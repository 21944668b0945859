import GuardBudgets
import GuardDecisionLog
import GuardLLMSchema

// How the guard's own reasons become errors that a client sees (DESIGN section 6).

extension APIError {
    init(_ refusal: BudgetRefusal) {
        let code = Code(rawValue: refusal.code) ?? .unavailable
        self.init(
            code, refusal.message,
            retryAfterSeconds: refusal.retryAfterSeconds.map { Int(clamping: $0) })
    }

    init(_ failure: TransportFailure) {
        switch failure {
        case .headerTooLarge: self.init(.headerTooLarge, "The header fields are larger than the limit.")
        case .bodyTooLarge(let limit):
            self.init(.payloadTooLarge, "The request body is larger than the limit of \(limit) bytes.")
        case .bodyTimeout(let seconds):
            self.init(.requestTimeout, "The request body did not arrive within \(seconds) seconds.")
        case .brokenEncoding: self.init(.invalidRequest, "The content encoding of the request body is broken.")
        case .unsupportedEncoding: self.init(.unsupportedMediaType, "The content encoding is not supported.")
        case .malformedHTTP: self.init(.invalidRequest, "The request is not well-formed HTTP/1.1.")
        case .outOfMemory:
            self.init(.unavailable, "The guard holds as much as it may in memory.", retryAfterSeconds: 1)
        case .draining: self.init(.unavailable, "The guard is shutting down.", retryAfterSeconds: 1)
        }
    }

    init(_ fault: UpstreamFault) {
        switch fault {
        case .unreachable: self.init(.upstreamUnavailable, "The model server cannot be reached.")
        case .closedEarly: self.init(.upstreamBroken, "The model server closed the connection before its answer ended.")
        case .unparsable: self.init(.upstreamBroken, "The answer of the model server cannot be read.")
        case .firstByteTimeout: self.init(.upstreamTimeout, "The model server did not begin to answer in time.")
        case .idleTimeout: self.init(.upstreamTimeout, "The model server stopped in the middle of its answer.")
        }
    }
}

extension UpstreamFault {
    var label: String {
        switch self {
        case .unreachable: "upstream_unreachable"
        case .closedEarly: "upstream_closed"
        case .unparsable: "upstream_unparsable"
        case .firstByteTimeout: "first_byte_timeout"
        case .idleTimeout: "idle_timeout"
        }
    }
}

extension Endpoint {
    /// `kind` of the record.
    var recordKind: String {
        switch self {
        case .chatCompletions: "chat"
        case .completions: "completion"
        case .generate, .generateStream, .compatGenerate: "generate"
        }
    }
}

extension DecisionRecord.Budget {
    init(_ report: BudgetReport) {
        self.init(
            name: Label(report.name), limit: Label("\(report.window.unit.rawValue)/\(report.window.period.rawValue)"),
            limitValue: report.limit, reserved: report.reserved, settled: report.settled, remaining: report.remaining,
            resetAt: Timestamp(milliseconds: report.resetAt.milliseconds))
    }
}

extension ModelEntry.Deprecation {
    /// RFC 9745 `Deprecation` and RFC 8594 `Sunset` want dates of HTTP; ours are days.
    var headers: [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        if let dateMilliseconds { headers.append(("deprecation", "@\(dateMilliseconds / 1000)")) }
        if let sunsetMilliseconds {
            headers.append(("sunset", HTTPDate.format(milliseconds: sunsetMilliseconds)))
        }
        if let successor { headers.append(("x-guard-model-successor", successor)) }
        return headers
    }
}

/// IMF-fixdate of RFC 9110 section 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
enum HTTPDate {
    static func format(milliseconds: Int64) -> String {
        // RFC 3339 in UTC is at hand: `YYYY-MM-DDTHH:MM:SS.mmmZ`.
        let text = Array(Timestamp(milliseconds: milliseconds).description)
        guard text.count == 24, let month = Int(String(text[5..<7])), (1...12).contains(month) else { return "" }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let day = milliseconds / 86_400_000 - (milliseconds % 86_400_000 < 0 ? 1 : 0)
        let weekday = weekdays[Int(((day % 7) + 7) % 7)]
        return "\(weekday), \(String(text[8..<10])) \(months[month - 1]) \(String(text[0..<4])) \(String(text[11..<19])) GMT"
    }
}
