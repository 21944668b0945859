/// Where a request goes.
package enum Route: Sendable, Hashable {
    /// Read, judged, counted; forwarded to `target` (canonical path and the query as given).
    case guarded(Endpoint, target: String)
    /// A health or metadata path: forwarded and recorded, nothing to read.
    case passThrough(target: String)
    /// Not on the list of this API: refused as `unguarded_route`, 404 (405 if only the method is wrong).
    case unguarded(UnguardedReason, path: String)

    package enum UnguardedReason: String, Sendable, Hashable {
        case unknownPath = "unknown_path"
        case methodNotAllowed = "method_not_allowed"
        /// The target is no path at all: bad percent-encoding, control characters, an authority or `*`.
        case malformed
    }
}

/// Decides by method and request target. The path is decoded until it no longer changes and made canonical before it
/// is looked up, and it is the canonical path that goes to the server: whatever a server or proxy on the way would
/// have made of the original, it now sees what was judged (DESIGN decision 8).
package struct Router: Sendable {
    private let rows: [String: [EndpointTable.Row]]

    package init(api: API) {
        rows = Dictionary(grouping: EndpointTable.rows.filter { $0.apis.contains(api) || api == .auto }, by: \.path)
    }

    /// Paths whose requests are judged, over all APIs.
    package static var guardedPaths: [String] { EndpointTable.rows.filter { $0.endpoint != nil }.map(\.path) }

    package func route(method: String, target: String) -> Route {
        guard let (path, query) = CanonicalPath.parse(target) else { return .unguarded(.malformed, path: "") }
        guard let rows = rows[path] else { return .unguarded(.unknownPath, path: path) }
        // HTTP methods are case-sensitive (RFC 9110 section 9.1).
        guard let row = rows.first(where: { $0.methods.contains(method) }) else {
            return .unguarded(.methodNotAllowed, path: path)
        }
        let canonical = query.map { "\(path)?\($0)" } ?? path
        guard let endpoint = row.endpoint else { return .passThrough(target: canonical) }
        return .guarded(endpoint, target: canonical)
    }
}

/// The allow-list.
enum EndpointTable {
    struct Row: Sendable {
        var path: String
        var methods: [String]
        var apis: Set<API>
        /// `nil`: passes unread.
        var endpoint: Endpoint?
    }

    private static let openAILike: Set<API> = [.openai, .vllm, .tgi, .llamacpp, .sglang]
    private static let read = ["GET", "HEAD"]

    static let rows: [Row] = [
        Row(path: "/v1/chat/completions", methods: ["POST"], apis: openAILike, endpoint: .chatCompletions),
        Row(path: "/v1/completions", methods: ["POST"], apis: openAILike, endpoint: .completions),
        Row(path: "/generate", methods: ["POST"], apis: [.tgi], endpoint: .generate),
        Row(path: "/generate_stream", methods: ["POST"], apis: [.tgi], endpoint: .generateStream),
        Row(path: "/", methods: ["POST"], apis: [.tgi], endpoint: .compatGenerate),
        Row(path: "/invocations", methods: ["POST"], apis: [.tgi], endpoint: .compatGenerate),
        // Health and metadata (DESIGN section 2). `/metrics` is not here: only by `routes:`.
        Row(path: "/v1/models", methods: read, apis: openAILike, endpoint: nil),
        Row(path: "/health", methods: read, apis: [.vllm, .tgi, .llamacpp, .sglang, .tei], endpoint: nil),
        Row(path: "/ping", methods: read, apis: [.vllm, .tgi, .sglang, .tei], endpoint: nil),
        Row(path: "/version", methods: read, apis: [.vllm], endpoint: nil),
        Row(path: "/info", methods: read, apis: [.tgi, .tei], endpoint: nil),
        Row(path: "/", methods: read, apis: [.tgi], endpoint: nil),
    ]
}

/// Request target (RFC 9112 section 3.2) to the one spelling of its path.
enum CanonicalPath {
    private static let decodingsMax = 4

    /// - Returns: decoded path without dot segments, empty segments and trailing slash, and the query as given.
    static func parse(_ target: String) -> (path: String, query: String?)? {
        var bytes = Array(target.utf8)
        // A fragment has no business in a request; servers differ in what they make of it.
        guard bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "#") }) else { return nil }
        if bytes.first != UInt8(ascii: "/") {
            guard let rest = afterAuthority(bytes) else { return nil }
            bytes = rest
        }
        var query: String?
        if let mark = bytes.firstIndex(of: UInt8(ascii: "?")) {
            query = String(decoding: bytes[(mark + 1)...], as: UTF8.self)
            bytes.removeSubrange(mark...)
        }
        // Decode until stable: a proxy behind us that decodes once more must not find another path.
        for _ in 0..<decodingsMax {
            guard bytes.contains(UInt8(ascii: "%")) else { break }
            guard let decoded = decode(bytes) else { return nil }
            bytes = decoded
        }
        // What needs encoding in a path is on no allow-list; refusing it here spares every later reader the question.
        guard bytes.allSatisfy(isPlain) else { return nil }
        var segments: [ArraySlice<UInt8>] = []
        for segment in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true) {
            if segment.elementsEqual(".".utf8) { continue }
            if segment.elementsEqual("..".utf8) {
                _ = segments.popLast()
                continue
            }
            segments.append(segment)
        }
        return ("/" + segments.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/"), query)
    }

    /// `http://host:port/path` (absolute form) from its path on.
    private static func afterAuthority(_ bytes: [UInt8]) -> [UInt8]? {
        for scheme in ["http://", "https://"] where bytes.count > scheme.utf8.count {
            let prefix = bytes.prefix(scheme.utf8.count).map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
            guard prefix.elementsEqual(scheme.utf8) else { continue }
            let rest = bytes[scheme.utf8.count...]
            guard let end = rest.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }) else {
                return [UInt8(ascii: "/")]
            }
            return (rest[end] == UInt8(ascii: "?") ? [UInt8(ascii: "/")] : []) + rest[end...]
        }
        return nil
    }

    private static func decode(_ bytes: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var at = 0
        while at < bytes.count {
            if bytes[at] != UInt8(ascii: "%") {
                result.append(bytes[at])
                at += 1
                continue
            }
            guard at + 2 < bytes.count, let high = hex(bytes[at + 1]), let low = hex(bytes[at + 2]) else { return nil }
            result.append(high << 4 | low)
            at += 3
        }
        return result
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Unreserved characters, slash and the few that stand in paths of model servers as they are.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: ":"), UInt8(ascii: "@"):
            true
        default: false
        }
    }
}
