private import Glibc

/// Takes finished records from event loops and writes them, each sink on its own thread.
///
/// `append` never blocks and never does I/O. A sink whose buffer is full drops the record and counts it (`onFull: drop`:
/// a record that says how many were dropped follows in the chain) or says so through `isFull`, and the admission answers
/// 503 until there is room (`onFull: block`; records of requests that already run still have a place).
package final class DecisionLog: Sendable {
    package enum OnFull: String, Sendable { case drop, block }

    package struct SinkConfiguration: Sendable {
        package enum Kind: Sendable, Hashable {
            case stdout
            /// Appended to; above `rotateBytes` renamed to `path.1`, `path.2` ... up to `keep` files.
            case file(path: String, rotateBytes: Int? = nil, keep: Int = 8)
        }
        package var kind: Kind
        package var onFull: OnFull
        /// Bounds of what waits for the sink's thread.
        package var bufferBytesMax: Int
        package var bufferRecordsMax: Int

        package init(
            kind: Kind, onFull: OnFull, bufferBytesMax: Int = 16 << 20, bufferRecordsMax: Int = 65_536
        ) {
            self.kind = kind
            self.onFull = onFull
            self.bufferBytesMax = bufferBytesMax
            self.bufferRecordsMax = bufferRecordsMax
        }
    }

    /// What the log tells its owner, from any thread: for metrics and the process log.
    package enum Event: Sendable, Hashable {
        case written(sink: Label, records: Int)
        case dropped(sink: Label, records: Int)
        /// `errno` of a failed open, write or rename; the record is counted as dropped or tried again.
        case writeFailed(sink: Label, errno: Int32)
    }

    private let sinks: [RecordSink]

    /// `writer` names this process, unique in the place where the log goes (pod name); every sink is a chain of its own,
    /// named `writer/sink`. Files are opened here.
    ///
    /// - Throws: the first file that cannot be opened for writing.
    package init(
        sinks: [SinkConfiguration], writer: Label, now: @escaping @Sendable () -> Timestamp = { Timestamp.now() },
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) throws(DecisionLogError) {
        var made: [RecordSink] = []
        for (index, configuration) in sinks.enumerated() {
            let output: any RecordOutput
            let kind: String
            switch configuration.kind {
            case .stdout:
                output = StandardOutput()
                kind = "stdout"
            case .file(let path, let rotateBytes, let keep):
                let file = FileOutput(path: path, rotateBytes: rotateBytes, keep: keep)
                do {
                    try file.open()
                } catch {
                    throw DecisionLogError(path: path, errno: error.errno)
                }
                output = file
                kind = "file"
            }
            let isAlone = sinks.count { $0.kind.name == kind } == 1
            made.append(
                RecordSink(
                    name: Label(isAlone ? kind : "\(kind)\(index)"), writer: writer, configuration: configuration,
                    output: output, now: now, onEvent: onEvent))
        }
        self.sinks = made
    }

    /// For tests: other outputs than files.
    init(sinks: [RecordSink]) { self.sinks = sinks }

    /// Any thread, at once: encodes the record and hands it to the sinks.
    package func append(_ record: DecisionRecord) {
        guard !sinks.isEmpty else { return }
        let bytes = record.encoded()
        for sink in sinks { sink.append(bytes) }
    }

    /// Whether a sink with `onFull: block` has no room: admission answers 503 `unavailable`. An atomic load a sink.
    package var isFull: Bool { sinks.contains(where: \.isFull) }

    /// Reopens files (after an external rotation).
    package func reopen() { for sink in sinks { sink.reopen() } }

    /// Writes what waits and stops the threads; what is not written after `deadline` is lost and counted. Records that
    /// are appended later are dropped. Blocks: call it off the event loops. Returns the number of lost records, -1 where
    /// a sink hangs in a write.
    @discardableResult
    package func shutdown(deadline: Duration) -> Int {
        let end = ContinuousClock.now + deadline
        for sink in sinks { sink.close(deadline: end) }
        var lost = 0
        for sink in sinks {
            var count = sink.lost
            while count == nil, ContinuousClock.now < end + .milliseconds(500) {
                usleep(1000)
                count = sink.lost
            }
            guard let count else { return -1 }
            lost += count
        }
        return lost
    }
}

extension DecisionLog.SinkConfiguration.Kind {
    fileprivate var name: String {
        switch self {
        case .stdout: "stdout"
        case .file: "file"
        }
    }
}

package struct DecisionLogError: Error, Sendable, Hashable, CustomStringConvertible {
    package var path: String
    package var errno: Int32

    package var description: String { "\(path): \(String(cString: strerror(errno)))" }
}
