/// Prometheus text exposition format 0.0.4.
enum Exposition {
    static func head(_ definition: MetricDefinition, to output: inout [UInt8]) {
        let kind =
            switch definition.kind {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        output += "# HELP \(definition.name) ".utf8
        escape(definition.help, quotes: false, to: &output)
        output += "\n# TYPE \(definition.name) \(kind)\n".utf8
    }

    /// `bound` becomes the label `le`.
    static func sample(
        _ name: String, _ labels: [MetricDefinition.LabelDefinition], _ values: [String], _ value: String,
        bound: String? = nil, to output: inout [UInt8]
    ) {
        output += name.utf8
        var separator = UInt8(ascii: "{")
        func label(_ name: String, _ value: String) {
            output.append(separator)
            separator = UInt8(ascii: ",")
            output += name.utf8
            output += "=\"".utf8
            escape(value, quotes: true, to: &output)
            output.append(UInt8(ascii: "\""))
        }
        for (definition, value) in zip(labels, values) { label(definition.name, value) }
        if let bound { label("le", bound) }
        if separator == UInt8(ascii: ",") { output.append(UInt8(ascii: "}")) }
        output.append(UInt8(ascii: " "))
        output += value.utf8
        output.append(UInt8(ascii: "\n"))
    }

    /// Backslash and line feed, and within label values also the double quote.
    static func escape(_ text: String, quotes: Bool, to output: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): output += "\\\\".utf8
            case UInt8(ascii: "\n"): output += "\\n".utf8
            case UInt8(ascii: "\"") where quotes: output += "\\\"".utf8
            default: output.append(byte)
            }
        }
    }

    /// Go's number syntax, whole numbers without a fraction.
    static func number(_ value: Double) -> String {
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.description
    }
}
