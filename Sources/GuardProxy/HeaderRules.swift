import NIOHTTP1

/// Which header fields cross the guard (RFC 9110 section 7.6.1).
enum HeaderRules {
    /// Fields of one hop: never forwarded in either direction, nor is any field that `Connection` names.
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "http2-settings",
    ]

    /// The body is forwarded as it was read: decoded, with a length of its own, and the answer must come unencoded.
    private static let rewrittenInRequests: Set<String> = [
        "content-length", "content-encoding", "expect", "accept-encoding",
    ]

    /// Meant for the model server, whatever `Connection` says: a client may not have its credentials, or what its body
    /// is, dropped between the guard's judgement and the server's.
    private static let endToEnd: Set<String> = [
        "authorization", "content-type", "cookie", "host", "x-api-key", "x-request-id", "traceparent", "tracestate",
    ]

    /// The guard's own names, which only the guard writes.
    private static let ownPrefix = "x-guard-"

    /// - Parameter bodyLength: of the body that will be sent; `nil` for none.
    static func forwarded(request headers: HTTPHeaders, bodyLength: Int?) -> HTTPHeaders {
        var result = HTTPHeaders()
        result.reserveCapacity(headers.count + 2)
        let named = namedByConnection(headers)
        for (name, value) in headers {
            let lower = name.lowercased()
            if hopByHop.contains(lower) || rewrittenInRequests.contains(lower) { continue }
            if !named.isEmpty, named.contains(lower), !endToEnd.contains(lower) { continue }
            if lower.hasPrefix(ownPrefix) { continue }
            result.add(name: name, value: value)
        }
        result.add(name: "accept-encoding", value: "identity")
        if let bodyLength { result.add(name: "content-length", value: String(bodyLength)) }
        return result
    }

    /// The fields of an answer but for framing, which whoever writes the answer sets.
    static func forwarded(answer headers: HTTPHeaders) -> HTTPHeaders {
        var result = HTTPHeaders()
        result.reserveCapacity(headers.count + 2)
        let named = namedByConnection(headers)
        for (name, value) in headers {
            let lower = name.lowercased()
            if hopByHop.contains(lower) || named.contains(lower) { continue }
            if lower == "content-length" || lower == "content-encoding" { continue }
            result.add(name: name, value: value)
        }
        return result
    }

    private static func namedByConnection(_ headers: HTTPHeaders) -> Set<String> {
        guard headers.contains(name: "connection") else { return [] }
        return Set(headers[canonicalForm: "connection"].map { $0.lowercased() })
    }
}
