import Foundation
import GuardCore
import GuardMatching
import GuardRules
import GuardStreaming
import GuardTesting
import Synchronization
import Testing

/// What streams cost, counted and not timed.
@Suite struct WorkTests {
    /// A validator that refuses is asked once in each search, at the held match's begin: the bytes that it is shown sum
    /// up to what was searched.
    @Test(arguments: [4, 64, 5000]) func heldTextIsSearchedSeldom(_ pieceBytes: Int) throws {
        let searched = Atomic<Int>(0)
        let validate: StreamRule.Detector.Validate = { text, _, _ in
            searched.wrappingAdd(text.count, ordering: .relaxed)
            return false
        }
        let pattern = try Pattern("<(?:|[^>]*>)", validated: true)
        let held = 65_536
        let rule = StreamRule(
            rule: 0, effect: .mask, isFolded: false, detectors: [.init(pattern: pattern, validate: validate)],
            maskText: { _, _, _, _, _ in [] })
        var scratch = MatchScratch()
        var inspector = ChannelInspector(plan: StreamPlan(rules: [rule], holdBytes: held))
        let text = Array(("<" + String(repeating: "held ", count: held / 5)).utf8).prefix(held)
        for start in stride(from: 0, to: held, by: pieceBytes) {
            let update = inspector.append(
                Array(text[start..<min(held, start + pieceBytes)]).span, scratch: &scratch)
            #expect(update.failures.isEmpty && update.releasableEnd == 0)
        }
        #expect(inspector.heldBytes == held)
        let passes = Double(searched.load(ordering: .relaxed)) / Double(held)
        #expect(passes > 1 && passes <= 50, "\(passes) passes")
    }

    /// A pattern that is slow at every start is a failure wherever a stream or a complete text meets it, never a clean
    /// scan.
    @Test func slowPatternsFailEverywhere() throws {
        let slow = "(?:[\\w.-]{0,50}?){2}(?:x|y){0,20}?[\\w.-]{0,50}?sumo[ \\t\\w.-]{0,20}[=:]"
        let text = Array(String(repeating: "sumo", count: 256).utf8)
        var scratch = MatchScratch()
        for (view, effect) in [("raw", "mask"), ("folded", "block"), ("raw", "flag")] {
            let bundle = try bundle(
                "  - {id: slow, on: [input, output], action: \(effect), view: \(view), match: {pcre: '\(slow)', context: {near: [sumo], within: 9}}}"
            )
            let plan = StreamPlan(bundle: bundle, mode: .enforce)
            for pieceBytes in [4, 100, 1024] {
                var inspector = ChannelInspector(plan: plan)
                var failures: [StreamFailure] = []
                for start in stride(from: 0, to: text.count, by: pieceBytes) {
                    failures +=
                        inspector.append(
                            Array(text[start..<min(text.count, start + pieceBytes)]).span, scratch: &scratch
                        ).failures
                }
                failures += inspector.finish(scratch: &scratch).failures
                #expect(failures.contains { $0.reason == .match(.matchLimit) && $0.rule == 0 }, "\(view) \(pieceBytes)")
            }
        }
        var evaluation = EvaluationScratch()
        evaluation.usesPrefilter = false
        for (rest, condition) in [
            ("view: raw", "{pcre: '\(slow)'}"), ("view: folded", "{all: [{pcre: '\(slow)'}, {words: [sumo]}]}"),
            ("view: decoded", "{not: {pcre: '\(slow)'}}"),
            ("view: raw", "{near: {match: {pcre: 'umo'}, to: {pcre: '\(slow)'}, within: 900}}"),
        ] {
            let bundle = try bundle("  - {id: slow, on: input, action: flag, \(rest), match: \(condition)}")
            let found = bundle.evaluate(text.span, rules: [0], scratch: &evaluation)
            #expect(found.failures.contains(ScanFailure(rule: 0, reason: .matchLimit)), "\(rest) \(condition)")
        }
    }
}
