package import GuardConfiguration
import GuardCore
package import GuardPolicy
import GuardRules
import GuardTokenizers

/// What is in force, for the log at start and `guardctl config print`: nobody should have to guess whether a guard
/// guards. The configuration says what was asked for, the snapshot what came of it.
package enum Posture {
    package static func lines(_ configuration: Configuration, _ snapshot: PolicySnapshot) -> [String] {
        let bundle = snapshot.bundle
        var lines = configuration.posture()
        for entry in snapshot.catalog.entries {
            let tokenizer = entry.tokenizer.map { "\($0.format.rawValue) \($0.hash.prefix(12))" } ?? "none"
            let template = entry.templates.standard == nil ? "no chat template" : "chat template"
            lines.append("loaded for \(entry.match): tokenizer \(tokenizer), \(template)")
        }
        lines.append("rules: \(bundle.rules.count) of bundle \(bundle.version)")
        for phase in Phase.allCases {
            let rules = bundle.rules.filter { $0.phases.contains(phase) && $0.mode == .enforce }
            let counts = [Action.block, .mask, .flag].map { action in
                "\(rules.count { $0.action == action }) \(action.rawValue)"
            }
            lines.append("rules on \(phase.rawValue): \(counts.joined(separator: ", "))")
        }
        let quiet = bundle.rules.filter { $0.mode != .enforce }.map { "\($0.id) (\($0.mode.rawValue))" }
        if !quiet.isEmpty { lines.append("rules not enforced: \(quiet.joined(separator: ", "))") }
        let conditional = bundle.rules.filter { !$0.when.isAlways }.map(\.id.name)
        if !conditional.isEmpty { lines.append("rules with conditions: \(conditional.joined(separator: ", "))") }
        return lines
    }
}
