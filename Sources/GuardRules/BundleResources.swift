internal import GuardCore
internal import GuardClassifiers
internal import GuardJSON
internal import GuardYAML

/// The files that rules name: word lists, schemas, models. Read when they are first named, once, and part of the bundle's
/// identity like the rule files.
final class BundleResources {
    struct Problem: Error {
        var message: String
    }

    typealias Source = (_ path: String) throws(Problem) -> RuleBundle.File

    /// Bytes of all of them.
    private static let totalBytesMax = 256 << 20

    private let source: Source
    private var known: [String: RuleBundle.File?] = [:]
    private var schemas: [String: JSONSchema?] = [:]
    private var models: [String: LinearClassifier?] = [:]
    private var bytes = 0

    init(_ source: @escaping Source) { self.source = source }

    /// Of a bundle in memory.
    convenience init(_ files: [RuleBundle.File]) {
        var byPath: [String: RuleBundle.File] = [:]
        for file in files { byPath[file.path] = file }
        self.init { path throws(Problem) in
            guard let file = byPath[path] else { throw Problem(message: "there is no such file") }
            return file
        }
    }

    /// What was named and could be read.
    var loaded: [RuleBundle.File] { known.values.compactMap { $0 } }

    /// `nil`: reported, at the first rule that names the file.
    func file(_ path: String, for reader: YAMLReader) -> RuleBundle.File? {
        if let file = known[path] { return file }
        do throws(Problem) {
            let file = try source(path)
            bytes += file.content.count
            guard bytes <= Self.totalBytesMax else {
                throw Problem(message: "the files that rules name have more than \(Self.totalBytesMax) bytes together")
            }
            known[path] = file
            return file
        } catch {
            known[path] = .some(nil)
            reader.report("cannot read '\(path)': \(error.message)")
            return nil
        }
    }

    func schema(_ file: RuleBundle.File, _ problems: YAMLProblems) -> JSONSchema? {
        if let schema = schemas[file.path] { return schema }
        var schema: JSONSchema?
        do {
            schema = JSONSchema.compile(YAMLReader(try JSONTree.read(file.content), file: file.shownAs, problems))
        } catch {
            let place = JSONTree.place(error.offset, in: file.content)
            problems.add(
                Diagnostic(file: file.shownAs, line: place.line, column: place.column, error.code.rawValue))
        }
        schemas[file.path] = .some(schema)
        return schema
    }

    func model(_ file: RuleBundle.File, for reader: YAMLReader) -> LinearClassifier? {
        if let model = models[file.path] { return model }
        var model: LinearClassifier?
        do {
            model = try LinearClassifier(file.content)
        } catch {
            reader.report("'\(file.path)' is no classifier that can be used: \(error)")
        }
        models[file.path] = .some(model)
        return model
    }
}

extension ConditionCompiler {
    /// A path in the policy folder.
    func path(_ reader: YAMLReader) -> String? {
        guard let path = reader.nonEmptyString() else { return nil }
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isInside = parts.allSatisfy { part in
            !part.isEmpty && !part.elementsEqual("..".utf8) && !part.elementsEqual(".".utf8)
        }
        guard isInside, path.utf8.count <= 1024, !path.utf8.contains(0) else {
            reader.report("expected a path in the policy folder, such as 'lists/names.txt'")
            return nil
        }
        return path
    }
}
