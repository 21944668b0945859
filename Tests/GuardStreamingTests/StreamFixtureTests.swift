import Foundation
import GuardCore
import GuardLLMSchema
import GuardMatching
import GuardRules
import GuardStreaming
import GuardTesting
import Testing

/// `fixtures/streams`: one file a case.
struct StreamFixture: Decodable, Sendable, CustomTestStringConvertible {
    struct Expect: Decodable, Sendable {
        var end: String
        /// By "choice kind".
        var texts: [String: String]?
        /// Must, or must not, stand anywhere in what leaves.
        var present: [String]?
        var absent: [String]?
        /// Stand there once.
        var once: [String]?
        /// Stand there in this order.
        var order: [String]?
        var dropped: [String]?
        var skipped: [String]?
        var findings: [String]?
        var untouched: Bool?
    }

    var note: String
    var endpoint: String
    var rules: String
    var events: [String]
    var onBlock: String?
    var failure: String?
    var monitor: Bool?
    var expect: Expect
    var name = ""

    enum CodingKeys: String, CodingKey { case note, endpoint, rules, events, onBlock, failure, monitor, expect }

    var testDescription: String { name }
    var bytes: [UInt8] { Array(events.joined().utf8) }

    var options: StreamOptions {
        var options = StreamOptions()
        if onBlock == "contentFilter" { options.onBlock = .contentFilter }
        if failure == "open" { options.failure = .open }
        options.isMonitor = monitor ?? false
        return options
    }

    static let all: [StreamFixture] = {
        let folder = TestData.fixtures.appending(path: "streams")
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }.compactMap { file in
            var fixture = (try? Data(contentsOf: file)).flatMap { try? JSONDecoder().decode(Self.self, from: $0) }
            fixture?.name = file.deletingPathExtension().lastPathComponent
            return fixture
        }
    }()
}

@Suite struct StreamFixtureTests {
    @Test func allFixturesAreRead() throws {
        let folder = TestData.fixtures.appending(path: "streams")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(StreamFixture.all.count == files.count { $0.pathExtension == "json" })
        #expect(!StreamFixture.all.isEmpty)
    }

    @Test(arguments: StreamFixture.all)
    func fixture(_ fixture: StreamFixture) throws {
        var scratch = MatchScratch()
        let endpoint = try #require(Endpoint(rawValue: fixture.endpoint))
        let bundle = try bundle(fixture.rules)
        let plan = StreamPlan(bundle: bundle, mode: fixture.options.isMonitor ? .monitor : .enforce)
        let bytes = fixture.bytes
        let whole = run(endpoint, bundle, [bytes[...]], options: fixture.options, plan: plan, scratch: &scratch)
        let text = String(decoding: whole.bytes, as: UTF8.self)
        let expect = fixture.expect
        #expect(whole.statistics.end.rawValue == expect.end)
        if let texts = expect.texts {
            let delivered = try whole.delivered(endpoint)
            var named: [String: String] = [:]
            for (channel, text) in delivered { named["\(channel.choice) \(channel)"] = text }
            #expect(named == texts, "\(text)")
        }
        for part in expect.present ?? [] { #expect(text.contains(part), "\(part) in \(text)") }
        for part in expect.absent ?? [] { #expect(!text.contains(part), "\(part) in \(text)") }
        for part in expect.once ?? [] { #expect(text.components(separatedBy: part).count == 2, "\(part) in \(text)") }
        var at = text.startIndex
        for part in expect.order ?? [] {
            let found = text.range(of: part, range: at..<text.endIndex)
            #expect(found != nil, "\(part) in its place in \(text)")
            if let found { at = found.upperBound }
        }
        if let dropped = expect.dropped { #expect(whole.statistics.droppedSides == Set(dropped)) }
        if let skipped = expect.skipped { #expect(whole.statistics.skipped == Set(skipped)) }
        if let findings = expect.findings { #expect(whole.findings.map(\.rule.name).sorted() == findings) }
        if expect.untouched == true { #expect(whole.bytes == bytes) }

        let stride = bytes.count > 1500 ? 7 : 3
        for cut in Swift.stride(from: 1, to: bytes.count, by: stride) {
            let result = run(
                endpoint, bundle, [bytes[..<cut], bytes[cut...]], options: fixture.options, plan: plan,
                scratch: &scratch)
            if result != whole {
                Issue.record("cut at \(cut): \(String(decoding: result.bytes, as: UTF8.self)) instead of \(text)")
                return
            }
        }
    }

    @Test func heldTextIsToldAndTimed() throws {
        var scratch = MatchScratch()
        let rules = try bundle(bundleRule("m", "mask", "aab"))
        let policy = StreamPolicy(
            plan: StreamPlan(bundle: rules, mode: .enforce), bundle: rules,
            selected: rules.select(phase: .output, model: nil, tenant: nil, route: nil))
        var inspector = StreamInspector(endpoint: .chatCompletions, policy: policy, options: StreamOptions())
        func event(_ text: String) -> [UInt8] {
            Array("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\(text)\"}}]}\n\n".utf8)
        }
        #expect(inspector.receive(event("xyz"), now: 0, scratch: &scratch) == event("xyz"))
        #expect(!inspector.isHolding)
        #expect(inspector.receive(event("x aa"), now: 100, scratch: &scratch) == event("x "))
        #expect(inspector.isHolding)
        #expect(inspector.heldBytes == 2)
        #expect(inspector.bufferedBytes > 0)
        #expect(inspector.receive(event("c"), now: 350, scratch: &scratch) == event("aa") + event("c"))
        #expect(!inspector.isHolding)
        #expect(inspector.bufferedBytes == 0)
        #expect(inspector.statistics.heldBytesMax == 2)
        #expect(inspector.statistics.heldMillisecondsMax == 250)
    }

    @Test func usageOfOurOwnAskingIsNotPassedOn() throws {
        var scratch = MatchScratch()
        var options = StreamOptions()
        options.dropsUsage = true
        let fixture = try #require(StreamFixture.all.first { $0.name == "choices-do-not-wait" })
        let result = run(
            .chatCompletions, try bundle(fixture.rules), [fixture.bytes[...]], options: options, scratch: &scratch)
        #expect(!String(decoding: result.bytes, as: UTF8.self).contains("total_tokens"))
        #expect(result.statistics.end == .complete)
    }

    /// Mutated streams and random bytes: no crash, no hang, and never a byte of a blocked word as text.
    @Test func fuzzSmoke() throws {
        var scratch = MatchScratch()
        let bundle = try bundle(
            bundleRule("b", "block", "forbidden") + bundleRule("m", "mask", #"\w+ \d+"#)
                + bundleRule("f", "mask", "secret", view: "folded"))
        let plan = StreamPlan(bundle: bundle, mode: .enforce, holdBytes: 64)
        var generator = SeededRandom(seed: 99)
        let sources = StreamFixture.all
        for _ in 0..<600 {
            guard let source = sources.randomElement(using: &generator),
                let endpoint = Endpoint(rawValue: source.endpoint)
            else { continue }
            var bytes = source.bytes
            for _ in 0..<Int.random(in: 0...6, using: &generator) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(contentsOf: Array("forbidden".utf8), at: at)
                default: bytes.removeSubrange(at..<min(bytes.count, at + 40))
                }
            }
            let pieces = randomPieces(bytes, &generator, largest: 90)
            let result = run(endpoint, bundle, pieces, plan: plan, scratch: &scratch)
            var decoder = StreamDecoder(endpoint: endpoint)
            var texts: [ChannelID: [UInt8]] = [:]
            for event in try decoder.append(result.bytes) {
                for text in event.texts { texts[text.channel, default: []] += text.text }
            }
            for text in texts.values { #expect(!String(decoding: text, as: UTF8.self).contains("forbidden")) }
        }
    }
}
