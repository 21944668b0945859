import GuardCore
import GuardPolicy
import GuardRules
import GuardTokenizers

/// The tokenizers that `tokens` conditions name for where no model is served.
enum RuleTokenizers {
    /// - Parameter directory: the policy folder; the names are paths in it.
    /// - Throws: `Diagnostics`, each at the rule that names the file.
    static func load(_ bundle: RuleBundle, directory: String) throws -> [String: Tokenizer] {
        var tokenizers: [String: Tokenizer] = [:]
        var problems: [Diagnostic] = []
        for rule in bundle.rules {
            for name in rule.tokensConditions.compactMap(\.tokenizer) where tokenizers[name] == nil {
                do {
                    tokenizers[name] = try Tokenizer.load(
                        path: directory.hasSuffix("/") ? directory + name : directory + "/" + name)
                } catch {
                    problems.append(
                        Diagnostic(
                            file: rule.place.file, line: rule.place.line, column: rule.place.column,
                            "the tokenizer '\(name)' of rule '\(rule.id)' cannot be used: \(error)"))
                }
            }
        }
        if !problems.isEmpty { throw Diagnostics(problems) }
        return tokenizers
    }
}
