import Foundation
import GuardCore
import GuardJSON
import Glibc
import Synchronization
import Testing

@testable import GuardDecisionLog

struct DecisionLogTests {
    private func temporaryFile() -> String { NSTemporaryDirectory() + "guard-log-\(UUID().uuidString).jsonl" }

    private func lines(_ path: String) -> [[UInt8]] {
        let data = FileManager.default.contents(atPath: path).map { Array($0) } ?? []
        return data.split(separator: UInt8(ascii: "\n")).map { Array($0) }
    }

    // MARK: Chain

    private func chained(_ count: Int, epoch: Int64 = 1, previous: [UInt8]? = nil) -> [[UInt8]] {
        var chain = RecordChain(writer: "pod/file", epoch: epoch, previous: previous)
        return (0..<count).map { chain.line(of: RecordTests.record($0).encoded()) }
    }

    @Test func aChainVerifies() throws {
        let text = chained(5).flatMap { $0 }
        #expect(ChainVerifier.problems(in: text).isEmpty)
        let first = try JSONDocument(Array(chained(1)[0].dropLast())).root
        #expect(first["chain"]?["seq"]?.integer == 0)
        #expect(first["chain"]?["prev"]?.string == String(repeating: "0", count: 64))
        #expect(first["chain"]?["hash"]?.string?.utf8.count == 64)
    }

    @Test func everyChangedByteShows() {
        let lines = chained(3)
        let text = lines.flatMap { $0 }
        for index in stride(from: 0, to: text.count, by: 7) where text[index] != UInt8(ascii: "\n") {
            var changed = text
            changed[index] ^= 1
            #expect(!ChainVerifier.problems(in: changed).isEmpty, "byte \(index)")
        }
    }

    @Test func missingMovedAndRepeatedLinesShow() {
        let lines = chained(4)
        func problems(_ order: [Int]) -> [ChainVerifier.Problem] {
            ChainVerifier.problems(in: order.flatMap { lines[$0] })
        }
        #expect(problems([0, 2, 3]) == [.broken(line: 2, expectedSeq: 1, foundSeq: 2)])
        #expect(!problems([0, 2, 1, 3]).isEmpty)
        #expect(!problems([0, 1, 1, 2]).isEmpty)
        #expect(problems([1, 2, 3]).isEmpty)
    }

    @Test func aNewEpochContinues() {
        let first = chained(2)
        let hash = RecordChain.parse(Array(first[1].dropLast()))?.link.hash
        let linked = chained(2, epoch: 2, previous: hash)
        #expect(ChainVerifier.problems(in: (first + linked).flatMap { $0 }).isEmpty)
        let strange = chained(2, epoch: 2, previous: [UInt8](repeating: 9, count: 32))
        #expect(ChainVerifier.problems(in: (first + strange).flatMap { $0 }) == [.unlinked(line: 3)])
    }

    // MARK: Files

    @Test func writesAndContinuesAFile() throws {
        let path = temporaryFile()
        defer { try? FileManager.default.removeItem(atPath: path) }
        for _ in 0..<2 {
            let log = try DecisionLog(sinks: [.init(kind: .file(path: path), onFull: .block)], writer: "pod")
            for number in 0..<10 { log.append(RecordTests.record(number)) }
            #expect(log.shutdown(deadline: .seconds(10)) == 0)
            usleep(2000)
        }
        let text = lines(path)
        #expect(text.count == 20)
        #expect(ChainVerifier.problems(in: Array(text.joined(separator: [0x0a]))).isEmpty)
        let prev = try JSONDocument(text[10]).root["chain"]?["prev"]?.string
        #expect(try prev == JSONDocument(text[9]).root["chain"]?["hash"]?.string)
    }

    @Test func rotates() throws {
        let path = temporaryFile()
        let log = try DecisionLog(
            sinks: [.init(kind: .file(path: path, rotateBytes: 4000, keep: 3), onFull: .block)], writer: "pod")
        for number in 0..<40 { log.append(RecordTests.record(number)) }
        #expect(log.shutdown(deadline: .seconds(10)) == 0)
        var all: [[UInt8]] = []
        for file in ["\(path).3", "\(path).2", "\(path).1", path] {
            let size = try #require(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int)
            #expect(size > 0 && size <= 4000)
            all += lines(file)
            try? FileManager.default.removeItem(atPath: file)
        }
        #expect(!FileManager.default.fileExists(atPath: "\(path).4"))
        #expect(ChainVerifier.problems(in: Array(all.joined(separator: [0x0a]))).isEmpty)
        #expect(try JSONDocument(try #require(all.last)).root["chain"]?["seq"]?.integer == 39)
    }

    @Test func reopensAfterAnExternalRotation() throws {
        let path = temporaryFile()
        let log = try DecisionLog(sinks: [.init(kind: .file(path: path), onFull: .block)], writer: "pod")
        log.append(RecordTests.record(0))
        while lines(path).isEmpty { usleep(1000) }
        try FileManager.default.moveItem(atPath: path, toPath: path + ".moved")
        log.reopen()
        log.append(RecordTests.record(1))
        #expect(log.shutdown(deadline: .seconds(10)) == 0)
        #expect(lines(path).count == 1)
        #expect(ChainVerifier.problems(in: Array((lines(path + ".moved") + lines(path)).joined(separator: [0x0a]))).isEmpty)
        for file in [path, path + ".moved"] { try? FileManager.default.removeItem(atPath: file) }
    }

    @Test func aFileThatCannotBeOpenedIsAnError() {
        #expect(throws: DecisionLogError.self) {
            _ = try DecisionLog(sinks: [.init(kind: .file(path: "/nonexistent/x.jsonl"), onFull: .drop)], writer: "pod")
        }
    }

    // MARK: Full buffers and faulty outputs

    private func sink(
        _ output: FaultyOutput, _ onFull: DecisionLog.OnFull, records: Int = 4, events: Events = Events()
    ) -> RecordSink {
        RecordSink(
            name: "test", writer: "pod",
            configuration: .init(kind: .stdout, onFull: onFull, bufferRecordsMax: records), output: output,
            now: { Timestamp(milliseconds: 1) }, onEvent: { events.add($0) })
    }

    @Test func dropsAndCountsInTheChain() throws {
        let output = FaultyOutput()
        let events = Events()
        output.hold()
        let sink = sink(output, .drop, events: events)
        let log = DecisionLog(sinks: [sink])
        for number in 0..<50 { log.append(RecordTests.record(number)) }
        #expect(!log.isFull)
        output.release()
        #expect(log.shutdown(deadline: .seconds(10)) == 0)
        let written = output.lines
        #expect(ChainVerifier.problems(in: written.flatMap { $0 }).isEmpty)
        var dropped = 0
        var kept = 0
        for line in written {
            let root = try JSONDocument(Array(line.dropLast())).root
            if root["kind"]?.string == "dropped" { dropped += Int(root["dropped"]?.integer ?? 0) } else { kept += 1 }
        }
        #expect(dropped > 0)
        #expect(dropped + kept == 50)
        #expect(events.dropped == dropped)
    }

    @Test func blockStopsAdmissionAndLosesNothing() throws {
        let output = FaultyOutput()
        output.hold()
        let log = DecisionLog(sinks: [sink(output, .block)])
        #expect(!log.isFull)
        var number = 0
        while !log.isFull, number < 100 {
            log.append(RecordTests.record(number))
            number += 1
        }
        #expect(log.isFull)
        // A request that already runs still has its place.
        log.append(RecordTests.record(number))
        output.release()
        #expect(log.shutdown(deadline: .seconds(10)) == 0)
        #expect(output.lines.count == number + 1)
        #expect(!log.isFull)
    }

    @Test func writeErrorsAreCountedAndNothingCrashes() throws {
        let output = FaultyOutput()
        let events = Events()
        output.fail(times: 3, with: OutputError(errno: EPIPE, isTemporary: false))
        let log = DecisionLog(sinks: [sink(output, .drop, records: 100, events: events)])
        for number in 0..<10 {
            log.append(RecordTests.record(number))
        }
        _ = log.shutdown(deadline: .seconds(10))
        #expect(events.failed > 0)
        #expect(events.dropped == 3)
        #expect(ChainVerifier.problems(in: output.lines.flatMap { $0 }).isEmpty)
        #expect(output.lines.count >= 7)
    }

    @Test func blockTriesAgainWhileTheDiskIsFull() throws {
        let output = FaultyOutput()
        output.fail(times: 2, with: OutputError(errno: ENOSPC, isTemporary: true))
        let log = DecisionLog(sinks: [sink(output, .block, records: 100)])
        for number in 0..<3 { log.append(RecordTests.record(number)) }
        #expect(log.shutdown(deadline: .seconds(10)) == 0)
        #expect(output.lines.count == 3)
    }

    /// Records that wait together leave in few writes, in order, chained; a write that fails is made record by record.
    @Test(arguments: [0, 1])
    func manyRecordsLeaveInFewWrites(failures: Int) throws {
        let output = FaultyOutput(groupBytesMax: 10_000)
        output.hold()
        let log = DecisionLog(sinks: [sink(output, .drop, records: 1000)])
        for number in 0..<200 { log.append(RecordTests.record(number)) }
        output.fail(times: failures, with: OutputError(errno: EPIPE, isTemporary: false))
        output.release()
        #expect(log.shutdown(deadline: .seconds(10)) == 0)
        #expect(output.lines.count >= 200 - failures)
        #expect(ChainVerifier.problems(in: output.lines.flatMap { $0 }).isEmpty)
        if failures == 0 { #expect(output.writes < 100) }
    }

    @Test func shutdownKeepsItsDeadline() {
        let output = FaultyOutput()
        output.fail(times: .max, with: OutputError(errno: ENOSPC, isTemporary: true))
        let log = DecisionLog(sinks: [sink(output, .block, records: 100)])
        for number in 0..<5 { log.append(RecordTests.record(number)) }
        let start = ContinuousClock.now
        #expect(log.shutdown(deadline: .milliseconds(200)) == 5)
        #expect(ContinuousClock.now - start < .seconds(5))
        log.append(RecordTests.record(9))
    }

    @Test func halfALineDoesNotStay() throws {
        let (reader, writer) = (UnsafeMutablePointer<Int32>.allocate(capacity: 2), 1)
        defer { reader.deallocate() }
        #expect(pipe(reader) == 0)
        close(reader[0])
        signal(SIGPIPE, SIG_IGN)
        let output = StandardOutput(descriptor: reader[writer])
        #expect(throws: OutputError.self) { try output.write([1, 2, 3]) }
        close(reader[writer])
    }
}

final class Events: Sendable {
    private let list = Mutex<[DecisionLog.Event]>([])
    func add(_ event: DecisionLog.Event) { list.withLock { $0.append(event) } }
    var dropped: Int {
        list.withLock { $0.reduce(0) { if case .dropped(_, let records) = $1 { $0 + records } else { $0 } } }
    }
    var failed: Int { list.withLock { $0.count { if case .writeFailed = $0 { true } else { false } } } }
}

/// Holds, fails and remembers what is written.
final class FaultyOutput: RecordOutput {
    private struct State {
        var lines: [[UInt8]] = []
        var isHeld = false
        var failures = 0
        var writes = 0
        var error = OutputError(errno: 0, isTemporary: false)
    }
    private let state = Mutex(State())
    let groupBytesMax: Int
    /// Number of calls that wrote something.
    var writes: Int { state.withLock { $0.writes } }

    init(groupBytesMax: Int = 0) { self.groupBytesMax = groupBytesMax }

    var lines: [[UInt8]] { state.withLock { $0.lines } }
    func hold() { state.withLock { $0.isHeld = true } }
    func release() { state.withLock { $0.isHeld = false } }
    func fail(times: Int, with error: OutputError) {
        state.withLock {
            $0.failures = times
            $0.error = error
        }
    }

    func write(_ line: [UInt8]) throws(OutputError) {
        while state.withLock({ $0.isHeld }) { usleep(1000) }
        let error = state.withLock { state -> OutputError? in
            if state.failures > 0 {
                state.failures -= 1
                return state.error
            }
            state.lines += line.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
            state.writes += 1
            return nil
        }
        if let error { throw error }
    }

    func reopen() {}
    func tail() -> [UInt8] { [] }
}
