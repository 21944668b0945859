package import ArgumentParser

/// `guardctl tokenizer`
package struct TokenizerCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "tokenizer",
        abstract: "Gets, describes, compiles and verifies tokenizers (docs/tokenizers.md).",
        subcommands: [
            TokenizerInspectCommand.self, TokenizerCompileCommand.self, TokenizerVerifyCommand.self,
            TokenizerPullCommand.self,
        ])

    package init() {}
}
