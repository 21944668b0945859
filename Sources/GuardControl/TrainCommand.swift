package import ArgumentParser
import GuardClassifiers
import GuardCore
import GuardJSON
import GuardRules
import Glibc

/// `guardctl train`: as much of it as a `classify` rule needs to have a model.
package struct TrainCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Makes a classifier of labelled texts.",
        discussion: """
            Lines in: {"text", "labels": ["injection", ...]}; a text without labels is an example of none. The model is \
            the linear one that `classify` conditions read; the same lines give the same model.
            """)

    @Option(help: "File of JSON lines; - is standard input.")
    package var jsonl: String

    @Option(help: "The model file to write, .gclf.")
    package var out: String

    @Option(help: "Binary logarithm of the number of hash buckets: 4 to 22.")
    package var buckets = 16

    @Option(help: "Passes over the texts.")
    package var epochs = 30

    package init() {}

    package func run() async throws {
        guard (4...22).contains(buckets) else { throw ValidationError("--buckets: 4 to 22") }
        guard (1...1000).contains(epochs) else { throw ValidationError("--epochs: 1 to 1000") }
        var samples: [LinearClassifier.Sample] = []
        var names: Set<String> = []
        try JSONLines(path: jsonl).forEach { line in
            func problem(_ message: String) -> Diagnostic {
                Diagnostic(file: jsonl, "text \(samples.count + 1): \(message)")
            }
            guard let text = line["text"]?.stringBytes else { throw problem("'text' is a string") }
            let labels = line["labels"].map { list in list.elements.compactMap(\.string) } ?? []
            guard line["labels"]?.kind ?? .array == .array, labels.count == line["labels"]?.count ?? 0 else {
                throw problem("'labels' is a list of strings")
            }
            names.formUnion(labels)
            samples.append(LinearClassifier.Sample(text: FoldedView(raw: text).text, labels: Set(labels)))
        }
        guard !names.isEmpty, names.count <= 64, names.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 255 }) else {
            throw ValidationError("1 to 64 labels of 1 to 255 bytes are wanted")
        }
        var options = LinearClassifier.TrainingOptions()
        options.features.bucketsLog2 = buckets
        options.epochs = epochs
        let model = LinearClassifier.train(samples, labels: names.sorted(), options: options)
        try write(model.encoded())
        Console.line("\(out): \(samples.count) texts, labels \(names.sorted().joined(separator: ", "))")
    }

    /// Beside the file first, so that a model that is in use is never half a one.
    private func write(_ bytes: [UInt8]) throws {
        let temporary = out + ".new"
        guard let file = fopen(temporary, "wb") else { throw Diagnostic(file: out, String(cString: strerror(errno))) }
        let count = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, count == bytes.count, rename(temporary, out) == 0 else {
            throw Diagnostic(file: out, String(cString: strerror(errno)))
        }
    }
}
