import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardLLMSchema

/// One traffic fixture, in the format of `shared/protocols/cases/README.md`. Ours lie in `fixtures/protocols`.
struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    /// The file, kept as text because JSON objects of Foundation are not Sendable.
    let json: Data

    var testDescription: String { name }

    var object: [String: Any] { (try? JSONSerialization.jsonObject(with: json) as? [String: Any]) ?? [:] }

    static let own = load(TestData.fixtures.appending(path: "protocols"))
    static let shared = (try? TestData.sharedFile("protocols/cases")).map(load) ?? []
    static let all = own + shared

    private static func load(_ folder: URL) -> [Case] {
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "json" }.sorted { $0.lastPathComponent < $1.lastPathComponent }
            .compactMap { file in
                guard let json = try? Data(contentsOf: file) else { return nil }
                return Case(name: file.deletingPathExtension().lastPathComponent, json: json)
            }
    }

    /// Cases of the endpoints that this module reads.
    static let guarded = all.filter { $0.endpoint != nil }

    // MARK: Request

    var apiName: String { object["api"] as? String ?? "" }

    var api: API { apiName.hasPrefix("tgi") ? .tgi : .vllm }

    var endpoint: Endpoint? { Endpoint(rawValue: apiName) }

    var request: [String: Any] { object["request"] as? [String: Any] ?? [:] }

    /// Method and target, for those that are not raw bytes.
    var line: (method: String, target: String)? {
        if let method = request["method"] as? String, let path = request["path"] as? String { return (method, path) }
        guard let raw = request["raw_preview"] as? String else { return nil }
        let words = raw.prefix { $0 != "\r\n" && $0 != "\n" }.split(separator: " ")
        return words.count == 3 ? (String(words[0]), String(words[1])) : nil
    }

    /// The request body; `nil` for raw bytes and for content codings, which the proxy undoes.
    var body: [UInt8]? {
        for header in request["headers"] as? [[String]] ?? [] where header.first == "content-encoding" { return nil }
        if let text = request["body_text"] as? String { return Array(text.utf8) }
        if let base64 = request["body_b64"] as? String { return Data(base64Encoded: base64).map { [UInt8]($0) } }
        guard let generated = request["body_gen"] as? [String: Any] else { return nil }
        func part(_ key: String) -> String { generated[key] as? String ?? "" }
        switch generated["kind"] as? String {
        case "nest":
            let depth = generated["depth"] as? Int ?? 0
            let text =
                part("prefix") + String(repeating: part("open"), count: depth) + part("middle")
                + String(repeating: part("close"), count: depth) + part("suffix")
            return Array(text.utf8)
        case "repeat":
            let text =
                part("prefix") + String(repeating: part("unit"), count: min(generated["count"] as? Int ?? 0, 10_000))
                + part("suffix")
            return Array(text.utf8)
        default: return nil
        }
    }

    var expected: [String: Any] { object["expected"] as? [String: Any] ?? [:] }
    var verdict: String { expected["verdict"] as? String ?? "" }

    // MARK: Response

    var response: [String: Any]? { object["response"] as? [String: Any] }

    var responseHeaders: [String: String] {
        var headers: [String: String] = [:]
        for header in response?["headers"] as? [[String]] ?? [] where header.count == 2 {
            headers[header[0]] = header[1]
        }
        return headers
    }

    /// Body without content coding.
    var responseBody: [UInt8]? {
        guard let response, responseHeaders["content-encoding"] == nil else { return nil }
        if let chunks = response["chunks_b64"] as? [String] {
            return chunks.flatMap { [UInt8](Data(base64Encoded: $0) ?? Data()) }
        }
        if let text = response["body_text"] as? String { return Array(text.utf8) }
        return (response["body_b64"] as? String).flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) }
    }

    var isStream: Bool { responseHeaders["content-type"]?.hasPrefix("text/event-stream") == true }
}

/// What a test compares: the channels of an answer, whole or streamed.
struct Outcome: Hashable, CustomStringConvertible {
    var texts: [ChannelID: String] = [:]
    var usage: Usage?
    var ends: [Int: String] = [:]
    var error: UpstreamError?
    var isTruncated = false
    var isDone = false

    var description: String {
        let texts = texts.sorted { ($0.key.choice, "\($0.key.kind)") < ($1.key.choice, "\($1.key.kind)") }
            .map { "\($0.key.choice) \($0.key.kind): \($0.value.debugDescription)" }
        return "\(texts) \(String(describing: usage)) \(ends) \(String(describing: error))"
    }

    func text(_ kind: ChannelID.Kind, choice: Int = 0) -> String { texts[ChannelID(choice: choice, kind: kind)] ?? "" }

    /// Decodes a stream that comes in the given reads.
    static func stream(_ endpoint: Endpoint, _ reads: [ArraySlice<UInt8>]) throws -> (Outcome, [StreamEvent]) {
        var decoder = StreamDecoder(endpoint: endpoint)
        var events: [StreamEvent] = []
        for read in reads { events += try decoder.append(read) }
        var outcome = Outcome()
        var bytes: [ChannelID: [UInt8]] = [:]
        for event in events {
            for text in event.texts {
                guard text.offset == bytes[text.channel]?.count ?? 0 else { throw OffsetError(text: text) }
                bytes[text.channel, default: []] += text.text
            }
            for end in event.ends { outcome.ends[end.choice] = end.finishReason }
            if case .error(let error) = event.kind { outcome.error = error }
            if event.kind == .end { outcome.isDone = true }
        }
        outcome.texts = bytes.mapValues { String(decoding: $0, as: UTF8.self) }.filter { !$0.value.isEmpty }
        outcome.usage = decoder.usage
        outcome.isTruncated = decoder.endsTruncated()
        return (outcome, events)
    }

    static func answer(_ endpoint: Endpoint, _ body: [UInt8]) throws -> Outcome {
        let view = try AnswerView.parse(endpoint, body: body)
        var outcome = Outcome()
        for channel in view.channels where !channel.text.isEmpty {
            outcome.texts[channel.id] = String(decoding: channel.text, as: UTF8.self)
        }
        outcome.usage = view.usage
        for end in view.ends { outcome.ends[end.choice] = end.finishReason }
        outcome.error = view.error
        return outcome
    }

    struct OffsetError: Error { var text: AnswerText }
}

extension Usage {
    /// `usage` of a case file.
    init?(case object: Any?) {
        guard let object = object as? [String: Any] else { return nil }
        self.init(
            promptTokens: object["prompt_tokens"] as? Int, completionTokens: object["completion_tokens"] as? Int,
            totalTokens: object["total_tokens"] as? Int,
            cachedTokens: (object["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int)
    }
}
