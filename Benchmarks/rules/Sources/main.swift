import Foundation
import GuardCore
import GuardMatching
import GuardRules

// Figures of the matching engine: every rule set on the same texts, through `RuleBundle.evaluate` and pattern by
// pattern. Writes patterns, texts and matches for vectorscan.c and run.py, which compares.
//
//     rules-benchmark FOLDER CORPUS RULES [SET.yaml ...]
//
// GUARD_BENCHMARK_ONLY=SET measures one set; with GUARD_BENCHMARK_SECONDS=N it is run for so long and nothing else, for
// a profiler; with GUARD_BENCHMARK_PIECE=PIECE on that, repeated. GUARD_BENCHMARK_RULES=1 shows what single rules cost, GUARD_BENCHMARK_TEXTS=1 what single adversarial
// texts do, GUARD_BENCHMARK_READINGS=1 how the texts are read in the decoded view and what that costs
// (and nothing else).

struct Failure: Error, CustomStringConvertible { var description: String }

let arguments = CommandLine.arguments
guard arguments.count >= 4 else { throw Failure(description: "FOLDER CORPUS RULES [SET.yaml ...] are wanted") }
let folder = URL(fileURLWithPath: arguments[1])
let corpus = [UInt8](try Data(contentsOf: URL(fileURLWithPath: arguments[2])))
let texts = cut(corpus, count: 1000)
try write(texts, "texts.bin")

var sets: [(name: String, bundle: RuleBundle)] = []
for path in arguments.dropFirst(4) {
    let url = URL(fileURLWithPath: path)
    let file = RuleBundle.File(path: url.lastPathComponent, content: [UInt8](try Data(contentsOf: url)))
    sets.append((url.deletingPathExtension().lastPathComponent, try RuleBundle(files: [file])))
}
sets.append(("packs", try RuleBundle.load(directory: arguments[3])))
sets.append(("packs-as-raw", try rawPacks(arguments[3])))
sets.append(("words-100", try words(100)))
sets.append(("words-1000", try words(1000)))

let environment = ProcessInfo.processInfo.environment
for (name, bundle) in sets {
    if let only = environment["GUARD_BENCHMARK_ONLY"], only != name { continue }
    let raw = bundle.rules.indices.filter { bundle.rules[$0].view == .raw }
    if let seconds = environment["GUARD_BENCHMARK_SECONDS"].flatMap(Double.init) {
        let rules = environment["GUARD_BENCHMARK_RAW"] == nil ? Array(bundle.rules.indices) : raw
        var scratch = EvaluationScratch()
        let start = ContinuousClock.now
        var texts = texts
        if let piece = environment["GUARD_BENCHMARK_PIECE"].map({ Array($0.utf8) }), !piece.isEmpty {
            texts = [Array(Array(repeatElement(piece, count: 1024 / piece.count + 1).joined()).prefix(1024))]
        }
        while ContinuousClock.now - start < .seconds(seconds) {
            for text in texts { _ = bundle.evaluate(text.span, rules: rules, scratch: &scratch) }
        }
        continue
    }
    if environment["GUARD_BENCHMARK_READINGS"] != nil {
        readings(bundle)
        continue
    }
    if environment["GUARD_BENCHMARK_CANDIDATES"] != nil {
        candidates(bundle)
        continue
    }
    if name == "packs" { try measure("packs-all-views", bundle, Array(bundle.rules.indices), alone: true) }
    try measure(name == "packs" ? "packs-raw" : name, bundle, raw, alone: true)
    try adversarial(name == "packs" ? "packs-all-views" : name, bundle)
}

/// The patterns of the packs, all of them on the raw text. Views say whether case counts, so here patterns do.
func rawPacks(_ directory: String) throws -> RuleBundle {
    let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".yaml") }.sorted()
    return try RuleBundle(
        files: files.map { name in
            var text = try String(contentsOf: URL(fileURLWithPath: directory).appending(path: name), encoding: .utf8)
            // Those are of the raw view anyway.
            guard name != "hidden-text.yaml" else { return RuleBundle.File(path: name, content: Array(text.utf8)) }
            text = text.replacing("    view: decoded\n", with: "")
            text = text.replacing("    view: raw\n", with: "")
            text = text.replacing("\n    match:", with: "\n    view: raw\n    match:")
            text = text.replacing("pcre: '", with: "pcre: '(?i)").replacing("pcre: '(?i)(?-i)", with: "pcre: '")
            return RuleBundle.File(path: name, content: Array(text.utf8))
        })
}

/// How often patterns are looked at: of each view's patterns, on all texts together, the places that hold one of its
/// literals, those where its tail holds too, and the windows that are left.
func candidates(_ bundle: RuleBundle) {
    var rows: [(cost: Int, text: String)] = []
    var set = CandidateSet()
    var windows: [ByteRange] = []
    let folded = texts.map { FoldedView(raw: $0.span).text }
    for rule in bundle.rules {
        for detector in rule.detectors {
            let required = detector.required
            let filter = LiteralFilter([required])
            let literals = Set(required.any.map(\.bytes)).map {
                LiteralFilter([.init(any: [.init(bytes: $0, before: .none)])])
            }
            var (hits, entered, starts) = (0, 0, 0)
            for (index, text) in texts.enumerated() {
                let text = rule.view == .raw ? text : folded[index]
                for literal in literals {
                    literal.scan(text.span, into: &set)
                    set.windows(of: 0, into: &windows)
                    hits += windows.reduce(0) { $0 + $1.count }
                }
                filter.scan(text.span, into: &set)
                set.windows(of: 0, into: &windows)
                entered += windows.count
                starts += windows.reduce(0) { $0 + $1.count }
            }
            let shown = required.any.prefix(3).map { String(decoding: $0.bytes, as: UTF8.self).debugDescription }
            let run = required.run.map { "run \($0.bytes.count) bytes x \($0.length)" } ?? ""
            rows.append(
                (
                    hits + 20 * entered,
                    "\(rule.id) \(required.isUnknown ? "unknown" : "") \(literals.count) literals \(shown) \(run): \(hits) hits, \(entered) windows, \(starts) starts: \(detector.pattern.source.prefix(60))"
                ))
        }
    }
    for view in TextView.allCases {
        let detectors = bundle.rules.filter { $0.view == view }.flatMap(\.detectors)
        if detectors.isEmpty { continue }
        let filter = LiteralFilter(detectors.map(\.required))
        var number = 0
        let time = best(20, texts) {
            filter.scan((view == .raw ? $0 : folded[number % texts.count]).span, into: &set)
            number += 1
        }
        print("# \(Int(time) / texts.count) ns a text: filter of the \(view) view, \(filter.unknown.count) unknown")
    }
    for row in rows.sorted(by: { $0.cost > $1.cost }).prefix(60) { print("#", row.text) }
}

/// What the decoded view makes of the texts: of which kind its readings are, and where the time goes.
func readings(_ bundle: RuleBundle) {
    var kinds: [String: (texts: Int, readings: Int, bytes: Int)] = [:]
    var total = 0
    for text in texts {
        var seen: Set<String> = []
        for reading in bundle.furtherReadings(than: FoldedView(raw: text), of: text.span) {
            let isFirst = seen.insert(reading.name).inserted
            var sum = kinds[reading.name] ?? (0, 0, 0)
            let judged = reading.stretches.reduce(0) { $0 + $1.count }
            sum = (sum.texts + (isFirst ? 1 : 0), sum.readings + 1, sum.bytes + judged)
            kinds[reading.name] = sum
            total += 1
        }
    }
    print("# \(total) further readings of \(texts.count) texts")
    for (name, sum) in kinds.sorted(by: { $0.key < $1.key }) {
        print("#   \(name): \(sum.texts) texts, \(sum.readings) readings, \(sum.bytes) bytes judged")
    }
    var scratch = EvaluationScratch()
    func show(_ name: String, _ body: ([UInt8]) -> Void) {
        print("# \(Int(best(20, texts, body)) / texts.count) ns a text: \(name)")
    }
    for view in TextView.allCases {
        let rules = bundle.rules.indices.filter { bundle.rules[$0].view == view }
        show("rules of the \(view) view") { _ = bundle.evaluate($0.span, rules: rules, scratch: &scratch) }
        // On output they read the folded text only.
        show("on output") { _ = bundle.evaluate($0.span, rules: rules, phase: .output, scratch: &scratch) }
    }
    show("folded view") { _ = FoldedView(raw: $0.span) }
    let folded = texts.map { FoldedView(raw: $0.span) }
    var number = 0
    let all = Array(bundle.rules.indices)
    show("further readings, those in which no rule matches as well") {
        _ = bundle.furtherReadings(than: folded[number % texts.count], of: $0.span)
        number += 1
    }
    number = 0
    show("further readings in which rules match") {
        _ = bundle.furtherReadings(than: folded[number % texts.count], of: $0.span, all, .input, &scratch)
        number += 1
    }
}

/// Pieces of 1,024 bytes, spread evenly, on character boundaries.
func cut(_ corpus: [UInt8], count: Int) -> [[UInt8]] {
    let step = max(1, corpus.count / count)
    return (0..<count).compactMap { number in
        var start = number * step
        while start < corpus.count, corpus[start] & 0xC0 == 0x80 { start += 1 }
        var end = min(start + 1024, corpus.count)
        while end > start, end < corpus.count, corpus[end] & 0xC0 == 0x80 { end -= 1 }
        return start < end ? Array(corpus[start..<end]) : nil
    }
}

func write(_ texts: [[UInt8]], _ name: String) throws {
    var data = Data()
    for text in texts {
        withUnsafeBytes(of: UInt32(text.count).littleEndian) { data.append(contentsOf: $0) }
        data.append(contentsOf: text)
    }
    try data.write(to: folder.appending(path: name))
}

/// Rules that begin with a word of the corpus.
func words(_ count: Int) throws -> RuleBundle {
    var seen: Set<String> = []
    var list: [String] = []
    for word in String(decoding: corpus.prefix(4_000_000), as: UTF8.self).split(whereSeparator: { !$0.isLetter }) {
        let word = word.lowercased()
        guard word.utf8.count >= 6, word.utf8.allSatisfy({ $0 &- 0x61 < 26 }), seen.insert(word).inserted else {
            continue
        }
        list.append(word)
    }
    // Every n-th, so that frequent and rare ones are both there.
    let step = max(1, list.count / count)
    var file = "ruleset: words\nrules:\n"
    for number in 0..<count {
        file += "  - {id: w\(number), on: input, view: raw, action: flag, "
        file += "match: {pcre: '\\b\(list[number * step % list.count])[ \\t]{1,3}[a-z]{3,12}ing\\b'}}\n"
    }
    return try RuleBundle(files: [.init(path: "words.yaml", content: Array(file.utf8))])
}

func nanoseconds(_ body: () -> Void) -> Double {
    let start = ContinuousClock.now
    body()
    let took = (ContinuousClock.now - start).components
    return Double(took.attoseconds) / 1e9 + Double(took.seconds) * 1e9
}

/// The least time of each text, summed: what another process takes from the core counts for one text of one pass only.
func best(_ passes: Int, _ texts: [[UInt8]], _ body: ([UInt8]) -> Void) -> Double {
    var least = [Double](repeating: .infinity, count: texts.count)
    for _ in 0..<passes {
        for (index, text) in texts.enumerated() { least[index] = min(least[index], nanoseconds { body(text) }) }
    }
    return least.reduce(0, +)
}

func report(_ fields: [String: Any]) throws {
    print(String(decoding: try JSONSerialization.data(withJSONObject: fields, options: .sortedKeys), as: UTF8.self))
}

func measure(_ name: String, _ bundle: RuleBundle, _ rules: [Int], alone: Bool) throws {
    var scratch = EvaluationScratch()
    let bytes = texts.reduce(0) { $0 + $1.count }
    let time = best(20, texts) { _ = bundle.evaluate($0.span, rules: rules, scratch: &scratch) }

    var patterns = Data()
    var matches = ""
    var number = 0
    var aloneTime = 0.0
    for rule in rules {
        for detector in bundle.rules[rule].detectors {
            let validated = detector.validator != nil
            if bundle.rules[rule].view == .raw {
                let flag = (detector.pattern.options.caseless ? "i" : "-") + (validated ? "v" : "")
                patterns.append(contentsOf: Array("\(number)\0\(flag)\0\(detector.pattern.source)\0".utf8))
            }
            for (index, text) in texts.enumerated() {
                var from = 0
                while from < text.count,
                    case .match(let range) = detector.firstMatch(
                        in: text.span, from: from, mode: .complete, scratch: &scratch.match)
                {
                    if !validated { matches += "\(index) \(number) \(range.upperBound)\n" }
                    from = range.upperBound
                }
            }
            aloneTime += best(2, texts) { text in
                var from = 0
                while from < text.count,
                    case .match(let range) = detector.firstMatch(
                        in: text.span, from: from, mode: .complete, scratch: &scratch.match)
                {
                    from = range.upperBound
                }
            }
            number += 1
        }
    }
    // What the engine finds with its prefilter is what it finds without.
    var without = EvaluationScratch()
    without.usesPrefilter = false
    for text in texts {
        let found = bundle.evaluate(text.span, rules: rules, scratch: &scratch)
        let plain = bundle.evaluate(text.span, rules: rules, scratch: &without)
        if !found.failures.isEmpty || !plain.failures.isEmpty {
            let failed = Set((found.failures + plain.failures).map { bundle.rules[$0.rule].id.name }).sorted()
            print(
                "# \(name): failed with \(found.failures.count), without prefilter \(plain.failures.count): \(failed)")
        }
        // A rule that failed without has not been asked for the rest of the text.
        let failed = Set(plain.failures.map(\.rule))
        guard found.matches.filter({ !failed.contains($0.rule) }) == plain.matches.filter({ !failed.contains($0.rule) })
        else {
            let text = String(decoding: text, as: UTF8.self).debugDescription
            throw Failure(description: "\(name): the prefilter changes what is found in \(text)")
        }
    }
    try patterns.write(to: folder.appending(path: name + ".patterns"))
    try Data(matches.utf8).write(to: folder.appending(path: name + ".ours"))
    try report([
        "set": name, "rules": rules.count, "patterns": number, "bytes": bytes, "texts": texts.count,
        "nanoseconds": time,
        "aloneNanoseconds": aloneTime,
    ])
    if environment["GUARD_BENCHMARK_RULES"] != nil {
        _ = bundle.timeAccount.take()
        for text in texts { _ = bundle.evaluate(text.span, rules: rules, scratch: &scratch) }
        let spent = bundle.timeAccount.take()
        for rule in spent.indices.sorted(by: { spent[$0] > spent[$1] }).prefix(14) {
            let unknown = bundle.rules[rule].detectors.count { $0.required.isUnknown }
            print("#", spent[rule] / UInt64(texts.count), "ns a text:", bundle.rules[rule].id, "unknown \(unknown)")
        }
    }
}

/// Texts made to be bad for the engine, against the clean ones.
func adversarial(_ name: String, _ bundle: RuleBundle) throws {
    let rules = Array(bundle.rules.indices)
    var scratch = EvaluationScratch()
    var all: [(cost: Double, text: String, bytes: [UInt8])] = []
    func cost(_ text: [UInt8], _ passes: Int) -> Double {
        best(passes, [text]) { _ = bundle.evaluate($0.span, rules: rules, scratch: &scratch) } / Double(text.count)
    }
    let clean = texts.reduce(0) { $0 + cost($1, 3) } / Double(texts.count)
    func filled(_ piece: [UInt8]) -> [UInt8] {
        Array(Array(repeatElement(piece, count: 1024 / max(1, piece.count) + 1).joined()).prefix(1024))
    }
    var worst = (cost: 0.0, text: "")
    var pieces = [
        "a", "1", "-", "@", " ", ".", "a@", "1 ", "1-", "a.", "a:", "::", "1.1.", "key=", "token: ", "\"secret\": \"",
        "A1b2",
        "//", "0x", "aB3", "+1 ", "eyJ", "<|", "![](", "\n", "ſ", "\u{212A}",
    ].map { Array($0.utf8) }
    for rule in bundle.rules {
        for detector in rule.detectors { pieces += detector.required.any.prefix(3).map(\.bytes) }
    }
    for piece in pieces {
        let text = filled(piece)
        guard String(validating: text, as: UTF8.self) != nil else { continue }
        let cost = cost(text, 3)
        all.append((cost, String(decoding: piece, as: UTF8.self), text))
        if cost > worst.cost { worst = (cost, String(decoding: piece, as: UTF8.self)) }
    }
    // Random mixtures of the pieces.
    var state: UInt64 = 1
    for _ in 0..<200 {
        var text: [UInt8] = []
        while text.count < 1024 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            text += pieces[Int(state >> 33) % pieces.count]
        }
        guard String(validating: text, as: UTF8.self) != nil else { continue }
        let cost = cost(text, 3)
        all.append((cost, "a mixture", text))
        if cost > worst.cost { worst = (cost, "a mixture") }
    }
    if environment["GUARD_BENCHMARK_TEXTS"] != nil {
        for (cost, text, bytes) in all.sorted(by: { $0.cost > $1.cost }).prefix(16) {
            _ = bundle.timeAccount.take()
            let found = bundle.evaluate(bytes.span, rules: rules, scratch: &scratch)
            let spent = bundle.timeAccount.take()
            let most = spent.indices.sorted { spent[$0] > spent[$1] }.prefix(4)
                .map { "\(bundle.rules[$0].id) \(spent[$0])" }
            print(
                "#", cost / clean, "x clean:", text.debugDescription, "\(cost * Double(bytes.count)) ns,",
                "\(found.matches.count) matches,", most.joined(separator: ", "))
        }
    }
    try report([
        "adversarial": name, "cleanNanosecondsPerByte": clean, "worstNanosecondsPerByte": worst.cost,
        "text": worst.text,
    ])
}
