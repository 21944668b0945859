import Foundation
import GuardCore
import GuardLLMSchema
import GuardMatching
import GuardRules
import GuardStreaming
import GuardTesting
import Testing

/// A streamed answer of the shared traffic fixtures.
struct TrafficStream: Sendable, CustomTestStringConvertible {
    let name: String
    let endpoint: Endpoint
    let bytes: [UInt8]
    var testDescription: String { name }

    static let all: [TrafficStream] = {
        guard let folder = try? TestData.sharedFile("protocols/cases"),
            let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        else { return [] }
        return files.filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }.compactMap { file in
            guard let data = try? Data(contentsOf: file),
                let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
                let endpoint = (object["api"] as? String).flatMap(Endpoint.init(rawValue:)),
                let response = object["response"] as? [String: Any]
            else { return nil }
            var headers: [String: String] = [:]
            for header in response["headers"] as? [[String]] ?? [] where header.count == 2 {
                headers[header[0].lowercased()] = header[1]
            }
            // The proxy undoes content codings before this module.
            guard headers["content-type"]?.hasPrefix("text/event-stream") == true, headers["content-encoding"] == nil
            else { return nil }
            let chunks = (response["chunks_b64"] as? [String])?.flatMap { [UInt8](Data(base64Encoded: $0) ?? Data()) }
            let text = (response["body_text"] as? String).map { Array($0.utf8) }
            return (chunks ?? text).map {
                TrafficStream(name: file.deletingPathExtension().lastPathComponent, endpoint: endpoint, bytes: $0)
            }
        }
    }()
}

/// What came of a stream.
struct StreamRun: Equatable {
    var bytes: [UInt8] = []
    var statistics = StreamStatistics()
    var findings: [Finding] = []
    var edits: [StreamEditRecord] = []
    var blockingRules: [RuleID] = []

    /// Text of each channel in `bytes`, and all strings that stand anywhere in its events.
    func delivered(_ endpoint: Endpoint) throws -> [ChannelID: String] {
        var decoder = StreamDecoder(endpoint: endpoint)
        var texts: [ChannelID: [UInt8]] = [:]
        for event in try decoder.append(bytes) {
            if case .unreadable(let error) = event.kind { throw error }
            for text in event.texts { texts[text.channel, default: []] += text.text }
        }
        #expect(!decoder.endsTruncated())
        return texts.mapValues { String(decoding: $0, as: UTF8.self) }.filter { !$0.value.isEmpty }
    }
}

func run(
    _ endpoint: Endpoint, _ bundle: RuleBundle, _ pieces: [ArraySlice<UInt8>], options: StreamOptions = StreamOptions(),
    plan: StreamPlan? = nil, scratch: inout MatchScratch
) -> StreamRun {
    let plan = plan ?? StreamPlan(bundle: bundle, mode: options.isMonitor ? .monitor : .enforce)
    let policy = StreamPolicy(
        plan: plan, bundle: bundle, selected: bundle.select(phase: .output, model: nil, tenant: nil, route: nil))
    var inspector = StreamInspector(endpoint: endpoint, policy: policy, options: options)
    var result = StreamRun()
    for piece in pieces { result.bytes += inspector.receive(piece, now: 0, scratch: &scratch) }
    result.bytes += inspector.finish(now: 0, scratch: &scratch)
    result.statistics = inspector.statistics
    // How much was held at one time depends on the reads.
    result.statistics.heldBytesMax = 0
    result.statistics.classifyNanoseconds = 0
    result.findings = inspector.findings
    result.edits = inspector.edits
    result.blockingRules = inspector.blockingRules
    #expect(!inspector.isHolding)
    return result
}

func bundle(_ rules: String) throws -> RuleBundle {
    try RuleBundle(files: [.init(path: "rules.yaml", content: Array("ruleset: t\nrules:\n\(rules)".utf8))])
}

func bundleRule(_ id: String, _ action: String, _ pattern: String, view: String = "raw", extra: String = "") -> String {
    let mask = action == "mask" ? "    mask: '[\(id)]'\n" : ""
    let quoted = pattern.replacingOccurrences(of: "'", with: "''")
    return
        "  - id: \(id)\n    on: [output]\n    match: {pcre: '\(quoted)'}\n    view: \(view)\n    action: \(action)\n\(mask)\(extra)"
}

@Suite struct TrafficStreamTests {
    /// Texts of the channels before any rule.
    static func texts(_ stream: TrafficStream) throws -> [ChannelID: String] {
        var decoder = StreamDecoder(endpoint: stream.endpoint)
        var texts: [ChannelID: [UInt8]] = [:]
        for event in try decoder.append(stream.bytes) {
            for text in event.texts { texts[text.channel, default: []] += text.text }
        }
        return texts.mapValues { String(decoding: $0, as: UTF8.self) }.filter { !$0.value.isEmpty }
    }

    @Test(.enabled(if: TestData.hasShared)) func fixturesAreThere() { #expect(TrafficStream.all.count >= 20) }

    @Test(arguments: TrafficStream.all)
    func passesUntouchedWithoutMatches(_ stream: TrafficStream) throws {
        var scratch = MatchScratch()
        for rules in [RuleBundle.empty, try bundle(bundleRule("never", "block", "zq{3}"))] {
            let result = run(stream.endpoint, rules, [stream.bytes[...]], scratch: &scratch)
            if result.statistics.end == .complete || result.statistics.end == .upstreamError {
                #expect(stream.bytes.starts(with: result.bytes), "\(String(decoding: result.bytes, as: UTF8.self))")
            }
            #expect(try result.delivered(stream.endpoint) == Self.texts(stream))
        }
    }

    /// Cut at every byte: the same bytes leave, nothing of a match is in them, and the texts are what whole-text
    /// evaluation makes of them.
    @Test(.enabled(if: TestData.hasShared), arguments: TrafficStream.all)
    func everyCutGivesTheSame(_ stream: TrafficStream) throws {
        var scratch = MatchScratch()
        let texts = try Self.texts(stream)
        let words = Set(
            texts.values.flatMap { text in
                text.split { !($0.isLetter || $0.isNumber) }.map(String.init).filter { $0.count > 3 }
            }
        ).sorted()
        let first = words.first ?? "there"
        let last = words.last ?? "there"
        // Words that lie across deltas, masked and blocked; a pattern that holds nearly everything.
        let sets = [
            bundleRule("m", "mask", first) + bundleRule("n", "mask", #"\w+ \w{2,}"#),
            bundleRule("b", "block", last) + bundleRule("m", "mask", first == last ? "xyz" : first, view: "folded"),
        ]
        for rules in sets {
            let bundle = try bundle(rules)
            let plan = StreamPlan(bundle: bundle, mode: .enforce)
            let whole = run(stream.endpoint, bundle, [stream.bytes[...]], plan: plan, scratch: &scratch)
            try check(stream, texts, bundle, whole, [first, last])
            for cut in 1..<stream.bytes.count {
                let pieces = [stream.bytes[..<cut], stream.bytes[cut...]]
                let result = run(stream.endpoint, bundle, pieces, plan: plan, scratch: &scratch)
                if result != whole {
                    Issue.record(
                        "cut at \(cut): \(String(decoding: result.bytes, as: UTF8.self)) instead of \(String(decoding: whole.bytes, as: UTF8.self))"
                    )
                    return
                }
            }
            let bytewise = run(
                stream.endpoint, bundle, stream.bytes.indices.map { stream.bytes[$0...$0] }, plan: plan,
                scratch: &scratch)
            #expect(bytewise == whole)
        }
    }

    private func check(
        _ stream: TrafficStream, _ texts: [ChannelID: String], _ bundle: RuleBundle, _ result: StreamRun,
        _ words: [String]
    ) throws {
        let delivered = try result.delivered(stream.endpoint)
        var evaluation = EvaluationScratch()
        var isBlocked = false
        for (channel, text) in texts {
            let bytes = Array(text.utf8)
            let found = bundle.evaluate(bytes.span, rules: Array(bundle.rules.indices), scratch: &evaluation)
            let verdict = bundle.verdict(
                found, mode: .enforce, phase: .output, segment: 0, role: .assistant, kind: channel.description)
            if verdict.action == .block {
                isBlocked = true
                let start = verdict.findings.filter { $0.action == .block }.map(\.range.lowerBound).min() ?? 0
                let clean = RuleBundle.apply(
                    verdict.edits.filter { $0.range.upperBound <= start }, to: Array(bytes[..<start]))
                // What was released for the proving prefix; more may have been held.
                #expect(String(decoding: clean, as: UTF8.self).hasPrefix(delivered[channel] ?? ""))
            } else if result.statistics.end != .blocked {
                let edited = RuleBundle.apply(verdict.edits, to: bytes)
                #expect(delivered[channel] ?? "" == String(decoding: edited, as: UTF8.self))
            }
        }
        #expect((result.statistics.end == .blocked) == isBlocked)
        // Nowhere in what leaves, side fields and escapes included.
        let all = String(decoding: result.bytes, as: UTF8.self)
        for word in words where bundle.rules.contains(where: { $0.detectors.contains { $0.pattern.source == word } }) {
            #expect(!all.contains(word), "\(word) in \(all)")
        }
    }
}
