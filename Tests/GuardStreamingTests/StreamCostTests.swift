import Foundation
import GuardCore
import GuardLLMSchema
import GuardMatching
import GuardRules
import GuardStreaming
import GuardTesting
import Testing

/// What one event costs. By hand: `GUARD_BENCH=1 GUARD_ONLY=GuardStreaming swift test -c release --filter StreamCost`.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["GUARD_BENCH"] != nil)) struct StreamCostTests {
    static let patterns = [
        #"\b(?:\d[ -]?){12,18}\d\b"#, #"\b[\w.+-]+@[\w-]+\.[\w.-]+\b"#, #"\bAKIA[0-9A-Z]{16}\b"#,
        #"\bghp_[A-Za-z0-9]{36}\b"#, #"\bxox[baprs]-[\w-]{10,}"#, #"-----BEGIN [A-Z ]*PRIVATE KEY-----"#,
        #"\b\d{3}-\d{2}-\d{4}\b"#, #"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b"#, #"\b(?:\d{1,3}\.){3}\d{1,3}\b"#,
        #"\beyJ[\w-]+\.[\w-]+\.[\w-]+\b"#, #"\bsk-[A-Za-z0-9]{20,}\b"#, #"\bAIza[0-9A-Za-z_-]{35}\b"#,
        #"\+\d{1,3}[ -]?\d{2,4}[ -]?\d{3,4}[ -]?\d{3,4}\b"#, #"(?i)\bpassword\s*[:=]\s*\S+"#,
        #"(?i)\bapi[_-]?key\s*[:=]\s*\S+"#, #"\bbc1[a-z0-9]{25,39}\b"#, #"\b0x[a-fA-F0-9]{40}\b"#,
        #"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b"#, #"!\[[^\]]*\]\(https?://[^)]+\)"#,
        #"https?://[^\s/]+:[^\s@]+@\S+"#, #"(?i)\bignore (?:all )?previous instructions\b"#,
        #"(?i)\bsystem prompt\b"#, #"(?i)\bmy instructions are\b"#, #"\bglpat-[\w-]{20}\b"#,
        #"\bnpm_[A-Za-z0-9]{36}\b"#,
        #"\bSG\.[\w-]{22}\.[\w-]{43}\b"#, #"\bdop_v1_[a-f0-9]{64}\b"#, #"(?i)\bjailbreak\b"#, #"(?i)\bconfidential\b"#,
        #"\b[A-Z]{5}\d{4}[A-Z]\b"#,
    ]

    static func rules() throws -> [StreamRule] {
        var rules: [StreamRule] = []
        let never: StreamRule.Detector.Validate = { _, _, _ in false }
        let mask: StreamRule.MaskText = { _, _, _, _, _ in Array("[x]".utf8) }
        for (index, source) in patterns.enumerated() {
            let pattern = try Pattern(source, validated: index == 0)
            let detector = StreamRule.Detector(pattern: pattern, validate: index == 0 ? never : nil)
            rules.append(
                StreamRule(
                    rule: index, effect: index % 3 == 0 ? .block : .mask, isFolded: index >= 20 && index < 24,
                    detectors: [detector], maskText: mask))
        }
        return rules
    }

    static func corpus() throws -> [UInt8] {
        let data = try Data(contentsOf: TestData.sharedFile("tokenizers/corpus.txt"))
        var text = [UInt8](data.prefix(400_000))
        while let last = text.last, last & 0xC0 == 0x80 || last >= 0xC0 { text.removeLast() }
        return text
    }

    static func measure(_ name: String, _ plan: StreamPlan, _ text: [UInt8], answerBytes: Int) {
        var scratch = MatchScratch()
        var times: [Int64] = []
        var holds: [Int] = []
        let clock = ContinuousClock()
        var at = 0
        while at < text.count {
            var inspector = ChannelInspector(plan: plan)
            let end = min(text.count, at + answerBytes)
            while at < end {
                let next = min(end, at + 4)
                let piece = Array(text[at..<next])
                let start = clock.now
                let update = inspector.append(piece.span, scratch: &scratch)
                let time = clock.now - start
                times.append(time.components.attoseconds / 1_000_000_000)
                holds.append(inspector.heldBytes)
                at = next
                if update.block != nil { break }
            }
        }
        times.sort()
        holds.sort()
        func time(_ share: Double) -> Double {
            Double(times[min(times.count - 1, Int(Double(times.count) * share))]) / 1000
        }
        let mean = Double(times.reduce(0, +)) / Double(times.count) / 1000
        print(
            "COST \(name): \(times.count) events, µs: mean \(mean) median \(time(0.5)) p99 \(time(0.99)) max \(time(1))"
        )
        let (median, p99) = (holds[holds.count / 2], holds[holds.count * 99 / 100])
        print("COST   held after an event, bytes: median \(median) p99 \(p99) max \(holds.last ?? 0)")
    }

    @Test func costOfAnEvent() throws {
        let plan = StreamPlan(rules: try Self.rules())
        let text = try Self.corpus()
        Self.measure("30 rules, corpus, answers of 2 KB", plan, text, answerBytes: 2_000)
        Self.measure("30 rules, corpus, answers of 100 KB", plan, text, answerBytes: 100_000)
        let long = Array(("![" + String(repeating: "word ", count: 190)).utf8)
        Self.measure(
            "30 rules, up to 950 bytes held", plan, Array(repeatElement(long, count: 50).joined()),
            answerBytes: long.count)
        let huge = Array(("![" + String(repeating: "word ", count: 12_000)).utf8)
        Self.measure("30 rules, up to 60 KB held", plan, huge, answerBytes: huge.count)
    }

    @Test func costOfAStream() throws {
        let bundle = try bundle(bundleRule("m", "mask", #"\bsecret\b"#))
        var bytes: [UInt8] = []
        for index in 0..<20_000 {
            bytes += Array(
                (#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"#
                    + #""delta":{"content":"w\#(index % 10) "},"logprobs":null,"finish_reason":null}]}"# + "\n\n").utf8)
        }
        var scratch = MatchScratch()
        for (name, rules) in [("no rules", RuleBundle.empty), ("one rule", bundle)] {
            let plan = StreamPlan(bundle: rules, mode: .enforce)
            let policy = StreamPolicy(
                plan: plan, bundle: rules, selected: rules.select(phase: .output, model: nil, tenant: nil, route: nil))
            var inspector = StreamInspector(endpoint: .chatCompletions, policy: policy, options: StreamOptions())
            let start = ContinuousClock().now
            var at = 0
            var out = 0
            while at < bytes.count {
                let next = min(bytes.count, at + 170)
                out += inspector.receive(bytes[at..<next], now: 0, scratch: &scratch).count
                at = next
            }
            let time = ContinuousClock().now - start
            print("COST stream, \(name): \(time / 20_000) an event of 170 bytes, \(out) bytes out")
        }
    }
}
