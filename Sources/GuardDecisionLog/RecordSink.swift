private import Glibc
private import GuardJSON
private import Synchronization

/// One output with its bounded buffer, its chain and its thread.
///
/// A `pthread` and not a task: writes block, and the cooperative pool must not.
final class RecordSink: Sendable {
    private struct State {
        var queue: [[UInt8]] = []
        var queueBytes = 0
        var dropped = 0
        var isClosing = false
        var wantsReopen = false
        var isDone = false
        var lost = 0
        var deadline: ContinuousClock.Instant?
    }

    let name: Label
    let configuration: DecisionLog.SinkConfiguration
    private let output: any RecordOutput
    private let now: @Sendable () -> Timestamp
    private let ids: ULIDGenerator
    private let onEvent: @Sendable (DecisionLog.Event) -> Void
    private let state = Mutex(State())
    private let full = Atomic<Bool>(false)
    private let wake = Semaphore()
    /// The thread has been told that there is something new and has not looked yet.
    private let isTold = Atomic<Bool>(false)

    init(
        name: Label, writer: Label, configuration: DecisionLog.SinkConfiguration, output: any RecordOutput,
        now: @escaping @Sendable () -> Timestamp, onEvent: @escaping @Sendable (DecisionLog.Event) -> Void
    ) {
        self.name = name
        self.configuration = configuration
        self.output = output
        self.now = now
        self.onEvent = onEvent
        ids = ULIDGenerator(now: now)
        let last = output.tail().split(separator: UInt8(ascii: "\n")).last.flatMap { RecordChain.parse(Array($0)) }
        let chain = RecordChain(
            writer: Label("\(writer)/\(name)"), epoch: now().milliseconds, previous: last?.link.hash)
        start(chain)
    }

    var isFull: Bool { configuration.onFull == .block && full.load(ordering: .relaxed) }

    /// Never waits. With `block` the buffer may grow by what already runs: admission is what stops.
    func append(_ record: [UInt8]) {
        let isDropped = state.withLock { state -> Bool in
            let isOver = state.queue.count >= configuration.bufferRecordsMax
                || state.queueBytes + record.count > configuration.bufferBytesMax
            // Twice the bound is the end also for `block`: memory is finite.
            let isFarOver = state.queue.count >= 2 * configuration.bufferRecordsMax
                || state.queueBytes + record.count > 2 * configuration.bufferBytesMax
            if state.isClosing || (configuration.onFull == .drop ? isOver : isFarOver) {
                state.dropped += 1
                return true
            }
            state.queue.append(record)
            state.queueBytes += record.count
            updateFull(state)
            return false
        }
        if isDropped { onEvent(.dropped(sink: name, records: 1)) }
        tell()
    }

    private func updateFull(_ state: State) {
        full.store(
            state.queue.count >= configuration.bufferRecordsMax || state.queueBytes >= configuration.bufferBytesMax,
            ordering: .relaxed)
    }

    func reopen() {
        state.withLock { $0.wantsReopen = true }
        tell()
    }

    func close(deadline: ContinuousClock.Instant) {
        state.withLock {
            $0.isClosing = true
            $0.deadline = deadline
        }
        tell()
    }

    /// Wakes the thread, once for all that comes until it looks: a wake-up costs the event loop more than a record.
    private func tell() {
        if !isTold.exchange(true, ordering: .acquiringAndReleasing) { wake.post() }
    }

    /// Records that could not be written, once the thread is done; `nil` before.
    var lost: Int? { state.withLock { $0.isDone ? $0.lost : nil } }

    // MARK: Thread

    private func start(_ chain: RecordChain) {
        let body = Unmanaged.passRetained(ThreadBody { self.drain(chain) })
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, { context in
            if let context { Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run() }
            return nil
        }, body.toOpaque())
        if result == 0 { pthread_detach(thread) } else { body.release() }
    }

    private func drain(_ start: RecordChain) {
        var chain = start
        while true {
            let (batch, dropped, wantsReopen, deadline, isClosing) = state.withLock { state in
                let batch = state.queue
                state.queue = []
                let dropped = state.dropped
                state.dropped = 0
                let wantsReopen = state.wantsReopen
                state.wantsReopen = false
                return (batch, dropped, wantsReopen, state.deadline, state.isClosing)
            }
            if wantsReopen { output.reopen() }
            var lost = 0
            var next = 0
            while next < batch.count {
                let group = batch[next..<groupEnd(batch, from: next)]
                if !writeAtOnce(group, &chain) {
                    for record in group where !write(record, &chain) { lost += 1 }
                }
                next = group.endIndex
                state.withLock { state in
                    state.queueBytes -= group.reduce(0) { $0 + $1.count }
                    updateFull(state)
                }
                if let limit = state.withLock({ $0.deadline }), ContinuousClock.now > limit {
                    lost += batch.count - next
                    break
                }
            }
            if batch.count > lost { onEvent(.written(sink: name, records: batch.count - lost)) }
            if dropped > 0, deadline.map({ ContinuousClock.now <= $0 }) ?? true {
                if !write(droppedRecord(dropped), &chain) { state.withLock { $0.dropped += dropped } }
            }
            if lost > 0 {
                onEvent(.dropped(sink: name, records: lost))
                state.withLock {
                    $0.lost += lost
                    $0.dropped += lost
                }
            }
            if isClosing {
                let isEnd = state.withLock { state -> Bool in
                    guard state.queue.isEmpty || lost > 0 else { return false }
                    state.lost += state.queue.count
                    state.isDone = true
                    return true
                }
                if isEnd { return }
            } else {
                wake.wait()
                // Lets a busy process gather records, so that the thread is woken a thousand times a second at most.
                if !state.withLock({ $0.isClosing }) { usleep(1000) }
                isTold.store(false, ordering: .releasing)
            }
        }
    }

    /// Where a group of records that begins at `start` ends: as many as one write may well hold.
    private func groupEnd(_ batch: [[UInt8]], from start: Int) -> Int {
        let bytesMax = output.groupBytesMax
        var bytes = 0
        var end = start
        while end < batch.count, end == start || bytes + batch[end].count <= bytesMax {
            bytes += batch[end].count
            end += 1
        }
        return end
    }

    /// One write for several records. `false`: none of them stands, each has to be written by itself.
    private func writeAtOnce(_ group: ArraySlice<[UInt8]>, _ chain: inout RecordChain) -> Bool {
        guard group.count > 1 else { return false }
        var next = chain
        var lines: [UInt8] = []
        for record in group { lines += next.line(of: record) }
        do throws(OutputError) {
            try output.write(lines)
            chain = next
            return true
        } catch {
            return false
        }
    }

    /// Tries again while a temporary error lasts, as long as the sink may block. The chain moves on only with a line
    /// that stands.
    private func write(_ record: [UInt8], _ chain: inout RecordChain) -> Bool {
        var reported: Int32?
        while true {
            var next = chain
            do throws(OutputError) {
                try output.write(next.line(of: record))
                chain = next
                return true
            } catch {
                if reported != error.errno {
                    onEvent(.writeFailed(sink: name, errno: error.errno))
                    reported = error.errno
                }
                let deadline = state.withLock { $0.deadline }
                guard error.isTemporary, configuration.onFull == .block, deadline.map({ ContinuousClock.now < $0 }) ?? true
                else { return false }
                usleep(100_000)
            }
        }
    }

    /// Stands in the chain for records that are not there.
    private func droppedRecord(_ count: Int) -> [UInt8] {
        var json = JSONWriter()
        json.object {
            $0.member("id", utf8: ids.next().text)
            $0.member("time", utf8: now().rfc3339)
            $0.member("kind", "dropped")
            $0.member("dropped", count)
        }
        return json.bytes
    }
}

private final class ThreadBody: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func run() { body() }
}

/// A counting semaphore. Unchecked `Sendable`: `sem_t` is made to be shared, at an address that does not move.
private final class Semaphore: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func post() { sem_post(semaphore) }

    func wait() { while sem_wait(semaphore) != 0 {} }
}
