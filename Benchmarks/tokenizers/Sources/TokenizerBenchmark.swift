import Glibc
import GuardCore
import GuardTokenizers

/// Measures our side of run.py: `tokenizer-benchmark TOKENIZER CORPUS`, then one command a line on standard input and
/// one line of answer for each, so that the script can take turns between us and the peers.
@main
struct TokenizerBenchmark {
    var path: String
    var tokenizer: Tokenizer
    var corpus: [UInt8]
    /// 100 KB pieces.
    var texts: [[UInt8]]
    /// 1 KB pieces.
    var prompts: [[UInt8]]

    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else { fail("usage: tokenizer-benchmark TOKENIZER CORPUS") }
        let before = resident()
        var loaded: Tokenizer?
        let start = seconds { loaded = load(arguments[1]) }
        guard let loaded else { fail("not loaded") }
        let startLine = "\(start) \(before) \(resident())"
        let corpus = read(arguments[2])
        var benchmark = TokenizerBenchmark(
            path: arguments[1], tokenizer: loaded, corpus: corpus, texts: cut(corpus, 100_000), prompts: cut(corpus, 1_000))
        while let line = readLine() {
            print(line == "start" ? startLine : benchmark.run(line))
            fflush(nil)
        }
    }

    mutating func run(_ command: String) -> String {
        let half = texts.count / 2
        switch command {
        case "fresh":
            // A tokenizer of its own has an empty cache.
            tokenizer = Self.load(path)
            return "ok"
        case "encode": return measure { encode(texts[...]) }
        case "count": return measure { count(texts[...]) }
        case "encode-half-0": return measure { encode(texts[..<half]) }
        case "encode-half-1": return measure { encode(texts[half...]) }
        case "count-half-0": return measure { count(texts[..<half]) }
        case "count-half-1": return measure { count(texts[half...]) }
        case "warm":
            // Tables that are made at the first use.
            return measure { tokenizer.count(Array("first use: é".utf8), addSpecialTokens: false) }
        case "whole":
            // One text, however long: what hostile input costs.
            return measure { tokenizer.count(corpus, addSpecialTokens: false) }
        case "prompts":
            var total = 0
            var times: [Double] = []
            for index in prompts.indices { times.append(Self.seconds { total += count(prompts[index...index]) }) }
            times.sort()
            return "\(times[times.count / 2]) \(times[times.count * 99 / 100]) \(total)"
        default:
            let parts = command.split(separator: " ", maxSplits: 1)
            if parts.count == 2, parts[0] == "compile" {
                do {
                    try TokenizerImage.write(tokenizer, to: String(parts[1]))
                } catch {
                    Self.fail(error.description)
                }
                return "ok"
            }
            Self.fail("unknown command \(command)")
        }
    }

    private func measure(_ body: () -> Int) -> String {
        var total = 0
        // Processor time, as run.py takes it of the peers.
        let start = Self.processorTime()
        total = body()
        let elapsed = Self.processorTime() - start
        return "\(elapsed) \(total)"
    }

    private func encode(_ texts: ArraySlice<[UInt8]>) -> Int {
        texts.reduce(0) { $0 + tokenizer.encode($1, addSpecialTokens: false).count }
    }

    private func count(_ texts: ArraySlice<[UInt8]>) -> Int {
        texts.reduce(0) { $0 + tokenizer.count($1, addSpecialTokens: false) }
    }

    // MARK: Parts

    static func fail(_ message: String) -> Never {
        let line = Array("tokenizer-benchmark: \(message)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        exit(2)
    }

    static func load(_ path: String) -> Tokenizer {
        do {
            return try Tokenizer.load(path: path)
        } catch {
            fail(error.description)
        }
    }

    static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { fail("cannot read \(path)") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let got = fread(&chunk, 1, chunk.count, file)
            if got == 0 { return bytes }
            bytes += chunk[..<got]
        }
    }

    static func seconds(_ body: () -> Void) -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        body()
        let elapsed = (clock.now - start).components
        return Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
    }

    static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Whole UTF-8 characters, about `size` bytes each: as run.py cuts them for the peers.
    static func cut(_ bytes: [UInt8], _ size: Int) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            var end = min(start + size, bytes.count)
            while end < bytes.count && bytes[end] & 0xC0 == 0x80 { end += 1 }
            parts.append(Array(bytes[start..<end]))
            start = end
        }
        return parts
    }

    /// Resident set in KiB.
    static func resident() -> Int {
        let fields = String(decoding: read("/proc/self/statm"), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024 : 0
    }
}
