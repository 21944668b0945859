import Foundation
import Testing

@testable import GuardTelemetry

struct MetricTests {
    private func text(_ registry: MetricRegistry) -> String { String(decoding: registry.text(), as: UTF8.self) }

    @Test func exposition() {
        let registry = MetricRegistry()
        let counter = registry.counter(
            MetricDefinition("a_total", .counter, "Line\nbreak \\ \"quote\".", labels: [.open("x", max: 4), .closed("y", ["1"])]))
        counter.add(2, "q\"\\\n", "1")
        counter.series("b", "1").add()
        let gauge = registry.gauge(MetricDefinition("g", .gauge, "G."))
        gauge.series().set(-3)
        let histogram = registry.histogram(MetricDefinition("h_seconds", .histogram(bounds: [0.1, 1, 2.5]), "H."))
        for value in [0.05, 0.1, 0.5, 99, .nan] { histogram.series().observe(value) }
        histogram.series().observe(.milliseconds(1500))
        #expect(
            text(registry) == #"""
                # HELP a_total Line\nbreak \\ "quote".
                # TYPE a_total counter
                a_total{x="b",y="1"} 1
                a_total{x="q\"\\\n",y="1"} 2
                # HELP g G.
                # TYPE g gauge
                g -3
                # HELP h_seconds H.
                # TYPE h_seconds histogram
                h_seconds_bucket{le="0.1"} 2
                h_seconds_bucket{le="1"} 3
                h_seconds_bucket{le="2.5"} 4
                h_seconds_bucket{le="+Inf"} 5
                h_seconds_sum 101.15
                h_seconds_count 5
                # HELP guard_metric_label_overflow_total Observations whose label value was new beyond the bound, now `other`.
                # TYPE guard_metric_label_overflow_total counter

                """#)
    }

    @Test func labelsAreBounded() {
        let registry = MetricRegistry()
        let counter = registry.counter(
            MetricDefinition("a_total", .counter, "A.", labels: [.open("x", max: 2), .closed("y", ["1"])]))
        for value in ["a", "b", "c", "d", "a"] { counter.add(1, value, "1") }
        counter.add(1, "a", "2")
        let lines = text(registry).split(separator: "\n")
        #expect(lines.contains("a_total{x=\"a\",y=\"1\"} 2"))
        #expect(lines.contains("a_total{x=\"other\",y=\"1\"} 2"))
        #expect(lines.contains("a_total{x=\"a\",y=\"other\"} 1"))
        #expect(lines.contains("guard_metric_label_overflow_total{metric=\"a_total\"} 3"))
        #expect(!lines.contains { $0.contains("\"c\"") })
    }

    @Test func wrongNumberOfLabelsIsNoCrash() {
        let counter = MetricRegistry().counter(MetricDefinition("a_total", .counter, "A.", labels: [.open("x", max: 2)]))
        counter.add(1)
        counter.add(1, "a", "b")
        #expect(counter.series("").current == 1)
        #expect(counter.series("a").current == 1)
    }

    @Test func countsFromManyThreads() async {
        let counter = MetricRegistry().counter(MetricDefinition("a_total", .counter, "A.", labels: [.open("x", max: 2)]))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { counter.add(1, "a") } } }
        }
        #expect(counter.series("a").current == 8000)
    }

    @Test func everyMetricIsNamedByTheRules() {
        let lines = text(GuardMetrics().registry).split(separator: "\n")
        let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ") }
        #expect(types.count > 30)
        #expect(Set(types.map { $0[2] }).count == types.count)
        for type in types {
            #expect(type[2].hasPrefix("guard_"))
            #expect((type[3] == "counter") == type[2].hasSuffix("_total"), "\(type[2])")
        }
    }
}
