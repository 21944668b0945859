package import ArgumentParser
package import GuardAuthoring

extension SchemaName: ExpressibleByArgument {}

/// `guardctl schema`
package struct SchemaCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Prints the JSON Schema (2020-12) of rule sets, guard.yaml or case files, with the defaults.")

    @Argument(help: "Which: \(SchemaName.allCases.map(\.rawValue).joined(separator: ", ")).")
    package var name = SchemaName.rules

    package init() {}

    package func run() async throws { Console.line(name.json) }
}
