private import Synchronization

/// All metrics of the process and their text form.
///
/// A family looks its series up by label values (a mutex and a dictionary, some 100 ns) and counting on a series is one
/// relaxed atomic; hot callers keep the series.
package final class MetricRegistry: Sendable {
    private struct State {
        var families: [any MetricFamily] = []
    }

    private let state = Mutex(State())
    private let overflow: CounterFamily

    package init() {
        overflow = CounterFamily(MetricNames.labelOverflow, onOverflow: {})
    }

    package func counter(_ definition: MetricDefinition) -> CounterFamily {
        add(CounterFamily(definition, onOverflow: overflowCounter(of: definition)))
    }

    package func gauge(_ definition: MetricDefinition) -> GaugeFamily {
        add(GaugeFamily(definition, onOverflow: overflowCounter(of: definition)))
    }

    package func histogram(_ definition: MetricDefinition) -> HistogramFamily {
        add(HistogramFamily(definition, onOverflow: overflowCounter(of: definition)))
    }

    private func overflowCounter(of definition: MetricDefinition) -> @Sendable () -> Void {
        let overflow = overflow
        return { overflow.add(1, definition.name) }
    }

    private func add<Family: MetricFamily>(_ family: Family) -> Family {
        state.withLock { $0.families.append(family) }
        return family
    }

    /// Prometheus text exposition format 0.0.4; serve as `text/plain; version=0.0.4; charset=utf-8`.
    package func text() -> [UInt8] {
        var output: [UInt8] = []
        for family in state.withLock({ $0.families }) { family.write(to: &output) }
        overflow.write(to: &output)
        return output
    }

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"
}

protocol MetricFamily: AnyObject, Sendable {
    func write(to output: inout [UInt8])
}

/// A number that only grows.
package final class Counter: Sendable {
    private let value = Atomic<UInt64>(0)

    package func add(_ amount: UInt64 = 1) { value.wrappingAdd(amount, ordering: .relaxed) }

    package var current: UInt64 { value.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let value = Atomic<Int64>(0)

    package func set(_ amount: Int64) { value.store(amount, ordering: .relaxed) }

    package func add(_ amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }

    package var current: Int64 { value.load(ordering: .relaxed) }
}

/// Counts observations into buckets.
package final class Histogram: Sendable {
    struct State {
        var counts: [UInt64]
        var sum = 0.0
    }

    let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: [UInt64](repeating: 0, count: bounds.count + 1)))
    }

    /// In the unit of the metric's name.
    package func observe(_ value: Double) {
        guard !value.isNaN else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock {
            $0.counts[bucket] &+= 1
            $0.sum += value
        }
    }

    package func observe(_ duration: Duration) {
        observe(Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18)
    }

    /// Counts by bucket (not cumulative), the last one is `+Inf`; and their sum.
    package var current: (counts: [UInt64], sum: Double) {
        state.withLock { ($0.counts, $0.sum) }
    }
}

/// The series of one metric by label values. Only so many: see `MetricDefinition.LabelDefinition`.
final class SeriesTable<Series: Sendable>: Sendable {
    private struct State {
        var series: [[String]: Series] = [:]
        var seen: [Set<String>]
    }

    static var other: String { "other" }

    let definition: MetricDefinition
    private let state: Mutex<State>
    private let make: @Sendable () -> Series
    private let onOverflow: @Sendable () -> Void

    init(_ definition: MetricDefinition, onOverflow: @escaping @Sendable () -> Void, make: @escaping @Sendable () -> Series)
    {
        self.definition = definition
        self.make = make
        self.onOverflow = onOverflow
        let first: [[String]: Series] = definition.labels.isEmpty ? [[]: make()] : [:]
        state = Mutex(State(series: first, seen: definition.labels.map { Set($0.values ?? []) }))
    }

    /// Too few values count as empty ones, too many are left out.
    func series(_ values: [String]) -> Series {
        var overflowed = false
        let found = state.withLock { state in
            if let found = state.series[values] { return found }
            var bounded: [String] = []
            for (index, label) in definition.labels.enumerated() {
                var value = index < values.count ? values[index] : ""
                if !state.seen[index].contains(value), value != Self.other {
                    if label.values == nil, state.seen[index].count < label.valuesMax {
                        state.seen[index].insert(value)
                    } else {
                        value = Self.other
                        overflowed = true
                    }
                }
                bounded.append(value)
            }
            if let found = state.series[bounded] { return found }
            let made = make()
            state.series[bounded] = made
            return made
        }
        if overflowed { onOverflow() }
        return found
    }

    /// In the order of their label values.
    var all: [(values: [String], series: Series)] {
        let series = state.withLock { $0.series }
        return series.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }
}

package final class CounterFamily: MetricFamily {
    let table: SeriesTable<Counter>

    init(_ definition: MetricDefinition, onOverflow: @escaping @Sendable () -> Void) {
        table = SeriesTable(definition, onOverflow: onOverflow) { Counter() }
    }

    /// Label values in the order of the definition's labels.
    package func series(_ values: String...) -> Counter { table.series(values) }

    package func add(_ amount: UInt64 = 1, _ values: String...) { table.series(values).add(amount) }

    func write(to output: inout [UInt8]) {
        Exposition.head(table.definition, to: &output)
        for (values, series) in table.all {
            Exposition.sample(
                table.definition.name, table.definition.labels, values, String(series.current), to: &output)
        }
    }
}

package final class GaugeFamily: MetricFamily {
    let table: SeriesTable<Gauge>

    init(_ definition: MetricDefinition, onOverflow: @escaping @Sendable () -> Void) {
        table = SeriesTable(definition, onOverflow: onOverflow) { Gauge() }
    }

    /// Label values in the order of the definition's labels.
    package func series(_ values: String...) -> Gauge { table.series(values) }

    func write(to output: inout [UInt8]) {
        Exposition.head(table.definition, to: &output)
        for (values, series) in table.all {
            Exposition.sample(
                table.definition.name, table.definition.labels, values, String(series.current), to: &output)
        }
    }
}

package final class HistogramFamily: MetricFamily {
    let table: SeriesTable<Histogram>

    init(_ definition: MetricDefinition, onOverflow: @escaping @Sendable () -> Void) {
        var bounds: [Double] = []
        if case .histogram(let given) = definition.kind { bounds = given }
        table = SeriesTable(definition, onOverflow: onOverflow) { [bounds] in Histogram(bounds: bounds) }
    }

    /// Label values in the order of the definition's labels.
    package func series(_ values: String...) -> Histogram { table.series(values) }

    func write(to output: inout [UInt8]) {
        let definition = table.definition
        Exposition.head(definition, to: &output)
        for (values, series) in table.all {
            let (counts, sum) = series.current
            var cumulative: UInt64 = 0
            for (index, count) in counts.enumerated() {
                cumulative &+= count
                let bound = index < series.bounds.count ? Exposition.number(series.bounds[index]) : "+Inf"
                Exposition.sample(
                    definition.name + "_bucket", definition.labels, values, String(cumulative), bound: bound,
                    to: &output)
            }
            Exposition.sample(definition.name + "_sum", definition.labels, values, Exposition.number(sum), to: &output)
            Exposition.sample(definition.name + "_count", definition.labels, values, String(cumulative), to: &output)
        }
    }
}
