/// One metric as a table row: what it is called, what it counts, and which labels it may carry.
package struct MetricDefinition: Sendable {
    package enum Kind: Sendable, Hashable {
        case counter
        case gauge
        /// Upper bounds, ascending, in the metric's unit; `+Inf` is added.
        case histogram(bounds: [Double])
    }

    package struct LabelDefinition: Sendable, Hashable {
        /// Other values become `other`. `nil`: any value, as long as there are fewer than `valuesMax`.
        package var values: [String]?
        package var name: String
        package var valuesMax: Int

        package static func closed(_ name: String, _ values: [String]) -> LabelDefinition {
            LabelDefinition(values: values, name: name, valuesMax: values.count)
        }

        package static func open(_ name: String, max: Int) -> LabelDefinition {
            LabelDefinition(values: nil, name: name, valuesMax: max)
        }
    }

    package var name: String
    /// One sentence; units are in the name.
    package var help: String
    package var kind: Kind
    package var labels: [LabelDefinition]

    package init(_ name: String, _ kind: Kind, _ help: String, labels: [LabelDefinition] = []) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
    }
}
