import Foundation
import GuardCore
import GuardMatching
import GuardRules
import GuardStreaming

// What one event of a stream costs and holds: ordinary answers in events of four bytes, judged by all output rules of
// the packs, each on its own view, all on the raw text, all on the folded text; and one long answer.
//
//     streams-benchmark CORPUS TRAIN RULES
//
// CORPUS is plain text, TRAIN has a JSON object with a `text` in each line; 500 answers are cut from either. Of each
// event the least time of three passes counts.

struct Failure: Error, CustomStringConvertible { var description: String }

let arguments = CommandLine.arguments
guard arguments.count == 4 else { throw Failure(description: "CORPUS TRAIN RULES are wanted") }
let bundle = try RuleBundle.load(directory: arguments[3])
let selected = Set(bundle.select(phase: .output, model: nil, tenant: nil, route: nil).rules(for: .assistant))

func cut(_ text: [UInt8], count: Int, bytes: Int) -> [[UInt8]] {
    let step = max(1, text.count / count)
    return (0..<count).compactMap { number in
        var start = number * step
        while start < text.count, text[start] & 0xC0 == 0x80 { start += 1 }
        var end = min(start + bytes, text.count)
        while end > start, end < text.count, text[end] & 0xC0 == 0x80 { end -= 1 }
        return start < end ? Array(text[start..<end]) : nil
    }
}

var answers = cut([UInt8](try Data(contentsOf: URL(fileURLWithPath: arguments[1]))), count: 500, bytes: 1500)
let lines = try Data(contentsOf: URL(fileURLWithPath: arguments[2])).split(separator: 0x0A)
for line in lines where answers.count < 1000 {
    let object = try JSONSerialization.jsonObject(with: line) as? [String: Any]
    guard object?["label"] as? String == "benign" else { continue }
    if let text = object?["text"] as? String, text.utf8.count >= 100 { answers.append(Array(text.utf8)) }
}

struct Event {
    var nanoseconds = UInt64.max
    var held = 0
}
func now() -> UInt64 { DispatchTime.now().uptimeNanoseconds }
func share<Value: Comparable>(_ values: [Value], _ part: Double) -> Value? {
    values.isEmpty ? nil : values.sorted()[min(values.count - 1, Int(Double(values.count) * part))]
}

func measure(_ name: String, _ plan: StreamPlan, _ answers: [[UInt8]]) {
    let selection = plan.selection { selected.contains(plan.rules[$0].rule) }
    var events: [Event] = []
    var blocked = 0
    var scratch = MatchScratch()
    for answer in answers {
        var own = [Event](repeating: Event(), count: (answer.count + 3) / 4)
        for pass in 0..<3 {
            var inspector = ChannelInspector(plan: plan, selection: selection)
            for index in own.indices {
                let piece = Array(answer[(4 * index)..<min(answer.count, 4 * index + 4)])
                let start = now()
                let update = inspector.append(piece.span, scratch: &scratch)
                let took = now() - start
                own[index].nanoseconds = min(own[index].nanoseconds, took)
                own[index].held = inspector.heldBytes
                if update.block != nil {
                    if pass == 0 { blocked += 1 }
                    own.removeSubrange((index + 1)...)
                    break
                }
            }
        }
        events += own
    }
    let held = events.map(\.held)
    let small = events.filter { $0.held < 1024 }.map { Double($0.nanoseconds) / 1000 }
    print("\(name): \(answers.count) answers, \(events.count) events of 4 bytes; blocked \(blocked)")
    print(
        "  held after an event, bytes: median \(share(held, 0.5) ?? 0), p99 \(share(held, 0.99) ?? 0), max \(held.max() ?? 0)"
    )
    print(
        "  µs of an event with less than 1 KiB held: median \(share(small, 0.5) ?? 0), p99 \(share(small, 0.99) ?? 0), "
            + "max \(small.max() ?? 0)")
}

let entries = selected.reduce(0) { $0 + bundle.rules[$1].detectors.count }
let begin = now()
let plan = StreamPlan(bundle: bundle, mode: .enforce)
print("\(selected.count) rules, \(entries) patterns; the plan is made in \((now() - begin) / 1_000_000) ms")
func viewed(isFolded: Bool) -> StreamPlan {
    StreamPlan(
        rules: plan.rules.map { rule in
            var rule = rule
            rule.isFolded = isFolded
            return rule
        })
}
measure("as they are", plan, answers)
measure("all raw", viewed(isFolded: false), answers)
measure("all folded", viewed(isFolded: true), answers)
measure("as they are, one answer", plan, [Array(answers.prefix(500).joined().prefix(1 << 20))])
