internal import Crypto
package import GuardCore
internal import GuardYAML

/// A set of rule files, checked and compiled as one: the policy. Immutable; a reload makes a new one.
package final class RuleBundle: Sendable {
    /// Sorted by id.
    package let rules: [CompiledRule]
    /// SHA-256 over the sorted (path, content) of what was loaded, in lower-case hexadecimal: `policy.hash` of records.
    package let hash: String
    /// The first 12 digits of `hash`, for people.
    package var version: String { String(hash.prefix(12)) }
    /// What was odd but no error.
    package let warnings: [Diagnostic]
    /// Paths of the rule files and of the files that they name, relative to the bundle's folder, sorted.
    package let files: [String]

    /// The files that rules name, for compiling a rule of them anew.
    private let resources: [File]
    let inputSelection: RuleSelection
    let outputSelection: RuleSelection
    /// What is selected depends on the request or on the time.
    package let hasConditions: Bool
    let hasComposed: Bool
    let hasAllowances: Bool
    /// What rules find may depend on the served model's tokenizer.
    package let countsTokens: Bool
    let prefilter: PrefilterPlan
    /// Made for a few texts: what takes long to make and only makes judging faster was left out.
    package let isLight: Bool
    /// What the rules cost; for the metrics.
    package let timeAccount: RuleTimeAccount

    /// One file of a bundle in memory.
    package struct File: Sendable {
        /// Relative to the bundle's folder, `/` between names.
        package var path: String
        package var content: [UInt8]
        /// How messages name the file; not part of the bundle's identity.
        package var shownAs: String

        package init(path: String, content: [UInt8], shownAs: String? = nil) {
            self.path = path
            self.content = content
            self.shownAs = shownAs ?? path
        }
    }

    /// A bundle without rules.
    package static let empty = RuleBundle(rules: [], files: [], warnings: [])

    /// Compiles rule files held in memory.
    ///
    /// - Parameter resources: files that rules may name: word lists, schemas, models.
    /// - Throws: every problem of every file in one run.
    package convenience init(files: [File], resources: [File] = []) throws(Diagnostics) {
        try self.init(files: files, resources: BundleResources(resources))
    }

    private convenience init(files: [File], resources: BundleResources) throws(Diagnostics) {
        let compiler = RuleCompiler(resources: resources)
        for file in Self.sorted(files) { compiler.add(file) }
        let (rules, warnings) = try compiler.finish()
        let named = resources.loaded
        self.init(rules: rules, files: Self.sorted(files + named), resources: named, warnings: warnings)
    }

    private static func sorted(_ files: [File]) -> [File] {
        files.sorted { Array($0.path.utf8).lexicographicallyPrecedes(Array($1.path.utf8)) }
    }

    /// Loads a folder: every `*.yaml` and `*.yml` below it but dot names and `tests/`, and the files that these name.
    /// `BundleReader` says how links
    /// and sizes are treated.
    package static func load(directory: String, limits: BundleLimits = BundleLimits()) throws(Diagnostics) -> RuleBundle
    {
        let reader = BundleReader(limits: limits)
        return try reader.whileUnchanged(directory) { () throws(Diagnostics) -> RuleBundle in
            let resources = BundleResources { path throws(BundleResources.Problem) in
                try reader.resource(path, directory)
            }
            return try RuleBundle(files: try reader.ruleFiles(directory), resources: resources)
        }
    }

    private init(
        rules: [CompiledRule], files: [File], resources: [File] = [], warnings: [Diagnostic],
        readings: ReadingNeeds? = nil, isLight: Bool = false
    ) {
        self.rules = rules
        self.isLight = isLight
        self.resources = resources
        self.warnings = warnings
        self.files = files.map(\.path)
        hash = Self.hash(files)
        inputSelection = RuleSelection(phase: .input, rules: rules)
        outputSelection = RuleSelection(phase: .output, rules: rules)
        hasConditions = rules.contains { !$0.when.isAlways || $0.allowance?.expires != nil }
        hasComposed = rules.contains { !$0.isFlat }
        hasAllowances = rules.contains { $0.allowance != nil }
        countsTokens = rules.contains { !$0.tokensConditions.isEmpty }
        prefilter = PrefilterPlan(rules, readings: readings, filters: !isLight)
        timeAccount = RuleTimeAccount(rules: rules.count)
    }

    /// A rule compiled from another node, for the place of `rule`; nil where that does not load.
    func recompiled(_ rule: CompiledRule, from node: YAMLNode) -> CompiledRule? {
        let compiler = RuleCompiler(resources: BundleResources(resources))
        compiler.add(YAMLReader(node, file: rule.place.file, compiler.problems))
        guard var changed = compiler.rules.first, !compiler.problems.hasErrors else { return nil }
        changed.index = rule.index
        changed.allowance = rule.allowance
        return changed
    }

    /// The bundle with another rule in the place of the one with its index.
    func replacing(_ rule: CompiledRule, isLight: Bool) -> RuleBundle {
        var rules = rules
        rules[rule.index] = rule
        return RuleBundle(rules: rules, files: [], resources: resources, warnings: [], isLight: isLight)
    }

    /// Some rules by themselves, but that texts are read as `readings` says; allowances allow nothing.
    static func alone(_ rules: [CompiledRule], readings: ReadingNeeds, isLight: Bool) -> RuleBundle {
        var rules = rules
        for index in rules.indices {
            rules[index].index = index
            rules[index].allowance?.suppresses = []
        }
        return RuleBundle(rules: rules, files: [], warnings: [], readings: readings, isLight: isLight)
    }

    package func rule(_ id: RuleID) -> CompiledRule? {
        var low = 0
        var high = rules.count
        while low < high {
            let middle = (low + high) / 2
            if rules[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < rules.count && rules[low].id == id ? rules[low] : nil
    }

    /// Lengths go in before path and content, so that no other division of the same bytes gives the same hash.
    private static func hash(_ files: [File]) -> String {
        var sha = SHA256()
        for file in files {
            for part in [Array(file.path.utf8), file.content] {
                withUnsafeBytes(of: UInt64(part.count).bigEndian) { sha.update(bufferPointer: $0) }
                sha.update(data: part)
            }
        }
        return hexadecimal(sha.finalize())
    }
}
