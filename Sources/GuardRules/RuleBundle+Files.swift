package import GuardCore

/// The files of a policy folder as they are, for tools that read the source.
extension RuleBundle {
    /// What `load` compiles.
    package static func ruleFiles(
        directory: String, limits: BundleLimits = BundleLimits()
    ) throws(Diagnostics) -> [File] {
        try BundleReader(limits: limits).ruleFiles(directory)
    }

    /// What `RuleCase.load` reads.
    package static func caseFiles(
        directory: String, limits: BundleLimits = BundleLimits()
    ) throws(Diagnostics) -> [File] {
        try BundleReader(limits: limits).caseFiles(directory)
    }
}

/// Which scalars a folded text can hold.
package enum FoldedScalars {
    /// False of what the fold changes or drops wherever it stands: no folded text has it.
    package static func contains(_ scalar: Unicode.Scalar) -> Bool { FoldTable.shared.entry(scalar.value) >= FoldTable.mark }
}

extension RulePlace {
    package init(at file: String, line: Int, column: Int) { self.init(file: file, line: line, column: column) }
}
