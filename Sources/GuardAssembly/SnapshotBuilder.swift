package import GuardConfiguration
import GuardBudgets
import GuardChatTemplates
package import GuardCore
import GuardJSON
import GuardLLMSchema
package import GuardPolicy
import GuardRules
import GuardTokenizers
import Glibc
import Synchronization

/// Makes what requests are judged by out of a configuration: loads tokenizers, templates and rules. All problems of
/// one run are reported together; on any error nothing is made, and the snapshot in force stays.
package final class SnapshotBuilder: Sendable {
    /// Vocabularies are large and seldom change: a reload takes those whose files are the same from the run before.
    private let loaded = Mutex<[FileIdentity: LoadedModel]>([:])

    package init() {}

    private struct FileIdentity: Hashable {
        var path: String
        /// Device, inode, size and modification time of the folder or file, and of the files in it.
        var stamps: [Int64]
    }

    private struct LoadedModel: Sendable {
        var tokenizer: Tokenizer
        var templates: ModelTemplates
    }

    package struct Result: Sendable {
        package var snapshot: PolicySnapshot
        package var warnings: [Diagnostic]
    }

    package func build(_ configuration: Configuration) throws(Diagnostics) -> Result {
        var problems: [Diagnostic] = []
        var bundle = RuleBundle.empty
        if configuration.policy.pathIsGiven || access(configuration.policy.path, F_OK) == 0 {
            do { bundle = try RuleBundle.load(directory: configuration.policy.path) } catch { problems += error.list }
        } else {
            problems.append(
                Diagnostic(.warning, file: configuration.policy.path, "there is no such folder: no rules are in force"))
        }
        problems += bundle.warnings

        var kept: [FileIdentity: LoadedModel] = [:]
        let entries = configuration.models.map { entry($0, &kept, &problems) }
        if problems.contains(where: { $0.level == .error }) { throw Diagnostics(problems) }
        loaded.withLock { $0 = kept }

        let catalog = ModelCatalog(
            entries: entries, unknown: configuration.unknownModel == .refuse ? .refuse : .estimate,
            defaultModel: configuration.upstream.model)
        let snapshot = PolicySnapshot(
            options: options(configuration), catalog: catalog, bundle: bundle, budgets: configuration.budgets)
        return Result(snapshot: snapshot, warnings: problems)
    }

    private func entry(
        _ model: Configuration.Model, _ kept: inout [FileIdentity: LoadedModel], _ problems: inout [Diagnostic]
    ) -> ModelEntry {
        var entry = ModelEntry(
            match: model.match, aliases: model.aliases,
            counting: ModelEntry.Counting(rawValue: model.counting.rawValue) ?? .hf, contextWindow: model.contextWindow,
            maxInputTokens: model.maxInputTokens, defaultCompletionTokens: model.defaultCompletionTokens)
        if let deprecation = model.deprecation {
            entry.deprecation = .init(
                dateMilliseconds: deprecation.date?.start.milliseconds,
                sunsetMilliseconds: deprecation.sunset?.start.milliseconds, successor: deprecation.successor)
        }
        guard let path = model.tokenizer else {
            problems.append(
                Diagnostic(
                    .warning, file: model.match.pattern,
                    "this model has no tokenizer: its prompts are counted by an estimate"))
            return entry
        }
        let identity = Self.identity(of: path)
        if let known = kept[identity] ?? loaded.withLock({ $0[identity] }) {
            kept[identity] = known
            entry.serve(known.tokenizer, known.templates, .read(beside: path))
            return entry
        }
        do {
            let tokenizer = try Tokenizer.load(path: path)
            let model = LoadedModel(tokenizer: tokenizer, templates: try Self.templates(beside: path))
            // Tables that are made at first use are made now, not in the first request.
            _ = tokenizer.count(Array("Hello, world".utf8), specials: .parse, addSpecialTokens: true)
            kept[identity] = model
            entry.serve(model.tokenizer, model.templates, .read(beside: path))
        } catch let error as Diagnostic {
            problems.append(error)
        } catch {
            problems.append(Diagnostic(file: path, "\(error)"))
        }
        return entry
    }

    /// The chat template of a model folder; none for a lone file or a base model.
    private static func templates(beside path: String) throws -> ModelTemplates {
        let config = path + "/tokenizer_config.json"
        let lone = path + "/chat_template.jinja"
        let source = try FileBytes.read(lone, ifAbsent: nil)
        guard let json = try FileBytes.read(config, ifAbsent: source == nil ? nil : Array("{}".utf8)) else {
            return ModelTemplates()
        }
        do {
            return try ModelTemplates(
                TokenizerConfig(json: json, chatTemplate: source.map { String(decoding: $0, as: UTF8.self) }))
        } catch let error as TemplateError {
            throw Diagnostic(file: source == nil ? config : lone, line: error.line, column: error.line > 0 ? 1 : 0, "\(error)")
        } catch {
            throw Diagnostic(file: config, "\(error)")
        }
    }

    private static func identity(of path: String) -> FileIdentity {
        var stamps: [Int64] = []
        for name in ["", "/tokenizer.json", "/tokenizer.model", "/tekken.json", "/tokenizer_config.json", "/config.json", "/chat_template.jinja"] {
            var status = stat()
            guard stat(path + name, &status) == 0 else { continue }
            stamps += [
                Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino)), Int64(status.st_size),
                Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec),
            ]
        }
        return FileIdentity(path: path, stamps: stamps)
    }

    private func options(_ configuration: Configuration) -> PolicyOptions {
        var options = PolicyOptions()
        options.mode = configuration.mode
        options.policyMode = configuration.policy.mode
        options.failure = configuration.policy.failure == .closed ? .closed : .open
        options.blockStatus = configuration.policy.blockStatus
        options.onBlock = configuration.policy.onBlock == .error ? .error : .contentFilter
        options.holdBytes = configuration.limits.holdBytes
        options.responseBytes = configuration.limits.responseBytes
        options.request = RequestOptions(
            api: API(rawValue: configuration.upstream.api.rawValue) ?? .auto,
            refusesUnknownFields: configuration.unknownFields == .refuse)
        options.request.json.depthMax = configuration.limits.jsonDepth
        options.passThroughRoutes = configuration.routes.map { ($0.path, Set($0.methods)) }
        return options
    }
}
