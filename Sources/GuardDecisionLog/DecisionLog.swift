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
        case dropped(sink: Label, records: Int)
        /// `errno` of a failed open, write or rename; the record is counted as dropped or tried again.
        case writeFailed(sink: Label, errno: Int32)
    }

    /// `writer` names this process, unique in the place where the log goes (pod name); every sink is a chain of its own,
    /// named `writer/sink`.
    package init(
        sinks: [SinkConfiguration], writer: Label, now: @escaping @Sendable () -> Timestamp = { Timestamp.now() },
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) throws {}

    /// Any thread, at once.
    package func append(_ record: DecisionRecord) {}

    /// Whether a sink with `onFull: block` has no room: admission answers 503 `unavailable`. One atomic load.
    package var isFull: Bool { false }

    /// Reopens files (after an external rotation).
    package func reopen() {}

    /// Writes what waits and stops the threads; what is not written after `deadline` is lost and counted.
    /// Blocks: call it off the event loops. Returns the number of lost records.
    @discardableResult
    package func shutdown(deadline: Duration) -> Int { 0 }
}
