import Foundation
import GuardCore
import GuardJSON
import Testing

@testable import GuardDecisionLog

struct RecordTests {
    static func record(_ number: Int = 0) -> DecisionRecord {
        DecisionRecord(
            id: ULID(high: 0x0192_0000_0000_0000, low: UInt64(number)), start: Timestamp(milliseconds: 1_795_379_400_123),
            api: "openai", route: "/v1/chat/completions", kind: "chat", mode: .enforce, policy: .init(hash: "abc"))
    }

    @Test func goldenRecord() throws {
        var record = Self.record(1)
        record.requestId = "req-1"
        record.traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
        record.time = Timestamp(milliseconds: 1_795_379_401_456)
        record.model = "meta-llama/Llama-3.1-70B-Instruct"
        record.tenant = "h:00ff"
        record.action = .mask
        record.wouldAction = .block
        record.status = 200
        record.reasons = ["pii.card", "token_drift"]
        record.policy.version = "7"
        record.tokens = .init(
            prompt: 12, promptBeforeEdits: 13, completion: 5, exact: false, why: ["unknown_field"], tokenizer: "llama",
            tokenizerHash: "ff", reported: .init(prompt: 14, completion: 5, total: 19, cached: 3), drift: 2)
        record.budget = [
            .init(
                name: "per-tenant", limit: "tokens/minute", limitValue: 1000, reserved: 100, settled: 17,
                remaining: -3, resetAt: Timestamp(milliseconds: 1_795_379_460_000))
        ]
        record.findings = [
            Finding(
                rule: RuleID("pii.card"), severity: .high, action: .mask, wouldAction: .mask, phase: .input, segment: 0,
                role: .user, kind: "user", range: 4..<23, view: .raw, score: 0.5)
        ]
        record.scan = .init(
            complete: false, segments: 2, bytes: 40,
            skipped: [.init(phase: .input, segment: 1, kind: "image_part", why: "opaque")])
        record.edits = [
            .init(rule: RuleID("pii.card"), phase: .input, kind: "mask", segment: 0, range: 4..<23, replacementBytes: 11)
        ]
        record.stream = .init(events: 9, heldBytesMax: 19, heldMillisecondsMax: 7, cut: false, leakFree: true, end: "done")
        record.latency = .init(
            guardMicroseconds: .init(parse: 10, count: 20, rules: 30), upstreamMilliseconds: 900, firstByteMilliseconds: 80)
        let wanted = #"""
            {"id":"01J8000000000000000000001","requestId":"req-1","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","start":"2026-11-22T20:30:00.123Z","time":"2026-11-22T20:30:01.456Z","api":"openai","route":"/v1/chat/completions","kind":"chat","model":"meta-llama/Llama-3.1-70B-Instruct","tenant":"h:00ff","action":"mask","wouldAction":"block","mode":"enforce","status":200,"reasons":["pii.card","token_drift"],"policy":{"hash":"abc","version":"7"},"tokens":{"prompt":12,"promptBeforeEdits":13,"completion":5,"exact":false,"why":["unknown_field"],"tokenizer":"llama","tokenizerHash":"ff","reported":{"prompt":14,"completion":5,"total":19,"cached":3},"drift":2},"budget":[{"name":"per-tenant","limit":"tokens/minute","limitValue":1000,"reserved":100,"settled":17,"remaining":-3,"resetAt":"2026-11-22T20:31:00.000Z"}],"findings":[{"rule":"pii.card","severity":"high","action":"mask","wouldAction":"mask","phase":"input","segment":0,"role":"user","kind":"user","start":4,"end":23,"view":"raw","score":0.5}],"scan":{"complete":false,"segments":2,"bytes":40,"skipped":[{"phase":"input","segment":1,"kind":"image_part","why":"opaque"}]},"edits":[{"rule":"pii.card","phase":"input","kind":"mask","segment":0,"start":4,"end":23,"replacementBytes":11}],"stream":{"events":9,"heldBytesMax":19,"heldMillisecondsMax":7,"cut":false,"leakFree":true,"end":"done"},"latency":{"guardMicroseconds":{"parse":10,"count":20,"rules":30,"classify":null},"upstreamMilliseconds":900,"firstByteMilliseconds":80}}
            """#
        let got = String(decoding: record.encoded(), as: UTF8.self)
        #expect(got.replacing(record.id.description, with: "01J8000000000000000000001") == wanted)
        #expect(record.id.description.utf8.count == 26)
    }

    @Test func everyKeyIsAlwaysThere() throws {
        let root = try JSONDocument(Self.record().encoded()).root
        #expect(
            root.members.map { $0.key.string } == [
                "id", "requestId", "traceId", "start", "time", "api", "route", "kind", "model", "tenant", "action",
                "wouldAction", "mode", "status", "reasons", "policy", "tokens", "budget", "findings", "scan", "edits",
                "stream", "latency",
            ])
    }

    @Test func labelsHoldNoProse() {
        #expect(Label("my name is\nBob\u{200b}\u{85}").name == "my_name_is_Bob__")
        #expect(Label(String(repeating: "é", count: 400)).name.utf8.count <= Label.bytesMax + 3)
        #expect(Label("模型-1").name == "模型-1")
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "0000-01-01T00:00:00.000Z"),
    ])
    func timestamps(milliseconds: Int64, wanted: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == wanted)
    }

    @Test func timestampsAgreeWithFoundation() {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        for day in stride(from: Int64(-40_000), to: 60_000, by: 37) {
            let milliseconds = day * 86_400_000 + (day &* 7_919_123).magnitude.remainder(86_400) * 1000
            let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000)
            #expect(Timestamp(milliseconds: milliseconds).description == style.format(date))
        }
    }

    @Test func ulidsIncrease() {
        let clock = Clock([5, 5, 4, 6, 6])
        let generator = ULIDGenerator(now: { clock.next() }, random: { .max })
        var ids = (0..<5).map { _ in generator.next() }
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == 5)
        #expect(ids[0].timestamp.milliseconds == 5)
        #expect(ids[2].timestamp.milliseconds == 5)
        #expect(ids[0].description.prefix(10) == "0000000005")
        ids = [ULID(high: .max, low: .max), ULID(high: 0, low: 1), ULID(high: 0x0001_0000, low: 0)]
        #expect(ids.map(\.description) == [
            "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "00000000000000000000000001", "00000000010000000000000000",
        ])
    }
}

final class Clock: @unchecked Sendable {
    private var times: [Int64]
    init(_ times: [Int64]) { self.times = times.reversed() }
    func next() -> Timestamp { Timestamp(milliseconds: times.popLast() ?? 0) }
}

extension UInt64 {
    fileprivate func remainder(_ divisor: UInt64) -> Int64 { Int64(self % divisor) }
}
