import Foundation
import GuardCore
import GuardMatching
import GuardTesting
import Testing

@testable import GuardRules

/// Figures, not checks: `GUARD_BENCHMARK=1 GUARD_ONLY=GuardRules swift test -c release -Xswiftc -enable-testing
/// --filter RuleBenchmarks`.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["GUARD_BENCHMARK"] != nil))
struct RuleBenchmarks {
    @Test func packsOnBenignText() throws {
        let bundle = try RuleBundle.load(directory: PackTests.directory)
        var text = Array(
            """
            Hello! I am planning a trip to the north of Spain in September with two friends, and we would like to walk for \
            about five days along the coast. Could you suggest a route from San Sebastián towards Bilbao with stages of 15 to \
            20 km, places to sleep that do not cost more than 60 euros a night, and what to do if it rains? One of us is a \
            vegetarian, so a few words on food would help as well. Please answer in a table with one row for each day: start, \
            end, distance, climb, where to sleep, where to eat. Below it, write a list of what to pack, sorted by weight, and \
            tell me which of it can be bought on the way. We arrive by train from Paris on the 12th at 14:35 and have to be \
            back in Bilbao on the 18th before noon. I have read that the path is marked with yellow arrows; is that still so? \
            And is the water from the fountains safe to drink? Last year we walked in Portugal and the heat was a problem, so \
            we would rather start early. Thank you very much, and have a good day.
            """.utf8)
        while text.count < 1024 { text.append(UInt8(ascii: " ")) }
        text = Array(text.prefix(1024))
        while text.last.map({ $0 & 0xC0 == 0x80 }) == true { text.removeLast() }
        var scratch = EvaluationScratch()
        for (name, phase, role) in [("input", Phase.input, Role.user), ("output", .output, .assistant)] {
            let rules = bundle.select(phase: phase, model: nil, tenant: nil, route: nil).rules(for: role)
            for prefilter in [true, false] {
                scratch.usesPrefilter = prefilter
                var best = Duration.seconds(100)
                for _ in 0..<200 {
                    let start = ContinuousClock.now
                    for _ in 0..<20 { _ = bundle.evaluate(text.span, rules: rules, scratch: &scratch) }
                    best = min(best, (ContinuousClock.now - start) / 20)
                }
                let detectors = rules.reduce(0) { $0 + bundle.rules[$1].detectors.count }
                print(
                    "\(name): \(rules.count) rules, \(detectors) patterns, \(text.count) bytes, "
                        + "prefilter \(prefilter ? "on" : "off"): \(best)")
            }
        }
        scratch.usesPrefilter = true
        var slowest: [(time: Duration, name: String)] = []
        let folded = FoldedView(raw: text)
        for rule in bundle.rules {
            for (number, detector) in rule.detectors.enumerated() {
                let view = rule.view == .folded ? folded.text : text
                var best = Duration.seconds(100)
                for _ in 0..<40 {
                    let begin = ContinuousClock.now
                    for _ in 0..<10 {
                        _ = detector.firstMatch(in: view.span, from: 0, mode: .complete, scratch: &scratch.match)
                    }
                    best = min(best, (ContinuousClock.now - begin) / 10)
                }
                let runs = detector.required.isUnknown
                slowest.append((runs ? best : .zero, "\(rule.id)[\(number)] alone \(best)"))
            }
        }
        for (time, name) in slowest.sorted(by: { $0.time > $1.time }).prefix(20) { print("  \(time) \(name)") }
        print("those that always run: \(slowest.reduce(Duration.zero) { $0 + $1.time })")
        let start = ContinuousClock.now
        for _ in 0..<2000 {
            var view = FoldedView()
            view.append(text.span)
        }
        print("folded view: \((ContinuousClock.now - start) / 2000)")
        var candidates = CandidateSet()
        let begin = ContinuousClock.now
        for _ in 0..<2000 { bundle.prefilter.folded.filter.scan(text.span, into: &candidates) }
        print("filter: \((ContinuousClock.now - begin) / 2000)")
    }
}
